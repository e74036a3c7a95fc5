"""Sums of the activity model on a GPU, one thread a position; see activity_cpu, whose function for one read a thread calls.

A position's reads are found by bisection and added in stream order, so its sums have the CPU's bits: additions of table entries,
no product that could be fused, no atomics. The probabilities (log10, pow) are the host's: `activity_cpu.probabilities`.
Neighbouring threads read neighbouring bases of the same reads. Occupancy: see benchmarks/cuda_sass.py; blocks of 4 warps.
"""

import numba
from numba import cuda

from gpugenome.kernels.activity_cpu import add_read
from gpugenome.kernels.launch_cuda import kernel


@cuda.jit(device=True)
def first_above(values, low, high, x):
    """The first place in low..high of an ascending array with a value above x."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] > x:
            high = middle
        else:
            low = middle + 1
    return low


@kernel()
def likelihood_sums(
    begin, end, origin, reads, sample, rank, first_row, last_row, reference, element, min_quality, deletion_quality,
    gl, depth, present, soft_clip, clips, reach,
):  # fmt: skip
    """Add the elements of all reads at positions origin + begin .. origin + end; arguments as in activity_cpu. Thread: a position.

    reach: int32 by read, the largest end of it and the reads before it.
    """
    d = begin + cuda.grid(1)
    if d >= end:
        return
    at = origin + d
    starts, ends = reads[0], reads[1]
    low = first_above(reach, first_row, last_row, at)
    high = first_above(starts, low, last_row, at)
    for s in range(rank.size):
        for i in range(low, high):
            if ends[i] > at and (rank.size == 1 or rank[sample[i]] == s):
                add_read(
                    i, at, at + 1, reads, reference, element, min_quality, deletion_quality, gl[s, d : d + 1], depth[s, d : d + 1],
                    present[s, d : d + 1], soft_clip[d : d + 1], clips[d : d + 1],
                )  # fmt: skip


_I4, _I8, _U1 = numba.i4[::1], numba.i8[::1], numba.u1[::1]
_READS = numba.types.Tuple([_I4, _I4, numba.u2[::1], _I4, _I4, _I4, _U1, _U1, _I8, numba.uint32[::1], _I8])
SIGNATURES = {
    "likelihood_sums": (numba.i8, numba.i8, numba.i8, _READS, _I4, _I4, numba.i8, numba.i8, _U1, numba.f8[:, :, ::1], numba.i8, numba.i8,
                        numba.f8[:, :, ::1], numba.i4[:, ::1], numba.u1[:, ::1], numba.f8[::1], _I4, _I4),
}  # fmt: skip
