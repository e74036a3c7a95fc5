"""Smith-Waterman on the CPU: one pair at a time, the cells of an anti-diagonal in SIMD lanes (int32).

`align_one` is for other kernels, `align_pairs` aligns a batch. Integer arithmetic only, so every SIMD width gives the same CIGARs.
Source: specification chapter "assembly", section 11.1.
"""

import numpy as np

from gpugenome.kernels import smith_waterman_scalar as scalar
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_scalar import INDEL, LOW, SOFTCLIP

last_occurrence = jit(scalar.last_occurrence)
better_end = jit(scalar.better_end)
backtrack = jit(scalar.backtrack)


@jit
def _fill_diagonal(h_out, h1_left, h1_up, h2, e_out, e_in, f, ref_reversed, alt, back, match, mismatch, opened, extended):
    """Cells of one anti-diagonal; all arrays are slices of equal length (lane = column).

    h1_left, e_in: the previous diagonal one column to the left; h1_up, f: the same column; h2: two diagonals back, one to the left.
    """
    for t in range(len(h_out)):
        e_open = np.int32(h1_left[t] + opened)
        e_ext = np.int32(e_in[t] + extended)
        f_open = np.int32(h1_up[t] + opened)
        f_ext = np.int32(f[t] + extended)
        same = ref_reversed[t] == alt[t]
        best = np.int32(h2[t] + (match if same else mismatch))
        e = e_open if e_open > e_ext else e_ext
        g = f_open if f_open > f_ext else f_ext
        flags = np.uint8((np.uint8(0) if e_open > e_ext else np.uint8(4)) | (np.uint8(0) if f_open > f_ext else np.uint8(8)))
        kind = np.uint8(1) if e > best else np.uint8(0)
        best = e if e > best else best
        kind = np.uint8(2) if g > best else kind
        best = g if g > best else best
        e_out[t] = e
        f[t] = g
        h_out[t] = best
        back[t] = np.uint8(flags | kind)


@jit
def _fill(ref_reversed, alt, match, mismatch, opened, extended, strategy, lanes, back):
    """Fill the matrix; returns the cell (i, j) where the backtrack starts. lanes: int32[6, m + 2] scratch."""
    n, m = len(ref_reversed), len(alt)
    stride = m + 1
    h2, h1, h0, e1, e0, f = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4], lanes[5]
    low = np.int32(LOW)
    border = strategy != SOFTCLIP
    first = np.int32(opened if border else 0)
    h2[0] = 0
    h1[0] = first
    h1[1] = first
    e1[0] = low
    e0[0] = low
    f[:] = low
    best, best_i, best_j = np.int64(-(1 << 40)), 0, 0
    for d in range(2, n + m + 1):
        lo = max(1, d - n)
        hi = min(m, d - 1) + 1
        row = back[(d - 2) * stride :]
        _fill_diagonal(
            h0[lo:hi], h1[lo - 1 : hi - 1], h1[lo:hi], h2[lo - 1 : hi - 1], e0[lo:hi], e1[lo - 1 : hi - 1], f[lo:hi],
            ref_reversed[n - d + lo : n - d + hi], alt[lo - 1 : hi - 1], row[lo:hi], match, mismatch, opened, extended,
        )  # fmt: skip
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
        h2, h1, h0 = h1, h0, h2
        e1, e0 = e0, e1
    if strategy == INDEL:
        return n, m
    return best_i, best_j


@jit
def align_one(ref, alt, match, mismatch, opened, extended, strategy, ref_reversed, lanes, back, cigar):
    """Align `alt` to `ref` (uint8 bases, neither empty). Returns (number of CIGAR words, offset on the reference).

    Scratch: ref_reversed uint8[>= n], lanes int32[6, >= m + 2], back uint8[>= (n + m) * (m + 1)]; cigar: uint32[>= 2 * m + 3].
    match ... extended: int32 scores, gap costs negative; strategy: SOFTCLIP, INDEL or LEADING_INDEL.
    """
    n, m = len(ref), len(alt)
    if strategy == SOFTCLIP:
        at = last_occurrence(ref, n, alt, m)
        if at >= 0:
            cigar[0] = m << 4
            return 1, at
    reversed_ref = ref_reversed[:n]
    for i in range(n):
        reversed_ref[i] = ref[n - 1 - i]
    i, j = _fill(
        reversed_ref, alt, np.int32(match), np.int32(mismatch), np.int32(opened), np.int32(extended), strategy, lanes[:, : m + 2], back
    )
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
    n_max, m_max, cells = 1, 1, 1
    for p in range(begin, end):
        n = ref_offset[pair_ref[p] + 1] - ref_offset[pair_ref[p]]
        m = alt_offset[p + 1] - alt_offset[p]
        n_max = max(n_max, n)
        m_max = max(m_max, m)
        cells = max(cells, (n + m) * (m + 1))
    ref_reversed = np.empty(n_max, np.uint8)
    lanes = np.empty((6, m_max + 2), np.int32)
    back = np.empty(cells, np.uint8)
    for p in range(begin, end):
        r = ref[ref_offset[pair_ref[p]] : ref_offset[pair_ref[p] + 1]]
        a = alt[alt_offset[p] : alt_offset[p + 1]]
        c = cigar[cigar_offset[p] : cigar_offset[p + 1]]
        count, at = align_one(r, a, match, mismatch, opened, extended, strategy, ref_reversed, lanes, back, c)
        cigar_count[p] = count
        ref_start[p] = at
