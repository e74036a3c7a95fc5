"""Grouping of pairs and single ends into duplicate sets on a GPU; see duplicates_cpu, whose functions for one set a thread runs.

`sort_entries`: hashes, their order by `radix_sort`, `sort_runs`, `set_ends`, `place_sets`; then `mark_sets`. Sets are small (two to five
entries of 64 bytes), so a thread a set is enough; threads of a warp work on neighbouring sets of `order`.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels import duplicates_cpu
from gpugenome.kernels.duplicates_scalar import compare_sets
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.read_ends_cpu import ENTRY
from gpugenome.kernels.scan_cuda import exclusive_scan
from gpugenome.kernels.sort_keys_cuda import radix_sort


@kernel()
def entry_hashes(begin, end, entries, paired, out):
    """out[i] (uint64) = `entry_hash` of entries[i], for begin..end. Thread: an entry."""
    i = begin + cuda.grid(1)
    if i < end:
        duplicates_cpu.entry_hashes(i, i + 1, entries, paired, out)


@kernel()
def sort_runs(begin, end, hashes, entries, paired, order, scratch):
    """Put runs of equal hashes into the order of `compare_entries`. Thread: a place of `order`, which works where a run begins.

    order: int64[n], the entries by hash, changed in place. scratch: int64[n].
    """
    a = begin + cuda.grid(1)
    if a >= end:
        return
    h = hashes[order[a]]
    if a > 0 and hashes[order[a - 1]] == h:
        return
    b = a + 1
    while b < order.size and hashes[order[b]] == h:
        b += 1
    if b - a > 1:
        duplicates_cpu.merge_sort(entries, paired, order, a, b, scratch[a:b])


@kernel()
def set_ends(begin, end, entries, paired, order, out, begins):
    """out[a] (int64) = where the set that begins at place a of `order` ends, where it has two entries or more. Thread: a place.

    begins: int64[n], 1 there and 0 elsewhere.
    """
    a = begin + cuda.grid(1)
    if a >= end:
        return
    begins[a] = 0
    if a > 0 and compare_sets(entries[order[a]], entries[order[a - 1]], paired) == 0:
        return
    b = a + 1
    while b < order.size and compare_sets(entries[order[b]], entries[order[a]], paired) == 0:
        b += 1
    if b - a > 1:
        out[a], begins[a] = b, 1


@kernel()
def place_sets(begin, end, stop, begins, place, sets):
    """Put the sets that `set_ends` found side by side: sets int64[k, 2]. place: int64, `exclusive_scan` of begins. Thread: a place."""
    a = begin + cuda.grid(1)
    if a < end and begins[a]:
        sets[place[a], 0], sets[place[a], 1] = a, stop[a]


def sort_entries(entries, paired):
    """(order int64[n], sets int64[k, 2]) of entries (n > 0) as `duplicates_cpu.sort_entries`; all on the device."""
    n = entries.size
    hashes = cuda.device_array(n, np.uint64)
    entry_hashes(0, n, entries, paired, hashes)
    _, order = radix_sort(hashes)
    scratch, place = cuda.device_array(n, np.int64), cuda.device_array(n + 1, np.int64)
    sort_runs(0, n, hashes, entries, paired, order, scratch)
    begins = cuda.device_array(n, np.int64)
    set_ends(0, n, entries, paired, order, scratch, begins)
    exclusive_scan(begins, place)
    sets = cuda.device_array((int(place[n:].copy_to_host()[0]), 2), np.int64)
    if len(sets):
        place_sets(0, n, scratch, begins, place, sets)
    return order, sets


@kernel()
def flag_duplicates(begin, end, mark, flag):
    """Set bit 0x400 of FLAGs begin..end as `duplicates_cpu.flag_duplicates`. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        duplicates_cpu.flag_duplicates(i, i + 1, mark, flag)


@kernel()
def mark_sets(begin, end, entries, paired, order, start, optical, distance, largest, state, kept, optical_count, parent):
    """Mark sets begin..end; arguments as in duplicates_cpu. Thread: a set, whose entries no other set has."""
    s = begin + cuda.grid(1)
    if s < end:
        duplicates_cpu.mark_sets(
            s, s + 1, entries, paired, order, start, optical, distance, largest, state, kept, optical_count, parent
        )


_ENTRIES, _I8, _FLAG = numba.from_dtype(ENTRY)[::1], numba.i8[::1], numba.boolean
SIGNATURES = {
    "entry_hashes": (numba.i8, numba.i8, _ENTRIES, _FLAG, numba.u8[::1]),
    "sort_runs": (numba.i8, numba.i8, numba.u8[::1], _ENTRIES, _FLAG, _I8, _I8),
    "set_ends": (numba.i8, numba.i8, _ENTRIES, _FLAG, _I8, _I8, _I8),
    "place_sets": (numba.i8, numba.i8, _I8, _I8, _I8, numba.i8[:, ::1]),
    "flag_duplicates": (numba.i8, numba.i8, numba.u1[::1], numba.u2[::1]),
    "mark_sets": (numba.i8, numba.i8, _ENTRIES, _FLAG, _I8, numba.i8[:, ::1], _FLAG, numba.i8, numba.i8, numba.u1[::1], _I8,
                  numba.i4[::1], _I8),
}  # fmt: skip
