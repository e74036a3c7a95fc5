"""Order of alignment records: packed keys, a radix sort of them, and the ties settled in the records themselves.

A sort is a permutation: `coordinate_keys` makes one uint64 a record, `radix_sort` orders those, and `settle_coordinate_ties`
reads names and the other fields only inside runs of equal keys. Query-name orders use `sort_names` over the whole name.
Records are reached by address (`address[k]` is where record k begins), so that batches are sorted where they lie.
"""

from functools import reduce
from operator import or_

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from gpugenome.kernels.bam_records_cpu import AHEAD, decode_record, prefetch_lines
from gpugenome.kernels.launch import jit, run_chunks
from gpugenome.kernels.memory import address_of, copy_bytes, prefetch
from gpugenome.kernels.sort_keys_scalar import coordinate_key, name_word, sort_run


@intrinsic
def _pointer(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.CPointer(types.uint8)))

    return types.CPointer(types.uint8)(types.int64), codegen


@jit
def record_at(address, size):
    """The bytes of a record at an address, uint8[size]; nothing checks it."""
    return carray(_pointer(address), (size,), np.uint8)


@jit
def coordinate_keys(begin, end, ref_id, pos, flag, out):
    """Write `coordinate_key` of records begin..end to out, uint64[n]."""
    for i in range(begin, end):
        out[i] = coordinate_key(ref_id[i], pos[i], flag[i])


@jit
def varying_bits(begin, end, keys):
    """The bits in which keys[begin:end] differ from the first of all keys, as one uint64."""
    varying = np.uint64(0)
    for i in range(begin, end):
        varying |= keys[i] ^ keys[0]
    return varying


@jit
def count_digits(begin, end, keys, shift, count):
    """count[p, d] (int64[parts, 2048]) = keys of part p whose 11 bits from `shift` up are d, for parts begin..end of the keys."""
    mask = np.uint64(2047)
    for p in range(begin, end):
        low, high = keys.size * p // count.shape[0], keys.size * (p + 1) // count.shape[0]
        count[p, :] = 0
        for i in range(low, high):
            count[p, np.int64((keys[i] >> shift) & mask)] += 1


@jit
def place_digits(count):
    """Turn counts into the places of each part's first key of each digit: digit by digit, and in each of them part by part."""
    at = 0
    for d in range(count.shape[1]):
        for p in range(count.shape[0]):
            n = count[p, d]
            count[p, d] = at
            at += n


@jit
def radix_pass(begin, end, keys, order, shift, count, keys_out, order_out):
    """One stable pass over parts begin..end of the keys (uint64[n]) after `place_digits`.

    order: int64[n], carried along; empty for 0, 1, 2...
    """
    mask = np.uint64(2047)
    for p in range(begin, end):
        low, high = keys.size * p // count.shape[0], keys.size * (p + 1) // count.shape[0]
        for i in range(low, high):
            d = np.int64((keys[i] >> shift) & mask)
            at = count[p, d]
            count[p, d] = at + 1
            keys_out[at] = keys[i]
            order_out[at] = order[i] if order.size else i


def radix_sort(keys, threads=1):
    """Stable ascending order of keys.

    keys: uint64[n]. Returns (sorted keys, order int64[n]). Only digits in which keys differ are sorted.
    """
    n, shift, own = keys.size, 0, []
    varying = reduce(or_, run_chunks(varying_bits, n, threads, keys), 0)
    order = np.empty(0, np.int64)
    count = np.empty((threads, 2048), np.int64)
    while varying >> shift:
        if not (varying >> shift) & 1:
            shift += 1
            continue
        run_chunks(count_digits, threads, threads, keys, np.uint64(shift), count)
        place_digits(count)
        out = own.pop() if len(own) > 1 else (np.empty_like(keys), np.empty(n, np.int64))
        run_chunks(radix_pass, threads, threads, keys, order, np.uint64(shift), count, *out)
        keys, order = out
        own.insert(0, out)
        shift += 11
    return (keys, order) if own else (keys, np.arange(n))


@jit
def settle_coordinate_ties(begin, end, keys, address, order):
    """Order the runs of equal keys that START in begin..end by the rest of the coordinate order.

    keys: uint64[n], sorted. address: int64[n], where record k (before sorting) begins. order: int64[n], changed in place.
    """
    n = keys.size
    i = begin
    while 0 < i < end and keys[i] == keys[i - 1]:
        i += 1
    scratch = np.empty(0, np.int64)
    asked = i
    while i < end:
        j = i + 1
        while j < n and keys[j] == keys[i]:
            j += 1
        # Records that are looked at soon, one after another in the order but anywhere in memory.
        while asked < min(j + 8 * AHEAD, n - 1):
            asked += 1
            if keys[asked] == keys[asked - 1]:
                prefetch_lines(address[order[asked - 1]], 2)
                prefetch_lines(address[order[asked]], 2)
        if j - i > 1:
            if j - i > scratch.size:
                scratch = np.empty(2 * (j - i), np.int64)
            if j - i > 256:
                sort_names(address, order[i:j], 0, scratch)
            else:
                sort_run(0, address, order, i, j, scratch)
        i = j


@jit
def natural_name(name, out):
    """Rewrite a name so that plain byte order is samtools' natural order; returns its length.

    A run of digits becomes '0', its number of significant digits + 1, and those digits, so longer numbers come later and
    leading zeros do not count. name: uint8[:]. out: uint8, at least 3 times as long.
    """
    n, k, i = name.size, 0, 0
    while i < n:
        c = name[i]
        if c < 48 or c > 57:
            out[k] = c
            k += 1
            i += 1
            continue
        while i < n and name[i] == 48:
            i += 1
        j = i
        while j < n and 48 <= name[j] <= 57:
            j += 1
        out[k] = 48
        out[k + 1] = j - i + 1
        k += 2
        for d in range(i, j):
            out[k] = name[d]
            k += 1
        i = j
    return k


@jit
def _is_before(a, n, b, m):
    """Whether the text a[:n] comes before b[:m]."""
    for i in range(min(n, m)):
        if a[i] != b[i]:
            return a[i] < b[i]
    return n < m


@jit
def names_broken(data, offset, name_length, previous, state):
    """The first record whose name comes before that of its predecessor in both orders of names, or -1.

    previous: uint8[256], the last name seen. state: int64[3], its length (-1 at the start), whether all names so far are in byte order
    and in natural order; all are changed.
    """
    natural = np.empty((2, 1024), np.uint8)
    for i in range(offset.size - 1):
        n = np.int64(name_length[i]) - 1
        name = data[offset[i] + 36 : offset[i] + 36 + n]
        m = state[0]
        if state[1] and m >= 0 and _is_before(name, n, previous, m):
            state[1] = 0
        if state[2] and m >= 0:
            a, b = natural_name(name, natural[0]), natural_name(previous[:m], natural[1])
            if _is_before(natural[0], a, natural[1], b):
                state[2] = 0
        if not state[1] and not state[2]:
            return i
        previous[:n] = name
        state[0] = n
    return -1


@jit
def coordinates_broken(ref_id, pos, last):
    """The first record before its predecessor in coordinate order (records without contig last, all alike), or -1.

    ref_id, pos: int32[n]. last: int64[1], the key of the record before these, -1 at the start; changed to that of the last one.
    """
    previous = last[0]
    for i in range(ref_id.size):
        key = np.int64(1) << 62
        if ref_id[i] >= 0:
            key = np.int64(ref_id[i]) << 32 | (np.int64(pos[i]) + 1)
        if key < previous:
            return i
        previous = key
    last[0] = previous
    return -1


@jit
def natural_names(begin, end, address, offset, out):
    """Write the natural form of the names of records begin..end at out[offset[i]:]; returns nothing, the rest is zeroed."""
    for i in range(begin, end):
        record = record_at(address[i], 512)
        a = out[offset[i] : offset[i + 1]]
        k = natural_name(record[36 : 36 + record[12] - 1], a)
        for j in range(k, a.size):
            a[j] = 0


@jit
def _load_words(address, order, a, b, depth, natural, natural_offset, words):
    """words[a:b] = bytes depth..depth+8 of the names (or natural names) of order[a:b]."""
    for i in range(a, b):
        k = order[i]
        if natural.size:
            start = natural_offset[k]
            words[i] = name_word(natural, start, natural_offset[k + 1] - start, depth)
        else:
            record = record_at(address[k], 512)
            words[i] = name_word(record, 36, np.int64(record[12]) - 1, depth)


@jit
def _sort_words(words, order, a, b):
    """In-place sort of words[a:b] with order: quicksort by medians of three, insertion sort below 16."""
    low, high = np.empty(128, np.int64), np.empty(128, np.int64)
    low[0], high[0] = a, b
    top = 1
    while top:
        top -= 1
        s, e = low[top], high[top]
        while e - s > 16:
            m = (s + e) // 2
            x, y, z = words[s], words[m], words[e - 1]
            pivot = max(min(x, y), min(max(x, y), z))
            i, j = s, e - 1
            while i <= j:
                while words[i] < pivot:
                    i += 1
                while words[j] > pivot:
                    j -= 1
                if i <= j:
                    words[i], words[j] = words[j], words[i]
                    order[i], order[j] = order[j], order[i]
                    i += 1
                    j -= 1
            # The larger side waits, so the stack holds at most log2(n) of them.
            if j + 1 - s < e - i:
                low[top], high[top] = i, e
                e = j + 1
            else:
                low[top], high[top] = s, j + 1
                s = i
            top += 1
        for i in range(s + 1, e):
            w, v = words[i], order[i]
            j = i
            while j > s and words[j - 1] > w:
                words[j] = words[j - 1]
                order[j] = order[j - 1]
                j -= 1
            words[j] = w
            order[j] = v


@jit
def order_names(address, order, rule, natural, natural_offset, scratch):
    """Sort order (int64[m], indices into address) by name, then by a tie rule, then by input order.

    Eight bytes of all names at a time: sort the words, then go deeper into the runs that are still equal.
    natural, natural_offset: ragged natural names (see `natural_names`), or empty to use the records' own.
    rule: see `sort_run`.
    """
    words = np.empty(order.size, np.uint64)
    stack = np.empty((64, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, order.size, 0
    top = 1
    while top:
        top -= 1
        a, b, depth = stack[top, 0], stack[top, 1], stack[top, 2]
        _load_words(address, order, a, b, depth, natural, natural_offset, words)
        same = True
        for i in range(a + 1, b):
            if words[i] != words[a]:
                same = False
                break
        if not same:
            _sort_words(words, order, a, b)
        i = a
        while i < b:
            j = i + 1
            while j < b and words[j] == words[i]:
                j += 1
            if j - i > 1:
                if (words[i] & np.uint64(255)) == 0:
                    # Equal names: back to input order, which the tie rule then refines.
                    for k in range(i, j):
                        words[k] = np.uint64(order[k])
                    _sort_words(words, order, i, j)
                    sort_run(rule, address, order, i, j, scratch)
                else:
                    if top == stack.shape[0]:
                        bigger = np.empty((2 * top, 3), np.int64)
                        bigger[:top] = stack
                        stack = bigger
                    stack[top, 0], stack[top, 1], stack[top, 2] = i, j, depth + 8
                    top += 1
            i = j


@jit
def sort_names(address, order, rule, scratch):
    """`order_names` by the records' own names."""
    order_names(address, order, rule, np.empty(0, np.uint8), np.empty(0, np.int64), scratch)


@jit
def gather_offsets(order, size, out_offset):
    """Where each of the records `order` (int64[m]) begins when they lie one after another: int64[m+1]. size: int32[n], of all records."""
    at = np.int64(0)
    for i in range(order.size):
        out_offset[i] = at
        at += size[order[i]]
    out_offset[order.size] = at


@jit
def gather_records(begin, end, address, out_offset, out):
    """Copy the records at the addresses begin..end to out at out_offset[i] (int64[n+1])."""
    target = np.int64(out.ctypes.data)
    last = address.size - 1
    for i in range(begin, end):
        prefetch_lines(address[min(i + AHEAD, last)], 6)
        copy_bytes(target + out_offset[i], address[i], out_offset[i + 1] - out_offset[i])


@jit
def gather_decoded(begin, end, order, address, read_group, out_offset, out, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen,
                   name_length, n_cigar, seq_length, out_group):  # fmt: skip
    """Copy the records order[begin:end] to out at out_offset[i] (int64[m+1]), and their fixed fields and groups to columns.

    order: int64[m]. address: int64[n], read_group: int32[n], of all records. Columns by place in the order, with the dtypes of `ReadBatch`.
    """
    target = np.int64(out.ctypes.data)
    last = order.size - 1
    for i in range(begin, end):
        # Two steps ahead: where a record is, and the record.
        coming = order[min(i + 2 * AHEAD, last)]
        prefetch(address_of(address) + 8 * coming)
        prefetch(address_of(read_group) + 4 * coming)
        prefetch_lines(address[order[min(i + AHEAD, last)]], 6)
        record = order[i]
        a = address[record]
        copy_bytes(target + out_offset[i], a, out_offset[i + 1] - out_offset[i])
        # Not from the copy: what was just stored in another width takes long to be loaded.
        decode_record(a, i, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length)
        out_group[i] = read_group[record]
