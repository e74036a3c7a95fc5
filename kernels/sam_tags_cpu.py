"""Rewriting the tags of BAM records as htsjdk does when it sets one: sorted, integers in their narrowest type. Also the bin field.

Source: htsjdk BinaryTagCodec, SAMBinaryTagAndValue (tags ordered by second letter, then first), SAM specification 4.2.1 and 5.3.
"""

import numpy as np

from gpugenome.kernels.bam_records_cpu import AHEAD, _tag_value_bytes, prefetch_lines
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, copy_bytes, load_i32, load_u8, load_u16, load_u32, store_u8, store_u16, store_u32

MOST_TAGS = 512
OWN, EDIT, CODE, ORDER, COUNT = range(5)
"""Rows of the memo of `_arrange`."""
LEAVE, REMOVE = -1, -2
"""Rows of `row` that are not a row of the value table: keep the tag as it is, remove it."""


@jit
def _integer(at, kind):
    """(is an integer, its value) of a tag value at an address."""
    if kind == 99:
        return True, np.int64(np.int8(load_u8(at)))
    if kind == 67:
        return True, np.int64(load_u8(at))
    if kind == 115:
        return True, np.int64(np.int16(load_u16(at)))
    if kind == 83:
        return True, np.int64(load_u16(at))
    if kind == 105:
        return True, np.int64(load_i32(at))
    if kind == 73:
        return True, np.int64(load_u32(at))
    return False, np.int64(0)


@jit
def _narrowest(value):
    """(type letter, bytes) that htsjdk gives an integer."""
    if -128 <= value <= 127:
        return 99, 1
    if 0 <= value <= 255:
        return 67, 1
    if -32768 <= value <= 32767:
        return 115, 2
    if 0 <= value <= 65535:
        return 83, 2
    return (105, 4) if value <= 2147483647 else (73, 4)


@jit
def _place(code, at, n, codes, places):
    """Insert a tag (its type letter at `at`) into the list sorted by code; a tag that is there is replaced. Returns the new length."""
    k = n
    while k > 0 and codes[k - 1] > code:
        k -= 1
    if k > 0 and codes[k - 1] == code:
        places[k - 1] = at
        return n
    if n == codes.shape[0]:
        return n
    for j in range(n, k, -1):
        codes[j] = codes[j - 1]
        places[j] = places[j - 1]
    codes[k] = code
    places[k] = at
    return n + 1


@jit
def _drop(code, n, codes, places):
    for k in range(n):
        if codes[k] == code:
            for j in range(k, n - 1):
                codes[j] = codes[j + 1]
                places[j] = places[j + 1]
            return n - 1
    return n


@jit
def tags_of(at, end, record, edit_code, row, values, value_offset, codes, places):
    """The tags of a record after the edits, sorted: codes (second letter << 8 | first), addresses of their type letters; how many."""
    n = 0
    while at + 3 <= end:
        size = _tag_value_bytes(at + 3, load_u8(at + 2), end)
        if size < 0:
            break
        n = _place(np.int64(load_u16(at)), at + 2, n, codes, places)
        at += 3 + size
    for e in range(edit_code.size):
        r = row[e, record]
        if r == REMOVE:
            n = _drop(edit_code[e], n, codes, places)
        elif r >= 0:
            n = _place(edit_code[e], values + value_offset[r], n, codes, places)
    return n


@jit
def _remember(at, end, record, edit_code, row, values, value_offset, n, codes, places, sizes, memo):
    """Keep in memo how the n tags of `tags_of` follow from the record's own and the edits; their values' bytes to sizes."""
    edits, known = edit_code.size, 0
    for k in range(n):
        memo[ORDER, k] = MOST_TAGS
        for e in range(edits):
            r = row[e, record]
            if r >= 0 and edit_code[e] == codes[k]:
                memo[ORDER, k] = -1 - e
                sizes[k] = value_offset[r + 1] - value_offset[r] - 1
        memo[CODE, k] = codes[k]
    sound = True
    while at + 3 <= end:
        size = _tag_value_bytes(at + 3, load_u8(at + 2), end)
        if size < 0:
            break
        if known < MOST_TAGS:
            memo[OWN, known] = np.int64(load_u16(at))
            for j in range(known):
                sound &= memo[OWN, j] != memo[OWN, known]
        for k in range(n):
            if places[k] == at + 2:
                memo[ORDER, k], sizes[k] = known, size
        known += 1
        at += 3 + size
    sound &= known <= MOST_TAGS
    for k in range(n):
        sound &= memo[ORDER, k] < MOST_TAGS
    for e in range(edits):
        memo[EDIT, e] = min(row[e, record], 0)
    memo[COUNT, 0] = known if sound and at + 3 > end else -1
    memo[COUNT, 1] = n


@jit
def _arrange(at, end, record, edit_code, row, values, value_offset, codes, places, sizes, own, memo):
    """As `tags_of`, and the bytes of their values. Neighbours mostly have the same tags: only values are looked at where they have.

    memo: int64[5, MOST_TAGS], what is known of the last record that was sorted: the codes of its own tags (OWN), what the edits did (EDIT),
    the codes after that (CODE) and where each came from (ORDER: one of its own, or -1 - edit), and how many there were (COUNT: -1 for
    nothing known). sizes: int64[MOST_TAGS]. own: int64[2, MOST_TAGS], scratch.
    """
    known, t, here = memo[COUNT, 0], np.int64(0), at
    for e in range(edit_code.size):
        if min(row[e, record], 0) != memo[EDIT, e]:
            known = -1
    while t < known and here + 3 <= end and np.int64(load_u16(here)) == memo[OWN, t]:
        size = _tag_value_bytes(here + 3, load_u8(here + 2), end)
        if size < 0:
            break
        own[0, t], own[1, t] = here + 2, size
        here += 3 + size
        t += 1
    if t == known and here + 3 > end:
        n = memo[COUNT, 1]
        for k in range(n):
            codes[k] = memo[CODE, k]
            source = memo[ORDER, k]
            if source >= 0:
                places[k], sizes[k] = own[0, source], own[1, source]
            else:
                r = row[-1 - source, record]
                places[k], sizes[k] = values + value_offset[r], value_offset[r + 1] - value_offset[r] - 1
        return n
    n = tags_of(at, end, record, edit_code, row, values, value_offset, codes, places)
    _remember(at, end, record, edit_code, row, values, value_offset, n, codes, places, sizes, memo)
    return n


@jit
def value_size(at, size):
    """Bytes of an encoded tag (letters, type, value) whose type letter stands at `at`, its value of `size` bytes now."""
    kind = load_u8(at)
    if kind == 90:
        return 3 + size
    is_integer, value = _integer(at + 1, kind)
    if is_integer:
        return 3 + _narrowest(value)[1]
    # Hexadecimal text becomes an array of bytes: element type, count, one byte for two digits.
    return 3 + (5 + (size - 1) // 2 if kind == 72 else size)


@jit
def _digit(letter):
    """The value of a hexadecimal digit, as its ASCII code."""
    return letter - 48 if letter < 58 else (letter & 95) - 55


@jit
def _write_bytes_of_hex(to, at, size):
    """A tag's value from its type letter on: the hexadecimal text at `at` (`size` bytes with its NUL) as an array of signed bytes."""
    count = (size - 1) // 2
    store_u8(to, np.uint8(66))
    store_u8(to + 1, np.uint8(99))
    store_u32(to + 2, np.uint32(count))
    for b in range(count):
        store_u8(to + 6 + b, np.uint8(_digit(load_u8(at + 2 * b)) * 16 + _digit(load_u8(at + 2 * b + 1))))


@jit
def keeps_its_bytes(at, end, record, edit_code, row):
    """Whether a record stays as it is: no edit touches it, or its tags are in order and narrow already and nothing is set or removed."""
    touched = False
    for e in range(row.shape[0]):
        if row[e, record] >= 0:
            return False
        touched |= row[e, record] != LEAVE
    if not touched:
        return True
    last = np.int64(-1)
    while at + 3 <= end:
        code, kind = np.int64(load_u16(at)), load_u8(at + 2)
        is_integer, value = _integer(at + 3, kind)
        if code <= last or kind == 72 or (is_integer and _narrowest(value)[0] != kind):
            return False
        for e in range(row.shape[0]):
            if edit_code[e] == code and row[e, record] == REMOVE:
                return False
        last = code
        at += 3 + _tag_value_bytes(at + 3, kind, end)
    return True


@jit
def value_bytes(n, places, end, values, values_end, sizes):
    """sizes[k] = bytes of the value of each of n tags, of which those of edits lie in values..values_end, others before `end`."""
    for k in range(n):
        stop = values_end if values <= places[k] < values_end else end
        sizes[k] = _tag_value_bytes(places[k] + 1, load_u8(places[k]), stop)


@jit
def write_record(to, record, fixed, size, n, codes, places, sizes):
    """Write a record of `size` bytes to an address: `fixed` bytes of the one at address `record`, then n tags.

    Integers get their narrowest type. Of each tag: codes: second letter << 8 | first, places: address of its type letter, sizes: bytes of
    its value.
    """
    copy_bytes(to, record, fixed)
    store_u32(to, np.uint32(size - 4))
    to += fixed
    for k in range(n):
        at = places[k]
        store_u16(to, np.uint16(codes[k]))
        kind = load_u8(at)
        is_integer, v = _integer(at + 1, kind)
        if kind == 90:
            copy_bytes(to + 2, at, 1 + sizes[k])
            to += 3 + sizes[k]
        elif is_integer:
            letter, width = _narrowest(v)
            store_u8(to + 2, np.uint8(letter))
            for b in range(width):
                store_u8(to + 3 + b, np.uint8((v >> (8 * b)) & 255))
            to += 3 + width
        elif kind == 72:
            _write_bytes_of_hex(to + 2, at + 1, sizes[k])
            to += value_size(at, sizes[k])
        else:
            copy_bytes(to + 2, at, 1 + sizes[k])
            to += 3 + sizes[k]


@jit
def reencoded_sizes(begin, end, data, offset, tag_start, edit_code, row, value, value_offset, size):
    """Bytes of each record after `reencode`; returns how many records change. size: int64[n]."""
    changed = 0
    base = address_of(data)
    values = address_of(value)
    codes, places, sizes = np.empty(MOST_TAGS, np.int64), np.empty(MOST_TAGS, np.int64), np.empty(MOST_TAGS, np.int64)
    own, memo = np.empty((2, MOST_TAGS), np.int64), np.full((5, MOST_TAGS), -1, np.int64)
    for i in range(begin, end):
        prefetch_lines(base + tag_start[min(i + AHEAD, end - 1)], 2)
        if keeps_its_bytes(base + tag_start[i], base + offset[i + 1], i, edit_code, row):
            size[i] = offset[i + 1] - offset[i]
            continue
        changed += 1
        at, stop = base + tag_start[i], base + offset[i + 1]
        n = _arrange(at, stop, i, edit_code, row, values, value_offset, codes, places, sizes, own, memo)
        total = tag_start[i] - offset[i]
        for k in range(n):
            total += value_size(places[k], sizes[k])
        size[i] = total
    return changed


@jit
def reencode(begin, end, data, offset, tag_start, edit_code, row, value, value_offset, out, out_offset):
    """Copies of records with edited tags, sorted and narrowed; records without an edit are copied as they are.

    edit_code: int64[e], second letter << 8 | first. row: int32[e, n], a row of the ragged table (uint8 value by int64 value_offset:
    type letter and value bytes, no byte more), or LEAVE or REMOVE.
    """
    base = address_of(data)
    target = address_of(out)
    values = address_of(value)
    codes, places, sizes = np.empty(MOST_TAGS, np.int64), np.empty(MOST_TAGS, np.int64), np.empty(MOST_TAGS, np.int64)
    own, memo = np.empty((2, MOST_TAGS), np.int64), np.full((5, MOST_TAGS), -1, np.int64)
    for i in range(begin, end):
        prefetch_lines(base + offset[min(i + AHEAD, end - 1)], 6)
        if keeps_its_bytes(base + tag_start[i], base + offset[i + 1], i, edit_code, row):
            copy_bytes(target + out_offset[i], base + offset[i], offset[i + 1] - offset[i])
            continue
        at, stop = base + tag_start[i], base + offset[i + 1]
        n = _arrange(at, stop, i, edit_code, row, values, value_offset, codes, places, sizes, own, memo)
        fixed, whole = tag_start[i] - offset[i], out_offset[i + 1] - out_offset[i]
        write_record(target + out_offset[i], base + offset[i], fixed, whole, n, codes, places, sizes)


@jit
def region_bin(start, end):
    """The bin of [start, end), 0-based. Source: SAM specification 5.3."""
    end -= 1
    if start >> 14 == end >> 14:
        return ((1 << 15) - 1) // 7 + (start >> 14)
    if start >> 17 == end >> 17:
        return ((1 << 12) - 1) // 7 + (start >> 17)
    if start >> 20 == end >> 20:
        return ((1 << 9) - 1) // 7 + (start >> 20)
    if start >> 23 == end >> 23:
        return ((1 << 6) - 1) // 7 + (start >> 23)
    if start >> 26 == end >> 26:
        return ((1 << 3) - 1) // 7 + (start >> 26)
    return 0


@jit
def set_bin(record, pos, flag, name_length, n_cigar, ref_id, contig_length):
    """Write the bin field of the record at an address; arguments: its fields, and as in `set_bins`."""
    value = np.int64(0)
    if pos >= 0 and (ref_id < 0 or contig_length[ref_id] <= 1 << 29):
        stop = np.int64(pos)
        if not flag & 4:
            cigar = record + 36 + name_length
            for k in range(n_cigar):
                element = np.int64(load_u32(cigar + 4 * k))
                if (0b110001101 >> (element & 15)) & 1:
                    stop += element >> 4
        value = np.int64(region_bin(np.int64(pos), max(stop, np.int64(pos) + 1)))
    store_u16(record + 14, np.uint16(value))


@jit
def set_bins(begin, end, data, offset, pos, flag, name_length, n_cigar, ref_id, contig_length):
    """Write the bin field as htsjdk does: 0 without a position, or on a contig longer than 2^29. contig_length: int64[contigs]."""
    base = address_of(data)
    for i in range(begin, end):
        prefetch_lines(base + offset[min(i + AHEAD, end - 1)], 2)
        set_bin(base + offset[i], pos[i], flag[i], name_length[i], n_cigar[i], ref_id[i], contig_length)
