"""Reads to chains on a GPU: the tables of chained_reads_cpu, in phases with work lists between them.

`find_intervals`, `list_seeds`, `look_up`, `make_chains`, `store_kept`: the caller adds up after the first and the fourth where each
read's seeds and chains lie (steps/chained_reads.py), so nothing depends on the order in which threads run. The functions for one read
are the CPU's. Reads that do not fit the bounded storage are the caller's to give to the CPU. The index stays on the device.

Memory, a read of 150 bases (counted on 300 simulated reads of 2 Mb of chr20): 17 searches read 116 entries of the suffix array, as many
places of the text, and 34 of the prefix table: some 280 random sectors of 32 bytes, 9 kB, one after the other: 250 latencies of
600 ns, 150 us. A human genome has 90 times the rows a prefix, twice the steps. With the 50,000 reads of a batch under way at a time that is
0.15 ms and the tail of the slowest reads, some 1e8 reads/s; at half of an H100's 3.35 TB/s, all that random sectors reach, 1.8e8 reads/s.
Looking up: 12 sectors, 0.4 kB. Chains: 200 bytes of tables a seed, written and read, 5 kB: 3e8 reads/s. Copies: 400 bytes of FASTQ text and
columns in, 80 out a read: 2e7 reads/s from ordinary host memory at 10 GB/s, the slowest part, and 100 times what a core seeds.
Measured on an H100, from text on the host to chains on the host: 50,000 reads in 14.2 ms, 200,000 in 42 ms, a third of them of repeats (16
cores: 39 and 159 ms), so 5e6 reads/s: far from the memory's limit, and faster than what comes before and after on the CPU.
Occupancy (benchmarks/cuda_sass.py): find_intervals 5 blocks of 4 warps a multiprocessor, make_chains (107 registers) 4.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels.aligner_fields import (
    CHAINS,
    LENGTH,
    MAX_OCCURRENCES,
    MIN_SEED,
    REPEAT_BASES,
    SEEDS,
)  # fmt: skip
from gpugenome.kernels.chained_reads_cpu import count_seeds, store_chains
from gpugenome.kernels.chaining_cpu import add_seed, filter_chains, in_order, occurrences, repetitive_bases, seed_contig, start_tree
from gpugenome.kernels.introsort_cpu import WAITING
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.seeding_cpu import row_place, seed_intervals

INTERVALS, ALL_SEEDS, REPETITIVE, FOUND_ROWS = range(4)
"""What is found of reads, int64[FOUND_ROWS, n]: intervals (-1: they or the read do not fit), their seeds, bases under repetitive ones."""
TABLES = 3
"""Rows of int64 scratch for sorting chains, beside their order."""
_SIZE_BITS, _PLACE_BITS = 20, 36  # of a seed's length; of a place on the doubled text
CHAINS_MISSING = -1
"""Instead of a number of chains: the read's are for the CPU to find."""


@cuda.jit(device=True)
def pack_letters(data, at, length, forward, reverse, limit):
    """`encode_read` and `pack_read` of a read and its reverse complement in one pass from its end, without codes in between."""
    packed, turned = np.uint64(0), np.uint64(0)
    stop = length
    for i in range(length - 1, -1, -1):
        letter = np.int64(data[at + i]) & 0xDF
        code = (letter >> 1) & 3  # A 0, C 1, T 2, G 3
        code ^= code >> 1
        if letter != 0x41 and letter != 0x43 and letter != 0x47 and letter != 0x54:
            stop, code = i, np.int64(0)
        limit[i] = stop
        place = i & 31
        packed |= np.uint64(code) << np.uint64(62 - 2 * place)
        if place == 0:
            forward[i >> 5] = packed
            packed = np.uint64(0)
        j = length - 1 - i
        turned |= np.uint64(3 - code) << np.uint64(62 - 2 * (j & 31))
        if j & 31 == 31 or i == 0:
            reverse[j >> 5] = turned
            turned = np.uint64(0)
    words = (length + 31) >> 5
    for w in range(words, words + 2):
        forward[w] = np.uint64(0)
        reverse[w] = np.uint64(0)


@kernel(blocks_per_sm=5)
def find_intervals(begin, end, data, seq_start, seq_length, words, sa, first, unique, opt, forward, reverse, limit, intervals, found):
    """Match intervals of reads begin..end and what is `found` of each. Thread: a read.

    data, seq_start, seq_length, words, sa, first, unique, opt: as in chained_reads_cpu. Neighbouring reads lie side by side in
    scratch: forward, reverse: uint64[longest // 32 + 4, n], limit: int32[longest + 1, n]; and in intervals: int64[k, 4, n].
    """
    i = begin + cuda.grid(1)
    if i >= end:
        return
    length = np.int64(seq_length[i])
    count, seeds, repetitive = np.int64(0), np.int64(0), np.int64(0)
    if length >= limit.shape[0]:
        count = np.int64(-1)
    elif length >= opt[MIN_SEED]:
        mine = intervals[:, :, i]
        pack_letters(data, seq_start[i], length, forward[:, i], reverse[:, i], limit[:, i])
        count = np.int64(seed_intervals(words, sa, first, unique, opt, forward[:, i], reverse[:, i], limit[:, i], length, mine))
        if count > intervals.shape[0]:
            count = np.int64(-1)
        else:
            for k in range(count):
                seeds += occurrences(mine[k, 3], opt[MAX_OCCURRENCES])[1]
            repetitive = repetitive_bases(mine, count, opt)
    found[INTERVALS, i], found[ALL_SEEDS, i], found[REPETITIVE, i] = count, seeds, repetitive


@kernel(block=256)
def list_seeds(begin, end, intervals, found, opt, first_read, slot, work):
    """The work list of `look_up`: row (or -1 - place) << 20 | length for each seed, -1 in slots that are left over. Thread: a read.

    Items are reads first_read + begin .. first_read + end; read i's slots of work (int64) are slot[i] - slot[first_read] up to
    slot[i + 1] - slot[first_read] (int64[n + 1], multiples of 4); none for reads that are left out.
    """
    i = first_read + begin + cuda.grid(1)
    if i >= first_read + end:
        return
    at, stop = slot[i] - slot[first_read], slot[i + 1] - slot[first_read]
    if at == stop:
        return
    for k in range(found[INTERVALS, i]):
        size = intervals[k, 1, i] - intervals[k, 0, i]
        step, times = occurrences(intervals[k, 3, i], opt[MAX_OCCURRENCES])
        row = intervals[k, 2, i]
        for _ in range(times):
            work[at] = row << _SIZE_BITS | size
            row += step
            at += 1
    for j in range(at, stop):
        work[j] = np.int64(-1)


@kernel(block=256)
def look_up(begin, end, sa, offsets, opt, work):
    """Replace the entries of the work list by contig << 36 | place on the doubled text, -1 for what is no seed. Thread: a seed."""
    j = begin + cuda.grid(1)
    if j >= end:
        return
    word = work[j]
    if word == -1:
        return
    row = word >> _SIZE_BITS
    r = row_place(sa, row) if row >= 0 else -1 - row
    contig = seed_contig(offsets, opt[LENGTH], r, word & ((1 << _SIZE_BITS) - 1))
    work[j] = contig << _PLACE_BITS | r if contig >= 0 else np.int64(-1)


@kernel(blocks_per_sm=4)
def make_chains(
    begin, end, intervals, found, alt, opt, ratios, first_read, slot, work, seeds, chains, tree, order, tables, chained,
):  # fmt: skip
    """Chains of reads first_read + begin .. first_read + end, filtered. Thread: a read.

    chained: int32[n, CHAINED_COLUMNS] of all reads, CHAINS_MISSING for those without slots although they have seeds. A read's rows of
    seeds (int64[s, SEED_COLUMNS]), chains (int64[s, CHAIN_COLUMNS]), order (int64[s]: the chains that are kept, best first) and
    tables (int64[TABLES, s], scratch) are its slots; those of tree (int64[s / 4, NODE_COLUMNS]) a quarter: a node but the root has 4 keys.
    """
    i = first_read + begin + cuda.grid(1)
    if i >= first_read + end:
        return
    at, stop = slot[i] - slot[first_read], slot[i + 1] - slot[first_read]
    chained[i, CHAINS], chained[i, SEEDS], chained[i, REPEAT_BASES] = 0, 0, 0
    if at == stop:
        if found[INTERVALS, i] != 0:
            chained[i, CHAINS] = CHAINS_MISSING
        return
    my_seeds, my_chains, my_tree, my_order = seeds[at:stop], chains[at:stop], tree[at >> 2 : stop >> 2], order[at:stop]
    waiting = cuda.local.array((WAITING, 3), numba.int64)
    root, nodes = start_tree(my_tree)
    used, n = np.int64(0), np.int64(0)
    place_mask = (np.int64(1) << _PLACE_BITS) - 1
    j = at
    for k in range(found[INTERVALS, i]):
        q = intervals[k, 0, i]
        size = intervals[k, 1, i] - q
        for _ in range(occurrences(intervals[k, 3, i], opt[MAX_OCCURRENCES])[1]):
            word = work[j]
            j += 1
            if word < 0:
                continue
            contig = word >> _PLACE_BITS
            used, n, root, nodes = add_seed(
                word & place_mask, q, size, contig, alt[contig], opt, my_seeds, used, my_chains, n, my_tree, root, nodes
            )
    n = np.int64(in_order(my_tree, root, my_order, waiting))
    n = np.int64(
        filter_chains(
            my_seeds, my_chains, my_order, n, opt, ratios, tables[0, at:stop], tables[1, at:stop], tables[2, at:stop], waiting
        )
    )
    chained[i, CHAINS], chained[i, SEEDS] = n, count_seeds(my_chains, my_order, n)
    chained[i, REPEAT_BASES] = found[REPETITIVE, i]


@kernel(block=256)
def store_kept(begin, end, first_read, slot, seeds, chains, order, chained, chain_offset, seed_offset, kept, kept_seeds):
    """Write the chains of reads first_read + begin .. first_read + end to the tables of kept ones. Thread: a read.

    chain_offset, seed_offset: int64[end - begin + 1], each of these reads' first rows of kept and kept_seeds.
    """
    i = first_read + begin + cuda.grid(1)
    if i >= first_read + end:
        return
    at, stop = slot[i] - slot[first_read], slot[i + 1] - slot[first_read]
    if chained[i, CHAINS] > 0:
        store_chains(
            seeds[at:stop], chains[at:stop], order[at:stop], np.int64(chained[i, CHAINS]), kept, chain_offset[i - first_read], kept_seeds,
            seed_offset[i - first_read],
        )  # fmt: skip


_I8, _I8_2, _U8_2 = numba.i8[::1], numba.i8[:, ::1], numba.u8[:, ::1]
_INTERVALS = numba.i8[:, :, ::1]
SIGNATURES = {
    "find_intervals": [
        (numba.i8, numba.i8, numba.u1[::1], _I8, _I8, numba.u8[::1], row[::1], start[::1], numba.u1[::1], _I8, _U8_2, _U8_2,
         numba.i4[:, ::1], _INTERVALS, _I8_2)
        for row, start in ((numba.u4, numba.u4), (numba.u8, numba.i8))
    ],
    "list_seeds": (numba.i8, numba.i8, _INTERVALS, _I8_2, _I8, numba.i8, _I8, _I8),
    "look_up": [(numba.i8, numba.i8, row[::1], _I8, _I8, _I8) for row in (numba.u4, numba.u8)],
    "make_chains": (numba.i8, numba.i8, _INTERVALS, _I8_2, numba.boolean[::1], _I8, numba.f4[::1], numba.i8, _I8, _I8, _I8_2, _I8_2, _I8_2,
                    _I8, _I8_2, numba.i4[:, ::1]),
    "store_kept": (numba.i8, numba.i8, numba.i8, _I8, _I8_2, _I8_2, _I8, numba.i4[:, ::1], _I8, _I8, numba.i4[:, ::1], _I8_2),
}  # fmt: skip
