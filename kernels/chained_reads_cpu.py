"""Reads to chains: seeds of the reads (`seeding_cpu`), their places on the text, and the chains that are worth extending (`chaining_cpu`).

Source: specification chapter "bwa_mem", sections 3 to 5.
"""

import numpy as np

from gpugenome.kernels.aligner_fields import (
    CHAIN_COLUMNS,
    CHAINED_COLUMNS,
    CHAINS,
    CONTIG,
    COUNT,
    FIRST,
    KEPT_COLUMNS,
    KEPT_CONTIG,
    KEPT_SEEDS,
    LEN,
    MIN_SEED,
    NEXT,
    QBEG,
    RBEG,
    REPEAT_BASES,
    SEED_COLUMNS,
    SEEDS,
)  # fmt: skip
from gpugenome.kernels.chaining_cpu import NODE_COLUMNS, build_chains, filter_chains, repetitive_bases
from gpugenome.kernels.introsort_cpu import WAITING
from gpugenome.kernels.launch import jit
from gpugenome.kernels.seeding_cpu import LOOKED_AHEAD, ask_ahead, encode_read, pack_read, seed_intervals


@jit
def with_room(table, used, more):
    """A table, or a larger one with the same first `used` rows that takes `more`."""
    if used + more <= table.shape[0]:
        return table
    larger = np.empty((2 * (used + more), table.shape[1]), table.dtype)
    larger[:used] = table[:used]
    return larger


@jit
def count_seeds(chains, order, n):
    """Number of seeds of the chains order[:n]."""
    total = np.int64(0)
    for c in range(n):
        total += chains[order[c], COUNT]
    return total


@jit
def store_chains(seeds, chains, order, n, kept, at, kept_seeds, seed_at):
    """Write the chains order[:n] to the tables of kept ones from rows `at` and `seed_at` on."""
    for c in range(n):
        chain = order[c]
        kept[at + c, KEPT_CONTIG], kept[at + c, KEPT_SEEDS] = chains[chain, CONTIG], chains[chain, COUNT]
        s = chains[chain, FIRST]
        while s >= 0:
            kept_seeds[seed_at, RBEG], kept_seeds[seed_at, QBEG], kept_seeds[seed_at, LEN] = seeds[s, RBEG], seeds[s, QBEG], seeds[s, LEN]
            seed_at += 1
            s = seeds[s, NEXT]


@jit
def chain_reads(begin, end, data, seq_start, seq_length, words, sa, first, unique, offsets, alt, opt, ratios, chained):
    """Chains of reads begin..end: chained[i] (int32[CHAINED_COLUMNS]) and the tables of chains and seeds, see `aligner_fields`.

    data, seq_start, seq_length: the reads as in `FastqBatch`. words, sa, first, unique, offsets: as in `SearchIndex`. alt: bool[contigs].
    opt: int64[OPTIONS], ratios: float32[RATIOS]. Returns (kept, kept_seeds).
    """
    longest = 1
    for i in range(begin, end):
        longest = max(longest, seq_length[i])
    kept, kept_seeds = np.empty((2 * (end - begin) + 16, KEPT_COLUMNS), np.int32), np.empty((3 * (end - begin) + 16, 3), np.int64)
    codes = np.empty((3, longest), np.uint8)
    forward, reverse = np.empty(longest // 32 + 4, np.uint64), np.empty(longest // 32 + 4, np.uint64)
    limit = np.empty(longest + 1, np.int32)
    intervals = np.empty((256, 4), np.int64)
    seeds = np.empty((1024, SEED_COLUMNS), np.int64)
    chains = np.empty((256, CHAIN_COLUMNS), np.int64)
    tree = np.empty((128, NODE_COLUMNS), np.int64)
    order, waiting = np.empty(256, np.int64), np.empty((WAITING, 3), np.int64)
    scratch, places = np.empty((3, 256), np.int64), np.zeros(LOOKED_AHEAD, np.int64)
    used, seeds_used = 0, np.int64(0)
    for i in range(begin, end):
        ask_ahead(i, end, data, seq_start, seq_length, words, sa, first, unique, opt, places)
        length = seq_length[i]
        for c in range(CHAINED_COLUMNS):
            chained[i, c] = 0
        if length < opt[MIN_SEED]:
            continue
        encode_read(data, seq_start[i], length, codes[0], codes[1], codes[2])
        pack_read(codes[2], length, reverse, limit)
        pack_read(codes[0], length, forward, limit)
        k = seed_intervals(words, sa, first, unique, opt, forward, reverse, limit, length, intervals)
        while k > intervals.shape[0]:
            intervals = np.empty((2 * k, 4), np.int64)
            k = seed_intervals(words, sa, first, unique, opt, forward, reverse, limit, length, intervals)
        n, seeds, chains, tree, order = build_chains(intervals, k, sa, offsets, alt, opt, seeds, chains, tree, order, waiting)
        if scratch.shape[1] < chains.shape[0]:
            scratch = np.empty((3, chains.shape[0]), np.int64)
        n = filter_chains(seeds, chains, order, n, opt, ratios, scratch[0], scratch[1], scratch[2], waiting)
        m = count_seeds(chains, order, n)
        chained[i, CHAINS], chained[i, SEEDS], chained[i, REPEAT_BASES] = n, m, repetitive_bases(intervals, k, opt)
        kept, kept_seeds = with_room(kept, used, n), with_room(kept_seeds, seeds_used, m)
        store_chains(seeds, chains, order, n, kept, used, kept_seeds, seeds_used)
        used += n
        seeds_used += m
    return kept[:used], kept_seeds[:seeds_used]
