"""Read ends for duplicate marking on a GPU; see read_ends_cpu, whose function for one record a thread runs.

The joining of mates is a hash table in file order and stays on the CPU. Threads walk packed records of some 300 bytes each, so
neighbouring loads do not coalesce; a record's lines stay in the first-level cache while its thread walks it.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels import read_ends_cpu
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.read_ends_scalar import END


@kernel()
def read_ends(begin, end, batch, settings, group_library, group_number, out):
    """Fill out[begin:end] (END) from records begin..end; arguments as in read_ends_cpu. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        read_ends_cpu.read_ends(i, i + 1, batch, settings, group_library, group_number, out)


@kernel()
def count_kinds(begin, end, flag, read_group, group_library, counts):
    """Count records begin..end by library and kind; arguments as on the CPU. Thread: a record, one atomic addition."""
    i = begin + cuda.grid(1)
    if i < end:
        cuda.atomic.add(counts, (np.int64(group_library[read_group[i] + 2]), read_ends_cpu.kind_of(np.int64(flag[i]))), 1)


@kernel()
def count_examined(begin, end, flag, index, counts):
    """Count mapped primary records by index; arguments as on the CPU. Thread: a record, which works where a run of one index begins."""
    i = begin + cuda.grid(1)
    if i >= end or (i > 0 and index[i - 1] == index[i]):
        return
    last = i + 1
    while last < flag.size and index[last] == index[i]:
        last += 1
    read_ends_cpu.count_examined(i, last, flag, index, counts)


@kernel()
def first_unplaced(begin, end, flag, ref_id, found):
    """Lower found[0] (int64) to the first unmapped record without a contig. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end and ref_id[i] < 0 and flag[i] & 4:
        cuda.atomic.min(found, 0, i)


@kernel()
def first_problem(begin, end, ends, found):
    """Lower found[0] (int64) to the first end that cannot be used though its record is looked at. Thread: an end."""
    i = begin + cuda.grid(1)
    if i < end and ends[i].problem > 0 and ends[i].kind > 0:
        cuda.atomic.min(found, 0, i)


_BATCH = numba.types.Tuple([t[::1] for t in (
    numba.u1, numba.i8, numba.i4, numba.i4, numba.u2, numba.i4, numba.i4, numba.u1, numba.u2, numba.i4, numba.i4
)])  # fmt: skip
SIGNATURES = {
    "read_ends": (numba.i8, numba.i8, _BATCH, numba.i8[::1], numba.i2[::1], numba.i2[::1], numba.from_dtype(END)[::1]),
    "count_kinds": (numba.i8, numba.i8, numba.u2[::1], numba.i4[::1], numba.i2[::1], numba.i8[:, ::1]),
    "count_examined": (numba.i8, numba.i8, numba.u2[::1], numba.i8[::1], numba.u1[:, ::1]),
    "first_unplaced": (numba.i8, numba.i8, numba.u2[::1], numba.i4[::1], numba.i8[::1]),
    "first_problem": (numba.i8, numba.i8, numba.from_dtype(END)[::1], numba.i8[::1]),
}
