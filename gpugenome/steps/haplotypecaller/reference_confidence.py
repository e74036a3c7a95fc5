"""Reference confidence of every position of assembly regions, and where the calls stand among them.

Source: HaplotypeCallerEngine.callRegion, .referenceModelForNoVariation, ReferenceConfidenceModel.calculateRefConfidence of GATK;
specification chapter "gvcf_joint", sections 2 to 5.
"""

from functools import lru_cache

import numpy as np

from gpugenome.gatk.activity_priors import element_likelihoods
from gpugenome.gatk.indel_confidence import indel_likelihoods
from gpugenome.kernels import finalise_cpu
from gpugenome.kernels import reference_confidence_cpu as kernel
from gpugenome.kernels.java_math_scalar import log10
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import (
    AssemblyBatch,
    CallBatch,
    CallerReads,
    LikelihoodBatch,
    ReferenceRecords,
    RegionBatch,
    RegionReads,
)
from gpugenome.steps.haplotypecaller.finalise import clip_to_spans, rows_of
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

MIN_UNCLIPPED_LENGTH = 10


@lru_cache
def _tables(ploidy: int):
    """(element likelihoods, margins of the indel model, its PLs)."""
    return element_likelihoods(ploidy), *indel_likelihoods(ploidy)


def _passing(reads: CallerReads, clipped: RegionReads, rows, row_offset, options, threads):
    """The rows that the model uses without a realignment, and their offsets."""
    drop = np.empty(len(clipped), np.uint8)
    run_chunks(kernel.nonpassing_rows, len(clipped), threads, _clipped_columns(clipped), _read_columns(reads), reads.ref_id,
               options.mapping_quality_threshold_for_genotyping, MIN_UNCLIPPED_LENGTH, drop)  # fmt: skip
    keep = drop[rows] == 0
    return rows[keep], offsets(keep)[row_offset]


def _clipped_columns(c: RegionReads):
    return c.source, c.start, c.base, c.qual, c.base_offset, c.cigar, c.cigar_offset


def _read_columns(reads: CallerReads):
    return reads.flag, reads.mapq, reads.mate_ref_id, reads.mate_start, reads.tlen


class _Positions:
    """The result columns, filled span by span."""

    def __init__(self, reads, regions, contig_bases, options, threads):
        self._reads, self._bases, self._options, self._threads = reads, contig_bases, options, threads
        self._region_start = regions.start
        self.offset = offsets(regions.end.astype(np.int64) - regions.start)
        n = int(self.offset[-1])
        self.ref_depth, self.alt_depth, self.gq = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
        self.pl = np.empty((n, options.sample_ploidy + 1), np.int32)

    def fill(self, region, start, end, low, high, clipped, rows, row_offset):
        """Spans start..end (int32) of regions `region` against the reference from low to high.

        The reads of span s are rows[row_offset[s]:row_offset[s+1]] of `clipped`, in the order of the pileup.
        """
        o = self._options
        out = self.offset[:-1][region] + start - self._region_start[region]
        element, margin, indel_pl = _tables(o.sample_ploidy)
        run_chunks(
            kernel.reference_confidence, len(region), self._threads, start, end, low, high, row_offset, rows, _clipped_columns(clipped),
            _read_columns(self._reads), self._bases, element, log10(float(o.sample_ploidy)), margin, indel_pl,
            o.reference_model_deletion_quality, o.indel_size_to_eliminate_in_ref_model, out, self.ref_depth, self.alt_depth,
            self.pl, self.gq,
        )  # fmt: skip


def _regions_with_calls(calls: CallBatch, n: int) -> np.ndarray:
    """bool[n]: regions with a call whose genotype is called; the calls of all others are thrown away."""
    called = (calls.gt >= 0).any((1, 2))
    return np.bincount(calls.region[called], minlength=n) > 0


def _flanks(regions: RegionBatch, assembly: AssemblyBatch, called, padding, length):
    """(region, start, end, low, high) of the spans beside the variant spans, left ones first."""
    left = np.flatnonzero(called & (regions.start < assembly.variant_start))
    right = np.flatnonzero(called & (assembly.variant_end < regions.end))
    region = np.concatenate([left, right])
    start = np.concatenate([regions.start[left], assembly.variant_end[right]])
    end = np.concatenate([assembly.variant_start[left], regions.end[right]])
    low = np.maximum(np.maximum(start - padding, 0), regions.padded_start[region])
    high = np.minimum(np.minimum(end + padding, length), regions.padded_end[region])
    return region, start, end, low.astype(np.int32), high.astype(np.int32)


def _realigned(reads: CallerReads, batch: LikelihoodBatch, regions, threads):
    """Rows of the realigned reads of some regions that have likelihoods, in pileup order."""
    clipped = batch.reads
    rows, row_offset = rows_of(clipped.region_offset, regions)
    keep = clipped.filtered[rows] == 0
    rows, row_offset = rows[keep], offsets(keep)[row_offset]
    columns = reads.flag, reads.mapq, reads.mate_ref_id, reads.mate_start, reads.tlen, reads.name, reads.name_offset
    run_chunks(finalise_cpu.sort_rows, len(regions), threads, row_offset, rows, clipped.source, clipped.start, columns)
    return rows, row_offset


def reference_records(reads: CallerReads, regions: RegionBatch, assembly: AssemblyBatch, likelihoods: LikelihoodBatch, calls: CallBatch,
                      contig_bases: np.ndarray, options: CallerOptions, threads: int = 1) -> ReferenceRecords:  # fmt: skip
    """One record for every position of the regions: a call where one begins, else the confidence in the reference.

    assembly.finalised must hold the reads of all regions. contig_bases: uint8, upper-case ACGTN.
    """
    n = len(regions)
    called = _regions_with_calls(calls, n)
    out = _Positions(reads, regions, contig_bases, options, threads)
    whole, variant = np.flatnonzero(~called), np.flatnonzero(called)
    rows = _passing(reads, assembly.finalised, *rows_of(assembly.finalised.region_offset, whole), options, threads)
    out.fill(whole, regions.start[whole], regions.end[whole], regions.padded_start[whole], regions.padded_end[whole], assembly.finalised,
             *rows)  # fmt: skip
    if len(variant):
        out.fill(variant, assembly.variant_start[variant], assembly.variant_end[variant], assembly.trimmed_start[variant],
                 assembly.trimmed_end[variant], likelihoods.reads, *_realigned(reads, likelihoods, variant, threads))  # fmt: skip
        region, start, end, low, high = _flanks(regions, assembly, called, options.assembly_region_padding, len(contig_bases))
        clipped = clip_to_spans(reads, assembly.finalised, region, low, high, threads)
        rows = _passing(reads, clipped, np.arange(len(clipped)), clipped.region_offset, options, threads)
        out.fill(region, start, end, low, high, clipped, *rows)
    pos = (np.arange(out.offset[-1]) + np.repeat(regions.start - out.offset[:-1], np.diff(out.offset))).astype(np.int32)
    call = np.full(len(pos), -1, np.int32)
    rows = np.flatnonzero(called[calls.region])[::-1]  # of calls that begin together the first stays
    call[out.offset[calls.region[rows]] + calls.start[rows] - regions.start[calls.region[rows]]] = rows
    records = ReferenceRecords(regions.ref_id, pos, contig_bases[pos], call, out.ref_depth, out.alt_depth, out.pl, out.gq)
    if options.emit_ref_confidence == "GVCF":
        _take_back(records, calls)
    return records


def _take_back(records: ReferenceRecords, calls: CallBatch) -> None:
    """Calls whose only ALT is <NON_REF> become reference records, which blocks take in. Source: GVCFBlockCombiner.submit."""
    second = calls.allele_offset[:-1] + 1
    lone = (np.diff(calls.allele_offset) == 2) & (calls.allele_base[calls.allele_base_offset[second]] == ord("<"))
    rows = np.flatnonzero((records.call >= 0) & np.append(lone, False)[records.call])
    mine = records.call[rows]
    records.call[rows], records.alt_depth[rows] = -1, 0
    records.ref_depth[rows], records.gq[rows] = np.maximum(calls.dp[mine, 0], 0), np.maximum(calls.gq[mine, 0], 0)
    records.pl[rows] = calls.pl[calls.pl_offset[mine][:, None] + np.arange(records.pl.shape[1])]
    records.with_qual, records.qual = rows, calls.qual[mine]
