"""Cutting a smoothed activity profile into regions, and giving regions their reads.

The profile of GATK is a list that grows site by site and is cut from the front; here it is a stretch of one array and three numbers.
Source: ActivityProfile, BandPassActivityProfile, AssemblyRegionIterator (specification chapter "regions", sections 4, 8, 9).
"""

import numpy as np

from gpugenome.kernels.activity_scalar import kept_range
from gpugenome.kernels.launch import jit

START, STOP, LAST, COUNT = 0, 1, 2, 3
"""The machine: first position of the list, one past its last, the last site added (-1: none), regions written."""


@jit
def _cut_one(v, origin, machine, site, threshold, shortest, longest, out_start, out_end, out_active, out_cut):
    """Cut the first region off the list. site: the position that is about to be added."""
    r, hi = machine[START], machine[STOP]
    values = v[r - origin : hi - origin]
    active = values[0] > threshold
    limit = min(longest, len(values))
    end = 1
    while end < limit and (values[end] > threshold) == active:
        end += 1
    if active and end == longest:
        best, lowest = -1, np.inf
        for i in range(longest - 1, max(shortest - 1, 1) - 1, -1):
            if i + 1 < len(values) and values[i] <= values[i + 1] and values[i] < values[i - 1] and values[i] < lowest:
                best, lowest = i, values[i]
        if best >= 0:
            end = best + 1
    n = machine[COUNT]
    out_start[n], out_end[n], out_active[n], out_cut[n] = r, r + end, 1 if active else 0, site
    machine[COUNT] = n + 1
    machine[START] = r + end


@jit
def flush(v, origin, machine, site, threshold, shortest, longest, out_start, out_end, out_active, out_cut):
    """End of an interval: cut everything up to the last site. site: the first position of the next interval."""
    if machine[LAST] < 0:
        return
    machine[STOP] = min(machine[STOP], machine[LAST] + 1)
    while machine[START] < machine[STOP]:
        _cut_one(v, origin, machine, site, threshold, shortest, longest, out_start, out_end, out_active, out_cut)
    machine[LAST] = -1


@jit
def add_sites(first, probability, soft_clip, contig_length, weights, propagation, v, origin, machine, threshold, shortest, longest,
              out_start, out_end, out_active, out_cut):  # fmt: skip
    """Add sites first, first + 1, ... (0-based), cutting regions before each as far as GATK does.

    v: float64, zero where nothing was added yet, v[x - origin] the smoothed value of position x; it reaches half a kernel beyond the
    last site. out_*: room for the regions.
    """
    half = len(weights) // 2
    ready = longest + half + propagation
    if machine[LAST] < 0:
        machine[START] = machine[STOP] = first
    for i in range(len(probability)):
        s = first + i
        while machine[STOP] - machine[START] >= ready:
            _cut_one(v, origin, machine, s, threshold, shortest, longest, out_start, out_end, out_active, out_cut)
        p = probability[i]
        machine[LAST] = s
        machine[STOP] = max(machine[STOP], s + 1)
        if p > 0:
            copies = 1
            if soft_clip[i] > 6.0:
                n = min(np.int64(soft_clip[i]), half + propagation)
                copies = min(s + n, contig_length - 1) - max(s - n, 0) + 1
            lo, hi = max(s - half, machine[START]), min(s + half, contig_length - 1) + 1
            machine[STOP] = max(machine[STOP], hi)
            for x in range(lo, hi):
                add = p * weights[x - s + half]
                value = v[x - origin]
                for _ in range(copies):
                    value += add
                v[x - origin] = value


@jit
def count_reads(begin, end, region_start, region_end, first_row, start, stop, out):
    """out[r] = number of reads that overlap span r. first_row: int64, the first read that can overlap it."""
    for r in range(begin, end):
        n = 0
        for i in range(first_row[r], len(start)):
            if start[i] >= region_end[r]:
                break
            if stop[i] > region_start[r]:
                n += 1
        out[r] = n


@jit
def fill_reads(begin, end, region_start, region_end, first_row, start, stop, offset, out):
    """The rows counted by `count_reads`, in stream order."""
    for r in range(begin, end):
        at = offset[r]
        for i in range(first_row[r], len(start)):
            if start[i] >= region_end[r]:
                break
            if stop[i] > region_start[r]:
                out[at] = i
                at += 1


@jit
def _first_covered(at, start, reach, flag, mate_ref_id, mate_start, tlen, end):
    """The first position from `at` on with a base or deletion of a read outside of its adaptor; -1 where no known read has one."""
    best = np.int64(-1)
    for i in range(np.searchsorted(reach, at, "right"), len(start)):
        if best >= 0 and start[i] > best:
            break
        first, last = kept_range(np.int64(start[i]), np.int64(end[i]), np.int64(flag[i]), mate_ref_id[i], np.int64(mate_start[i]),
                                 np.int64(tlen[i]))  # fmt: skip
        if last > first and last > at:
            here = max(first, at)
            best = here if best < 0 else min(best, here)
    return best


@jit
def callable_regions(high, cut, previous, span_start, span_end, start, reach, flag, mate_ref_id, mate_start, tlen, end, ready):
    """How many of the regions GATK calls before it draws for reads that are not known yet.

    GATK calls a region when the next one is loaded, that is at position P: past the padded end and the position where it was cut; by
    then its iterators have taken the reads up to the first covered position beyond P, the group of reads after it, and one more group
    where that one has a single read. high: int64, padded end (exclusive) of each region in order; cut: where it was cut off; previous: P of
    the region before the first. span_start, span_end: the contig's intervals. start ... end: columns of the known reads, complete groups;
    reach: running maximum of end. ready: int64, P of each region that is called.
    """
    n, span, called = len(high), 0, 0
    for k in range(n):
        p = max(previous + 1, high[k], cut[k])
        while span < len(span_end) and span_end[span] <= p:
            span += 1
        if span == len(span_end):
            break
        p = max(p, span_start[span])
        ready[k], previous = p, p
        after = p + 1
        if after == span_end[span]:
            if span + 1 == len(span_end):
                break
            after = span_start[span + 1]
        if k == 0:
            continue
        covered = _first_covered(after, start, reach, flag, mate_ref_id, mate_start, tlen, end)
        if covered < 0:
            break
        group = np.searchsorted(start, covered, "right")
        if group == len(start):
            break
        following = np.searchsorted(start, start[group], "right")
        if following - group == 1 and following == len(start):
            break
        called = k
    return called
