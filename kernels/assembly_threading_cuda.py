"""What assembly_graphs_cuda does for one read or k-mer: hashes, the table of k-mers, and the laying of a read into the graph.

As in assembly_threading_cpu, step by step instead of 64 bases at a time. Window hashes come from `prefix`, uint64[len(text) + 1] polynomial
hashes of everything before a position, which the lanes of a warp make together; equal hashes are confirmed by comparing bases.
"""

import numpy as np

from gpugenome.kernels.assembly_graph_cpu import (
    COUNT,
    DST,
    TABLE_STAMP,
    append_edge,
    find_edge,
)
from gpugenome.kernels.assembly_threading_scalar import (
    BASE_N,
    KMER_AT,
    KMER_REPEATS,
    KMER_VERTEX,
    SLOT,
    SLOT_STAMP,
    append_run,
    count_backwards,
    edge_with,
    make_vertex,
    mark_repeat,
    new_kmer,
)
from gpugenome.kernels.launch import jit

_STEP = np.uint64(0x9E3779B97F4A7C55)  # odd
_SPREAD = np.uint64(0xD6E8FEB86659FD93)


@jit
def hash_prefixes(text, begin, stop, h, prefix):
    """prefix[i] = hash of text[:i], for i of begin..stop; h: the hash of text[:begin]. Hash of text[:stop], as h an int64 of the bits."""
    x = np.uint64(h)
    prefix[begin] = x
    for i in range(begin, stop):
        x = x * _STEP + np.uint64(text[i])
        prefix[i + 1] = x
    return np.int64(x)


@jit
def hash_power(k):
    """The factor by which a hash grows over k bases."""
    p = np.uint64(1)
    for _ in range(k):
        p = p * _STEP
    return p


@jit
def window_hash(prefix, i, k, power):
    """Hash of the k-mer at position i. power: hash_power(k)."""
    return prefix[i + k] - prefix[i] * power


@jit
def same_bases(text, a, b, n):
    """Whether n bases from a and from b on are equal."""
    x, y = text[a : a + n], text[b : b + n]
    for i in range(n):
        if x[i] != y[i]:
            return False
    return True


@jit
def slot_of(h, size):
    """Where a hash's search begins in a table of 2^b slots."""
    return np.int64((h * _SPREAD) >> np.uint64(32)) & (size - 1)


@jit
def kmer_slot(i, k, power, prefix, size):
    """`slot_of` the k-mer at position i."""
    return slot_of(window_hash(prefix, i, k, power), size)


@jit
def same_kmer(j, i, k, power, text, prefix):
    """Whether the k-mers at two positions are equal."""
    return window_hash(prefix, j, k, power) == window_hash(prefix, i, k, power) and same_bases(text, j, i, k)


@jit
def find_kmer(at, k, h, text, g, kmer, kmer_hash, slot):
    """Row of the k-mer at a position of text, made if it is new."""
    size, stamp = len(slot), g[TABLE_STAMP]
    s = slot_of(h, size)
    while slot[s, SLOT_STAMP] == stamp:
        i = np.int64(slot[s, SLOT])
        if kmer_hash[i] == h and same_bases(text, kmer[i, KMER_AT], at, k):
            return i
        s = (s + 1) & (size - 1)
    return new_kmer(at, s, h, g, kmer, kmer_hash, slot)


@jit
def enter_repeat(i, k, power, text, prefix, g, kmer, kmer_hash, slot):
    """Enter the k-mer at position i as not unique."""
    mark_repeat(find_kmer(i, k, window_hash(prefix, i, k, power), text, g, kmer, kmer_hash, slot), g, kmer)


@jit
def usable_runs(text, qual, begin, stop, sample, min_quality, shortest, run, n):
    """Append the stretches of text[begin:stop], one read, with known bases and qualities of at least min_quality; new count.

    qual: uint8, aligned with text. shortest: stretches below it are left out.
    """
    start = np.int64(-1)
    for i in range(begin, stop + 1):
        if i == stop or text[i] == BASE_N or qual[i] < min_quality:
            if start >= 0:
                n = append_run(begin, start, i, sample, shortest, run, n)
            start = -1
        elif start < 0:
            start = i
    return n


@jit
def thread(start, stop, k, power, is_ref, ref_entry, text, prefix, v, e, g, kmer, kmer_hash, slot):
    """Lay text[start:stop] into the graph; row of the k-mer it began with, -1 if it cannot begin.

    The k-mer in which the reference begins (row ref_entry) may start a read, but is never joined to from the inside.
    """
    at, entry = start, np.int64(-1)
    last = start if is_ref else stop - k - 1  # the last k-mer of a read is never a start
    while at <= last:
        entry = find_kmer(at, k, window_hash(prefix, at, k, power), text, g, kmer, kmer_hash, slot)
        if is_ref or not kmer[entry, KMER_REPEATS]:
            break
        at += 1
    if at > last:
        return np.int64(-1)
    began = entry
    vertex = np.int64(kmer[entry, KMER_VERTEX])
    if vertex < 0:
        vertex = make_vertex(v, g, text, at, k, entry, kmer)
    count_backwards(v, e, vertex, text, at, k - 2)
    for i in range(at + 1, stop - k + 1):
        x = edge_with(v, e, vertex, text[i + k - 1])
        if x >= 0:
            e[x, COUNT] += 1
            vertex = np.int64(e[x, DST])
            continue
        entry = find_kmer(i, k, window_hash(prefix, i, k, power), text, g, kmer, kmer_hash, slot)
        target = np.int64(-1) if entry == ref_entry else np.int64(kmer[entry, KMER_VERTEX])
        if target < 0:
            target = make_vertex(v, g, text, i, k, entry, kmer)
        if find_edge(v, e, vertex, target) < 0:
            x = append_edge(v, e, g, vertex, target, 0, is_ref)
            e[x, COUNT] = 1
        vertex = target
    return began
