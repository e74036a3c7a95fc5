"""Sort keys of alignment records, their ties, and the sorting of a run of ties: shared by the CPU and the CUDA twin.

Records are reached by address.
"""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import load_i32, load_u8, load_u16, load_u32

NO_REFERENCE = np.uint64(0x7FFFFFFF)
SMALL_RUN = 24


@jit
def coordinate_key(ref_id, pos, flag):
    """The packed start of the coordinate order: reference (none last), position, strand, in one uint64.

    31 bits reference, 32 bits position + 1, 1 bit strand. Records without a reference have no position in the order
    (Picard compares them by strand and name straight away).
    Source: htsjdk SAMRecordCoordinateComparator.
    """
    strand = np.uint64((flag >> 4) & 1)
    if ref_id < 0:
        return NO_REFERENCE << np.uint64(33) | strand
    place = np.uint64(np.int64(pos) + 1) & np.uint64(0xFFFFFFFF)
    return np.uint64(ref_id) << np.uint64(33) | place << np.uint64(1) | strand


@jit
def name_word(data, start, length, depth):
    """Bytes depth..depth+8 of a name as a big-endian uint64, zero past its end, so that words compare as the names do."""
    word = np.uint64(0)
    for i in range(8):
        at = depth + i
        word <<= np.uint64(8)
        if at < length:
            word |= np.uint64(data[start + at])
    return word


@jit
def record_key(record):
    """`coordinate_key` of the record at an address."""
    return coordinate_key(load_i32(record + 4), load_i32(record + 8), load_u16(record + 18))


@jit
def _compare_names(x, y):
    """Compare the names of two records, a prefix first: Java's String.compareTo for ASCII."""
    a, b = np.int64(load_u8(x + 12)) - 1, np.int64(load_u8(y + 12)) - 1
    for i in range(36, 36 + min(a, b)):
        c = np.int64(load_u8(x + i)) - np.int64(load_u8(y + i))
        if c != 0:
            return c
    return a - b


@jit
def compare_coordinate_ties(x, y):
    """The rest of the coordinate order for two record addresses with equal coordinate keys.

    Name, flag, mapping quality, mate's reference (none first here), mate's position, template length.
    Source: htsjdk SAMRecordCoordinateComparator.
    """
    c = _compare_names(x, y)
    if c == 0:
        c = np.int64(load_u16(x + 18)) - np.int64(load_u16(y + 18))
    if c == 0:
        c = np.int64(load_u8(x + 13)) - np.int64(load_u8(y + 13))
    for at in range(24, 36, 4):
        if c == 0:
            c = np.int64(load_i32(x + at)) - np.int64(load_i32(y + at))
    return c


@jit
def hit_index(record):
    """(found, value) of the integer tag HI in the record at an address."""
    bases = np.int64(load_i32(record + 20))
    at = record + 36 + np.int64(load_u8(record + 12)) + 4 * np.int64(load_u16(record + 16)) + (bases + 1) // 2 + bases
    end = record + 4 + np.int64(load_u32(record))
    while at + 3 <= end:
        kind = load_u8(at + 2)
        width = np.int64(4)
        if kind == 65 or kind == 67 or kind == 99:
            width = 1
        elif kind == 83 or kind == 115:
            width = 2
        elif kind == 90 or kind == 72:
            width = 0
            while at + 3 + width < end and load_u8(at + 3 + width) != 0:
                width += 1
            width += 1
        elif kind == 66:
            sub = load_u8(at + 3)
            w = 1 if sub == 67 or sub == 99 else 2 if sub == 83 or sub == 115 else 4
            width = 5 + w * np.int64(load_i32(at + 4))
        if load_u8(at) == 72 and load_u8(at + 1) == 73 and kind != 90 and kind != 72 and kind != 65 and kind != 66 and kind != 102:
            v = np.int64(0)
            for j in range(width):
                v |= np.int64(load_u8(at + 3 + j)) << (8 * j)
            if kind == 99 and v > 127:
                v -= 256
            elif kind == 115 and v > 32767:
                v -= 65536
            elif kind == 105 and v > 2147483647:
                v -= 4294967296
            return True, v
        at += 3 + width
    return False, np.int64(0)


@jit
def compare_picard_name_ties(x, y):
    """The rest of Picard's query-name order for two record addresses with equal names.

    Paired first, then first of pair, forward strand, primary, not supplementary, then HI.
    Source: htsjdk SAMRecordQueryNameComparator.
    """
    f, g = np.int64(load_u16(x + 18)), np.int64(load_u16(y + 18))
    if (f | g) & 1:
        if not f & 1:
            return np.int64(1)
        if not g & 1:
            return np.int64(-1)
        if f & 64 and g & 128:
            return np.int64(-1)
        if f & 128 and g & 64:
            return np.int64(1)
    for bit in (16, 256, 2048):
        if (f ^ g) & bit:
            return np.int64(1 if f & bit else -1)
    has_a, hi_a = hit_index(x)
    has_b, hi_b = hit_index(y)
    if has_a != has_b:
        return np.int64(1 if has_a else -1)
    return hi_a - hi_b


@jit
def compare_samtools_name_ties(x, y):
    """The rest of samtools' query-name order for two record addresses with equal names: first/second, primary, supplementary."""
    f, g = np.int64(load_u16(x + 18)), np.int64(load_u16(y + 18))
    return (((f & 0xC0) << 8) | ((f & 0x100) << 3) | ((f & 0x800) >> 3)) - (
        ((g & 0xC0) << 8) | ((g & 0x100) << 3) | ((g & 0x800) >> 3)
    )


@jit
def _compare_ties(rule, x, y):
    if rule == 0:
        return compare_coordinate_ties(x, y)
    if rule == 1:
        return compare_picard_name_ties(x, y)
    return compare_samtools_name_ties(x, y)


@jit
def sort_run(rule, address, order, a, b, scratch):
    """Stable sort of order[a:b] by a tie rule over record addresses: insertion sort of short pieces, then merges.

    rule: 0 coordinate, 1 Picard query name, 2 samtools query name. scratch: int64, at least b - a long.
    """
    n = b - a
    piece = SMALL_RUN
    for s in range(a, b, piece):
        for i in range(s + 1, min(s + piece, b)):
            v = order[i]
            j = i
            while j > s and _compare_ties(rule, address[v], address[order[j - 1]]) < 0:
                order[j] = order[j - 1]
                j -= 1
            order[j] = v
    while piece < n:
        for s in range(0, n, 2 * piece):
            i, i_end, j, j_end, k = s, min(s + piece, n), min(s + piece, n), min(s + 2 * piece, n), s
            while i < i_end or j < j_end:
                if j >= j_end or (i < i_end and _compare_ties(rule, address[order[a + j]], address[order[a + i]]) >= 0):
                    scratch[k] = order[a + i]
                    i += 1
                else:
                    scratch[k] = order[a + j]
                    j += 1
                k += 1
        for i in range(n):
            order[a + i] = scratch[i]
        piece *= 2
