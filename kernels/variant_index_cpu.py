"""Bins, chunks and windows of tabix indexes, from records in file order. Source: tabix specification, SAM specification 5.3."""

import numpy as np

from gpugenome.kernels.launch import jit

BINS = 37449
WINDOW_SHIFT = 14


@jit
def bin_of(start, end):
    """Smallest bin that holds [start, end), 0-based."""
    last = end - 1
    if start >> 14 == last >> 14:
        return 4681 + (start >> 14)
    if start >> 17 == last >> 17:
        return 585 + (start >> 17)
    if start >> 20 == last >> 20:
        return 73 + (start >> 20)
    if start >> 23 == last >> 23:
        return 9 + (start >> 23)
    if start >> 26 == last >> 26:
        return 1 + (start >> 26)
    return 0


@jit
def add_records(start, end, position, block_bytes, last_chunk, window, chunk_bin, chunk_begin, chunk_end, chunks):
    """Add records of one contig, in order, to its chunks. Returns the number of chunks.

    start, end: int32[n]. position: int64[n + 1], where each record begins in the uncompressed file, and where the last one ends.
    last_chunk: int64[BINS], the newest chunk of each bin, -1 for none. window: int64, position of the first record over each 16 kb, -1 for
    none. chunk_*: int64, with room for n more. A record extends the newest chunk of its bin where that one ends in the block where it
    begins.
    """
    for i in range(len(start)):
        first = np.int64(start[i])
        stop = max(np.int64(end[i]), first + 1)
        b = bin_of(first, stop)
        c = last_chunk[b]
        if c >= 0 and chunk_end[c] // block_bytes == position[i] // block_bytes:
            chunk_end[c] = position[i + 1]
        else:
            chunk_bin[chunks] = b
            chunk_begin[chunks] = position[i]
            chunk_end[chunks] = position[i + 1]
            last_chunk[b] = chunks
            chunks += 1
        for w in range(first >> WINDOW_SHIFT, ((stop - 1) >> WINDOW_SHIFT) + 1):
            if window[w] < 0:
                window[w] = position[i]
    return chunks
