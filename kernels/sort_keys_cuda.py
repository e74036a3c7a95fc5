"""Sort keys and the gathering of sorted records on a GPU; see sort_keys_cpu. Addresses are those of device memory.

Both are bound by memory: a key is 18 bytes in and 8 out, a gathered record is read and written once.
Occupancy (benchmarks/cuda_sass.py): 28 registers, so every warp that a multiprocessor holds.
"""

from numba import cuda

from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.memory import load_u8
from gpugenome.kernels.sort_keys_scalar import coordinate_key


@kernel(block=256)
def coordinate_keys(begin, end, ref_id, pos, flag, out):
    """Write `coordinate_key` of records begin..end to out, uint64[n]. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = coordinate_key(ref_id[i], pos[i], flag[i])


@kernel(block=256, per_item=32)
def gather_records(begin, end, address, out_offset, out):
    """Copy the records at the addresses begin..end to out at out_offset[i] (int64[n+1]). Warp: a record; thread: every 32nd byte."""
    i = begin + cuda.grid(1) // 32
    if i < end:
        source, a = address[i], out_offset[i]
        for j in range(cuda.threadIdx.x & 31, out_offset[i + 1] - a, 32):
            out[a + j] = load_u8(source + j)


SIGNATURES = {
    "coordinate_keys": "(i8, i8, i4[::1], i4[::1], u2[::1], u8[::1])",
    "gather_records": "(i8, i8, i8[::1], i8[::1], u1[::1])",
}
