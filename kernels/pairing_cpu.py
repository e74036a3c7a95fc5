"""Pairs: distances of the best hits, rescue of mates near each other's hits, and the best pair of hits.

Orientations: 0 FF, 1 FR, 2 RF, 3 RR. `limits`: int64[4, 3] (lowest and highest distance, whether the orientation is out), `spread`:
float64[4, 2] (mean and standard deviation of the distance). Source: specification chapter "bwa_mem", section 11.
"""

import math

import numpy as np

from gpugenome.kernels.aligner_fields import (
    ALT,
    HIT_COLUMNS,
    LENGTH,
    LOCAL_SUB,
    MASK,
    MATCH,
    MAX_RESCUES,
    MIN_SEED,
    QB,
    QE,
    RB,
    RE,
    RID,
    SCORE,
    SECONDARY,
    TIE,
    UNPAIRED,
)  # fmt: skip
from gpugenome.kernels.extension_cpu import local_align
from gpugenome.kernels.extension_scalar import T_ROWS, T_SIZE, T_STEP, T_TEXT, T_TURNED
from gpugenome.kernels.hit_lists_cpu import clamp, hash64, remove_repeats, unpack
from gpugenome.kernels.introsort_cpu import introsort
from gpugenome.kernels.launch import jit
from gpugenome.kernels.replay_cpu import ASKED, UNKNOWN, new_memo, new_requests, recall, request, start_replay
from gpugenome.kernels.seeding_cpu import encode_read

MAX_DISTANCE = 10000
"""Pairs further apart say nothing about the insert size."""
LOW, HIGH, OUT = range(3)
RESCUE_SCORE_BYTE = 250
"""Reads that can score this are rescued with bwa's 16-bit code."""


@jit
def orientation(length, b1, b2):
    """(orientation, distance) of two hits by their first positions on the doubled text."""
    same = (b1 >= length) == (b2 >= length)
    p = b2 if same else 2 * length - 1 - b2
    return (0 if same else 1) ^ (0 if p > b1 else 3), abs(p - b1)


@jit
def _second_score(hits, begin, end, opt, mask):
    a = hits[begin]
    for i in range(begin + 1, end):
        p = hits[i]
        overlap = min(p[QE], a[QE]) - max(p[QB], a[QB])
        if overlap > 0 and np.float32(overlap) >= np.float32(min(p[QE] - p[QB], a[QE] - a[QB])) * mask:
            return p[SCORE]
    return opt[MIN_SEED] * opt[MATCH]


@jit
def pair_distances(begin, end, hits1, offset1, hits2, offset2, opt, ratios, distance):
    """distance[i] = 4 * (distance of the best hits) + orientation of pairs whose hits are unique enough to tell, else -1."""
    mask = ratios[MASK]
    for i in range(begin, end):
        distance[i] = -1
        a, a_end, b, b_end = offset1[i], offset1[i + 1], offset2[i], offset2[i + 1]
        if a == a_end or b == b_end or hits1[a, RID] != hits2[b, RID]:
            continue
        if _second_score(hits1, a, a_end, opt, mask) > 0.8 * hits1[a, SCORE]:
            continue
        if _second_score(hits2, b, b_end, opt, mask) > 0.8 * hits2[b, SCORE]:
            continue
        way, d = orientation(opt[LENGTH], hits1[a, RB], hits2[b, RB])
        if 0 < d <= MAX_DISTANCE:
            distance[i] = 4 * d + way


@jit
def mean_and_deviation(values, low, high):
    """Of the sorted values (int64) in low..high, summed in their order in double precision."""
    total, n = 0.0, 0
    for x in values:
        if low <= x <= high:
            total += x
            n += 1
    mean = total / n
    total = 0.0
    for x in values:
        if low <= x <= high:
            total += (x - mean) * (x - mean)
    return mean, math.sqrt(total / n)


@jit
def _rescue_window(hit, way, length, offsets, lengths, limits, opt):
    """(begin, end, contig) of the text where the mate of a hit is looked for."""
    if way < 2:
        lo, hi = hit[RB] + limits[way, LOW], hit[RB] + limits[way, HIGH]
    else:
        lo, hi = hit[RB] - limits[way, HIGH], hit[RB] - limits[way, LOW]
    if way == 1 or way == 2:
        lo -= length
    else:
        hi += length
    lo, hi = max(lo, 0), min(hi, 2 * opt[LENGTH])
    if lo >= hi:
        return lo, hi, np.int64(-1)
    return clamp(offsets, lengths, opt[LENGTH], lo, (lo + hi) >> 1, hi)


@jit
def _insert_rescued(hits, n, hit, way, length, lo, result, opt):
    """Put what a local alignment in the text from lo on found before the first hit with a smaller score."""
    at = n
    for i in range(n - 1, -1, -1):
        if hits[i, SCORE] < result[0]:
            at = i
    for i in range(n, at, -1):
        hits[i] = hits[i - 1]
    new = hits[at]
    new[:] = 0
    new[RID], new[ALT], new[SCORE], new[LOCAL_SUB], new[SECONDARY] = hit[RID], hit[ALT], result[0], result[1], -1
    if way == 1 or way == 2:
        new[QB], new[QE] = length - (result[3] + 1), length - result[2]
        new[RB], new[RE] = 2 * opt[LENGTH] - (lo + result[5] + 1), 2 * opt[LENGTH] - (lo + result[4])
    else:
        new[QB], new[QE], new[RB], new[RE] = result[2], result[3] + 1, lo + result[4], lo + result[5] + 1


@jit
def rescue(
    words, offsets, lengths, hit, mate, mate_reverse, length, limits, opt, ratios, hits, n, spare, order, major, minor, memo, part, text,
    profile, h, e, peaks, back, result,
):  # fmt: skip
    """Look for hits of a mate near `hit` (a row) where it has none, and add them to the mate's hits[:n]. Returns (n, back).

    mate, mate_reverse: the mate's codes and its reverse complement, `length` bases. n is -1 where memo (`replay_cpu`) has a new task.
    """
    skip = 0
    for way in range(4):
        if limits[way, OUT]:
            skip |= 1 << way
    for i in range(n):
        way, d = orientation(opt[LENGTH], hit[RB], hits[i, RB])
        if limits[way, LOW] <= d <= limits[way, HIGH]:
            skip |= 1 << way
    if skip == 15:
        return n, back
    tried = False
    for way in range(4):
        if skip >> way & 1:
            continue
        lo, hi, contig = _rescue_window(hit, way, length, offsets, lengths, limits, opt)
        if contig == hit[RID] and hi - lo >= opt[MIN_SEED]:
            turned = way == 1 or way == 2
            how = recall(memo, result)
            if how == ASKED:
                task = memo[2]
                task[T_SIZE], task[T_TEXT], task[T_STEP], task[T_ROWS], task[T_TURNED] = length, lo, 1, hi - lo, turned
                return np.int64(-1), back
            if how == UNKNOWN:
                unpack(words, lo, hi, text, False)
                part[:length] = (mate_reverse if turned else mate)[:length]
                narrow = length * opt[MATCH] < RESCUE_SCORE_BYTE
                local_align(part, text, length, hi - lo, opt, narrow, opt[MIN_SEED] * opt[MATCH], True, peaks, result)
            if result[0] >= opt[MIN_SEED] and result[2] >= 0:
                _insert_rescued(hits, n, hit, way, length, lo, result, opt)
                n += 1
            tried = True
        if tried:
            n, back = remove_repeats(
                words, mate, False, opt, ratios, hits, n, spare, order, major, minor, part, text, profile, h, e, back
            )  # fmt: skip
    return n, back


@jit
def rescue_both(
    words, offsets, lengths, query, reverse, length, limits, opt, ratios, hits, n, spare, near, order, major, minor, memo, part, text,
    profile, h, e, peaks, back, result,
):  # fmt: skip
    """Rescue mates of a pair near each other's good hits.

    Of both ends: query, reverse uint8[2, .], length int64[2], hits int64[2, ., HIT_COLUMNS] with room for 4 * MAX_RESCUES more, n int64[2].
    near: as `hits`. Returns (the end whose rescue is a new task of memo, see `replay_cpu`, or -1; back).
    """
    count = np.zeros(2, np.int64)
    for end in range(2):
        for i in range(n[end]):
            if hits[end, i, SCORE] >= hits[end, 0, SCORE] - opt[UNPAIRED]:
                near[end, count[end]] = hits[end, i]
                count[end] += 1
    for end in range(2):
        mate = 1 - end
        for i in range(min(count[end], opt[MAX_RESCUES])):
            n[mate], back = rescue(
                words, offsets, lengths, near[end, i], query[mate], reverse[mate], length[mate], limits, opt, ratios, hits[mate], n[mate],
                spare, order, major, minor, memo, part, text, profile, h, e, peaks, back, result,
            )  # fmt: skip
            if n[mate] < 0:
                return mate, back
    return -1, back


@jit
def scratch_sizes(lengths1, lengths2, offset1, offset2, begin, end, limits, opt, paired):
    """(longest read, most hits of a read with those that rescue adds, widest window of the text that it looks at)."""
    longest, most = np.int64(1), np.int64(1)
    for i in range(begin, end):
        longest = max(longest, lengths1[i], lengths2[i])
        most = max(most, offset1[i + 1] - offset1[i], offset2[i + 1] - offset2[i])
    window = np.int64(1024)
    for k in range(4):
        if not limits[k, OUT]:
            window = max(window, limits[k, HIGH] - min(limits[k, LOW], 0))
    return longest, most + (4 * opt[MAX_RESCUES] + 8 if paired else 8), window


@jit
def ask_rescues(
    begin, end, which, data1, start1, length1, data2, start2, length2, hits1, offset1, hits2, offset2, words, offsets, lengths, opt, ratios,
    limits, known, known_offset,
):  # fmt: skip
    """The next local alignment of pairs which[begin:end] that is not known: what `rescue_both` asks for (`replay_cpu`).

    data, start, length: the bases of both ends' reads, as in `FastqBatch`. The others: as in `aligned_records_cpu.make_records`.
    Returns (pairs int64[t], tasks int64[t, TASK_COLUMNS], their queries uint8).
    """
    items, tasks, codes = new_requests(end - begin)
    first, last = np.int64(1) << 62, np.int64(0)
    for w in range(begin, end):
        first, last = min(first, which[w]), max(last, which[w] + 1)
    longest, most, _ = scratch_sizes(length1, length2, offset1, offset2, first, last, limits, opt, True)
    hits, near = np.empty((2, most, HIT_COLUMNS), np.int64), np.empty((2, most, HIT_COLUMNS), np.int64)
    spare, scratch = np.empty((most, HIT_COLUMNS), np.int64), np.empty((3, most), np.int64)
    bases, spare_codes = np.empty((2, longest), np.uint8), np.empty(longest, np.uint8)
    # all else that a rescue made here would need stays empty
    profile, rows, back = np.empty((4, 0), np.int32), np.empty((2, 0), np.int32), np.empty(0, np.uint8)
    peaks, result = np.empty((0, 2), np.int64), np.empty(6, np.int64)
    n, length = np.zeros(2, np.int64), np.zeros(2, np.int64)
    memo, asked, used = new_memo(known), np.int64(0), np.int64(0)
    for w in range(begin, end):
        i = which[w]
        n[0], n[1] = offset1[i + 1] - offset1[i], offset2[i + 1] - offset2[i]
        hits[0, : n[0]] = hits1[offset1[i] : offset1[i + 1]]
        hits[1, : n[1]] = hits2[offset2[i] : offset2[i + 1]]
        length[0], length[1] = length1[i], length2[i]
        start_replay(memo, known_offset[i], known_offset[i + 1], True)
        mate, _ = rescue_both(
            words, offsets, lengths, bases, bases, length, limits, opt, ratios, hits, n, spare, near, scratch[0], scratch[1], scratch[2],
            memo, bases[0], bases[0], profile, rows[0], rows[1], peaks, back, result,
        )  # fmt: skip
        if mate < 0:
            continue
        if mate == 0:
            encode_read(data1, start1[i], length[0], bases[0], spare_codes, bases[1])
        else:
            encode_read(data2, start2[i], length[1], bases[0], spare_codes, bases[1])
        asked, used, codes = request(memo, i, bases[1 if memo[2][T_TURNED] else 0], items, tasks, asked, codes, used)
    return items[:asked], tasks[:asked], codes[:used]


@jit
def _pair_score(s1, s2, distance, mean, deviation, opt):
    x = 2.0 * math.erfc(abs(distance - mean) / deviation * 0.70710678118654752440)
    score = s1 + s2 + 0.721 * math.log(x) * opt[MATCH] + 0.499
    # Not a number (a distance without spread) and minus infinity are no score.
    return np.int64(score) if score >= 0.0 else np.int64(0)


@jit
def _pair_hash(key, number):
    """The hash of two hits (key) of a pair; its number is shifted in 32 bits, as bwa does."""
    shifted = np.int64(np.int32((number << 8) & 0xFFFFFFFF))
    return np.int64(hash64(np.uint64(key ^ shifted)) & np.uint64(0xFFFFFFFF))


@jit
def best_pair(hits, n_pri, number, offsets, limits, spread, opt, chosen):
    """(score, next best score, pairs near that) of the best pair of hits that lie as limits and spread say; chosen[2] gets the hits.

    hits: int64[2, ., HIT_COLUMNS]. n_pri: int64[2], those on no ALT contig. number: of the pair in the input.
    """
    total = n_pri[0] + n_pri[1]
    place, what = np.empty(total, np.int64), np.empty(total, np.int64)
    order = np.arange(total)
    k = 0
    for end in range(2):
        for i in range(n_pri[end]):
            p = hits[end, i]
            reverse = np.int64(p[RB] >= opt[LENGTH])
            pos = 2 * opt[LENGTH] - 1 - p[RB] if reverse else p[RB]
            place[k] = p[RID] << 32 | (pos - offsets[p[RID]])
            what[k] = p[SCORE] << 32 | i << 2 | reverse << 1 | end
            k += 1
    introsort(order, total, place, what)
    last = np.full(4, -1, np.int64)
    best, best_hash, best_key, sub = np.int64(-1), np.int64(0), np.int64(0), np.int64(0)
    scores, count = np.empty(16, np.int64), 0
    for i in range(total):
        x, y = place[order[i]], what[order[i]]
        for r in range(2):
            way = r << 1 | (y >> 1 & 1)
            if limits[way, OUT]:
                continue
            want = r << 1 | ((y & 1) ^ 1)
            for k in range(last[want], -1, -1):
                other = what[order[k]]
                if other & 3 != want:
                    continue
                d = x - place[order[k]]
                if d > limits[way, HIGH]:
                    break
                if d < limits[way, LOW]:
                    continue
                score = _pair_score(y >> 32, other >> 32, d, spread[way, 0], spread[way, 1], opt)
                key = np.int64(k) << 32 | i
                h = _pair_hash(key, number)
                if count == scores.size:
                    more = np.empty(2 * count, np.int64)
                    more[:count] = scores
                    scores = more
                scores[count] = score
                count += 1
                if score > best or (score == best and (h > best_hash or (h == best_hash and key > best_key))):
                    best, best_hash, best_key, sub = score, h, key, max(best, sub)
                else:
                    sub = max(sub, score)
        last[y & 3] = i
    if count == 0:
        return np.int64(0), np.int64(0), np.int64(0)
    for k in (best_key >> 32, best_key & 0xFFFFFFFF):
        y = what[order[k]]
        chosen[y & 1] = (y & 0xFFFFFFFF) >> 2
    near = -1  # the best one is near itself
    for k in range(count):
        if sub - scores[k] <= opt[TIE]:
            near += 1
    return best, sub, np.int64(near)
