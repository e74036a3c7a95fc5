"""From a reference haplotype and reads to the pruned read-threading graph of one k-mer size.

Text is one array: the reference bases of the region, then those of its reads, then 64 bytes to read beyond. A k-mer is a position in it.
Order matters: reads are threaded one after the other, vertices and edges keep their order of creation.

Most of a read only follows edges that are there, from each vertex to the one made right after it. So these steps are compared 64 at a
time with the bytes of `ahead` (uint8 by vertex: the last base of the vertex that its first edge leads to, 0 where that is not the next
row) and `behind` (uint8, place v + 64: the last base of the vertex before v, 0 where v has not that one edge alone leading to it), and
counted at their ends, in `passes` (int32 by vertex: changes of the count of its first edge).

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
    IN_N,
    MADE_E,
    MADE_V,
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
    append_edge,
    find_edge,
    new_stamp,
    queue_sources,
    remove_edge,
    remove_vertex,
    reset,
)
from gpugenome.kernels.assembly_threading_scalar import (
    BASE_N,
    KMER_AT,
    KMER_REPEATS,
    KMER_VERTEX,
    READ,
    SAMPLE,
    SLOT,
    SLOT_STAMP,
    START,
    STOP,
    append_run,
    count_backwards,
    edge_with,
    make_vertex,
    mark_repeat,
    new_kmer,
)
from gpugenome.kernels.bits import bytes_below, bytes_equal, equal_bytes, leading_zeros, trailing_zeros
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, load_u64

ROW = 4
"""Last column of `run` int64[runs, 5]: the read."""
SLACK = 64
"""Bytes that `text`, `ahead` and (on both sides) `behind` have beyond what they hold."""
_MIX = np.uint64(0x9E3779B97F4A7C55)


@jit
def common_length(a, i, b, j, most):
    """How many of the bytes of a from i on equal those of b from j on, at most `most`."""
    n = 0
    while n < most:
        x = trailing_zeros(~equal_bytes(a, i + n, b, j + n))
        n += x
        if x < 64:
            break
    return min(n, most)


@jit
def kmer_hash_of(text, at, k):
    """uint64 hash of the k bases from `at` on."""
    h = np.uint64(k)
    from_ = address_of(text) + at
    left = k
    while left > 0:
        word = load_u64(from_)
        if left < 8:
            word &= (np.uint64(1) << np.uint64(8 * left)) - np.uint64(1)
        h = (h ^ word) * _MIX
        h ^= h >> np.uint64(32)
        from_ += 8
        left -= 8
    return h


@jit
def _slot_of(h, size):
    return np.int64(h & np.uint64(size - 1))


@jit
def find_kmer(at, k, h, text, g, kmer, kmer_hash, slot):
    """Row of the k-mer at a position of text, made if it is new."""
    size, stamp = len(slot), g[TABLE_STAMP]
    s = _slot_of(h, size)
    while slot[s, SLOT_STAMP] == stamp:
        i = np.int64(slot[s, SLOT])
        if kmer_hash[i] == h and common_length(text, kmer[i, KMER_AT], text, at, k) == k:
            return i
        s = (s + 1) & (size - 1)
    return new_kmer(at, s, h, g, kmer, kmer_hash, slot)


@jit
def _known_kmer(at, k, h, text, g, kmer, kmer_hash, slot):
    """Row of the k-mer at a position of text, -1 if it is new."""
    size, stamp = len(slot), g[TABLE_STAMP]
    s = _slot_of(h, size)
    while slot[s, SLOT_STAMP] == stamp:
        i = np.int64(slot[s, SLOT])
        if kmer_hash[i] == h and common_length(text, kmer[i, KMER_AT], text, at, k) == k:
            return i
        s = (s + 1) & (size - 1)
    return np.int64(-1)


@jit
def start_graph(g):
    """An empty read-threading graph and an empty k-mer table."""
    reset(g, 0)
    g[TABLE_STAMP] += 1
    g[ENTRIES] = 0
    g[MAPPED] = 0
    g[NON_UNIQUE] = 0


@jit
def enter_reference(n_ref, k, text, g, kmer, kmer_hash, slot):
    """Begin a graph and its table of k-mers, with those of the reference text[:n_ref], row = position; False if one repeats."""
    start_graph(g)
    for i in range(n_ref - k + 1):
        if find_kmer(i, k, kmer_hash_of(text, i, k), text, g, kmer, kmer_hash, slot) < i:
            return False
    return True


@jit
def _is_seen(i, k, h, text, seen, stamp):
    """Whether the k-mer at i is in the table of positions `seen` int32[2^b, 2]; it is entered if not."""
    size = len(seen)
    s = _slot_of(h, size)
    while seen[s, SLOT_STAMP] == stamp:
        if common_length(text, np.int64(seen[s, SLOT]), text, i, k) == k:
            return True
        s = (s + 1) & (size - 1)
    seen[s, SLOT] = i
    seen[s, SLOT_STAMP] = stamp
    return False


@jit
def _mark_repeats(begin, stop, k, text, g, kmer, kmer_hash, slot, seen, stamp):
    """Enter every k-mer that occurs twice within text[begin:stop] as not unique; whether there is any."""
    found = False
    for i in range(begin, stop - k + 1):
        h = kmer_hash_of(text, i, k)
        if _is_seen(i, k, h, text, seen, stamp):
            mark_repeat(find_kmer(i, k, h, text, g, kmer, kmer_hash, slot), g, kmer)
            found = True
    return found


@jit
def _may_repeat(begin, stop, k, n_ref, text, g, kmer, kmer_hash, slot, seen, stamp, segment):
    """False only if no k-mer occurs twice within text[begin:stop]. Row = position for the k-mers of the reference, none of which repeats.

    Stretches that run along the reference repeat nothing in themselves: they must lie apart on it (segment: int64[., 2] scratch), and the
    k-mers between them are entered one by one.
    """
    n, i = 0, begin
    while i <= stop - k:
        h = kmer_hash_of(text, i, k)
        at = _known_kmer(i, k, h, text, g, kmer, kmer_hash, slot)
        if at < 0 or at > n_ref - k:
            if _is_seen(i, k, h, text, seen, stamp):
                return True
            i += 1
            continue
        more = common_length(text, i + k, text, at + k, min(stop - i, n_ref - at) - k)
        if n == len(segment):
            return True
        for j in range(n):
            if at <= segment[j, 1] and at + more >= segment[j, 0]:
                return True
        segment[n, 0] = at
        segment[n, 1] = at + more
        n += 1
        i += more + 1
    return False


@jit
def usable_runs(text, qual, begin, stop, sample, row, min_quality, shortest, run, n):
    """Append the stretches of text[begin:stop], one read, with known bases and qualities of at least min_quality; new count.

    qual: uint8, aligned with text, and as long. shortest: stretches below it are left out.
    """
    first, start = n, np.int64(-1)  # start: of the stretch under way
    for at in range(begin, stop, 64):
        good = ~(bytes_equal(text, at, np.uint8(BASE_N)) | bytes_below(qual, at, np.uint8(min_quality)))
        if stop - at < 64:
            good &= (np.uint64(1) << np.uint64(stop - at)) - np.uint64(1)
        x = np.int64(0)
        while x < 64:
            if start < 0:
                x = trailing_zeros(good)
                if x < 64:
                    start = at + x
                    good |= (np.uint64(1) << np.uint64(x)) - np.uint64(1)
                continue
            x = trailing_zeros(~good)
            if x < 64:
                n = append_run(begin, start, at + x, sample, shortest, run, n)
                start = -1
                good &= ~((np.uint64(1) << np.uint64(x)) - np.uint64(1))
    if start >= 0:
        n = append_run(begin, start, stop, sample, shortest, run, n)
    for r in range(first, n):
        run[r, ROW] = row
    return n


@jit
def _make_vertex(v, g, text, at, k, entry, kmer, ahead, behind):
    i = make_vertex(v, g, text, at, k, entry, kmer)
    ahead[i] = 0
    behind[i + SLACK] = 0
    return i


@jit
def _make_edge(v, e, g, a, b, is_ref, ahead, behind):
    """An edge from a to b, passed once."""
    x = append_edge(v, e, g, a, b, 0, is_ref)
    e[x, COUNT] = 1
    behind[b + SLACK] = 0
    if b == a + 1 and v[a, OUT_N] == 1:
        ahead[a] = v[b, BASE]
        if v[b, IN_N] == 1:
            behind[b + SLACK] = v[a, BASE]


@jit
def _count_backwards(v, e, vertex, text, at, k, behind, passes):
    """Add a pass to the unbranched edges before a start vertex that spell its k-mer."""
    n = 0
    while n < k - 1 and at + k - 1 - n >= SLACK:
        x = leading_zeros(~equal_bytes(behind, vertex - n + 1, text, at + k - 1 - n - SLACK))
        n += x
        if x < 64:
            break
    n = min(n, k - 1)
    passes[vertex] -= 1
    vertex -= n
    passes[vertex] += 1
    count_backwards(v, e, vertex, text, at, k - 2 - n)


@jit
def _thread(start, stop, k, is_ref, ref_entry, text, v, e, g, kmer, kmer_hash, slot, ahead, behind, passes):
    """Lay text[start:stop] into the graph; row of the k-mer it began with, -1 if it cannot begin.

    The k-mer in which the reference begins (row ref_entry) may start a read, but is never joined to from the inside.
    """
    at, entry = start, np.int64(-1)
    last = start if is_ref else stop - k - 1  # the last k-mer of a read is never a start
    while at <= last:
        entry = find_kmer(at, k, kmer_hash_of(text, at, k), text, g, kmer, kmer_hash, slot)
        if is_ref or not kmer[entry, KMER_REPEATS]:
            break
        at += 1
    if at > last:
        return np.int64(-1)
    began = entry
    vertex = np.int64(kmer[entry, KMER_VERTEX])
    if vertex < 0:
        vertex = _make_vertex(v, g, text, at, k, entry, kmer, ahead, behind)
    _count_backwards(v, e, vertex, text, at, k, behind, passes)
    i = at + 1
    while i <= stop - k:
        n = common_length(ahead, vertex, text, i + k - 1, stop - k + 1 - i)
        if n > 0:
            passes[vertex] += 1
            vertex += n
            passes[vertex] -= 1
            i += n
            continue
        x = edge_with(v, e, vertex, text[i + k - 1])
        if x >= 0:
            e[x, COUNT] += 1
            vertex = np.int64(e[x, DST])
            i += 1
            continue
        entry = find_kmer(i, k, kmer_hash_of(text, i, k), text, g, kmer, kmer_hash, slot)
        target = np.int64(-1) if entry == ref_entry else np.int64(kmer[entry, KMER_VERTEX])
        if target < 0:
            target = _make_vertex(v, g, text, i, k, entry, kmer, ahead, behind)
        if find_edge(v, e, vertex, target) < 0:
            _make_edge(v, e, g, vertex, target, is_ref, ahead, behind)
        vertex = target
        i += 1
    return began


@jit
def _settle(v, e, g, passes):
    """Move the counts of `passes` to the edges."""
    count = np.int32(0)
    for i in range(g[MADE_V]):
        count += passes[i]
        passes[i] = 0
        if count > 0:
            e[v[i, OUT_FIRST], COUNT] += count


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
def build(
    n_ref, k, text, run, n_runs, repeats, unique_reference, v, e, g, top, kmer, kmer_hash, slot, seen, sample_seen, segment, ahead, behind,
    passes,
):  # fmt: skip
    """Make the read-threading graph of the reference text[:n_ref] and the runs of at least k bases, after `enter_reference`.

    repeats: uint8 by read, 0 if it is known that no k-mer of this or a smaller size repeats in it; updated. unique_reference: what
    `enter_reference` returned. top: int32[edges, samples for pruning + 1]. slot, seen: int32[2^b, 2] tables whose stamps go on from
    g[TABLE_STAMP]. sample_seen: int64[samples], likewise. segment: int64[., 2] scratch. ahead, behind, passes: see the module; passes is
    zero.
    """
    if not unique_reference:
        start_graph(g)
    table = g[TABLE_STAMP]
    stamp = table
    if not unique_reference:
        _mark_repeats(0, n_ref, k, text, g, kmer, kmer_hash, slot, seen, stamp)
    for r in range(n_runs):
        if not is_last_run(run, r, n_runs, k) or not repeats[run[r, ROW]]:
            continue
        begin, stop = run[r, READ], run[r, STOP]
        stamp += 1
        found = not unique_reference or _may_repeat(begin, stop, k, n_ref, text, g, kmer, kmer_hash, slot, seen, stamp, segment)
        if found:
            stamp += 1
            found = _mark_repeats(begin, stop, k, text, g, kmer, kmer_hash, slot, seen, stamp)
        repeats[run[r, ROW]] = found
    ref_entry = _thread(0, n_ref, k, 1, -1, text, v, e, g, kmer, kmer_hash, slot, ahead, behind, passes)
    _settle(v, e, g, passes)
    flush(e, 0, g[MADE_E], 1, top)
    for r in range(n_runs):
        sample = run[r, SAMPLE]
        if run[r, STOP] - run[r, START] < k or sample_seen[sample] == table:
            continue
        sample_seen[sample] = table
        for q in range(r, n_runs):
            if run[q, SAMPLE] == sample and run[q, STOP] - run[q, START] >= k:
                _thread(run[q, START], run[q, STOP], k, 0, ref_entry, text, v, e, g, kmer, kmer_hash, slot, ahead, behind, passes)
        _settle(v, e, g, passes)
        flush(e, 0, g[MADE_E], 1, top)
    g[TABLE_STAMP] = stamp


@jit
def walk_chain(v, e, x, min_pruning, edges, n):
    """Walk the chain that edge x begins, listing its edges from edges[n] on: (its last vertex, new n, whether it is strong enough)."""
    first, keep = e[x, SRC], False
    while True:
        keep = keep or e[x, REF] > 0 or e[x, PRUNE] >= min_pruning
        edges[n] = x
        n += 1
        last = e[x, DST]
        if v[last, OUT_N] != 1 or v[last, IN_N] > 1 or last == first:
            return last, n, keep
        x = v[last, OUT_FIRST]


@jit
def prune_chains(v, e, g, min_pruning, kmer, queue, remove):
    """Remove chains all of whose edges are weak and not of the reference, then vertices without edges.

    queue: int32[vertices], remove: int32[edges] scratch. Parts that no source reaches stay.
    """
    seen = new_stamp(g)
    tail = queue_sources(v, g, seen, queue)
    head, n = 0, 0
    while head < tail:
        x = v[queue[head], OUT_FIRST]
        head += 1
        while x >= 0:
            last, stop, keep = walk_chain(v, e, x, min_pruning, remove, n)
            n = n if keep else stop
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
