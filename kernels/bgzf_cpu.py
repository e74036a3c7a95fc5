"""BGZF blocks: walking, inflating with CRC check, deflating. libdeflate is called from inside nogil kernels.

libdeflate's C functions come from the `deflate` wheel, which happens to export them, or from the system's library.
Source: SAM specification 4.1 (BGZF), RFC 1951/1952.
"""

import ctypes
import ctypes.util

import llvmlite.binding
import numpy as np
from numba import types

from gpugenome.errors import UserError
from gpugenome.kernels.deflate_cpu import HASH_BITS, HEAD_BYTES, MOST_SEQUENCES, OWN_LEVELS, WRITTEN_BYTES, deflate
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import copy_bytes, load_u8, load_u16, load_u32, store_u8, store_u16, store_u32

SLOT = 65536
"""Bytes of one output slot: the largest BGZF block."""
_FRAME = 26  # 18 bytes of header and 8 of CRC and size around the deflated data
_SMALL = 4096  # bytes of blocks for which libdeflate makes smaller codes


def _library():
    """The shared library that exports libdeflate's functions.

    Raises
    ------
    UserError: none does.
    """
    needed = ("libdeflate_alloc_decompressor", "libdeflate_deflate_decompress", "libdeflate_deflate_compress", "libdeflate_crc32")
    candidates = []
    try:
        import deflate._deflate

        candidates.append(deflate._deflate.__file__)
    except ImportError:
        pass
    candidates.append(ctypes.util.find_library("deflate"))
    for name in candidates:
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None and all(hasattr(library, symbol) for symbol in needed):
            return library
    raise UserError("no library exports libdeflate's functions, neither Python's `deflate` nor the system's: pip install deflate==0.9.0")


_lib = _library()


def _external(name, result, *arguments):
    """A C function by name; the name is bound when the machine code is loaded, so the disk cache works."""
    llvmlite.binding.add_symbol(name, ctypes.cast(getattr(_lib, name), ctypes.c_void_p).value)
    return types.ExternalFunction(name, result(*arguments))


_alloc_decompressor = _external("libdeflate_alloc_decompressor", types.int64)
_free_decompressor = _external("libdeflate_free_decompressor", types.void, types.int64)
_decompress = _external(
    "libdeflate_deflate_decompress", types.int32, types.int64, types.int64, types.int64, types.int64, types.int64, types.int64
)
_crc32 = _external("libdeflate_crc32", types.uint32, types.uint32, types.int64, types.int64)
_alloc_compressor = _external("libdeflate_alloc_compressor", types.int64, types.int32)
_free_compressor = _external("libdeflate_free_compressor", types.void, types.int64)
_compress = _external(
    "libdeflate_deflate_compress", types.int64, types.int64, types.int64, types.int64, types.int64, types.int64
)

OK, BAD_MAGIC, NO_BLOCK_SIZE, BAD_SIZE = 0, 1, 2, 3
"""Status of `scan_blocks`."""
BAD_DEFLATE, BAD_CRC = 1, 2
"""Status of `inflate_blocks`."""


@jit
def scan_blocks(raw, begin, end, max_bytes, payload_start, payload_size, raw_size):
    """Walk whole BGZF blocks in raw[begin:end], at most payload_start.size of them and max_bytes inflated bytes.

    Fills payload_start/payload_size (the deflated data, int64) and raw_size (inflated bytes, int64).

    Returns
    -------
    (blocks found, position after the last one, status). A block cut by `end` is left for the next call.
    """
    base = np.int64(raw.ctypes.data)
    n = 0
    at = begin
    total = np.int64(0)
    while n < payload_start.size and at + 18 <= end:
        a = base + at
        if load_u32(a) & 0x00FFFFFF != 0x00088B1F:
            return n, at, BAD_MAGIC
        if not (load_u8(a + 3) & 4):
            return n, at, NO_BLOCK_SIZE
        extra = np.int64(load_u16(a + 10))
        if at + 12 + extra > end:
            break
        size = np.int64(-1)
        field = np.int64(0)
        while field + 4 <= extra:
            length = np.int64(load_u16(a + 14 + field))
            if load_u16(a + 12 + field) == 0x4342 and length == 2 and field + 6 <= extra:
                size = np.int64(load_u16(a + 16 + field)) + 1
            field += 4 + length
        if size < 0:
            return n, at, NO_BLOCK_SIZE
        if size < extra + 20:
            return n, at, BAD_SIZE
        if at + size > end:
            break
        inflated = np.int64(load_u32(a + size - 4))
        if inflated > 65536:
            return n, at, BAD_SIZE
        if total + inflated > max_bytes:
            break
        payload_start[n] = at + 12 + extra
        payload_size[n] = size - 20 - extra
        raw_size[n] = inflated
        total += inflated
        n += 1
        at += size
    return n, at, OK


@jit
def inflate_blocks(begin, end, raw, payload_start, payload_size, out_start, out, check_crc):
    """Inflate blocks begin..end into out[out_start[i]:out_start[i+1]].

    Returns
    -------
    -1, or 4 * (first bad block) + BAD_DEFLATE or BAD_CRC.
    """
    source = np.int64(raw.ctypes.data)
    target = np.int64(out.ctypes.data)
    decompressor = _alloc_decompressor()
    result = np.int64(-1)
    for i in range(begin, end):
        size = out_start[i + 1] - out_start[i]
        at = target + out_start[i]
        # an empty block still has its (two byte) data and CRC 0
        status = _decompress(decompressor, source + payload_start[i], payload_size[i], at, size, np.int64(0))
        if status != 0:
            result = 4 * i + BAD_DEFLATE
            break
        if check_crc and _crc32(np.uint32(0), at, size) != load_u32(source + payload_start[i] + payload_size[i]):
            result = 4 * i + BAD_CRC
            break
    _free_decompressor(decompressor)
    return result


@jit
def _frame(slot, source, size, deflated):
    """Write the header and trailer around `deflated` bytes at slot + 18; 0 means store `source` as it is."""
    if deflated == 0:
        store_u8(slot + 18, np.uint8(1))
        store_u16(slot + 19, np.uint16(size))
        store_u16(slot + 21, np.uint16(0xFFFF ^ size))
        copy_bytes(slot + 23, source, size)
        deflated = size + 5
    store_u32(slot, np.uint32(0x04088B1F))
    store_u32(slot + 4, np.uint32(0))
    store_u32(slot + 8, np.uint32(0x0006FF00))
    store_u32(slot + 12, np.uint32(0x00024342))
    store_u16(slot + 16, np.uint16(deflated + _FRAME - 1))
    store_u32(slot + 18 + deflated, np.uint32(_crc32(np.uint32(0), source, size)))
    store_u32(slot + 22 + deflated, np.uint32(size))
    return deflated + _FRAME


@jit
def deflate_blocks(data, block_bytes, level, quiet, out, size):
    """Deflate `data` in blocks of block_bytes (the last may be shorter), one after another into `out`.

    Level 0 and blocks that would not fit are stored; levels 1 and 2 are `deflate_cpu`, for blocks of some size, with codes that those of a
    call share: their bytes depend on which blocks come in one call. quiet: int64[2, k], where base qualities begin and end in data, in
    order. out: uint8, SLOT bytes a block. size: int64[blocks], bytes of each finished block.

    Returns
    -------
    Bytes of all blocks.
    """
    table, sequences = np.empty(1 << HASH_BITS, np.uint16), np.empty(MOST_SEQUENCES, np.uint64)
    counts, codes = np.empty((3, 320), np.uint32), np.empty((3, 320), np.uint32)
    long_codes, small = np.empty(259, np.uint64), np.empty((6, 640), np.int64)
    many, hot, pairs = np.empty((4, 256), np.uint32), np.zeros(65, np.int64), np.zeros(16384, np.uint64)
    written, head, kept = np.empty(WRITTEN_BYTES, np.uint8), np.empty(HEAD_BYTES, np.uint8), np.zeros(7, np.int64)
    source, target = np.int64(data.ctypes.data), np.int64(out.ctypes.data)
    compressor = _alloc_compressor(np.int32(level)) if level > 0 else np.int64(0)
    at, first = np.int64(0), 0
    for i in range(size.size):
        begin = np.int64(i * block_bytes)
        end = min(begin + block_bytes, np.int64(data.size))
        room = np.int64(min(SLOT - _FRAME, end - begin + 4))
        while first < quiet.shape[1] and quiet[1, first] <= begin:
            first += 1
        deflated = np.int64(0)
        if 0 < level <= OWN_LEVELS and end - begin >= _SMALL:
            deflated = deflate(data, begin, end, level, quiet, first, target + at + 18, room, size.size == 1, written, table, sequences,
                               counts, codes, long_codes, small, many, hot, pairs, head, kept)  # fmt: skip
        elif level > 0:
            deflated = _compress(compressor, source + begin, end - begin, target + at + 18, room)
        size[i] = _frame(target + at, source + begin, end - begin, deflated)
        at += size[i]
    if level > 0:
        _free_compressor(compressor)
    return at
