"""The best paths through the sequence graphs of regions, best first.

A path is a node of a tree: its parent, its last vertex and its score, the sum of log10 of edge multiplicity over that of all edges out
of the vertex. The queue is the binary heap of Java's PriorityQueue, move by move, so that even paths which compare equal come in its order.

Source: GATK GraphBasedKBestHaplotypeFinder, KBestHaplotype (behaviour; specification chapter "assembly", section 9).
"""

import numpy as np

from gpugenome.kernels.assembly_graph_cpu import (
    DST,
    FIRST,
    LENGTH,
    MARK,
    MULT,
    NEXT,
    OUT_FIRST,
    OUT_NEXT,
    TEXT,
    grown,
    ref_sink,
    ref_source,
)
from gpugenome.kernels.assembly_graphs_cpu import GRAPH, JUST_REFERENCE
from gpugenome.kernels.assembly_sequence_cpu import from_stored, simplify
from gpugenome.kernels.java_math_scalar import log10
from gpugenome.kernels.launch import jit

PARENT, VERTEX = 0, 1
"""Columns of `node` int32[nodes, 2]."""


@jit
def _tail_above(node, a, b, tail):
    """Vertices of path a after its last node in common with path b, from the end; their number."""
    n = 0
    while a != b:
        if a > b:
            tail[n] = node[a, VERTEX]
            n += 1
            a = node[a, PARENT]
        else:
            b = node[b, PARENT]
    return n


@jit
def _compare_bases(v, pool, node, a, b, tail_a, tail_b):
    """Sign of (bases of path a) - (bases of path b), byte by byte; a path is less than its extensions."""
    na, nb = _tail_above(node, a, b, tail_a), _tail_above(node, b, a, tail_b)
    ia = ib = left_a = left_b = at_a = at_b = np.int64(0)
    while True:
        while left_a == 0 and ia < na:
            x = tail_a[na - 1 - ia]
            at_a, left_a = np.int64(v[x, TEXT]), np.int64(v[x, LENGTH])
            ia += 1
        while left_b == 0 and ib < nb:
            x = tail_b[nb - 1 - ib]
            at_b, left_b = np.int64(v[x, TEXT]), np.int64(v[x, LENGTH])
            ib += 1
        if left_a == 0 or left_b == 0:
            return np.int64(left_a > 0) - np.int64(left_b > 0)
        for _ in range(min(left_a, left_b)):
            if pool[at_a] != pool[at_b]:
                return np.int64(1) if pool[at_a] > pool[at_b] else np.int64(-1)
            at_a += 1
            at_b += 1
            left_a -= 1
            left_b -= 1


@jit
def _before(v, pool, node, score, a, b, tail_a, tail_b):
    """Whether path a comes out of the queue before path b: higher score, then larger bases."""
    if score[a] != score[b]:
        return score[a] > score[b]
    return _compare_bases(v, pool, node, a, b, tail_a, tail_b) > 0


@jit
def _push(heap, n, x, v, pool, node, score, tail_a, tail_b):
    while n > 0:
        up = (n - 1) >> 1
        if not _before(v, pool, node, score, x, heap[up], tail_a, tail_b):
            break
        heap[n] = heap[up]
        n = up
    heap[n] = x


@jit
def _pop(heap, n, v, pool, node, score, tail_a, tail_b):
    """Take the first of n paths off the heap."""
    first, x = heap[0], heap[n - 1]
    n -= 1
    at = 0
    while at < n >> 1:
        child = 2 * at + 1
        if child + 1 < n and _before(v, pool, node, score, heap[child + 1], heap[child], tail_a, tail_b):
            child += 1
        if not _before(v, pool, node, score, heap[child], x, tail_a, tail_b):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = x
    return first


@jit
def _log10(x, table):
    if x >= len(table):
        return log10(float(x))
    if np.isnan(table[x]):
        table[x] = log10(float(x))
    return table[x]


@jit
def _best_paths(v, e, g, pool, most, node, score, heap, tail_a, tail_b, table, result):
    """The `most` best paths from the source of the reference to its sink: (their number, node, score, heap).

    node int32[., 2], score float64[.], heap int32[.]: scratch that grows and is returned. tail_a, tail_b: int32[vertices].
    table: float64 logarithms of whole numbers known so far, NaN elsewhere. Output: result int32[most], nodes. Changes MARK.
    """
    source, sink = ref_source(v, g), ref_sink(v, g)
    i = g[FIRST]
    while i >= 0:
        v[i, MARK] = 0  # visits
        i = np.int64(v[i, NEXT])
    node[0, PARENT] = -1
    node[0, VERTEX] = source
    score[0] = 0.0
    heap[0] = 0
    made, waiting, found = 1, 1, 0
    while waiting > 0 and found < most:
        best = _pop(heap, waiting, v, pool, node, score, tail_a, tail_b)
        waiting -= 1
        last = node[best, VERTEX]
        if last == sink:
            result[found] = best
            found += 1
            continue
        v[last, MARK] += 1
        if v[last, MARK] > most:
            continue
        total, out = np.int64(0), 0
        x = v[last, OUT_FIRST]
        while x >= 0:
            total += e[x, MULT]
            out += 1
            x = e[x, OUT_NEXT]
        node, score, heap = grown(node, made + out), grown(score, made + out), grown(heap, made + out)
        log_total = _log10(total, table)
        x = v[last, OUT_FIRST]
        while x >= 0:
            node[made, PARENT] = best
            node[made, VERTEX] = e[x, DST]
            score[made] = score[best] + (_log10(np.int64(e[x, MULT]), table) - log_total)
            _push(heap, waiting, made, v, pool, node, score, tail_a, tail_b)
            waiting += 1
            made += 1
            x = e[x, OUT_NEXT]
    return found, node, score, heap


@jit
def _path_length(v, node, x):
    """Bases of a path."""
    n = np.int64(0)
    while x >= 0:
        n += v[node[x, VERTEX], LENGTH]
        x = node[x, PARENT]
    return n


@jit
def _spell_path(v, pool, node, x, out):
    """Write the bases of a path; len(out) is their number."""
    end = len(out)
    while x >= 0:
        i = node[x, VERTEX]
        at, n = v[i, TEXT], v[i, LENGTH]
        end -= n
        for j in range(n):
            out[end + j] = pool[at + j]
        x = node[x, PARENT]


@jit
def _append_paths(v, pool, node, count, result, score, bases, lengths, scores, n_bases, n_paths):
    """Write the paths found; bases in use after that. There must be room."""
    for j in range(count):
        x = np.int64(result[j])
        n = _path_length(v, node, x)
        _spell_path(v, pool, node, x, bases[n_bases : n_bases + n])
        lengths[n_paths + j] = n
        scores[n_paths + j] = score[x]
        n_bases += n
    return n_bases


@jit
def best_paths(begin, end, status, low, high, contig, k, vertex_offset, vertex_base, edge_offset, edges, most, endless):
    """Simplify the graphs of regions begin..end and spell their best paths.

    status: int8[r] of `assembly_graphs_cpu.clean_graphs`, whose graphs are vertex_base (uint8 by vertex_offset int64[r + 1]) and edges
    (int32[., 4] by edge_offset). low, high: int32[r], reference span; contig: uint8. Output: endless int8[r], 1 where simplifying does not
    end. Returns (bases of the paths, lengths int64[p], scores float64[p] (log10), paths of each region int64[end - begin]).
    """
    vertices, more_edges = np.int64(1), np.int64(0)
    for r in range(begin, end):
        n = vertex_offset[r + 1] - vertex_offset[r]
        vertices = max(vertices, n)
        more_edges = max(more_edges, edge_offset[r + 1] - edge_offset[r] - n)
    # Bases never grow, so there are never more vertices than bases at first, and as many again during a rewrite.
    first_bases = vertices + k
    n = 2 * first_bases + 16
    v, e, g = np.empty((n, 16), np.int32), np.empty((2 * (n + more_edges), 12), np.int32), np.zeros(16, np.int64)
    pool, piece = np.empty(4 * first_bases + 128, np.uint8), np.empty((n, 7), np.int64)
    group, chain, work, result = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32), np.empty(most, np.int32)
    node, score, heap = np.empty((4096, 2), np.int32), np.empty(4096), np.empty(4096, np.int32)
    table = np.full(4096, np.nan)
    bases, lengths, scores = np.empty(1 << 16, np.uint8), np.empty(1 << 10, np.int64), np.empty(1 << 10)
    count, n_bases, n_paths = np.zeros(end - begin, np.int64), np.int64(0), np.int64(0)
    for r in range(begin, end):
        endless[r] = 0
        if status[r] == JUST_REFERENCE:
            ref = contig[low[r] : high[r]]
            bases, lengths, scores = grown(bases, n_bases + len(ref)), grown(lengths, n_paths + 1), grown(scores, n_paths + 1)
            bases[n_bases : n_bases + len(ref)] = ref
            lengths[n_paths], scores[n_paths] = len(ref), np.nan
            n_bases += len(ref)
            n_paths += 1
            count[r - begin] = 1
        if status[r] != GRAPH:
            continue
        from_stored(
            vertex_base[vertex_offset[r] : vertex_offset[r + 1]], edges[edge_offset[r] : edge_offset[r + 1]], contig[low[r] : low[r] + k],
            v, e, g, pool,
        )  # fmt: skip
        state = simplify(v, e, g, pool, group, chain, piece, work)
        if state < 1:
            endless[r] = state < 0
            continue
        found, node, score, heap = _best_paths(v, e, g, pool, most, node, score, heap, group, chain, table, result)
        need = n_bases
        for j in range(found):
            need += _path_length(v, node, np.int64(result[j]))
        bases, lengths, scores = grown(bases, need), grown(lengths, n_paths + found), grown(scores, n_paths + found)
        n_bases = _append_paths(v, pool, node, found, result, score, bases, lengths, scores, n_bases, n_paths)
        n_paths += found
        count[r - begin] = found
    return bases[:n_bases].copy(), lengths[:n_paths].copy(), scores[:n_paths].copy(), count
