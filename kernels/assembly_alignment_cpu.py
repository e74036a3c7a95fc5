"""Alignment of haplotypes to the reference within a band that provably holds every best alignment, and the CIGARs of haplotypes.

A path of the alignment matrix that visits diagonal j - i = d > 0 leaves d haplotype bases unmatched, one that visits d < 0 leaves -d
reference bases; what it can still score at most is `match` a base. Where the best score found within a band is larger than that for all
diagonals outside, no best path leaves the band, and ties are decided as in the whole matrix. Otherwise the band is widened to what that
score asks for.

Source: GATK SmithWatermanJavaAligner, CigarUtils.calculateCigar (behaviour; specification chapter "assembly", section 11).
"""

import numpy as np

from gpugenome.kernels import smith_waterman_scalar as scalar
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
from gpugenome.kernels.smith_waterman_scalar import INDEL, LOW, SOFTCLIP

PADDING = 10
_FIRST_BAND = 6
_BASE_N = 78
_M, _I, _D = 0, 1, 2

last_occurrence = jit(scalar.last_occurrence)
better_end = jit(scalar.better_end)


@jit
def _fill_band(ref, alt, match, mismatch, opened, extended, border, lo, hi, h, f, back, column):
    """Fill the cells with lo <= j - i <= hi. h, f: int32[hi - lo + 2]: the last row by j - i - lo. column: int32[n + 1]: last column.

    back: uint8[n + 1, hi - lo + 1], flags as in `smith_waterman_scalar`. border: whether gaps at the ends cost.
    """
    n, m = len(ref), len(alt)
    low = np.int32(LOW)
    width = hi - lo + 1
    for j in range(width + 1):
        h[j] = low
        f[j] = low
    for i in range(len(column)):
        column[i] = low
    for j in range(min(m, hi) + 1):
        h[j - lo] = np.int32(opened + (j - 1) * extended) if border and j > 0 else np.int32(0)
    for i in range(1, n + 1):
        first, last = i + lo, min(m, i + hi)
        left, e = low, low
        if first <= 0:
            left = np.int32(opened + (i - 1) * extended) if border else np.int32(0)
            h[-first] = left
            f[-first] = low
            first = 1
        base = ref[i - 1]
        c = first - i - lo
        row = back[i]
        for j in range(first, last + 1):
            e_open, e_ext = np.int32(left + opened), np.int32(e + extended)
            f_open, f_ext = np.int32(h[c + 1] + opened), np.int32(f[c + 1] + extended)
            best = np.int32(h[c] + (match if base == alt[j - 1] else mismatch))
            e = max(e_open, e_ext)
            g = max(f_open, f_ext)
            flags = (0 if e_open > e_ext else 4) | (0 if f_open > f_ext else 8)
            if e > best:
                best = e
                flags |= 1
            if g > best:
                best = g
                flags = (flags & 12) | 2
            row[c] = flags
            f[c] = g
            h[c] = best
            left = best
            c += 1
        if last == m:
            column[i] = left


@jit
def _best_end(n, m, lo, hi, h, column):
    """Score and cell where the backtrack of SOFTCLIP starts, among the cells of the band."""
    best, best_i, best_j = np.int64(-(1 << 40)), np.int64(0), np.int64(0)
    for d in range(2, n + m + 1):
        j = d - n
        if 1 <= j <= m and lo <= j - n <= hi:
            score = np.int64(h[j - n - lo])
            if better_end(score, n, j, n, m, best, best_i, best_j, True):
                best, best_i, best_j = score, n, j
        i = d - m
        if 1 <= i <= n and lo <= m - i <= hi:
            score = np.int64(column[i])
            if better_end(score, i, m, n, m, best, best_i, best_j, False):
                best, best_i, best_j = score, i, m
    return best, best_i, best_j


@jit
def _walk_back(back, lo, i, j, cigar):
    """CIGAR from cell (i, j) back to a border: (elements, row, column where it begins)."""
    count, state = 0, 0
    while i > 0 and j > 0:
        b = back[i, j - i - lo]
        if state == 4 or (state == 0 and b & 3 == 1):
            op = _I
            j -= 1
            state = b & 4
        elif state == 8 or (state == 0 and b & 3 == 2):
            op = _D
            i -= 1
            state = b & 8
        else:
            op = _M
            i -= 1
            j -= 1
            state = 0
        if count > 0 and cigar[count - 1] & 15 == op:
            cigar[count - 1] += 16
        else:
            cigar[count] = 16 | op
            count += 1
    return count, i, j


@jit
def _turn_round(cigar, n):
    for k in range(n // 2):
        swap = cigar[k]
        cigar[k] = cigar[n - 1 - k]
        cigar[n - 1 - k] = swap


@jit
def align_ends(ref, alt, scores, strategy, h, f, back, column, cigar):
    """Elements of the CIGAR of alt against ref; 0 where the best SOFTCLIP alignment does not use both from their first base on, and alt
    to its last.

    scores: int64[4] match, mismatch, gap open, gap extend. strategy: SOFTCLIP or INDEL. Scratch: h, f int32[n + m + 2], back uint8[>= (n +
    1) * (n + m + 1)], column int32[n + 1]; cigar: uint32[2 * m + 3].
    """
    n, m = len(ref), len(alt)
    match, mismatch, opened, extended = np.int32(scores[0]), np.int32(scores[1]), np.int32(scores[2]), np.int32(scores[3])
    if strategy == SOFTCLIP and m <= n:
        at = last_occurrence(ref, n, alt, m)
        if at >= 0:
            cigar[0] = m << 4
            return 1 if at == 0 else 0
    lo, hi = min(0, m - n) - _FIRST_BAND, max(0, m - n) + _FIRST_BAND
    if match <= 0 or mismatch > 0 or opened > 0 or extended > 0:
        lo, hi = -n, m  # the bound does not hold
    while True:
        lo, hi = max(lo, -n), min(hi, m)
        band = back[: (n + 1) * (hi - lo + 1)].reshape(n + 1, hi - lo + 1)
        _fill_band(ref, alt, match, mismatch, opened, extended, strategy == INDEL, lo, hi, h, f, band, column[: n + 1])
        best, i, j = _best_end(n, m, lo, hi, h, column)
        if strategy == INDEL:
            best, i, j = np.int64(column[n]), np.int64(n), np.int64(m)
        if lo == -n and hi == m:
            break
        far_hi, far_lo = (match * m - best) // match, -((match * n - best) // match)
        if hi >= far_hi and lo <= far_lo:
            break
        lo, hi = min(lo, far_lo), max(hi, far_hi)
    if j < m:
        return 0
    count, i, j = _walk_back(band, lo, i, j, cigar)
    if i > 0 or j > 0:
        if strategy == SOFTCLIP:
            return 0
        cigar[count] = (i << 4) | _D if i > 0 else (j << 4) | _I
        count += 1
    _turn_round(cigar, count)
    return count


@jit
def pad(bases, out):
    """Bases between ten Ns, in out; the slice."""
    n = len(bases)
    out[:PADDING] = _BASE_N
    out[PADDING : PADDING + n] = bases
    out[PADDING + n : n + 2 * PADDING] = _BASE_N
    return out[: n + 2 * PADDING]


@jit
def haplotype_cigar(ref, alt, padded_ref, padded_alt, scores, strategy, h, f, back, column, first, second, work, st):
    """CIGAR of a haplotype (not equal to the reference) in `first`, indels leftmost; its elements, 0 if it cannot be aligned end to end.

    padded_ref, padded_alt: the same by `pad`. first, second: uint32 scratch, work five times as long; st: int64[5].
    """
    count = align_ends(padded_ref, padded_alt, scores, strategy, h, f, back, column, first)
    if count == 0:
        return np.int64(0)
    n = trim_cigar(first[:count], PADDING, PADDING + len(alt) - 1, False, second, st)
    lead, trail = st[LEADING], st[TRAILING]
    if trail > 0:
        second[n] = (trail << 4) | _D
        n += 1
    n = left_align(second[:n], ref, alt, lead, work, first, st)
    lead += st[LEADING]
    trail = st[TRAILING]
    # Deletions at the ends are part of a haplotype.
    m = 0
    if lead > 0:
        second[0] = (lead << 4) | _D
        m = 1
    second[m : m + n] = first[:n]
    m += n
    if trail > 0:
        second[m] = (trail << 4) | _D
        m += 1
    builder_reset(st, 0)
    builder_add_all(first, st, second[:m])
    return builder_make(first, st)
