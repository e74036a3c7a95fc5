"""Seeds: maximal exact matches of reads with the doubled text, found by binary search in the full suffix array.

Longest matches to the left are those to the right of the reverse complement, since the doubled text holds both strands. Reads are
packed as the text is (`index_cpu`). Source: specification chapter "bwa_mem", section 3 (its set definition of the three rounds).
"""

import numpy as np

from gpugenome.kernels.aligner_fields import LENGTH, MAX_INTERVAL, MIN_SEED, PREFIX, SEARCH_PREFIX, SPLIT_LENGTH, SPLIT_WIDTH
from gpugenome.kernels.bits import leading_zeros
from gpugenome.kernels.launch import jit

CODE = np.full(256, 4, np.uint8)
for _i, _c in enumerate(b"ACGT"):
    CODE[_c] = CODE[_c + 32] = _i


@jit
def encode_read(data, at, length, query, backward, reverse):
    """Codes of a read (ASCII) into query, backward (the same from its end) and reverse (complemented too)."""
    for i in range(length):
        c = CODE[data[at + i]]
        query[i] = c
        backward[length - 1 - i] = c
        reverse[length - 1 - i] = 3 - c if c < 4 else c


@jit
def window(words, p):
    """The 32 bases of a packed text from position p on, the first in the highest bits."""
    w = p >> 5
    shift = np.uint64((p & 31) << 1)
    return (words[w] << shift) | ((words[w + 1] >> np.uint64(1)) >> (np.uint64(63) - shift))


@jit
def pack_read(codes, n, words, limit):
    """Pack codes[:n] (N as A) into words; limit[i] = the first N at or after i, or n."""
    value = np.uint64(0)
    w = 0
    for i in range(n):
        value = (value << np.uint64(2)) | np.uint64(codes[i] & 3)
        if i & 31 == 31:
            words[w] = value
            w += 1
    if n & 31:
        words[w] = value << np.uint64(64 - 2 * (n & 31))
        w += 1
    words[w] = 0
    words[w + 1] = 0
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
def _first_row(words, sa, total, read, b, n, at, lo, hi, past):
    """First row in lo..hi whose suffix sorts after read[b:b+n]; suffixes that begin with it count as after it unless `past`."""
    while lo < hi:
        mid = (lo + hi) >> 1
        p = np.int64(sa[mid])
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
    """(length, row) of the longest read[b:b+m], m <= n, that occurs `least` times; row: where read[b:b+n] would stand.

    Only matches of at least SEARCH_PREFIX bases are looked for; where there is none the length is SEARCH_PREFIX - 1.
    """
    k = opt[SEARCH_PREFIX]
    short = k - 1
    if n < k:
        return short, np.int64(-1)
    lo, hi = _bucket(first, read, b, opt)
    if hi - lo < least:
        return short, np.int64(-1)
    total = 2 * opt[LENGTH]
    if hi - lo == 1:
        return max(short, common_prefix(words, np.int64(sa[lo]), total, read, b, n, 0)), lo
    row = _first_row(words, sa, total, read, b, n, 0, lo, hi, False)
    i, j = row - 1, row
    left = common_prefix(words, np.int64(sa[i]), total, read, b, n, 0) if i >= lo else np.int64(-1)
    right = common_prefix(words, np.int64(sa[j]), total, read, b, n, 0) if j < hi else np.int64(-1)
    best = np.int64(-1)
    for _ in range(least):
        if left >= right:
            best = left
            i -= 1
            left = common_prefix(words, np.int64(sa[i]), total, read, b, n, 0) if i >= lo else np.int64(-1)
        else:
            best = right
            j += 1
            right = common_prefix(words, np.int64(sa[j]), total, read, b, n, 0) if j < hi else np.int64(-1)
    return max(best, short), row


@jit
def _rows(words, sa, first, opt, read, b, n):
    """(first row, number of rows) that begin with read[b:b+n], n >= SEARCH_PREFIX."""
    lo, hi = _bucket(first, read, b, opt)
    total = 2 * opt[LENGTH]
    if hi - lo == 1:
        return lo, np.int64(common_prefix(words, np.int64(sa[lo]), total, read, b, n, 0) == n)
    begin = _first_row(words, sa, total, read, b, n, 0, lo, hi, False)
    # Most have few rows: the end is looked for from the beginning on, in steps that double.
    step = np.int64(1)
    good = begin
    while good + step - 1 < hi and common_prefix(words, np.int64(sa[good + step - 1]), total, read, b, n, 0) == n:
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
def _matches(words, sa, first, opt, forward, reverse, length, begin, end, reach, last, least, intervals, count):
    """Append the maximal matches that occur `least` times, have MIN_SEED bases, begin at `last` or before and end after `reach`.

    begin..end: the bases without N around them. Returns the number of intervals.
    """
    k = opt[MIN_SEED]
    b = begin
    whole = least == 1
    while b <= last:
        stop = max(reach + 1, b + k)
        if stop > end:
            break
        if not whole:
            # Every match that is left holds a base before `stop`: it cannot begin before the longest one that ends there does.
            m, _ = longest(words, sa, first, opt, reverse, length - stop, stop - begin, least)
            if stop - m > b:
                b = stop - m
                continue
        whole = False
        m, _ = longest(words, sa, first, opt, forward, b, end - b, least)
        if m >= k:
            row, rows = _rows(words, sa, first, opt, forward, b, m)
            _note(intervals, count, b, b + m, row, rows)
            count += 1
            reach = b + m
    return count


@jit
def _third_round(words, sa, first, opt, forward, limit, length, intervals, count):
    """Append the shortest matches of more than MIN_SEED bases with fewer than MAX_INTERVAL rows, one after the other."""
    shortest = opt[MIN_SEED] + 1
    most = opt[MAX_INTERVAL]
    x = np.int64(0)
    while x < length:
        end = np.int64(limit[x])
        if x + shortest > end:
            x = end + 1
            continue
        row, rows = _rows(words, sa, first, opt, forward, x, shortest)
        stop = x + shortest
        if rows >= most:
            m, _ = longest(words, sa, first, opt, forward, x, end - x, most)
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
def seed_intervals(words, sa, first, opt, forward, reverse, limit, length, intervals):
    """Match intervals of a read: rows (begin, end, first row, number of rows), sorted. Returns their number.

    forward, reverse: the packed read and its reverse complement; limit: `pack_read`. intervals: int64[k, 4]; where there are more
    than k, those are not complete, and the number that is returned is no more than a hint of how much room they need.
    """
    count = 0
    begin = np.int64(0)
    while begin < length:
        end = np.int64(limit[begin])
        if end > begin:
            count = _matches(words, sa, first, opt, forward, reverse, length, begin, end, begin, end, 1, intervals, count)
        begin = end + 1
    found = min(count, intervals.shape[0])
    for i in range(found):
        b, e = intervals[i, 0], intervals[i, 1]
        if e - b < opt[SPLIT_LENGTH] or intervals[i, 3] > opt[SPLIT_WIDTH]:
            continue
        begin = b
        while begin > 0 and limit[begin - 1] > begin - 1:
            begin -= 1
        middle = (b + e) >> 1
        count = _matches(
            words, sa, first, opt, forward, reverse, length, begin, np.int64(limit[b]), middle, middle, intervals[i, 3] + 1, intervals,
            count,
        )  # fmt: skip
    if opt[MAX_INTERVAL] > 0:
        count = _third_round(words, sa, first, opt, forward, limit, length, intervals, count)
    if count <= intervals.shape[0]:
        _sort_intervals(intervals, count)
    return count
