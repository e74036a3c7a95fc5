"""HaplotypeCaller from coordinate-sorted batches to record lines: windows of regions, stage by stage, in order.

One thread finds regions. Nearly everything about a part of some hundred of them depends on its own reads only, so parts run side by
side, each on one thread: first up to the allele frequency model, then genotypes and annotations. Between and after the two, in the order of
the genome and in one thread, is what goes from part to part: emitted deletions, the random draws of the QD jitter, reference blocks.
Source: HaplotypeCaller, HaplotypeCallerEngine of GATK.
"""

from dataclasses import dataclass, replace

import numpy as np

from gpugenome.batch import Header
from gpugenome.errors import UserError
from gpugenome.gatk.java import JavaRandom
from gpugenome.pipeline import ahead, ordered_map, thread_pool
from gpugenome.steps.haplotypecaller.annotation import Annotated, annotate
from gpugenome.steps.haplotypecaller.assembly import assemble_regions
from gpugenome.steps.haplotypecaller.blocks import RecordLines, reference_lines
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallBatch, CallerReads, LikelihoodBatch, ReferenceRecords, RegionBatch
from gpugenome.steps.haplotypecaller.genotyping import Emitted, GenotypingState, SiteModels, call_sites, emit, site_models
from gpugenome.steps.haplotypecaller.likelihoods import likelihoods
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets
from gpugenome.steps.haplotypecaller.records import format_records
from gpugenome.steps.haplotypecaller.reference_confidence import reference_records
from gpugenome.steps.haplotypecaller.regions import ContigFeed, RegionMaker, contig_intervals

REGIONS_PER_PART = 256


@dataclass
class _Part:
    """Some regions of one contig with their reads, and what the steps made of them."""

    reads: CallerReads
    regions: RegionBatch
    assembly: AssemblyBatch | None = None
    likelihoods: LikelihoodBatch | None = None
    models: SiteModels | None = None
    emitted: Emitted | None = None
    calls: CallBatch | None = None
    annotated: Annotated | None = None
    records: ReferenceRecords | None = None


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
    bamout: None, or `bamout.HaplotypeReads`, which gets what the calls come from.
    """

    def __init__(self, header: Header, bases_of, options: CallerOptions, threads: int, dbsnp=None, on_regions=None, backend=None,
                 given=None, bamout=None):  # fmt: skip
        self._header, self._bases_of, self._options, self._threads = header, bases_of, options, threads
        self._dbsnp, self._on_regions, self._given, self._bamout = dbsnp, on_regions, given, bamout
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
        with thread_pool(self._threads) as pool:
            for ref_id, spans in contig_intervals(self._header, intervals).items():
                state = {"more": True}
                items = maker.contig(ref_id, feed.of(ref_id), spans)
                while state["more"]:
                    parts = ahead(self._parts(ref_id, _until_pause(items, state)), self._threads)
                    modelled = ordered_map(self._model, parts, self._threads, pool=pool)
                    for part in ordered_map(self._call, map(self._emit, modelled), self._threads, pool=pool):
                        yield from self._finish(part, writer)
        if writer is not None:
            yield from writer.finish()
        if self._bamout is not None:
            self._bamout.finish()

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

    def _model(self, part):
        """From reads to the allele frequencies of sites, on one thread."""
        o, ref_id, reads, regions = self._options, part.regions.ref_id, part.reads, part.regions
        bases, given = self._bases_of(ref_id), self._given_of(ref_id)
        part.assembly = assemble_regions(reads, regions, bases, o, 1, given)
        part.likelihoods = likelihoods(reads, part.assembly, o, 1, self._part_backend)
        part.models = site_models(reads, regions, part.assembly, part.likelihoods, bases, o, 1, given)
        return part

    def _emit(self, part):
        """Which sites are emitted, in the order of the genome."""
        part.emitted = emit(part.models, part.regions.ref_id, self._options, self._genotyping)
        return part

    def _call(self, part):
        """Genotypes, annotations and confidence in the reference, on one thread."""
        o, reads, regions, found = self._options, part.reads, part.regions, (part.assembly, part.likelihoods)
        bases = self._bases_of(regions.ref_id)
        part.calls = call_sites(part.models, part.emitted, regions, *found, bases, o)
        part.annotated = annotate(reads, part.likelihoods, part.calls, bases, o, self._dbsnp, 1, part.assembly)
        if o.with_reference_confidence:
            part.records = reference_records(reads, regions, *found, part.calls, bases, o)
        return part

    def _finish(self, part, writer):
        """Random draws and text, in the order of the genome."""
        calls, ref_id = part.calls, part.regions.ref_id
        if self._bamout is not None:
            self._bamout.add(part.reads, part.regions, part.assembly, part.likelihoods, calls)
        part.annotated.draw(self._rng)
        text, offset = format_records(calls, part.annotated, self._header.contig_names[ref_id], self._options)
        found = RecordLines(ref_id, calls.start, calls.end, text, offset)
        if writer is not None:
            yield from writer.add(part.records, found)
        elif len(found):
            yield found
