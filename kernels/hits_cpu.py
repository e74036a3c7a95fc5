"""Hits of reads: seeds, chains, and extension of the chains to alignments.

A hit is a row of int64[n, HIT_COLUMNS] (`aligner_fields`); its positions are on the doubled text.
Source: specification chapter "bwa_mem", section 6.
"""

import numpy as np

from gpugenome.kernels.aligner_fields import (
    ALT,
    BAND,
    CHAIN_COLUMNS,
    CLIP_FIVE,
    CLIP_THREE,
    CONTIG,
    COUNT,
    EXTEND_DELETION,
    EXTEND_INSERTION,
    FIRST,
    HIT_COLUMNS,
    LEN,
    LENGTH,
    MATCH,
    MIN_CHAIN_WEIGHT,
    MIN_SEED,
    NEXT,
    OPEN_DELETION,
    OPEN_INSERTION,
    QB,
    QBEG,
    QE,
    RB,
    RBEG,
    RE,
    REPEATS,
    RID,
    SCORE,
    SEED_COLUMNS,
    SEED_LENGTH,
    SEED_SCORE,
    TRUE_SCORE,
    WIDTH,
    ZDROP,
)  # fmt: skip
from gpugenome.kernels.chaining_cpu import NODE_COLUMNS, build_chains, filter_chains, grown, repetitive_bases
from gpugenome.kernels.extension_cpu import extend, local_align
from gpugenome.kernels.hit_lists_cpu import clamp, remove_repeats, unpack
from gpugenome.kernels.introsort_cpu import introsort
from gpugenome.kernels.launch import jit
from gpugenome.kernels.seeding_cpu import pack_read, seed_intervals

CODE = np.full(256, 4, np.uint8)
for _i, _c in enumerate(b"ACGT"):
    CODE[_c] = CODE[_c + 32] = _i
_TRIES = 2  # bands that an extension tries, each twice as wide
_SEED_MARGIN, _SEED_WINDOW, _SEED_COEFFICIENT, _SEED_SHARE = 50, 200, np.float32(5.5), np.float32(0.05)


@jit
def gap_reach(n, opt):
    """Bases that n matches can pay a gap for, within twice the band."""
    deletion = np.int64(np.float64(n * opt[MATCH] - opt[OPEN_DELETION]) / opt[EXTEND_DELETION] + 1.0)
    insertion = np.int64(np.float64(n * opt[MATCH] - opt[OPEN_INSERTION]) / opt[EXTEND_INSERTION] + 1.0)
    return min(max(deletion, insertion, 1), 2 * opt[BAND])


@jit
def _extend_side(query, text, n, rows, opt, bonus, start, before, profile, h, e, result):
    """`extend` with the band, and with twice the band where the first reached far off the diagonal. Returns the last band tried."""
    band = opt[BAND]
    for i in range(_TRIES):
        band = opt[BAND] << i
        extend(query, text, n, rows, opt, band, bonus, opt[ZDROP], start, profile, h, e, result)
        if result[0] == before or result[5] < (band >> 1) + (band >> 2):
            break
        before = result[0]
    return band


@jit
def _is_near(qd, rd, width, opt):
    return abs(qd - rd) < min(gap_reach(min(qd, rd), opt), width)


@jit
def _contained(hits, n, r, q, size, length, opt):
    """Whether a seed lies within a hit and near the path of its alignment."""
    for i in range(n):
        if r < hits[i, RB] or r + size > hits[i, RE] or q < hits[i, QB] or q + size > hits[i, QE]:
            continue
        if size - hits[i, SEED_LENGTH] > 0.1 * length:
            continue
        if _is_near(q - hits[i, QB], r - hits[i, RB], hits[i, WIDTH], opt):
            return True
        if _is_near(hits[i, QE] - q - size, hits[i, RE] - r - size, hits[i, WIDTH], opt):
            return True
    return False


@jit
def _conflicts(seeds, taken, order, k, count):
    """Whether a longer seed of the chain that was extended (taken) overlaps order[k] on another diagonal."""
    s = order[k]
    q, r, size = seeds[s, QBEG], seeds[s, RBEG], seeds[s, LEN]
    for i in range(k + 1, count):
        t = order[i]
        if not taken[i] or seeds[t, LEN] < size * 0.95:
            continue
        tq, tr, tsize = seeds[t, QBEG], seeds[t, RBEG], seeds[t, LEN]
        if q <= tq and q + size - tq >= size >> 2 and tq - q != tr - r:
            return True
        if tq <= q and tq + tsize - q >= size >> 2 and q - tq != r - tr:
            return True
    return False


@jit
def chain_window(seeds, first, offsets, lengths, length, opt):
    """(begin, end) of the text that a chain's seeds may be extended over."""
    total = 2 * opt[LENGTH]
    lo, hi = total, np.int64(0)
    s = first
    while s >= 0:
        q, r, size = seeds[s, QBEG], seeds[s, RBEG], seeds[s, LEN]
        tail = length - q - size
        lo = min(lo, r - (q + gap_reach(q, opt)))
        hi = max(hi, r + size + tail + gap_reach(tail, opt))
        s = seeds[s, NEXT]
    lo, hi = max(lo, 0), min(hi, total)
    r = seeds[first, RBEG]
    if lo < opt[LENGTH] < hi:
        if r < opt[LENGTH]:
            hi = opt[LENGTH]
        else:
            lo = opt[LENGTH]
    lo, hi, _ = clamp(offsets, lengths, opt[LENGTH], lo, r, hi)
    return lo, hi


@jit
def _extend_seed(words, query, backward, length, lo, hi, seed, opt, hit, text, profile, h, e, result):
    """Extend a seed to both sides; the hit's spans, scores and band are set. seed: its row. backward: the read reversed."""
    q, r, size = seed[QBEG], seed[RBEG], seed[LEN]
    left_band, right_band = opt[BAND], opt[BAND]
    if q > 0:
        unpack(words, lo, r, text, True)
        part = backward[length - q :]
        left_band = _extend_side(part, text, q, r - lo, opt, opt[CLIP_FIVE], size * opt[MATCH], -1, profile, h, e, result)
        score = result[0]
        if result[4] <= 0 or result[4] <= score - opt[CLIP_FIVE]:
            hit[QB], hit[RB], hit[TRUE_SCORE] = q - result[1], r - result[2], score
        else:
            hit[QB], hit[RB], hit[TRUE_SCORE] = 0, r - result[3], result[4]
    else:
        score = size * opt[MATCH]
        hit[QB], hit[RB], hit[TRUE_SCORE] = 0, r, score
    q_end, r_end = q + size, r + size
    if q_end < length:
        before = score
        unpack(words, r_end, hi, text, False)
        part = query[q_end:]
        right_band = _extend_side(
            part, text, length - q_end, hi - r_end, opt, opt[CLIP_THREE], before, before, profile, h, e, result
        )  # fmt: skip
        score = result[0]
        if result[4] <= 0 or result[4] <= score - opt[CLIP_THREE]:
            hit[QE], hit[RE] = q_end + result[1], r_end + result[2]
            hit[TRUE_SCORE] += score - before
        else:
            hit[QE], hit[RE] = length, r_end + result[3]
            hit[TRUE_SCORE] += result[4] - before
    else:
        hit[QE], hit[RE] = length, r_end
    hit[SCORE] = score
    hit[WIDTH] = max(left_band, right_band)
    hit[SEED_LENGTH] = size


@jit
def extend_chain(
    words, query, backward, length, lo, hi, opt, seeds, chain, repeats, hits, n, order, major, minor, taken, text, profile, h, e, result,
):  # fmt: skip
    """Extend the seeds of a chain (its row) that no hit has yet, best first, over the text lo..hi; hits[n:] get what comes of it.

    Scratch as long as the chain: order, major, minor, taken (int64). Returns the number of hits.
    """
    count = 0
    s = chain[FIRST]
    while s >= 0:
        order[count] = s
        count += 1
        s = seeds[s, NEXT]
    for k in range(count):  # seeds in the chain's order are in the table's order
        major[k], minor[k] = seeds[order[k], SEED_SCORE], order[k]
        taken[k] = k
    introsort(taken, count, major, minor)
    for k in range(count):
        minor[k] = order[taken[k]]
    for k in range(count):
        order[k] = minor[k]
        taken[k] = 1
    for k in range(count - 1, -1, -1):
        s = order[k]
        contained = _contained(hits, n, seeds[s, RBEG], seeds[s, QBEG], seeds[s, LEN], length, opt)
        if contained and not _conflicts(seeds, taken, order, k, count):
            taken[k] = 0
            continue
        hit = hits[n]
        hit[:] = 0
        _extend_seed(words, query, backward, length, lo, hi, seeds[s], opt, hit, text, profile, h, e, result)
        hit[RID], hit[REPEATS] = chain[CONTIG], repeats
        n += 1
    return n


@jit
def _seed_score(words, offsets, lengths, query, length, seed, opt, part, text, profile, h, e, kept, peaks, result):
    """Local score of a seed's surroundings, -1 where they are long enough not to be looked at."""
    if seed[LEN] >= _SEED_WINDOW:
        return np.int64(-1)
    half = opt[LENGTH]
    middle = (2 * seed[RBEG] + seed[LEN]) >> 1
    qb, qe = max(seed[QBEG] - _SEED_MARGIN, 0), min(seed[QBEG] + seed[LEN] + _SEED_MARGIN, length)
    rb, re = max(seed[RBEG] - _SEED_MARGIN, 0), min(seed[RBEG] + seed[LEN] + _SEED_MARGIN, 2 * half)
    if rb < half < re:
        if middle < half:
            re = half
        else:
            rb = half
    if qe - qb >= _SEED_WINDOW or re - rb >= _SEED_WINDOW:
        return np.int64(-1)
    rb, re, _ = clamp(offsets, lengths, half, rb, middle, re)
    unpack(words, rb, re, text, False)
    part[: qe - qb] = query[qb:qe]
    local_align(part, text, qe - qb, re - rb, opt, False, 1 << 30, False, profile, h, e, kept, peaks, result)
    return result[0]


@jit
def filter_seeds(words, offsets, lengths, query, length, opt, seeds, chain, part, text, profile, h, e, kept, peaks, result):
    """Of reads long enough that chance seeds matter: drop a chain's seeds (its row) whose surroundings do not align well."""
    if opt[MIN_CHAIN_WEIGHT] > 0:
        least = np.float64(np.float32(1.1) * np.float32(opt[MIN_CHAIN_WEIGHT]))
    else:
        least = _SEED_COEFFICIENT * np.log(np.float64(length))
    if length == 0 or least > np.float64(_SEED_SHARE * np.float32(length)):
        return
    smallest = np.int64(opt[MATCH] * least + 0.499)
    last, count = np.int64(-1), 0
    s = chain[FIRST]
    while s >= 0:
        following = seeds[s, NEXT]
        score = _seed_score(words, offsets, lengths, query, length, seeds[s], opt, part, text, profile, h, e, kept, peaks, result)
        if score < 0 or score >= smallest:
            seeds[s, SEED_SCORE] = seeds[s, LEN] * opt[MATCH] if score < 0 else score
            if last < 0:
                chain[FIRST] = s
            else:
                seeds[last, NEXT] = s
            last = s
            count += 1
        s = following
    if last < 0:
        chain[FIRST] = -1
    else:
        seeds[last, NEXT] = -1
    chain[COUNT] = count


@jit
def encode_read(data, at, length, query, backward, reverse):
    """Codes of a read (ASCII) into query, backward (the same from its end) and reverse (complemented too)."""
    for i in range(length):
        c = CODE[data[at + i]]
        query[i] = c
        backward[length - 1 - i] = c
        reverse[length - 1 - i] = 3 - c if c < 4 else c


@jit
def align_reads(begin, end, data, seq_start, seq_length, words, sa, first, offsets, lengths, alt, opt, ratios, count):
    """The hits of reads begin..end on their own: int64[n, HIT_COLUMNS]; count[i] (int32) gets their number for each read.

    data, seq_start, seq_length: the reads as in `FastqBatch`. words, sa, first, offsets, lengths: as in `SearchIndex`.
    alt: bool[contigs]. opt: int64[OPTIONS], ratios: float32[RATIOS].
    """
    longest = 1
    for i in range(begin, end):
        longest = max(longest, seq_length[i])
    out, used = np.empty((2 * (end - begin) + 16, HIT_COLUMNS), np.int64), 0
    codes = np.empty((5, longest + 16), np.uint8)
    query, backward, reverse, part = codes[0], codes[1], codes[2], codes[3]
    packed = np.empty((2, longest // 32 + 4), np.uint64)
    limit = np.empty((2, longest + 1), np.int32)
    profile = np.empty((4, longest + 16), np.int32)
    rows = np.empty((3, longest + 32), np.int32)
    intervals = np.empty((256, 4), np.int64)
    seeds = np.empty((1024, SEED_COLUMNS), np.int64)
    chains = np.empty((256, CHAIN_COLUMNS), np.int64)
    tree = np.empty((128, NODE_COLUMNS), np.int64)
    order = np.empty(256, np.int64)
    scratch = np.empty((4, 1024), np.int64)
    hits, spare = np.empty((256, HIT_COLUMNS), np.int64), np.empty((256, HIT_COLUMNS), np.int64)
    text, back = np.empty(4 * longest + 1024, np.uint8), np.empty(1 << 16, np.uint8)
    peaks = np.empty((2 * _SEED_WINDOW, 2), np.int64)
    result = np.empty(6, np.int64)
    for i in range(begin, end):
        length = seq_length[i]
        count[i] = 0
        if length < opt[MIN_SEED]:
            continue
        encode_read(data, seq_start[i], length, query, backward, reverse)
        pack_read(reverse, length, packed[1], limit[1])
        pack_read(query, length, packed[0], limit[0])
        intervals, k = seed_intervals(words, sa, first, opt, packed[0], packed[1], limit[0], length, intervals)
        repeats = repetitive_bases(intervals, k, opt)
        n, seeds, chains, tree, order = build_chains(intervals, k, sa, offsets, alt, opt, seeds, chains, tree, order)
        if scratch.shape[1] < max(seeds.shape[0], chains.shape[0]):
            scratch = np.empty((4, max(seeds.shape[0], chains.shape[0])), np.int64)
        n = filter_chains(seeds, chains, order, n, opt, ratios, scratch[0], scratch[1], scratch[2])
        m = 0
        for c in range(n):
            chain = chains[order[c]]
            filter_seeds(
                words, offsets, lengths, query, length, opt, seeds, chain, part, text, profile, rows[0], rows[1], rows[2], peaks, result
            )  # fmt: skip
            if chain[FIRST] < 0:
                continue
            lo, hi = chain_window(seeds, chain[FIRST], offsets, lengths, length, opt)
            if hi - lo > text.size:
                text = np.empty(2 * (hi - lo), np.uint8)
            while m + chain[COUNT] > hits.shape[0]:
                hits, spare = grown(hits, HIT_COLUMNS), grown(spare, HIT_COLUMNS)
            m = extend_chain(
                words, query, backward, length, lo, hi, opt, seeds, chain, repeats, hits, m, scratch[0], scratch[1], scratch[2], scratch[3],
                text, profile, rows[0], rows[1], result,
            )  # fmt: skip
        if m > scratch.shape[1]:
            scratch = np.empty((4, m), np.int64)
        m, back = remove_repeats(
            words, query, True, opt, ratios, hits, m, spare, scratch[0], scratch[1], scratch[2], part, text, profile, rows[0], rows[1], back
        )  # fmt: skip
        if used + m > out.shape[0]:
            more = np.empty((2 * (used + m), HIT_COLUMNS), np.int64)
            more[:used] = out[:used]
            out = more
        for k in range(m):
            hits[k, ALT] = alt[hits[k, RID]]
            out[used + k] = hits[k]
        used += m
        count[i] = m
    return out[:used]
