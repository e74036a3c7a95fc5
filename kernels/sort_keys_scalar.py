"""Sort keys of alignment records, one record at a time: shared by the CPU and the CUDA twin."""

import numpy as np

from gpugenome.kernels.launch import jit

NO_REFERENCE = np.uint64(0x7FFFFFFF)


@jit
def coordinate_key(ref_id, pos, flag):
    """The packed start of the coordinate order: reference (none last), position, strand, in one uint64.

    31 bits reference, 32 bits position + 1, 1 bit strand. Records without a reference have no position in the order
    (Picard compares them by strand and name straight away).
    Source: htsjdk SAMRecordCoordinateComparator.
    """
    strand = np.uint64((flag >> 4) & 1)
    if ref_id < 0:
        return NO_REFERENCE << np.uint64(33) | strand
    place = np.uint64(np.int64(pos) + 1) & np.uint64(0xFFFFFFFF)
    return np.uint64(ref_id) << np.uint64(33) | place << np.uint64(1) | strand


@jit
def name_word(data, start, length, depth):
    """Bytes depth..depth+8 of a name as a big-endian uint64, zero past its end, so that words compare as the names do."""
    word = np.uint64(0)
    for i in range(8):
        at = depth + i
        word <<= np.uint64(8)
        if at < length:
            word |= np.uint64(data[start + at])
    return word
