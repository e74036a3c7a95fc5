"""The best paths through a sequence graph, best first.

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
    ref_sink,
    ref_source,
)
from gpugenome.kernels.launch import jit
from gpugenome.kernels.log10_scalar import log10_of_integer

PARENT, VERTEX = 0, 1
"""Columns of `node` int32[nodes, 2]."""


@jit
def grown(a, need):
    """The array, or a longer copy if it has fewer than `need` rows."""
    if need <= len(a):
        return a
    b = np.empty((max(need, 2 * len(a)),) + a.shape[1:], a.dtype)
    b[: len(a)] = a
    return b


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
        return log10_of_integer(x)
    if np.isnan(table[x]):
        table[x] = log10_of_integer(x)
    return table[x]


@jit
def best_paths(v, e, g, pool, most, node, score, heap, tail_a, tail_b, table, result):
    """The `most` best paths from the source of the reference to its sink: (their number, node, score).

    node int32[., 2], score float64[.], heap int32[.]: scratch that grows (node and score are returned). tail_a, tail_b: int32[vertices].
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
    return found, node, score


@jit
def path_length(v, node, x):
    """Bases of a path."""
    n = np.int64(0)
    while x >= 0:
        n += v[node[x, VERTEX], LENGTH]
        x = node[x, PARENT]
    return n


@jit
def spell_path(v, pool, node, x, out):
    """Write the bases of a path; len(out) is their number."""
    end = len(out)
    while x >= 0:
        i = node[x, VERTEX]
        at, n = v[i, TEXT], v[i, LENGTH]
        end -= n
        for j in range(n):
            out[end + j] = pool[at + j]
        x = node[x, PARENT]
