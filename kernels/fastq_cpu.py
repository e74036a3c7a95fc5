"""FASTQ text: finding four-line records, checking them, and comparing the names of mates.

Source: Cock et al. 2010 (the FASTQ format, Sanger qualities '!'..'~'); read names end at white space, and a final "/" and digit
is not part of them, as bwa reads them.
"""

import numpy as np
from numba import types

from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import load_u8

find_byte = types.ExternalFunction("memchr", types.int64(types.int64, types.int32, types.int64))
"""The C library's memchr: address of a byte in (address, byte, bytes to look at), or 0."""

OK, NO_AT, NO_NAME, NO_PLUS, LENGTHS, BAD_BASE, BAD_QUALITY = range(7)
"""What `check_records` finds wrong."""

IS_BASE = np.zeros(256, np.bool_)
IS_BASE[[*range(65, 91), *range(97, 123), ord("."), ord("-"), ord("*")]] = True


@jit
def scan_lines(data, begin, end, line_start, most):
    """Starts of whole lines in data[begin:end], at most `most`; line_start[n] is where the next line begins.

    line_start: int64[most+1]. Returns n.
    """
    base = np.int64(data.ctypes.data)
    at = np.int64(begin)
    n = 0
    line_start[0] = at
    while n < most and at < end:
        found = find_byte(base + at, np.int32(10), end - at)
        if found == 0:
            break
        at = found - base + 1
        n += 1
        line_start[n] = at
    return n


@jit
def check_records(begin, end, data, line_start, name_start, name_length, seq_start, seq_length, qual_start):
    """The columns of records begin..end (int64 each, into data); record i has the lines 4i..4i+3.

    Returns -1, or 8 * (first bad record) + what is wrong with it.
    """
    for i in range(begin, end):
        at = line_start[4 * i]
        stop = line_start[4 * i + 1] - 1
        if stop == at or data[at] != 64:
            return 8 * i + NO_AT
        name = data[at + 1 : stop]
        size = 0
        while size < name.size and name[size] > 32:
            size += 1
        if size == 0:
            return 8 * i + NO_NAME
        if size > 2 and name[size - 2] == 47 and 48 <= name[size - 1] <= 57:
            size -= 2
        name_start[i] = at + 1
        name_length[i] = size
        seq_start[i] = line_start[4 * i + 1]
        qual_start[i] = line_start[4 * i + 3]
        length = line_start[4 * i + 2] - 1 - seq_start[i]
        seq_length[i] = length
        if data[line_start[4 * i + 2]] != 43:
            return 8 * i + NO_PLUS
        if line_start[4 * i + 4] - 1 - qual_start[i] != length:
            return 8 * i + LENGTHS
        seq = data[seq_start[i] : seq_start[i] + length]
        good = True
        for k in range(length):
            good &= IS_BASE[seq[k]]
        if not good:
            return 8 * i + BAD_BASE
        qual = data[qual_start[i] : qual_start[i] + length]
        low, high = np.uint8(33), np.uint8(33)
        for k in range(length):
            low = min(low, qual[k])
            high = max(high, qual[k])
        if low < 33 or high > 126:
            return 8 * i + BAD_QUALITY
    return -1


@jit
def check_mates(begin, end, first, name_start, name_length, second, mate_start, mate_length):
    """-1, or the first row whose two names differ. first, second: uint8 text; the others int64[n]."""
    a = np.int64(first.ctypes.data)
    b = np.int64(second.ctypes.data)
    for i in range(begin, end):
        n = name_length[i]
        if n != mate_length[i]:
            return i
        for k in range(n):
            if load_u8(a + name_start[i] + k) != load_u8(b + mate_start[i] + k):
                return i
    return -1
