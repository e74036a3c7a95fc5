"""Local assembly of regions: from their reads to trimmed haplotypes, events and the reads for the likelihoods.

Source: GATK HaplotypeCallerEngine.callRegion up to the likelihoods (specification chapter "assembly").
"""

import numpy as np

from gpugenome.steps.haplotypecaller import graph
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallerReads, HaplotypeEvents, RegionBatch
from gpugenome.steps.haplotypecaller.finalise import finalise_reads
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.trimming import trim_regions


def assemble_regions(reads: CallerReads, regions: RegionBatch, contig_bases: np.ndarray, options: CallerOptions,
                     threads: int = 1, given_alleles: HaplotypeEvents | None = None) -> AssemblyBatch:  # fmt: skip
    """Assemble the active regions that have reads; with reference confidence the reads of the others are finalised too.

    contig_bases: uint8[length], upper-case ACGTN. given_alleles: those of --alleles on this contig, by start, one ALT a row (`offset` is
    not used).
    """
    has_reads = np.diff(regions.read_offset) > 0
    active = regions.is_active & has_reads
    finalised = finalise_reads(reads, regions, has_reads if options.with_reference_confidence else active, options, threads)
    haplotypes = graph.assemble(finalised, reads, regions, active, contig_bases, options, threads)
    return trim_regions(reads, regions, active, finalised, haplotypes, contig_bases, options, threads, given_alleles)
