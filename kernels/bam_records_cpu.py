"""BAM records in a byte arena: finding, decoding, checking, gathering them, and their bases, names and tags.

All kernels work on rows begin..end and write only what those rows own. Source: SAM specification 4.2.
"""

import numpy as np

from gpugenome.kernels.bits import trailing_zeros
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import (
    address_of,
    copy_bytes,
    load_i32,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    prefetch,
    store_u8,
    store_u16,
    store_u32,
)

OK, SHORT_BLOCK, FIELDS_TOO_LONG, BAD_REFERENCE, BAD_NAME, BAD_CIGAR, BAD_QUALITY, BAD_MATE, BAD_PLACE, BAD_TAGS = range(10)
UNPAIRED_WITH_MATE, MATE_WITHOUT_CONTIG, MATE_WITHOUT_POSITION, MATE_NOWHERE, NEITHER_END = range(10, 15)
UNMAPPED_ALIGNMENT, NO_ALIGNMENT, WITHOUT_CONTIG, WITHOUT_POSITION = range(15, 19)
"""Of `contradiction`."""
PROBLEMS = 32
"""What `parse_records` finds wrong, and more than the number of such things."""

AHEAD = 8
"""How many records ahead kernels ask for memory that they look at here and there, which the processor does not foresee."""

BASES = np.frombuffer(b"=ACMGRSVTWYHKDBN", np.uint8).copy()


@jit
def prefetch_lines(address, count):
    """Ask for so many cache lines from an address on."""
    for line in range(count):
        prefetch(address + 64 * line)


@jit
def scan_records(data, begin, end, offset, most):
    """Fill offset[0..n] with the starts of whole records in data[begin:end], at most `most`; returns (n, status)."""
    base = address_of(data)
    n = 0
    at = np.int64(begin)
    offset[0] = at
    while n < most and at + 4 <= end:
        size = np.int64(load_u32(base + at)) + 4
        if size < 36 or size > 0x7FFFFFFF:
            return n, SHORT_BLOCK
        if at + size > end:
            break
        at += size
        n += 1
        offset[n] = at
        # Neighbours are about as long.
        prefetch_lines(base + at + (AHEAD // 2) * size - 64, 3)
    return n, OK


@jit
def decode_record(a, i, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length):
    """Row i of the columns from the record at address `a`."""
    ref_id[i] = load_i32(a + 4)
    pos[i] = load_i32(a + 8)
    name_length[i] = load_u8(a + 12)
    mapq[i] = load_u8(a + 13)
    n_cigar[i] = load_u16(a + 16)
    flag[i] = load_u16(a + 18)
    seq_length[i] = load_i32(a + 20)
    mate_ref_id[i] = load_i32(a + 24)
    mate_pos[i] = load_i32(a + 28)
    tlen[i] = load_i32(a + 32)


@jit
def decode_fixed(begin, end, data, offset, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length):
    """The fixed fields of records begin..end as columns (dtypes of `ReadBatch`)."""
    base = address_of(data)
    for i in range(begin, end):
        decode_record(base + offset[i], i, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length)


@jit
def _text_bytes(at, end):
    """Bytes of the text at an address with its NUL, which lies before `end`; one more than there are where there is none."""
    begin, low, high = at, np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
    while at + 8 <= end:
        word = load_u64(at)
        zeros = (word - low) & ~word & high  # the lowest bit that is set is in the first byte that is 0
        if zeros:
            return at - begin + (trailing_zeros(zeros) >> 3) + 1
        at += 8
    while at < end and load_u8(at) != 0:
        at += 1
    return at - begin + 1


@jit
def quality_spans(begin, end, offset, name_length, n_cigar, seq_length, origin, out):
    """Where the base qualities of records begin..end begin and end (there the tags begin), counted from `origin`. out: int64[2, n]."""
    for i in range(begin, end):
        length = np.int64(seq_length[i])
        at = offset[i] + 36 + np.int64(name_length[i]) + 4 * np.int64(n_cigar[i]) + (length + 1) // 2 - origin
        out[0, i] = at
        out[1, i] = at + length


@jit
def _tag_value_bytes(at, kind, end):
    """Bytes of a tag's value at address `at` in a record that ends at `end`; -1 for an unknown type."""
    if kind == 65 or kind == 99 or kind == 67:  # A c C
        return np.int64(1)
    if kind == 115 or kind == 83:  # s S
        return np.int64(2)
    if kind == 105 or kind == 73 or kind == 102:  # i I f
        return np.int64(4)
    if kind == 90 or kind == 72:  # Z H
        return _text_bytes(at, end)
    if kind == 66:  # B
        element = load_u8(at)
        width = 1 if element == 99 or element == 67 else 2 if element == 115 or element == 83 else 4
        return 5 + np.int64(load_u32(at + 1)) * width
    return np.int64(-1)


@jit
def _off_contig(ref_id, pos, contig_length):
    """Whether a position lies beyond the end of its contig, or before the start of any."""
    return pos < -1 or (ref_id >= 0 and pos >= contig_length[ref_id])


@jit
def _walk_tags(at, end, first, second):
    """Where a tag (ASCII codes of its letters) begins among the tags from address `at` on, -1 where it is not there.

    -2 if they are not whole tags that end where the record does.
    """
    found = np.int64(-1)
    while at < end:
        if at + 4 > end:
            return np.int64(-2)
        if found < 0 and load_u8(at) == first and load_u8(at + 1) == second:
            found = at
        kind = load_u8(at + 2)
        at += 3
        if kind == 66 and at + 5 > end:
            return np.int64(-2)
        size = _tag_value_bytes(at, kind, end)
        if size < 0:
            return np.int64(-2)
        at += size
    return found if at == end else np.int64(-2)


@jit
def _any_above_93(at, size):
    """Whether any of the bytes at an address is above 93, eight of them at a time."""
    end, found = at + size, np.uint64(0)
    more = np.uint64(0x2222222222222222)  # 128 - 94 in each byte
    while at + 8 <= end:
        word = load_u64(at)
        found |= word | (word + more)  # what is carried into the next byte comes from one that is too large itself
        at += 8
    while at < end:
        found |= np.uint64(load_u8(at)) | (np.uint64(load_u8(at)) + (more & np.uint64(255)))
        at += 1
    return (found & np.uint64(0x8080808080808080)) != 0


@jit
def _check_fields(a, size, contig_length):
    """(status, address of the tags) of the record of `size` bytes at an address."""
    contigs = contig_length.size
    name_length = np.int64(load_u8(a + 12))
    n_cigar = np.int64(load_u16(a + 16))
    length = np.int64(load_i32(a + 20))
    if length < 0 or 36 + name_length + 4 * n_cigar + (length + 1) // 2 + length > size:
        return FIELDS_TOO_LONG, a
    if load_i32(a + 4) < -1 or load_i32(a + 4) >= contigs:
        return BAD_REFERENCE, a
    if _off_contig(load_i32(a + 4), load_i32(a + 8), contig_length):
        return BAD_PLACE, a
    if load_i32(a + 24) < -1 or load_i32(a + 24) >= contigs or _off_contig(load_i32(a + 24), load_i32(a + 28), contig_length):
        return BAD_MATE, a
    if name_length < 1 or load_u8(a + 35 + name_length) != 0:
        return BAD_NAME, a
    cigar = a + 36 + name_length
    consumed = np.int64(0)
    for k in range(n_cigar):
        element = np.int64(load_u32(cigar + 4 * k))
        op = element & 15
        if op > 8:
            return BAD_CIGAR, a
        if op == 0 or op == 1 or op == 4 or op == 7 or op == 8:
            consumed += element >> 4
    if n_cigar > 0 and length > 0 and consumed != length:
        return BAD_CIGAR, a
    qual = cigar + 4 * n_cigar + (length + 1) // 2
    if length > 0 and load_u8(qual) != 255 and _any_above_93(qual, length):
        return BAD_QUALITY, a
    return OK, qual + length


@jit
def contradiction(a):
    """What in the flags and places of the record at an address, and in those that it has of its mate, contradicts the rest, or OK.

    Source: htsjdk SAMRecord.isValid, by which Picard refuses records where it is to be strict.
    """
    flag = np.int64(load_u16(a + 18))
    ref_id, pos, mate_ref_id, mate_pos = load_i32(a + 4), load_i32(a + 8), load_i32(a + 24), load_i32(a + 28)
    if not flag & 1:
        if flag & (2 | 8 | 32 | 64 | 128) or mate_ref_id >= 0:
            return UNPAIRED_WITH_MATE
    elif mate_ref_id >= 0 and mate_pos < 0:
        return MATE_WITHOUT_POSITION
    elif mate_ref_id < 0 and mate_pos < 0 and not flag & 8:
        return MATE_NOWHERE
    elif not flag & (64 | 128):
        return NEITHER_END
    if mate_ref_id < 0 and mate_pos >= 0:
        return MATE_WITHOUT_CONTIG
    if flag & 4:
        if flag & (256 | 2048) or load_u8(a + 13):
            return UNMAPPED_ALIGNMENT
    elif ref_id < 0 or load_u16(a + 16) == 0:
        return NO_ALIGNMENT
    if ref_id < 0 and pos >= 0:
        return WITHOUT_CONTIG
    if ref_id >= 0 and pos < 0:
        return WITHOUT_POSITION
    return OK


@jit
def _place_in(value, names, name_offset, guess):
    """Which of the names (uint8 by int64 name_offset) the text (up to its NUL) at an address is, -2 for none; `guess` is tried first."""
    name_base = address_of(names)
    count = name_offset.size - 1
    for turn in range(count):
        k = (guess + turn) % count
        size = name_offset[k + 1] - name_offset[k]
        j = np.int64(0)
        # Ends at the value's NUL at the latest: a shorter value than the name's is not read beyond.
        while j < size and load_u8(value + j) == load_u8(name_base + name_offset[k] + j) and load_u8(value + j) != 0:
            j += 1
        if j == size and load_u8(value + j) == 0:
            return k
    return -2


@jit
def parse_records(begin, end, data, offset, contig_length, names, name_offset, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen,
                  name_length, n_cigar, seq_length, read_group, strict):  # fmt: skip
    """Check records begin..end and write their fixed fields and read groups as columns (dtypes of `ReadBatch`).

    strict: also by `contradiction`. contig_length: int64[contigs]. names, name_offset: the IDs of the read groups, ragged (uint8, int64).

    Returns
    -------
    -1, or PROBLEMS * (first bad record) + what is wrong with it.
    """
    base = address_of(data)
    group = 0
    for i in range(begin, end):
        a = base + offset[i]
        stop = base + offset[i + 1]
        status, tags = _check_fields(a, stop - a, contig_length)
        if status == OK and strict:
            status = contradiction(a)
        if status != OK:
            return PROBLEMS * i + status
        tag = _walk_tags(tags, stop, 82, 71)  # RG
        if tag == -2:
            return PROBLEMS * i + BAD_TAGS
        read_group[i] = -1
        if tag >= 0:
            read_group[i] = _place_in(tag + 3, names, name_offset, group)
            group = max(np.int64(read_group[i]), 0)
        decode_record(a, i, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length)
    return -1


@jit
def _find_tag(at, end, first, second):
    """Address of a tag (its two-letter name) in a record's tags, or -1."""
    while at + 3 <= end:
        size = _tag_value_bytes(at + 3, load_u8(at + 2), end)
        if size < 0:
            return np.int64(-1)
        if load_u8(at) == first and load_u8(at + 1) == second:
            return at
        at += 3 + size
    return np.int64(-1)


@jit
def find_tag(begin, end, data, offset, tag_start, first, second, out):
    """out[i] = where tag `first``second` (ASCII codes) begins in data (at its name), or -1. out: int64[n]."""
    base = address_of(data)
    for i in range(begin, end):
        prefetch_lines(base + tag_start[min(i + AHEAD, end - 1)], 2)
        at = _find_tag(base + tag_start[i], base + offset[i + 1], first, second)
        out[i] = at - base if at >= 0 else -1


@jit
def match_text_tag(begin, end, data, at, names, name_offset, out):
    """out[i] = which of the names (uint8 by int64 name_offset) the Z tag at at[i] has, -1 where at[i] < 0, -2 for no name of these."""
    base = address_of(data)
    last = 0
    for i in range(begin, end):
        out[i] = -1
        if at[i] >= 0:
            out[i] = _place_in(base + at[i] + 3, names, name_offset, last)
            last = max(np.int64(out[i]), 0)


@jit
def gather_records(begin, end, index, source, source_offset, out, out_offset):
    """Copy record index[i] of `source` to out[out_offset[i]:out_offset[i+1]]."""
    a = np.int64(source.ctypes.data)
    b = address_of(out)
    for i in range(begin, end):
        copy_bytes(b + out_offset[i], a + source_offset[index[i]], out_offset[i + 1] - out_offset[i])


@jit
def set_flags(begin, end, data, offset, flag):
    """Write flag[i] (uint16) into record i."""
    base = address_of(data)
    for i in range(begin, end):
        store_u16(base + offset[i] + 18, np.uint16(flag[i]))


@jit
def unpack_bases(begin, end, data, seq_start, seq_length, out, out_offset):
    """ASCII bases of records begin..end at out[out_offset[i]:]; out: uint8."""
    for i in range(begin, end):
        n = np.int64(seq_length[i])
        packed = data[seq_start[i] : seq_start[i] + (n + 1) // 2]
        bases = out[out_offset[i] : out_offset[i] + n]
        for j in range(n >> 1):
            bases[2 * j] = BASES[packed[j] >> 4]
            bases[2 * j + 1] = BASES[packed[j] & 15]
        if n & 1:
            bases[n - 1] = BASES[packed[n >> 1] >> 4]


@jit
def copy_bytes_ragged(begin, end, data, start, length, out, out_offset):
    """Copy data[start[i]:start[i]+length[i]] to out[out_offset[i]:]: qualities, names, CIGARs as bytes."""
    a = address_of(data)
    b = address_of(out)
    for i in range(begin, end):
        copy_bytes(b + out_offset[i], a + start[i], np.int64(length[i]))


@jit
def set_tag_sizes(begin, end, data, offset, tag_start, first, second, value_offset, size):
    """Size of each record after `set_tag`; value_offset: int64[n+1], rows of zero length remove the tag. size: int64[n]."""
    base = address_of(data)
    for i in range(begin, end):
        stop = base + offset[i + 1]
        at = _find_tag(base + tag_start[i], stop, first, second)
        old = np.int64(0)
        if at >= 0:
            old = 3 + _tag_value_bytes(at + 3, load_u8(at + 2), stop)
        new = value_offset[i + 1] - value_offset[i]
        size[i] = offset[i + 1] - offset[i] - old + (new + 2 if new else 0)


@jit
def set_tag(begin, end, data, offset, tag_start, first, second, value, value_offset, out, out_offset):
    """Copies of records with a tag set to value rows (type letter, value bytes): replaced in place, else appended; empty: removed."""
    base = address_of(data)
    target = address_of(out)
    values = address_of(value)
    for i in range(begin, end):
        record = base + offset[i]
        stop = base + offset[i + 1]
        at = _find_tag(base + tag_start[i], stop, first, second)
        rest = stop
        if at < 0:
            at = stop
        else:
            rest = at + 3 + _tag_value_bytes(at + 3, load_u8(at + 2), stop)
        to = target + out_offset[i]
        copy_bytes(to, record, at - record)
        to += at - record
        new = value_offset[i + 1] - value_offset[i]
        if new:
            store_u8(to, np.uint8(first))
            store_u8(to + 1, np.uint8(second))
            copy_bytes(to + 2, values + value_offset[i], new)
            to += 2 + new
        copy_bytes(to, rest, stop - rest)
        store_u32(target + out_offset[i], np.uint32(out_offset[i + 1] - out_offset[i] - 4))
