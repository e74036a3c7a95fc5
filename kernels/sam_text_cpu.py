"""SAM lines to BAM records: the same bytes as htslib makes of them (integer tags in their narrowest type, bin of the alignment).

Source: SAM specification 1.4, 1.5 (text), 4.2 (records).
"""

import numpy as np
from numba import types

from gpugenome.kernels.fastq_cpu import find_byte
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import copy_bytes, load_u8, store_i32, store_u8, store_u16, store_u32
from gpugenome.kernels.sam_tags_cpu import region_bin

OK, FEW_FIELDS, BAD_NUMBER, UNKNOWN_CONTIG, BAD_CIGAR, BAD_SEQUENCE, BAD_TAG, BAD_NAME = range(8)
"""What `encode_lines` finds wrong."""

_to_double = types.ExternalFunction("strtod", types.float64(types.int64, types.int64))

BASE_CODE = np.full(256, 15, np.uint8)
for _i, _c in enumerate("=ACMGRSVTWYHKDBN"):
    BASE_CODE[ord(_c)] = BASE_CODE[ord(_c.lower())] = _i
BASE_CODE[ord(".")] = 15
OP_CODE = np.full(256, 255, np.uint8)
for _i, _c in enumerate("MIDNSHP=XB"):
    OP_CODE[ord(_c)] = _i

RECORD_SLACK = 64
"""A record has at most 2 * (bytes of its line) + RECORD_SLACK bytes."""


@jit
def _hash(at, size):
    h = np.uint64(14695981039346656037)
    for k in range(size):
        h = (h ^ np.uint64(load_u8(at + k))) * np.uint64(1099511628211)
    return np.int64((h ^ (h >> np.uint64(29))) & np.uint64(0x7FFFFFFF))


@jit
def fill_name_table(names, name_offset, table):
    """Hash contig names (uint8 by int64 offsets) into table (int32, a power of two more than twice their number, filled with -1)."""
    base = np.int64(names.ctypes.data)
    for i in range(name_offset.size - 1):
        slot = _hash(base + name_offset[i], name_offset[i + 1] - name_offset[i]) & (table.size - 1)
        while table[slot] >= 0:
            slot = (slot + 1) & (table.size - 1)
        table[slot] = i


@jit
def _contig(at, size, name_base, name_offset, table):
    """Number of the contig whose name lies at an address, -1 for "*", -2 for one that is unknown."""
    if size == 1 and load_u8(at) == 42:
        return -1
    slot = _hash(at, size) & (table.size - 1)
    while table[slot] >= 0:
        i = table[slot]
        if name_offset[i + 1] - name_offset[i] == size:
            k = np.int64(0)
            while k < size and load_u8(at + k) == load_u8(name_base + name_offset[i] + k):
                k += 1
            if k == size:
                return np.int64(i)
        slot = (slot + 1) & (table.size - 1)
    return -2


@jit
def _integer(at, end):
    """(value, whether it is one) of the decimal integer in at..end."""
    negative = at < end and load_u8(at) == 45
    p = at + 1 if negative or (at < end and load_u8(at) == 43) else at
    if p >= end or end - p > 12:
        return np.int64(0), False
    value = np.int64(0)
    while p < end:
        digit = np.int64(load_u8(p)) - 48
        if digit < 0 or digit > 9:
            return np.int64(0), False
        value = value * 10 + digit
        p += 1
    return (-value if negative else value), True


@jit
def _store_little(at, value, size):
    for b in range(size):
        store_u8(at + b, np.uint8((value >> (8 * b)) & 255))


@jit
def _integer_type(value):
    """(type letter, bytes) that htslib gives an integer tag; no letter beyond 32 bits."""
    if value < 0:
        if value >= -128:
            return 99, 1
        if value >= -32768:
            return 115, 2
        return (105, 4) if value >= -2147483648 else (0, 0)
    if value <= 255:
        return 67, 1
    if value <= 65535:
        return 83, 2
    return (73, 4) if value <= 4294967295 else (0, 0)


@jit
def _store_float(at, text):
    scratch = np.empty(1, np.float32)
    scratch[0] = np.float32(_to_double(text, np.int64(0)))
    copy_bytes(at, np.int64(scratch.ctypes.data), np.int64(4))


@jit
def _encode_array(at, end, to):
    """A B tag's value, text at..end ("c,1,2"), to address `to`. Returns the bytes written, -1 for a bad one."""
    if at >= end:
        return np.int64(-1)
    kind = load_u8(at)
    width = 1 if kind == 99 or kind == 67 else 2 if kind == 115 or kind == 83 else 4
    if width == 4 and kind != 105 and kind != 73 and kind != 102:
        return np.int64(-1)
    count = 0
    p = at + 1
    while p < end:
        if load_u8(p) != 44:
            return np.int64(-1)
        p += 1
        stop = p
        while stop < end and load_u8(stop) != 44:
            stop += 1
        if kind == 102:
            _store_float(to + 5 + 4 * count, p)
        else:
            value, good = _integer(p, stop)
            if not good:
                return np.int64(-1)
            _store_little(to + 5 + width * count, value, width)
        count += 1
        p = stop
    store_u8(to, kind)
    _store_little(to + 1, count, 4)
    return np.int64(5 + width * count)


@jit
def _encode_tag(at, end, to):
    """One tag, text at..end, to address `to`. Returns the bytes written, -1 for a bad one."""
    if end - at < 5 or load_u8(at + 2) != 58 or load_u8(at + 4) != 58:
        return np.int64(-1)
    kind = load_u8(at + 3)
    store_u8(to, load_u8(at))
    store_u8(to + 1, load_u8(at + 1))
    store_u8(to + 2, kind)
    value_at = at + 5
    if kind == 105:
        value, good = _integer(value_at, end)
        letter, size = _integer_type(value)
        if not good or size == 0:
            return np.int64(-1)
        store_u8(to + 2, np.uint8(letter))
        _store_little(to + 3, value, size)
        return np.int64(3 + size)
    if kind == 90 or kind == 72:
        size = end - value_at
        copy_bytes(to + 3, value_at, size)
        store_u8(to + 3 + size, np.uint8(0))
        return np.int64(4 + size)
    if kind == 65 and end == value_at + 1:
        store_u8(to + 3, load_u8(value_at))
        return np.int64(4)
    if kind == 102 and end > value_at:
        _store_float(to + 3, value_at)
        return np.int64(7)
    if kind == 66:
        size = _encode_array(value_at, end, to + 3)
        return size if size < 0 else 3 + size
    return np.int64(-1)


@jit
def _encode_cigar(at, end, to):
    """(elements, reference bases, read bases) of a CIGAR, text at..end, written to address `to`; -1 elements for a bad one."""
    if end == at + 1 and load_u8(at) == 42:
        return np.int64(0), np.int64(0), np.int64(0)
    n, span, read = np.int64(0), np.int64(0), np.int64(0)
    length, digits = np.int64(0), 0
    for p in range(at, end):
        c = load_u8(p)
        if 48 <= c <= 57:
            length = length * 10 + (np.int64(c) - 48)
            digits += 1
            continue
        op = OP_CODE[c]
        if op > 8 or digits == 0 or digits > 9 or length >= 1 << 28:
            return np.int64(-1), span, read
        store_u32(to + 4 * n, np.uint32(length << 4 | op))
        if op == 0 or op == 7 or op == 8:
            span += length
            read += length
        elif op == 2 or op == 3:
            span += length
        elif op == 1 or op == 4:
            read += length
        n += 1
        length, digits = np.int64(0), 0
    return (n if digits == 0 and n <= 65535 else np.int64(-1)), span, read


@jit
def _encode_sequence(data, at, end, qual_at, qual_end, to):
    """Bases and qualities (text in `data`) to address `to`. Returns the number of bases, -1 where the two differ or are out of range."""
    n = end - at
    base = np.int64(data.ctypes.data)
    if n == 0 or (n == 1 and data[at] == 42):
        return np.int64(0)
    seq = data[at:end]
    for k in range(n >> 1):
        store_u8(to + k, np.uint8(BASE_CODE[seq[2 * k]] << 4 | BASE_CODE[seq[2 * k + 1]]))
    if n & 1:
        store_u8(to + (n >> 1), np.uint8(BASE_CODE[seq[n - 1]] << 4))
    to += (n + 1) >> 1
    if qual_end == qual_at + 1 and load_u8(base + qual_at) == 42:
        for k in range(n):
            store_u8(to + k, np.uint8(255))
        return n
    if qual_end - qual_at != n:
        return np.int64(-1)
    qual = data[qual_at:qual_end]
    low, high = np.uint8(33), np.uint8(33)
    for k in range(n):
        low = min(low, qual[k])
        high = max(high, qual[k])
        store_u8(to + k, np.uint8(qual[k] - 33))
    return n if low >= 33 and high <= 126 else np.int64(-1)


@jit
def _encode_line(data, begin, end, to, name_base, name_offset, table, field):
    """One line data[begin:end] as a record at address `to`. field: int64[12], scratch. Returns (bytes, status)."""
    base = np.int64(data.ctypes.data)
    at = begin
    for k in range(11):
        found = find_byte(base + at, np.int32(9), end - at)
        if found == 0 and k < 10:
            return np.int64(0), FEW_FIELDS
        field[k] = at
        at = found - base + 1 if found else end + 1
    field[11] = at
    name_size = field[1] - 1 - begin
    if name_size < 1 or name_size > 254:
        return np.int64(0), BAD_NAME
    flag, good_flag = _integer(base + field[1], base + field[2] - 1)
    pos, good_pos = _integer(base + field[3], base + field[4] - 1)
    mapq, good_mapq = _integer(base + field[4], base + field[5] - 1)
    mate_pos, good_mate = _integer(base + field[7], base + field[8] - 1)
    tlen, good_tlen = _integer(base + field[8], base + field[9] - 1)
    good = good_flag and good_pos and good_mapq and good_mate and good_tlen
    in_range = 0 <= flag <= 65535 and 0 <= mapq <= 255 and 0 <= pos <= 1 << 31 and 0 <= mate_pos <= 1 << 31 and abs(tlen) < 1 << 31
    if not good or not in_range:
        return np.int64(0), BAD_NUMBER
    ref_id = _contig(base + field[2], field[3] - 1 - field[2], name_base, name_offset, table)
    if field[7] - field[6] == 2 and data[field[6]] == 61:
        mate_ref_id = ref_id
    else:
        mate_ref_id = _contig(base + field[6], field[7] - 1 - field[6], name_base, name_offset, table)
    if ref_id == -2 or mate_ref_id == -2:
        return np.int64(0), UNKNOWN_CONTIG
    p = to + 36
    copy_bytes(p, base + begin, name_size)
    store_u8(p + name_size, np.uint8(0))
    p += name_size + 1
    n_cigar, span, read = _encode_cigar(base + field[5], base + field[6] - 1, p)
    if n_cigar < 0:
        return np.int64(0), BAD_CIGAR
    if n_cigar == 0:
        flag |= 4
    p += 4 * n_cigar
    length = _encode_sequence(data, field[9], field[10] - 1, field[10], field[11] - 1, p)
    if length < 0 or (n_cigar > 0 and length > 0 and length != read):
        return np.int64(0), BAD_SEQUENCE if length < 0 else BAD_CIGAR
    p += ((length + 1) >> 1) + length
    while at < end:
        found = find_byte(base + at, np.int32(9), end - at)
        stop = found - base if found else end
        size = _encode_tag(base + at, base + stop, p)
        if size < 0:
            return np.int64(0), BAD_TAG
        p += size
        at = stop + 1
    span = 1 if flag & 4 or span == 0 else span
    store_u32(to, np.uint32(p - to - 4))
    store_i32(to + 4, np.int32(ref_id))
    store_i32(to + 8, np.int32(pos - 1))
    store_u8(to + 12, np.uint8(name_size + 1))
    store_u8(to + 13, np.uint8(mapq))
    store_u16(to + 14, np.uint16(region_bin(pos - 1, pos - 1 + span)))
    store_u16(to + 16, np.uint16(n_cigar))
    store_u16(to + 18, np.uint16(flag))
    store_i32(to + 20, np.int32(length))
    store_i32(to + 24, np.int32(mate_ref_id))
    store_i32(to + 28, np.int32(mate_pos - 1))
    store_i32(to + 32, np.int32(tlen))
    return p - to, OK


@jit
def encode_lines(begin, end, data, line_start, names, name_offset, table, out, size):
    """Lines begin..end of SAM text as records back to back in `out`, from 2 * line_start[begin] + RECORD_SLACK * begin on.

    data: uint8 text, each line with its newline. line_start: int64[n+1]. names, name_offset, table: `fill_name_table`.
    out: uint8[2 * data.size + RECORD_SLACK * n]. size: int64[n], bytes of each record.

    Returns
    -------
    (where the records begin in out, where they end, -1 or 8 * (first bad line) + what is wrong with it)
    """
    target = np.int64(out.ctypes.data)
    name_base = np.int64(names.ctypes.data)
    field = np.empty(12, np.int64)
    first = 2 * line_start[begin] + RECORD_SLACK * begin
    to = first
    for i in range(begin, end):
        stop = line_start[i + 1] - 1
        if stop > line_start[i] and data[stop - 1] == 13:
            stop -= 1
        size[i], status = _encode_line(data, line_start[i], stop, target + to, name_base, name_offset, table, field)
        if status != OK:
            return first, to, 8 * i + status
        to += size[i]
    return first, to, np.int64(-1)
