"""HaplotypeCaller from coordinate-sorted batches to record lines: windows of regions, stage by stage, in order.

Assembly and likelihoods of a part of some hundred regions depend on nothing but their reads, so parts run side by side in threads;
genotyping, annotation and text follow in the order of the genome, because emitted deletions, reference blocks and the random draws
of the QD jitter go from region to region. Source: HaplotypeCaller, HaplotypeCallerEngine of GATK.
"""

from dataclasses import dataclass, replace

import numpy as np

from gpugenome.batch import Header
from gpugenome.errors import UserError
from gpugenome.gatk.java import JavaRandom
from gpugenome.pipeline import ordered_map
from gpugenome.steps.haplotypecaller.annotation import annotate
from gpugenome.steps.haplotypecaller.assembly import assemble_regions
from gpugenome.steps.haplotypecaller.blocks import RecordLines, reference_lines
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallerReads, LikelihoodBatch, RegionBatch
from gpugenome.steps.haplotypecaller.genotyping import GenotypingState, genotype
from gpugenome.steps.haplotypecaller.likelihoods import likelihoods
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets
from gpugenome.steps.haplotypecaller.records import format_records
from gpugenome.steps.haplotypecaller.reference_confidence import reference_records
from gpugenome.steps.haplotypecaller.regions import ContigFeed, RegionMaker, contig_intervals

REGIONS_PER_PART = 128


@dataclass
class _Part:
    """Some regions of one contig with their reads, and what assembly and likelihoods made of them."""

    reads: CallerReads
    regions: RegionBatch
    assembly: AssemblyBatch | None = None
    likelihoods: LikelihoodBatch | None = None


def resolve_samples(header: Header, options: CallerOptions) -> CallerOptions:
    """The options with the samples to call.

    Raises
    ------
    UserError: no read group has a sample, a sample that is not there, several samples with reference confidence.
    """
    samples = header.samples
    if not samples:
        raise UserError("the reads have no sample: expected @RG lines with SM in the header")
    if options.sample_name is not None:
        if options.sample_name not in samples:
            raise UserError(f"--sample-name {options.sample_name}: the reads have no such sample (theirs: {', '.join(samples)})")
        samples = [options.sample_name]
    if options.with_reference_confidence and len(samples) != 1:
        have = ", ".join(samples)
        raise UserError(f"-ERC {options.emit_ref_confidence}: expected reads of one sample, got {have} (or say --sample-name)")
    return replace(options, samples=tuple(samples))


def split_regions(regions: RegionBatch, size: int = REGIONS_PER_PART):
    """Iterator of RegionBatch of at most `size` regions."""
    for a in range(0, len(regions), size):
        b = min(a + size, len(regions))
        at = regions.read_offset[a : b + 1]
        yield RegionBatch(regions.ref_id, regions.start[a:b], regions.end[a:b], regions.padded_start[a:b], regions.padded_end[a:b],
                          regions.is_active[a:b], at - at[0], regions.read_index[at[0] : at[-1]])  # fmt: skip


def only_sample(reads: CallerReads, regions: RegionBatch, sample: int) -> tuple[CallerReads, RegionBatch]:
    """Regions with the reads of one sample (an index into the header's samples), which becomes sample 0.

    Regions were found with the reads of all samples. Source: HaplotypeCallerEngine.removeReadsFromAllSamplesExcept.
    """
    keep = reads.sample[regions.read_index] == sample
    kept = offsets(keep)[regions.read_offset]
    return (replace(reads, sample=np.zeros_like(reads.sample)),
            replace(regions, read_offset=kept, read_index=regions.read_index[keep]))  # fmt: skip


def _until_pause(items, state):
    """Items up to the next None; state["more"] tells whether there may be others after it."""
    for item in items:
        if item is None:
            return
        yield item
    state["more"] = False


class Caller:
    """Calls the variants of coordinate-sorted reads.

    header: of the reads. bases_of(ref_id): uint8, upper-case ACGTN bases of a contig. options: with samples (`resolve_samples`).
    dbsnp: None, or `known_variants.KnownVariants`. on_regions(ref_id, RegionBatch): called for every batch of regions, in order.
    backend: `backend.Backend`, where the PairHMM runs; by default the CPU. given: None, or `io.given_alleles.GivenAlleles` to call.
    """

    def __init__(self, header: Header, bases_of, options: CallerOptions, threads: int, dbsnp=None, on_regions=None, backend=None,
                 given=None):  # fmt: skip
        self._header, self._bases_of, self._options, self._threads = header, bases_of, options, threads
        self._dbsnp, self._on_regions, self._given = dbsnp, on_regions, given
        self._part_backend = replace(backend, threads=1) if backend else None
        self._rng, self._genotyping = JavaRandom(), GenotypingState()

    def lines(self, batches, intervals=None):
        """Iterator of RecordLines in the order of the genome.

        batches: iterator of ReadBatch. intervals: list of (ref_id, start, end), sorted and apart; None for everything.
        """
        maker = RegionMaker(self._header, self._bases_of, self._options, self._rng, self._threads, self._forced if self._given else None)
        feed = ContigFeed(batches)
        writer = None
        if self._options.with_reference_confidence:
            writer = reference_lines(self._options, self._header.contig_names, self._threads)
        for ref_id, spans in contig_intervals(self._header, intervals).items():
            bases, state = None, {"more": True}
            items = maker.contig(ref_id, feed.of(ref_id), spans)
            while state["more"]:
                parts = self._parts(ref_id, _until_pause(items, state))
                for part in ordered_map(self._assemble, parts, self._threads):
                    bases = self._bases_of(ref_id) if bases is None else bases
                    yield from self._finish(part, bases, writer)
        if writer is not None:
            yield from writer.finish()

    def _forced(self, ref_id):
        return self._given.mask(ref_id, int(self._header.contig_lengths[ref_id]))

    def _given_of(self, ref_id):
        return self._given.events.get(ref_id) if self._given else None

    def _parts(self, ref_id, items):
        for reads, regions in items:
            if self._on_regions is not None:
                self._on_regions(ref_id, regions)
            if self._options.sample_name is not None:
                reads, regions = only_sample(reads, regions, self._header.samples.index(self._options.sample_name))
            for some in split_regions(regions):
                yield _Part(reads, some)

    def _assemble(self, part):
        """Assembly and likelihoods, on one thread: parts run side by side."""
        ref_id = part.regions.ref_id
        part.assembly = assemble_regions(part.reads, part.regions, self._bases_of(ref_id), self._options, 1, self._given_of(ref_id))
        part.likelihoods = likelihoods(part.reads, part.assembly, self._options, 1, self._part_backend)
        return part

    def _finish(self, part, bases, writer):
        """Genotypes, annotations and text of a part."""
        o, n = self._options, self._threads
        given = self._given_of(part.regions.ref_id)
        calls = genotype(part.reads, part.regions, part.assembly, part.likelihoods, bases, o, self._genotyping, n, given)
        annotated = annotate(part.reads, part.likelihoods, calls, bases, o, self._rng, self._dbsnp, n, part.assembly)
        text, offset = format_records(calls, annotated, self._header.contig_names[part.regions.ref_id], o, n)
        found = RecordLines(part.regions.ref_id, calls.start, calls.end, text, offset)
        if writer is None:
            if len(found):
                yield found
            return
        records = reference_records(part.reads, part.regions, part.assembly, part.likelihoods, calls, bases, o, n)
        yield from writer.add(records, found)
