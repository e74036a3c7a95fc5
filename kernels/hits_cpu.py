"""Hits of reads: extension of their chains (`chained_reads_cpu`) to alignments.

A hit is a row of int64[n, HIT_COLUMNS] (`aligner_fields`); its positions are on the doubled text.
Source: specification chapter "bwa_mem", section 6.
"""

import numpy as np

from gpugenome.kernels.aligner_fields import (
    ALT,
    BAND,
    CHAIN_COLUMNS,
    CHAINS,
    CLIP_FIVE,
    CLIP_THREE,
    CONTIG,
    COUNT,
    EXTEND_DELETION,
    EXTEND_INSERTION,
    FIRST,
    HIT_COLUMNS,
    KEPT_CONTIG,
    KEPT_SEEDS,
    LEN,
    LENGTH,
    MATCH,
    MIN_CHAIN_WEIGHT,
    MISMATCH,
    NEXT,
    OPEN_DELETION,
    OPEN_INSERTION,
    QB,
    QBEG,
    QE,
    RB,
    RBEG,
    RE,
    REPEAT_BASES,
    REPEATS,
    RID,
    SCORE,
    SEED_COLUMNS,
    SEED_LENGTH,
    SEED_SCORE,
    SEEDS,
    TRUE_SCORE,
    WIDTH,
    ZDROP,
)  # fmt: skip
from gpugenome.kernels.bits import leading_zeros
from gpugenome.kernels.chaining_cpu import grown
from gpugenome.kernels.extension_cpu import band_limit, extend, local_align
from gpugenome.kernels.extension_scalar import T_BAND, T_BONUS, T_ROWS, T_SIZE, T_START, T_STEP, T_TEXT
from gpugenome.kernels.hit_lists_cpu import clamp, remove_repeats, unpack
from gpugenome.kernels.introsort_cpu import introsort
from gpugenome.kernels.launch import jit
from gpugenome.kernels.replay_cpu import ASKED, UNKNOWN, new_memo, new_requests, recall, request, start_replay
from gpugenome.kernels.seeding_cpu import encode_read, pack_read, window

_LONGEST_GAP = 16  # that is looked for; the packed text has as much behind it
_TRIES = 2  # bands that an extension tries, each twice as wide
_SEED_MARGIN, _SEED_WINDOW, _SEED_COEFFICIENT, _SEED_SHARE = 50, 200, np.float32(5.5), np.float32(0.05)


@jit
def gap_reach(n, opt):
    """Bases that n matches can pay a gap for, within twice the band."""
    deletion = np.int64(np.float64(n * opt[MATCH] - opt[OPEN_DELETION]) / opt[EXTEND_DELETION] + 1.0)
    insertion = np.int64(np.float64(n * opt[MATCH] - opt[OPEN_INSERTION]) / opt[EXTEND_INSERTION] + 1.0)
    return min(max(deletion, insertion, 1), 2 * opt[BAND])


@jit
def _extend_side(words, query, n, begin, end, step, opt, bonus, start, before, memo, text, profile, h, e, result):
    """`extend` with the band, and with twice the band where the first reached far off the diagonal. Returns the last band tried.

    query: n codes. begin, end: span of the text; step -1: from its end on. memo: `replay_cpu`; -1 is returned where it has a new task.
    """
    band, unpacked = opt[BAND], False
    for i in range(_TRIES):
        band = opt[BAND] << i
        known = recall(memo, result)
        if known == ASKED:
            task = memo[2]
            task[T_SIZE], task[T_STEP], task[T_ROWS], task[T_START], task[T_BONUS] = n, step, end - begin, start, bonus
            task[T_TEXT], task[T_BAND] = begin if step > 0 else end - 1, band_limit(n, opt, band, bonus)
            return np.int64(-1)
        if known == UNKNOWN:
            if not unpacked:
                unpack(words, begin, end, text, step < 0)
                unpacked = True
            extend(query, text, n, end - begin, opt, band, bonus, opt[ZDROP], start, profile, h, e, result)
        if result[0] == before or result[5] < (band >> 1) + (band >> 2):
            break
        before = result[0]
    return band


@jit
def _same_bases(words, p, read, b, n):
    """Whether bases p.. of the text and b.. of the packed read, n of both, are the same."""
    at = 0
    while at < n:
        x = window(words, p + at) ^ window(read, b + at)
        if n - at < 32:
            x >>= np.uint64(64 - 2 * (n - at))
        if x != 0:
            return False
        at += 32
    return True


@jit
def _mismatches(words, p, read, b, n, places):
    """Find where bases p.. of the text and b.. of the packed read, n of both, differ: places, as many as it holds.

    Returns their number, or one more than places holds.
    """
    count, at = 0, 0
    while at < n:
        x = window(words, p + at) ^ window(read, b + at)
        if n - at < 32:
            x &= ~np.uint64(0) << np.uint64(64 - 2 * (n - at))
        while x != 0:
            if count == places.size:
                return count + 1
            k = leading_zeros(x) >> 1
            places[count] = at + k
            count += 1
            x &= ~(np.uint64(3) << np.uint64(62 - 2 * k))
        at += 32
    return count


@jit
def _gap_may_win(words, p, packed, b, n, from_end, opt, d1, d2):
    """Whether a path with a gap may be as good as the diagonal with mismatches at d1 and d2 (distances from where it begins).

    It has one gap, no mismatch, and left the diagonal at d1 or before. So beyond d1 it matches on another diagonal: up to d2, where
    the diagonal first is no better than it in a row of the matrix, or, if it is shorter in the query, to the query's end.
    """
    cost = 2 * (opt[MATCH] + opt[MISMATCH])
    gap = 1
    while True:
        deletion = opt[OPEN_DELETION] + gap * opt[EXTEND_DELETION]
        insertion = opt[OPEN_INSERTION] + gap * opt[EXTEND_INSERTION]
        if deletion > cost and insertion > cost:
            return False
        if gap > _LONGEST_GAP:
            return True
        if deletion <= cost:
            m = d2 - gap - d1 + 1 if deletion + gap * opt[MATCH] <= cost else n - d1
            q, t = (b + n - d1 - m, p + n - d1 - m - gap) if from_end else (b + d1, p + d1 + gap)
            if m <= 0 or _same_bases(words, t, packed, q, m):
                return True
        if insertion <= cost:
            m = min(d2, n - 1 - gap) - d1 + 1
            q, t = (b + n - d1 - m - gap, p + n - d1 - m) if from_end else (b + d1 + gap, p + d1)
            if m <= 0 or _same_bases(words, t, packed, q, m):
                return True
        gap += 1


@jit
def _diagonal_score(words, p, packed, b, n, from_end, opt, start, places, result):
    """The result of `extend` where no path with a gap can matter: bases p.. of the text and b.. of the packed read, n of both, differ
    in two places at most, and a mismatch costs less than a gap does.

    from_end: the extension goes from the ends of both to their beginnings. Returns False where that is not so.
    """
    cost = opt[MATCH] + opt[MISMATCH]
    gap = min(opt[OPEN_DELETION] + opt[EXTEND_DELETION], opt[OPEN_INSERTION] + opt[EXTEND_INSERTION])
    count = _mismatches(words, p, packed, b, n, places)
    if count > places.size or cost >= gap or count * cost >= start or 0 < opt[ZDROP] < count * cost:
        return False
    if from_end:
        for i in range(count):
            places[i] = n - 1 - places[i]
        if count == 2:
            places[0], places[1] = places[1], places[0]
    if count == 2 and _gap_may_win(words, p, packed, b, n, from_end, opt, places[0], places[1]):
        return False
    score, best, best_at, before = start, start, np.int64(0), np.int64(0)
    for i in range(count):
        d = places[i]
        score += (d - before) * opt[MATCH]
        if score > best:
            best, best_at = score, d
        score -= opt[MISMATCH]
        before = d + 1
    score += (n - before) * opt[MATCH]
    if score > best:
        best, best_at = score, n
    result[0], result[1], result[2], result[3], result[4], result[5] = best, best_at, best_at, n, score, 0
    return True


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
def _extend_seed(
    words, query, backward, packed, limit, length, lo, hi, seeds, s, opt, hits, n, memo, text, profile, h, e, places, result
):  # fmt: skip
    """Extend a seed to both sides; spans, scores and band of hits[n] are set. Returns False where memo (`replay_cpu`) has a new task.

    backward: the read reversed. packed, limit: `pack_read`. places: int64[2], scratch.
    """
    q, r, size = seeds[s, QBEG], seeds[s, RBEG], seeds[s, LEN]
    left_band, right_band = opt[BAND], opt[BAND]
    if q > 0:
        start = size * opt[MATCH]
        if limit[0] < q or r - lo < q or not _diagonal_score(words, r - q, packed, 0, q, True, opt, start, places, result):
            part = backward[length - q :]
            left_band = _extend_side(
                words, part, q, lo, r, -1, opt, opt[CLIP_FIVE], start, -1, memo, text, profile, h, e, result
            )  # fmt: skip
            if left_band < 0:
                return False
        score = result[0]
        if result[4] <= 0 or result[4] <= score - opt[CLIP_FIVE]:
            hits[n, QB], hits[n, RB], hits[n, TRUE_SCORE] = q - result[1], r - result[2], score
        else:
            hits[n, QB], hits[n, RB], hits[n, TRUE_SCORE] = 0, r - result[3], result[4]
    else:
        score = size * opt[MATCH]
        hits[n, QB], hits[n, RB], hits[n, TRUE_SCORE] = 0, r, score
    q_end, r_end = q + size, r + size
    if q_end < length:
        before, rest = score, length - q_end
        if (
            limit[q_end] < length
            or hi - r_end < rest
            or not _diagonal_score(words, r_end, packed, q_end, rest, False, opt, before, places, result)
        ):
            part = query[q_end:]
            right_band = _extend_side(
                words, part, rest, r_end, hi, 1, opt, opt[CLIP_THREE], before, before, memo, text, profile, h, e, result
            )  # fmt: skip
            if right_band < 0:
                return False
        score = result[0]
        if result[4] <= 0 or result[4] <= score - opt[CLIP_THREE]:
            hits[n, QE], hits[n, RE] = q_end + result[1], r_end + result[2]
            hits[n, TRUE_SCORE] += score - before
        else:
            hits[n, QE], hits[n, RE] = length, r_end + result[3]
            hits[n, TRUE_SCORE] += result[4] - before
    else:
        hits[n, QE], hits[n, RE] = length, r_end
    hits[n, SCORE] = score
    hits[n, WIDTH] = max(left_band, right_band)
    hits[n, SEED_LENGTH] = size
    return True


@jit
def extend_chain(
    words, query, backward, packed, limit, length, lo, hi, opt, seeds, chain, repeats, hits, n, order, major, minor, taken, memo, text,
    profile, h, e, places, result,
):  # fmt: skip
    """Extend the seeds of a chain (its row) that no hit has yet, best first, over the text lo..hi; hits[n:] get what comes of it.

    Scratch as long as the chain: order, major, minor, taken (int64). Returns the number of hits, -1 where memo (`replay_cpu`) has a
    new task.
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
        for c in range(HIT_COLUMNS):
            hits[n, c] = 0
        if not _extend_seed(
            words, query, backward, packed, limit, length, lo, hi, seeds, s, opt, hits, n, memo, text, profile, h, e, places, result
        ):  # fmt: skip
            return -1
        hits[n, RID], hits[n, REPEATS] = chain[CONTIG], repeats
        n += 1
    return n


@jit
def _seed_score(words, offsets, lengths, query, length, seed, opt, part, text, peaks, result):
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
    local_align(part, text, qe - qb, re - rb, opt, False, 1 << 30, False, peaks, result)
    return result[0]


@jit
def filter_seeds(words, offsets, lengths, query, length, opt, seeds, chain, part, text, peaks, result):
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
        score = _seed_score(words, offsets, lengths, query, length, seeds[s], opt, part, text, peaks, result)
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
def _read_chain(kept, kept_seeds, c, s, seeds, chain):
    """Make seeds[:n] and a row of chains of chain c of the tables of kept ones, whose seeds begin at s. Returns n."""
    n = np.int64(kept[c, KEPT_SEEDS])
    for k in range(n):
        seeds[k, RBEG], seeds[k, QBEG], seeds[k, LEN] = kept_seeds[s + k, RBEG], kept_seeds[s + k, QBEG], kept_seeds[s + k, LEN]
        seeds[k, SEED_SCORE], seeds[k, NEXT] = kept_seeds[s + k, LEN], k + 1 if k + 1 < n else -1
    chain[CONTIG], chain[FIRST], chain[COUNT] = kept[c, KEPT_CONTIG], 0, n
    return n


@jit
def extend_reads(
    begin, end, which, data, seq_start, seq_length, words, offsets, lengths, alt, opt, ratios, chained, chain_offset, seed_offset, kept,
    kept_seeds, known, known_offset, asking, count,
):  # fmt: skip
    """The hits of reads which[begin:end] on their own.

    Returns (hits int64[n, HIT_COLUMNS], and what reads ask for: reads int64[t], tasks int64[t, TASK_COLUMNS], their queries uint8).
    count[i] (int32) gets the number of hits of read i. known, known_offset: results of the extensions of read i, from the first on
    (`replay_cpu`). asking: a read whose next extension is not known asks for it and has no hits; else it is made here.

    data, seq_start, seq_length: the reads as in `FastqBatch`. words, offsets, lengths: as in `SearchIndex`. alt: bool[contigs].
    opt: int64[OPTIONS], ratios: float32[RATIOS]. chained, kept, kept_seeds: the reads' chains (`aligner_fields`), those of read i from
    rows chain_offset[i] and seed_offset[i] (int64) on.
    """
    longest = 1
    for w in range(begin, end):
        longest = max(longest, seq_length[which[w]])
    out, used = np.empty((2 * (end - begin) + 16, HIT_COLUMNS), np.int64), 0
    codes = np.empty((5, longest + 16), np.uint8)
    query, backward, reverse, part = codes[0], codes[1], codes[2], codes[3]
    forward, forward_limit = np.empty(longest // 32 + 4, np.uint64), np.empty(longest + 1, np.int32)
    profile = np.empty((4, longest + 16), np.int32)
    rows = np.empty((2, longest + 32), np.int32)
    seeds, chain = np.empty((1024, SEED_COLUMNS), np.int64), np.empty(CHAIN_COLUMNS, np.int64)
    scratch = np.empty((4, 1024), np.int64)
    hits, spare = np.empty((256, HIT_COLUMNS), np.int64), np.empty((256, HIT_COLUMNS), np.int64)
    text, back = np.empty(4 * longest + 1024, np.uint8), np.empty(1 << 16, np.uint8)
    peaks = np.empty((2 * _SEED_WINDOW, 2), np.int64)
    result, places = np.empty(6, np.int64), np.empty(2, np.int64)
    memo = new_memo(known)
    items, tasks, asked_codes = new_requests(end - begin if asking else 0)
    asked, codes_used = np.int64(0), np.int64(0)
    for w in range(begin, end):
        i = which[w]
        length = seq_length[i]
        count[i] = 0
        start_replay(memo, known_offset[i], known_offset[i + 1], asking)
        if chained[i, CHAINS] == 0:
            continue
        encode_read(data, seq_start[i], length, query, backward, reverse)
        pack_read(query, length, forward, forward_limit)
        if chained[i, SEEDS] > seeds.shape[0]:
            seeds = np.empty((2 * chained[i, SEEDS], SEED_COLUMNS), np.int64)
            scratch = np.empty((4, seeds.shape[0]), np.int64)
        m, s = 0, seed_offset[i]
        for c in range(chain_offset[i], chain_offset[i] + chained[i, CHAINS]):
            s += _read_chain(kept, kept_seeds, c, s, seeds, chain)
            filter_seeds(words, offsets, lengths, query, length, opt, seeds, chain, part, text, peaks, result)
            if chain[FIRST] < 0:
                continue
            lo, hi = chain_window(seeds, chain[FIRST], offsets, lengths, length, opt)
            if hi - lo > text.size:
                text = np.empty(2 * (hi - lo), np.uint8)
            while m + chain[COUNT] > hits.shape[0]:
                hits, spare = grown(hits, HIT_COLUMNS), grown(spare, HIT_COLUMNS)
            m = extend_chain(
                words, query, backward, forward, forward_limit, length, lo, hi, opt, seeds, chain, chained[i, REPEAT_BASES], hits, m,
                scratch[0], scratch[1], scratch[2], scratch[3], memo, text, profile, rows[0], rows[1], places, result,
            )  # fmt: skip
            if m < 0:
                break
        if m < 0:
            side, n = (backward if memo[2][T_STEP] < 0 else query), memo[2][T_SIZE]
            asked, codes_used, asked_codes = request(
                memo, i, side[length - n :], items, tasks, asked, asked_codes, codes_used
            )  # fmt: skip
            continue
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
    return out[:used], items[:asked], tasks[:asked], asked_codes[:codes_used]
