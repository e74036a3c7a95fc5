"""The sweep over the records of several GVCFs in order: which of them each combined record takes, and where reference blocks are cut.

Rows are the records of all files, those of a file together and in order. key: int64, contig << 32 | 0-based start. Files wait in a heap by
their next row's key; equal keys leave it in the order of java.util.PriorityQueue, which decides the order of alleles.
Source: CombineGVCFs, MultiVariantWalkerGroupedOnStart, htsjdk MergingIterator (behaviour; chapter "GVCF and joint genotyping", 9.1, 9.2).
"""

import numpy as np

from gpugenome.kernels.launch import jit

N_OPEN, PREVIOUS, REF_AFTER, N_HEAP, N_OUT, N_ENTRIES = 0, 1, 2, 3, 4, 5
"""Places in `state` (int64[6]): open rows, last written position (-1: none on this contig), the base after it, files in the heap, output
records and entries so far."""
BLOCK, MERGED = 0, 1


@jit
def push(heap, n, file, key, next_row):
    """Add a file to the heap of n files."""
    k = n
    while k > 0:
        parent = (k - 1) >> 1
        if key[next_row[file]] >= key[next_row[heap[parent]]]:
            break
        heap[k] = heap[parent]
        k = parent
    heap[k] = file


@jit
def _pop(heap, n, key, next_row):
    """Take the first file off the heap of n files."""
    top = heap[0]
    n -= 1
    x = heap[n]
    if n > 0:
        k = 0
        while k < n >> 1:
            child = 2 * k + 1
            if child + 1 < n and key[next_row[heap[child]]] > key[next_row[heap[child + 1]]]:
                child += 1
            if key[next_row[x]] <= key[next_row[heap[child]]]:
                break
            heap[k] = heap[child]
            k = child
        heap[k] = x
    return top


@jit
def _inside(position, first, last):
    """Whether a position lies in any of the intervals first[k] <= p < last[k] (none: yes)."""
    if len(first) == 0:
        return True
    k = np.searchsorted(first, position, side="right") - 1
    return k >= 0 and position < last[k]


@jit
def _stop(position, forced, base, next_base, in_group, any_group, start, end, variant, file, state, rows, in_open, want_blocks,
          out_kind, out_pos, out_start, out_base, entry_offset, entry_row):  # fmt: skip
    """End the open records at a position: one output record of those that began by then, if the position was not written yet."""
    n, kept, m = state[N_OPEN], state[N_OPEN], 0
    at = state[N_ENTRIES]
    writes = position > state[PREVIOUS]
    first, any_variant = np.int64(-1), False
    for k in range(n - 1, -1, -1):
        v = rows[k]
        if start[v] > position:
            continue
        if first < 0:
            first = v
        any_variant = any_variant or variant[v]
        if writes:
            entry_row[at + m] = v
        m += 1
        if end[v] - 1 == position or (any_group and not forced and in_group[file[v]]):
            in_open[file[v]] = 0
            for x in range(k, kept - 1):
                rows[x] = rows[x + 1]
            kept -= 1
    state[N_OPEN] = kept
    if m == 0 or not writes:
        return
    if any_variant or want_blocks:
        i = state[N_OUT]
        out_kind[i] = MERGED if any_variant else BLOCK
        out_pos[i] = position
        out_start[i] = position
        out_base[i] = base
        if not any_variant:
            out_start[i] = start[first]
            if state[PREVIOUS] >= 0 and start[first] < state[PREVIOUS] + 1:
                out_start[i] = state[PREVIOUS] + 1
                out_base[i] = state[REF_AFTER]
        entry_offset[i + 1] = at + m
        state[N_OUT] += 1
        state[N_ENTRIES] += m
    state[PREVIOUS] = position
    state[REF_AFTER] = next_base


@jit
def _base(bases, position):
    return np.int64(bases[position]) if 0 <= position < len(bases) else np.int64(0)


@jit
def _flush(low, high, band, bases, inside_first, inside_last, in_group, start, end, variant, file, state, rows, in_open, want_blocks,
           out_kind, out_pos, out_start, out_base, entry_offset, entry_row):  # fmt: skip
    """Stop at every place from low to high where open records end, at every position of variant ones, and before multiples of `band`."""
    if high < low:
        return
    position = low
    while position <= high:
        # the next stop at or after `position`
        best = high + 1
        for k in range(state[N_OPEN]):
            v = rows[k]
            if variant[v]:
                if end[v] > position:
                    best = min(best, max(position, np.int64(start[v])))
            elif end[v] - 1 >= position:
                best = min(best, np.int64(end[v]) - 1)
        if band > 0:
            # 1-based, a record ends at multiples of band less one; the first of them is that of the lower end
            one = low + 1
            multiple = max(2, band) if one < band + 1 else one // band * band
            wanted = position + 2  # the multiple that follows the stop, 1-based
            if multiple < wanted:
                multiple += (wanted - multiple + band - 1) // band * band
            if multiple <= high + 1:
                best = min(best, multiple - 2)
        if best > high:
            return
        if _inside(best, inside_first, inside_last):
            _stop(best, True, _base(bases, best), _base(bases, best + 1), in_group, False, start, end, variant, file, state, rows, in_open,
                  want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
        position = best + 1


@jit
def _has_room(positions, band, variant, state, rows, out_pos, entry_row):
    """Whether what ending the open rows over some positions can give at most fits into the output."""
    n = state[N_OPEN]
    stops = n + 2
    for k in range(n):
        if variant[rows[k]] or band > 0:
            stops = max(stops, positions + 2)
    return state[N_OUT] + stops <= len(out_pos) and state[N_ENTRIES] + stops * (n + 1) <= len(entry_row)


@jit
def sweep(key, start, end, variant, file, next_row, last_row, heap, state, rows, in_open, limit, last, band, bases, inside_first,
          inside_last, want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row):  # fmt: skip
    """Records of one contig whose key is below `limit`, then (with `last`) the end of the contig.

    start, end: int32, 0-based half-open; variant: uint8, has an ALT beside <NON_REF>; file: int32, by row. next_row, last_row: int64 by
    file. heap: int32[files]. rows: int64, the open rows, in_open: uint8 by file. state: see N_OPEN. All of these are updated. band: cut
    blocks before multiples of it, 0 for none. bases: uint8, the contig. inside_first, inside_last: int64, the intervals to write in (none:
    all). Output, as much as fits: out_kind, out_base uint8, out_pos, out_start int32, entry_offset int64, entry_row int64 in the order in
    which alleles are collected. Returns whether it is done; else another call with new output arrays goes on.
    """
    in_group, group = np.zeros(len(in_open), np.uint8), np.empty(len(in_open) + 1, np.int64)
    none = np.zeros(len(in_open), np.uint8)
    while state[N_HEAP] > 0 and key[next_row[heap[0]]] < limit:
        here = key[next_row[heap[0]]]
        p = np.int64(here & 0xFFFFFFFF)
        low = state[PREVIOUS] if state[PREVIOUS] >= 0 or state[N_OPEN] == 0 else np.int64(start[rows[0]])
        if not _has_room(p - low + 1, band, variant, state, rows, out_pos, entry_row):
            return False
        n = 0
        disjoint = True
        while state[N_HEAP] > 0 and key[next_row[heap[0]]] == here:
            f = _pop(heap, state[N_HEAP], key, next_row)
            state[N_HEAP] -= 1
            if n == len(group):
                group = np.append(group, group)
            group[n] = next_row[f]
            n += 1
            in_group[f] = 1
            disjoint = disjoint and not in_open[f]
            next_row[f] += 1
            if next_row[f] < last_row[f]:
                push(heap, state[N_HEAP], f, key, next_row)
                state[N_HEAP] += 1
        if state[N_OPEN] > 0:
            _flush(low, p - 1, band, bases, inside_first, inside_last, none, start, end, variant, file, state, rows, in_open,
                   want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
            disjoint = True
            for k in range(n):
                disjoint = disjoint and not in_open[file[group[k]]]
        if not (state[PREVIOUS] >= 0 and p == state[PREVIOUS] + 1 and disjoint) and p > 0:
            base = _base(bases, p)
            _stop(p - 1, False, base, base, in_group, True, start, end, variant, file, state, rows, in_open, want_blocks, out_kind,
                  out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
        for k in range(n):
            rows[state[N_OPEN]] = group[k]
            state[N_OPEN] += 1
            in_group[file[group[k]]] = 0
        for k in range(state[N_OPEN]):
            in_open[file[rows[k]]] = 1
    if last and state[N_OPEN] > 0:
        high = np.int64(0)
        for k in range(state[N_OPEN]):
            high = max(high, np.int64(end[rows[k]]) - 1)
        low = max(np.int64(start[rows[0]]), state[PREVIOUS])
        if not _has_room(high - low + 2, band, variant, state, rows, out_pos, entry_row):
            return False
        _flush(low, high, band, bases, inside_first, inside_last, none, start, end, variant, file, state, rows, in_open, want_blocks,
               out_kind, out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
        for k in range(state[N_OPEN]):
            in_open[file[rows[k]]] = 0
        state[N_OPEN] = 0
    return True


@jit
def walk(start, end, first, from_position, limit, most, inside_first, inside_last, pos, offset, row):
    """The records of each covered position of a contig: the one that starts there, else all that cover it.

    start, end: int32, rows sorted by start, from `first` on. Positions from `from_position` (0-based) below `limit`, at most `most`, inside
    the intervals (none: everywhere). Output: pos int32; offset int64, row int64 (as much as fits: the walk stops before a position that
    does not). Returns (positions found, where to go on, first row that may cover it, a row that starts where another does or -1).
    """
    n = len(start)
    found = 0
    p = from_position
    while p < limit and found < most:
        while first < n and end[first] <= p:
            first += 1
        if first == n:
            return found, limit, first, np.int64(-1)
        if start[first] > p:
            p = np.int64(start[first])
            continue
        if len(inside_first) > 0 and not _inside(p, inside_first, inside_last):
            k = np.searchsorted(inside_first, p, side="right")
            p = inside_first[k] if k < len(inside_first) else np.int64(limit)
            continue
        m, starts, nearest = offset[found], 0, np.int64(-1)
        k = first
        while k < n and start[k] <= p:
            if start[k] == p:
                starts += 1
                nearest = k
            elif end[k] > p:
                if m == len(row):
                    return found, p, first, np.int64(-1)
                row[m] = k
                m += 1
            k += 1
        if starts > 1:
            return found, p, first, nearest
        if starts == 1:
            m = offset[found]
            if m == len(row):
                return found, p, first, np.int64(-1)
            row[m] = nearest
            m += 1
        if m > offset[found]:
            pos[found] = p
            offset[found + 1] = m
            found += 1
        p += 1
    return found, p, first, np.int64(-1)
