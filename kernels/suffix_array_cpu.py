"""Suffix array by induced sorting (SA-IS) in the memory of its result; `gpugenome.steps.index.suffix_array` drives the recursion.

The first level's text is packed (`index_cpu`), with an end that is smaller than all bases; its suffix array is `low` (uint32, an entry a
suffix) and `high` (uint32, a bit of each entry; uint8[0] where 32 bits are enough). The further levels' texts are uint32 arrays of
symbol * 2 + type (1: the suffix is smaller than its successor), which end with a unique smallest symbol, and lie in the upper end of the
array above, as their suffix arrays do in the lower. 0 stands for an entry that is not known yet: position 0 has nothing before it that it
could sort. A position is LMS where a larger suffix than it precedes one that is smaller than its own successor.
Source: Nong, Zhang, Chan, "Two efficient algorithms for linear time suffix array construction", IEEE Trans. Comput. 2011.
"""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, prefetch
from gpugenome.kernels.seeding_cpu import window

AHEAD = 24
"""Entries between the one that is looked at and the one whose place in the text is asked for."""
NOTHING = 0xFFFFFFFF


@jit
def base_at(words, p):
    """Base p of a packed text (`index_cpu`), 0..3."""
    return np.int64((words[p >> 5] >> np.uint64(62 - ((p & 31) << 1))) & np.uint64(3))


@jit
def entry(low, high, i):
    """Entry i of a suffix array, int64."""
    p = np.int64(low[i])
    if high.itemsize == 4:
        p |= (np.int64(high[i >> 5]) >> (i & 31) & 1) << 32
    return p


@jit
def put(low, high, i, p):
    """Set entry i of a suffix array."""
    low[i] = np.uint32(p & 0xFFFFFFFF)
    if high.itemsize == 4:
        bit = np.int64(1) << (i & 31)
        high[i >> 5] = np.uint32((np.int64(high[i >> 5]) & ~bit) | (bit if p >> 32 else 0))


@jit
def clear(low, high, begin, end):
    """Nothing is known of entries begin..end."""
    if high.itemsize == 4:
        for i in range(begin, end):
            put(low, high, i, 0)
    else:
        low[begin:end] = 0


@jit
def count_types(words, n, count):
    """Suffixes that begin with each base into count (int64[3, 4], zeroed): all, larger than their successors, LMS. Returns the number of
    LMS positions, the end's among them."""
    larger, last = True, np.int64(-1)
    for i in range(n - 1, -1, -1):
        c = base_at(words, i)
        now_larger = c > last or (c == last and larger)
        if now_larger and not larger:
            count[2, last] += 1
        count[0, c] += 1
        count[1, c] += now_larger
        larger, last = now_larger, c
    return 1 + count[2].sum()


@jit
def lms_of_text(words, n, low, high, at):
    """The LMS positions, from the last to the first, into the entries before `at`."""
    at -= 1
    put(low, high, at, n)
    larger, last = True, np.int64(-1)
    for i in range(n - 1, -1, -1):
        c = base_at(words, i)
        now_larger = c > last or (c == last and larger)
        if now_larger and not larger:
            at -= 1
            put(low, high, at, i + 1)
        larger, last = now_larger, c


@jit
def place_unsorted(words, n, count, low, high):
    """Put the LMS positions, in no order, at the ends of their bases' rows; nothing is known of the others."""
    clear(low, high, 0, n + 1)
    tail = np.cumsum(count[0]) + 1
    put(low, high, 0, n)
    larger, last = True, np.int64(-1)
    for i in range(n - 1, -1, -1):
        c = base_at(words, i)
        now_larger = c > last or (c == last and larger)
        if now_larger and not larger:
            tail[last] -= 1
            put(low, high, tail[last], i + 1)
        larger, last = now_larger, c


@jit
def place_sorted(n, m, count, low, high):
    """Move the first m entries, the sorted LMS positions, to the ends of their bases' rows; nothing is known of the others."""
    clear(low, high, m, n + 1)
    i = m - 1
    end = n + 1
    for c in range(3, -1, -1):
        to = end
        for _ in range(count[2, c]):
            p = entry(low, high, i)
            put(low, high, i, 0)
            to -= 1
            put(low, high, to, p)
            i -= 1
        end -= count[0, c]


@jit
def _ask_text(words, low, high, i):
    """Ask for the text before the suffix of an entry."""
    prefetch(address_of(words) + (((entry(low, high, i) - 1) >> 5) << 3))


@jit
def induce_larger(words, n, count, low, high):
    """Sort the suffixes that are larger than their successors, from the LMS suffixes at the ends of their rows."""
    head = np.cumsum(count[0]) + 1 - count[0]
    _induce_larger(words, n, count, low, high, head)


@jit
def _induce_larger(words, n, count, low, high, head):
    c = base_at(words, n - 1)
    put(low, high, head[c], n - 1)
    head[c] += 1
    begin = np.int64(1)
    for c in range(4):
        for i in range(begin, begin + count[0, c]):
            _ask_text(words, low, high, min(i + AHEAD, n))
            p = entry(low, high, i)
            if p > 0:
                b = base_at(words, p - 1)
                if b >= c:
                    put(low, high, head[b], p - 1)
                    head[b] += 1
        begin += count[0, c]


@jit
def induce_smaller(words, n, count, low, high, collect):
    """Sort the suffixes that are smaller than their successors, from those that are larger. With `collect`, only the LMS positions are
    left, sorted, in the last entries."""
    tail = np.cumsum(count[0]) + 1
    _induce_smaller(words, n, count, low, high, collect, tail)


@jit
def _induce_smaller(words, n, count, low, high, collect, tail):
    at = n + 1
    end = n + 1
    for c in range(3, -1, -1):
        begin = end - count[0, c]
        larger_end = begin + count[1, c]
        for i in range(end - 1, larger_end - 1, -1):
            _ask_text(words, low, high, max(i - AHEAD, 0))
            p = entry(low, high, i)
            if p > 0:
                b = base_at(words, p - 1)
                if b <= c:
                    tail[b] -= 1
                    put(low, high, tail[b], p - 1)
                elif collect:
                    at -= 1
                    put(low, high, at, p)
        for i in range(larger_end - 1, begin - 1, -1):
            _ask_text(words, low, high, max(i - AHEAD, 0))
            p = entry(low, high, i)
            if p > 0:
                b = base_at(words, p - 1)
                if b < c:
                    tail[b] -= 1
                    put(low, high, tail[b], p - 1)
        end = begin
    if collect:
        put(low, high, at - 1, n)


@jit
def _lms_length(words, n, p):
    """Bases from an LMS position to the next one, both of them counted; -1 if that is the end of the text."""
    i = p + 1
    last = base_at(words, p)
    while i < n and base_at(words, i) >= last:
        last = base_at(words, i)
        i += 1
    lowest = i
    while i < n:
        c = base_at(words, i)
        if c > last and i > lowest:
            return lowest - p + 1
        if c < last:
            lowest = i
        last = c
        i += 1
    return np.int64(-1)


@jit
def _same_bases(words, p, q, length):
    """Whether the texts at p and q have the same `length` bases."""
    done = np.int64(0)
    while done < length:
        x = window(words, p + done) ^ window(words, q + done)
        left = length - done
        if x != 0 and (left >= 32 or x >> np.uint64(64 - 2 * left)):
            return False
        done += 32
    return True


@jit
def name_in_text(words, n, m, low, high):
    """Rank the substrings from one LMS position to the next, sorted in the last m entries: ranks (from 0) into low[position // 2], NOTHING
    in the others of low[:n // 2 + 1]. Returns the number of different ones."""
    low[: n // 2 + 1] = NOTHING
    low[n >> 1] = 0
    name, before, length = np.int64(0), np.int64(n), np.int64(-1)
    for i in range(n + 2 - m, n + 1):
        ahead = entry(low, high, min(i + AHEAD, n))
        prefetch(address_of(words) + ((ahead >> 5) << 3))
        prefetch(address_of(low) + ((ahead >> 1) << 2))
        p = entry(low, high, i)
        here = _lms_length(words, n, p)
        if here < 0 or here != length or not _same_bases(words, before, p, here):
            name += 1
        low[p >> 1] = name
        before, length = p, here
    return name + 1


@jit
def compact(sa, size):
    """The names in sa[:size] in the order of the text, at the end of sa."""
    at = sa.size
    for i in range(size - 1, -1, -1):
        if sa[i] != NOTHING:
            at -= 1
            sa[at] = sa[i]


@jit
def invert(order, sa):
    """sa[order[i]] = i, for names that are all different."""
    for i in range(order.size):
        sa[order[i]] = i


@jit
def look_up(m, low, high, at):
    """Replace the numbers of LMS positions in the first m entries by the positions, which stand in the entries from `at` on."""
    for i in range(m):
        prefetch(address_of(low) + ((at + low[min(i + AHEAD, m - 1)]) << 2))
        put(low, high, i, entry(low, high, at + np.int64(low[i])))


@jit
def classify(text, count):
    """Turn symbols into symbol * 2 + type in place; count[symbol] (zeroed) is filled. Returns the number of LMS positions."""
    n = text.size
    lms = 0
    last = np.int64(text[n - 1])
    count[last] += 1
    smaller = True
    text[n - 1] = last * 2 + 1
    for i in range(n - 2, -1, -1):
        c = np.int64(text[i])
        count[c] += 1
        s = c < last or (c == last and smaller)
        if smaller and not s:
            lms += 1
        text[i] = c * 2 + (1 if s else 0)
        smaller = s
        last = c
    return lms


@jit
def lms_of_symbols(text, sa):
    """The LMS positions in the order of the text, at the end of sa."""
    at = sa.size
    for i in range(text.size - 1, 0, -1):
        if text[i] & 1 and text[i - 1] & 1 == 0:
            at -= 1
            sa[at] = i


@jit
def _bounds(count, bound, ends):
    """The first row of each symbol into bound, or with `ends` the row after its last."""
    total = np.int64(0)
    for c in range(count.size):
        bound[c] = total + count[c] if ends else total
        total += count[c]


@jit
def place_unsorted_symbols(text, count, bound, sa):
    """`place_unsorted` of a further level. bound: scratch, of the size of count."""
    sa[:] = 0
    _bounds(count, bound, True)
    for i in range(text.size - 1, 0, -1):
        if text[i] & 1 and text[i - 1] & 1 == 0:
            c = text[i] >> 1
            bound[c] -= 1
            sa[bound[c]] = i


@jit
def place_sorted_symbols(text, m, count, bound, sa):
    """`place_sorted` of a further level."""
    sa[m:] = 0
    _bounds(count, bound, True)
    for i in range(m - 1, -1, -1):
        prefetch(address_of(text) + (np.int64(sa[max(i - AHEAD, 0)]) << 2))
        p = sa[i]
        sa[i] = 0
        c = text[p] >> 1
        bound[c] -= 1
        sa[bound[c]] = p


@jit
def induce_symbols(text, count, bound, sa, collect):
    """`induce_larger` and `induce_smaller` of a further level."""
    n = text.size
    base = address_of(text) - 4
    _bounds(count, bound, False)
    for i in range(n):
        prefetch(base + (np.int64(sa[min(i + AHEAD, n - 1)]) << 2))
        p = np.int64(sa[i]) - 1
        if p >= 0:
            v = text[p]
            if v & 1 == 0:
                c = v >> 1
                sa[bound[c]] = p
                bound[c] += 1
    _bounds(count, bound, True)
    at = n
    for i in range(n - 1, -1, -1):
        prefetch(base + (np.int64(sa[max(i - AHEAD, 0)]) << 2))
        p = np.int64(sa[i]) - 1
        if p >= 0:
            v = text[p]
            if v & 1:
                c = v >> 1
                bound[c] -= 1
                sa[bound[c]] = p
            elif collect and text[p + 1] & 1:
                at -= 1
                sa[at] = p + 1


@jit
def _same_substring(text, a, b):
    """Whether the LMS substrings that start at a and b are equal."""
    n = text.size
    i = 0
    while True:
        if a + i >= n or b + i >= n or text[a + i] != text[b + i]:
            return False
        if i > 0 and text[a + i] & 1 and text[a + i - 1] & 1 == 0:
            return True
        i += 1


@jit
def name_symbols(text, m, sa):
    """`name_in_text` of a further level: names in sa[:(n + 1) // 2]."""
    n = text.size
    sa[: (n + 1) // 2] = NOTHING
    name = np.int64(-1)
    before = np.int64(-1)
    for i in range(n - m, n):
        ahead = np.int64(sa[min(i + AHEAD, n - 1)])
        prefetch(address_of(text) + (ahead << 2))
        prefetch(address_of(sa) + ((ahead >> 1) << 2))
        p = np.int64(sa[i])
        if before < 0 or not _same_substring(text, before, p):
            name += 1
        sa[p >> 1] = name
        before = p
    return name + 1


@jit
def look_up_symbols(m, sa):
    """`look_up` of a further level: the positions stand at the end of sa."""
    at = sa.size - m
    for i in range(m):
        sa[i] = sa[at + np.int64(sa[i])]
