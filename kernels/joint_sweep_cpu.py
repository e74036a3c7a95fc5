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
_RING = 1024
"""Positions whose ends are kept apart; open rows that end later wait together until it has moved on."""
_ROW, _NEXT, _BEFORE, _OLDER, _BUCKET, _NEXT_IN_BUCKET, _BEFORE_IN_BUCKET = 0, 1, 2, 3, 4, 5, 6
"""Columns of `node` (int64[nodes, 8]), an open row each: its number; the nodes that came after and before it; the one of its file that
came before; the bucket of its end, and its neighbours there. -1: none."""
_FIRST, _LAST, _FREE, _NODES, _VARIANTS, _BASE, _CURSOR, _REVIVED = 0, 1, 2, 3, 4, 5, 6, 7
"""Places in `place` (int64[8]): the first and the last open node, the first unused one (they go on by _NEXT), nodes that were ever used,
variants that are open, the first position of the ring, the first one where no ends were looked for yet, the number of
files in `revived`."""


@jit
def push(heap, n, file, head):
    """Add a file to the heap of n files. head: int64, the key of each file's next row."""
    k = n
    while k > 0:
        parent = (k - 1) >> 1
        if head[file] >= head[heap[parent]]:
            break
        heap[k] = heap[parent]
        k = parent
    heap[k] = file


@jit
def _pop(heap, n, head):
    """Take the first file off the heap of n files."""
    top = heap[0]
    n -= 1
    x = heap[n]
    if n > 0:
        k, mine = 0, head[x]
        while k < n >> 1:
            child = 2 * k + 1
            least = head[heap[child]]
            if child + 1 < n and least > head[heap[child + 1]]:
                child += 1
                least = head[heap[child]]
            if mine <= least:
                break
            heap[k] = heap[child]
            k = child
        heap[k] = x
    return top


@jit
def _into_bucket(node, bucket, x, b):
    """Put a node into bucket b."""
    y = bucket[b]
    node[x, _BUCKET], node[x, _NEXT_IN_BUCKET], node[x, _BEFORE_IN_BUCKET] = b, y, -1
    if y >= 0:
        node[y, _BEFORE_IN_BUCKET] = x
    bucket[b] = x


@jit
def _out_of_bucket(node, bucket, x):
    """Take a node out of its bucket, if it is in one."""
    b = node[x, _BUCKET]
    if b < 0:
        return
    after, before = node[x, _NEXT_IN_BUCKET], node[x, _BEFORE_IN_BUCKET]
    if before >= 0:
        node[before, _NEXT_IN_BUCKET] = after
    else:
        bucket[b] = after
    if after >= 0:
        node[after, _BEFORE_IN_BUCKET] = before
    node[x, _BUCKET] = -1


@jit
def _bucket_of(base, last):
    """The bucket of rows whose last position is this: the ring's, or the one of all later ones (-1: before the ring)."""
    return -1 if last < base else (last & (_RING - 1) if last < base + _RING else _RING)


@jit
def _move_ring(node, bucket, place, position, end):
    """Let the ring begin at a position. Rows that ended before it stay open (they ended outside of the intervals), without a bucket."""
    for b in range(_RING):
        while bucket[b] >= 0:
            _out_of_bucket(node, bucket, bucket[b])
    place[_BASE], place[_CURSOR] = position, max(place[_CURSOR], position)
    x = bucket[_RING]
    while x >= 0:
        after = node[x, _NEXT_IN_BUCKET]
        b = _bucket_of(position, np.int64(end[node[x, _ROW]]) - 1)
        if b != _RING:
            _out_of_bucket(node, bucket, x)
            if b >= 0:
                _into_bucket(node, bucket, x, b)
        x = after


@jit
def _open(node, bucket, place, newest, row, file, start, end, variant):
    """Add a row of a file to the open ones. variant: int64, whether it is one."""
    x = place[_FREE]
    if x >= 0:
        place[_FREE] = node[x, _NEXT]
    else:
        x = place[_NODES]
        place[_NODES] += 1
    before = place[_LAST]
    node[x, _ROW], node[x, _NEXT], node[x, _BEFORE], node[x, _OLDER], node[x, _BUCKET] = row, -1, before, newest[file], -1
    if before >= 0:
        node[before, _NEXT] = x
    else:
        place[_FIRST] = x
    place[_LAST] = newest[file] = x
    place[_VARIANTS] += variant
    b = _bucket_of(place[_BASE], np.int64(end) - 1)
    if b >= 0 and end > start:
        _into_bucket(node, bucket, x, b)


@jit
def _close(node, bucket, place, newest, x, variant, file, state, in_open, revived):
    """Take a node off the open ones. revived: files of which a row was closed since the last group, and others are open."""
    row = node[x, _ROW]
    f = file[row]
    after, before = node[x, _NEXT], node[x, _BEFORE]
    if before >= 0:
        node[before, _NEXT] = after
    else:
        place[_FIRST] = after
    if after >= 0:
        node[after, _BEFORE] = before
    else:
        place[_LAST] = before
    if newest[f] == x:
        newest[f] = node[x, _OLDER]
    else:
        y = newest[f]
        while node[y, _OLDER] != x:
            y = node[y, _OLDER]
        node[y, _OLDER] = node[x, _OLDER]
    _out_of_bucket(node, bucket, x)
    node[x, _NEXT] = place[_FREE]
    place[_FREE] = x
    place[_VARIANTS] -= variant[row]
    state[N_OPEN] -= 1
    if newest[f] >= 0 and in_open[f]:
        revived[place[_REVIVED]] = f
        place[_REVIVED] += 1
    in_open[f] = 0


@jit
def _inside(position, first, last):
    """Whether a position lies in any of the intervals first[k] <= p < last[k] (none: yes)."""
    if len(first) == 0:
        return True
    k = np.searchsorted(first, position, side="right") - 1
    return k >= 0 and position < last[k]


@jit
def _stop(position, forced, base, next_base, in_group, start, end, variant, file, state, node, bucket, place, newest, in_open, revived,
          want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row):  # fmt: skip
    """End the open records at a position: one output record of those that began by then, if the position was not written yet."""
    m = 0
    at = state[N_ENTRIES]
    writes = position > state[PREVIOUS]
    first, any_variant = np.int64(-1), False
    x = place[_LAST]
    while x >= 0:
        before, v = node[x, _BEFORE], node[x, _ROW]
        if start[v] <= position:
            if first < 0:
                first = v
            any_variant = any_variant or variant[v]
            if writes:
                entry_row[at + m] = v
            m += 1
            if end[v] - 1 == position or (not forced and in_group[file[v]]):
                _close(node, bucket, place, newest, x, variant, file, state, in_open, revived)
        x = before
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
def _stop_silently(position, next_base, group, end, variant, file, state, node, bucket, place, newest, in_open, revived):
    """`_stop` where no record is written. group: rows whose files' open rows end, too."""
    if state[N_OPEN] == 0:
        return
    b = _bucket_of(place[_BASE], position)
    if b == _RING:
        _move_ring(node, bucket, place, position, end)
        b = _bucket_of(position, position)
    while b >= 0 and bucket[b] >= 0:
        _close(node, bucket, place, newest, bucket[b], variant, file, state, in_open, revived)
    for v in group:
        while newest[file[v]] >= 0:
            _close(node, bucket, place, newest, newest[file[v]], variant, file, state, in_open, revived)
    if position > state[PREVIOUS]:
        state[PREVIOUS] = position
        state[REF_AFTER] = next_base


@jit
def _base(bases, position):
    return np.int64(bases[position]) if 0 <= position < len(bases) else np.int64(0)


@jit
def _next_stop(position, low, high, band, start, end, variant, node, place):
    """The first place from `position` to `high` where open records end or variant ones are, or a block is cut (high + 1: none)."""
    best = high + 1
    x = place[_FIRST]
    while x >= 0:
        v = node[x, _ROW]
        if variant[v]:
            if end[v] > position:
                best = min(best, max(position, np.int64(start[v])))
        elif end[v] - 1 >= position:
            best = min(best, np.int64(end[v]) - 1)
        x = node[x, _NEXT]
    if band > 0:
        # 1-based, a record ends at multiples of band less one; the first of them is that of the lower end
        one = low + 1
        multiple = max(2, band) if one < band + 1 else one // band * band
        wanted = position + 2  # the multiple that follows the stop, 1-based
        if multiple < wanted:
            multiple += (wanted - multiple + band - 1) // band * band
        if multiple <= high + 1:
            best = min(best, multiple - 2)
    return best


@jit
def _next_end(position, high, end, node, bucket, place):
    """The first place from `position` to `high` where open records end (high + 1: none)."""
    p = max(position, place[_CURSOR])
    while p <= high:
        if p >= place[_BASE] + _RING:
            _move_ring(node, bucket, place, p, end)
        if bucket[p & (_RING - 1)] >= 0:
            break
        p += 1
    place[_CURSOR] = max(place[_CURSOR], p)
    return p


@jit
def _flush(low, high, band, bases, inside_first, inside_last, in_group, start, end, variant, file, state, node, bucket, place, newest,
           in_open, revived, want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row):  # fmt: skip
    """Stop at every place from low to high where open records end, at every position of variant ones, and before multiples of `band`."""
    position = low
    none = in_group[:0].astype(np.int64)
    while position <= high and state[N_OPEN] > 0:
        silent = place[_VARIANTS] == 0 and not want_blocks
        if silent:
            best = _next_end(position, high, end, node, bucket, place)
        else:
            best = _next_stop(position, low, high, band, start, end, variant, node, place)
        if best > high:
            return
        if _inside(best, inside_first, inside_last):
            if silent:
                _stop_silently(best, _base(bases, best + 1), none, end, variant, file, state, node, bucket, place, newest, in_open, revived)
            else:
                _stop(best, True, _base(bases, best), _base(bases, best + 1), in_group, start, end, variant, file, state, node, bucket,
                      place, newest, in_open, revived, want_blocks, out_kind, out_pos, out_start, out_base, entry_offset,
                      entry_row)  # fmt: skip
        position = best + 1


@jit
def _has_room(positions, band, variants, state, out_pos, entry_row):
    """Whether what ending the open rows over some positions can give at most fits into the output."""
    n = state[N_OPEN]
    stops = max(n, positions) + 2 if variants > 0 or band > 0 else n + 2
    return state[N_OUT] + stops <= len(out_pos) and state[N_ENTRIES] + stops * (n + 1) <= len(entry_row)


@jit
def _listed(rows, node, place):
    """Write down the open rows in the order of their arrival."""
    x, k = place[_FIRST], 0
    while x >= 0:
        rows[k] = node[x, _ROW]
        k += 1
        x = node[x, _NEXT]


@jit
def needed(start, end, variant, limit, span_start, span_end, inside_first, inside_last, out):
    """Rows of one file that a sweep without blocks needs where the order of files does not matter: out int64; returns how many.

    start, end: int32, variant: uint8, by row, in order. limit: rows that begin there or later, or reach beyond it, are needed. span_start,
    span_end: int64, places that variants of any file cover, sorted and apart. inside_first, inside_last: as of `sweep`.

    A block that no variant overlaps is opened and closed between two output records, which do not show it: it ends at its last position,
    no open row begins or ends with it, and where the last position before a variant lies makes no difference. One that ends outside of the
    intervals stays open until the next row of its file begins, so that both are needed.
    """
    n, k, stays = 0, 0, True
    for i in range(len(start)):
        while k < len(span_start) and span_end[k] <= start[i]:
            k += 1
        use = stays or variant[i] > 0 or start[i] >= limit or end[i] > limit or (k < len(span_start) and span_start[k] < end[i])
        stays = len(inside_first) > 0 and not _inside(np.int64(end[i]) - 1, inside_first, inside_last)
        if use or stays or end[i] <= start[i]:
            out[n] = i
            n += 1
    return n


@jit
def sweep(key, start, end, variant, file, next_row, last_row, heap, state, rows, in_open, limit, last, band, bases, inside_first,
          inside_last, want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row):  # fmt: skip
    """Records of one contig whose key is below `limit`, then (with `last`) the end of the contig.

    start, end: int32, 0-based half-open; variant: uint8, has an ALT beside <NON_REF>; file: int32, by row. next_row, last_row: int64 by
    file. heap: int32[files]. rows: int64, the open rows, in_open: uint8 by file. state: see N_OPEN. All of these are updated. band: cut
    blocks before multiples of it, 0 for none (with want_blocks). bases: uint8, the contig. inside_first, inside_last: int64, the intervals
    to write in (none: all). Output, as much as fits: out_kind, out_base uint8, out_pos, out_start int32, entry_offset int64, entry_row
    int64 in the order in which alleles are collected. Returns whether it is done; else another call with new output arrays goes on.

    What a row costs does not grow with the rows that are open, but where records are written: these take all of them.
    """
    files = len(in_open)
    in_group, group, revived = np.zeros(files, np.uint8), np.empty(files + 1, np.int64), np.empty(files, np.int64)
    none = np.zeros(files, np.uint8)
    head = np.zeros(files, np.int64)
    for k in range(state[N_HEAP]):
        head[heap[k]] = key[next_row[heap[k]]]
    node, bucket, newest = np.empty((len(rows), 8), np.int64), np.full(_RING + 1, -1, np.int64), np.full(files, -1, np.int64)
    place = np.zeros(8, np.int64)
    place[_FIRST] = place[_LAST] = place[_FREE] = -1
    if state[N_OPEN] > 0:
        place[_BASE] = place[_CURSOR] = state[PREVIOUS] if state[PREVIOUS] >= 0 else start[rows[0]]
    for k in range(state[N_OPEN]):
        v = rows[k]
        _open(node, bucket, place, newest, v, file[v], start[v], end[v], np.int64(variant[v]))
    while state[N_HEAP] > 0 and head[heap[0]] < limit:
        here = head[heap[0]]
        p = np.int64(here & 0xFFFFFFFF)
        low = state[PREVIOUS] if state[PREVIOUS] >= 0 or state[N_OPEN] == 0 else np.int64(start[node[place[_FIRST], _ROW]])
        writes = want_blocks or place[_VARIANTS] > 0
        if writes and not _has_room(p - low + 1, band, place[_VARIANTS], state, out_pos, entry_row):
            _listed(rows, node, place)
            return False
        n = 0
        while state[N_HEAP] > 0 and head[heap[0]] == here:
            f = _pop(heap, state[N_HEAP], head)
            state[N_HEAP] -= 1
            if n == len(group):
                group = np.append(group, group)
            group[n] = next_row[f]
            n += 1
            in_group[f] = 1
            next_row[f] += 1
            if next_row[f] < last_row[f]:
                head[f] = key[next_row[f]]
                push(heap, state[N_HEAP], f, head)
                state[N_HEAP] += 1
        if state[N_OPEN] > 0:
            _flush(low, p - 1, band, bases, inside_first, inside_last, none, start, end, variant, file, state, node, bucket, place, newest,
                   in_open, revived, want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
        disjoint = True
        for k in range(n):
            disjoint = disjoint and not in_open[file[group[k]]]
        if not (state[PREVIOUS] >= 0 and p == state[PREVIOUS] + 1 and disjoint) and p > 0:
            base = _base(bases, p)
            if want_blocks or place[_VARIANTS] > 0:
                _stop(p - 1, False, base, base, in_group, start, end, variant, file, state, node, bucket, place, newest, in_open, revived,
                      want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
            else:
                _stop_silently(p - 1, base, group[:n], end, variant, file, state, node, bucket, place, newest, in_open, revived)
        for k in range(place[_REVIVED]):
            in_open[revived[k]] = newest[revived[k]] >= 0
        place[_REVIVED] = 0
        for k in range(n):
            v = group[k]
            _open(node, bucket, place, newest, v, file[v], start[v], end[v], np.int64(variant[v]))
            state[N_OPEN] += 1
            in_group[file[v]] = 0
            in_open[file[v]] = 1
    if last and state[N_OPEN] > 0:
        high = np.int64(0)
        x = place[_FIRST]
        while x >= 0:
            high = max(high, np.int64(end[node[x, _ROW]]) - 1)
            x = node[x, _NEXT]
        low = max(np.int64(start[node[place[_FIRST], _ROW]]), state[PREVIOUS])
        if not _has_room(high - low + 2, band, place[_VARIANTS], state, out_pos, entry_row):
            _listed(rows, node, place)
            return False
        _flush(low, high, band, bases, inside_first, inside_last, none, start, end, variant, file, state, node, bucket, place, newest,
               in_open, revived, want_blocks, out_kind, out_pos, out_start, out_base, entry_offset, entry_row)  # fmt: skip
        in_open[:] = 0
        state[N_OPEN] = 0
        return True
    _listed(rows, node, place)
    return True


@jit
def walk(start, end, first, from_position, limit, most, inside_first, inside_last, every, pos, offset, row):
    """The records of each covered position of a contig: the one that starts there, else all that cover it; with `every` always these.

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
            if start[k] == p and not every:
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
