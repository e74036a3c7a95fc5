"""Counting observations and mismatches by covariate. Source: GATK BaseRecalibrationEngine, ReadClipper, CigarBuilder.

A read is prepared in a small scratch: its CIGAR as (operator, length) rows, and the window of its stored bases that clipping leaves.
"""

import numpy as np

from gpugenome.kernels.bam_records_cpu import _find_tag
from gpugenome.kernels.covariates_scalar import base_code
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, load_i64, load_u8, load_u32, load_u64, store_i64, store_u8, store_u16, store_u64

M, I, D, N, S, H, P, EQ, X = range(9)
READ_BASES = (1 << M) | (1 << I) | (1 << S) | (1 << EQ) | (1 << X)
REFERENCE_BASES = (1 << M) | (1 << D) | (1 << N) | (1 << EQ) | (1 << X)
CODE = np.array(["ACGT".find(c) for c in "=ACMGRSVTWYHKDBN"], np.int8)
"""`base_code` of the 16 codes of a BAM record's bases."""
NO_BASE, TAIL = 4, 8
NOT_COUNTED = 0x4 | 0x100 | 0x200 | 0x400
DENSE_CONTEXT = 8
"""The longest contexts that have a cell each; of longer ones those that occur are listed."""
WIDE_BITS = 27
_CODE_OR_NONE = np.where(CODE < 0, NO_BASE, CODE).astype(np.uint16)
PAIRS = (_CODE_OR_NONE[:, None] | _CODE_OR_NONE << 8).ravel()
"""The codes of the two bases in a byte, the first one in the lower half."""


@jit
def uses_read(op):
    return (READ_BASES >> op) & 1


@jit
def uses_reference(op):
    return (REFERENCE_BASES >> op) & 1


@jit
def well_formed(begin, end, data, offset, ref_id, pos, flag, name_length, n_cigar, seq_length, read_group, contig_length, out):
    """out[i] (uint8) = GATK's WellformedReadFilter of record i."""
    base = address_of(data)
    for i in range(begin, end):
        out[i] = 0
        unmapped = flag[i] & 4 or ref_id[i] < 0 or pos[i] < 0
        if read_group[i] < 0 or seq_length[i] == 0:
            continue
        cigar = base + offset[i] + 36 + name_length[i]
        if load_u8(cigar + 4 * np.int64(n_cigar[i]) + (np.int64(seq_length[i]) + 1) // 2) == 255:
            continue
        skips, total = False, np.int64(0)
        for k in range(n_cigar[i]):
            element = np.int64(load_u32(cigar + 4 * k))
            skips |= element & 15 == N
            if uses_read(element & 15):
                total += element >> 4
        if skips or (not unmapped and total != seq_length[i]):
            continue
        if not unmapped and pos[i] >= contig_length[ref_id[i]]:
            continue
        out[i] = 1


@jit
def drop_uncounted(begin, end, mapq, flag, ref_id, pos, out):
    """out[i] (uint8) = 0 for records without a place or a mapping quality, and for unmapped, secondary, failed and duplicate ones."""
    for i in range(begin, end):
        if mapq[i] == 0 or mapq[i] == 255 or flag[i] & NOT_COUNTED or ref_id[i] < 0 or pos[i] < 0:
            out[i] = 0


@jit
def _trim_right(op, length, n):
    """Drop deletions that stand before right clips or the end, also with an insertion between. Returns the new n."""
    while n > 0 and (op[n - 1] == D or op[n - 1] == N or op[n - 1] == P):
        n -= 1
    if n > 1 and op[n - 1] == I and op[n - 2] == D:
        op[n - 2], length[n - 2] = op[n - 1], length[n - 1]
        n -= 1
    return n


@jit
def canonical(op, length, n, op_out, length_out):
    """GATK's CigarBuilder: empty elements and deletions at the ends dropped, neighbours merged, deletions before insertions. Returns n."""
    m = 0
    aligned = False
    for k in range(n):
        o, size = op[k], length[k]
        if size == 0:
            continue
        if o == D and not aligned:
            continue
        if o == D and op_out[m - 1] == I:
            if m > 1 and op_out[m - 2] == D:
                length_out[m - 2] += size
            else:
                op_out[m], length_out[m] = op_out[m - 1], length_out[m - 1]
                op_out[m - 1], length_out[m - 1] = D, size
                m += 1
            continue
        if (o == S or o == H) and aligned:
            m = _trim_right(op_out, length_out, m)
        if o != S and o != H and o != I:
            aligned = True
        if m > 0 and op_out[m - 1] == o:
            length_out[m - 1] += size
        else:
            op_out[m], length_out[m] = o, size
            m += 1
    return _trim_right(op_out, length_out, m)


@jit
def reference_span(op, length, n):
    total = np.int64(0)
    for k in range(n):
        if uses_reference(op[k]):
            total += length[k]
    return total


@jit
def read_index(op, length, n, pos, at):
    """(index, operator) of the base over reference position `at`; (-1, 0) outside. In a deletion: the first base after it.

    Soft clips count like aligned bases. Source: GATK ReadUtils.getReadIndexForReferenceCoordinate.
    """
    reference = np.int64(pos)
    for k in range(n):
        if op[k] == S:
            reference -= length[k]
        elif op[k] != H:
            break
    index = np.int64(0)
    if at < reference:
        return np.int64(-1), 0
    for k in range(n):
        o, size = op[k], length[k]
        if o == M or o == EQ or o == X or o == S:
            if at < reference + size:
                return index + (at - reference), o
            index += size
            reference += size
        elif o == I:
            index += size
        elif o == D or o == N:
            if at < reference + size:
                return index, o
            reference += size
    return np.int64(-1), 0


@jit
def clip_left(op, length, n, pos, count):
    """Hard-clip `count` bases from the left, in place. Returns (n, new pos)."""
    at = 0
    left = count
    while at < n and (op[at] == H or left > 0 or not uses_read(op[at])):
        o = op[at]
        if uses_read(o):
            part = min(left, length[at])
            if uses_reference(o):
                pos += part
            left -= part
            length[at] -= part
            if length[at] > 0:
                break
        elif uses_reference(o):
            pos += length[at]
        at += 1
    for k in range(at, n):
        op[k - at], length[k - at] = op[k], length[k]
    return n - at, pos


@jit
def clip_right(op, length, n, count):
    """Hard-clip `count` bases from the right, in place. Returns n."""
    left = count
    while n > 0 and (op[n - 1] == H or left > 0 or not uses_read(op[n - 1])):
        o = op[n - 1]
        if uses_read(o):
            part = min(left, length[n - 1])
            left -= part
            length[n - 1] -= part
            if length[n - 1] > 0:
                break
        n -= 1
    return n


@jit
def _adaptor(flag, pos, stop, mate_ref_id, mate_pos, tlen):
    """The 0-based adaptor boundary, or -2^40 where there is none. Source: GATK ReadUtils.getAdaptorBoundary."""
    none = np.int64(-1) << 40
    if tlen == 0 or not flag & 1 or flag & 12 or mate_ref_id < 0 or mate_pos < 0 or ((flag >> 4) ^ (flag >> 5)) & 1 == 0:
        return none
    if flag & 16:
        return np.int64(mate_pos) - 1 if stop > mate_pos + 1 else none
    return np.int64(pos) + abs(np.int64(tlen)) if np.int64(pos) <= np.int64(mate_pos) + tlen else none


@jit
def _hide_known(op, length, n, pos, stop, bases, spans, bins, quality):
    """quality[j] = 255, which is not counted, for bases at known sites.

    spans: int64[k, 2] by start. bins: first span that may reach each 1024 bases.
    """
    if spans.shape[0] == 0:
        return
    first = bins[min(pos >> 10, bins.size - 1)]
    for f in range(first, spans.shape[0]):
        if spans[f, 0] >= stop:
            break
        if spans[f, 1] <= pos:
            continue
        i, o = read_index(op, length, n, pos, spans[f, 0])
        begin = np.int64(0)
        if i >= 0:
            begin = i - 1 if o == D else i
        j, _ = read_index(op, length, n, pos, spans[f, 1] - 1)
        last = bases if j < 0 else j
        for b in range(max(0, begin), min(bases - 1, last) + 1):
            quality[b] = 255


@jit
def unpack_codes(packed, first, size, low, high, code):
    """Put the codes of bases first..first + size, at an address of packed bases, at the address `code`; returns where the first one is.

    code: size + 2 bytes. `NO_BASE` is set where a base is none of ACGT, `TAIL` where it is before base `low` of these or not before `high`.
    """
    for t in range((size + (first & 1) + 1) >> 1):
        store_u16(code + 2 * t, PAIRS[load_u8(packed + (first >> 1) + t)])
    code += first & 1
    for j in range(low):
        store_u8(code + j, load_u8(code + j) | TAIL)
    for j in range(high, size):
        store_u8(code + j, load_u8(code + j) | TAIL)
    return code


@jit
def _mismatches(op, length, n, pos, code, reference, size, wrong):
    """Put 1 at wrong + j (addresses) where base j is aligned and not the reference's. size: of the reference, ASCII A, C, G, T and N."""
    at = pos
    ones = np.uint64(0x0101010101010101)
    for k in range(n):
        o, most = op[k], length[k]
        j = np.int64(0)
        if o == M or o == EQ or o == X:
            inside = min(most, max(size - at, 0))
            while j < inside:
                if j + 8 <= inside:
                    r = load_u64(reference + at + j)
                    # A, C, G, T have 0, 1, 3, 2 in bits 1 and 2; only N has bit 3
                    c = (r >> np.uint64(1)) & (ones * np.uint64(3))
                    differs = c ^ ((c >> np.uint64(1)) & ones) ^ load_u64(code + j)
                    store_u64(wrong + j, (differs | (differs >> np.uint64(1)) | (r >> np.uint64(3))) & ones)
                    j += 8
                else:
                    store_u8(wrong + j, np.uint8(base_code(load_u8(reference + at + j)) != (load_u8(code + j) & 7)))
                    j += 1
            at += most
            while j < most:
                store_u8(wrong + j, np.uint8(1))
                j += 1
        elif o == I or o == S:
            while j < most:
                store_u8(wrong + j, np.uint8(0))
                j += 1
        elif o == D or o == N:
            at += most
            most = np.int64(0)
        if uses_read(o):
            code += most
            wrong += most


@jit
def prepare(data, offset, i, pos, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, op, length, op_2, length_2):
    """CIGAR, window of stored bases and position after all clips: (elements, first base, end base, pos). Empty: first == end."""
    cigar = address_of(data) + offset[i] + 36 + name_length
    bases = np.int64(0)
    for k in range(n_cigar):
        element = np.int64(load_u32(cigar + 4 * k))
        op_2[k], length_2[k] = element & 15, element >> 4
        if uses_read(element & 15):
            bases += element >> 4
    n = canonical(op_2, length_2, n_cigar, op, length)
    first, last = np.int64(0), bases
    place = np.int64(pos)
    stop = place + reference_span(op, length, n)
    boundary = _adaptor(flag, place, stop, mate_ref_id, mate_pos, tlen)
    if place <= boundary < stop:
        index, o = read_index(op, length, n, place, boundary)
        if index >= 0:
            if flag & 16:
                cut = index if o == D else index + 1
                if cut > 0:
                    first = min(cut, bases)
                    n, place = clip_left(op, length, n, place, first)
            else:
                last = index
                n = clip_right(op, length, n, bases - last)
            if first >= last:
                return 0, first, first, place
            n = canonical(op, length, n, op_2, length_2)
            for k in range(n):
                op[k], length[k] = op_2[k], length_2[k]
    while n > 0 and (op[n - 1] == H or op[n - 1] == S):
        if op[n - 1] == S:
            last -= length[n - 1]
        n -= 1
    lead = 0
    while lead < n and (op[lead] == H or op[lead] == S):
        if op[lead] == S:
            first += length[lead]
        lead += 1
    for k in range(lead, n):
        op[k - lead], length[k - lead] = op[k], length[k]
    n -= lead
    if first >= last or n == 0:
        return 0, first, first, place
    n = canonical(op, length, n, op_2, length_2)
    for k in range(n):
        op[k], length[k] = op_2[k], length_2[k]
    return n, first, last, place


@jit
def _count(code, quality, wrong, size, all_low, flag, k, most, lowest, columns, counts, group, keys):
    """Add the bases of a read to its group's counts, in sequencing order. code, quality, wrong, counts, keys: addresses.

    Returns where the next key goes.
    """
    contexts = np.int64(1) << (2 * k)
    flip, step = (3, -1) if flag & 16 else (0, 1)
    turn = -8 if flag & 0x81 == 0x81 else 8
    j = size - 1 if flag & 16 else np.int64(0)
    wide = k > DENSE_CONTEXT
    cycle = 8 * most if wide else 8 * (contexts + 1 + most)
    value, run = np.int64(0), np.int64(0)
    for _ in range(size):
        cycle += turn
        c = np.int64(load_u8(code + j))
        run = run + 1 if c < NO_BASE else 0
        value = ((value << 2) | (c ^ flip)) & (contexts - 1)
        q = np.int64(load_u8(quality + j))
        if c & NO_BASE == 0 and lowest <= q <= 93:
            one = 1 + (np.int64(load_u8(wrong + j)) << 32)
            at = counts + 8 * q * columns
            if wide:
                if run >= k or all_low:
                    key = wide_key(group, q, value if run >= k else contexts)
                    store_i64(keys, key << 1 | (one >> 32))
                    keys += 8
            elif run >= k:
                store_i64(at + 8 * value, load_i64(at + 8 * value) + one)
            elif all_low:  # of a read that is low-quality throughout GATK counts every base under an empty context
                store_i64(at + 8 * contexts, load_i64(at + 8 * contexts) + one)
            store_i64(at + cycle, load_i64(at + cycle) + one)
        j += step
    return keys


@jit
def wide_key(group, quality, context):
    """A cell of the table of contexts longer than `DENSE_CONTEXT`, of which there can be 4^13."""
    return (group * 94 + quality) << WIDE_BITS | context


@jit
def count_bases(begin, end, batch, chosen, group, reference, contig_of, spans, bins, settings, counts, keys):
    """Add the bases of records chosen[begin:end], all on one contig, to the table.

    batch: (data, offset, ref_id, pos, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length, read_group) of ReadBatch.
    group: int32, table row by read group. reference: the contig's bases, ASCII A, C, G, T, N. spans, bins: known sites of the contig.
    settings: int64[5]: context size, maximum cycle, low-quality tail, lowest quality counted, 1 to take qualities from OQ.
    counts: int64[groups * 94 * (4^k + 1 + 2 max + 1)], contexts, the empty one, then cycles from -max; bases, and 2^32 for a mismatch.
    keys: where k is above `DENSE_CONTEXT`, counts has cycles only, and this (int64, one more than bases) gets the number of contexts seen
    and each of them, twice its `wide_key` and 1 for a mismatch.

    Returns
    -------
    -1, or the record whose cycle passes the maximum.
    """
    data, offset, ref_id, pos, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length, read_group = batch
    k, most, tail, lowest, use_oq = settings[0], settings[1], settings[2], settings[3], settings[4]
    columns = 2 * most + 1
    if k <= DENSE_CONTEXT:
        columns += (np.int64(1) << (2 * k)) + 1
    next_key = address_of(keys) + 8
    keys[0] = 0
    elements = np.int64(1024)
    op, length = np.empty(elements, np.int64), np.empty(elements, np.int64)
    op_2, length_2 = np.empty(elements, np.int64), np.empty(elements, np.int64)
    room = np.int64(1024)
    code, quality, wrong = np.empty(room + 2, np.uint8), np.empty(room, np.uint8), np.empty(room, np.uint8)
    base_address = np.int64(data.ctypes.data)
    for c in range(begin, end):
        i = chosen[c]
        if ref_id[i] != contig_of:
            continue
        operations = np.int64(n_cigar[i])
        if 2 * operations + 4 > elements:
            elements = 4 * operations + 4
            op, length = np.empty(elements, np.int64), np.empty(elements, np.int64)
            op_2, length_2 = np.empty(elements, np.int64), np.empty(elements, np.int64)
        f = np.int64(flag[i])
        n, first, last, place = prepare(data, offset, i, pos[i], f, mate_ref_id[i], mate_pos[i], tlen[i], np.int64(name_length[i]),
                                        operations, op, length, op_2, length_2)  # fmt: skip
        size = last - first
        if size <= 0:
            continue
        if size > most:
            return i
        if size > room:
            room = 2 * size
            code, quality, wrong = np.empty(room + 2, np.uint8), np.empty(room, np.uint8), np.empty(room, np.uint8)
        seq = offset[i] + 36 + name_length[i] + 4 * operations
        qual = seq + (seq_length[i] + 1) // 2
        shift = 0
        if use_oq:
            at = _find_tag(base_address + qual + seq_length[i], base_address + offset[i + 1], 79, 81)
            if at >= 0 and load_u8(at + 3 + seq_length[i]) == 0 and load_u8(at + 3) != 0:
                qual = at - base_address + 3
                shift = 33
        qual += first
        quality[:size] = data[qual : qual + size]
        for j in range(size if shift else 0):
            quality[j] -= shift
        low, high = np.int64(0), size
        while low < size and np.int64(data[qual + low]) - shift <= tail:
            low += 1
        while high > low and np.int64(data[qual + high - 1]) - shift <= tail:
            high -= 1
        _hide_known(op, length, n, place, place + reference_span(op, length, n), size, spans, bins, quality)
        codes = unpack_codes(base_address + seq, first, size, low, high, address_of(code))
        _mismatches(op, length, n, place, codes, address_of(reference), np.int64(reference.size), address_of(wrong))
        row = np.int64(group[read_group[i]])
        table = address_of(counts) + 8 * 94 * columns * row
        next_key = _count(codes, address_of(quality), address_of(wrong), size, low == size, f, k, most, lowest, columns, table, row,
                          next_key)  # fmt: skip
    keys[0] = (next_key - address_of(keys)) // 8 - 1
    return np.int64(-1)
