"""From a reference haplotype and reads to the pruned read-threading graph of one k-mer size.

Text is one array: the reference bases of the region, then those of its reads. A k-mer is a position in it. Window hashes come from
`prefix`, uint64[len(text) + 1] polynomial hashes of everything before a position, so one array serves every k; equal hashes are
confirmed by comparing bases. Order matters: reads are threaded one after the other, vertices and edges keep their order of creation.

Source: GATK AbstractReadThreadingGraph, ReadThreadingGraph, ChainPruner (behaviour; specification chapter "assembly", sections 5, 6).
"""

import numpy as np

from gpugenome.kernels.assembly_graph_cpu import (
    BASE,
    COUNT,
    DST,
    ENTRIES,
    ENTRY,
    FIRST,
    IN_FIRST,
    IN_N,
    LAST_BASE,
    MADE_E,
    MAPPED,
    MARK,
    MULT,
    NEXT,
    NON_UNIQUE,
    OUT_FIRST,
    OUT_N,
    OUT_NEXT,
    PRUNE,
    REF,
    SRC,
    TABLE_STAMP,
    VERTICES,
    add_vertex,
    append_edge,
    find_edge,
    new_stamp,
    remove_edge,
    remove_vertex,
    reset,
)
from gpugenome.kernels.launch import jit

BASE_N = 78
_STEP = np.uint64(0x9E3779B97F4A7C55)  # odd
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
KMER_AT, KMER_VERTEX, KMER_REPEATS, SLOT, SLOT_STAMP = 0, 1, 2, 0, 1
"""Columns of `kmer` int32[entries, 3]: position of the k-mer, its vertex (-1 none), 1 if it is not unique; of `slot` int32[2^b, 2]."""
READ, START, STOP, SAMPLE = 0, 1, 2, 3
"""Columns of `run` int64[runs, 4]: a stretch of usable bases, its read's first base, [start, stop) in text, and its sample."""


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
    i = g[ENTRIES]
    g[ENTRIES] = i + 1
    slot[s, SLOT] = i
    slot[s, SLOT_STAMP] = stamp
    kmer[i, KMER_AT] = at
    kmer[i, KMER_VERTEX] = -1
    kmer[i, KMER_REPEATS] = 0
    kmer_hash[i] = h
    return i


@jit
def first_repeat(begin, stop, k, power, text, prefix, seen, stamp):
    """The first position whose k-mer occurred before within text[begin:stop], -1 if none. seen: int32[2^b, 2] table."""
    size = len(seen)
    for i in range(begin, stop - k + 1):
        s = kmer_slot(i, k, power, prefix, size)
        while seen[s, SLOT_STAMP] == stamp:
            j = np.int64(seen[s, SLOT])
            if same_kmer(j, i, k, power, text, prefix):
                return i
            s = (s + 1) & (size - 1)
        seen[s, SLOT] = i
        seen[s, SLOT_STAMP] = stamp
    return np.int64(-1)


@jit
def enter_repeat(i, k, power, text, prefix, g, kmer, kmer_hash, slot):
    """Enter the k-mer at position i as not unique."""
    x = find_kmer(i, k, window_hash(prefix, i, k, power), text, g, kmer, kmer_hash, slot)
    if not kmer[x, KMER_REPEATS]:
        kmer[x, KMER_REPEATS] = 1
        g[NON_UNIQUE] += 1


@jit
def _mark_repeats(begin, stop, k, power, text, prefix, g, kmer, kmer_hash, slot, seen, stamp):
    """Enter every k-mer that occurs twice within text[begin:stop] as not unique."""
    size = len(seen)
    for i in range(begin, stop - k + 1):
        s = kmer_slot(i, k, power, prefix, size)
        repeats = False
        while seen[s, SLOT_STAMP] == stamp:
            j = np.int64(seen[s, SLOT])
            if same_kmer(j, i, k, power, text, prefix):
                repeats = True
                break
            s = (s + 1) & (size - 1)
        if repeats:
            enter_repeat(i, k, power, text, prefix, g, kmer, kmer_hash, slot)
        else:
            seen[s, SLOT] = i
            seen[s, SLOT_STAMP] = stamp


@jit
def usable_runs(text, qual, begin, stop, sample, min_quality, shortest, run, n):
    """Append the stretches of text[begin:stop], one read, with known bases and qualities of at least min_quality; new count.

    qual: uint8, aligned with text. shortest: stretches below it are left out.
    """
    start = np.int64(-1)
    for i in range(begin, stop + 1):
        if i == stop or text[i] == BASE_N or qual[i] < min_quality:
            if start >= 0 and i - start >= shortest:
                run[n, READ] = begin
                run[n, START] = start
                run[n, STOP] = i
                run[n, SAMPLE] = sample
                n += 1
            start = -1
        elif start < 0:
            start = i
    return n


@jit
def _make_vertex(v, g, text, at, k, entry, kmer):
    """A vertex for the k-mer at a position; the map takes it if the k-mer is unique and has none."""
    i = add_vertex(v, g, at, k)
    v[i, BASE] = text[at + k - 1]
    v[i, ENTRY] = entry
    if not kmer[entry, KMER_REPEATS] and kmer[entry, KMER_VERTEX] < 0:
        kmer[entry, KMER_VERTEX] = i
        g[MAPPED] += 1
    return i


@jit
def _count_backwards(v, e, vertex, text, at, k):
    """Add a pass to the unbranched edges before a start vertex that spell its k-mer."""
    offset = k - 2
    while offset >= 0 and v[vertex, IN_N] == 1:
        x = v[vertex, IN_FIRST]
        vertex = e[x, SRC]
        if v[vertex, BASE] != text[at + offset]:
            return
        e[x, COUNT] += 1
        offset -= 1


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
        vertex = _make_vertex(v, g, text, at, k, entry, kmer)
    _count_backwards(v, e, vertex, text, at, k)
    for i in range(at + 1, stop - k + 1):
        base = text[i + k - 1]
        x = v[vertex, OUT_FIRST]
        while x >= 0 and e[x, LAST_BASE] != base:
            x = e[x, OUT_NEXT]
        if x >= 0:
            e[x, COUNT] += 1
            vertex = np.int64(e[x, DST])
            continue
        entry = find_kmer(i, k, window_hash(prefix, i, k, power), text, g, kmer, kmer_hash, slot)
        target = np.int64(-1) if entry == ref_entry else np.int64(kmer[entry, KMER_VERTEX])
        if target < 0:
            target = _make_vertex(v, g, text, i, k, entry, kmer)
        if find_edge(v, e, vertex, target) < 0:
            x = append_edge(v, e, g, vertex, target, 0, is_ref)
            e[x, COUNT] = 1
        vertex = target
    return began


@jit
def flush(e, first, stop, step, top):
    """Close a sample for every `step`th edge of first..stop.

    Pruning multiplicity = the smallest of the `top` largest counts of samples (and the 1 of creation).
    """
    most = top.shape[1] - 1
    for i in range(first, stop, step):
        count = e[i, COUNT]
        e[i, COUNT] = 0
        if e[i, MULT] == 0:
            top[i, 0] = 1
            top[i, most] = 1  # how many are kept, in the last column
        e[i, MULT] += count
        kept = top[i, most]
        if kept < most:
            j = kept
            kept += 1
            top[i, most] = kept
        elif top[i, most - 1] >= count:
            continue
        else:
            j = most - 1
        while j > 0 and top[i, j - 1] < count:
            top[i, j] = top[i, j - 1]
            j -= 1
        top[i, j] = count
        e[i, PRUNE] = top[i, kept - 1]


@jit
def is_last_run(run, r, n_runs, k):
    """Whether run r is the last of at least k bases of its read.

    K-mers that repeat in a read are sought there, from the first base of the read to the end of the run: that covers the runs before.
    """
    if run[r, STOP] - run[r, START] < k:
        return False
    q = r + 1
    while q < n_runs and run[q, READ] == run[r, READ]:
        if run[q, STOP] - run[q, START] >= k:
            return False
        q += 1
    return True


@jit
def start_graph(g):
    """An empty read-threading graph and an empty k-mer table."""
    reset(g, 0)
    g[TABLE_STAMP] += 1
    g[ENTRIES] = 0
    g[MAPPED] = 0
    g[NON_UNIQUE] = 0


@jit
def build(n_ref, k, text, prefix, run, n_runs, v, e, g, top, kmer, kmer_hash, slot, seen, sample_seen):
    """Make the read-threading graph of the reference text[:n_ref] and the runs of at least k bases.

    top: int32[edges, samples for pruning + 1]. slot, seen: int32[2^b, 2] tables whose stamps go on from g[TABLE_STAMP].
    sample_seen: int64[samples], likewise.
    """
    start_graph(g)
    power = hash_power(k)
    _mark_repeats(0, n_ref, k, power, text, prefix, g, kmer, kmer_hash, slot, seen, g[TABLE_STAMP])
    table = g[TABLE_STAMP]
    stamp = table
    for r in range(n_runs):
        if is_last_run(run, r, n_runs, k):
            stamp += 1
            _mark_repeats(run[r, READ], run[r, STOP], k, power, text, prefix, g, kmer, kmer_hash, slot, seen, stamp)
    ref_entry = thread(0, n_ref, k, power, 1, -1, text, prefix, v, e, g, kmer, kmer_hash, slot)
    flush(e, 0, g[MADE_E], 1, top)
    for r in range(n_runs):
        sample = run[r, SAMPLE]
        if run[r, STOP] - run[r, START] < k or sample_seen[sample] == table:
            continue
        sample_seen[sample] = table
        for q in range(r, n_runs):
            if run[q, SAMPLE] == sample and run[q, STOP] - run[q, START] >= k:
                thread(run[q, START], run[q, STOP], k, power, 0, ref_entry, text, prefix, v, e, g, kmer, kmer_hash, slot)
        flush(e, 0, g[MADE_E], 1, top)
    g[TABLE_STAMP] = stamp


@jit
def _chain(v, e, x, min_pruning, remove, n):
    """Walk the chain that edge x begins; (its last vertex, new length of `remove`, to which a chain too weak is added)."""
    first, begin, keep = e[x, SRC], n, False
    while True:
        keep = keep or e[x, REF] > 0 or e[x, PRUNE] >= min_pruning
        remove[n] = x
        n += 1
        last = e[x, DST]
        if v[last, OUT_N] != 1 or v[last, IN_N] > 1 or last == first:
            return last, begin if keep else n
        x = v[last, OUT_FIRST]


@jit
def prune_chains(v, e, g, min_pruning, kmer, queue, remove):
    """Remove chains all of whose edges are weak and not of the reference, then vertices without edges.

    queue: int32[vertices], remove: int32[edges] scratch. Parts that no source reaches stay.
    """
    seen = new_stamp(g)
    tail = 0
    i = g[FIRST]
    while i >= 0:
        if v[i, IN_N] == 0:
            v[i, MARK] = seen
            queue[tail] = i
            tail += 1
        i = v[i, NEXT]
    head, n = 0, 0
    while head < tail:
        x = v[queue[head], OUT_FIRST]
        head += 1
        while x >= 0:
            last, n = _chain(v, e, x, min_pruning, remove, n)
            if v[last, MARK] != seen:
                v[last, MARK] = seen
                queue[tail] = last
                tail += 1
            x = e[x, OUT_NEXT]
    for j in range(n):
        remove_edge(v, e, g, remove[j])
    i = g[FIRST]
    while i >= 0:
        after = np.int64(v[i, NEXT])
        if v[i, IN_N] == 0 and v[i, OUT_N] == 0 and g[VERTICES] > 1:
            x = v[i, ENTRY]
            if kmer[x, KMER_VERTEX] >= 0:
                kmer[x, KMER_VERTEX] = -1
                g[MAPPED] -= 1
            remove_vertex(v, e, g, i)
        i = after


@jit
def is_low_complexity(g):
    """Whether more than a quarter of the k-mers left are not unique."""
    return g[NON_UNIQUE] * 4 > g[MAPPED]
