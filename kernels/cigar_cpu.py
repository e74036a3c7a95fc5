"""CIGARs as BAM words (length << 4 | op): building in GATK's normal form, clipping, trimming and left alignment.

Scalar functions for other kernels; nothing here is called from Python except by tests. A CIGAR is a uint32 slice.
A builder is a buffer `out` uint32[cap] plus a state `st` int64[5]; call `builder_reset`, `builder_add` ..., `builder_make`
(which returns the number of elements in `out`; `st[LEADING]`/`st[TRAILING]` then hold the end deletions that were dropped).

Source: GATK CigarBuilder, CigarUtils, AlignmentUtils (behaviour; specification chapter "assembly", sections 2, 11.3, 11.4).
"""

import numpy as np

from gpugenome.kernels.launch import jit

OP_M, OP_I, OP_D, OP_N, OP_S, OP_H, OP_P, OP_EQ, OP_X = 0, 1, 2, 3, 4, 5, 6, 7, 8
READ_MASK = 1 | 2 | 16 | 128 | 256  # ops that consume read bases: M I S = X
REF_MASK = 1 | 4 | 8 | 128 | 256  # ops that consume reference bases: M D N = X
CLIP_MASK = 16 | 32  # S H
ALIGNED_MASK = 1 | 128 | 256  # M = X

COUNT, LAST, LEADING, TRAILING, REMOVE = 0, 1, 2, 3, 4  # slots of a builder's state


@jit
def read_length(cigar):
    """Read bases that a CIGAR consumes (soft clips count)."""
    n = 0
    for w in cigar:
        if (READ_MASK >> (w & 15)) & 1:
            n += w >> 4
    return np.int64(n)


@jit
def ref_length(cigar):
    """Reference bases that a CIGAR consumes."""
    n = 0
    for w in cigar:
        if (REF_MASK >> (w & 15)) & 1:
            n += w >> 4
    return np.int64(n)


@jit
def builder_reset(st, remove_end_deletions):
    """Start an empty CIGAR. remove_end_deletions: 1 drops (and counts) deletions at the ends."""
    st[COUNT] = 0
    st[LAST] = -1
    st[LEADING] = 0
    st[TRAILING] = 0
    st[REMOVE] = remove_end_deletions


@jit
def _ends_deletion_insertion(out, st):
    n = st[COUNT]
    return st[LAST] == OP_I and n > 1 and (out[n - 2] & 15) == OP_D


@jit
def _push(out, st, length, op):
    out[st[COUNT]] = np.uint32((length << 4) | op)
    st[COUNT] += 1


@jit
def _leading_deletion(out, st):
    """Whether a deletion added now would stand at the start (clips and one leading insertion do not count)."""
    last = st[LAST]
    if last == -1 or (CLIP_MASK >> last) & 1:
        return True
    n = st[COUNT]
    return last == OP_I and (n == 1 or (CLIP_MASK >> np.int64(out[n - 2] & 15)) & 1 == 1)


@jit
def _add_clip(out, st, length, op):
    n, last = st[COUNT], st[LAST]
    if st[REMOVE] and not (READ_MASK >> last) & 1 and not (CLIP_MASK >> last) & 1:
        st[TRAILING] += np.int64(out[n - 1] >> 4)
        out[n - 1] = np.uint32((length << 4) | op)
        st[LAST] = op
    elif st[REMOVE] and _ends_deletion_insertion(out, st):
        st[TRAILING] += np.int64(out[n - 2] >> 4)
        out[n - 2] = out[n - 1]
        out[n - 1] = np.uint32((length << 4) | op)
        # The builder's idea of the last operator stays that of the insertion.
    else:
        _push(out, st, length, op)
        st[LAST] = op


@jit
def builder_add(out, st, length, op):
    """Append one element: empty ones are ignored, equal neighbours merge, `I D` is stored as `D I`."""
    length = np.int64(length)
    op = np.int64(op)
    if length == 0:
        return
    if st[REMOVE] and op == OP_D and _leading_deletion(out, st):
        st[LEADING] += length
        return
    n, last = st[COUNT], st[LAST]
    if op == last:
        out[n - 1] += np.uint32(length << 4)
    elif last == -1:
        _push(out, st, length, op)
        st[LAST] = op
    elif (CLIP_MASK >> op) & 1:
        _add_clip(out, st, length, op)
    elif op == OP_D and last == OP_I:
        if n > 1 and (out[n - 2] & 15) == OP_D:
            out[n - 2] += np.uint32(length << 4)
        else:
            out[n] = out[n - 1]
            out[n - 1] = np.uint32((length << 4) | op)
            st[COUNT] = n + 1
    else:
        _push(out, st, length, op)
        st[LAST] = op


@jit
def builder_add_all(out, st, cigar):
    """Append every element of a CIGAR."""
    for w in cigar:
        builder_add(out, st, np.int64(w >> 4), np.int64(w & 15))


@jit
def builder_make(out, st):
    """Finish: drop and count a trailing deletion (also one before a trailing insertion). Number of elements."""
    n = st[COUNT]
    if st[REMOVE]:
        if st[LAST] == OP_D:
            st[TRAILING] += np.int64(out[n - 1] >> 4)
            n -= 1
        elif _ends_deletion_insertion(out, st):
            st[TRAILING] += np.int64(out[n - 2] >> 4)
            out[n - 2] = out[n - 1]
            n -= 1
    st[COUNT] = n
    return n


@jit
def clip_cigar(cigar, start, stop, clip_op, out, st):
    """Turn read bases [start, stop), one end of the read, into `clip_op`; number of elements in `out`.

    start == 0 is the left end. A deletion that touches the clip vanishes. `out` needs len(cigar) + 3 words.
    """
    left = start == 0
    builder_reset(st, 1)
    a = np.int64(0)
    for w in cigar:
        op = np.int64(w & 15)
        length = np.int64(w >> 4)
        if op == OP_H:
            builder_add(out, st, length, op)
            continue
        uses_read = (READ_MASK >> op) & 1 == 1
        b = a + length if uses_read else a
        if b <= start or a >= stop:
            if uses_read or (a != start and a != stop):
                builder_add(out, st, length, op)
        else:
            keep = b - stop if left else start - a
            if keep <= 0:
                if uses_read:
                    builder_add(out, st, length, clip_op)
            elif left:
                builder_add(out, st, length - keep, clip_op)
                builder_add(out, st, keep, op)
            else:
                builder_add(out, st, keep, op)
                builder_add(out, st, length - keep, clip_op)
        a = b
    return builder_make(out, st)


@jit
def start_shift(cigar, clipped):
    """Reference bases by which the start moves when the first `clipped` read bases are hard clipped."""
    shift = np.int64(0)
    a = np.int64(0)
    for w in cigar:
        op = np.int64(w & 15)
        length = np.int64(w >> 4)
        if op == OP_H:
            continue
        b = a + length if (READ_MASK >> op) & 1 else a
        uses_ref = (REF_MASK >> op) & 1 == 1
        if b <= clipped:  # also a deletion right after the clip
            if uses_ref:
                shift += length
        else:
            if a < clipped and uses_ref:
                shift += clipped - a
            if a < clipped:
                break
        a = b
    return shift


@jit
def trim_cigar(cigar, start, end, by_ref, out, st):
    """The part of a CIGAR from `start` to `end` (both inclusive, reference bases if by_ref else read bases).

    Elements of no length in that unit at `start` or just after `end` stay whole. Number of elements in `out`;
    st[LEADING], st[TRAILING]: end deletions dropped.
    """
    mask = REF_MASK if by_ref else READ_MASK
    builder_reset(st, 1)
    e0 = np.int64(0)
    for w in cigar:
        op = np.int64(w & 15)
        length = np.int64(w >> 4)
        s0 = e0
        if (mask >> op) & 1:
            e0 += length
        if e0 < start or (e0 == start and s0 < start):
            continue
        if s0 > end and e0 > end + 1:
            break
        builder_add(out, st, length if e0 == s0 else min(end + 1, e0) - max(start, s0), op)
    return builder_make(out, st)


@jit
def has_indel(cigar):
    """Whether there is an I or D element."""
    for w in cigar:
        op = w & 15
        if op == OP_I or op == OP_D:
            return True
    return False


@jit
def left_align(cigar, ref, read, read_start, work, out, st):
    """Move every indel as far left as the bases allow; number of elements in `out`.

    ref, read: uint8 bases; read_start: index in `ref` of the first aligned base. work: uint32[5 * len(cigar) + 4] scratch,
    out: the same size. st[LEADING], st[TRAILING]: deletions that ended at an end and were dropped. A CIGAR without
    indel is copied.
    """
    if not has_indel(cigar):
        for i in range(len(cigar)):
            out[i] = cigar[i]
        builder_reset(st, 1)
        st[COUNT] = len(cigar)
        return np.int64(len(cigar))
    n_work = 0  # elements from right to left
    rs = read_start + ref_length(cigar)
    re = rs
    qs = np.int64(len(read))
    qe = qs
    for index in range(len(cigar) - 1, -1, -1):
        op = np.int64(cigar[index] & 15)
        length = np.int64(cigar[index] >> 4)
        uses_ref = length if (REF_MASK >> op) & 1 else 0
        uses_read = length if (READ_MASK >> op) & 1 else 0
        if op == OP_D:
            rs -= length
        elif op == OP_I:
            qs -= length
        elif rs == re and qs == qe:
            work[n_work] = cigar[index]
            n_work += 1
            rs -= uses_ref
            re -= uses_ref
            qs -= uses_read
            qe -= uses_read
        else:
            aligned = (ALIGNED_MASK >> op) & 1 == 1
            max_shift = length if aligned else 0
            begin_shift = 0
            end_shift = 0
            size = min(re - rs, qe - qs)
            while size > 0 and ref[re - 1] == read[qe - 1]:
                re -= 1
                qe -= 1
                size -= 1
                end_shift += 1
            while size > 0 and ref[rs] == read[qs]:
                rs += 1
                qs += 1
                size -= 1
                begin_shift -= 1
            while begin_shift < max_shift and ref[rs - 1] == read[qs - 1] and ref[re - 1] == read[qe - 1]:
                rs -= 1
                re -= 1
                qs -= 1
                qe -= 1
                begin_shift += 1
                end_shift += 1
            work[n_work] = np.uint32((end_shift << 4) | OP_M)
            n_work += 1
            new_left = max(-begin_shift, 0)
            remaining = length if begin_shift < 0 else length - begin_shift
            if index == 0 or begin_shift < max_shift or not aligned:
                work[n_work] = np.uint32(((re - rs) << 4) | OP_D)
                work[n_work + 1] = np.uint32(((qe - qs) << 4) | OP_I)
                n_work += 2
                d = new_left + (remaining if uses_ref else 0)
                re = rs - d
                rs = re
                d = new_left + (remaining if uses_read else 0)
                qe = qs - d
                qs = qe
            work[n_work] = np.uint32((new_left << 4) | OP_M)
            work[n_work + 1] = np.uint32((remaining << 4) | op)
            n_work += 2
    work[n_work] = np.uint32(((re - rs) << 4) | OP_D)
    work[n_work + 1] = np.uint32(((qe - qs) << 4) | OP_I)
    n_work += 2
    builder_reset(st, 1)
    for i in range(n_work - 1, -1, -1):
        builder_add(out, st, np.int64(work[i] >> 4), np.int64(work[i] & 15))
    return builder_make(out, st)


@jit
def soft_clips(cigar):
    """Soft-clipped bases at the left and at the right end."""
    left, right, inside = np.int64(0), np.int64(0), False
    for w in cigar:
        op = w & 15
        if op == OP_S:
            if inside:
                right = np.int64(w >> 4)
            else:
                left = np.int64(w >> 4)
        elif op != OP_H:
            inside = True
    return left, right
