"""Scalar parts of the reference confidence model that CPU and CUDA share. Coordinates are 0-based half-open.

Source: ReferenceConfidenceModel.readHasNoPlausibleIdealsOfSize, .doIndelRefConfCalc of GATK; specification chapter "gvcf_joint",
sections 3 and 4.
"""

import math

from gpugenome.kernels.launch import jit
from gpugenome.kernels.rounded import product

MAX_USELESS_QUALITY = 6
"""Bases of this quality or less do not count, whatever --min-base-quality-score says."""
MAX_INFORMATIVE = 40
N_BASE = 78


@jit
def informative_limit(aligned, length, first, at, ref_length, size):
    """One past the last aligned offset at which a read can rule out indels of 1..size bases; 0 where it cannot anywhere.

    aligned: bases of the read laid on the reference. length: bases of the read. first: offset of its first element that counts,
    at: index of the reference base there. ref_length: bases of the reference haplotype.
    """
    room = ref_length - at
    if length - first < size or room < size or aligned - first <= size:
        return 0
    reference_is_shorter = not aligned < room + first + 1
    last = room + first - size + 1 if reference_is_shorter else aligned - size
    second = length - size
    if last > second:
        return second + 1
    return last - 1 if reference_is_shorter else last


@jit
def mismatch_cost(base, ref_base, qual):
    """Quality of a base that disagrees with the reference, else 0 (N agrees with all; gaps have quality 0)."""
    return qual if base != ref_base and base != N_BASE and ref_base != N_BASE else 0


@jit
def mark_plausible(base, qual, first, ref, shift, size, limit, own, plausible):
    """plausible[k] = 1 where an indel of 1..size bases at offset k explains the rest of the read as well as its alignment does.

    base, qual: uint8, the read laid on the reference. ref: uint8, bases of the reference haplotype; offset k lies on ref[k + shift].
    Offsets first..limit are decided. own: int32 scratch of len(base), plausible: uint8 of len(base), cleared here from first to limit.
    The sums only grow towards the start, so one that exceeds the whole read's own cost decides all offsets before it.
    """
    stop = min(len(base), len(ref) - shift)
    total = 0
    for t in range(stop - 1, first - 1, -1):
        total += mismatch_cost(base[t], ref[t + shift], qual[t])
        own[t] = total
    for t in range(first, limit):
        plausible[t] = 0
    for d in range(1, size + 1):
        total = 0
        for t in range(min(len(base), len(ref) - shift - d) - 1, first - 1, -1):
            total += mismatch_cost(base[t], ref[t + d + shift], qual[t])
            if total > own[first]:
                break
            if t < limit and total <= own[t]:
                plausible[t] = 1
        total = 0
        for t in range(min(len(base) - d, len(ref) - shift) - 1, first - 1, -1):
            total += mismatch_cost(base[t + d], ref[t + shift], qual[t + d])
            if total > own[first]:
                break
            if t < limit and total <= own[t]:
                plausible[t] = 1


@jit
def reference_pl(gl, m, count, log_ploidy, indel_margin, indel_pl, pl):
    """PLs of 0..m alternate copies from the likelihoods gl[0..m] of the pileup, or those of the indel model where it is less sure.

    count: elements in the pileup. log_ploidy times as much is taken from gl, which is then capped by gl[0], in place. Returns GQ, uncapped:
    the second smallest PL minus the smallest.
    """
    shift = product(count, log_ploidy)
    for i in range(m + 1):
        gl[i] -= shift
    other = -math.inf
    for i in range(1, m + 1):
        gl[i] = min(gl[i], gl[0])
        other = max(other, gl[i])
    if indel_margin < gl[0] - other:
        for i in range(m + 1):
            pl[i] = indel_pl[i]
    else:
        for i in range(m + 1):
            pl[i] = math.floor(product(-10.0, gl[i] - gl[0]) + 0.5)
    return genotype_quality(pl, m)


@jit
def genotype_quality(pl, m):
    """The second smallest of pl[0..m] minus the smallest."""
    low, high = min(pl[0], pl[1]), max(pl[0], pl[1])
    for i in range(2, m + 1):
        if pl[i] <= low:
            low, high = pl[i], low
        elif pl[i] < high:
            high = pl[i]
    return high - low
