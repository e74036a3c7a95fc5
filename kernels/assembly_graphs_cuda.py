"""Read-threading graphs of regions on a GPU: k-mers, those that are not unique, edges with their multiplicities, pruning.

What assembly_graphs_cpu.threaded_graph makes of a region, row for row (but numbers of k-mers are the twin's own): rows are numbered by the
order in which reads first come to them, so the laying of reads into the graph is a walk of one lane. A warp does a region: its lanes
together load the text, hash it (pieces, joined by a scan), find the usable runs (a read a lane), search each read for k-mers that repeat in
it (a hash table that lanes fill by compare-and-swap, keeping the first place of each k-mer), count edges at the end of a sample and store
the graph. Graphs are worked on in scratch of the warp and leave it for a pool, of the size that they have. Dangling ends and paths are the
CPU's.

Occupancy (benchmarks/cuda_sass.py): bounded to 128 registers (272 bytes of spills on sm_90, 0.8 KB on sm_80), so 4 blocks of 4 warps, 16
of 64 warps of a multiprocessor: 2,112 regions at a time on an H100. The walk is a chain of dependent loads, some three a base, of rows
that lie in the second-level cache (a graph of 700 vertices has 80 KB); the more regions at a time, the better it is hidden.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels.assembly_graph_cpu import MADE_E, MADE_V, TABLE_STAMP, has_cycle
from gpugenome.kernels.assembly_graphs_cpu import (
    ANY_COMPLEXITY,
    ANY_REPEATS,
    GRAPH,
    MIN_PRUNING,
    MIN_QUALITY,
    NOTHING,
    UNUSABLE,
)
from gpugenome.kernels.assembly_threading_cpu import (
    flush,
    is_last_run,
    is_low_complexity,
    prune_chains,
    start_graph,
)
from gpugenome.kernels.assembly_threading_cuda import (
    enter_repeat,
    hash_power,
    hash_prefixes,
    kmer_slot,
    same_kmer,
    thread,
    usable_runs,
)
from gpugenome.kernels.assembly_threading_scalar import READ, SAMPLE, START, STOP
from gpugenome.kernels.cigar_cpu import soft_clips
from gpugenome.kernels.launch import jit
from gpugenome.kernels.launch_cuda import kernel

NO_ROOM = -1
"""Status of a region whose graph does not fit what is left of the pool."""
_WARP = 0xFFFFFFFF


@jit
def _joined(before, power, h):
    """Hash of two pieces of text from theirs; power: hash_power of the second one's length. int64 of the bits."""
    return before * power + h


@cuda.jit(device=True)
def _hash_text(lane, text, n, prefix):
    """As hash_prefixes(text, 0, n, 0, prefix): each lane a piece."""
    per = (n + 31) // 32
    a, b = min(n, lane * per), min(n, lane * per + per)
    h, power = hash_prefixes(text, a, b, np.int64(0), prefix), np.int64(np.uint64(hash_power(b - a)))
    for step in (1, 2, 4, 8, 16):
        before, power_before = cuda.shfl_up_sync(_WARP, h, step), cuda.shfl_up_sync(_WARP, power, step)
        if lane >= step:
            h, power = _joined(before, power, h), _joined(power_before, power, np.int64(0))
    before = cuda.shfl_up_sync(_WARP, h, 1)
    hash_prefixes(text, a, b, before if lane else np.int64(0), prefix)
    cuda.syncwarp()


@cuda.jit(device=True)
def _load(
    lane, first, last, base, qual, base_offset, cigar, cigar_offset, sample, ref, min_quality, shortest, text, text_qual, prefix, room, run
):
    """As assembly_graphs_cpu._load; number of runs. room: as run, where each read has rows of its own."""
    n, from_ = np.int64(len(ref)), base_offset[first]
    size = base_offset[last] - from_
    for j in range(lane, n, 32):
        text[j] = ref[j]
    for j in range(lane, size, 32):
        text[n + j], text_qual[n + j] = base[from_ + j], qual[from_ + j]
    cuda.syncwarp()
    _hash_text(lane, text, n + size, prefix)
    runs = np.int32(0)
    for start in range(first, last, 32):
        i = start + lane
        count, at = np.int32(0), np.int64(0)
        if i < last:
            left, right = soft_clips(cigar[cigar_offset[i] : cigar_offset[i + 1]])
            a, b = base_offset[i] - from_, base_offset[i + 1] - from_
            at = (a + shortest - 1) // shortest
            count = np.int32(
                usable_runs(text, text_qual, n + a + left, n + b - right, sample[i], min_quality, shortest, room, at) - at
            )
        place = count
        for step in (1, 2, 4, 8, 16):
            before = cuda.shfl_up_sync(_WARP, place, step)
            if lane >= step:
                place += before
        for q in range(count):
            for c in range(4):
                run[runs + place - count + q, c] = room[at + q, c]
        runs += cuda.shfl_sync(_WARP, place, 31)
    cuda.syncwarp()
    return runs


@cuda.jit(device=True)
def _enter(i, k, power, text, prefix, seen, stamp):
    """Put the k-mer at position i into the table: an entry is stamp << 32 | the first position that holds the k-mer."""
    s, mine = kmer_slot(i, k, power, prefix, len(seen)), np.int64(stamp) << 32 | i
    while True:
        held = seen[s]
        if held >> 32 != stamp:
            found = cuda.atomic.cas(seen, s, held, mine)
            if found == held:
                return
            held = found
        if held >> 32 == stamp:
            j = held & 0xFFFFFFFF
            if same_kmer(j, i, k, power, text, prefix):
                cuda.atomic.min(seen, s, mine)
                return
            s = (s + 1) & (len(seen) - 1)


@cuda.jit(device=True)
def _first_place(i, k, power, text, prefix, seen):
    """The first position of the k-mer at position i, which was entered."""
    s = kmer_slot(i, k, power, prefix, len(seen))
    while True:
        j = seen[s] & 0xFFFFFFFF
        if same_kmer(j, i, k, power, text, prefix):
            return j
        s = (s + 1) & (len(seen) - 1)


@cuda.jit(device=True)
def _mark_repeats(lane, begin, stop, k, power, text, prefix, g, kmer, kmer_hash, slot, seen, stamp):
    """As in assembly_threading_cpu; whether there was one."""
    for i in range(begin + lane, stop - k + 1, 32):
        _enter(i, k, power, text, prefix, seen, stamp)
    cuda.syncwarp()
    found = False
    for first in range(begin, stop - k + 1, 32):
        i = first + lane
        again = i < stop - k + 1 and _first_place(i, k, power, text, prefix, seen) < i
        lanes = cuda.ballot_sync(_WARP, again)
        found |= lanes != 0
        if lane == 0 and lanes != 0:
            for b in range(32):
                if (lanes >> b) & 1:
                    enter_repeat(first + b, k, power, text, prefix, g, kmer, kmer_hash, slot)
    cuda.syncwarp()
    return found


@cuda.jit(device=True)
def _flush(lane, e, g, top):
    """Close a sample, each lane every 32nd edge."""
    cuda.syncwarp()
    flush(e, lane, g[MADE_E], 32, top)
    cuda.syncwarp()


@cuda.jit(device=True)
def _build(lane, n_ref, k, any_repeats, text, prefix, run, n_runs, v, e, g, top, kmer, kmer_hash, slot, seen, sample_seen):
    """As assembly_threading_cpu.build. False, and no graph, where a k-mer repeats in the reference and any_repeats is 0."""
    if lane == 0:
        start_graph(g)
    cuda.syncwarp()
    power, table = np.uint64(hash_power(k)), g[TABLE_STAMP]
    stamp = table
    if _mark_repeats(lane, 0, n_ref, k, power, text, prefix, g, kmer, kmer_hash, slot, seen, stamp) and not any_repeats:
        return False
    for r in range(n_runs):
        if is_last_run(run, r, n_runs, k):
            stamp += 1
            _mark_repeats(lane, run[r, READ], run[r, STOP], k, power, text, prefix, g, kmer, kmer_hash, slot, seen, stamp)
    ref_entry = np.int64(-1)  # lane 0's
    if lane == 0:
        ref_entry = thread(0, n_ref, k, power, 1, np.int64(-1), text, prefix, v, e, g, kmer, kmer_hash, slot)
    _flush(lane, e, g, top)
    for r in range(n_runs):
        sample = run[r, SAMPLE]
        if run[r, STOP] - run[r, START] < k or sample_seen[sample] == table:
            continue
        cuda.syncwarp()
        if lane == 0:
            sample_seen[sample] = table
            for q in range(r, n_runs):
                if run[q, SAMPLE] == sample and run[q, STOP] - run[q, START] >= k:
                    thread(run[q, START], run[q, STOP], k, power, 0, ref_entry, text, prefix, v, e, g, kmer, kmer_hash, slot)
        _flush(lane, e, g, top)
    if lane == 0:
        g[TABLE_STAMP] = stamp
    cuda.syncwarp()
    return True


@cuda.jit(device=True)
def _store(lane, r, v, e, g, counters, place, vertices, edges, used):
    """Move a graph to the pool: its status."""
    n, m = g[MADE_V], g[MADE_E]
    at, edge_at = np.int64(0), np.int64(0)
    if lane == 0:
        at, edge_at = np.int64(cuda.atomic.add(used, 0, n)), np.int64(cuda.atomic.add(used, 1, m))
        place[r, 0], place[r, 1] = at, edge_at
    at, edge_at = cuda.shfl_sync(_WARP, at, 0), cuda.shfl_sync(_WARP, edge_at, 0)
    if at + n > vertices.shape[0] or edge_at + m > edges.shape[0]:
        return NO_ROOM
    if lane < 16:
        counters[r, lane] = g[lane]
    for j in range(lane, 16 * n, 32):
        vertices[at + (j >> 4), j & 15] = v[j >> 4, j & 15]
    for j in range(lane, 12 * m, 32):
        edges[edge_at + j // 12, j % 12] = e[j // 12, j % 12]
    return GRAPH


@kernel(per_item=32, blocks_per_sm=4)
def graphs(
    begin, end, first_region, last_region, wanted, region_offset, base, qual, base_offset, cigar, cigar_offset, sample, low, high, contig,
    k, shortest, settings, status, counters, place, vertices, edges, used, scratch,
):  # fmt: skip
    """`threaded_graphs`. An item is a warp, which does every (end)th region from first_region on."""
    w = begin + cuda.grid(1) // 32
    if w >= end:
        return
    lane = cuda.threadIdx.x & 31
    text, text_qual, prefix, room, run = scratch[0][w], scratch[1][w], scratch[2][w], scratch[3][w], scratch[4][w]
    sample_seen, v, e, g, top = scratch[5][w], scratch[6][w], scratch[7][w], scratch[8][w], scratch[9][w]
    kmer, kmer_hash, slot, seen = scratch[10][w], scratch[11][w], scratch[12][w], scratch[13][w]
    path, work = scratch[14][w], scratch[15][w]
    for j in range(lane, len(slot), 32):
        slot[j, 1] = 0
    for j in range(lane, len(seen), 32):
        seen[j] = 0
    for j in range(lane, len(sample_seen), 32):
        sample_seen[j] = 0
    if lane < 16:
        g[lane] = 0
    cuda.syncwarp()
    for r in range(first_region + w, last_region, end):
        if not wanted[r]:
            continue
        ref = contig[low[r] : high[r]]
        state = NOTHING
        if len(ref) >= k:
            runs = _load(
                lane, region_offset[r], region_offset[r + 1], base, qual, base_offset, cigar, cigar_offset, sample, ref,
                settings[MIN_QUALITY], shortest, text, text_qual, prefix, room, run,
            )  # fmt: skip
            state = UNUSABLE
            if _build(lane, np.int64(len(ref)), k, settings[ANY_REPEATS], text, prefix, run, runs, v, e, g, top, kmer, kmer_hash, slot,
                      seen, sample_seen):  # fmt: skip
                if lane == 0:
                    prune_chains(v, e, g, settings[MIN_PRUNING], kmer, work, path)
                    if not has_cycle(v, e, g, work) and (settings[ANY_COMPLEXITY] or not is_low_complexity(g)):
                        state = GRAPH
                state = cuda.shfl_sync(_WARP, np.int32(state), 0)
                cuda.syncwarp()
                if state == GRAPH:
                    state = _store(lane, r, v, e, g, counters, place, vertices, edges, used)
        cuda.syncwarp()
        if lane == 0:
            status[r] = state


def threaded_graphs(
    begin, end, wanted, region_offset, base, qual, base_offset, cigar, cigar_offset, sample, low, high, contig, k, shortest, settings,
    status, counters, place, vertices, edges, used, scratch,
):  # fmt: skip
    """Pruned read-threading graphs of regions begin..end; arguments up to status as in assembly_graphs_cpu.clean_graphs.

    status: int8[r], as well NO_ROOM. counters: int64[r, 16] and vertices, edges: a region's g, v and e (see assembly_graph_cpu), which
    begin at rows place[r] (int64[r, 2]) of vertices, int32[., 16], and edges, int32[., 12]; used: int64[2], how many of their rows are
    taken. scratch: `scratch_for`.
    """
    graphs(
        0, min(end - begin, scratch[0].shape[0]), begin, end, wanted, region_offset, base, qual, base_offset, cigar, cigar_offset, sample,
        low, high, contig, k, shortest, settings, status, counters, place, vertices, edges, used, scratch,
    )  # fmt: skip


def scratch_for(warps, total, longest, shortest, samples, pruning_samples):
    """Scratch on the device, with a row for each warp, some 200 bytes a base. Arguments as of assembly_graphs_cpu.threading_scratch."""
    n, runs = total + 64, total // shortest + 1
    slots, places = (1 << max(4, (2 * x - 1).bit_length()) for x in (total, longest))
    shapes = (
        ((total,), np.uint8), ((total,), np.uint8), ((total + 1,), np.uint64), ((runs, 4), np.int64), ((runs, 4), np.int64),
        ((samples,), np.int64), ((n, 16), np.int32), ((n, 12), np.int32), ((16,), np.int64), ((n, pruning_samples + 1), np.int32),
        ((total + 1, 3), np.int32), ((total + 1,), np.uint64), ((slots, 2), np.int32), ((places,), np.int64), ((n,), np.int32),
        ((n,), np.int32),
    )  # fmt: skip
    return tuple(cuda.device_array((warps, *shape), dtype) for shape, dtype in shapes)


_I4, _I8, _U1 = numba.i4[::1], numba.i8[::1], numba.u1[::1]
_SCRATCH = numba.types.Tuple([
    numba.u1[:, ::1], numba.u1[:, ::1], numba.u8[:, ::1], numba.i8[:, :, ::1], numba.i8[:, :, ::1], numba.i8[:, ::1],
    numba.i4[:, :, ::1], numba.i4[:, :, ::1], numba.i8[:, ::1], numba.i4[:, :, ::1], numba.i4[:, :, ::1], numba.u8[:, ::1],
    numba.i4[:, :, ::1], numba.i8[:, ::1], numba.i4[:, ::1], numba.i4[:, ::1],
])  # fmt: skip
SIGNATURES = {
    "graphs": (numba.i8, numba.i8, numba.i8, numba.i8, numba.boolean[::1], _I8, _U1, _U1, _I8, numba.u4[::1], _I8, _I4, _I4, _I4, _U1,
               numba.i8, numba.i8, _I8, numba.i1[::1], numba.i8[:, ::1], numba.i8[:, ::1], numba.i4[:, ::1], numba.i4[:, ::1], _I8,
               _SCRATCH),
}  # fmt: skip
