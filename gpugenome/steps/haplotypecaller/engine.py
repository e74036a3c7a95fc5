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
from gpugenome.steps.haplotypecaller.assembly import assemble_regions
from gpugenome.steps.haplotypecaller.columns import RegionBatch
from gpugenome.steps.haplotypecaller.likelihoods import likelihoods
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.regions import ContigFeed, RegionMaker, contig_intervals

REGIONS_PER_PART = 128


@dataclass
class Part:
    """Some regions of one contig with their reads, and what the stages made of them."""

    reads: object
    regions: RegionBatch
    assembly: object = None
    likelihoods: object = None


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
        raise UserError(f"-ERC {options.emit_ref_confidence}: expected reads of one sample, got {', '.join(samples)} (or say --sample-name)")
    return replace(options, samples=tuple(samples))


def split_regions(regions: RegionBatch, size: int = REGIONS_PER_PART):
    """Iterator of RegionBatch of at most `size` regions."""
    for a in range(0, len(regions), size):
        b = min(a + size, len(regions))
        at = regions.read_offset[a : b + 1]
        yield RegionBatch(regions.ref_id, regions.start[a:b], regions.end[a:b], regions.padded_start[a:b], regions.padded_end[a:b],
                          regions.is_active[a:b], at - at[0], regions.read_index[at[0] : at[-1]])  # fmt: skip
