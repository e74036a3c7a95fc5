"""A fast deflate for blocks of alignment records: greedy matches of six bytes and more, one block of dynamic Huffman codes.

Base qualities that change from base to base hardly repeat, and matches among them cost more bits than their bytes as literals do, and most
of the time. So the caller says where the qualities are, and no match is looked for there. Qualities in long runs (binned ones) are
treated like everything else. Elsewhere, the longer no match has been found the larger the steps in which one is looked for.
Source: RFC 1951; Moffat and Katajainen 1995 (code lengths in place).
"""


import numpy as np

from gpugenome.kernels.bits import equal_bytes_at, leading_zeros, trailing_zeros
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import copy_bytes, load_u8, load_u16, load_u32, load_u64, store_u16, store_u32, store_u64

HASH_BITS = 14
LONGEST, FARTHEST = 258, 32768
MOST_SEQUENCES = 65536 // 6 + 1
LITERALS, DISTANCES = 286, 30
END = 256
LITERAL_LIMIT, DISTANCE_LIMIT, ORDER_LIMIT = 14, 15, 7
"""Longest codes. Four literals of 14 bits and a rest of 7 fit into 64 bits."""
OWN_LEVELS = 2
"""The levels that are made here: 1 to OWN_LEVELS."""
PATIENCE = np.array([0, 4, 5], np.int64)
"""Of a level: the step grows by one every 2^PATIENCE misses."""

LAST_BYTES = 80
"""No match begins so near the end: 64 bytes are compared at once."""
STEP = np.array([0, 2, 1], np.int64)
"""Of a level: of the places within a match one in so many can be found."""
NO_SYMBOL = 319
HIGH_OF_PAIRS = np.uint64(0xC000C000C000C000)

LONG_RUN = 32
"""Literals in a row that are counted and written as in a long run: base qualities mostly, of few different values."""
PAIRS_WORTH = 4096
"""Literals in long runs for which a table of pairs is worth making."""
PRESENT = np.uint64(1 << 63)

HEAD_BYTES = 512
"""More than the head of a block takes."""
WRITTEN_BYTES = 65536 * 2 + HEAD_BYTES
"""More than a block takes by codes that were not made for it: 15 bits a literal."""
WORSE = 4
"""How much larger a block may be by codes that were not made for it than the one that they were made for: one in 2^WORSE."""

TRIED_BYTES = 32768
"""Of the first block of several, so many bytes are parsed both ways to see whether matches among base qualities are worth while."""
GAIN = 4
"""They are where they save more than one bit in 2^GAIN."""

_EXTRA = np.array([0] * 8 + [k // 4 - 1 for k in range(8, 28)] + [0], np.int64)
_FIRST = np.concatenate([[3], 3 + np.cumsum(1 << _EXTRA[:27]), [258]]).astype(np.int64)
_LENGTH_SYMBOL = (np.searchsorted(_FIRST, np.arange(LONGEST + 1), "right") - 1).astype(np.int64)
"""Of a length: its symbol less 257. _FIRST, _EXTRA: first length of each symbol, and its extra bits."""
_CODE_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], np.int64)


@jit
def _ranges_before(quiet, first, end):
    """The number of the first range of quiet[:, first:] that begins at `end` or later."""
    while first < quiet.shape[1] and quiet[0, first] < end:
        first += 1
    return first


@jit
def _hash_slot(table, word):
    """The address in the table of the hash of the six lowest bytes of a word."""
    return table + 2 * np.int64(((word << np.uint64(16)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - HASH_BITS))


@jit
def _count(counts, symbol):
    at = counts + 4 * symbol
    store_u32(at, np.uint32(load_u32(at) + np.uint32(1)))


@jit
def _parse(source, n, quiet, begin, level, table, sequences):
    """Greedy parse of n bytes at an address into sequences (literals << 32 | length << 16 | distance - 1); returns how many.

    level: 1 to OWN_LEVELS. quiet: int64[2, ranges], begins and ends of the ranges without matches, from `begin` on. table: address of
    uint16[2^HASH_BITS], zeros: the latest place of each hash.
    """
    found, q = 0, 0
    anchor, i, misses = np.int64(0), np.int64(8), np.int64(0)
    last, patience, step = n - LAST_BYTES, PATIENCE[level], STEP[level]
    stop = min(last, quiet[0, 0] - begin) if quiet.shape[1] else last
    while i < last:
        if i >= stop:
            while q < quiet.shape[1] and quiet[0, q] - begin <= i:
                i = max(i, quiet[1, q] - begin)
                q += 1
            stop = min(last, quiet[0, q] - begin) if q < quiet.shape[1] else last
            misses = 0
            continue
        word = load_u64(source + i)
        slot = _hash_slot(table, word)
        c = np.int64(load_u16(slot))
        store_u16(slot, np.uint16(i))
        differing = word ^ load_u64(source + c)
        if differing & np.uint64(0xFFFFFFFFFFFF) != 0 or i - c > FARTHEST:
            misses += 1
            i += 1 + (misses >> patience)
            continue
        # Lengths are found without loops, which would end where no processor can guess.
        length = trailing_zeros(~equal_bytes_at(source + i, source + c))
        if length == 64:
            while length < LONGEST and i + length < last:
                more = trailing_zeros(~equal_bytes_at(source + i + length, source + c + length))
                length += more
                if more < 64:
                    break
        before = max(c, np.int64(8))
        back = leading_zeros(load_u64(source + i - 8) ^ load_u64(source + before - 8)) >> 3
        back = min(back, i - anchor, c - 8 if c > 8 else np.int64(0))
        i -= back
        length = min(length + back, np.int64(LONGEST))
        sequences[found] = np.uint64(i - anchor) << np.uint64(32) | np.uint64(length) << np.uint64(16) | np.uint64(i - c + back - 1)
        found += 1
        j, end = i + back + 1, min(i + length, last)
        while j < end:
            store_u16(_hash_slot(table, load_u64(source + j)), np.uint16(j))
            j += step
        i += length
        anchor = i
        misses = 0
    return found


@jit
def _count_eight(many, word):
    """Count the bytes of a word in four tables by turns, since counting in one place again means waiting."""
    for k in range(8):
        _count(many + 1024 * (k & 3), np.int64(word & np.uint64(255)))
        word >>= np.uint64(8)


@jit
def _count_long_run(source, count, counts, many):
    """Count literals of a long run: those of eights in many (address of uint32[4, 256]), the rest in counts."""
    j = np.int64(0)
    while j + 8 <= count:
        _count_eight(many, load_u64(source + j))
        j += 8
    while j < count:
        _count(counts, np.int64(load_u8(source + j)))
        j += 1


@jit
def _count_all(source, n, sequences, found, counts, many):
    """Raise counts (address of uint32[2, 320]) by the symbols of literals and lengths, and of distances; many: as `_count_long_run`."""
    i = np.int64(0)
    mask = np.uint64(0xFFFF)
    for k in range(found):
        sequence = sequences[k]
        literals = np.int64(sequence >> np.uint64(32))
        length = np.int64((sequence >> np.uint64(16)) & mask)
        if literals >= LONG_RUN:
            _count_long_run(source + i, literals, counts, many)
        else:
            four = np.int64(load_u32(source + i))
            for j in range(4):
                # those beyond the last literal in a place of no use
                beyond = (np.int64(literals - 1) - j) >> 63
                _count(counts, (four & 255 & ~beyond) | (beyond & NO_SYMBOL))
                four >>= 8
            for j in range(4, literals):
                _count(counts, np.int64(load_u8(source + i + j)))
        i += literals + length
        _count(counts, 257 + _LENGTH_SYMBOL[length])
        _count(counts, 320 + _distance_symbol(sequence & mask))
    _count_long_run(source + i, n - i, counts, many)


@jit
def _distance_symbol(distance):
    """The symbol of a distance (less one, uint64)."""
    if distance < 4:
        return np.int64(distance)
    top = 63 - leading_zeros(distance)
    return 2 * top + np.int64((distance >> np.uint64(top - 1)) & np.uint64(1))


@jit
def _sort(values, n, scratch):
    """Sort n values (int64, below 2^26, at most 320) by the bits above the nine lowest, equals in their order; scratch: int64[640]."""
    places = scratch[320:576]
    for shift in (9, 17):
        places[:] = 0
        for i in range(n):
            places[values[i] >> shift & 255] += 1
        total = np.int64(0)
        for k in range(256):
            count = places[k]
            places[k] = total
            total += count
        for i in range(n):
            k = values[i] >> shift & 255
            scratch[places[k]] = values[i]
            places[k] += 1
        values[:n] = scratch[:n]


@jit
def _code_lengths(counts, limit, lengths, order, weight):
    """Lengths (int64[symbols], 0 for those that do not occur) of a Huffman code of at most `limit` bits for symbols by their counts.

    order, weight: int64, scratch as long. With less than two symbols others get codes, so that the code is complete.
    """
    n = 0
    for s in range(counts.size):
        lengths[s] = 0
        if counts[s] > 0:
            order[n] = min(np.int64(counts[s]), np.int64(0xFFFF)) << 9 | s
            n += 1
    s = 0
    while n < 2:
        if counts[s] == 0:
            order[n] = np.int64(1) << 9 | s
            n += 1
        s += 1
    _sort(order, n, weight)
    for i in range(n):
        weight[i] = order[i] >> 9
    # Inner nodes take the places of the weights that they join, then parents, then depths.
    leaf, root = 2, 0
    weight[0] += weight[1]
    for node in range(1, n - 1):
        total = np.int64(0)
        for _ in range(2):
            if leaf >= n or (root < node and weight[root] < weight[leaf]):
                total += weight[root]
                weight[root] = node
                root += 1
            else:
                total += weight[leaf]
                leaf += 1
        weight[node] = total
    weight[n - 2] = 0
    for node in range(n - 3, -1, -1):
        weight[node] = weight[weight[node]] + 1
    # Symbols of each length, from the inner nodes of each depth; too long ones are cut to the limit.
    per_length = weight[n : n + 16]
    per_length[:] = 0
    free, depth, node = 1, 0, n - 2
    while free > 0:
        inner = 0
        while node >= 0 and weight[node] == depth:
            inner += 1
            node -= 1
        per_length[min(depth, limit)] += free - inner
        free = 2 * inner
        depth += 1
    total = np.int64(0)
    for k in range(1, limit + 1):
        total += per_length[k] << (limit - k)
    while total > 1 << limit:
        # One code of the limit goes beside a shorter one, which becomes one bit longer.
        per_length[limit] -= 1
        k = limit - 1
        while per_length[k] == 0:
            k -= 1
        per_length[k] -= 1
        per_length[k + 1] += 2
        total -= 1
    i = 0
    for k in range(limit, 0, -1):
        for _ in range(per_length[k]):
            lengths[order[i] & 511] = k
            i += 1


@jit
def _canonical(lengths, codes, following):
    """codes (uint32[symbols]): length << 16 | the canonical code, its first bit lowest. following: int64[16], scratch."""
    following[:] = 0
    for s in range(lengths.size):
        following[lengths[s]] += 1
    following[0] = 0
    code, count = np.int64(0), np.int64(0)
    for k in range(1, 16):
        code = (code + count) << 1
        count = following[k]
        following[k] = code
    for s in range(lengths.size):
        k = lengths[s]
        codes[s] = 0
        if k:
            code = following[k]
            following[k] += 1
            turned = np.int64(0)
            for _ in range(k):
                turned = turned << 1 | (code & 1)
                code >>= 1
            codes[s] = k << 16 | turned


@jit
def _run_lengths(lengths, n, runs):
    """The code lengths as symbols of the third code: runs (int64): symbol | extra << 8; returns how many."""
    count, i = 0, 0
    while i < n:
        value = lengths[i]
        j = i + 1
        while j < n and lengths[j] == value:
            j += 1
        left = j - i
        i = j
        if value == 0:
            while left >= 11:
                take = min(left, 138)
                runs[count] = 18 | (take - 11) << 8
                count += 1
                left -= take
            if left >= 3:
                runs[count] = 17 | (left - 3) << 8
                count += 1
                left = 0
        else:
            runs[count] = value
            count += 1
            left -= 1
            while left >= 3:
                take = min(left, 6)
                runs[count] = 16 | (take - 3) << 8
                count += 1
                left -= take
        for _ in range(left):
            runs[count] = value
            count += 1
    return count


@jit
def _put(at, word, filled, value, size):
    """Append `size` bits at address `at`, where the `filled` (below 8) lowest bits of `word` wait; the new (at, word, filled)."""
    word |= np.uint64(value) << np.uint64(filled)
    filled += np.int64(size)
    store_u64(at, word)
    whole = filled >> 3
    return at + whole, word >> np.uint64(8 * whole), filled & 7


@jit
def _write_head(at, runs, count, order_lengths, order_codes, literals, distances):
    """The head of a last block of dynamic codes; (address, word, filled) as `_put` takes them."""
    orders = 19
    while orders > 4 and order_lengths[_CODE_ORDER[orders - 1]] == 0:
        orders -= 1
    at, word, filled = _put(at, np.uint64(0), np.int64(0), 5 | (literals - 257) << 3 | (distances - 1) << 8 | (orders - 4) << 13, 17)
    for k in range(orders):
        at, word, filled = _put(at, word, filled, order_lengths[_CODE_ORDER[k]], 3)
    for k in range(count):
        symbol = runs[k] & 31
        at, word, filled = _put(at, word, filled, order_codes[symbol] & np.uint32(0xFFFF), order_lengths[symbol])
        if symbol > 15:
            at, word, filled = _put(at, word, filled, runs[k] >> 8, 2 if symbol == 16 else 3 if symbol == 17 else 7)
    return at, word, filled


@jit
def _add_up(many, counts):
    """Sum the rows of many (uint32[4, 256]) in its first one, and add that to counts."""
    first = many[0]
    for s in range(256):
        first[s] += many[1, s] + many[2, s] + many[3, s]
        counts[s] += first[s]


@jit
def _pair_codes(many, codes, hot, pairs):
    """Fill pairs (uint64[16384]): at a | b << 8 the codes of two literals of long runs, PRESENT | bits << 32 | code.

    For literals below 64 that make up a 512th of those runs or more; 0 elsewhere. hot: int64[65], how many such literals there were
    in the last block, and which; changed to those of this one.

    Returns
    -------
    Whether the table is worth using: where one literal in 16 is none of these, as in recalibrated qualities, it is not filled.
    """
    for i in range(1, hot[0] + 1):
        for j in range(1, hot[0] + 1):
            pairs[hot[i] | hot[j] << 8] = 0
    hot[0] = 0
    total = np.int64(0)
    for s in range(256):
        total += many[0, s]
    if total < PAIRS_WORTH:
        return False
    number, covered = 0, np.int64(0)
    for s in range(64):
        if many[0, s] * 512 >= total:
            number += 1
            hot[number] = s
            covered += many[0, s]
    if covered * 16 < total * 15:
        return False
    hot[0] = number
    for i in range(1, hot[0] + 1):
        first = np.uint64(codes[hot[i]])
        bits = first >> np.uint64(16)
        for j in range(1, hot[0] + 1):
            second = np.uint64(codes[hot[j]])
            code = first & np.uint64(0xFFFF) | (second & np.uint64(0xFFFF)) << bits
            pairs[hot[i] | hot[j] << 8] = PRESENT | (bits + (second >> np.uint64(16))) << np.uint64(32) | code
    return True


@jit
def _write_literals(source, count, codes, at, word, filled):
    """The codes (address of uint32: length << 16 | code) of `count` literals at an address."""
    mask = np.uint64(0xFFFF)
    j = np.int64(0)
    while j < count:
        for _ in range(min(count - j, 4)):
            code = np.uint64(load_u32(codes + 4 * np.int64(load_u8(source + j))))
            word |= (code & mask) << np.uint64(filled)
            filled += np.int64(code >> np.uint64(16))
            j += 1
        store_u64(at, word)
        whole = filled >> 3
        at += whole
        word >>= np.uint64(8 * whole)
        filled &= 7
    return at, word, filled


@jit
def _write_long_run(source, count, codes, pairs, at, word, filled):
    """As `_write_literals`, of a long run; pairs: address of the table of `_pair_codes`."""
    j = np.int64(0)
    low, bits, index, most = np.uint64(0xFFFFFFFF), np.uint64(31), np.uint64(0x3FFF), np.uint64(56)
    while j + 8 <= count:
        eight = load_u64(source + j)
        if eight & HIGH_OF_PAIRS == 0:
            a = load_u64(pairs + 8 * np.int64(eight & index))
            b = load_u64(pairs + 8 * np.int64(eight >> np.uint64(16) & index))
            c = load_u64(pairs + 8 * np.int64(eight >> np.uint64(32) & index))
            d = load_u64(pairs + 8 * np.int64(eight >> np.uint64(48)))
            first, third = a >> np.uint64(32) & bits, c >> np.uint64(32) & bits
            four, other_four = first + (b >> np.uint64(32) & bits), third + (d >> np.uint64(32) & bits)
            if a & b & c & d & PRESENT != 0 and four + other_four <= most:
                word |= (a & low | (b & low) << first | (c & low | (d & low) << third) << four) << np.uint64(filled)
                filled += np.int64(four + other_four)
                store_u64(at, word)
                whole = filled >> 3
                at += whole
                word >>= np.uint64(8 * whole)
                filled &= 7
                j += 8
                continue
        at, word, filled = _write_literals(source + j, np.int64(8), codes, at, word, filled)
        j += 8
    return _write_literals(source + j, count - j, codes, at, word, filled)


@jit
def _write_sequences(source, n, sequences, found, codes, length_codes, distance_codes, pairs, at, word, filled):
    """Literals and matches, the literals that follow them, and the end. Returns the address after the last byte.

    codes, length_codes (by length, extra bits and all: bits << 32 | code), distance_codes, pairs (`_pair_codes`): addresses of uint32,
    uint64, uint32, uint64; pairs may be 0.
    """
    i = np.int64(0)
    mask = np.uint64(0xFFFF)
    for k in range(found):
        sequence = sequences[k]
        literals = np.int64(sequence >> np.uint64(32))
        length = np.int64((sequence >> np.uint64(16)) & mask)
        if literals <= 4:
            # Without a loop, whose end no processor can guess; those beyond the last literal take no bits.
            four = np.int64(load_u32(source + i))
            for j in range(4):
                code = np.uint64(load_u32(codes + 4 * (four & 255))) & np.uint64((j - literals) >> 63)
                word |= (code & mask) << np.uint64(filled)
                filled += np.int64(code >> np.uint64(16))
                four >>= 8
            store_u64(at, word)
            whole = filled >> 3
            at += whole
            word >>= np.uint64(8 * whole)
            filled &= 7
        elif literals >= LONG_RUN and pairs != 0:
            at, word, filled = _write_long_run(source + i, literals, codes, pairs, at, word, filled)
        else:
            at, word, filled = _write_literals(source + i, literals, codes, at, word, filled)
        i += literals + length
        code = load_u64(length_codes + 8 * length)
        word |= (code & np.uint64(0xFFFFFFFF)) << np.uint64(filled)
        filled += np.int64(code >> np.uint64(32))
        distance = sequence & mask
        symbol = _distance_symbol(distance)
        code = np.uint64(load_u32(distance_codes + 4 * symbol))
        word |= (code & mask) << np.uint64(filled)
        filled += np.int64(code >> np.uint64(16))
        extra = max((symbol >> 1) - 1, np.int64(0))
        word |= (distance & ((np.uint64(1) << np.uint64(extra)) - np.uint64(1))) << np.uint64(filled)
        filled += extra
        store_u64(at, word)
        whole = filled >> 3
        at += whole
        word >>= np.uint64(8 * whole)
        filled &= 7
    at, word, filled = _write_literals(source + i, n - i, codes, at, word, filled)
    end = load_u32(codes + 4 * END)
    at, word, filled = _put(at, word, filled, end & np.uint32(0xFFFF), end >> np.uint32(16))
    store_u64(at, word)
    return at + (filled + 7) // 8


@jit
def _length_codes(codes, out):
    """out (uint64[259]): bits << 32 | code and extra bits, of each length of a match."""
    for length in range(3, LONGEST + 1):
        symbol = _LENGTH_SYMBOL[length]
        code = np.uint64(codes[257 + symbol])
        bits = code >> np.uint64(16)
        extra = np.uint64(length - _FIRST[symbol]) << bits
        out[length] = (bits + np.uint64(_EXTRA[symbol])) << np.uint64(32) | (code & np.uint64(0xFFFF)) | extra


@jit
def _bits(counts, lengths, distance_lengths):
    """Bits of all symbols and their extra bits. counts: uint32[2, 320]."""
    total = np.int64(0)
    for s in range(LITERALS):
        total += np.int64(counts[0, s]) * (lengths[s] + (_EXTRA[s - 257] if s > 256 else 0))
    for s in range(DISTANCES):
        total += np.int64(counts[1, s]) * (distance_lengths[s] + max(s // 2 - 1, 0))
    return total


@jit
def _cover(counts):
    """Let all symbols occur: the codes are for blocks, too, that are not counted. counts: uint32[2, 320]."""
    for s in range(LITERALS):
        counts[0, s] = max(counts[0, s], np.uint32(1))
    for s in range(DISTANCES):
        counts[1, s] = max(counts[1, s], np.uint32(1))


@jit
def _count_and_code(source, n, sequences, found, counts, many, small, covering):
    """Count the symbols of a block, and find the lengths of their codes; arguments as of `deflate`. covering: as `_cover`.

    Returns
    -------
    (runs of code lengths, as `_run_lengths`, codes of literals and lengths, of distances, bits of the block).
    """
    counts[:] = 0
    many[:] = 0
    lengths, distance_lengths, runs, order, weight = small[0, :LITERALS], small[1, :DISTANCES], small[2], small[4], small[5]
    _count_all(source, n, sequences, found, counts.ctypes.data, many.ctypes.data)
    _add_up(many, counts[0])
    counts[0, END] = 1
    if covering:
        _cover(counts)
    _code_lengths(counts[0, :LITERALS], LITERAL_LIMIT, lengths, order, weight)
    _code_lengths(counts[1, :DISTANCES], DISTANCE_LIMIT, distance_lengths, order, weight)
    literals, distances = LITERALS, DISTANCES
    while literals > 257 and lengths[literals - 1] == 0:
        literals -= 1
    while distances > 1 and distance_lengths[distances - 1] == 0:
        distances -= 1
    for s in range(literals):
        weight[s] = lengths[s]
    for s in range(distances):
        weight[literals + s] = distance_lengths[s]
    count = _run_lengths(weight, literals + distances, runs)
    for k in range(count):
        counts[2, runs[k] & 31] += np.uint32(1)
    total = 17 + 19 * 3 + count * 14 + _bits(counts, lengths, distance_lengths)
    return count, literals, distances, total


@jit
def _make_codes(source, n, sequences, found, room, covering, counts, codes, long_codes, small, many, hot, pairs, head, kept):
    """Make the codes of a block and its head; arguments as of `deflate`.

    head: uint8[HEAD_BYTES], the head's whole bytes. kept: int64[7], of which changed: how many these are, the bits that follow them and
    how many, whether pairs are of use. Returns whether the block has room.
    """
    count, literals, distances, total = _count_and_code(source, n, sequences, found, counts, many, small, covering)
    if total // 8 + 16 > room:
        return False
    lengths, distance_lengths, runs, order_lengths = small[0, :LITERALS], small[1, :DISTANCES], small[2], small[3, :19]
    order, weight = small[4], small[5]
    _code_lengths(counts[2, :19], ORDER_LIMIT, order_lengths, order, weight)
    _canonical(order_lengths, codes[2, :19], weight[:16])
    begin = np.int64(head.ctypes.data)
    at, word, filled = _write_head(begin, runs, count, order_lengths, codes[2], literals, distances)
    _canonical(lengths, codes[0, :LITERALS], weight[:16])
    _canonical(distance_lengths, codes[1, :DISTANCES], weight[:16])
    _length_codes(codes[0], long_codes)
    kept[0], kept[1], kept[2] = at - begin, np.int64(word), filled
    kept[3] = _pair_codes(many, codes[0], hot, pairs)
    return True


@jit
def _write_block(source, n, sequences, found, codes, long_codes, pairs, head, kept, target):
    """The head and the sequences of a block to an address; bytes written. Arguments as of `deflate`."""
    copy_bytes(target, head.ctypes.data, kept[0])
    tables = codes[0].ctypes.data, long_codes.ctypes.data, codes[1].ctypes.data
    pair_table = np.int64(pairs.ctypes.data) if kept[3] else np.int64(0)
    begin = target + kept[0]
    return _write_sequences(source, n, sequences, found, *tables, pair_table, begin, np.uint64(kept[1]), kept[2]) - target


@jit
def _bits_of(source, n, ranges, begin, level, table, sequences, counts, many, small):
    """Bits of a block whose bytes outside of the ranges are matched; arguments as of `_parse` and `deflate`."""
    table[:] = 0
    found = _parse(source, n, ranges, begin, level, table.ctypes.data, sequences)
    return _count_and_code(source, n, sequences, found, counts, many, small, False)[3]


@jit
def _is_loud(source, n, ranges, begin, level, table, sequences, counts, many, small):
    """Whether matches among base qualities make a block smaller by what is worth their time."""
    if ranges.shape[1] == 0:
        return True
    quiet = _bits_of(source, n, ranges, begin, level, table, sequences, counts, many, small)
    loud = _bits_of(source, n, ranges[:, :0], begin, level, table, sequences, counts, many, small)
    return loud + (loud >> GAIN) < quiet


@jit
def deflate(data, begin, end, level, quiet, first, target, room, alone, written, table, sequences, counts, codes, long_codes, small, many,
            hot, pairs, head, kept):  # fmt: skip
    """Deflate data[begin:end] (at most 65536 bytes) to an address; bytes written, 0 where `room` may be too small.

    level: 1 to OWN_LEVELS. quiet: int64[2, k], where base qualities begin and end in data, in order and apart; those before number
    `first` end before `begin`.
    alone: no block follows that could use the codes of this one.
    Work space, of undefined content: written uint8[WRITTEN_BYTES], table uint16[2^HASH_BITS], sequences uint64[MOST_SEQUENCES], counts
    uint32[3, 320], small int64[6, 640], many uint32[4, 256]; and what one call leaves to the next: codes uint32[3, 320], long_codes
    uint64[259], head uint8[HEAD_BYTES], zeros at first: hot int64[65], pairs uint64[16384], kept int64[7].
    """
    source, n = np.int64(data.ctypes.data) + begin, end - begin
    ranges = quiet[:, first : _ranges_before(quiet, first, end)]
    # kept[6]: 0 before the first block, then 1, or 2 where base qualities are nothing special.
    if kept[6] == 0:
        kept[6] = 1 + _is_loud(source, min(n, TRIED_BYTES), ranges, begin, level, table, sequences, counts, many, small)
    if kept[6] == 2:
        ranges = ranges[:, :0]
    table[:] = 0
    found = _parse(source, n, ranges, begin, level, table.ctypes.data, sequences)
    # kept[4], kept[5]: bytes of the block that the codes were made for, before and after; 0 where there are no codes.
    if kept[4]:
        # Not to where it is to be: it may become larger than that.
        at = np.int64(written.ctypes.data)
        size = _write_block(source, n, sequences, found, codes, long_codes, pairs, head, kept, at)
        if size <= room and size * kept[4] <= n * (kept[5] + (kept[5] >> WORSE)):
            copy_bytes(target, at, size)
            return size
    kept[4] = 0
    if not _make_codes(source, n, sequences, found, room, not alone, counts, codes, long_codes, small, many, hot, pairs, head, kept):
        return np.int64(0)
    size = _write_block(source, n, sequences, found, codes, long_codes, pairs, head, kept, target)
    if not alone:
        kept[4], kept[5] = n, size
    return size
