"""Sequence graphs: unbranched stretches of the read-threading graph joined to vertices of many bases, common ends split off and merged.

The rewriting decides the order of paths, so it is done step by step as GATK does it: after every change the scan starts again at the
first vertex, new vertices go to the end, edges that GATK makes itself have multiplicity 1. Texts are views of a pool with two halves;
when one is full the living texts move to the other. Rows of removed vertices and edges are used again: the bases of all vertices
together never grow, which bounds everything.

Source: GATK BaseGraph.toSequenceGraph, SeqGraph, SharedVertexSequenceSplitter, CommonSuffixSplitter, SharedSequenceMerger (behaviour;
specification chapter "assembly", section 8).
"""

import numpy as np

from gpugenome.kernels.assembly_graph_cpu import (
    DST,
    EDGES,
    ENTRY,
    FIRST,
    IN_FIRST,
    IN_N,
    IN_NEXT,
    LENGTH,
    MULT,
    NEXT,
    OUT_FIRST,
    OUT_N,
    OUT_NEXT,
    POOL,
    POOL_TOP,
    REF,
    SRC,
    TEXT,
    VERTICES,
    add_edge,
    add_vertex,
    append_edge,
    is_ref_source,
    is_reference,
    keep_between,
    ref_sink,
    ref_source,
    remove_vertex,
    reset,
)
from gpugenome.kernels.launch import jit

SPLIT = ENTRY  # column of v: the round in which the vertex was split
MOST_ROUNDS = 100
_EQUAL_FROM = 6  # from this round (counted from 0) on an unchanged graph ends the rewriting
_MIX = np.uint64(0x9E3779B97F4A7C15)


@jit
def from_stored(bases, edges, source_bases, v, e, g, pool):
    """The sequence graph of a cleaned read-threading graph: last bases of its vertices, whole k-mer for the source.

    bases: uint8 by vertex. edges: int32[., 4] (from, to, multiplicity, of the reference). source_bases: uint8, the source's k-mer.
    """
    reset(g, 1)
    g[POOL] = 0
    n, k = len(bases), len(source_bases)
    leads_in = pool[len(pool) - n :]  # the end of the pool is free as yet
    leads_in[:] = 0
    for x in range(len(edges)):
        leads_in[edges[x, 1]] = 1
    top = 0
    for i in range(n):
        if leads_in[i]:
            pool[top] = bases[i]
            add_vertex(v, g, top, 1)
            top += 1
        else:
            pool[top : top + k] = source_bases
            add_vertex(v, g, top, k)
            top += k
    g[POOL_TOP] = top
    for x in range(len(edges)):
        row = edges[x]
        append_edge(v, e, g, np.int64(row[0]), np.int64(row[1]), row[2], row[3])


@jit
def _reserve(v, g, pool, need):
    """Make sure that `need` bases fit into the pool; moves texts, so views are stale afterwards."""
    half = len(pool) // 2
    if g[POOL_TOP] + need <= g[POOL] + half:
        return
    g[POOL] = half - g[POOL]
    top = g[POOL]
    i = g[FIRST]
    while i >= 0:
        at = v[i, TEXT]
        v[i, TEXT] = top
        for j in range(v[i, LENGTH]):
            pool[top] = pool[at + j]
            top += 1
        i = v[i, NEXT]
    g[POOL_TOP] = top


@jit
def _append_text(v, g, pool, i):
    """Copy a vertex's bases to the end of the pool."""
    top, at = g[POOL_TOP], v[i, TEXT]
    for j in range(v[i, LENGTH]):
        pool[top + j] = pool[at + j]
    g[POOL_TOP] = top + v[i, LENGTH]


@jit
def _copy_in(v, e, g, old, new):
    """Copies of the edges into `old`, into `new`."""
    x = v[old, IN_FIRST]
    while x >= 0:
        add_edge(v, e, g, np.int64(e[x, SRC]), new, e[x, MULT], e[x, REF])
        x = e[x, IN_NEXT]


@jit
def _copy_out(v, e, g, old, new):
    """Copies of the edges out of `old`, out of `new`."""
    x = v[old, OUT_FIRST]
    while x >= 0:
        add_edge(v, e, g, new, np.int64(e[x, DST]), e[x, MULT], e[x, REF])
        x = e[x, OUT_NEXT]


@jit
def _starts_chain(v, e, i):
    if v[i, OUT_N] != 1:
        return False
    return v[i, IN_N] != 1 or v[e[v[i, IN_FIRST], SRC], OUT_N] > 1


@jit
def zip_chains(v, e, g, pool, starts, chain):
    """Join unbranched stretches, all of the reference or none of it, to one vertex each. Whether any was joined.

    starts, chain: int32[vertices] scratch.
    """
    n_starts = 0
    i = g[FIRST]
    while i >= 0:
        if _starts_chain(v, e, i):
            starts[n_starts] = i
            n_starts += 1
        i = v[i, NEXT]
    joined = False
    for s in range(n_starts):
        last = np.int64(starts[s])
        chain[0] = last
        n, length, of_ref = 1, np.int64(v[last, LENGTH]), is_reference(v, g, last)
        while v[last, OUT_N] == 1:
            target = np.int64(e[v[last, OUT_FIRST], DST])
            if v[target, IN_N] != 1 or target == last or is_reference(v, g, target) != of_ref:
                break
            last = target
            chain[n] = last
            n += 1
            length += v[last, LENGTH]
        if n == 1:
            continue
        _reserve(v, g, pool, length)
        top = g[POOL_TOP]
        for c in chain[:n]:
            _append_text(v, g, pool, c)
        new = add_vertex(v, g, top, length)
        _copy_out(v, e, g, last, new)
        _copy_in(v, e, g, chain[0], new)
        for c in chain[:n]:
            remove_vertex(v, e, g, np.int64(c))
        joined = True
    return joined


@jit
def _common_suffix(v, pool, group, n, limit):
    """Bases that all texts of a group of vertices end with, at most limit."""
    a = group[0]
    end = v[a, TEXT] + v[a, LENGTH] - 1
    for q in range(limit):
        base = pool[end - q]
        for b in group[1:n]:
            if pool[v[b, TEXT] + v[b, LENGTH] - 1 - q] != base:
                return q
    return limit


@jit
def _common_prefix(v, pool, group, n, limit):
    """Bases that all texts of a group of vertices begin with, at most limit."""
    a = group[0]
    for p in range(limit):
        base = pool[v[a, TEXT] + p]
        for b in group[1:n]:
            if pool[v[b, TEXT] + p] != base:
                return p
    return limit


@jit
def _shortest(v, group, n):
    shortest = np.int64(v[group[0], LENGTH])
    for b in group[1:n]:
        shortest = min(shortest, np.int64(v[b, LENGTH]))
    return shortest


@jit
def _diamond_bottom(v, e, top, middle):
    """The one vertex below all vertices below `top` (listed in `middle`), -1 unless the four sides are a diamond."""
    if v[top, OUT_N] < 2:
        return np.int64(-1)
    bottom, n = np.int64(-1), 0
    x = v[top, OUT_FIRST]
    while x >= 0:
        m = e[x, DST]
        if v[m, OUT_N] != 1 or v[m, IN_N] != 1:  # there are no parallel edges: all to one bottom means one edge
            return np.int64(-1)
        below = np.int64(e[v[m, OUT_FIRST], DST])
        if bottom >= 0 and below != bottom:
            return np.int64(-1)
        bottom = below
        middle[n] = m
        n += 1
        x = e[x, OUT_NEXT]
    return bottom if v[bottom, IN_N] == n else np.int64(-1)


@jit
def _merge_diamond(v, e, g, pool, top, middle, piece):
    """Split common first and last bases off the sides of the diamond below `top`. piece: int64[sides, 7] scratch."""
    bottom = _diamond_bottom(v, e, top, middle)
    if bottom < 0:
        return False
    n = np.int64(v[top, OUT_N])
    shortest = _shortest(v, middle, n)
    p = _common_prefix(v, pool, middle, n, shortest)
    q = _common_suffix(v, pool, middle, n, shortest - p)
    if p == 0 and q == 0:
        return False
    first_at, first_length = np.int64(v[middle[0], TEXT]), np.int64(v[middle[0], LENGTH])
    pieces, direct = 0, -1
    in_ref, out_ref = 0, 0
    for m in middle[:n]:
        above, below = v[m, IN_FIRST], v[m, OUT_FIRST]
        rest = v[m, LENGTH] - p - q
        in_ref |= e[above, REF]
        out_ref |= e[below, REF]
        if rest == 0:
            # Sides that are nothing but the common ends share one edge, which counts both of their edges.
            both = np.int64(e[above, MULT]) + e[below, MULT]
            ref = e[above, REF] | e[below, REF]
            in_ref |= ref
            out_ref |= ref
            if direct >= 0:
                piece[direct, 2] += both
                piece[direct, 3] |= ref
                continue
            direct = pieces
            piece[pieces, 2] = both
            piece[pieces, 3] = ref
        else:
            piece[pieces, 0] = v[m, TEXT] + p
            piece[pieces, 2] = e[above, MULT]
            piece[pieces, 3] = e[above, REF]
            piece[pieces, 4] = e[below, MULT]
            piece[pieces, 5] = e[below, REF]
        piece[pieces, 1] = rest
        pieces += 1
    for m in middle[:n]:
        remove_vertex(v, e, g, np.int64(m))
    for j in range(pieces):
        if piece[j, 1] > 0:
            piece[j, 6] = add_vertex(v, g, piece[j, 0], piece[j, 1])
    up, down = top, bottom
    if p > 0:
        up = add_vertex(v, g, first_at, p)
        add_edge(v, e, g, top, up, 1, in_ref)
    if q > 0:
        down = add_vertex(v, g, first_at + first_length - q, q)
        add_edge(v, e, g, down, bottom, 1, out_ref)
    for j in range(pieces):
        add_edge(v, e, g, up, piece[j, 6] if piece[j, 1] > 0 else down, piece[j, 2], piece[j, 3])
    for j in range(pieces):
        if piece[j, 1] > 0:
            add_edge(v, e, g, piece[j, 6], down, piece[j, 4], piece[j, 5])
    return True


@jit
def _vertices_above(v, e, i, group):
    """The sources of the edges into a vertex; their number."""
    n = 0
    x = v[i, IN_FIRST]
    while x >= 0:
        group[n] = e[x, SRC]
        n += 1
        x = e[x, IN_NEXT]
    return n


@jit
def _split_length(v, e, g, pool, bottom, group, n):
    """Common last bases to be split off the vertices above `bottom`, 0 for none."""
    for m in group[:n]:
        if m == bottom or v[m, OUT_N] != 1:
            return np.int64(0)
        x = v[bottom, OUT_FIRST]
        while x >= 0:
            if e[x, DST] == m:
                return np.int64(0)
            x = e[x, OUT_NEXT]
    q = np.int64(_common_suffix(v, pool, group, n, _shortest(v, group, n)))
    for m in group[:n]:
        if is_ref_source(v, g, m):
            if v[m, LENGTH] == q:
                return np.int64(0)
            break
    for m in group[:n]:
        if v[m, LENGTH] != q:
            return q
    return np.int64(0)


@jit
def _split_suffix(v, e, g, pool, bottom, group, turn):
    """Split the common last bases off the vertices above `bottom`, each into a vertex of its own; tried once a turn."""
    if v[bottom, SPLIT] == turn:
        return False
    v[bottom, SPLIT] = turn
    n = _vertices_above(v, e, bottom, group)
    if n < 2:
        return False
    q = _split_length(v, e, g, pool, bottom, group, n)
    if q == 0:
        return False
    at = v[group[0], TEXT] + v[group[0], LENGTH] - q
    for m in group[:n]:
        suffix = add_vertex(v, g, at, q)
        target = suffix
        x = v[m, OUT_FIRST]
        mult, ref = e[x, MULT], e[x, REF]
        if v[m, LENGTH] > q:
            target = add_vertex(v, g, v[m, TEXT], v[m, LENGTH] - q)
            add_edge(v, e, g, target, suffix, 1, ref)
        add_edge(v, e, g, suffix, bottom, mult, ref)
        _copy_in(v, e, g, m, target)
    for m in group[:n]:
        remove_vertex(v, e, g, np.int64(m))
    return True


@jit
def _merge_suffix(v, e, g, pool, bottom, group):
    """Merge the vertices above `bottom`, all of one text and leading nowhere else, with each other and with it."""
    n = _vertices_above(v, e, bottom, group)
    if n == 0:
        return False
    a = group[0]
    for m in group[:n]:
        if v[m, OUT_N] != 1 or v[m, IN_N] == 0 or v[m, LENGTH] != v[a, LENGTH]:
            return False
    length = np.int64(v[a, LENGTH])
    if _common_suffix(v, pool, group, n, length) != length:
        return False
    length += v[bottom, LENGTH]
    _reserve(v, g, pool, length)
    top = g[POOL_TOP]
    _append_text(v, g, pool, a)
    _append_text(v, g, pool, bottom)
    new = add_vertex(v, g, top, length)
    for m in group[:n]:
        _copy_in(v, e, g, m, new)
    _copy_out(v, e, g, bottom, new)
    for m in group[:n]:
        remove_vertex(v, e, g, np.int64(m))
    remove_vertex(v, e, g, bottom)
    return True


@jit
def _text_hash(v, pool, i):
    h = np.uint64(v[i, LENGTH])
    at = v[i, TEXT]
    for j in range(v[i, LENGTH]):
        h = (h ^ np.uint64(pool[at + j])) * _MIX
        h ^= h >> np.uint64(29)
    return h


@jit
def _sum_of_distinct(h, n):
    """Order-free digest of the distinct values among h[:n]."""
    total = np.uint64(0)
    for i in range(n):
        fresh = True
        for j in range(i):
            if h[j] == h[i]:
                fresh = False
                break
        if fresh:
            x = (h[i] ^ (h[i] >> np.uint64(32))) * _MIX
            total += x ^ (x >> np.uint64(31))
    return total


@jit
def _signature(v, e, g, pool):
    """Numbers of vertices and edges, digests of the set of texts and of the set of pairs of texts joined by an edge."""
    texts, pairs = np.empty(g[VERTICES], np.uint64), np.empty(g[EDGES], np.uint64)
    n, m = 0, 0
    i = g[FIRST]
    while i >= 0:
        texts[n] = _text_hash(v, pool, i)
        x = v[i, OUT_FIRST]
        while x >= 0:
            pairs[m] = texts[n] * _MIX + _text_hash(v, pool, np.int64(e[x, DST]))
            m += 1
            x = e[x, OUT_NEXT]
        n += 1
        i = np.int64(v[i, NEXT])
    return n, m, _sum_of_distinct(texts, n), _sum_of_distinct(pairs, m)


@jit
def _simplify(v, e, g, pool, turn, group, chain, piece):
    """Rewrite until nothing changes: (last turn used, whether the last round changed nothing). turn -1: too many rounds."""
    zip_chains(v, e, g, pool, group, chain)
    before = (0, 0, np.uint64(0), np.uint64(0))
    for r in range(MOST_ROUNDS + 2):
        turn += 1
        changed = False
        for rule in range(3):
            i = g[FIRST]
            while i >= 0:
                if rule == 0:
                    done = _merge_diamond(v, e, g, pool, i, group, piece)
                elif rule == 1:
                    done = _split_suffix(v, e, g, pool, i, group, turn)
                else:
                    done = _merge_suffix(v, e, g, pool, i, group)
                changed |= done
                i = g[FIRST] if done else np.int64(v[i, NEXT])
        changed |= zip_chains(v, e, g, pool, group, chain)
        if not changed:
            return turn, True
        if r >= _EQUAL_FROM:
            now = _signature(v, e, g, pool)
            if now == before:
                return turn, False
            before = now
    return -1, False


@jit
def simplify(v, e, g, pool, group, chain, piece, work):
    """Simplify a sequence graph. 1: ready for path search, 0: the reference was lost in it, -1: the rewriting does not end.

    group, chain, work: int32[vertices], piece: int64[vertices, 7] scratch. A graph of one vertex gets an empty one below it.
    """
    turn, still = _simplify(v, e, g, pool, 0, group, chain, piece)
    if turn < 0:
        return -1
    source, sink = ref_source(v, g), ref_sink(v, g)
    if source < 0 or sink < 0:
        return 0
    vertices = g[VERTICES]
    keep_between(v, e, g, source, sink, work)
    if not still or g[VERTICES] != vertices:
        turn, _ = _simplify(v, e, g, pool, turn, group, chain, piece)
        if turn < 0:
            return -1
    if g[VERTICES] == 1:
        only = g[FIRST]
        add_edge(v, e, g, only, add_vertex(v, g, 0, 0), 0, 1)
    return 1
