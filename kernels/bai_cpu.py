"""Bins, chunks and the linear index of a coordinate-sorted BAM, gathered while it is written. Source: SAM specification 5.2, BAMIndexer."""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import load_u32
from gpugenome.kernels.sam_tags_cpu import region_bin

FIRST, LAST, MAPPED, UNMAPPED, CHUNKS = range(5)
"""Places in `totals` of `index_records`."""


@jit
def index_records(begin, end, data, offset, place, block_bytes, pos, flag, name_length, n_cigar, last_chunk, bins, starts, stops, linear,
                  totals):  # fmt: skip
    """Add records begin..end, all on one contig and in order, to that contig's index.

    place: where data[0] lies in the uncompressed file. block_bytes: of every block. last_chunk: int32[bins], the latest chunk of each
    bin or -1. bins int32, starts, stops int64: the chunks so far (totals[CHUNKS] of them, with room for one more a record), as places in
    the uncompressed file. linear: int64[16 kb windows], the first record's place by window or -1. totals: int64[5], see FIRST; the last
    place and counts of records.
    """
    base = np.int64(data.ctypes.data)
    for i in range(begin, end):
        at, after = place + offset[i], place + offset[i + 1]
        start = np.int64(pos[i])
        stop = start
        if not flag[i] & 4:
            cigar = base + offset[i] + 36 + name_length[i]
            for k in range(n_cigar[i]):
                element = np.int64(load_u32(cigar + 4 * k))
                if (0b110001101 >> (element & 15)) & 1:
                    stop += element >> 4
        stop = max(stop, start + 1)
        number = np.int64(region_bin(start, stop))
        k = np.int64(last_chunk[number])
        if k >= 0 and stops[k] // block_bytes == at // block_bytes:
            stops[k] = after
        else:
            k = totals[CHUNKS]
            totals[CHUNKS] = k + 1
            last_chunk[number] = k
            bins[k], starts[k], stops[k] = number, at, after
        low, high = start >> 14, (stop - 1) >> 14
        if flag[i] & 4:
            low = high = max(start - 1, np.int64(0)) >> 14
        for w in range(low, min(high + 1, linear.size)):
            if linear[w] < 0:
                linear[w] = at
        if totals[MAPPED] + totals[UNMAPPED] == 0:
            totals[FIRST] = at
        totals[LAST] = after
        totals[UNMAPPED if flag[i] & 4 else MAPPED] += 1
