"""Steps of building a read-threading graph that CPU and CUDA share: rows of the table of k-mers, runs of bases, vertices, passes.

Tables and columns: see assembly_threading_cpu, assembly_graph_cpu. Source: as there.
"""

import numpy as np

from gpugenome.kernels.assembly_graph_cpu import (
    BASE,
    COUNT,
    ENTRIES,
    ENTRY,
    IN_FIRST,
    IN_N,
    LAST_BASE,
    MAPPED,
    NON_UNIQUE,
    OUT_FIRST,
    OUT_NEXT,
    SRC,
    TABLE_STAMP,
    add_vertex,
)
from gpugenome.kernels.launch import jit

BASE_N = 78
KMER_AT, KMER_VERTEX, KMER_REPEATS, SLOT, SLOT_STAMP = 0, 1, 2, 0, 1
"""Columns of `kmer` int32[entries, 3]: position of the k-mer, its vertex (-1 none), 1 if it is not unique; of `slot` int32[2^b, 2]."""
READ, START, STOP, SAMPLE = 0, 1, 2, 3
"""Columns of `run`, int64: a stretch of usable bases, its read's first base, [start, stop) in text, its sample."""


@jit
def new_kmer(at, s, h, g, kmer, kmer_hash, slot):
    """A row for the k-mer at a position of text, with hash h, in the free slot s."""
    i = g[ENTRIES]
    g[ENTRIES] = i + 1
    slot[s, SLOT] = i
    slot[s, SLOT_STAMP] = g[TABLE_STAMP]
    kmer[i, KMER_AT] = at
    kmer[i, KMER_VERTEX] = -1
    kmer[i, KMER_REPEATS] = 0
    kmer_hash[i] = h
    return i


@jit
def mark_repeat(x, g, kmer):
    """Row x of the k-mers is not unique."""
    if not kmer[x, KMER_REPEATS]:
        kmer[x, KMER_REPEATS] = 1
        g[NON_UNIQUE] += 1


@jit
def append_run(read, start, stop, sample, shortest, run, n):
    """Append a run to the n of `run` unless it is below `shortest`; new count."""
    if stop - start < shortest:
        return n
    run[n, READ] = read
    run[n, START] = start
    run[n, STOP] = stop
    run[n, SAMPLE] = sample
    return n + 1


@jit
def make_vertex(v, g, text, at, k, entry, kmer):
    """A vertex for the k-mer at a position; the map takes it if the k-mer is unique and has none."""
    i = add_vertex(v, g, at, k)
    v[i, BASE] = text[at + k - 1]
    v[i, ENTRY] = entry
    if not kmer[entry, KMER_REPEATS] and kmer[entry, KMER_VERTEX] < 0:
        kmer[entry, KMER_VERTEX] = i
        g[MAPPED] += 1
    return i


@jit
def count_backwards(v, e, vertex, text, at, offset):
    """Add a pass to the unbranched edges before a vertex that spell text[at : at + offset + 1], from its end."""
    while offset >= 0 and v[vertex, IN_N] == 1:
        x = v[vertex, IN_FIRST]
        vertex = e[x, SRC]
        if v[vertex, BASE] != text[at + offset]:
            return
        e[x, COUNT] += 1
        offset -= 1


@jit
def edge_with(v, e, vertex, base):
    """The edge from a vertex to one whose last base is `base`, -1 for none."""
    x = np.int64(v[vertex, OUT_FIRST])
    while x >= 0 and e[x, LAST_BASE] != base:
        x = np.int64(e[x, OUT_NEXT])
    return x
