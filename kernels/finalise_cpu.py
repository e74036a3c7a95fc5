"""Reads of assembly regions: clipping, order, and qualities of overlapping mates.

A clipped read is a piece of its source row: bases [low, high) of the flat base column, a start and a CIGAR. Clipping kernels work row
by row and write the CIGAR into a room of their own; the others work region by region (or output row by output row).

Source: GATK AssemblyBasedCallerUtils.finalizeRegion, ReadClipper, ClippingOp, ReadUtils, ReadCoordinateComparator, FragmentCollection,
FragmentUtils (behaviour; specification chapter "assembly", section 2).
"""

import numpy as np

from gpugenome.kernels.cigar_cpu import (
    CLIP_MASK,
    OP_H,
    OP_M,
    OP_S,
    READ_MASK,
    REF_MASK,
    builder_add,
    builder_make,
    builder_reset,
    clip_cigar,
    ref_length,
    start_shift,
)
from gpugenome.kernels.launch import jit

PAIRED, MATE_UNMAPPED, REVERSE, MATE_REVERSE = 1, 8, 16, 32
HALF_OF_PCR_QUALITY = 20
START, LOW, HIGH, COUNT = 0, 1, 2, 3  # slots of a read's state: start, bases [low, high), CIGAR elements


@jit
def _set_cigar(cigar, state, words, n):
    for i in range(n):
        cigar[i] = words[i]
    state[COUNT] = n


@jit
def _empty(state):
    state[HIGH] = state[LOW]
    state[COUNT] = 0


@jit
def _clip_left(state, cigar, spare, builder, k):
    """Hard clip the first k read bases."""
    if k <= 0:
        return
    if k >= state[HIGH] - state[LOW]:
        _empty(state)
        return
    now = cigar[: state[COUNT]]
    state[START] += start_shift(now, k)
    _set_cigar(cigar, state, spare, clip_cigar(now, 0, k, OP_H, spare, builder))
    state[LOW] += k


@jit
def _clip_right(state, cigar, spare, builder, k):
    """Hard clip all but the first k read bases."""
    n = state[HIGH] - state[LOW]
    if k >= n:
        return
    if k <= 0:
        _empty(state)
        return
    _set_cigar(cigar, state, spare, clip_cigar(cigar[: state[COUNT]], k, n, OP_H, spare, builder))
    state[HIGH] = state[LOW] + k


@jit
def soft_start(start, cigar):
    """Start of the read when leading soft clips count as aligned."""
    for w in cigar:
        if w & 15 == OP_S:
            start -= np.int64(w >> 4)
        elif w & 15 != OP_H:
            break
    return start


@jit
def read_index(start, cigar, position):
    """(read index, operator) at a reference position, (-1, -1) outside. Soft clips count as aligned; in a deletion: the base after it."""
    r1 = np.int64(soft_start(start, cigar))
    q1 = np.int64(0)
    if position < r1:
        return np.int64(-1), np.int64(-1)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        r0, q0 = r1, q1
        uses_read = (READ_MASK >> op) & 1 == 1
        if uses_read:
            q1 += length
        if (REF_MASK >> op) & 1 or op == OP_S:
            r1 += length
        if r0 <= position < r1:
            return (q0 + position - r0 if uses_read else q0), op
    return np.int64(-1), np.int64(-1)


@jit
def _clip_through(state, cigar, spare, builder, position):
    """Hard clip everything up to and including a reference position."""
    i, op = read_index(state[START], cigar[: state[COUNT]], position)
    if i >= 0:
        _clip_left(state, cigar, spare, builder, i + 1 if (READ_MASK >> op) & 1 else i)


@jit
def _clip_from(state, cigar, spare, builder, position):
    """Hard clip everything from a reference position on."""
    i, _ = read_index(state[START], cigar[: state[COUNT]], position)
    if i >= 0:
        _clip_right(state, cigar, spare, builder, i)


@jit
def _clip_to_span(state, cigar, spare, builder, low, high):
    """Hard clip to [low, high) of the reference; empty where nothing is left."""
    start = state[START]
    end = start + ref_length(cigar[: state[COUNT]])
    if not (start < high and end > low and start < end):
        _empty(state)
        return
    if end > high:
        _clip_from(state, cigar, spare, builder, high)
    if start < low and state[COUNT]:
        # Deletions vanish with the bases beside them, so what the right clip left may end before the span.
        if end > high and low > state[START] + ref_length(cigar[: state[COUNT]]):
            _empty(state)
        else:
            _clip_through(state, cigar, spare, builder, low - 1)
    start = state[START]
    end = start + ref_length(cigar[: state[COUNT]])
    if not (start < end and start < high and end > low):
        _empty(state)


@jit
def mate_is_mapped(flag, mate_ref, mate_start):
    """Whether a paired read has a mate with a position."""
    return flag & PAIRED != 0 and flag & MATE_UNMAPPED == 0 and mate_ref >= 0 and mate_start >= 0


@jit
def has_defined_fragment(start, end, flag, mate_ref, mate_start, tlen):
    """Whether TLEN tells where the fragment ends: a read with its mate on the other strand, facing each other."""
    if tlen == 0 or not mate_is_mapped(flag, mate_ref, mate_start) or (flag & REVERSE != 0) == (flag & MATE_REVERSE != 0):
        return False
    if flag & REVERSE:
        return end - 1 > mate_start
    return start <= np.int64(mate_start) + tlen


@jit
def _revert_soft_clips(state, cigar, spare, builder):
    """S becomes M; bases before the contig's start are hard clipped."""
    n = state[COUNT]
    if not ((CLIP_MASK >> np.int64(cigar[0] & 15)) & 1 or (CLIP_MASK >> np.int64(cigar[n - 1] & 15)) & 1):
        return
    start = soft_start(state[START], cigar[:n])
    builder_reset(builder, 1)
    for w in cigar[:n]:
        op = np.int64(w & 15)
        builder_add(spare, builder, np.int64(w >> 4), OP_M if op == OP_S else op)
    _set_cigar(cigar, state, spare, builder_make(spare, builder))
    state[START] = max(start, 0)
    if start < 0:
        _clip_left(state, cigar, spare, builder, -start)
        state[START] = 0


@jit
def _clip_soft_clips(state, cigar, spare, builder):
    left, right, at, seen = np.int64(0), np.int64(-1), np.int64(0), False
    for w in cigar[: state[COUNT]]:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        if op == OP_S:
            if seen:
                right = at
            else:
                left = at + length
        elif op != OP_H:
            seen = True
        if (READ_MASK >> op) & 1:
            at += length
    if right >= 0:
        _clip_right(state, cigar, spare, builder, right)
    _clip_left(state, cigar, spare, builder, left)


@jit
def _soft_clip_ends(state, cigar, spare, builder, left, right):
    """Make the first `left` bases and those from `right` on soft clips; reads of one or two bases stay."""
    n = state[HIGH] - state[LOW]
    if n <= 2:
        return
    if right < n:
        _set_cigar(cigar, state, spare, clip_cigar(cigar[: state[COUNT]], right, n, OP_S, spare, builder))
    if left > 0:
        now = cigar[: state[COUNT]]
        state[START] += start_shift(now, left)
        _set_cigar(cigar, state, spare, clip_cigar(now, 0, left, OP_S, spare, builder))


@jit
def _clip_low_quality_ends(state, cigar, spare, builder, qual, low_quality, soft):
    """Clip bases of quality <= low_quality from both ends; a read of nothing else is emptied."""
    q = qual[state[LOW] : state[HIGH]]
    left, right = 0, len(q)
    while right > 0 and q[right - 1] <= low_quality:
        right -= 1
    while left < right and q[left] <= low_quality:
        left += 1
    if left >= right:
        _empty(state)
    elif soft:
        _soft_clip_ends(state, cigar, spare, builder, left, right)
    else:
        _clip_right(state, cigar, spare, builder, right)
        _clip_left(state, cigar, spare, builder, left)


@jit
def _clip_adaptor(state, cigar, spare, builder, flag, mate_ref, mate_start, tlen):
    """Hard clip what lies beyond the fragment's end."""
    start = state[START]
    end = start + ref_length(cigar[: state[COUNT]])
    if not has_defined_fragment(start, end, flag, mate_ref, mate_start, tlen):
        return
    boundary = np.int64(mate_start) - 1 if flag & REVERSE else start + abs(np.int64(tlen))
    if start <= boundary < end:
        if flag & REVERSE:
            _clip_through(state, cigar, spare, builder, boundary)
        else:
            _clip_from(state, cigar, spare, builder, boundary)


@jit
def finalise_rows(begin, end, source, row_low, row_high, reads, low_quality, never_revert, soft_ends, room, start, low, high, count, words):
    """Clip rows [begin, end) of (read, region) pairs.

    source: int32, row of the reads' columns; row_low, row_high: int32, padded span of the row's region.
    reads: (start int32, flag uint16, mate_ref int32, mate_start int32, tlen int32, qual uint8, base_offset int64, cigar uint32,
    cigar_offset int64). low_quality: bases up to this quality are clipped from the ends. never_revert: soft clips are always cut off.
    soft_ends: low-quality ends become soft clips. room: int64[rows+1], where a row's CIGAR goes in `words` (two elements more than the
    source's). Output: start int32, low, high int64 (flat base positions), count int32 (CIGAR elements, 0: the read is dropped).
    """
    read_start, read_flag, read_mate_ref, read_mate_start, read_tlen, qual, base_offset, cigars, cigar_offset = reads
    most = 0
    for i in range(begin, end):
        most = max(most, room[i + 1] - room[i])
    cigar, spare = np.empty(most + 4, np.uint32), np.empty(most + 4, np.uint32)
    state, builder = np.empty(4, np.int64), np.empty(5, np.int64)
    for i in range(begin, end):
        r = source[i]
        flag, mate_ref, mate_start, tlen = np.int64(read_flag[r]), read_mate_ref[r], read_mate_start[r], read_tlen[r]
        own = cigars[cigar_offset[r] : cigar_offset[r + 1]]
        state[START], state[LOW], state[HIGH] = read_start[r], base_offset[r], base_offset[r + 1]
        _set_cigar(cigar, state, own, len(own))
        count[i] = 0
        if never_revert or not has_defined_fragment(state[START], state[START] + ref_length(own), flag, mate_ref, mate_start, tlen):
            _clip_soft_clips(state, cigar, spare, builder)
        else:
            _revert_soft_clips(state, cigar, spare, builder)
        _clip_low_quality_ends(state, cigar, spare, builder, qual, low_quality, soft_ends)
        if ref_length(cigar[: state[COUNT]]) == 0:
            continue
        _clip_adaptor(state, cigar, spare, builder, flag, mate_ref, mate_start, tlen)
        _clip_to_span(state, cigar, spare, builder, np.int64(row_low[i]), np.int64(row_high[i]))
        start[i], low[i], high[i], count[i] = state[START], state[LOW], state[HIGH], state[COUNT]
        for k in range(state[COUNT]):
            words[room[i] + k] = cigar[k]


@jit
def unclipped_bases(state, cigar):
    """Read bases without the soft-clipped ones."""
    n = state[HIGH] - state[LOW]
    for w in cigar[: state[COUNT]]:
        if w & 15 == OP_S:
            n -= np.int64(w >> 4)
    return n


@jit
def clip_rows(begin, end, rows, row_low, row_high, least, begins, base_offset, cigars, cigar_offset, room, start, low, high, count, words):
    """Hard clip rows [begin, end) of region reads to a span each.

    rows: int64, into begins (int32, start), base_offset and cigar_offset. row_low, row_high: int32, span by row. least: reads with fewer
    bases (without soft clips) are dropped. The others as in `finalise_rows`.
    """
    most = 0
    for i in range(begin, end):
        most = max(most, room[i + 1] - room[i])
    cigar, spare = np.empty(most + 4, np.uint32), np.empty(most + 4, np.uint32)
    state, builder = np.empty(4, np.int64), np.empty(5, np.int64)
    for i in range(begin, end):
        r = rows[i]
        own = cigars[cigar_offset[r] : cigar_offset[r + 1]]
        state[START], state[LOW], state[HIGH] = begins[r], base_offset[r], base_offset[r + 1]
        _set_cigar(cigar, state, own, len(own))
        _clip_to_span(state, cigar, spare, builder, np.int64(row_low[i]), np.int64(row_high[i]))
        if unclipped_bases(state, cigar) < least:
            _empty(state)
        start[i], low[i], high[i], count[i] = state[START], state[LOW], state[HIGH], state[COUNT]
        for k in range(state[COUNT]):
            words[room[i] + k] = cigar[k]


@jit
def compare_bytes(a, b):
    """-1, 0 or 1: order of two byte strings, unsigned, a prefix first."""
    for i in range(min(len(a), len(b))):
        if a[i] != b[i]:
            return -1 if a[i] < b[i] else 1
    return 0 if len(a) == len(b) else (-1 if len(a) < len(b) else 1)


@jit
def _goes_after(i, j, source, start, reads):
    """Whether row i stands after row j in GATK's order of reads (False for equal rows)."""
    if start[i] != start[j]:
        return start[i] > start[j]
    flag, mapq, mate_ref, mate_start, tlen, name, name_offset = reads
    a, b = source[i], source[j]
    fa, fb = np.int64(flag[a]), np.int64(flag[b])
    if (fa ^ fb) & REVERSE:
        return fa & REVERSE != 0
    order = compare_bytes(name[name_offset[a] : name_offset[a + 1]], name[name_offset[b] : name_offset[b + 1]])
    if order != 0:
        return order > 0
    if fa != fb:
        return fa > fb
    if mapq[a] != mapq[b]:
        return mapq[a] > mapq[b]
    if fa & fb & PAIRED:
        mapped_a, mapped_b = mate_is_mapped(fa, mate_ref[a], mate_start[a]), mate_is_mapped(fb, mate_ref[b], mate_start[b])
        ma, mb = mate_ref[a] if mapped_a else -1, mate_ref[b] if mapped_b else -1
        if ma != mb:
            return ma > mb
        sa, sb = mate_start[a] if mapped_a else -1, mate_start[b] if mapped_b else -1
        if sa != sb:
            return sa > sb
    return tlen[a] > tlen[b]


@jit
def sort_rows(begin, end, region_offset, rows, source, start, reads):
    """Put rows[region_offset[g]:region_offset[g+1]] (int64) of regions [begin, end) into GATK's order of reads: stable merges of runs.

    reads: (flag uint16, mapq uint8, mate_ref int32, mate_start int32, tlen int32, name uint8, name_offset int64) by source[row].
    """
    most = np.int64(0)
    for g in range(begin, end):
        most = max(most, region_offset[g + 1] - region_offset[g])
    spare = np.empty(most, np.int64)
    for g in range(begin, end):
        mine = rows[region_offset[g] : region_offset[g + 1]]
        n = len(mine)
        width = 1
        while width < n:
            for a in range(0, n - width, 2 * width):
                middle, stop = a + width, min(a + 2 * width, n)
                if not _goes_after(mine[middle - 1], mine[middle], source, start, reads):
                    continue
                for k in range(a, middle):
                    spare[k] = mine[k]
                i, j, k = a, middle, a
                while i < middle:
                    if j < stop and _goes_after(spare[i], mine[j], source, start, reads):
                        mine[k] = mine[j]
                        j += 1
                    else:
                        mine[k] = spare[i]
                        i += 1
                    k += 1
            width *= 2


@jit
def fill_rows(begin, end, rows, base, qual, low, room, words, new_base, new_qual, base_offset, cigar, cigar_offset):
    """Copy the bases, qualities and CIGARs of rows[begin:end] (int64, rows of low and room) to where the offsets say."""
    for i in range(begin, end):
        r = rows[i]
        n = base_offset[i + 1] - base_offset[i]
        to_base, from_base = new_base[base_offset[i] : base_offset[i + 1]], base[low[r] : low[r] + n]
        to_qual, from_qual = new_qual[base_offset[i] : base_offset[i + 1]], qual[low[r] : low[r] + n]
        for k in range(n):
            to_base[k] = from_base[k]
            to_qual[k] = from_qual[k]
        for k in range(cigar_offset[i + 1] - cigar_offset[i]):
            cigar[cigar_offset[i] + k] = words[room[r] + k]


@jit
def _lower_qualities(i, j, start, base, qual, base_offset, cigar, cigar_offset):
    """Cap the qualities of two overlapping mates where their bases agree, set them to 0 where not; index by index from the later start."""
    ci, cj = cigar[cigar_offset[i] : cigar_offset[i + 1]], cigar[cigar_offset[j] : cigar_offset[j + 1]]
    if not soft_start(np.int64(start[i]), ci) < soft_start(np.int64(start[j]), cj):
        i, j, ci, cj = j, i, cj, ci
    last_i, last_j = np.int64(start[i]) + ref_length(ci) - 1, np.int64(start[j]) + ref_length(cj) - 1
    if last_i < start[j]:
        return
    at_i, op = read_index(np.int64(start[i]), ci, np.int64(start[j]))
    if at_i < 0 or (CLIP_MASK >> op) & 1:
        return
    at_j, _ = read_index(np.int64(start[j]), cj, np.int64(start[j]))
    end_i, _ = read_index(np.int64(start[i]), ci, last_i)
    end_j, _ = read_index(np.int64(start[j]), cj, last_j)
    for k in range(min(end_i - at_i, end_j - at_j) + 1):
        p, q = base_offset[i] + at_i + k, base_offset[j] + at_j + k
        if base[p] == base[q]:
            qual[p] = min(qual[p], np.uint8(HALF_OF_PCR_QUALITY))
            qual[q] = min(qual[q], np.uint8(HALF_OF_PCR_QUALITY))
        else:
            qual[p] = 0
            qual[q] = 0


@jit
def _hash(name):
    h = np.uint64(14695981039346656037)
    for c in name:
        h = (h ^ np.uint64(c)) * np.uint64(1099511628211)
    return h ^ (h >> np.uint64(29))


@jit
def lower_overlapping_mates(begin, end, region_offset, source, start, base, qual, base_offset, cigar, cigar_offset, reads):
    """Correct the qualities of overlapping mates in regions [begin, end), in place in `qual`. Rows are in order.

    reads: (flag, mate_ref, mate_start, sample, name, name_offset) by source[row]. A row pairs with the first earlier row of its name and
    sample that waits for a mate; rows that end before their mate's start do not take part.
    """
    flag, mate_ref, mate_start, sample, name, name_offset = reads
    most = np.int64(0)
    for g in range(begin, end):
        most = max(most, region_offset[g + 1] - region_offset[g])
    size = 16
    while size < 2 * most:
        size *= 2
    key, waiting = np.empty(size, np.int64), np.empty(size, np.int64)  # a row of the slot's name (-1: free), the row that waits
    for g in range(begin, end):
        slots = 16
        while slots < 2 * (region_offset[g + 1] - region_offset[g]):
            slots *= 2
        key[:slots] = -1
        for i in range(region_offset[g], region_offset[g + 1]):
            r = source[i]
            if not mate_is_mapped(np.int64(flag[r]), mate_ref[r], mate_start[r]):
                continue
            if mate_start[r] >= start[i] + ref_length(cigar[cigar_offset[i] : cigar_offset[i + 1]]):
                continue
            mine = name[name_offset[r] : name_offset[r + 1]]
            s = np.int64(_hash(mine) & np.uint64(slots - 1))
            while key[s] >= 0:
                o = source[key[s]]
                if sample[o] == sample[r] and compare_bytes(mine, name[name_offset[o] : name_offset[o + 1]]) == 0:
                    break
                s = (s + 1) & (slots - 1)
            if key[s] < 0:
                key[s] = i
                waiting[s] = i
            elif waiting[s] < 0:
                waiting[s] = i
            else:
                _lower_qualities(waiting[s], i, start, base, qual, base_offset, cigar, cigar_offset)
                waiting[s] = -1
