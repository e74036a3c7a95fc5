"""Events of haplotypes against the reference. Source: GATK EventMap (specification chapter "assembly", section 12)."""

import numpy as np

from gpugenome.kernels import events_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import HaplotypeEvents, Haplotypes
from gpugenome.steps.haplotypecaller.reads import offsets


def haplotype_events(haplotypes: Haplotypes, contig_bases: np.ndarray, max_mnp_distance: int = 0, threads: int = 1) -> HaplotypeEvents:
    """What each haplotype changes in the contig, read off its CIGAR.

    contig_bases: uint8[length], upper-case ACGTN. max_mnp_distance: substitutions of one aligned block that are at most this far apart
    make one event. An event with an N is left out; a substitution and an indel that begin at the same base make one event.
    """
    n = len(haplotypes)
    span_start = np.repeat(haplotypes.span_start, np.diff(haplotypes.offset))
    count = np.empty(n, np.int64)
    parts = run_chunks(kernel.haplotype_events, n, threads, span_start, haplotypes.base, haplotypes.base_offset, haplotypes.cigar,
                       haplotypes.cigar_offset, contig_bases, max_mnp_distance, count)  # fmt: skip
    if not parts:
        return HaplotypeEvents(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8),
                               np.zeros(1, np.int64))  # fmt: skip
    start, ref_length, alt_length, alt = (np.concatenate(column) for column in zip(*parts))
    return HaplotypeEvents(offsets(count), start, ref_length, alt, offsets(alt_length))
