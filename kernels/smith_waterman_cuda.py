"""Smith-Waterman on a GPU: one warp a pair, the CIGARs of smith_waterman_cpu. Integer arithmetic only.

Lanes are 32 columns of the alternate sequence. At step s lane l does row s - l: the values to its left come from the lane before by
shuffles, those above are its own registers. The last lane leaves its column in memory for the next 32 columns. One byte a cell
goes to memory, neighbouring lanes to neighbouring bytes; then every lane walks back the same way and the first writes.

Occupancy (benchmarks/cuda_sass.py): 69 registers, 7 blocks of 4 warps a multiprocessor of sm_90 (28 of 64 warps). A step of 32 cells is
about 115 instructions, so at best 2.6e11 cells/s on an H100 (132 multiprocessors of 4 schedulers at 1.76 GHz).
"""

import numpy as np
from numba import cuda

from gpugenome.kernels import smith_waterman_scalar as scalar
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.smith_waterman_scalar import INDEL, LOW, SOFTCLIP

_WARP = 0xFFFFFFFF
last_occurrence = cuda.jit(device=True)(scalar.last_occurrence)
better_end = cuda.jit(device=True)(scalar.better_end)
backtrack = cuda.jit(device=True)(scalar.backtrack)


@cuda.jit(device=True)
def _cell(diagonal, left, e_left, up, f_up, same, match, mismatch, opened, extended):
    """(score, insertion score, deletion score, byte for the backtrack) of a cell."""
    e_open, e_extended = np.int32(left + opened), np.int32(e_left + extended)
    f_open, f_extended = np.int32(up + opened), np.int32(f_up + extended)
    best = np.int32(diagonal + (match if same else mismatch))
    e, f = max(e_open, e_extended), max(f_open, f_extended)
    flags = (0 if e_open > e_extended else 4) | (0 if f_open > f_extended else 8)
    kind = 0
    if e > best:
        best, kind = e, 1
    if f > best:
        best, kind = f, 2
    return best, e, f, np.uint8(flags | kind)


@cuda.jit(device=True)
def _fill(lane, ref, n, alt, m, match, mismatch, opened, extended, border, back, edge):
    """Fill the matrix. edge: scores of the last column by row, insertion scores of the column before a stripe, scores of the last row."""
    low = np.int32(LOW)
    for first in range(np.int32(0), m, np.int32(32)):
        j = np.int32(first + lane + 1)
        base = alt[j - 1] if j <= m else np.uint8(0)
        up = np.int32(opened + (j - 1) * extended if border else 0)
        # left of row 0: the border, 0 in the corner
        diagonal = np.int32(opened + (j - 2) * extended if border and j > 1 else 0)
        f, h, e = low, low, low
        cell = np.int64(first) * (m + 1) + j  # place of the byte of step 0
        for s in range(np.int32(n + 31)):
            i = np.int32(s - lane + 1)
            left, e_left = cuda.shfl_up_sync(_WARP, h, 1), cuda.shfl_up_sync(_WARP, e, 1)
            if 1 <= i <= n:
                if lane == 0:
                    left = np.int32(opened + (i - 1) * extended if border else 0) if first == 0 else edge[i - 1]
                    e_left = low if first == 0 else edge[n + i - 1]
                h, e, f, byte = _cell(diagonal, left, e_left, up, f, ref[i - 1] == base, match, mismatch, opened, extended)
                diagonal, up = left, h
                if j <= m:
                    back[cell + np.int64(s) * (m + 1)] = byte
                    if i == n:
                        edge[2 * n + j - 1] = h
                    if lane == 31 or j == m:
                        edge[i - 1], edge[n + i - 1] = h, e
        cuda.syncwarp()


@cuda.jit(device=True)
def _end(n, m, strategy, edge):
    """The cell (i, j) where the backtrack starts: the best of the last column, and of the last row too under SOFTCLIP."""
    if strategy == INDEL:
        return np.int64(n), np.int64(m)
    best, best_i, best_j = np.int64(-(1 << 40)), np.int64(0), np.int64(0)
    for d in range(2, n + m + 1):
        i, j = np.int64(d - m), np.int64(d - n)
        if strategy == SOFTCLIP and 1 <= j <= m:
            score = np.int64(edge[2 * n + j - 1])
            if better_end(score, n, j, n, m, best, best_i, best_j, True):
                best, best_i, best_j = score, np.int64(n), j
        if 1 <= i <= n:
            score = np.int64(edge[i - 1])
            if better_end(score, i, m, n, m, best, best_i, best_j, False):
                best, best_i, best_j = score, i, np.int64(m)
    return best_i, best_j


@kernel(per_item=32)
def align(
    begin, end, first_pair, last_pair, ref, ref_offset, pair_ref, alt, alt_offset, match, mismatch, opened, extended, strategy,
    cigar, cigar_offset, cigar_count, ref_start, back, edge,
):  # fmt: skip
    """`align_pairs`. An item is a warp, which does every (end)th pair from first_pair on. Thread: a column of its pair."""
    slot = begin + cuda.grid(1) // 32
    lane = np.int32(cuda.threadIdx.x & 31)
    if slot >= end:
        return
    for p in range(first_pair + slot, last_pair, end):
        r, a = ref_offset[pair_ref[p]], alt_offset[p]
        n, m = np.int32(ref_offset[pair_ref[p] + 1] - r), np.int32(alt_offset[p + 1] - a)
        ref_row, alt_row = ref[r : r + n], alt[a : a + m]
        out = cigar[cigar_offset[p] : cigar_offset[p + 1]]
        at = last_occurrence(ref_row, n, alt_row, m) if strategy == SOFTCLIP else np.int64(-1)
        if at >= 0:
            if lane == 0:
                out[0] = m << 4
                cigar_count[p], ref_start[p] = 1, at
            continue
        _fill(lane, ref_row, n, alt_row, m, np.int32(match), np.int32(mismatch), np.int32(opened), np.int32(extended),
              strategy != SOFTCLIP, back[slot], edge[slot])  # fmt: skip
        if lane == 0:
            i, j = _end(n, m, strategy, edge[slot])
            count, at = backtrack(back[slot], n, m, i, j, strategy, out)
            cigar_count[p], ref_start[p] = count, at
        cuda.syncwarp()


def align_pairs(
    begin, end, ref, ref_offset, pair_ref, alt, alt_offset, match, mismatch, opened, extended, strategy,
    cigar, cigar_offset, cigar_count, ref_start, back, edge,
):  # fmt: skip
    """Align pairs begin..end; arguments as in smith_waterman_cpu, arrays on the device, and scratch for as many warps as it has rows.

    back: uint8[warps, scalar.back_size of the largest pair]. edge: int32[warps, 2 n + m of the largest pair].
    """
    align(
        0, min(end - begin, back.shape[0]), begin, end, ref, ref_offset, pair_ref, alt, alt_offset, match, mismatch, opened, extended,
        strategy, cigar, cigar_offset, cigar_count, ref_start, back, edge,
    )  # fmt: skip


SIGNATURES = {
    "align": "(i8, i8, i8, i8, u1[::1], i8[::1], i4[::1], u1[::1], i8[::1], i8, i8, i8, i8, i8, u4[::1], i8[::1], i4[::1], i4[::1],"
    " u1[:, ::1], i4[:, ::1])"
}
