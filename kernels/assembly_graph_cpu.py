"""Directed graphs of local assembly in flat arrays: vertices and edges that remember the order in which they were made.

A graph is (v, e, g): v int32[vertices, 16] and e int32[edges, 12] hold one record a row (one cache line a vertex), g int64[16] counters.
Vertices form a doubly linked list in order of creation; so do the edges out of and into each vertex. There are no parallel edges:
an edge between two vertices that have one is refused. Scalar functions for the other assembly kernels.

Source: GATK BaseGraph (behaviour; specification chapter "assembly", sections 5 to 8).
"""

import numpy as np

from gpugenome.kernels.launch import jit

NEXT, PREV, OUT_FIRST, OUT_LAST, IN_FIRST, IN_LAST, OUT_N, IN_N, OUT_REF, IN_REF = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
TEXT, LENGTH, MARK, BASE, ENTRY, ALIVE = 10, 11, 12, 13, 14, 15
"""Columns of v. OUT_N, OUT_REF: edges out of the vertex, and those of the reference. TEXT, LENGTH: its bases. BASE: the last of them.
MARK: scratch of the function at work. ENTRY: row of the k-mer (read graph), or round in which the vertex was split (sequence graph)."""

SRC, DST, OUT_NEXT, OUT_PREV, IN_NEXT, IN_PREV, MULT, COUNT, REF, LAST_BASE, PRUNE, LIVE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
"""Columns of e. MULT: multiplicity. COUNT: passes of the current sample, to be flushed. PRUNE: pruning multiplicity. LAST_BASE: of DST."""

FIRST, LAST, VERTICES, MADE_V, FREE_V, EDGES, MADE_E, FREE_E, RECYCLE, STAMP = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
NON_UNIQUE, MAPPED, ENTRIES, POOL, POOL_TOP, TABLE_STAMP = 10, 11, 12, 13, 14, 15
"""Slots of g. FIRST, LAST: ends of the vertex list. VERTICES, EDGES: alive. MADE_*: rows used so far. FREE_*: rows to be used again
(with RECYCLE). STAMP: the last value used in MARK. The rest belongs to the k-mer table and the text pool."""


@jit
def grown(a, need):
    """The array, or a longer copy if it has fewer than `need` rows."""
    if need <= len(a):
        return a
    b = np.empty((max(need, 2 * len(a)),) + a.shape[1:], a.dtype)
    b[: len(a)] = a
    return b


@jit
def reset(g, recycle):
    """Make a graph empty. recycle: 1 if rows of removed vertices and edges are used again."""
    g[FIRST] = -1
    g[LAST] = -1
    g[VERTICES] = 0
    g[MADE_V] = 0
    g[FREE_V] = -1
    g[EDGES] = 0
    g[MADE_E] = 0
    g[FREE_E] = -1
    g[RECYCLE] = recycle
    g[STAMP] = 0


@jit
def add_vertex(v, g, text, length):
    """A new vertex at the end of the order; its row."""
    i = g[FREE_V]
    if i >= 0:
        g[FREE_V] = v[i, NEXT]
    else:
        i = g[MADE_V]
        g[MADE_V] = i + 1
    row = v[i]
    row[NEXT] = -1
    row[PREV] = g[LAST]
    for c in range(OUT_FIRST, OUT_N):
        row[c] = -1
    for c in range(OUT_N, TEXT):
        row[c] = 0
    row[TEXT] = text
    row[LENGTH] = length
    row[MARK] = 0
    row[ENTRY] = 0
    row[ALIVE] = 1
    if g[LAST] >= 0:
        v[g[LAST], NEXT] = i
    else:
        g[FIRST] = i
    g[LAST] = i
    g[VERTICES] += 1
    return i


@jit
def find_edge(v, e, a, b):
    """The edge from a to b, -1 if there is none."""
    i = v[a, OUT_FIRST]
    while i >= 0 and e[i, DST] != b:
        i = e[i, OUT_NEXT]
    return i


@jit
def append_edge(v, e, g, a, b, mult, is_ref):
    """A new edge from a to b, which have none yet; its row."""
    i = g[FREE_E]
    if i >= 0:
        g[FREE_E] = e[i, OUT_NEXT]
    else:
        i = g[MADE_E]
        g[MADE_E] = i + 1
    g[EDGES] += 1
    row, src, dst = e[i], v[a], v[b]
    row[SRC] = a
    row[DST] = b
    row[OUT_NEXT] = -1
    row[OUT_PREV] = src[OUT_LAST]
    row[IN_NEXT] = -1
    row[IN_PREV] = dst[IN_LAST]
    row[MULT] = mult
    row[COUNT] = 0
    row[REF] = is_ref
    row[LAST_BASE] = dst[BASE]
    row[PRUNE] = 1
    row[LIVE] = 1
    if src[OUT_LAST] >= 0:
        e[src[OUT_LAST], OUT_NEXT] = i
    else:
        src[OUT_FIRST] = i
    src[OUT_LAST] = i
    if dst[IN_LAST] >= 0:
        e[dst[IN_LAST], IN_NEXT] = i
    else:
        dst[IN_FIRST] = i
    dst[IN_LAST] = i
    src[OUT_N] += 1
    dst[IN_N] += 1
    src[OUT_REF] += is_ref
    dst[IN_REF] += is_ref
    return i


@jit
def add_edge(v, e, g, a, b, mult, is_ref):
    """A new edge from a to b; nothing happens if there is one (its multiplicity and reference flag stay)."""
    if find_edge(v, e, a, b) < 0:
        append_edge(v, e, g, a, b, mult, is_ref)


@jit
def remove_edge(v, e, g, i):
    """Take an edge out."""
    row = e[i]
    src, dst = v[row[SRC]], v[row[DST]]
    before, after = row[OUT_PREV], row[OUT_NEXT]
    if before >= 0:
        e[before, OUT_NEXT] = after
    else:
        src[OUT_FIRST] = after
    if after >= 0:
        e[after, OUT_PREV] = before
    else:
        src[OUT_LAST] = before
    before, after = row[IN_PREV], row[IN_NEXT]
    if before >= 0:
        e[before, IN_NEXT] = after
    else:
        dst[IN_FIRST] = after
    if after >= 0:
        e[after, IN_PREV] = before
    else:
        dst[IN_LAST] = before
    src[OUT_N] -= 1
    dst[IN_N] -= 1
    src[OUT_REF] -= row[REF]
    dst[IN_REF] -= row[REF]
    row[LIVE] = 0
    g[EDGES] -= 1
    if g[RECYCLE]:
        row[OUT_NEXT] = g[FREE_E]
        g[FREE_E] = i


@jit
def remove_vertex(v, e, g, i):
    """Take a vertex and its edges out."""
    row = v[i]
    while row[OUT_FIRST] >= 0:
        remove_edge(v, e, g, row[OUT_FIRST])
    while row[IN_FIRST] >= 0:
        remove_edge(v, e, g, row[IN_FIRST])
    before, after = row[PREV], row[NEXT]
    if before >= 0:
        v[before, NEXT] = after
    else:
        g[FIRST] = after
    if after >= 0:
        v[after, PREV] = before
    else:
        g[LAST] = before
    row[ALIVE] = 0
    g[VERTICES] -= 1
    if g[RECYCLE]:
        row[NEXT] = g[FREE_V]
        g[FREE_V] = i


@jit
def is_reference(v, g, i):
    """Whether a vertex touches an edge of the reference (or is alone)."""
    return v[i, OUT_REF] > 0 or v[i, IN_REF] > 0 or g[VERTICES] == 1


@jit
def is_ref_source(v, g, i):
    """Whether the reference begins in a vertex."""
    return v[i, IN_REF] == 0 and (v[i, OUT_REF] > 0 or g[VERTICES] == 1)


@jit
def is_ref_sink(v, g, i):
    """Whether the reference ends in a vertex."""
    return v[i, OUT_REF] == 0 and (v[i, IN_REF] > 0 or g[VERTICES] == 1)


@jit
def ref_source(v, g):
    """The first vertex in which the reference begins, -1 if none."""
    i = g[FIRST]
    while i >= 0 and not is_ref_source(v, g, i):
        i = v[i, NEXT]
    return i


@jit
def ref_sink(v, g):
    """The first vertex in which the reference ends, -1 if none."""
    i = g[FIRST]
    while i >= 0 and not is_ref_sink(v, g, i):
        i = v[i, NEXT]
    return i


@jit
def new_stamp(g):
    """A value that no MARK holds."""
    g[STAMP] += 1
    return g[STAMP]


@jit
def queue_sources(v, g, stamp, queue):
    """Mark the vertices that nothing leads to with a stamp and put them into a queue, in order; returns how many."""
    n = 0
    i = g[FIRST]
    while i >= 0:
        if v[i, IN_N] == 0:
            v[i, MARK] = stamp
            queue[n] = i
            n += 1
        i = v[i, NEXT]
    return n


@jit
def has_cycle(v, e, g, work):
    """Whether the graph has a cycle. work: int32[vertices]. Changes MARK."""
    n = 0
    i = g[FIRST]
    while i >= 0:
        v[i, MARK] = v[i, IN_N]
        if v[i, IN_N] == 0:
            work[n] = i
            n += 1
        i = v[i, NEXT]
    done = 0
    while n > 0:
        n -= 1
        done += 1
        x = v[work[n], OUT_FIRST]
        while x >= 0:
            d = e[x, DST]
            v[d, MARK] -= 1
            if v[d, MARK] == 0:
                work[n] = d
                n += 1
            x = e[x, OUT_NEXT]
    cyclic = done != g[VERTICES]
    i = g[FIRST]
    while i >= 0:
        v[i, MARK] = 0
        i = v[i, NEXT]
    return cyclic


@jit
def keep_between(v, e, g, source, sink, work):
    """Remove every vertex that does not lie on a path from source to sink. work: int32[vertices]."""
    down = new_stamp(g)
    both = new_stamp(g)
    v[source, MARK] = down
    work[0] = source
    n = 1
    while n > 0:
        n -= 1
        x = v[work[n], OUT_FIRST]
        while x >= 0:
            d = e[x, DST]
            if v[d, MARK] != down:
                v[d, MARK] = down
                work[n] = d
                n += 1
            x = e[x, OUT_NEXT]
    if v[sink, MARK] == down:
        v[sink, MARK] = both
        work[0] = sink
        n = 1
    while n > 0:
        n -= 1
        x = v[work[n], IN_FIRST]
        while x >= 0:
            d = e[x, SRC]
            if v[d, MARK] == down:
                v[d, MARK] = both
                work[n] = d
                n += 1
            x = e[x, IN_NEXT]
    i = g[FIRST]
    while i >= 0:
        after = np.int64(v[i, NEXT])
        if v[i, MARK] != both:
            remove_vertex(v, e, g, i)
        i = after
