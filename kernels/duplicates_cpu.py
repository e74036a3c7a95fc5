"""Grouping of pairs and single ends into duplicate sets, and marking them."""

import numpy as np

from gpugenome.kernels.duplicates_scalar import (
    DUPLICATE,
    IN_SET,
    OPTICAL,
    compare_entries,
    compare_sets,
    entry_hash,
    mark_pairs,
    mark_singles,
)
from gpugenome.kernels.launch import jit, run_chunks
from gpugenome.kernels.read_ends_scalar import finish

__all__ = ["DUPLICATE", "IN_SET", "OPTICAL", "entry_hashes", "sort_entries", "mark_sets", "flag_duplicates"]

PER_BUCKET = 8


@jit
def entry_hashes(begin, end, entries, paired, out):
    """out[i] (uint64) = `entry_hash` of entries[i], for begin..end."""
    for i in range(begin, end):
        out[i] = entry_hash(entries[i], paired)


@jit
def _fill_buckets(begin, end, parts, hashes, shift, start, order):
    """Counting sort of range(n) by the top bits of hashes: order and start (int64[buckets + 1]), parts begin..end of `parts` of them."""
    buckets = start.size - 1
    low, high = buckets * begin // parts, buckets * end // parts
    start[low : start.size if end == parts else high] = 0
    at = 0
    for i in range(hashes.size):
        b = np.int64(hashes[i] >> shift)
        if b < low:
            at += 1
        elif b < high:
            start[b] += 1
    first = at
    for b in range(low, high):
        at += start[b]
        start[b] = at - start[b]
    for i in range(hashes.size):
        b = np.int64(hashes[i] >> shift)
        if low <= b < high:
            order[start[b]] = i
            start[b] += 1
    # Every bucket's start has become its end.
    for b in range(high - 1, low, -1):
        start[b] = start[b - 1]
    start[low] = first
    if end == parts:
        start[buckets] = hashes.size


@jit
def merge_sort(entries, paired, order, a, b, scratch):
    n = b - a
    piece = 16
    for s in range(a, b, piece):
        for i in range(s + 1, min(s + piece, b)):
            v = order[i]
            j = i
            while j > s and compare_entries(entries[v], entries[order[j - 1]], paired) < 0:
                order[j] = order[j - 1]
                j -= 1
            order[j] = v
    while piece < n:
        for s in range(0, n, 2 * piece):
            i, i_end, j, j_end, k = s, min(s + piece, n), min(s + piece, n), min(s + 2 * piece, n), s
            while i < i_end or j < j_end:
                if j >= j_end or (
                    i < i_end and compare_entries(entries[order[a + j]], entries[order[a + i]], paired) >= 0
                ):
                    scratch[k] = order[a + i]
                    i += 1
                else:
                    scratch[k] = order[a + j]
                    j += 1
                k += 1
        for i in range(n):
            order[a + i] = scratch[i]
        piece *= 2


@jit
def _sort_buckets(begin, end, start, hashes, entries, paired, order, sets):
    """Put buckets begin..end in order, and write where sets of two or more entries begin and end in it to sets (int64[n // 2 + 1, 2]).

    Returns the place in sets of the first one, and how many there are.
    """
    scratch = np.empty(0, np.int64)
    # No two calls write to the same place: a set has two entries at least.
    first = (start[begin] + 1) // 2
    found = first
    for bucket in range(begin, end):
        a, b = start[bucket], start[bucket + 1]
        for i in range(a + 1, b):
            v = order[i]
            h = hashes[v]
            j = i
            while j > a and hashes[order[j - 1]] > h:
                order[j] = order[j - 1]
                j -= 1
            order[j] = v
        i = a
        while i < b:
            j = i + 1
            while j < b and hashes[order[j]] == hashes[order[i]]:
                j += 1
            if j - i > 1:
                if scratch.size < j - i:
                    scratch = np.empty(2 * (j - i), np.int64)
                merge_sort(entries, paired, order, i, j, scratch)
                found = _find_sets(entries, paired, order, i, j, sets, found)
            i = j
    return first, found - first


@jit
def _find_sets(entries, paired, order, a, b, sets, found):
    """Write the sets of two or more entries in order[a:b] to sets from place `found` on; returns the place after the last one."""
    i = a
    while i < b:
        j = i + 1
        while j < b and compare_sets(entries[order[j]], entries[order[i]], paired) == 0:
            j += 1
        if j - i > 1:
            sets[found, 0], sets[found, 1] = i, j
            found += 1
        i = j
    return found


def sort_entries(entries, paired: bool, threads: int = 1):
    """An order (int64[n]) that puts the entries of a duplicate set side by side, in the order of `compare_entries`, and the sets.

    The sets themselves come in the order of their hashes: no result depends on it. Those of two or more entries are returned by the places
    in the order where they begin and end, int64[sets, 2].
    """
    n = entries.size
    hashes = np.empty(n, np.uint64)
    run_chunks(entry_hashes, n, threads, entries, paired, hashes)
    bits = max(1, int(max(1, n // PER_BUCKET)).bit_length())
    start = np.empty((1 << bits) + 1, np.int64)
    order, sets = np.empty(n, np.int64), np.empty((n // 2 + 1, 2), np.int64)
    run_chunks(_fill_buckets, threads, threads, threads, hashes, np.uint64(64 - bits), start, order)
    found = run_chunks(_sort_buckets, 1 << bits, threads, start, hashes, entries, paired, order, sets)
    return order, np.concatenate([sets[a : a + count] for a, count in found])


@jit
def mark_sets(begin, end, entries, paired, order, start, optical, distance, largest, state, kept, optical_count, parent):
    """Mark sets begin..end (start: int64[sets, 2], see `sort_entries`).

    Changes state (uint8[entries], bits DUPLICATE, OPTICAL, IN_SET). For pairs also writes, a set: kept (int64, the entry that
    stays) and optical_count (int32). parent: int64[entries], scratch, by place in order.
    """
    for s in range(begin, end):
        a, b = start[s, 0], start[s, 1]
        if paired:
            kept[s], optical_count[s] = mark_pairs(entries, order, a, b, optical, distance, largest, parent, state)
        else:
            mark_singles(entries, order, a, b, state)


@jit
def flag_duplicates(begin, end, mark, flag):
    """Set bit 0x400 of FLAGs begin..end (uint16[n]) where bit DUPLICATE of mark (uint8[n]) is set, and clear it elsewhere."""
    for i in range(begin, end):
        flag[i] = (flag[i] & 0xFBFF) | np.uint16(mark[i] & DUPLICATE) << np.uint16(10)


@jit
def fill_filter(begin, end, entries, bits):
    """Set a bit of bits (uint8[2^k]) for each single end of entries[begin:end] by its place, strand and library."""
    mask = np.uint64(bits.size * 8 - 1)
    for i in range(begin, end):
        e = entries[i]
        h = _place_hash(e.library, e.ref_1, e.pos_1, e.orientation) & mask
        bits[h >> np.uint64(3)] |= np.uint8(1) << np.uint8(h & np.uint64(7))


@jit
def _place_hash(library, ref, pos, reverse):
    h = np.uint64(np.uint32(ref)) << np.uint64(32) | np.uint64(np.uint32(pos))
    return finish(h ^ (np.uint64(np.int64(library) & 0xFFFF) << np.uint64(48)) ^ (np.uint64(reverse & 1) << np.uint64(47)))


@jit
def ends_at_singles(entries, bits, out):
    """The ends of pairs that may share their place with a single end, as single ends with a mate.

    bits: see `fill_filter`; a few others come along, which does no harm. out: ENTRY[2 n]. Returns how many.
    """
    mask = np.uint64(bits.size * 8 - 1)
    n = 0
    for i in range(entries.size):
        e = entries[i]
        o = e.orientation
        for side in range(2):
            ref, pos = (e.ref_2, e.pos_2) if side else (e.ref_1, e.pos_1)
            # FF 2, FR 3, RR 4, RF 5
            reverse = (o == 3 or o == 4) if side else (o == 4 or o == 5)
            h = _place_hash(e.library, ref, pos, np.int64(reverse)) & mask
            if (bits[h >> np.uint64(3)] >> np.uint8(h & np.uint64(7))) & np.uint8(1):
                s = out[n]
                s.index_1, s.index_2 = -1, -1
                s.ref_1, s.pos_1, s.ref_2, s.pos_2 = ref, pos, 0, -1
                s.barcode, s.barcode_1, s.barcode_2 = 0, 0, 0
                s.score, s.tile, s.x, s.y, s.group = 0, -1, -1, -1, -1
                s.library = e.library
                s.orientation = 1 if reverse else 0
                s.optical_orientation, s.unused = -1, 0
                n += 1
    return n


@jit
def find_missed(starts, index, missed):
    """Which duplicates a pass over records in name order misses that takes one of their sorted list at a record at most.

    starts: bool by record, the first of a run of equal names. index: int64[k], sorted, with repeats, the first records of the runs of
    duplicates. missed: uint8[k] of zeros; set at the last entry of a run's index. Source: MarkDuplicates.doWork, nextIndexIfNeeded.
    """
    for k in range(index.size):
        missed[k] = k + 1 == index.size or index[k + 1] != index[k]
    at, run, last = 0, -1, -1
    for i in range(starts.size):
        if starts[i]:
            run = i
        if at < index.size and i > index[at] and run != last:
            at += 1
        if at < index.size and (i == index[at] or (i > index[at] and run == last)):
            last = run
            k = at
            while k + 1 < index.size and index[k + 1] == index[at]:
                k += 1
            if i == index[at]:
                missed[k] = 0
