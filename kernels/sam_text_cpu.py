"""Tags of SAM text to those of BAM records: the same bytes as htslib makes of them (integers in their narrowest type).

Source: SAM specification 1.4, 1.5 (text), 4.2 (records).
"""

import numpy as np
from numba import types

from gpugenome.kernels.fastq_cpu import find_byte
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import copy_bytes, load_u8, store_u8

_to_double = types.ExternalFunction("strtod", types.float64(types.int64, types.int64))


@jit
def _integer(at, end):
    """(value, whether it is one) of the decimal integer in at..end."""
    negative = at < end and load_u8(at) == 45
    p = at + 1 if negative or (at < end and load_u8(at) == 43) else at
    if p >= end or end - p > 12:
        return np.int64(0), False
    value = np.int64(0)
    while p < end:
        digit = np.int64(load_u8(p)) - 48
        if digit < 0 or digit > 9:
            return np.int64(0), False
        value = value * 10 + digit
        p += 1
    return (-value if negative else value), True


@jit
def _store_little(at, value, size):
    for b in range(size):
        store_u8(at + b, np.uint8((value >> (8 * b)) & 255))


@jit
def _integer_type(value):
    """(type letter, bytes) that htslib gives an integer tag; no letter beyond 32 bits."""
    if value < 0:
        if value >= -128:
            return 99, 1
        if value >= -32768:
            return 115, 2
        return (105, 4) if value >= -2147483648 else (0, 0)
    if value <= 255:
        return 67, 1
    if value <= 65535:
        return 83, 2
    return (73, 4) if value <= 4294967295 else (0, 0)


@jit
def _store_float(at, text):
    scratch = np.empty(1, np.float32)
    scratch[0] = np.float32(_to_double(text, np.int64(0)))
    copy_bytes(at, np.int64(scratch.ctypes.data), np.int64(4))


@jit
def _encode_array(at, end, to):
    """A B tag's value, text at..end ("c,1,2"), to address `to`. Returns the bytes written, -1 for a bad one."""
    if at >= end:
        return np.int64(-1)
    kind = load_u8(at)
    width = 1 if kind == 99 or kind == 67 else 2 if kind == 115 or kind == 83 else 4
    if width == 4 and kind != 105 and kind != 73 and kind != 102:
        return np.int64(-1)
    count = 0
    p = at + 1
    while p < end:
        if load_u8(p) != 44:
            return np.int64(-1)
        p += 1
        stop = p
        while stop < end and load_u8(stop) != 44:
            stop += 1
        if kind == 102:
            _store_float(to + 5 + 4 * count, p)
        else:
            value, good = _integer(p, stop)
            if not good:
                return np.int64(-1)
            _store_little(to + 5 + width * count, value, width)
        count += 1
        p = stop
    store_u8(to, kind)
    _store_little(to + 1, count, 4)
    return np.int64(5 + width * count)


@jit
def _encode_tag(at, end, to):
    """One tag, text at..end, to address `to`. Returns the bytes written, -1 for a bad one."""
    if end - at < 5 or load_u8(at + 2) != 58 or load_u8(at + 4) != 58:
        return np.int64(-1)
    kind = load_u8(at + 3)
    store_u8(to, load_u8(at))
    store_u8(to + 1, load_u8(at + 1))
    store_u8(to + 2, kind)
    value_at = at + 5
    if kind == 105:
        value, good = _integer(value_at, end)
        letter, size = _integer_type(value)
        if not good or size == 0:
            return np.int64(-1)
        store_u8(to + 2, np.uint8(letter))
        _store_little(to + 3, value, size)
        return np.int64(3 + size)
    if kind == 90 or kind == 72:
        size = end - value_at
        copy_bytes(to + 3, value_at, size)
        store_u8(to + 3 + size, np.uint8(0))
        return np.int64(4 + size)
    if kind == 65 and end == value_at + 1:
        store_u8(to + 3, load_u8(value_at))
        return np.int64(4)
    if kind == 102 and end > value_at:
        _store_float(to + 3, value_at)
        return np.int64(7)
    if kind == 66:
        size = _encode_array(value_at, end, to + 3)
        return size if size < 0 else 3 + size
    return np.int64(-1)


@jit
def encode_tags(at, end, to):
    """Tags as text (address at..end, tabs between them) to address `to`. Returns the bytes written, -1 where one is bad.

    At most 2 * (end - at) + 16 bytes.
    """
    begin = to
    while at < end:
        found = find_byte(at, np.int32(9), end - at)
        stop = found if found else end
        size = _encode_tag(at, stop, to)
        if size < 0:
            return np.int64(-1)
        to += size
        at = stop + 1
    return to - begin
