"""The unstable sort of bwa: which of several equal elements comes first is part of its results.

Source: specification chapter "bwa_mem", section 13.
"""

import numpy as np

from gpugenome.kernels.launch import jit

_SHRINK = 1.2473309501039786540366528676643
_SHORT = 16  # runs up to here are left to the insertion sort
WAITING = 64  # the larger part waits, so no more of them than the length has bits


@jit
def _less(major, minor, a, b):
    return major[a] < major[b] or (major[a] == major[b] and minor[a] < minor[b])


@jit
def _insertion_sort(order, begin, end, major, minor):
    for i in range(begin + 1, end):
        item = order[i]
        j = i
        while j > begin and _less(major, minor, item, order[j - 1]):
            order[j] = order[j - 1]
            j -= 1
        order[j] = item


@jit
def _comb_sort(order, begin, end, major, minor):
    gap = end - begin
    swapped = True
    while swapped or gap > 2:
        if gap > 2:
            gap = np.int64(gap / _SHRINK)
            if gap == 9 or gap == 10:
                gap = 11
        swapped = False
        for i in range(begin, end - gap):
            if _less(major, minor, order[i + gap], order[i]):
                order[i], order[i + gap] = order[i + gap], order[i]
                swapped = True
    if gap != 1:
        _insertion_sort(order, begin, end, major, minor)


@jit
def _partition(order, lo, hi, major, minor):
    """Where the median of the first, middle and last element ends up."""
    mid = lo + ((hi - lo) >> 1) + 1
    if _less(major, minor, order[mid], order[lo]):
        at = hi if _less(major, minor, order[mid], order[hi]) else mid
    else:
        at = lo if _less(major, minor, order[hi], order[lo]) else hi
    pivot = order[at]
    order[at], order[hi] = order[hi], pivot
    i, j = lo, hi
    while True:
        i += 1
        while _less(major, minor, order[i], pivot):
            i += 1
        j -= 1
        while i <= j and _less(major, minor, pivot, order[j]):
            j -= 1
        if j <= i:
            break
        order[i], order[j] = order[j], order[i]
    order[i], order[hi] = order[hi], order[i]
    return i


@jit
def introsort_with(waiting, order, n, major, minor):
    """`introsort` with scratch for the parts that wait, int64[WAITING, 3]."""
    if n < 2:
        return
    if n == 2:
        if _less(major, minor, order[1], order[0]):
            order[0], order[1] = order[1], order[0]
        return
    depth = 2
    while (1 << depth) < n:
        depth += 1
    depth *= 2
    top = 0
    lo, hi = 0, n - 1
    while True:
        if lo < hi:
            depth -= 1
            if depth == 0:
                _comb_sort(order, lo, hi + 1, major, minor)
                lo = hi
                continue
            at = _partition(order, lo, hi, major, minor)
            begin, end = lo, hi
            if at - lo > hi - at:
                if at - lo > _SHORT:
                    waiting[top, 0], waiting[top, 1], waiting[top, 2] = begin, at - 1, depth
                    top += 1
                lo = at + 1 if end - at > _SHORT else end
            else:
                if hi - at > _SHORT:
                    waiting[top, 0], waiting[top, 1], waiting[top, 2] = at + 1, end, depth
                    top += 1
                hi = at - 1 if at - begin > _SHORT else begin
        elif top > 0:
            top -= 1
            lo, hi, depth = waiting[top, 0], waiting[top, 1], waiting[top, 2]
        else:
            break
    _insertion_sort(order, 0, n, major, minor)


@jit
def introsort(order, n, major, minor):
    """Sort order[:n] (int64 indices) by (major[i], minor[i]) (int64), equal elements as bwa leaves them."""
    introsort_with(np.empty((WAITING, 3), np.int64), order, n, major, minor)
