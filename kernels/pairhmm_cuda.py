"""PairHMM over many (read, haplotype) pairs on a GPU: one warp a pair, the float contract and the bits of pairhmm_cpu.

The read's rows lie across the 32 lanes, `rows` consecutive ones each, in registers (7 constants and M, X, Y a row); shorter reads get
rows in front that change nothing, as on the CPU, so that the last row is always the last lane's. At step s lane l does column s - l
of all its rows and hands M, X, Y of its last row to the next lane by shuffles. Haplotype bases are loaded once a warp, 32 at a
time, and reach the lanes by a fourth shuffle. No shared memory, no barrier.

Occupancy (benchmarks/cuda_sass.py): the float32 kernel takes 125 registers on sm_90, so 4 blocks of 4 warps a multiprocessor, 16 of
64 warps; 250 on sm_80, 8 warps. That is enough: the cells of a lane's rows depend on one another through one fused multiply-add
each, so a warp at 150 bases has five chains in flight and two warps fill a scheduler. A step of five rows is about 90
instructions, 40 of them the cells' arithmetic, 4 of them shuffles; 31 steps of columns + 31 fill and drain the warp. float64 has
236 registers (sm_90), and on sm_75 and sm_80 spills in the variants of 8 and 10 rows.
"""

import numpy as np
from numba import cuda

from gpugenome.kernels.arithmetic_cuda import add, fma, mul
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.pairhmm_scalar import BASE_BITS, GAP_CONTINUATION

GROUP_F32 = GROUP_F64 = 1  # pairs in a group of `pair_totals`
ROWS = (1, 2, 3, 4, 5, 8, 10)
"""Rows a lane that the sweep is specialised for; a read takes the smallest that holds it."""
MOST_ROWS = 32 * ROWS[-1]
"""The longest read. Longer ones get NaN and are for the CPU."""

_WARP = 0xFFFFFFFF
_EVERY_ROW = np.uint32(0x11111111)  # spreads a base's four bits over the eight rows of a word


@cuda.jit(device=True, forceinline=True)
def _fill_rows(rows, lane, read, first, n, error, match, start, constants, bits, state):
    """Constants and column 0 of a lane's rows."""
    base, base_qual, ins_qual, del_qual = read
    mm, mx, my, yy, hit, miss = constants
    m, x, y = state
    zero, one, three = error.dtype.type(0), error.dtype.type(1), error.dtype.type(3)
    third = one / three
    for k in range(rows):
        i = lane * rows + k + n - 32 * rows
        m[k], x[k] = zero, zero
        if i < 0:
            mm[k], mx[k], my[k], yy[k], hit[k], miss[k], y[k] = zero, zero, zero, one, zero, zero, start
        else:
            at = first + i
            e = error[base_qual[at]]
            mm[k] = match[ins_qual[at], del_qual[at]]
            mx[k], my[k], yy[k] = error[ins_qual[at]], error[del_qual[at]], error[GAP_CONTINUATION]
            # e / 3 rounded as a division is (for every e of the tables), without its slow path in every row
            nearly = mul(e, third)
            hit[k], miss[k], y[k] = one - e, fma(fma(-three, nearly, e), third, nearly), zero
            bits[k >> 3] |= np.uint32(BASE_BITS[base[at]]) << np.uint32(4 * (k & 7))


def _cell(unfused):
    """The device function of one cell: (M, X, Y) from the neighbours, in the fused or in Java's order."""

    @cuda.jit(device=True, forceinline=True)
    def cell(diagonal, above, left, mm, mx, my, yy, prior, g, gap):
        if unfused:
            m = mul(prior, add(add(mul(diagonal[0], mm), mul(diagonal[1], g)), mul(diagonal[2], g)))
            x = add(mul(above[0], mx), mul(above[1], gap))
            y = add(mul(left[0], my), mul(left[2], yy))
        else:
            m = mul(fma(diagonal[2], g, fma(diagonal[1], g, mul(diagonal[0], mm))), prior)
            x = fma(above[1], gap, mul(above[0], mx))
            y = fma(left[2], yy, mul(left[0], my))
        return m, x, y

    return cell


def _sweep(unfused):
    """The device function of one pair: each lane's sum over its last row."""
    cell = _cell(unfused)

    @cuda.jit(device=True, forceinline=True)
    def sweep(rows, lane, hap_base, hap_first, columns, error, start, constants, bits, state):
        mm, mx, my, yy, hit, miss = constants
        m, x, y = state
        zero, gap = error.dtype.type(0), error[GAP_CONTINUATION]
        g = error.dtype.type(1) - gap
        last = rows - 1
        sum_m, sum_x = zero, zero
        before = (zero, zero, start)  # the row above at the previous column
        now = old = np.uint32(0)
        for s in range(np.int32(columns + 31)):
            t = np.int32(s & 31)
            if t == 0:
                old = now
                now = np.uint32(0)
                if s + lane < columns:
                    now = np.uint32(np.uint32(BASE_BITS[hap_base[hap_first + s + lane]]) * _EVERY_ROW)
            # base s - lane is held by lane (t - lane) mod 32, in the last 32 bases loaded or the ones before
            hap = np.uint32(cuda.shfl_sync(_WARP, np.int32(now if lane <= t else old), np.int32((t - lane) & 31)))
            above = (cuda.shfl_up_sync(_WARP, m[last], 1), cuda.shfl_up_sync(_WARP, x[last], 1), cuda.shfl_up_sync(_WARP, y[last], 1))
            if lane == 0:
                above = (zero, zero, start)
            if np.uint32(s - lane) < np.uint32(columns):
                diagonal, up = before, above
                for k in range(rows):
                    left = (m[k], x[k], y[k])
                    prior = hit[k] if bits[k >> 3] & hap & (15 << (4 * (k & 7))) else miss[k]
                    up = cell(diagonal, up, left, mm[k], mx[k], my[k], yy[k], prior, g, gap)
                    m[k], x[k], y[k] = up
                    diagonal = left
                if unfused:
                    sum_m = add(sum_m, add(m[last], x[last]))
                else:
                    sum_m, sum_x = add(sum_m, m[last]), add(sum_x, x[last])
            before = above
        return add(sum_x, sum_m)

    return sweep


def _pair(rows, sweep):
    """The device function of one pair, whose read has at most 32 * rows bases: its state in registers, then the sweep."""
    words = (rows + 7) // 8

    @cuda.jit(device=True)
    def pair(lane, read, first, n, hap_base, hap_first, columns, error, match, start):
        mm, mx = cuda.local.array(rows, error.dtype), cuda.local.array(rows, error.dtype)
        my, yy = cuda.local.array(rows, error.dtype), cuda.local.array(rows, error.dtype)
        hit, miss = cuda.local.array(rows, error.dtype), cuda.local.array(rows, error.dtype)
        m, x, y = cuda.local.array(rows, error.dtype), cuda.local.array(rows, error.dtype), cuda.local.array(rows, error.dtype)
        bits = cuda.local.array(words, np.uint32)
        for k in range(words):
            bits[k] = 0
        constants, state = (mm, mx, my, yy, hit, miss), (m, x, y)
        count = np.int32(rows)  # not a literal: the functions are typed once for all, and specialised when they are inlined
        _fill_rows(count, lane, read, first, n, error, match, start, constants, bits, state)
        return sweep(count, lane, hap_base, hap_first, columns, error, start, constants, bits, state)

    return pair


def _item(unfused):
    """The device function of one lane of one item; see `pair_totals`."""
    sweep = _sweep(unfused)
    pair_1, pair_2, pair_3, pair_4, pair_5, pair_8, pair_10 = (_pair(rows, sweep) for rows in ROWS)

    @cuda.jit(device=True, forceinline=True)
    def item(i, read, base_offset, hap_base, hap_offset, pair_read, pair_hap, error, match, initial, out):
        lane = np.int32(cuda.threadIdx.x & 31)
        first, hap_first = base_offset[pair_read[i]], hap_offset[pair_hap[i]]
        n = np.int32(base_offset[pair_read[i] + 1] - first)
        columns = np.int32(hap_offset[pair_hap[i] + 1] - hap_first)
        start = initial / error.dtype.type(columns)
        total = error.dtype.type(np.nan)
        rows = (n + 31) // 32
        if rows <= 1:
            total = pair_1(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        elif rows == 2:
            total = pair_2(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        elif rows == 3:
            total = pair_3(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        elif rows == 4:
            total = pair_4(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        elif rows == 5:
            total = pair_5(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        elif rows <= 8:
            total = pair_8(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        elif rows <= 10:
            total = pair_10(lane, read, first, n, hap_base, hap_first, columns, error, match, start)
        if lane == 31:
            out[i] = total

    return item


_fused_item, _unfused_item = _item(False), _item(True)


@kernel(per_item=32, blocks_per_sm=2)
def fused_totals(
    begin, end, order, pair_read, pair_hap, base, base_qual, ins_qual, del_qual, base_offset, hap_base, hap_offset, error, match,
    initial, out,
):  # fmt: skip
    """`pair_totals` in the native library's order."""
    at = begin + cuda.grid(1) // 32
    if at < end:
        read = (base, base_qual, ins_qual, del_qual)
        _fused_item(order[at], read, base_offset, hap_base, hap_offset, pair_read, pair_hap, error, match, initial, out)


@kernel(per_item=32, blocks_per_sm=2)
def unfused_totals(
    begin, end, order, pair_read, pair_hap, base, base_qual, ins_qual, del_qual, base_offset, hap_base, hap_offset, error, match,
    initial, out,
):  # fmt: skip
    """`pair_totals` in Java's order."""
    at = begin + cuda.grid(1) // 32
    if at < end:
        read = (base, base_qual, ins_qual, del_qual)
        _unfused_item(order[at], read, base_offset, hap_base, hap_offset, pair_read, pair_hap, error, match, initial, out)


def pair_totals(
    begin, end, order, pair_read, pair_hap, base, base_qual, ins_qual, del_qual, base_offset, hap_base, hap_offset,
    error, match, initial, like, unfused, out,
):  # fmt: skip
    """Forward sums of pairs order[begin:end]; arguments as in pairhmm_cpu, arrays on the device. like: not used.

    out: NaN for a read of more than MOST_ROWS bases.
    """
    totals = unfused_totals if unfused else fused_totals
    totals(
        begin, end, order, pair_read, pair_hap, base, base_qual, ins_qual, del_qual, base_offset, hap_base, hap_offset,
        error, match, initial, out,
    )  # fmt: skip


_READS = "i8[::1], i4[::1], i4[::1], u1[::1], u1[::1], u1[::1], u1[::1], i8[::1], u1[::1], i8[::1]"
_F32, _F64 = (f"(i8, i8, {_READS}, {real}[::1], {real}[:, ::1], {real}, {real}[::1])" for real in ("f4", "f8"))
SIGNATURES = {"fused_totals": [_F32, _F64], "unfused_totals": _F64}
