"""New base qualities by table look-up on a GPU; see recalibrate_cpu.

A warp does a record, its lanes every 32nd base, so that qualities are read and written together; the tables (some 300 KB a read
group) stay in the second-level cache. Integers only. Occupancy: see benchmarks/cuda_sass.py; blocks of 4 warps.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels.bam_records_cpu import _find_tag
from gpugenome.kernels.covariates_cpu import CODE, DENSE_CONTEXT, wide_key
from gpugenome.kernels.covariates_scalar import cycle_of
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.memory import address_of, load_u8
from gpugenome.kernels.recalibrate_cpu import of_hash


@cuda.jit(device=True)
def packed_context(data, seq, low, high, i, k, reverse):
    """The context of base i: k base codes in sequencing order, the first one most significant; -1 for none.

    The bases are packed, from data[seq] on. Those outside low..high (the low-quality tails) count as N.
    """
    value = np.int64(0)
    for j in range(k):
        at = i + k - 1 - j if reverse else i - k + 1 + j
        if at < low or at >= high:
            return -1
        packed = np.int64(data[seq + (at >> 1)])
        code = np.int64(CODE[packed & 15 if at & 1 else packed >> 4])
        if code < 0:
            return -1
        value = value * 4 + (3 - code if reverse else code)
    return value


@cuda.jit(device=True)
def _original(lane, tag, qual):
    """Put the text of an OQ tag into the record's qualities."""
    n = 0
    while n < qual.size and load_u8(tag + 3 + n) != 0:
        n += 1
    for j in range(lane, n, 32):
        qual[j] = load_u8(tag + 3 + j) - 33


@kernel(per_item=32)
def recalibrate(
    begin, end, batch, row, settings, base, delta_context, delta_cycle, final, missing, hash_key, hash_value, fault
):
    """Write the new qualities of records begin..end into the arena; arguments as in recalibrate_cpu. Warp: a record.

    fault: int64[1], lowered to the CPU's return value (2 * record) for a record with a cycle beyond the maximum.
    """
    i = begin + cuda.grid(1) // 32
    if i >= end:
        return
    lane = cuda.threadIdx.x & 31
    data, offset, flag, name_length, n_cigar, seq_length, read_group = batch
    k, most, tail, lowest, use_oq = settings[0], settings[1], settings[2], settings[3], settings[4]
    n = seq_length[i]
    seq = offset[i] + 36 + name_length[i] + 4 * n_cigar[i]
    start = seq + (n + 1) // 2
    qual = data[start : start + n]
    if n == 0 or qual[0] == 255:
        return
    if use_oq:
        address = address_of(data)
        tag = _find_tag(address + start + n, address + offset[i + 1], 79, 81)
        if tag >= 0:
            _original(lane, tag, qual)
        cuda.syncwarp()
    r = row[read_group[i]] if read_group[i] >= 0 else -1
    if r < 0:
        for j in range(lane, n, 32):
            qual[j] = missing[min(qual[j], 93)]
        return
    if n > most:
        if lane == 0:
            cuda.atomic.min(fault, 0, 2 * i)
        return
    low, high = 0, n
    while low < n and qual[low] <= tail:
        low += 1
    while high > low and qual[high - 1] <= tail:
        high -= 1
    cuda.syncwarp()  # every lane has seen the tails before a quality changes
    f, contexts = flag[i], np.int64(1) << (2 * k)
    for j in range(lane, n, 32):
        q = qual[j]
        if lowest <= q <= 93:
            context = contexts if low == n else packed_context(data, seq, low, high, j, k, f & 16 != 0)
            v = base[r, q] + delta_cycle[r, q, most + cycle_of(j, n, f)]
            if context >= 0 and k > DENSE_CONTEXT:
                v += of_hash(wide_key(np.int64(r), np.int64(q), context), hash_key, hash_value)
            elif context >= 0:
                v += delta_context[r, q, context]
            qual[j] = final[min(max(v, 1), 93)]


_BATCH = numba.types.Tuple([t[::1] for t in (numba.u1, numba.i8, numba.u2, numba.u1, numba.u2, numba.i4, numba.i4)])
SIGNATURES = {
    "recalibrate": (numba.i8, numba.i8, _BATCH, numba.i4[::1], numba.i8[::1], numba.i2[:, ::1], numba.i1[:, :, ::1], numba.i1[:, :, ::1],
                    numba.u1[::1], numba.u1[::1], numba.i8[::1], numba.i1[::1], numba.i8[::1]),
}  # fmt: skip
