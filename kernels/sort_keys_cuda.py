"""Sort keys, the sort and the gathering of sorted records on a GPU; see sort_keys_cpu. Addresses are those of device memory.

All are bound by memory: a key is 18 bytes in and 8 out, a gathered record is read and written once. `radix_sort` goes through 8 bits of
the keys at a time: a thread counts the digits of a tile of 512 keys in its local memory (in the first-level cache), one scan over
digits and tiles gives places, and the thread moves its keys there, which is stable. Ties of up to MOST_TIES records are settled here, a
thread a run; longer runs (reads without a contig are one) are listed for the host, where eight bytes of all names are sorted at a time.
Occupancy (benchmarks/cuda_sass.py): 28 registers for keys and gathering, so every warp that a multiprocessor holds.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.memory import address_of, load_u8
from gpugenome.kernels.scan_cuda import exclusive_scan
from gpugenome.kernels.sort_keys_scalar import coordinate_key, record_key, sort_run

TILE, DIGITS = 512, 256
MOST_TIES = 1024


@kernel(block=256)
def coordinate_keys(begin, end, ref_id, pos, flag, out):
    """Write `coordinate_key` of records begin..end to out, uint64[n]. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = coordinate_key(ref_id[i], pos[i], flag[i])


@kernel(block=256)
def record_keys(begin, end, data, offset, key, address, size):
    """Key (uint64), address (int64) and bytes (int64) of records begin..end of an arena. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        a = address_of(data) + offset[i]
        key[i] = record_key(a)
        address[i] = a
        size[i] = offset[i + 1] - offset[i]


@kernel()
def common_bits(begin, end, keys, found):
    """Lower found[0] (uint64) to the bits that all keys have, raise found[1] to those that any has. Thread: a tile of keys."""
    t = begin + cuda.grid(1)
    if t < end:
        every = some = keys[t * TILE]
        for i in range(t * TILE, min((t + 1) * TILE, keys.size)):
            every &= keys[i]
            some |= keys[i]
        cuda.atomic.and_(found, 0, every)
        cuda.atomic.or_(found, 1, some)


@kernel()
def tile_digits(begin, end, keys, shift, count):
    """count[d * tiles + t] (int64) = the keys of tile t whose 8 bits from `shift` (uint64) up are d. Thread: a tile."""
    t = begin + cuda.grid(1)
    if t < end:
        tiles = count.size // DIGITS
        mine = cuda.local.array(DIGITS, numba.int32)
        for d in range(DIGITS):
            mine[d] = 0
        for i in range(t * TILE, min((t + 1) * TILE, keys.size)):
            mine[np.int64((keys[i] >> shift) & np.uint64(DIGITS - 1))] += 1
        for d in range(DIGITS):
            count[d * tiles + t] = mine[d]


@kernel()
def move_keys(begin, end, keys, order, shift, place, keys_out, order_out):
    """Put keys and order where their digits go. place: int64, `exclusive_scan` of what `tile_digits` made. Thread: a tile."""
    t = begin + cuda.grid(1)
    if t < end:
        tiles = place.size // DIGITS
        mine = cuda.local.array(DIGITS, numba.int64)
        for d in range(DIGITS):
            mine[d] = place[d * tiles + t]
        for i in range(t * TILE, min((t + 1) * TILE, keys.size)):
            d = np.int64((keys[i] >> shift) & np.uint64(DIGITS - 1))
            at = mine[d]
            mine[d] = at + 1
            keys_out[at] = keys[i]
            order_out[at] = order[i]


@kernel()
def count_up(begin, end, out):
    """out[i] (int64) = i. Thread: a place."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = i


def radix_sort(keys):
    """Stable ascending order of keys (uint64[n], n > 0): (sorted keys, order int64[n]), on the device as they are.

    Only digits in which keys differ are sorted.
    """
    n = keys.size
    tiles = -(-n // TILE)
    order, found = cuda.device_array(n, np.int64), cuda.to_device(np.array([~np.uint64(0), 0], np.uint64))
    count_up(0, n, order)
    common_bits(0, tiles, keys, found)
    every, some = found.copy_to_host().tolist()
    count, place = cuda.device_array(tiles * DIGITS, np.int64), cuda.device_array(tiles * DIGITS, np.int64)
    spare = []
    for shift in range(0, 64, 8):
        if not ((every ^ some) >> shift) & (DIGITS - 1):
            continue
        tile_digits(0, tiles, keys, np.uint64(shift), count)
        exclusive_scan(count, place)
        keys_out, order_out = spare or (cuda.device_array(n, np.uint64), cuda.device_array(n, np.int64))
        move_keys(0, tiles, keys, order, np.uint64(shift), place, keys_out, order_out)
        # the keys that were given stay as they are
        spare = [keys, order] if spare else [cuda.device_array(n, np.uint64), order]
        keys, order = keys_out, order_out
    return keys, order


@cuda.jit(device=True)
def _run_end(keys, a):
    """Where the run of keys equal to keys[a] ends; keys are sorted."""
    low, step = a, 1
    while low + step < keys.size and keys[low + step] == keys[a]:
        low += step
        step *= 2
    high = min(low + step, keys.size)
    while high - low > 1:
        middle = (low + high) // 2
        if keys[middle] == keys[a]:
            low = middle
        else:
            high = middle
    return high


@kernel()
def settle_coordinate_ties(begin, end, keys, address, order, scratch, long):
    """Order the runs of equal keys that begin in begin..end as the CPU's kernel does. Thread: a place, which works where a run begins.

    keys: uint64[n], sorted. address: int64[n]. order: int64[n], changed in place. scratch: int64[n]. long: int64[n // MOST_TIES + 1, 2] and
    one row before, whose first value counts the runs of more than MOST_TIES records; they are left as they are, in the other rows.
    """
    a = begin + cuda.grid(1)
    if a >= end or (a > 0 and keys[a - 1] == keys[a]) or a + 1 == keys.size or keys[a + 1] != keys[a]:
        return
    b = _run_end(keys, a)
    if b - a <= MOST_TIES:
        sort_run(0, address, order, a, b, scratch[a:b])
    else:
        k = cuda.atomic.add(long, (0, 0), 1) + 1
        long[k, 0], long[k, 1] = a, b


@kernel(block=256)
def take_values(begin, end, values, order, out):
    """out[i] = values[order[i]]. Thread: a place."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = values[order[i]]


@kernel(block=256)
def head_sizes(begin, end, address, out):
    """out[i] (int64) = bytes of the fixed fields and the name of the record at address[i]. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = 36 + load_u8(address[i] + 12)


@kernel(block=256)
def from_zero(begin, end, offset, out):
    """out[i] (int64) = offset[i] less the first of them. Thread: a place."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = offset[i] - offset[0]


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
    "record_keys": "(i8, i8, u1[::1], i8[::1], u8[::1], i8[::1], i8[::1])",
    "common_bits": "(i8, i8, u8[::1], u8[::1])",
    "tile_digits": "(i8, i8, u8[::1], u8, i8[::1])",
    "move_keys": "(i8, i8, u8[::1], i8[::1], u8, i8[::1], u8[::1], i8[::1])",
    "count_up": "(i8, i8, i8[::1])",
    "settle_coordinate_ties": "(i8, i8, u8[::1], i8[::1], i8[::1], i8[::1], i8[:, ::1])",
    "take_values": ["(i8, i8, i8[::1], i8[::1], i8[::1])", "(i8, i8, i4[::1], i8[::1], i4[::1])"],
    "head_sizes": "(i8, i8, i8[::1], i8[::1])",
    "from_zero": "(i8, i8, i8[::1], i8[::1])",
    "gather_records": "(i8, i8, i8[::1], i8[::1], u1[::1])",
}
