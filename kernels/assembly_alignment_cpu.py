"""Alignments of local assembly: dangling branches and haplotypes against the reference, and the CIGARs of haplotypes.

Source: GATK CigarUtils.calculateCigar (behaviour; specification chapter "assembly", section 11).
"""

from collections import namedtuple

import numpy as np

from gpugenome.kernels.cigar_cpu import (
    LEADING,
    TRAILING,
    builder_add_all,
    builder_make,
    builder_reset,
    left_align,
    trim_cigar,
)
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_cpu import align_one

PADDING = 10
_BASE_N = 78
_D, _S = 2, 4

Alignment = namedtuple("Alignment", "reverse lanes back cigar other work ref alt st")
"""Scratch: reverse uint8, lanes int32[6, .], back uint8 as `align_one` wants them; cigar, other: uint32 CIGARs, work: uint32, five times as
long; ref, alt: uint8 padded sequences; st: int64[5], a CIGAR builder's state."""


@jit
def alignment_scratch(n, m):
    """Scratch for references of n and alternates of m bases."""
    room = 2 * (m + n) + 64
    return Alignment(
        np.empty(n, np.uint8), np.empty((6, m + 2), np.int32), np.empty((n + m) * (m + 1), np.uint8), np.empty(room, np.uint32),
        np.empty(room, np.uint32), np.empty(5 * room, np.uint32), np.empty(n, np.uint8), np.empty(m, np.uint8), np.zeros(5, np.int64),
    )  # fmt: skip


@jit
def with_room(a, n, m):
    """The scratch, or larger one where references of n and alternates of m bases do not fit."""
    if n <= len(a.reverse) and m + 2 <= a.lanes.shape[1] and (n + m) * (m + 1) <= len(a.back):
        return a
    return alignment_scratch(max(n, len(a.reverse)), max(m, a.lanes.shape[1] - 2))


@jit
def align(ref, alt, scores, strategy, a):
    """`align_one` into a.cigar, for which there must be room: (elements, offset). scores: int64[4]."""
    return align_one(ref, alt, scores[0], scores[1], scores[2], scores[3], strategy, a.reverse, a.lanes, a.back, a.cigar)


@jit
def _pad(bases, out):
    """Bases between ten Ns, in out; the slice."""
    n = len(bases)
    out[:PADDING] = _BASE_N
    out[PADDING : PADDING + n] = bases
    out[PADDING + n : n + 2 * PADDING] = _BASE_N
    return out[: n + 2 * PADDING]


@jit
def haplotype_cigar(ref, alt, scores, strategy, a):
    """CIGAR of a haplotype (not equal to the reference) in a.cigar, indels leftmost; its elements, 0 if it cannot be aligned end to end."""
    count, offset = align(_pad(ref, a.ref), _pad(alt, a.alt), scores, strategy, a)
    if offset > 0:
        return 0
    for w in a.cigar[:count]:
        if w & 15 == _S:
            return 0
    n = trim_cigar(a.cigar[:count], PADDING, PADDING + len(alt) - 1, False, a.other, a.st)
    lead, trail = a.st[LEADING], a.st[TRAILING]
    if trail > 0:
        a.other[n] = (trail << 4) | _D
        n += 1
    n = left_align(a.other[:n], ref, alt, lead, a.work, a.cigar, a.st)
    lead += a.st[LEADING]
    trail = a.st[TRAILING]
    # Deletions at the ends are part of a haplotype.
    m = 0
    if lead > 0:
        a.other[0] = (lead << 4) | _D
        m = 1
    a.other[m : m + n] = a.cigar[:n]
    m += n
    if trail > 0:
        a.other[m] = (trail << 4) | _D
        m += 1
    builder_reset(a.st, 0)
    builder_add_all(a.cigar, a.st, a.other[:m])
    return builder_make(a.cigar, a.st)
