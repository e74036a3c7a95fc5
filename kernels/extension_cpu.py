"""Dynamic programming of the aligner: extension of seeds, global alignment for CIGARs, local alignment for rescue.

Sequences are codes 0..3, 4 for N in a read; gaps open from the diagonal state only, as in bwa. `opt`: `aligner_fields`.
Source: specification chapter "bwa_mem", sections 6 (extension), 10 (global) and 11 (local).
"""

import numpy as np

from gpugenome.kernels import extension_scalar, simd
from gpugenome.kernels.aligner_fields import (
    EXTEND_DELETION,
    EXTEND_INSERTION,
    MATCH,
    MISMATCH,
    OPEN_DELETION,
    OPEN_INSERTION,
    ZDROP,
)  # fmt: skip
from gpugenome.kernels.extension_scalar import (
    RESULT_COLUMNS,
    T_BAND,
    T_BONUS,
    T_QUERY,
    T_ROWS,
    T_SIZE,
    T_START,
    T_STEP,
    T_TEXT,
)  # fmt: skip
from gpugenome.kernels.launch import jit

LOWEST = -(1 << 30)
_N_SCORE = -1  # an N against anything
text_base = jit(extension_scalar.text_base)


@jit
def fill_profile(query, n, opt, profile):
    """profile[c, :n] (int32) = scores of the text's base c (0..3) against the query."""
    match, mismatch = np.int32(opt[MATCH]), np.int32(-opt[MISMATCH])
    for c in range(4):
        for j in range(n):
            q = query[j]
            profile[c, j] = match if q == c else (mismatch if q < 4 else np.int32(_N_SCORE))


@jit
def _gap_limit(bases, opt, bonus):
    """Longest insertion and deletion that `bases` matches and a bonus can pay for; at least 1."""
    best = max(opt[MATCH], np.int64(_N_SCORE))
    insertion = np.int64((np.float64(bases * best + bonus) - opt[OPEN_INSERTION]) / opt[EXTEND_INSERTION] + 1.0)
    deletion = np.int64((np.float64(bases * best + bonus) - opt[OPEN_DELETION]) / opt[EXTEND_DELETION] + 1.0)
    return max(insertion, 1), max(deletion, 1)


@jit
def band_limit(n, opt, band, bonus):
    """The band, no wider than the gaps that an extension of n bases can pay for."""
    insertion, deletion = _gap_limit(n, opt, bonus)
    return min(band, insertion, deletion)


@jit
def _extension_row(profile, base, h, e, begin, end, left, open_del, ext_del, open_ins, ext_ins):
    """One row of `extend` in place, for a base of the text. Returns (score of the last cell, best score, its last column).

    Vectors begin at multiples of their length, so that each row loads what the one before it stored. Insertions (f) are a running
    maximum: the score that opens one, less what its length costs.
    """
    lanes = simd.lane_count(h)
    zero, none = simd.splat(np.int32(0)), simd.splat(np.int32(-1))
    open_del, ext_del, open_ins, ext_ins = simd.splat(open_del), simd.splat(ext_del), simd.splat(open_ins), simd.splat(ext_ins)
    lowest, stop, start = simd.splat(np.int32(begin)), simd.splat(np.int32(end)), simd.splat(left)
    number = simd.lane_numbers(zero)
    cost = simd.mul(number, ext_ins)
    before, f, top, place = start, zero, none, none
    aligned = begin - begin % lanes
    scores = base * profile.shape[1]
    for j in range(aligned, end, lanes):
        column = simd.add(number, simd.splat(np.int32(j)))
        within, cells = simd.less_equal(lowest, column), simd.greater(stop, column)
        old, up = simd.load(h, j), simd.load(e, j)
        m = simd.select(simd.equal(old, zero), zero, simd.add(old, simd.load(profile, scores + j)))
        m = simd.select(within, m, zero)
        opened = simd.running_greatest(simd.sub(m, open_ins), ext_ins)
        from_before = simd.sub(f, cost)
        x = simd.greatest(simd.greatest(m, up), simd.greatest(simd.shift_in_zero(opened), from_before))
        x = simd.select(within, x, start)
        f = simd.greatest(zero, simd.splat(simd.last_lane(simd.greatest(opened, simd.sub(from_before, ext_ins)))))
        down = simd.greatest(zero, simd.greatest(simd.sub(up, ext_del), simd.sub(m, open_del)))
        simd.store(e, j, simd.select(within, simd.select(cells, down, up), up))
        kept = simd.select(simd.less_equal(column, stop), simd.shift_in(before, x), old)
        simd.store(h, j, simd.select(within, kept, old))
        scored = simd.select(within, simd.select(cells, x, none), none)
        better = simd.less_equal(top, scored)
        top, place = simd.select(better, scored, top), simd.select(better, column, place)
        before = x
    best = simd.largest_lane(top)
    at = simd.largest_lane(simd.select(simd.equal(top, simd.splat(np.int32(best))), place, none))
    return simd.last_lane(before) if end % lanes == 0 else h[end], max(best, 0), at


@jit
def extend(query, text, n, rows, opt, band, bonus, zdrop, start, profile, h, e, result):
    """Extend an alignment of score `start` along query[:n] and text[:rows].

    Scratch, with a vector's length more than needed: profile int32[4, >= n], h, e int32[>= n + 1].
    result: int64[6], gets (score, query bases, text bases to the best cell, text bases to the best cell at the query's end, its
    score, distance of the best cells from the diagonal).
    """
    fill_profile(query, n, opt, profile)
    open_del, ext_del = np.int32(opt[OPEN_DELETION] + opt[EXTEND_DELETION]), np.int32(opt[EXTEND_DELETION])
    open_ins, ext_ins = np.int32(opt[OPEN_INSERTION] + opt[EXTEND_INSERTION]), np.int32(opt[EXTEND_INSERTION])
    for j in range(n + 1):
        h[j] = 0
        e[j] = 0
    h[0] = start
    h[1] = max(start - open_ins, 0)
    j = 2
    while j <= n and h[j - 1] > ext_ins:
        h[j] = h[j - 1] - ext_ins
        j += 1
    band = band_limit(n, opt, band, bonus)
    best, best_i, best_j, to_end, end_score, off = np.int64(start), np.int64(-1), np.int64(-1), np.int64(-1), np.int64(-1), np.int64(0)
    begin, end = np.int64(0), np.int64(n)
    whole = start + n * max(opt[MATCH], _N_SCORE) - opt[OPEN_DELETION]
    for i in range(rows):
        if i >= n:  # what is left has deletions
            most = whole - (i - n + 1) * ext_del
            if most <= best and most < end_score:
                break
        begin = max(begin, i - band)
        end = min(end, i + band + 1, n)
        left = np.int32(max(start - (open_del + ext_del * i), 0)) if begin == 0 else np.int32(0)
        left, m, at = _extension_row(profile, text[i], h, e, begin, end, left, open_del, ext_del, open_ins, ext_ins)
        h[end] = left
        e[end] = 0
        if max(begin, end) == n and left >= end_score:
            end_score, to_end = np.int64(left), i
        if m == 0:
            break
        if m > best:
            best, best_i, best_j = np.int64(m), i, at
            off = max(off, abs(at - i))
        elif zdrop > 0:
            down, right = i - best_i, at - best_j
            lost = (down - right) * ext_del if down > right else (right - down) * ext_ins
            if best - m - lost > zdrop:
                break
        while begin < end and h[begin] == 0 and e[begin] == 0:
            begin += 1
        j = end
        while j >= begin and h[j] == 0 and e[j] == 0:
            j -= 1
        end = min(j + 2, n)
    result[0], result[1], result[2], result[3], result[4], result[5] = best, best_j + 1, best_i + 1, to_end + 1, end_score, off


@jit
def global_band(n, rows, opt, band):
    """The band that a global alignment of n query and `rows` text bases is given."""
    insertion, deletion = _gap_limit((n + 1) >> 1, opt, 0)
    apart = abs(rows - n)
    return max(min((max(insertion, deletion) + apart + 1) >> 1, band), apart + 3)


@jit
def global_align(query, text, n, rows, opt, band, profile, h, e, back):
    """Score of the banded global alignment of query[:n] and text[:rows]; its choices go to back[i * (2 * band + 1) + j - begin of row i].

    back: uint8[>= rows * (2 * band + 1)]: bits 0-1 where a cell comes from (0 diagonal, 1 deletion, 2 insertion), bit 2 and bit 5
    whether the deletion and the insertion that leave it are longer than one base.
    """
    fill_profile(query, n, opt, profile)
    open_del, ext_del = np.int32(opt[OPEN_DELETION] + opt[EXTEND_DELETION]), np.int32(opt[EXTEND_DELETION])
    open_ins, ext_ins = np.int32(opt[OPEN_INSERTION] + opt[EXTEND_INSERTION]), np.int32(opt[EXTEND_INSERTION])
    lowest = np.int32(LOWEST)
    h[0] = 0
    e[0] = lowest
    for j in range(1, n + 1):
        h[j] = -(open_ins + ext_ins * (j - 1)) if j <= band else lowest
        e[j] = lowest
    for i in range(rows):
        begin, end = max(i - band, 0), min(i + band + 1, n)
        left = np.int32(-(open_del + ext_del * i)) if begin == 0 else lowest
        f = lowest
        base, row = text[i], i * (2 * band + 1)
        for j in range(begin, end):
            m = np.int32(h[j] + profile[base, j])
            h[j] = left
            up = e[j]
            kind = np.uint8(1) if up > m else np.uint8(0)
            left = max(m, up)
            kind = np.uint8(2) if f > left else kind
            left = max(left, f)
            longer, opened = np.int32(up - ext_del), np.int32(m - open_del)
            kind |= np.uint8(4) if longer > opened else np.uint8(0)
            e[j] = max(longer, opened)
            longer, opened = np.int32(f - ext_ins), np.int32(m - open_ins)
            kind |= np.uint8(32) if longer > opened else np.uint8(0)
            f = max(longer, opened)
            back[row + j - begin] = kind
        h[end] = left
        e[end] = lowest
    return np.int64(h[n])


@jit
def _push(cigar, count, op, length):
    if count > 0 and cigar[count - 1] & 15 == op:
        cigar[count - 1] += np.uint32(length << 4)
        return count
    cigar[count] = np.uint32(length << 4 | op)
    return count + 1


@jit
def global_cigar(n, rows, band, back, cigar):
    """The operations (uint32 as in BAM: 0 M, 1 I, 2 D) of the alignment that `global_align` made. Returns their number."""
    i, j = rows - 1, min(rows + band, n) - 1
    state, count = 0, 0
    while i >= 0 and j >= 0:
        begin = max(i - band, 0)
        state = (back[i * (2 * band + 1) + j - begin] >> (state << 1)) & 3
        if state == 0:
            count = _push(cigar, count, 0, 1)
            i -= 1
            j -= 1
        elif state == 1:
            count = _push(cigar, count, 2, 1)
            i -= 1
        else:
            count = _push(cigar, count, 1, 1)
            j -= 1
    if i >= 0:
        count = _push(cigar, count, 2, i + 1)
    if j >= 0:
        count = _push(cigar, count, 1, j + 1)
    for k in range(count >> 1):
        cigar[k], cigar[count - 1 - k] = cigar[count - 1 - k], cigar[k]
    return count


@jit
def _fill_striped(query, n, opt, segment, bias, state, at):
    """Scores plus bias of the text's four bases against the query, in state[at:]; bias alone beyond the query."""
    lanes = simd.lane_count(state)
    for c in range(4):
        for lane in range(lanes):
            for j in range(segment):
                column = lane * segment + j
                score = 0
                if column < n:
                    q = query[column]
                    score = opt[MATCH] if q == c else (-opt[MISMATCH] if q < 4 else _N_SCORE)
                state[at + (c * segment + j) * lanes + lane] = score + bias


@jit
def _local_row(state, before, after, e, scores, segment, bias, open_del, ext_del, open_ins, ext_ins):
    """One row of `_local_pass`. Returns the best score.

    All in state, from these places on: scores `before` and `after` (one vector in front of both), e, scores of the row's base.
    Insertions that cross a segment's beginning are put into the scores after the deletions were computed, and the best score does
    not see them: bwa's vector code mends its rows like that.
    """
    lanes = simd.lane_count(state)
    zero = simd.sub_to_zero(bias, bias)
    f, top = zero, zero
    diagonal = simd.shift_in_zero(simd.load(state, before + segment * lanes))
    for j in range(segment):
        at = j * lanes
        up = simd.load(state, e + at)
        x = simd.sub_to_zero(simd.add_saturated(diagonal, simd.load(state, scores + at)), bias)
        x = simd.greatest(simd.greatest(x, up), f)
        top = simd.greatest(top, x)
        simd.store(state, after + at + lanes, x)
        simd.store(state, e + at, simd.greatest(simd.sub_to_zero(up, ext_del), simd.sub_to_zero(x, open_del)))
        f = simd.greatest(simd.sub_to_zero(f, ext_ins), simd.sub_to_zero(x, open_ins))
        diagonal = simd.load(state, before + at + lanes)
    for _ in range(lanes):
        f = simd.shift_in_zero(f)
        for j in range(segment):
            at = after + (j + 1) * lanes
            x = simd.greatest(simd.load(state, at), f)
            simd.store(state, at, x)
            f = simd.sub_to_zero(f, ext_ins)
            if not simd.any_greater(f, simd.sub_to_zero(x, open_ins)):
                return simd.largest_lane(top)
    return simd.largest_lane(top)


@jit
def _local_pass(query, text, n, rows, opt, least, stop, cap, state, peaks):
    """One pass of `local_align`. Returns (score, its row, its column, number of peaks).

    state: uint8 (16 segments) or int16 (8), scratch of 8 rows and profiles of n columns and two vectors each.
    """
    lanes = simd.lane_count(state)
    segment = (n + lanes - 1) // lanes
    width = (segment + 1) * lanes
    before, after, e, kept, profile = 0, width, 2 * width, 3 * width, 4 * width
    shift = max(opt[MISMATCH], -_N_SCORE)
    bias = _every_lane(state, shift)
    open_del, ext_del = _every_lane(state, opt[OPEN_DELETION] + opt[EXTEND_DELETION]), _every_lane(state, opt[EXTEND_DELETION])
    open_ins, ext_ins = _every_lane(state, opt[OPEN_INSERTION] + opt[EXTEND_INSERTION]), _every_lane(state, opt[EXTEND_INSERTION])
    _fill_striped(query, n, opt, segment, shift, state, profile)
    for k in range(4 * width):
        state[k] = 0
    best, best_row, count = np.int64(0), np.int64(-1), 0
    for i in range(rows):
        scores = profile + text[i] * segment * lanes
        top = _local_row(state, before, after, e, scores, segment, bias, open_del, ext_del, open_ins, ext_ins)
        if top >= least:
            if count == 0 or peaks[count - 1, 0] + 1 != i:
                peaks[count, 0], peaks[count, 1] = i, top
                count += 1
            elif peaks[count - 1, 1] < top:
                peaks[count - 1, 0], peaks[count - 1, 1] = i, top
        if top > best:
            best, best_row = top, i
            for k in range(width):
                state[kept + k] = state[after + k]
            if best >= cap or best >= stop:
                break
        before, after = after, before
    column, most = np.int64(0), np.int64(-1)
    for lane in range(lanes):
        for j in range(segment):
            x = np.int64(state[kept + (j + 1) * lanes + lane])
            if x > most:
                column, most = lane * segment + j, x
    return best, best_row, column, count


@jit
def _every_lane(state, value):
    """A vector for the array `state` (its first element is overwritten), all lanes the same number."""
    state[0] = value
    return simd.splat(state[0])


@jit
def _local(query, text, n, rows, opt, cap, least, with_start, state, peaks, result):
    far = 1 << 30
    score, te, qe, count = _local_pass(query, text, n, rows, opt, least, far, cap, state, peaks)
    result[0], result[1], result[2], result[3], result[4], result[5] = score, -1, -1, qe, -1, te
    if score >= cap:
        result[0] = 255
        return
    reach = (score + opt[MATCH] - 1) // opt[MATCH]
    for k in range(count):
        if (peaks[k, 0] < te - reach or peaks[k, 0] > te + reach) and peaks[k, 1] > result[1]:
            result[1] = peaks[k, 1]
    if not with_start or score < least:
        return
    for k in range((qe + 1) >> 1):
        query[k], query[qe - k] = query[qe - k], query[k]
    for k in range((te + 1) >> 1):
        text[k], text[te - k] = text[te - k], text[k]
    again, te2, qe2, _ = _local_pass(query, text, qe + 1, rows, opt, far, score, cap, state, peaks)
    if again == score:
        result[2], result[4] = qe - qe2, te - te2


@jit
def local_align(query, text, n, rows, opt, narrow, least, with_start, peaks, result):
    """Local alignment of query[:n] and text[:rows] (both are overwritten), as bwa's vector code does it.

    narrow: bwa's 8-bit code rather than its 16-bit one. least: smallest score that counts. peaks: int64[>= rows, 2], scratch.
    result: int64[6], gets (score, second score or -1, begin and last of the query, begin and last of the text); begin of the query
    -1: the beginning was not found, or not asked for.
    """
    if narrow:
        cap = 255 - max(opt[MISMATCH], -_N_SCORE)
        _local(query, text, n, rows, opt, cap, least, with_start, np.empty(8 * (n + 32), np.uint8), peaks, result)
    else:
        _local(query, text, n, rows, opt, 1 << 30, least, with_start, np.empty(8 * (n + 16), np.int16), peaks, result)


@jit
def _task_text(words, task, text):
    """The bases of a task's text (its row) as codes."""
    p = task[T_TEXT]
    for i in range(task[T_ROWS]):
        text[i] = text_base(words, p)
        p += task[T_STEP]


@jit
def extend_tasks(begin, end, order, tasks, query, words, longest, opt, results):
    """Do the extensions order[begin:end] of tasks (`extension_scalar`); results: int32[n, RESULT_COLUMNS], as those of `extend`.

    query: uint8, the queries' codes. words: the packed doubled text. longest: no query is longer.
    """
    most = 1
    for k in range(begin, end):
        most = max(most, tasks[order[k], T_ROWS])
    text, profile = np.empty(most, np.uint8), np.empty((4, longest + 16), np.int32)
    rows, result = np.empty((2, longest + 32), np.int32), np.empty(RESULT_COLUMNS, np.int64)
    for k in range(begin, end):
        task = tasks[order[k]]
        _task_text(words, task, text)
        extend(
            query[task[T_QUERY] :], text, task[T_SIZE], task[T_ROWS], opt, task[T_BAND], task[T_BONUS], opt[ZDROP], task[T_START],
            profile, rows[0], rows[1], result,
        )  # fmt: skip
        _store_result(result, results[order[k]])


@jit
def _store_result(result, row):
    for c in range(RESULT_COLUMNS):
        row[c] = result[c]


@jit
def local_tasks(begin, end, order, tasks, query, words, longest, rows, narrow, least, opt, results):
    """Do the local alignments order[begin:end] of tasks, with their beginnings; arguments as in `extend_tasks` and `local_align`.

    rows: no text is longer.
    """
    text, part, peaks = np.empty(rows + 1, np.uint8), np.empty(longest + 1, np.uint8), np.empty((rows + 1, 2), np.int64)
    result = np.empty(RESULT_COLUMNS, np.int64)
    for k in range(begin, end):
        task = tasks[order[k]]
        n = task[T_SIZE]
        _task_text(words, task, text)
        part[:n] = query[task[T_QUERY] : task[T_QUERY] + n]
        local_align(part, text, n, task[T_ROWS], opt, narrow, least, True, peaks, result)
        _store_result(result, results[order[k]])
