"""Read ends for duplicate marking on a GPU; see read_ends_cpu, whose function for one record a thread runs.

The joining of mates is a hash table in file order and stays on the CPU. Threads walk packed records of some 300 bytes each, so
neighbouring loads do not coalesce; a record's lines stay in the first-level cache while its thread walks it.
"""

import numba
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


_BATCH = numba.types.Tuple([t[::1] for t in (
    numba.u1, numba.i8, numba.i4, numba.i4, numba.u2, numba.i4, numba.i4, numba.u1, numba.u2, numba.i4, numba.i4
)])  # fmt: skip
SIGNATURES = {"read_ends": (numba.i8, numba.i8, _BATCH, numba.i8[::1], numba.i2[::1], numba.i2[::1], numba.from_dtype(END)[::1])}
