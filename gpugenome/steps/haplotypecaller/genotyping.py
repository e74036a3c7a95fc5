"""From read likelihoods to calls: loci and alleles of each region, genotype likelihoods, the allele frequency model, genotypes, phasing.

Three steps, of which only the second goes from batch to batch in the order of the genome (alleles "*" depend on deletions emitted
before): `site_models`, `emit`, `call_sites`.
"""

from dataclasses import dataclass, field

import numpy as np

from gpugenome.gatk.activity_priors import pseudocounts
from gpugenome.gatk.genotype_likelihoods import (
    MOST_ALLELES,
    GenotypeTable,
    genotype_count,
    genotype_table,
    log10_sum_table,
    practical_allele_count,
)
from gpugenome.kernels import allele_frequency_cpu, phasing_cpu, realign_cpu
from gpugenome.kernels import genotype_calls_cpu as calls_kernel
from gpugenome.kernels import genotype_evidence_cpu as evidence_kernel
from gpugenome.kernels import genotype_sites_cpu as sites_kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallBatch, CallerReads, HaplotypeEvents, LikelihoodBatch, RegionBatch
from gpugenome.steps.haplotypecaller.options import OUTPUT_MODES, CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

_SYMBOL = np.frombuffer(b"<NON_REF>", np.uint8)


@dataclass
class GenotypingState:
    """What one batch leaves for the next: deletions that were emitted and may cover later sites of the contig.

    ref_id: the contig. deletions: int64[k, 2], 0-based start and last position covered.
    """

    ref_id: int = -1
    deletions: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))


@dataclass
class _Sites:
    """Loci in order: region, start, ref_length, merged_count int32[n]; allele int64, length int32 by allele_offset; hap_allele int16 by
    hap_allele_offset (see `kernels.genotype_sites_cpu.site_alleles`)."""

    region: np.ndarray
    start: np.ndarray
    ref_length: np.ndarray
    merged_count: np.ndarray
    allele: np.ndarray
    length: np.ndarray
    allele_offset: np.ndarray
    hap_allele: np.ndarray
    hap_allele_offset: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @property
    def n_alleles(self) -> np.ndarray:
        return np.diff(self.allele_offset)


@dataclass
class _Evidence:
    """Reads of the sites: read int32 by offset; matrix float64, rows x alleles blocks by block_offset."""

    read: np.ndarray
    offset: np.ndarray
    matrix: np.ndarray
    block_offset: np.ndarray


def _find_sites(assembly: AssemblyBatch, contig_bases, options: CallerOptions, threads) -> _Sites:
    haps, events = assembly.haplotypes, assembly.events
    span = assembly.variant_start, assembly.variant_end
    n_regions = len(assembly.status)
    count = np.empty(n_regions, np.int64)
    run_chunks(sites_kernel.count_loci, n_regions, threads, *span, haps.offset, events.offset, events.start, count)
    locus_offset = offsets(count)
    n = int(locus_offset[-1])
    region, start = np.empty(n, np.int32), np.empty(n, np.int32)
    run_chunks(sites_kernel.fill_loci, n_regions, threads, *span, haps.offset, events.offset, events.start, locus_offset, region, start)
    n_haps = np.diff(haps.offset)[region]
    hap_allele_offset, room_offset = offsets(n_haps), offsets(n_haps + 3)
    room, hap_allele = np.empty(int(room_offset[-1]), np.int64), np.empty(int(hap_allele_offset[-1]), np.int16)
    n_alleles, merged_count, ref_length = (np.empty(n, np.int32) for _ in range(3))
    run_chunks(
        sites_kernel.site_alleles, n, threads, region, start, haps.offset, haps.score, events.offset, events.start,
        events.ref_length, events.alt, events.alt_offset, contig_bases, not options.disable_spanning_event_genotyping,
        int(options.with_reference_confidence), practical_allele_count(options.sample_ploidy, options.max_genotype_count), room_offset,
        room, hap_allele, hap_allele_offset, n_alleles, merged_count, ref_length,
    )  # fmt: skip
    allele_offset = offsets(n_alleles)
    allele = room[np.arange(int(allele_offset[-1])) + np.repeat(room_offset[:-1] - allele_offset[:-1], n_alleles)]
    length = np.empty(len(allele), np.int32)
    run_chunks(sites_kernel.allele_lengths, n, threads, allele_offset, allele, ref_length, events.ref_length, events.alt_offset, length)
    return _Sites(region, start, ref_length, merged_count, allele, length, allele_offset, hap_allele, hap_allele_offset)


def _gather_evidence(sites: _Sites, assembly, likelihoods: LikelihoodBatch, contig_length, options, threads) -> _Evidence:
    reads, n = likelihoods.reads, len(sites)
    end = np.empty(len(reads), np.int64)
    run_chunks(realign_cpu.reference_spans, len(reads), threads, reads.cigar, reads.cigar_offset, end)
    end += reads.start
    window = (sites.region, sites.start, sites.ref_length, options.allele_informative_reads_overlap_margin, contig_length,
              reads.region_offset, reads.start, end)  # fmt: skip
    count = np.empty(n, np.int64)
    run_chunks(evidence_kernel.count_rows, n, threads, *window, count)
    offset, block_offset = offsets(count), offsets(count * sites.n_alleles)
    read, matrix = np.empty(int(offset[-1]), np.int32), np.empty(int(block_offset[-1]))
    run_chunks(
        evidence_kernel.fill_rows, n, threads, *window, reads.filtered, assembly.haplotypes.offset, likelihoods.matrix,
        likelihoods.matrix_offset, sites.allele_offset, sites.hap_allele, sites.hap_allele_offset, int(options.with_reference_confidence),
        offset, read, matrix, block_offset,
    )  # fmt: skip
    return _Evidence(read, offset, matrix, block_offset)


def _genotype_likelihoods(sites, evidence, reads, read_sample, samples, table: GenotypeTable, threads):
    """(PL int32, offsets by site and sample)."""
    per_site = genotype_count(table.allele.shape[1], sites.n_alleles)
    pl_offset = offsets(np.repeat(per_site, samples))
    pl = np.empty(int(pl_offset[-1]), np.int32)
    run_chunks(
        evidence_kernel.genotype_likelihoods, len(sites), threads, sites.allele_offset, evidence.offset, evidence.read,
        evidence.matrix, evidence.block_offset, reads.filtered, read_sample, samples, table.distinct, table.count, table.n_distinct,
        table.log10_of, log10_sum_table(), pl, pl_offset,
    )  # fmt: skip
    return pl, pl_offset


def _forced(sites: _Sites, regions: RegionBatch, events, contig_bases, given: HaplotypeEvents | None, threads) -> np.ndarray:
    """uint8 by allele: 1 where --alleles asks for it."""
    forced = np.zeros(len(sites.allele), np.uint8)
    if given is not None:
        # those that begin in the region or in the padding to its right
        first, last = np.searchsorted(given.start, regions.start), np.searchsorted(given.start, regions.padded_end)
        run_chunks(
            sites_kernel.force_alleles, len(sites), threads, sites.region, sites.start, sites.ref_length, sites.allele_offset, sites.allele,
            sites.length, events.ref_length, events.alt, events.alt_offset, contig_bases, first, last, given.ref_length, given.alt,
            given.alt_offset, forced,
        )  # fmt: skip
    return forced


def _allele_frequencies(sites: _Sites, pl, pl_offset, samples, table: GenotypeTable, options, threads):
    """The allele frequency model: (no_variant float64 by site, absent float64, mle_count int32, used uint8 by allele)."""
    n, m = len(sites), len(sites.allele)
    star = np.full(n, -1, np.int32)
    rows = np.flatnonzero(sites.allele == sites_kernel.SPANNING)
    site = np.searchsorted(sites.allele_offset, rows, "right") - 1
    star[site] = rows - sites.allele_offset[site]
    no_variant, absent, mle_count, used = np.empty(n), np.zeros(m), np.zeros(m, np.int32), np.zeros(m, np.uint8)
    run_chunks(
        allele_frequency_cpu.allele_frequency, n, threads, sites.allele_offset, sites.length, star, int(options.with_reference_confidence),
        pl, pl_offset, samples, options.max_alternate_alleles,
        *pseudocounts(options.heterozygosity, options.heterozygosity_stdev, options.indel_heterozygosity),
        table.allele, table.distinct, table.count, table.n_distinct, table.combinations, table.choose, table.log10_of,
        no_variant, absent, mle_count, used,
    )  # fmt: skip
    return no_variant, absent, mle_count, used


@dataclass
class SiteModels:
    """Sites of a batch of regions with what their reads say: `site_models` makes it for `emit` and `call_sites`."""

    sites: _Sites
    evidence: _Evidence
    table: GenotypeTable
    read_sample: np.ndarray
    pl: np.ndarray
    pl_offset: np.ndarray
    forced: np.ndarray
    no_variant: np.ndarray
    absent: np.ndarray
    mle_count: np.ndarray
    used: np.ndarray


@dataclass
class Emitted:
    """What `emit` decides: keep uint8 by allele; emitted uint8, qual float64, low_qual uint8 by site."""

    keep: np.ndarray
    emitted: np.ndarray
    qual: np.ndarray
    low_qual: np.ndarray


def emit(models: SiteModels, ref_id: int, options: CallerOptions, state: GenotypingState) -> Emitted:
    """Which sites and alleles are emitted, batch by batch in the order of the genome; updates the state."""
    s = models.sites
    n = len(s)
    out = Emitted(np.zeros(len(s.allele), np.uint8), np.empty(n, np.uint8), np.zeros(n), np.zeros(n, np.uint8))
    if state.ref_id != ref_id:
        state.ref_id, state.deletions = ref_id, np.empty((0, 2), np.int64)
    state.deletions = calls_kernel.emit_sites(
        s.start, s.allele_offset, s.allele, s.length, models.no_variant, models.absent, models.used, models.forced,
        options.calling_confidence_phred, int(options.with_reference_confidence), OUTPUT_MODES.index(options.output_mode), MOST_ALLELES,
        state.deletions, out.keep, out.emitted, out.qual, out.low_qual,
    )  # fmt: skip
    return out


@dataclass
class _Called:
    """Emitted sites: site int64[c], row of _Sites; the alleles of each by allele_offset: row int64 (of the site's alleles), kept int64
    (index within the site)."""

    site: np.ndarray
    allele_offset: np.ndarray
    row: np.ndarray
    kept: np.ndarray

    def __len__(self) -> int:
        return len(self.site)


def _called(sites: _Sites, keep, emitted) -> _Called:
    site_of = np.repeat(np.arange(len(sites)), sites.n_alleles)
    row = np.flatnonzero(keep.astype(bool) & emitted.astype(bool)[site_of])
    site = np.flatnonzero(emitted)
    per_site = np.bincount(site_of[row], minlength=len(sites))
    return _Called(site, offsets(per_site[site]), row, row - sites.allele_offset[site_of[row]])


def _genotypes(sites, called: _Called, pl, pl_offset, samples, table: GenotypeTable, threads):
    """(gt, gq, PL, PL offsets) of the calls."""
    c, ploidy = len(called), table.allele.shape[1]
    n_alleles = np.diff(called.allele_offset)
    out_offset = offsets(np.repeat(np.where(n_alleles > 1, genotype_count(ploidy, n_alleles), 0), samples))
    out = np.empty(int(out_offset[-1]), np.int32)
    gt, gq = np.empty((c, samples, ploidy), np.int16), np.empty((c, samples), np.int32)
    run_chunks(
        calls_kernel.assign_genotypes, c, threads, called.site, called.allele_offset, called.kept, sites.allele_offset, sites.allele,
        pl, pl_offset, samples, table.allele, table.choose, out, out_offset, gt, gq,
    )  # fmt: skip
    return gt, gq, out, out_offset


def _call_evidence(sites, called: _Called, evidence: _Evidence, reads, read_sample, samples, with_non_ref, threads):
    """(evidence of the calls, allele depths: int32, samples x alleles of each call)."""
    count = np.diff(evidence.offset)[called.site]
    offset, block_offset = offsets(count), offsets(count * sites.n_alleles[called.site])
    out = _Evidence(np.empty(int(offset[-1]), np.int32), offset, np.empty(int(block_offset[-1])), block_offset)
    depth = np.empty(len(called.row) * samples, np.int32)
    run_chunks(
        calls_kernel.call_evidence, len(called), threads, called.site, called.allele_offset, called.kept, sites.allele_offset,
        int(with_non_ref), evidence.offset, evidence.read, evidence.matrix, evidence.block_offset, reads.filtered, read_sample, samples,
        out.offset, out.read, out.matrix, out.block_offset, depth,
    )  # fmt: skip
    return out, depth


def _printed_alleles(sites, called: _Called, events, contig_bases, threads):
    """(bytes, offsets by allele) as printed."""
    code, n = sites.allele[called.row], len(called)
    where = called.site, called.allele_offset, sites.start
    source = events.ref_length, events.alt, events.alt_offset, contig_bases
    size = np.empty(len(code), np.int64)
    run_chunks(calls_kernel.trim_lengths, n, threads, *where, sites.merged_count, code, sites.length[called.row], *source, size)
    base_offset = offsets(size)
    base = np.empty(int(base_offset[-1]), np.uint8)
    run_chunks(calls_kernel.fill_alleles, n, threads, *where, code, *source, _SYMBOL, base, base_offset)
    return base, base_offset


def _depths(gt, depth, allele_offset, samples):
    """(AD, its offsets, DP): rows of genotypes that are not called are empty."""
    n_alleles = np.repeat(np.diff(allele_offset), samples)
    is_called = (gt[:, :, 0] >= 0).ravel()
    row = np.repeat(np.arange(len(n_alleles)), n_alleles)
    dp = np.where(is_called, np.bincount(row, depth, len(n_alleles)), -1).astype(np.int32)
    return depth[is_called[row]], offsets(np.where(is_called, n_alleles, 0)), dp.reshape(-1, samples)


def site_models(
    reads: CallerReads,
    regions: RegionBatch,
    assembly: AssemblyBatch,
    likelihoods: LikelihoodBatch,
    contig_bases: np.ndarray,
    options: CallerOptions,
    threads: int = 1,
    given_alleles: HaplotypeEvents | None = None,
) -> SiteModels:
    """Loci, alleles, genotype likelihoods and allele frequencies of a batch of regions.

    contig_bases: uint8 upper-case bases of the whole contig. given_alleles: those of --alleles on this contig, by start, one ALT a row
    (`offset` is not used): matching alleles are called whatever their evidence.
    """
    samples = max(1, len(options.samples))
    sites = _find_sites(assembly, contig_bases, options, threads)
    table = genotype_table(options.sample_ploidy, int(sites.n_alleles.max(initial=2)))
    realigned = likelihoods.reads
    read_sample = reads.sample[realigned.source]
    evidence = _gather_evidence(sites, assembly, likelihoods, len(contig_bases), options, threads)
    pl, pl_offset = _genotype_likelihoods(sites, evidence, realigned, read_sample, samples, table, threads)
    forced = _forced(sites, regions, assembly.events, contig_bases, given_alleles, threads)
    frequencies = _allele_frequencies(sites, pl, pl_offset, samples, table, options, threads)
    return SiteModels(sites, evidence, table, read_sample, pl, pl_offset, forced, *frequencies)


def call_sites(
    models: SiteModels,
    emitted: Emitted,
    regions: RegionBatch,
    assembly: AssemblyBatch,
    likelihoods: LikelihoodBatch,
    contig_bases: np.ndarray,
    options: CallerOptions,
    threads: int = 1,
) -> CallBatch:
    """Calls of a batch of regions: the emitted sites with their genotypes, depths and phasing."""
    samples = max(1, len(options.samples))
    sites, evidence, table, read_sample = models.sites, models.evidence, models.table, models.read_sample
    pl, pl_offset, mle_count, qual, low_qual = models.pl, models.pl_offset, models.mle_count, emitted.qual, emitted.low_qual
    realigned, events, haps = likelihoods.reads, assembly.events, assembly.haplotypes
    called = _called(sites, emitted.keep, emitted.emitted)
    c, ploidy = len(called), options.sample_ploidy
    gt, gq, call_pl, call_pl_offset = _genotypes(sites, called, pl, pl_offset, samples, table, threads)
    base, base_offset = _printed_alleles(sites, called, events, contig_bases, threads)
    call_evidence, depth = _call_evidence(
        sites, called, evidence, realigned, read_sample, samples, options.with_reference_confidence, threads
    )
    ad, ad_offset, dp = _depths(gt, depth, called.allele_offset, samples)
    hap_called = np.zeros(len(haps), np.int32)
    # on one thread: calls of one region write to the same haplotypes
    calls_kernel.mark_haplotypes(
        0, c, called.site, called.allele_offset, called.kept, sites.region, haps.offset, sites.hap_allele, sites.hap_allele_offset,
        hap_called,
    )  # fmt: skip
    region, start, code = sites.region[called.site], sites.start[called.site], sites.allele[called.row]
    phased, group, flipped = np.zeros((c, samples), np.uint8), np.full(c, -1, np.int32), np.zeros(c, np.uint8)
    if options.with_reference_confidence and ploidy == 2 and not options.do_not_run_physical_phasing:
        region_call_offset = np.searchsorted(region, np.arange(len(regions) + 1))
        run_chunks(
            phasing_cpu.phase, len(regions), threads, region_call_offset, start, called.allele_offset, code, base, base_offset, haps.offset,
            hap_called, events.offset, events.start, events.alt, events.alt_offset, gt, phased, group, flipped,
        )  # fmt: skip
    alt_rows = called.row[code != sites_kernel.REFERENCE]
    mleac = mle_count[alt_rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        mleaf = np.minimum(1.0, mleac / np.repeat((gt >= 0).sum((1, 2)), np.diff(called.allele_offset) - 1))
    n_columns = sites.n_alleles[called.site]
    column_offset = offsets(n_columns)
    column_allele = np.full(int(column_offset[-1]), -1, np.int32)
    n_kept = np.diff(called.allele_offset)
    column_allele[np.repeat(column_offset[:-1], n_kept) + called.kept] = np.arange(len(code)) - np.repeat(called.allele_offset[:-1], n_kept)
    ref_length = np.diff(base_offset)[called.allele_offset[:-1]]
    return CallBatch(
        region=region, start=start, end=(start + ref_length).astype(np.int32), allele_offset=called.allele_offset, allele_base=base,
        allele_base_offset=base_offset, qual=qual[called.site], low_qual=low_qual[called.site], mleac=mleac, mleaf=mleaf, gt=gt,
        phased=phased, gq=gq, pl=call_pl, pl_offset=call_pl_offset, ad=ad, ad_offset=ad_offset, dp=dp,
        phase_group_start=np.where(group >= 0, start[group], -1).astype(np.int32), phase_group_call=group, phase_alt_first=flipped,
        untrimmed_ref_length=sites.ref_length[called.site], evidence_offset=call_evidence.offset, evidence_read=call_evidence.read,
        evidence_matrix=call_evidence.matrix, evidence_matrix_offset=call_evidence.block_offset, column_offset=column_offset,
        column_allele=column_allele, hap_called=hap_called,
    )  # fmt: skip
