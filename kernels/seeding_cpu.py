"""Seeds: maximal exact matches of reads with the doubled text, found by binary search in the full suffix array.

Longest matches to the left are those to the right of the reverse complement, since the doubled text holds both strands. Reads are
packed as the text is (`index_cpu`). Source: specification chapter "bwa_mem", section 3 (its set definition of the three rounds).
"""

import numpy as np

from gpugenome.kernels.aligner_fields import LENGTH, MAX_INTERVAL, MIN_SEED, PREFIX, SEARCH_PREFIX, SPLIT_LENGTH, SPLIT_WIDTH
from gpugenome.kernels.bits import leading_zeros, turned_bytes
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, load_u64, prefetch, store_u64

LOOKED_AHEAD = 32
"""A power of two: `ask_ahead` begins with the read three quarters of it further on."""
NOT_UNIQUE = 255
"""In the table of unique matches: they have so many bases or more, or the text ends before."""
_FAR_ROWS = 64
"""Rows that are searched with a look at what comes next."""
LINE_ROWS = 15
"""Rows in a line of the suffix array of a long text (`row_place`)."""
CODE = np.full(256, 4, np.uint8)
for _i, _c in enumerate(b"ACGT"):
    CODE[_c] = CODE[_c + 32] = _i


_TWO_BITS, _ONE_BIT, _NO_BASE = np.uint64(0x0303030303030303), np.uint64(0x0101010101010101), np.uint64(0x0404040404040404)
_UPPER_CASE, _LETTER_A = np.uint64(0xDFDFDFDFDFDFDFDF), np.uint64(0x4141414141414141)
_PAIRS, _FOURS, _EIGHTS = np.uint64(0x000F000F000F000F), np.uint64(0x000000FF000000FF), np.uint64(0xFFFF)


@jit
def _eight_codes(letters):
    """(codes of eight letters, each in a byte of a uint64; not 0 where one of them is no A, C, G or T)."""
    x = (letters >> np.uint64(1)) & _TWO_BITS  # A 0, C 1, T 2, G 3
    is_t = (x >> np.uint64(1)) & ~x & _ONE_BIT
    meant = _LETTER_A + (x << np.uint64(1)) + (is_t << np.uint64(4)) - is_t
    return x ^ ((x >> np.uint64(1)) & _ONE_BIT), (letters & _UPPER_CASE) ^ meant


@jit
def _eight_packed(codes):
    """Eight codes, the first in the lowest byte, as 16 bits, the first in the highest; N as A."""
    x = turned_bytes(codes & _TWO_BITS)
    x = (x | (x >> np.uint64(6))) & _PAIRS
    x = (x | (x >> np.uint64(12))) & _FOURS
    return (x | (x >> np.uint64(24))) & _EIGHTS


@jit
def eight_unpacked(bases):
    """The other way round, from the end: the first of eight bases (16 bits) in the highest byte."""
    x = (bases | (bases << np.uint64(24))) & _FOURS
    x = (x | (x << np.uint64(12))) & _PAIRS
    return (x | (x << np.uint64(6))) & _TWO_BITS


@jit
def encode_read(data, at, length, query, backward, reverse):
    """Codes of a read (ASCII) into query, backward (the same from its end) and reverse (complemented too)."""
    begun = np.int64(0)
    while begun + 8 <= length:
        codes, other = _eight_codes(load_u64(address_of(data) + at + begun))
        if other != 0:
            break
        store_u64(address_of(query) + begun, codes)
        codes = turned_bytes(codes)
        store_u64(address_of(backward) + length - 8 - begun, codes)
        store_u64(address_of(reverse) + length - 8 - begun, codes ^ _TWO_BITS)
        begun += 8
    for i in range(begun, length):
        c = CODE[data[at + i]]
        query[i] = c
        backward[length - 1 - i] = c
        reverse[length - 1 - i] = 3 - c if c < 4 else c


@jit
def row_place(sa, row):
    """The place in the text of a row's suffix, int64.

    sa: uint32, one a row; or, for texts of 2^32 bases and more, uint64 lines of 64 bytes, each of LINE_ROWS rows: bits 0 to 31 of one
    after the other, the lower half of a word first, then the bits above them in the upper half of the last word.
    """
    if sa.itemsize == 4:
        return np.int64(sa[row])
    line = row // LINE_ROWS
    k = row - line * LINE_ROWS
    low = np.int64((sa[line * 8 + (k >> 1)] >> np.uint64((k & 1) << 5)) & np.uint64(0xFFFFFFFF))
    return low | np.int64((sa[line * 8 + 7] >> np.uint64(32 + k)) & np.uint64(1)) << 32


@jit
def window(words, p):
    """The 32 bases of a packed text from position p on, the first in the highest bits."""
    w = p >> 5
    shift = np.uint64((p & 31) << 1)
    return (words[w] << shift) | ((words[w + 1] >> np.uint64(1)) >> (np.uint64(63) - shift))


@jit
def pack_read(codes, n, words, limit):
    """Pack codes[:n] (N as A) into words; limit[i] = the first N at or after i, or n."""
    value, all_codes = np.uint64(0), np.uint64(0)
    w, packed = 0, np.int64(0)
    while packed + 8 <= n:
        eight = load_u64(address_of(codes) + packed)
        all_codes |= eight
        value = (value << np.uint64(16)) | _eight_packed(eight)
        packed += 8
        if packed & 31 == 0:
            words[w] = value
            w += 1
    for i in range(packed, n):
        value = (value << np.uint64(2)) | np.uint64(codes[i] & 3)
        all_codes |= np.uint64(codes[i])
    if n & 31:
        words[w] = value << np.uint64(64 - 2 * (n & 31))
        w += 1
    words[w] = 0
    words[w + 1] = 0
    if all_codes & _NO_BASE == 0:
        for i in range(n):
            limit[i] = n
        return
    stop = n
    for i in range(n - 1, -1, -1):
        if codes[i] > 3:
            stop = i
        limit[i] = stop


@jit
def common_prefix(words, p, total, read, b, n, at):
    """Length, at most n, of the match of the text's suffix at p with the read from b on; the first `at` bases are known to match."""
    m = min(n, total - p)
    while at < m:
        x = window(words, p + at) ^ window(read, b + at)
        if x != 0:
            return min(m, at + (leading_zeros(x) >> 1))
        at += 32
    return m


@jit
def _ask_row(sa, row):
    prefetch(address_of(sa) + (row * 4 if sa.itemsize == 4 else row // LINE_ROWS * 64))


@jit
def _first_row(words, sa, total, read, b, n, at, lo, hi, past):
    """First row in lo..hi whose suffix sorts after read[b:b+n]; suffixes that begin with it count as after it unless `past`."""
    while lo < hi:
        mid = (lo + hi) >> 1
        if hi - lo > _FAR_ROWS:  # ask for those that the step after the next one may look at
            quarter = (hi - lo) >> 2
            half = quarter >> 1
            _ask_row(sa, lo + half)
            _ask_row(sa, lo + quarter + half)
            _ask_row(sa, mid + half)
            _ask_row(sa, mid + quarter + half)
        p = row_place(sa, mid)
        m = common_prefix(words, p, total, read, b, n, at)
        if m == n:
            before = past
        elif m == total - p:
            before = True
        else:
            before = window(words, p + m) >> np.uint64(62) < window(read, b + m) >> np.uint64(62)
        if before:
            lo = mid + 1
        else:
            hi = mid
    return lo


@jit
def _bucket(first, read, b, opt):
    """Rows whose suffixes begin with the SEARCH_PREFIX bases of the read at b."""
    k = opt[SEARCH_PREFIX]
    rest = (opt[PREFIX] - k) << 1
    x = np.int64(window(read, b) >> np.uint64(64 - 2 * k))
    return np.int64(first[x << rest]), np.int64(first[(x + 1) << rest])


@jit
def longest(words, sa, first, opt, read, b, n, least):
    """(length, place, row) of the longest read[b:b+m], m <= n, that occurs `least` times; place, row: of one that does in the text.

    Only matches of at least SEARCH_PREFIX bases are looked for; where there is none the length is SEARCH_PREFIX - 1, the place -1.
    """
    k = opt[SEARCH_PREFIX]
    none = k - 1, np.int64(-1), np.int64(-1)
    if n < k:
        return none
    lo, hi = _bucket(first, read, b, opt)
    if hi - lo < least:
        return none
    total = 2 * opt[LENGTH]
    if hi - lo == 1:
        p = row_place(sa, lo)
        m = common_prefix(words, p, total, read, b, n, 0)
        return (m, p, lo) if m >= k else none  # the text's last suffixes lie among those that go on with A
    row = _first_row(words, sa, total, read, b, n, 0, lo, hi, False)
    i, j = row - 1, row
    left = common_prefix(words, row_place(sa, i), total, read, b, n, 0) if i >= lo else np.int64(-1)
    right = common_prefix(words, row_place(sa, j), total, read, b, n, 0) if j < hi else np.int64(-1)
    best, at = np.int64(-1), row
    for _ in range(least):
        if left >= right:
            best, at = left, i
            i -= 1
            left = common_prefix(words, row_place(sa, i), total, read, b, n, 0) if i >= lo else np.int64(-1)
        else:
            best, at = right, j
            j += 1
            right = common_prefix(words, row_place(sa, j), total, read, b, n, 0) if j < hi else np.int64(-1)
    return (best, row_place(sa, at), at) if best >= k else none


@jit
def _rows_around(words, sa, first, opt, read, b, n, row):
    """(first row, number of rows) that begin with read[b:b+n], n >= SEARCH_PREFIX; `row` is one of them.

    Most have few rows: both ends are looked for from it on, in steps that double.
    """
    lo, hi = _bucket(first, read, b, opt)
    total = 2 * opt[LENGTH]
    step, good = np.int64(1), row
    while good - step >= lo and common_prefix(words, row_place(sa, good - step), total, read, b, n, 0) == n:
        good -= step
        step <<= 1
    begin = _first_row(words, sa, total, read, b, n, 0, max(lo, good - step + 1), good, False)
    step, good = np.int64(1), row + 1
    while good + step - 1 < hi and common_prefix(words, row_place(sa, good + step - 1), total, read, b, n, 0) == n:
        good += step
        step <<= 1
    return begin, _first_row(words, sa, total, read, b, n, 0, good, min(hi, good + step - 1), True) - begin


@jit
def _rows(words, sa, first, opt, read, b, n):
    """(first row, number of rows) that begin with read[b:b+n], n >= SEARCH_PREFIX."""
    lo, hi = _bucket(first, read, b, opt)
    total = 2 * opt[LENGTH]
    if hi - lo == 1:
        return lo, np.int64(common_prefix(words, row_place(sa, lo), total, read, b, n, 0) == n)
    begin = _first_row(words, sa, total, read, b, n, 0, lo, hi, False)
    # Most have few rows: the end is looked for from the beginning on, in steps that double.
    step = np.int64(1)
    good = begin
    while good + step - 1 < hi and common_prefix(words, row_place(sa, good + step - 1), total, read, b, n, 0) == n:
        good += step
        step <<= 1
    end = _first_row(words, sa, total, read, b, n, 0, good, min(hi, good + step - 1), True)
    return begin, end - begin


@jit
def _note(intervals, count, b, e, row, rows):
    """Write an interval where there is room for it."""
    if count < intervals.shape[0]:
        intervals[count, 0] = b
        intervals[count, 1] = e
        intervals[count, 2] = row
        intervals[count, 3] = rows


@jit
def _matches(words, sa, first, opt, forward, reverse, length, begin, end, middle, least, intervals, count):
    """Append the maximal matches that occur `least` times, have MIN_SEED bases and hold the base `middle`.

    begin..end: the bases without N around it. Returns the number of intervals.
    """
    k = opt[MIN_SEED]
    b, reach = begin, middle
    while b <= middle:
        stop = max(reach + 1, b + k)
        if stop > end:
            break
        # Every match that is left holds a base before `stop`: it cannot begin before the longest one that ends there does.
        m, _, _ = longest(words, sa, first, opt, reverse, length - stop, stop - begin, least)
        if stop - m > b:
            b = stop - m
            continue
        m, _, row = longest(words, sa, first, opt, forward, b, end - b, least)
        row, rows = _rows_around(words, sa, first, opt, forward, b, m, row)
        _note(intervals, count, b, b + m, row, rows)
        count += 1
        reach = b + m
    return count


@jit
def _first_round(words, sa, first, unique, opt, forward, reverse, length, begin, end, intervals, count):
    """Append the maximal matches of MIN_SEED bases within begin..end, which hold no N. Returns the number of intervals.

    Where the text of a match that occurs once goes on like the read after the base at which it ends, matches across that base are
    short: on either side they reach no further than what occurs nowhere else.
    """
    k, total = opt[MIN_SEED], 2 * opt[LENGTH]
    b, reach = begin, begin  # what is left begins at b or later and ends after `reach`
    m, p, row = longest(words, sa, first, opt, forward, b, end - b, 1)
    while True:  # read[b:b+m] is as long as a match can be from b on, and to the left too if it has MIN_SEED bases
        e = b + m
        single = p >= 0 and unique[p] <= min(m, NOT_UNIQUE - 1)
        if m >= k:
            if single:
                _note(intervals, count, b, e, -1 - p, 1)
            else:
                if row < 0:
                    row, rows = _rows(words, sa, first, opt, forward, b, m)
                else:
                    row, rows = _rows_around(words, sa, first, opt, forward, b, m, row)
                _note(intervals, count, b, e, row, rows)
            count += 1
            reach = e
        if e >= end:
            return count
        beyond, after, place = end + k + 1, np.int64(0), np.int64(-1)
        if single:
            reach = e
            b = max(b, e + 1 - (unique[total - p - m] if unique[total - p - m] < NOT_UNIQUE else m))
            place = p + m + 1
            if place < total and e + 1 < end:
                after = common_prefix(words, place, total, forward, e + 1, end - e - 1, 0)
                if unique[place] <= min(after, NOT_UNIQUE - 1):
                    beyond = e + 1 + unique[place]  # what ends here or later begins after e
        while True:
            stop = max(reach + 1, b + k)
            if stop >= beyond:
                b, m, p, row = e + 1, after, place, np.int64(-1)
                break
            if stop > end:
                return count
            m, _, _ = longest(words, sa, first, opt, reverse, length - stop, stop - begin, 1)
            if stop - m > b:
                b = stop - m
                continue
            m, p, row = longest(words, sa, first, opt, forward, b, end - b, 1)
            break


@jit
def _second_round(words, sa, first, unique, opt, forward, reverse, limit, length, b, e, row, rows, intervals, count):
    """Append the maximal matches of MIN_SEED bases that hold the base in the middle of the match b..e and occur more often than it.

    row, rows: of the match. Returns the number of intervals.
    """
    middle = (b + e) >> 1
    if row < 0:
        # What occurs twice ends before what occurs once does; the table says where that is as long as it lies within the match.
        p = -1 - row - b
        x = middle
        if x + unique[p + x] <= e:
            while x >= b and unique[p + x] < NOT_UNIQUE and x + unique[p + x] - 1 > middle:
                x -= 1
            if x >= b and unique[p + x] < NOT_UNIQUE:
                before = x + unique[p + x] - 1
                for y in range(x + 1, middle + 1):
                    m = np.int64(unique[p + y]) - 1
                    if y + m > before and m >= opt[MIN_SEED]:
                        row, rows = _rows(words, sa, first, opt, forward, y, m)
                        _note(intervals, count, y, y + m, row, rows)
                        count += 1
                    before = y + m
                return count
    begin = b
    while begin > 0 and limit[begin - 1] > begin - 1:
        begin -= 1
    return _matches(words, sa, first, opt, forward, reverse, length, begin, np.int64(limit[b]), middle, rows + 1, intervals, count)


@jit
def _third_round(words, sa, first, unique, opt, forward, limit, length, intervals, found, count):
    """Append the shortest matches of more than MIN_SEED bases with fewer than MAX_INTERVAL rows, one after the other.

    intervals[:found]: those of the first round. Returns the number of intervals.
    """
    shortest = opt[MIN_SEED] + 1
    most = opt[MAX_INTERVAL]
    x, i = np.int64(0), 0
    while x < length:
        end = np.int64(limit[x])
        stop = x + shortest
        if stop > end:
            x = end + 1
            continue
        while i < found and intervals[i, 1] < stop:
            i += 1
        if i == found:
            break
        if intervals[i, 0] > x:  # in no match of the first round, so nowhere in the text
            x = stop
            continue
        p = -1 - intervals[i, 2] + x - intervals[i, 0]
        if intervals[i, 2] < 0 and most > 1 and unique[p] <= min(shortest, NOT_UNIQUE - 1):
            _note(intervals, count, x, stop, -1 - p, 1)
            count += 1
            x = stop
            continue
        row, rows = _rows(words, sa, first, opt, forward, x, shortest)
        if rows >= most:
            m, _, _ = longest(words, sa, first, opt, forward, x, end - x, most)
            stop = x + m + 1
            if stop > end:
                x = end + 1
                continue
            row, rows = _rows(words, sa, first, opt, forward, x, m + 1)
        if rows > 0:
            _note(intervals, count, x, stop, row, rows)
            count += 1
        x = stop
    return count


@jit
def ask_ahead(i, end, data, seq_start, seq_length, words, sa, first, unique, opt, places):
    """Ask for the memory that the first searches of the reads after read i will need, of three reads the next step each.

    places: int64[LOOKED_AHEAD], zeros at the beginning; what is known of reads i + 1 ...
    """
    step, mask = LOOKED_AHEAD >> 2, LOOKED_AHEAD - 1
    j = i + step
    if j < end:
        p = row_place(sa, places[j & mask])
        for k in range(2):
            prefetch(address_of(words) + ((p >> 5) << 3) + 64 * k)
        for k in range(3):
            prefetch(address_of(unique) + p + 64 * k)
    j += step
    if j < end:
        x = places[j & mask]
        row = min((np.int64(first[x]) + np.int64(first[x + 1])) >> 1, 2 * opt[LENGTH])
        places[j & mask] = row
        _ask_row(sa, row)
    j += step
    if j < end:
        x = np.int64(0)
        if seq_length[j] >= opt[MIN_SEED]:
            for k in range(opt[SEARCH_PREFIX]):
                x = x << 2 | CODE[data[seq_start[j] + k]] & 3
        x <<= (opt[PREFIX] - opt[SEARCH_PREFIX]) << 1
        places[j & mask] = x
        prefetch(address_of(first) + x * first.itemsize)


@jit
def _sort_intervals(intervals, count):
    for i in range(1, count):
        b, e, row, rows = intervals[i, 0], intervals[i, 1], intervals[i, 2], intervals[i, 3]
        j = i
        while j > 0 and (intervals[j - 1, 0] > b or (intervals[j - 1, 0] == b and intervals[j - 1, 1] > e)):
            for c in range(4):
                intervals[j, c] = intervals[j - 1, c]
            j -= 1
        intervals[j, 0] = b
        intervals[j, 1] = e
        intervals[j, 2] = row
        intervals[j, 3] = rows


@jit
def seed_intervals(words, sa, first, unique, opt, forward, reverse, limit, length, intervals):
    """Match intervals of a read: rows (begin, end, first row, number of rows), sorted. Returns their number.

    Instead of its row, a match that occurs once may have -1 - its position in the text.
    forward, reverse: the packed read and its reverse complement; limit: `pack_read`. intervals: int64[k, 4]; where there are more
    than k, those are not complete, and the number that is returned is no more than a hint of how much room they need.
    """
    count = 0
    begin = np.int64(0)
    while begin < length:
        end = np.int64(limit[begin])
        if end > begin:
            count = _first_round(words, sa, first, unique, opt, forward, reverse, length, begin, end, intervals, count)
        begin = end + 1
    if count > intervals.shape[0]:
        return count
    found = count
    for i in range(found):
        b, e, row, rows = intervals[i, 0], intervals[i, 1], intervals[i, 2], intervals[i, 3]
        if e - b >= opt[SPLIT_LENGTH] and rows <= opt[SPLIT_WIDTH]:
            count = _second_round(words, sa, first, unique, opt, forward, reverse, limit, length, b, e, row, rows, intervals, count)
    if opt[MAX_INTERVAL] > 0:
        count = _third_round(words, sa, first, unique, opt, forward, limit, length, intervals, found, count)
    if count <= intervals.shape[0]:
        _sort_intervals(intervals, count)
    return count
