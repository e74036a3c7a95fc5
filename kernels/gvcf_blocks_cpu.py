"""Reference blocks of a GVCF: which positions join, and what a block says of them. Coordinates are 0-based half-open.

CPU only: `combine` is one serial pass of a few comparisons a position, its result goes to text. Source: GVCFBlockCombiner, HomRefBlock.
"""

import numpy as np

from gpugenome.kernels.launch import jit

IS_OPEN, END, BAND, SKIP_END = 0, 1, 2, 3  # slots of the state: a block is open, its end, its band, end of the last call (0: none)


@jit
def combine(pos, call, call_end, gq, band_of_gq, state, first, stop, band, item):
    """Cut the records of one contig, in order, into blocks and calls. Returns (blocks, items).

    pos: int32[n]. call: int32[n], row of call_end, -1 for a reference record with genotype quality gq. band_of_gq: int32[100].
    state: int64[4], carried from batch to batch; where a block is open at the start, it is block 0. Block b has records first[b]:stop[b];
    first, stop: int64[n+1], band: int32[n+1]. item: int32[2n+1], what comes out, in order: block b as b, call c as -1 - c. A block that is
    open at the end is the last one and no item.
    A reference record under the last call is dropped, so one under a longer call before that is not.
    """
    blocks, items = np.int64(0), np.int64(0)
    if state[IS_OPEN]:
        first[0], stop[0], band[0] = 0, 0, state[BAND]
        blocks = 1
    for k in range(len(pos)):
        p = np.int64(pos[k])
        if state[IS_OPEN] and (call[k] >= 0 or p > state[END]):
            state[IS_OPEN] = 0
            item[items] = blocks - 1
            items += 1
        if call[k] >= 0:
            state[SKIP_END] = call_end[call[k]]
            item[items] = -1 - call[k]
            items += 1
            continue
        if p < state[SKIP_END]:
            continue
        state[SKIP_END] = 0
        b = np.int64(band_of_gq[min(gq[k], 99)])
        if state[IS_OPEN] and b != state[BAND]:
            state[IS_OPEN] = 0
            item[items] = blocks - 1
            items += 1
        if not state[IS_OPEN]:
            first[blocks], band[blocks] = k, b
            blocks += 1
            state[IS_OPEN], state[BAND] = 1, b
        stop[blocks - 1] = k + 1
        state[END] = p + 1
    return blocks, items


@jit
def _median(count, low, total):
    """Median of `total` depths, count[d - low] of each depth d, the mean of the middle two rounded half up."""
    seen, before = np.int64(0), np.int64(-1)
    for i in range(len(count)):
        seen += count[i]
        if before < 0 and 2 * seen >= total:
            before = low + i
        if 2 * seen > total:
            return (before + low + i + 1) // 2
    return before


@jit
def summarise(begin, end, first, stop, depth, pl, carried_depth, carried_count, carried_pl, median, min_depth, min_pl):
    """Median and minimum depth and smallest PLs (int32) of blocks begin..end, whose records are depth, pl[first[b]:stop[b]].

    Block 0 also has carried_count[i] records of depth carried_depth[i], and the PLs carried_pl (no rows where nothing is carried).
    """
    count = np.zeros(256, np.int64)
    for b in range(begin, end):
        carried = len(carried_depth) if b == 0 else 0
        low, high = np.int64(1 << 40), np.int64(-1)
        for k in range(first[b], stop[b]):
            low, high = min(low, np.int64(depth[k])), max(high, np.int64(depth[k]))
        for i in range(carried):
            low, high = min(low, np.int64(carried_depth[i])), max(high, np.int64(carried_depth[i]))
        if high - low >= len(count):
            count = np.zeros(2 * (high - low + 1), np.int64)
        mine = count[: high - low + 1]
        for i in range(len(mine)):
            mine[i] = 0
        total = stop[b] - first[b]
        for k in range(first[b], stop[b]):
            mine[depth[k] - low] += 1
        for i in range(carried):
            mine[carried_depth[i] - low] += carried_count[i]
            total += carried_count[i]
        median[b], min_depth[b] = _median(mine, low, total), low
        out = min_pl[b]
        for g in range(len(out)):
            out[g] = carried_pl[0, g] if carried else pl[first[b], g]
        for k in range(first[b], stop[b]):
            for g in range(len(out)):
                out[g] = min(out[g], pl[k, g])
