"""Grouping of pairs and single ends into duplicate sets on a GPU; see duplicates_cpu, whose functions for one set a thread runs.

`entry_hashes`, a sort of the hashes by any stable device sort (the caller's), `sort_runs`, `set_ends`, `mark_sets`. Sets are small
(two to five entries of 64 bytes), so a thread a set is enough; threads of a warp work on neighbouring sets of `order`.
"""

import numba
from numba import cuda

from gpugenome.kernels import duplicates_cpu
from gpugenome.kernels.duplicates_scalar import compare_sets
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.read_ends_cpu import ENTRY


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
def set_ends(begin, end, entries, paired, order, out):
    """out[a] (int64) = where the set that begins at place a of `order` ends, 0 where none begins or it has one entry. Thread: a place."""
    a = begin + cuda.grid(1)
    if a >= end:
        return
    out[a] = 0
    if a > 0 and compare_sets(entries[order[a]], entries[order[a - 1]], paired) == 0:
        return
    b = a + 1
    while b < order.size and compare_sets(entries[order[b]], entries[order[a]], paired) == 0:
        b += 1
    if b - a > 1:
        out[a] = b


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
    "set_ends": (numba.i8, numba.i8, _ENTRIES, _FLAG, _I8, _I8),
    "mark_sets": (numba.i8, numba.i8, _ENTRIES, _FLAG, _I8, numba.i8[:, ::1], _FLAG, numba.i8, numba.i8, numba.u1[::1], _I8,
                  numba.i4[::1], _I8),
}  # fmt: skip
