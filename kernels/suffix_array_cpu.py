"""Suffix array by induced sorting (SA-IS), the steps of one level; `gpugenome.steps.index.suffix_array` drives the recursion.

A level's text is an integer array of symbol * 2 + type (1: the suffix is smaller than its successor), so that one random access
gives both. It ends with a unique smallest symbol. `sa` has one entry a symbol.
Source: Nong, Zhang, Chan, "Two efficient algorithms for linear time suffix array construction", IEEE Trans. Comput. 2011.
"""

import numpy as np

from gpugenome.kernels.launch import jit


@jit
def classify(text, count):
    """Turn symbols into symbol * 2 + type in place; count[symbol] (int64, zeroed) is filled. Returns the number of LMS positions."""
    n = text.size
    lms = 0
    last = text[n - 1]
    count[last] += 1
    smaller = True
    text[n - 1] = last * 2 + 1
    for i in range(n - 2, -1, -1):
        c = text[i]
        count[c] += 1
        s = c < last or (c == last and smaller)
        if smaller and not s:
            lms += 1
        text[i] = c * 2 + (1 if s else 0)
        smaller = s
        last = c
    return lms


@jit
def lms_positions(text, out):
    """Leftmost S-type positions in ascending order."""
    m = 0
    before = 1
    for i in range(text.size):
        t = text[i] & 1
        if t == 1 and before == 0:
            out[m] = i
            m += 1
        before = t


@jit
def place(text, order, count, sa):
    """Put the LMS suffixes, given in ascending `order`, at the ends of their symbols' buckets; everything else in sa is -1."""
    sa[:] = -1
    tail = np.cumsum(count)
    for i in range(order.size - 1, -1, -1):
        p = order[i]
        c = text[p] >> 1
        tail[c] -= 1
        sa[tail[c]] = p


@jit
def induce(text, count, sa):
    """Sort all suffixes from the placed LMS suffixes."""
    n = text.size
    tail = np.cumsum(count)
    head = tail - count
    for i in range(n):
        p = np.int64(sa[i]) - 1
        if p >= 0:
            v = text[p]
            if v & 1 == 0:
                sa[head[v >> 1]] = p
                head[v >> 1] += 1
    for i in range(n - 1, -1, -1):
        p = np.int64(sa[i]) - 1
        if p >= 0:
            v = text[p]
            if v & 1:
                tail[v >> 1] -= 1
                sa[tail[v >> 1]] = p


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
def name_substrings(text, sa, name):
    """Names (ranks from 0) of the sorted LMS substrings into name[position // 2] (-1 elsewhere). Returns the number of names."""
    name[:] = -1
    names = 0
    last = np.int64(-1)
    for i in range(sa.size):
        p = np.int64(sa[i])
        if p > 0 and text[p] & 1 and text[p - 1] & 1 == 0:
            if last >= 0 and not _same_substring(text, last, p):
                names += 1
            name[p >> 1] = names
            last = p
    return names + 1


@jit
def compact(name, out):
    """The names in text order."""
    m = 0
    for v in name:
        if v >= 0:
            out[m] = v
            m += 1


@jit
def invert(order, sa):
    """sa[order[i]] = i, for names that are all different."""
    for i in range(order.size):
        sa[order[i]] = i
