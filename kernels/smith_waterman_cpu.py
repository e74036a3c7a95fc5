"""Smith-Waterman on the CPU: one pair at a time, the cells of an anti-diagonal in SIMD lanes (int32).

`align_one` is for other kernels, `align_pairs` aligns a batch. Integer arithmetic only, so every SIMD width gives the same CIGARs.
Source: specification chapter "assembly", section 11.1.
"""

import numpy as np

from gpugenome.kernels import smith_waterman_scalar as scalar
from gpugenome.kernels.launch import jit
from gpugenome.kernels.simd import LANES_F32 as LANES
from gpugenome.kernels.simd import add, bits_or, equal, greater, load, load_bytes, select, splat, store, store_bytes
from gpugenome.kernels.smith_waterman_scalar import INDEL, LOW, SOFTCLIP

last_occurrence = jit(scalar.last_occurrence)
better_end = jit(scalar.better_end)
backtrack = jit(scalar.backtrack)


@jit
def scratch(n, m):
    """Memory of `align_one` for references of up to n and alternates of up to m bases: (letters, lanes, back)."""
    slack = 2 * LANES
    return np.empty(n + m + 2 * slack, np.uint8), np.empty((6, m + 2 + slack), np.int32), np.empty((n + m) * (m + 1) + slack, np.uint8)


@jit
def _fill_diagonal(h_out, h1, h2, e_out, e1, f, lo, hi, letters, ref_at, alt_at, back, back_at, match, mismatch, opened, extended):
    """Cells of columns lo..hi of one anti-diagonal, a vector at a time; what lies up to a vector beyond hi is overwritten.

    h1, e1: the previous diagonal; h2: two diagonals back; f: by column. letters[ref_at], [alt_at] and back[back_at] belong to column lo.
    """
    zero, one, two, four, eight = splat(np.int32(0)), splat(np.int32(1)), splat(np.int32(2)), splat(np.int32(4)), splat(np.int32(8))
    for t in range(0, hi - lo, LANES):
        j = lo + t
        e_open, e_ext = add(load(h1, j - 1), opened), add(load(e1, j - 1), extended)
        f_open, f_ext = add(load(h1, j), opened), add(load(f, j), extended)
        longer_e, longer_f = greater(e_open, e_ext), greater(f_open, f_ext)
        e, g = select(longer_e, e_open, e_ext), select(longer_f, f_open, f_ext)
        flags = bits_or(select(longer_e, zero, four), select(longer_f, zero, eight))
        same = equal(load_bytes(letters, ref_at + t, one), load_bytes(letters, alt_at + t, one))
        best = add(load(h2, j - 1), select(same, match, mismatch))
        by_e = greater(e, best)
        best = select(by_e, e, best)
        by_f = greater(g, best)
        store(e_out, j, e)
        store(f, j, g)
        store(h_out, j, select(by_f, g, best))
        store_bytes(back, back_at + t, bits_or(flags, select(by_f, two, select(by_e, one, zero))))


@jit
def _fill(letters, n, m, match, mismatch, opened, extended, strategy, lanes, back):
    """Fill the matrix; returns the cell (i, j) where the backtrack starts. letters: the reference backwards, and the alternate."""
    stride, alt_at = m + 1, len(letters) - m - 2 * LANES
    h2, h1, h0, e1, e0, f = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5]
    low = np.int32(LOW)
    border = strategy != SOFTCLIP
    first = np.int32(opened if border else 0)
    h2[0] = 0
    h1[0] = first
    h1[1] = first
    e1[0] = low
    e0[0] = low
    for j in range(m + 2):
        f[j] = low
    scores = splat(np.int32(match)), splat(np.int32(mismatch)), splat(np.int32(opened)), splat(np.int32(extended))
    best, best_i, best_j = np.int64(-(1 << 40)), 0, 0
    for d in range(2, n + m + 1):
        lo = max(1, d - n)
        hi = min(m, d - 1) + 1
        _fill_diagonal(h0, h1, h2, e0, e1, f, lo, hi, letters, n - d + lo, alt_at + lo - 1, back, (d - 2) * stride + lo, *scores)
        if strategy == SOFTCLIP and d - n >= 1:
            j = d - n
            if j <= m and better_end(np.int64(h0[j]), n, j, n, m, best, best_i, best_j, True):
                best, best_i, best_j = np.int64(h0[j]), n, j
        if d - m >= 1 and d - m <= n:
            i = d - m
            if better_end(np.int64(h0[m]), i, m, n, m, best, best_i, best_j, False):
                best, best_i, best_j = np.int64(h0[m]), i, m
        edge = np.int32(opened + (d - 1) * extended if border else 0)
        if d <= n:
            h0[0] = edge
        if d <= m:
            h0[d] = edge
            f[d] = low  # the vectors went beyond their diagonal
        h2, h1, h0 = h1, h0, h2
        e1, e0 = e0, e1
    if strategy == INDEL:
        return n, m
    return best_i, best_j


@jit
def align_one(ref, alt, match, mismatch, opened, extended, strategy, letters, lanes, back, cigar):
    """Align `alt` to `ref` (uint8 bases, neither empty). Returns (number of CIGAR words, offset on the reference).

    letters, lanes, back: made by `scratch`; cigar: uint32[>= 2 * m + 3]. match ... extended: scores, gap costs negative, within int32
    over the length of the sequences; strategy: SOFTCLIP, INDEL or LEADING_INDEL.
    """
    n, m = len(ref), len(alt)
    if strategy == SOFTCLIP:
        at = last_occurrence(ref, n, alt, m)
        if at >= 0:
            cigar[0] = m << 4
            return 1, at
    for i in range(n):
        letters[i] = ref[n - 1 - i]
    at = len(letters) - m - 2 * LANES
    for j in range(m):
        letters[at + j] = alt[j]
    i, j = _fill(letters, n, m, match, mismatch, opened, extended, strategy, lanes, back)
    return backtrack(back, n, m, i, j, strategy, cigar)


@jit
def align_pairs(
    begin, end, ref, ref_offset, pair_ref, alt, alt_offset, match, mismatch, opened, extended, strategy,
    cigar, cigar_offset, cigar_count, ref_start,
):  # fmt: skip
    """Align pairs begin..end: alternate sequence p against reference pair_ref[p].

    ref uint8 by ref_offset int64[r + 1]; alt uint8 by alt_offset int64[p + 1]. Output, allocated by the caller: cigar uint32 by
    cigar_offset int64[p + 1] (2 * length + 3 words each are always enough), cigar_count int32[p], ref_start int32[p].
    """
    n_max, m_max = 1, 1
    for p in range(begin, end):
        n_max = max(n_max, ref_offset[pair_ref[p] + 1] - ref_offset[pair_ref[p]])
        m_max = max(m_max, alt_offset[p + 1] - alt_offset[p])
    letters, lanes, back = scratch(n_max, m_max)
    for p in range(begin, end):
        r = ref[ref_offset[pair_ref[p]] : ref_offset[pair_ref[p] + 1]]
        a = alt[alt_offset[p] : alt_offset[p + 1]]
        c = cigar[cigar_offset[p] : cigar_offset[p + 1]]
        count, at = align_one(r, a, match, mismatch, opened, extended, strategy, letters, lanes, back, c)
        cigar_count[p] = count
        ref_start[p] = at
