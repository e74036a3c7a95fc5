"""Extensions and local alignments of the aligner on a GPU; the tasks and results of extension_cpu. Integer arithmetic only.

Extension: a thread a task, row by row as on the CPU, for what a row does next (its ends, the z-drop) depends on all of the row before.
A cell's two scores and the query's base are one 32-bit word; the row of words lies in shared memory, a thread's words in one bank (in
device memory, a warp's words of a column in 128 bytes, where queries are longer than the largest of SIZES). The next word is loaded
before the last is stored. Tasks come sorted by size, so a warp's are about equally long.
A local alignment is that of bwa's vector code, whose segments are independent but for what crosses them: a lane a segment, so 16
lanes a task, 8 for the 16-bit code, a warp two or four tasks in step. A lane's columns (two scores each, the mismatch score, a bit a base)
stay in registers; the diagonal crosses by a shuffle, insertions that leave a segment by a scan of four, in the rows that have any (a
vote says so), and so does the row's best score, in the rows where a lane has one that counts.

On paper (sm_90 code of benchmarks/cuda_sass.py; H100: 132 multiprocessors of 64 int32 lanes at 1.75 GHz, 3.35 TB/s):
- Extension: 36 instructions a cell, so at best 4.1e11 cells/s. 0.5 tasks a read (2 x 150 bases, simulated at 30x), of 70 bases, some
  5e3 cells and 200 bytes of device memory each: 1.6e8 reads/s by arithmetic, 3e10 by memory. Registers 55; shared memory lets 5 blocks of
  2 warps on a multiprocessor with 160 columns, 13 with 64. A chunk's 1e4 tasks are 2 warps a multiprocessor, so one waits for the
  longest task, about 0.5 ms.
- Local alignment: 232 instructions a row of 10 columns and 32 lanes, so at best 6e11 cells/s. A rescue of 150 bases in a window of 900 is
  1.6e5 cells with its second pass and 400 bytes: 3.7e6 rescues/s. 107 registers (160 columns), 124 (256), 234 (320): 16, 16, 8 warps.
The global alignments for CIGARs stay on the CPU: 3 of 100 records need one.

Two 16-bit scores in a register (max.s16x2) would halve the cells' instructions, but need sm_90 and are emulated before.
"""

import numpy as np
from numba import cuda

from gpugenome.kernels import extension_scalar
from gpugenome.kernels.aligner_fields import (
    EXTEND_DELETION,
    EXTEND_INSERTION,
    MATCH,
    MISMATCH,
    OPEN_DELETION,
    OPEN_INSERTION,
    ZDROP,
)  # fmt: skip
from gpugenome.kernels.extension_scalar import LOCAL_SIZES, MOST_SCORE, SIZES, T_BAND, T_QUERY, T_ROWS, T_SIZE, T_START, T_STEP, T_TEXT
from gpugenome.kernels.launch_cuda import kernel

_WARP = 0xFFFFFFFF
_BLOCK = 64  # threads of the extension's blocks
_WARPS = 4096  # of a launch of local alignments, each with its own scratch
_SCORE = np.int32(MOST_SCORE)
_SCORES = np.int32((1 << 28) - 1)  # both scores of a word
_N_SCORE = np.int32(-1)
text_base = cuda.jit(device=True)(extension_scalar.text_base)


@cuda.jit(device=True, forceinline=True)
def _start_row(state, lane, n, query, first, start, opened, extended):
    """The words of the row above the first: an insertion from the start."""
    h = start
    for j in range(np.int32(n + 1)):
        base = np.int32(query[first + j]) if j < n else np.int32(0)
        state[np.uint32(j), lane] = np.int32(base << 28 | h)
        h = np.int32(max(start - opened, 0)) if j == 0 else np.int32(max(h - extended, 0))


@cuda.jit(device=True, forceinline=True)
def _extend(state, lane, task, query, words, opt, result):
    """One extension. state: int32[columns, lanes], this task's column of words."""
    n, rows, band, start = np.int32(task[T_SIZE]), np.int32(task[T_ROWS]), np.int32(task[T_BAND]), np.int32(task[T_START])
    match, mismatch, zdrop = np.int32(opt[MATCH]), np.int32(-opt[MISMATCH]), np.int32(opt[ZDROP])
    open_del, ext_del = np.int32(opt[OPEN_DELETION] + opt[EXTEND_DELETION]), np.int32(opt[EXTEND_DELETION])
    open_ins, ext_ins = np.int32(opt[OPEN_INSERTION] + opt[EXTEND_INSERTION]), np.int32(opt[EXTEND_INSERTION])
    p, step = task[T_TEXT], task[T_STEP]
    zero, none = np.int32(0), np.int32(-1)
    _start_row(state, lane, n, query, task[T_QUERY], start, open_ins, ext_ins)
    best, best_i, best_j, to_end, end_score, off = start, none, none, none, none, zero
    begin, end = zero, n
    for i in range(rows):
        begin = max(begin, np.int32(i - band))
        end = min(end, np.int32(i + band + 1))
        base = np.int32(text_base(words, p) << 28)
        p += step
        left = np.int32(max(start - (open_del + ext_del * i), 0)) if begin == 0 else zero
        f, key = zero, zero
        word = state[np.uint32(begin if begin < end else end), lane]
        for j in range(begin, end):
            following = state[np.uint32(j + 1), lane]  # indices without a sign are not checked for one
            h, up = np.int32(word & _SCORE), np.int32((word >> 14) & _SCORE)
            same = np.int32(word ^ base)  # the bases' difference stands above the scores
            gain = match if same <= _SCORES else (mismatch if same < np.int32(1 << 30) else _N_SCORE)
            m = np.int32(h + gain) if h != 0 else zero
            kept = np.int32((word & ~_SCORES) | left)
            left = max(m, up, f)
            key = max(key, np.int32(left << 16 | j))  # the last of the row's best cells
            up = max(np.int32(up - ext_del), np.int32(m - open_del), zero)
            f = max(np.int32(f - ext_ins), np.int32(m - open_ins), zero)
            state[np.uint32(j), lane] = np.int32(kept | up << 14)
            word = following
        state[np.uint32(end), lane] = np.int32((word & ~_SCORES) | left)
        if max(begin, end) == n and left >= end_score:
            end_score, to_end = left, np.int32(i)
        m = np.int32(key >> 16)
        if m == 0:
            break
        at = np.int32(key & 0xFFFF)
        if m > best:
            best, best_i, best_j = m, np.int32(i), at
            off = max(off, np.int32(abs(np.int32(at - i))))
        elif zdrop > 0:
            down, right = np.int32(i - best_i), np.int32(at - best_j)
            lost = np.int32((down - right) * ext_del) if down > right else np.int32((right - down) * ext_ins)
            if np.int32(best - m - lost) > zdrop:
                break
        while begin < end and state[np.uint32(begin), lane] & _SCORES == 0:
            begin = np.int32(begin + 1)
        j = end
        while j >= begin and state[np.uint32(j), lane] & _SCORES == 0:
            j = np.int32(j - 1)
        end = min(np.int32(j + 2), n)
    result[0], result[1], result[2] = best, np.int32(best_j + 1), np.int32(best_i + 1)
    result[3], result[4], result[5] = np.int32(to_end + 1), end_score, off


def _in_shared(columns):
    """The kernel of extensions of at most columns - 1 bases."""

    def extend_shared(begin, end, order, tasks, query, words, opt, results):
        """`extend_tasks`, the row in shared memory. Thread: a task."""
        state = cuda.shared.array((columns, _BLOCK), np.int32)
        i = begin + cuda.grid(1)
        if i < end:
            k = order[i]
            _extend(state, np.uint32(cuda.threadIdx.x), tasks[k], query, words, opt, results[k])

    return extend_shared


extend_64, extend_160 = (kernel(block=_BLOCK)(_in_shared(size + 1)) for size in SIZES)


@kernel(block=_BLOCK)
def extend_any(begin, end, first, order, tasks, query, words, opt, results, state):
    """`extend_tasks`, the row in device memory: state int32[longest + 1, threads]. Thread: a task."""
    i = begin + cuda.grid(1)
    if i < end:
        k = order[first + i]
        _extend(state, np.uint32(i), tasks[k], query, words, opt, results[k])


def extend_tasks(begin, end, order, tasks, query, words, longest, opt, results):
    """Do the extensions order[begin:end] of tasks; arguments as in extension_cpu, arrays on the device."""
    if longest <= SIZES[0]:
        extend_64(begin, end, order, tasks, query, words, opt, results)
    elif longest <= SIZES[1]:
        extend_160(begin, end, order, tasks, query, words, opt, results)
    elif end > begin:
        threads = min(end - begin, 1 << 16)
        state = cuda.device_array((longest + 1, threads), np.int32)
        for first in range(begin, end, threads):
            extend_any(0, min(threads, end - first), first, order, tasks, query, words, opt, results, state)


@cuda.jit(device=True, forceinline=True)
def _over_lanes(lanes, value):
    """The largest value of a task's lanes."""
    value = max(value, cuda.shfl_xor_sync(_WARP, value, 1))
    value = max(value, cuda.shfl_xor_sync(_WARP, value, 2))
    value = max(value, cuda.shfl_xor_sync(_WARP, value, 4))
    if lanes == 16:
        value = max(value, cuda.shfl_xor_sync(_WARP, value, 8))
    return value


@cuda.jit(device=True, forceinline=True)
def _crossing(lanes, lane, f, decay):
    """The insertion score that enters a lane's segment. f: that which leaves it by itself. decay: what a whole segment takes from it."""
    for d in (1, 2, 4, 8):
        if d < lanes:
            other = np.int32(cuda.shfl_up_sync(_WARP, f, d) - d * decay)
            if lane >= d:
                f = max(f, other)
    f = cuda.shfl_up_sync(_WARP, f, 1)
    return f if lane > 0 else np.int32(0)


@cuda.jit(device=True, forceinline=True)
def _second_score(peaks, count, te, reach):
    """The best score of the rows further than `reach` from row te, -1 if none."""
    second = np.int32(-1)
    for k in range(count):
        if peaks[k, 0] < te - reach or peaks[k, 0] > te + reach:
            second = max(second, peaks[k, 1])
    return second


def _local(lanes, columns):
    """The kernel of local alignments with `lanes` segments of at most `columns` columns."""
    word = np.uint64 if columns > 32 else np.uint32
    per_warp = 32 // lanes

    def local(begin, end, first, last, order, tasks, query, words, least, opt, results, peaks):
        """`local_tasks` order[first:last]. An item is a warp, which does every (end)th group of tasks. peaks: int32[tasks, rows, 2]."""
        warp = begin + cuda.grid(1) // 32
        lane, own = np.int32(cuda.threadIdx.x & (lanes - 1)), np.int32((cuda.threadIdx.x & 31) // lanes)
        if warp >= end:
            return
        match, mismatch = np.int32(opt[MATCH]), np.int32(-opt[MISMATCH])
        open_del, ext_del = np.int32(opt[OPEN_DELETION] + opt[EXTEND_DELETION]), np.int32(opt[EXTEND_DELETION])
        open_ins, ext_ins = np.int32(opt[OPEN_INSERTION] + opt[EXTEND_INSERTION]), np.int32(opt[EXTEND_INSERTION])
        floor, zero, none = np.int32(least), np.int32(0), np.int32(-1)
        h, e, miss = cuda.local.array(columns, np.int32), cuda.local.array(columns, np.int32), cuda.local.array(columns, np.int32)
        mine = peaks[warp * per_warp + own]
        for group in range(first + warp * per_warp, last, end * per_warp):
            item = group + own
            have = item < last
            task = tasks[order[item if have else group]]
            size, rows = np.int32(task[T_SIZE]), np.int32(task[T_ROWS])
            at, text = task[T_QUERY], task[T_TEXT]
            most = max(rows, cuda.shfl_xor_sync(_WARP, rows, 16))
            if lanes == 8:
                most = max(most, cuda.shfl_xor_sync(_WARP, most, 8))
            score, te, qe, second, qb, tb, stop = zero, none, zero, none, none, none, np.int32(1 << 30)
            live = have
            for again in range(np.int32(2)):
                n = np.int32(qe + 1) if again else size
                segment = np.int32((n + lanes - 1) // lanes)
                decay = np.int32(segment * ext_ins)
                is_a, is_c, is_g, is_t = word(0), word(0), word(0), word(0)
                for j in range(columns):
                    h[j], e[j], miss[j] = zero, zero, zero
                for j in range(columns):
                    if j >= segment:
                        break
                    column = np.int32(lane * segment + j)
                    if column < n:
                        code = np.int32(query[at + (qe - column if again else column)])
                        miss[j] = mismatch if code < 4 else _N_SCORE
                        bit = word(1) << word(j)
                        is_a |= bit if code == 0 else word(0)
                        is_c |= bit if code == 1 else word(0)
                        is_g |= bit if code == 2 else word(0)
                        is_t |= bit if code == 3 else word(0)
                best, row, key, tail = zero, none, np.int32(0xFFFF), zero
                count, peak_row, peak = zero, none, zero  # the last peak is not in memory yet
                going = live
                for i in range(most):
                    if cuda.ballot_sync(_WARP, going) == 0:
                        break
                    base = text_base(words, text + (te - i if again and i <= te else i)) if going else np.int64(0)
                    hits = (is_a if base == 0 else is_c) if base < 2 else (is_g if base == 2 else is_t)
                    diagonal = cuda.shfl_up_sync(_WARP, tail, 1)
                    if lane == 0:
                        diagonal = zero
                    f, top = zero, zero
                    for j in range(columns):
                        if j >= segment:
                            break
                        x = np.int32(diagonal + (match if hits & (word(1) << word(j)) else miss[j]))
                        x = max(x, e[j], f)
                        diagonal = h[j]
                        top = max(top, x)
                        h[j], tail = x, x
                        e[j] = max(np.int32(e[j] - ext_del), np.int32(x - open_del), zero)
                        f = max(np.int32(f - ext_ins), np.int32(x - open_ins), zero)
                    if cuda.ballot_sync(_WARP, f > 0) != 0:
                        f = _crossing(lanes, lane, f, decay)
                        for j in range(columns):
                            if j >= segment:
                                break
                            tail = max(h[j], f)
                            h[j] = tail
                            f = np.int32(f - ext_ins)
                    counts = going and (top > best or (again == 0 and top >= floor))
                    if cuda.ballot_sync(_WARP, counts) != 0:
                        top = _over_lanes(lanes, top)
                        if going and again == 0 and top >= floor:
                            if count == 0 or peak_row + 1 != i:
                                if count > 0 and lane == 0:
                                    mine[count - 1, 0], mine[count - 1, 1] = peak_row, peak
                                count = np.int32(count + 1)
                                peak_row, peak = np.int32(i), top
                            elif peak < top:
                                peak_row, peak = np.int32(i), top
                        if going and top > best:
                            best, row, key = top, np.int32(i), zero
                            for j in range(columns):
                                if j >= segment:
                                    break
                                key = max(key, np.int32(h[j] << 16 | (0xFFFF - (lane * segment + j))))
                            going = best < stop
                    going = going and i + 1 < rows
                column = np.int32(0xFFFF - (_over_lanes(lanes, key) & 0xFFFF))
                if again == 0:
                    score, te, qe, stop = best, row, column, best
                    if have and lane == 0:
                        if count > 0:
                            mine[count - 1, 0], mine[count - 1, 1] = peak_row, peak
                        second = _second_score(mine, count, te, np.int32((score + match - 1) // match))
                    live = have and score >= floor
                elif live and best == score:
                    qb, tb = np.int32(qe - column), np.int32(te - row)
            if have and lane == 0:
                result = results[order[item]]
                result[0], result[1], result[2], result[3], result[4], result[5] = score, second, qb, qe, tb, te

    return local


local_narrow_160, local_narrow_256, local_wide_320 = (
    kernel(per_item=32, blocks_per_sm=blocks)(_local(lanes, columns)) for lanes, columns, blocks in ((16, 10, 3), (16, 16, 4), (8, 40, 2))
)


def local_tasks(begin, end, order, tasks, query, words, longest, rows, narrow, least, opt, results):
    """Do the local alignments order[begin:end] of tasks; arguments as in extension_cpu, arrays on the device."""
    if narrow:
        chosen = local_narrow_160 if longest <= LOCAL_SIZES[True][0] else local_narrow_256
    else:
        chosen = local_wide_320
    per_warp = 2 if narrow else 4
    warps = min(-(-(end - begin) // per_warp), _WARPS)
    if warps > 0:
        peaks = cuda.device_array((warps * per_warp, rows // 2 + 1, 2), np.int32)
        chosen(0, warps, begin, end, order, tasks, query, words, least, opt, results, peaks)


_TASKS = "i8[::1], i8[:, ::1], u1[::1], u8[::1]"
_LOCAL = f"(i8, i8, i8, i8, {_TASKS}, i8, i8[::1], i4[:, ::1], i4[:, :, ::1])"
SIGNATURES = {
    "extend_64": f"(i8, i8, {_TASKS}, i8[::1], i4[:, ::1])",
    "extend_160": f"(i8, i8, {_TASKS}, i8[::1], i4[:, ::1])",
    "extend_any": f"(i8, i8, i8, {_TASKS}, i8[::1], i4[:, ::1], i4[:, ::1])",
    "local_narrow_160": _LOCAL,
    "local_narrow_256": _LOCAL,
    "local_wide_320": _LOCAL,
}
