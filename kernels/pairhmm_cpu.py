"""PairHMM over many (read, haplotype) pairs: one pair per SIMD lane, two read rows per sweep over the haplotypes.

Float contract (both twins): every cell is evaluated with one fixed expression of IEEE operations, fused exactly where the native
AVX-512 library of GATK 4.6.2.0 fuses, so values depend neither on lane width, batch, thread nor device:

    t = M[i-1,j-1] * MM;  t = fma(X[i-1,j-1], G, t);  t = fma(Y[i-1,j-1], G, t);  M = t * prior
    X = fma(X[i-1,j], XX, M[i-1,j] * MX);   Y = fma(Y[i,j-1], XX, M[i,j-1] * MY)
    total = (sum over j ascending of X[R,j]) + (sum over j ascending of M[R,j])

`unfused=True` is the float64 order of LoglessPairHMM: prior * ((M*MM + X*G) + Y*G), one running sum of M + X.

Lanes of a group may have different lengths: short reads get rows in front that change nothing (prior and MX 0, Y copied along the
row), short haplotypes are padded on the right, where nothing flows back, and left out of the sums.
"""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.pairhmm_scalar import (
    BASE_BITS,
    FALLBACK_F32,
    GAP_CONTINUATION,
    INITIAL_F32,
    log10f,
)
from gpugenome.kernels.simd import (
    LANES_F32,
    LANES_F64,
    add,
    flush_denormals,
    fma,
    lane_count,
    less_equal,
    load,
    load_bytes,
    mul,
    restore_denormals,
    select,
    shares_bits,
    splat,
    store,
)

GROUP_F32, GROUP_F64 = LANES_F32, LANES_F64  # pairs in a group of `pair_totals`

_ROW_VECTORS = 7  # MM, MX, MY, YY, prior of a match, of a mismatch, Y of column 0


@jit
def _sweep_rows(state, table, row_base, hap_base, n_rows, n_columns, one_minus_gap, gap, like, unfused):
    """Sweep the read rows two at a time; `state` (M, X, Y per column, each a vector) ends as the last row."""
    lanes = lane_count(state)
    zero = splat(state.dtype.type(0))
    g = splat(one_minus_gap)
    xx = splat(gap)
    for i in range(0, n_rows, 2):
        at = i * _ROW_VECTORS * lanes
        mm, mx, my, yy = load(table, at), load(table, at + lanes), load(table, at + 2 * lanes), load(table, at + 3 * lanes)
        hit, miss, edge = load(table, at + 4 * lanes), load(table, at + 5 * lanes), load(table, at + 6 * lanes)
        base = load_bytes(row_base, i * lanes, like)
        at += _ROW_VECTORS * lanes
        mm2, mx2, my2, yy2 = load(table, at), load(table, at + lanes), load(table, at + 2 * lanes), load(table, at + 3 * lanes)
        hit2, miss2, edge2 = load(table, at + 4 * lanes), load(table, at + 5 * lanes), load(table, at + 6 * lanes)
        base2 = load_bytes(row_base, (i + 1) * lanes, like)
        # the row above at j-1 (m0, x0, y0); the first of the two rows at j-1 (m1, x1, y1); the second (m2, y2)
        m0, x0, y0 = load(state, 0), load(state, lanes), load(state, 2 * lanes)
        m1, x1, y1, m2, y2 = zero, zero, edge, zero, edge2
        store(state, 0, zero)
        store(state, lanes, zero)
        store(state, 2 * lanes, edge2)
        for j in range(1, n_columns + 1):
            q = j * (3 * lanes)
            hap = load_bytes(hap_base, (j - 1) * lanes, like)
            prior2 = select(shares_bits(hap, base2), hit2, miss2)
            prior = select(shares_bits(hap, base), hit, miss)
            mu, xu, yu = load(state, q), load(state, q + lanes), load(state, q + 2 * lanes)
            if unfused is None:
                next2 = mul(fma(y1, g, fma(x1, g, mul(m1, mm2))), prior2)
                y2 = fma(y2, yy2, mul(m2, my2))
                y1 = fma(y1, yy, mul(m1, my))
                m1 = mul(fma(y0, g, fma(x0, g, mul(m0, mm))), prior)
                x1 = fma(xu, xx, mul(mu, mx))
                x2 = fma(x1, xx, mul(m1, mx2))
            else:
                next2 = mul(prior2, add(add(mul(m1, mm2), mul(x1, g)), mul(y1, g)))
                y2 = add(mul(m2, my2), mul(y2, yy2))
                y1 = add(mul(m1, my), mul(y1, yy))
                m1 = mul(prior, add(add(mul(m0, mm), mul(x0, g)), mul(y0, g)))
                x1 = add(mul(mu, mx), mul(xu, xx))
                x2 = add(mul(m1, mx2), mul(x1, xx))
            m2 = next2
            store(state, q, m2)
            store(state, q + lanes, x2)
            store(state, q + 2 * lanes, y2)
            m0, x0, y0 = mu, xu, yu


@jit
def _sum_last_row(state, total, hap_length, n_columns, unfused):
    """Sum M and X of the last row over each lane's own columns."""
    lanes = lane_count(state)
    zero = splat(state.dtype.type(0))
    sum_m, sum_x = zero, zero
    length = load(hap_length, 0)
    for j in range(1, n_columns + 1):
        inside = less_equal(splat(hap_length.dtype.type(j)), length)
        m, x = load(state, j * 3 * lanes), load(state, (j * 3 + 1) * lanes)
        if unfused is None:
            sum_m = select(inside, add(sum_m, m), sum_m)
            sum_x = select(inside, add(sum_x, x), sum_x)
        else:
            sum_m = select(inside, add(sum_m, add(m, x)), sum_m)
    store(total, 0, add(sum_x, sum_m))


@jit
def _fill_rows(lane, lanes, n_rows, base, base_qual, ins_qual, del_qual, start, error, match, table, row_base):
    """Write one read's row constants into its lane, after the padding rows."""
    zero, one = error.dtype.type(0), error.dtype.type(1)
    three, gap = error.dtype.type(3), error[GAP_CONTINUATION]
    pad = n_rows - len(base)
    for i in range(pad):
        at = i * _ROW_VECTORS * lanes + lane
        for k in range(6):
            table[at + k * lanes] = zero
        table[at + 3 * lanes] = one
        table[at + 6 * lanes] = start
        row_base[i * lanes + lane] = 0
    for k in range(len(base)):
        at = (pad + k) * _ROW_VECTORS * lanes + lane
        e = error[base_qual[k]]
        table[at] = match[ins_qual[k], del_qual[k]]
        table[at + lanes] = error[ins_qual[k]]
        table[at + 2 * lanes] = error[del_qual[k]]
        table[at + 3 * lanes] = gap
        table[at + 4 * lanes] = one - e
        table[at + 5 * lanes] = e / three
        table[at + 6 * lanes] = zero
        row_base[(pad + k) * lanes + lane] = BASE_BITS[base[k]]


@jit
def _fill_columns(lane, lanes, n_columns, hap, start, state, hap_bits):
    """Write one haplotype and its row 0 into its lane."""
    zero = state.dtype.type(0)
    for k in range(len(hap)):
        hap_bits[k * lanes + lane] = BASE_BITS[hap[k]]
    for k in range(len(hap), n_columns):
        hap_bits[k * lanes + lane] = 0
    for j in range(n_columns + 1):
        at = j * 3 * lanes + lane
        state[at] = zero
        state[at + lanes] = zero
        state[at + 2 * lanes] = start


@jit
def _aligned(n, like):
    # vectors that straddle cache lines load at half speed
    scratch = np.empty(n + 64, like.dtype)
    return scratch[(-scratch.ctypes.data % 64) // scratch.itemsize :]


@jit
def pair_totals(
    begin, end, order, pair_read, pair_hap, base, base_qual, ins_qual, del_qual, base_offset, hap_base, hap_offset,
    error, match, initial, like, unfused, out,
):  # fmt: skip
    """Forward sums of groups [begin, end) of pairs; a group is `lanes` consecutive pairs of `order`.

    order: int64[n], pairs by length so that a group wastes little. pair_read, pair_hap: int32[n]. base (ASCII) and the three
    qualities (< 128): uint8 by base_offset int64; hap_base uint8 ASCII by hap_offset. error, match: tables of pairhmm_scalar; their
    dtype (float32 or float64) is that of the computation. initial: start constant of that dtype. like: int32[lanes] for float32,
    int64[lanes] for float64 (only its type counts). unfused: None, or True for Java's order. out: the dtype's [n], by pair.
    """
    lanes = lane_count(error)
    n = len(order)
    most_rows, most_columns = 0, 0
    for i in range(begin * lanes, min(end * lanes, n)):
        r, h = pair_read[order[i]], pair_hap[order[i]]
        most_rows = max(most_rows, base_offset[r + 1] - base_offset[r])
        most_columns = max(most_columns, hap_offset[h + 1] - hap_offset[h])
    most_rows += most_rows & 1
    state = _aligned((most_columns + 1) * 3 * lanes, error)
    table = _aligned(most_rows * _ROW_VECTORS * lanes, error)
    row_base = _aligned(most_rows * lanes, base)
    hap_bits = _aligned(most_columns * lanes, base)
    total = np.empty(lanes, error.dtype)
    length = np.empty(lanes, like.dtype)
    one, gap = error.dtype.type(1), error[GAP_CONTINUATION]
    old = flush_denormals()
    for group in range(begin, end):
        rows, columns = 0, 0
        for i in range(group * lanes, min((group + 1) * lanes, n)):
            r, h = pair_read[order[i]], pair_hap[order[i]]
            rows = max(rows, base_offset[r + 1] - base_offset[r])
            columns = max(columns, hap_offset[h + 1] - hap_offset[h])
        rows += rows & 1
        for lane in range(lanes):
            i = order[min(group * lanes + lane, n - 1)]
            a, b = base_offset[pair_read[i]], base_offset[pair_read[i] + 1]
            hap = hap_base[hap_offset[pair_hap[i]] : hap_offset[pair_hap[i] + 1]]
            start = initial / error.dtype.type(len(hap))
            length[lane] = len(hap)
            _fill_rows(
                lane, lanes, rows, base[a:b], base_qual[a:b], ins_qual[a:b], del_qual[a:b], start, error, match, table, row_base
            )
            _fill_columns(lane, lanes, columns, hap, start, state, hap_bits)
        _sweep_rows(state, table, row_base, hap_bits, rows, columns, one - gap, gap, load(like, 0), unfused)
        _sum_last_row(state, total, length, columns, unfused)
        for lane in range(min(lanes, n - group * lanes)):
            out[order[group * lanes + lane]] = total[lane]
    restore_denormals(old)


@jit
def log10_of_totals_f32(begin, end, total, out):
    """out[i] = log10f(total[i]) - log10f(2^120) in float32, as float64; -inf below the native library's fallback threshold."""
    base = log10f(INITIAL_F32)
    for i in range(begin, end):
        out[i] = np.float64(np.float32(log10f(total[i]) - base)) if total[i] >= FALLBACK_F32 else -np.inf
