"""Read ends for duplicate marking, and the joining of two ends to a pair in file order."""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.read_ends_scalar import (
    END,
    MATED,
    SINGLE,
    SKIPPED,
    duplex_strand,
    duplicate_score,
    find_tag,
    five_prime,
    location,
    name_hash,
    real_cigar,
    text_end,
    text_tag_hash,
    umi_hash,
)

FF, FR, RR, RF = 2, 3, 4, 5

ENTRY = np.dtype(
    [
        ("index_1", np.int64),
        ("index_2", np.int64),
        ("ref_1", np.int32),
        ("pos_1", np.int32),
        ("ref_2", np.int32),
        ("pos_2", np.int32),
        ("barcode", np.int32),
        ("barcode_1", np.int32),
        ("barcode_2", np.int32),
        ("score", np.int16),
        ("tile", np.int16),
        ("x", np.int16),
        ("y", np.int16),
        ("library", np.int16),
        ("group", np.int16),
        ("orientation", np.int8),
        ("optical_orientation", np.int8),
        ("unused", np.int16),
    ]
)
"""A pair, or a single end (index_2 and pos_2 -1, orientation 0 forward or 1 reverse), 64 bytes. pos: 0-based unclipped 5'."""


@jit
def read_ends(begin, end, batch, settings, group_library, group_number, out):
    """Fill out[begin:end] (END) from records begin..end.

    batch: (data, offset, ref_id, pos, flag, mate_ref_id, mate_pos, name_length, n_cigar, seq_length, read_group), see ReadBatch.
    settings: int64[10]: scoring strategy; 1 to look for locations; 1 to look for barcodes; 1 for duplex barcodes; the two
    letters each of the barcode tags (BARCODE_TAG, READ_ONE_, READ_TWO_), 0 where not used.
    group_library, group_number: int16[groups + 2], by read_group + 2.
    """
    data, offset, ref_id, pos, flag, mate_ref_id, mate_pos, name_length, n_cigar, seq_length, read_group = batch
    for i in range(begin, end):
        f = np.int64(flag[i])
        e = out[i]
        e.index = i
        e.flag = f
        e.problem = 0
        e.kind = SKIPPED
        e.hash_high, e.hash_low, e.ref_id, e.five_prime, e.mate_ref_id = 0, 0, 0, 0, 0
        e.barcode, e.barcode_1, e.barcode_2, e.score, e.library, e.tile, e.x, e.y, e.group = 0, 0, 0, 0, 0, 0, 0, 0, 0
        if f & 0x904:
            continue
        start, stop = offset[i] + 36, offset[i + 1]
        length = np.int64(name_length[i]) - 1
        stored = start + length + 1
        qual = stored + 4 * np.int64(n_cigar[i]) + (np.int64(seq_length[i]) + 1) // 2
        tags = qual + seq_length[i]
        cigar, operations = real_cigar(data, stored, np.int64(n_cigar[i]), np.int64(seq_length[i]), tags, stop)
        five = five_prime(data, cigar, operations, pos[i], f & 16)
        e.ref_id = ref_id[i]
        e.five_prime = five
        e.score = duplicate_score(settings[0], data, start, length, cigar, operations, qual, np.int64(seq_length[i]), f)
        e.library = group_library[read_group[i] + 2]
        e.tile, e.x, e.y, e.group = -1, -1, -1, -1
        if settings[1]:
            found, e.tile, e.x, e.y = location(data, start, length)
            if found:
                e.group = group_number[read_group[i] + 2]
        mated = f & 9 == 1
        e.kind = MATED if mated else SINGLE
        e.mate_ref_id = mate_ref_id[i] if mated else -1
        if mated:
            e.hash_high, e.hash_low = name_hash(data, start, length, read_group[i])
            if read_group[i] < 0:
                e.problem = 1
        if settings[2]:
            _barcodes(data, tags, stop, settings, f, five, ref_id[i], mate_ref_id[i], mate_pos[i], e)


@jit
def _barcodes(data, tags, stop, settings, f, five, ref_id, mate_ref_id, mate_pos, e):
    e.barcode = 31
    if settings[4]:
        tag = find_tag(data, tags, stop, settings[4], settings[5])
        if tag >= 0:
            last = text_end(data, tag + 1, stop)
            strand = -1
            if settings[3]:
                strand = duplex_strand(data, tags, stop, five, ref_id, f, mate_ref_id, mate_pos)
                if strand < 0:
                    e.problem = 4
                    return
            problem, h = umi_hash(data, tag + 1, last, strand)
            if problem:
                e.problem = problem
            e.barcode = np.int32(np.uint32(31) + np.uint32(h))
    if not f & 1 or f & 64:
        e.barcode_1 = text_tag_hash(data, tags, stop, settings[6], settings[7])
    else:
        e.barcode_2 = text_tag_hash(data, tags, stop, settings[8], settings[9])


@jit
def name_runs(data, offset, name_length, base, previous, state, out):
    """Number the runs of equal names: out[i].index = base-based index of the first record of i's run.

    previous: uint8[256], the last name seen (its length in state[0], -1 at the start; the run's index in state[1]); both are
    changed. Source: MarkDuplicates on query-grouped input.
    """
    length, first = state[0], state[1]
    for i in range(out.size):
        n = np.int64(name_length[i]) - 1
        a = data[offset[i] + 36 : offset[i] + 36 + n]
        same = n == length
        if same:
            for j in range(n):
                if a[j] != previous[j]:
                    same = False
                    break
        if not same:
            for j in range(n):
                previous[j] = a[j]
            length, first = n, base + i
        out[i].index = first
    state[0], state[1] = length, first


@jit
def _slot_of(high, low, ref, mask):
    return np.int64((low ^ (np.uint64(ref + 1) * np.uint64(0x9E3779B97F4A7C15))) & mask)


@jit
def join_mates(ends, begin, by_name, keep_all, slots, pool, free, state, pairs, singles):
    """Join mated ends to pairs in file order, from ends[begin] on.

    A mated end looks for one that waits under (its own reference, read group and name); else it waits under its mate's
    reference. Stops early when the table is too full or an output is full: call again from the returned place.

    slots: int32[2^k], -1 or a place in pool (END). free: int32[len(pool)], a stack of unused places. state: int64[4]: free
    places left, then what is set here: pairs made, singles made, the record at fault (or -1: a second end that waits under
    the same key for a mate of a later contig, an error unless by_name). singles: ENTRY, the ends without a mate (keep_all: all ends).
    Returns the next `begin`. Source: MarkDuplicates.buildSortedReadEndLists.
    """
    mask = np.uint64(slots.size - 1)
    n_pairs, n_singles, left = 0, 0, state[0]
    limit = pool.size // 16
    state[3] = -1
    i = begin
    while i < ends.size:
        if left <= limit or n_pairs == pairs.size or n_singles == singles.size:
            break
        e = ends[i]
        i += 1
        if e.kind == SKIPPED:
            continue
        if e.kind == SINGLE or keep_all:
            set_single(singles[n_singles], e)
            n_singles += 1
        if e.kind == SINGLE:
            continue
        s = _find(slots, pool, mask, e.hash_high, e.hash_low, e.ref_id)
        if s >= 0:
            k = slots[s]
            set_pair(pairs[n_pairs], pool[k], e)
            n_pairs += 1
            free[left] = k
            left += 1
            _remove(slots, pool, mask, s)
            continue
        s = _find(slots, pool, mask, e.hash_high, e.hash_low, e.mate_ref_id)
        if s >= 0:
            if not by_name and e.mate_ref_id > e.ref_id:
                state[3] = e.index
                break
            # Picard's map keeps the second one; no mate comes from a contig that has passed, so there the first has none either.
            k = slots[s]
            if not keep_all:
                set_single(singles[n_singles], pool[k])
                n_singles += 1
        else:
            left -= 1
            k = free[left]
            at = np.uint64(_slot_of(e.hash_high, e.hash_low, e.mate_ref_id, mask))
            while slots[at] >= 0:
                at = (at + np.uint64(1)) & mask
            slots[at] = k
        pool[k] = e
    state[0], state[1], state[2] = left, n_pairs, n_singles
    return i


@jit
def _find(slots, pool, mask, high, low, ref):
    at = np.uint64(_slot_of(high, low, ref, mask))
    while slots[at] >= 0:
        p = pool[slots[at]]
        if p.hash_low == low and p.hash_high == high and p.mate_ref_id == ref:
            return np.int64(at)
        at = (at + np.uint64(1)) & mask
    return np.int64(-1)


@jit
def _remove(slots, pool, mask, s):
    """Empty a slot and close the gap behind it."""
    hole = np.uint64(s)
    at = hole
    while True:
        at = (at + np.uint64(1)) & mask
        k = slots[at]
        if k < 0:
            break
        p = pool[k]
        home = np.uint64(_slot_of(p.hash_high, p.hash_low, p.mate_ref_id, mask))
        if ((at - home) & mask) >= ((at - hole) & mask):
            slots[hole] = k
            hole = at
    slots[hole] = -1


@jit
def rehash(old, slots, pool):
    """Enter the places of an old table into a new, larger one (both int32, the new one filled with -1)."""
    mask = np.uint64(slots.size - 1)
    for i in range(old.size):
        k = old[i]
        if k >= 0:
            p = pool[k]
            at = np.uint64(_slot_of(p.hash_high, p.hash_low, p.mate_ref_id, mask))
            while slots[at] >= 0:
                at = (at + np.uint64(1)) & mask
            slots[at] = k


@jit
def orientation(reverse_1, reverse_2):
    """FF, FR, RR or RF."""
    if reverse_1:
        return RR if reverse_2 else RF
    return FR if reverse_2 else FF


@jit
def set_single(s, e):
    """Make a single entry of an end."""
    s.index_1, s.index_2 = e.index, -1
    s.ref_1, s.pos_1, s.ref_2, s.pos_2 = e.ref_id, e.five_prime, e.mate_ref_id, -1
    s.barcode, s.barcode_1, s.barcode_2 = e.barcode, e.barcode_1, e.barcode_2
    s.score, s.tile, s.x, s.y, s.library, s.group = e.score, e.tile, e.x, e.y, e.library, e.group
    s.orientation = 1 if e.flag & 16 else 0
    s.optical_orientation = -1
    s.unused = 0


@jit
def set_pair(s, p, e):
    """Make a pair of the end p, the first in the file, and e. Source: MarkDuplicates.buildSortedReadEndLists."""
    reverse_p, reverse_e = (p.flag & 16) != 0, (e.flag & 16) != 0
    s.barcode, s.barcode_1, s.barcode_2 = p.barcode, p.barcode_1, p.barcode_2
    if e.flag & 64:
        s.optical_orientation = orientation(reverse_e, reverse_p)
        s.barcode_1 = e.barcode_1
    else:
        s.optical_orientation = orientation(reverse_p, reverse_e)
        s.barcode_2 = e.barcode_2
    if e.ref_id > p.ref_id or (e.ref_id == p.ref_id and e.five_prime >= p.five_prime):
        s.index_1, s.ref_1, s.pos_1 = p.index, p.ref_id, p.five_prime
        s.index_2, s.ref_2, s.pos_2 = e.index, e.ref_id, e.five_prime
        o = orientation(reverse_p, reverse_e)
        s.orientation = FR if o == RF and p.ref_id == e.ref_id and p.five_prime == e.five_prime else o
    else:
        s.index_1, s.ref_1, s.pos_1 = e.index, e.ref_id, e.five_prime
        s.index_2, s.ref_2, s.pos_2 = p.index, p.ref_id, p.five_prime
        s.orientation = orientation(reverse_e, reverse_p)
    s.score = np.int16(np.int32(p.score) + np.int32(e.score))
    s.tile, s.x, s.y, s.library, s.group = p.tile, p.x, p.y, p.library, p.group
    s.unused = 0


@jit
def waiting(slots, pool, singles):
    """Write the ends that never met their mate to singles (ENTRY, long enough); returns how many."""
    n = 0
    for i in range(slots.size):
        if slots[i] >= 0:
            set_single(singles[n], pool[slots[i]])
            n += 1
    return n


@jit
def kind_of(f):
    """The kind of a record by its FLAG: 0 unmapped, 1 secondary or supplementary, 2 unpaired, 3 an end of a pair."""
    if f & 4:
        return 0
    if f & 0x900:
        return 1
    return 2 if f & 9 != 1 else 3


@jit
def count_kinds(begin, end, flag, read_group, group_library, counts):
    """Count records begin..end by library and `kind_of`.

    flag: uint16[n]. read_group: int32[n]. group_library: int16, the library by read_group + 2. counts: int64[libraries, 4].
    """
    for i in range(begin, end):
        counts[group_library[read_group[i] + 2], kind_of(np.int64(flag[i]))] += 1


@jit
def count_examined(begin, end, flag, index, counts):
    """Count mapped primary records of begin..end by the index that each stands for: unpaired ones, and ends of pairs.

    flag: uint16[n]. index: int64[n], equal ones side by side; those below 0 are passed over. counts: uint8[m, 2].
    """
    for i in range(begin, end):
        f = np.int64(flag[i])
        if f & 0x904 == 0 and index[i] >= 0:
            counts[index[i], 1 if f & 9 == 1 else 0] += np.uint8(1)


@jit
def first_unplaced(begin, end, flag, ref_id, found):
    """Lower found[0] (int64) to the first unmapped record without a contig. flag: uint16[n]. ref_id: int32[n]."""
    for i in range(begin, min(end, found[0])):
        if ref_id[i] < 0 and flag[i] & 4:
            found[0] = i
            return


@jit
def first_problem(begin, end, ends, found):
    """Lower found[0] (int64) to the first end that cannot be used though its record is looked at. ends: END[n]."""
    for i in range(begin, min(end, found[0])):
        if ends[i].problem > 0 and ends[i].kind > 0:
            found[0] = i
            return


def new_table(places: int):
    """(slots, pool, free, state) of an empty table for `places` waiting ends, for `join_mates`."""
    size = 1
    while size < 2 * places:
        size *= 2
    free = np.arange(places, dtype=np.int32)
    return np.full(size, -1, np.int32), np.zeros(places, END), free, np.array([places, 0, 0, -1], np.int64)


def grow_table(slots, pool, free, state):
    """The same table with twice the places."""
    old = pool.size
    bigger = np.zeros(2 * old, END)
    bigger[:old] = pool
    more = np.empty(2 * old, np.int32)
    left = int(state[0])
    more[:left] = free[:left]
    more[left : left + old] = np.arange(old, 2 * old, dtype=np.int32)
    table = np.full(2 * slots.size, -1, np.int32)
    rehash(slots, table, bigger)
    state[0] = left + old
    return table, bigger, more, state
