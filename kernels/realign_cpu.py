"""Around the PairHMM: qualities it is given, cap and filter of its results, and realignment of reads to their best haplotype.

Source: GATK PairHMMLikelihoodCalculationEngine, TandemRepeat, AlleleLikelihoods, AlignmentUtils.createReadAlignedToRef
(behaviour; specification chapter "likelihoods and genotyping", sections 3, 5, 6).
"""

import math

import numpy as np

from gpugenome.kernels.cigar_cpu import (
    builder_add,
    builder_make,
    builder_reset,
    left_align,
    read_length,
    ref_length,
)
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_cpu import align_one, scratch
from gpugenome.kernels.smith_waterman_scalar import SOFTCLIP

LONGEST_UNIT, MOST_REPEATS = 8, 20
M, I, D, S, H = 0, 1, 2, 4, 5


@jit
def _copies_before(base, end, unit, length):
    """Consecutive copies of base[unit:unit+length] that end at `end`."""
    n, at = 0, end - length
    while at >= 0:
        for k in range(length):
            if base[at + k] != base[unit + k]:
                return n
        n += 1
        at -= length
    return n


@jit
def find_repeats(base, after, after_copies, before, before_copies):
    """Tandem repeats that begin (after) and end (before, its last base) at each base: shortest unit with two copies or more, copies.

    Unit and copies are 1 where there is none. Outputs: int64[len(base)].
    """
    n = len(base)
    after[:n], after_copies[:n], before[:n], before_copies[:n] = 1, 1, 1, 1
    for unit in range(LONGEST_UNIT, 0, -1):
        # bases k in a row with base[k] == base[k + unit] are k // unit more copies
        run = 0
        for k in range(n - unit - 1, -1, -1):
            run = run + 1 if base[k] == base[k + unit] else 0
            if run >= unit:
                after[k] = unit
                after_copies[k] = 1 + run // unit
        run = 0
        for k in range(unit, n):
            run = run + 1 if base[k] == base[k - unit] else 0
            if run >= unit:
                before[k] = unit
                before_copies[k] = 1 + run // unit


@jit
def _repeat_length(base, i, after, after_copies, before, before_copies):
    """Copies of the tandem repeat around the gap after base i (i + 1 < len(base)), at most 20."""
    unit = after[i + 1]
    same = before[i] == unit
    k = 0
    while same and k < unit:
        same = base[i + 1 + k] == base[i + 1 - unit + k]
        k += 1
    more = before_copies[i] if same else _copies_before(base, i + 1, i + 1, unit)
    return min(after_copies[i + 1] + more, MOST_REPEATS)


@jit
def hmm_qualities(begin, end, base, qual, offset, mapq, cap_to_mapq, floor, pcr, base_qual, gap_qual):
    """Qualities for the PairHMM of reads begin..end.

    base, qual: uint8 by offset. mapq: uint8[n]. floor: base qualities below it become 6. pcr: int64[21] quality of an insertion or
    deletion by repeat length, or empty. Output: base_qual, gap_qual (insertion and deletion opening): uint8 by offset.
    """
    longest = 1
    for r in range(begin, end):
        longest = max(longest, offset[r + 1] - offset[r])
    after, after_copies = np.empty(longest, np.int64), np.empty(longest, np.int64)
    before, before_copies = np.empty(longest, np.int64), np.empty(longest, np.int64)
    for r in range(begin, end):
        a, n = offset[r], offset[r + 1] - offset[r]
        b = base[a : a + n]
        if len(pcr) > 0:
            find_repeats(b, after, after_copies, before, before_copies)
        for k in range(n):
            q = np.int64(qual[a + k])
            if cap_to_mapq:
                q = min(q, np.int64(mapq[r]))
            base_qual[a + k] = 6 if q < floor else q
            g = 45
            if len(pcr) > 0 and k + 1 < n:
                g = min(g, pcr[_repeat_length(b, k, after, after_copies, before, before_copies)])
            gap_qual[a + k] = max(g, 6)


@jit
def _best_haplotype(row, reference, elements):
    """The best haplotype, the reference and simple CIGARs winning near ties. row: likelihoods; elements: CIGAR elements."""
    n = len(row)
    best, second = 0, -1
    for h in range(1, n):
        if row[h] > row[best]:
            second = best
            best = h
        elif second < 0 or row[h] > row[second]:
            second = h
    if second < 0 or row[best] - row[second] >= 0.2:
        return best
    top = row[best]
    for h in range(n):
        if h == best or top - row[h] > 0.2:
            continue
        mine = reference[h] + 1 - elements[h]
        if mine > reference[best] + 1 - elements[best]:
            second = best
            best = h
        elif mine > reference[second] + 1 - elements[second]:
            second = h
    return best


@jit
def _best_alternate(row, reference):
    top = -np.inf
    for h in range(len(row)):
        if not reference[h]:
            top = max(top, row[h])
    return top


@jit
def cap_and_filter(begin, end, region, offset, filtered, region_row, matrix, matrix_offset, haplotype_offset, hap_is_reference,
                   hap_cigar_offset, mismapping, without_reference, mismatch_rate, keep, best):  # fmt: skip
    """Raise likelihoods to the best plus `mismapping` (log10, negative), mark reads that no haplotype explains, find best haplotypes.

    without_reference: the reference's likelihood does not count as the best.

    region: int64[n], region of each read; region_row: first read of each region. offset: bases of the reads.
    matrix: float64, changed in place. keep: uint8[n]. best: int32[n].
    """
    for i in range(begin, end):
        r = region[i]
        h0, h1 = haplotype_offset[r], haplotype_offset[r + 1]
        n = h1 - h0
        at = matrix_offset[r] + (i - region_row[r]) * n
        row = matrix[at : at + n]
        keep[i], best[i] = 1, -1
        if filtered[i]:
            continue
        top = -np.inf
        for h in range(n):
            top = max(top, row[h])
        if n > 1:
            low = top + mismapping
            if without_reference:
                low = _best_alternate(row, hap_is_reference[h0:h1]) + mismapping
            for h in range(n):
                if row[h] < low:
                    row[h] = low
        length = offset[i + 1] - offset[i]
        if not top >= -4.0 * min(2.0, math.ceil(length * mismatch_rate)):
            keep[i] = 0
            continue
        elements = hap_cigar_offset[h0 + 1 : h1 + 1] - hap_cigar_offset[h0:h1]
        best[i] = _best_haplotype(row, hap_is_reference[h0:h1].astype(np.int64), elements)


@jit
def _reference_before(cigar, offset):
    """Reference bases of a haplotype's CIGAR before its base `offset`."""
    if offset == 0:
        return np.int64(0)
    on_ref, on_hap = np.int64(0), np.int64(0)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        uses_ref = op == M or op == D
        if uses_ref:
            on_ref += length
        if op == M or op == I:
            on_hap += length
            if on_hap >= offset:
                return on_ref - (on_hap - offset if uses_ref else 0)
    return on_ref


@jit
def _drop_front(cigar, offset, out, st):
    """A haplotype's CIGAR without its first `offset` bases and with 1000 M at the end: number of elements in `out`."""
    builder_reset(st, 1)
    at = np.int64(0)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        if op == M or op == I:
            kept = min(length, at + length - offset)
            at += length
            if kept > 0:
                builder_add(out, st, kept, op)
        elif at >= offset:
            builder_add(out, st, length, op)
    builder_add(out, st, 1000, M)
    return builder_make(out, st)


@jit
def _compose(read_to_hap, hap_to_ref, out, st):
    """read -> haplotype -> reference, base by base; clips of the first become insertions. Number of elements in `out`."""
    builder_reset(st, 1)
    i = j = 0
    left_i = np.int64(read_to_hap[0] >> 4)
    left_j = np.int64(hap_to_ref[0] >> 4)
    while i < len(read_to_hap) and j < len(hap_to_ref):
        a, b = np.int64(read_to_hap[i] & 15), np.int64(hap_to_ref[j] & 15)
        step_i = step_j = True
        op = M
        if a == I or a == S:
            op, step_j = I, False
        elif b == D:
            op, step_i = D, False
        elif a == M:
            op = b
        else:
            op = D if b == M else -1
        n = min(left_i, left_j) if step_i and step_j else (left_i if step_i else left_j)
        if op >= 0:
            builder_add(out, st, n, op)
        if step_i:
            left_i -= n
            if left_i == 0:
                i += 1
                if i < len(read_to_hap):
                    left_i = np.int64(read_to_hap[i] >> 4)
        if step_j:
            left_j -= n
            if left_j == 0:
                j += 1
                if j < len(hap_to_ref):
                    left_j = np.int64(hap_to_ref[j] >> 4)
    return builder_make(out, st)


@jit
def realign(begin, end, rows, region, span_start, start, base, base_offset, cigar, cigar_offset, best, haplotype_offset, hap_base,
            hap_base_offset, hap_cigar, hap_cigar_offset, hap_is_reference, scores, new_start):  # fmt: skip
    """Reads rows[begin:end] on the reference by way of their best haplotype (best -1: left as they are).

    region: int64 by read. span_start: int32 by region, where its haplotypes begin. scores: int64[4]: match, mismatch, gap open, extend.
    new_start: int32 by position in rows. Returns (CIGAR words of all, elements of each).
    """
    longest_read, longest_hap = 1, 1
    for x in range(begin, end):
        i = rows[x]
        longest_read = max(longest_read, base_offset[i + 1] - base_offset[i])
        r = region[i]
        for h in range(haplotype_offset[r], haplotype_offset[r + 1]):
            longest_hap = max(longest_hap, hap_base_offset[h + 1] - hap_base_offset[h])
    letters, lanes, back = scratch(longest_hap, longest_read)
    room = 2 * (longest_read + longest_hap) + 64
    first, second, third = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.uint32)
    fourth, work = np.empty(5 * room, np.uint32), np.empty(5 * room, np.uint32)
    st = np.zeros(5, np.int64)
    words, used = np.empty(16 * (end - begin) + 2 * room, np.uint32), 0
    count = np.empty(end - begin, np.int64)
    for x in range(begin, end):
        i = rows[x]
        old = cigar[cigar_offset[i] : cigar_offset[i + 1]]
        if used + len(old) + 2 * room > len(words):
            more = np.empty(2 * len(words), np.uint32)
            more[:used] = words[:used]
            words = more
        if best[i] < 0:
            new_start[x] = start[i]
            words[used : used + len(old)] = old
            used += len(old)
            count[x - begin] = len(old)
            continue
        r = region[i]
        h = haplotype_offset[r] + best[i]
        hap = hap_base[hap_base_offset[h] : hap_base_offset[h + 1]]
        read = base[base_offset[i] : base_offset[i + 1]]
        n1, at = align_one(hap, read, scores[0], scores[1], scores[2], scores[3], SOFTCLIP, letters, lanes, back, first)
        hap_to_ref = hap_cigar[hap_cigar_offset[h] : hap_cigar_offset[h + 1]]
        ref_start = _reference_before(hap_to_ref, at)
        n2 = _drop_front(hap_to_ref, at, second, st)
        n3 = _compose(first[:n1], second[:n2], third, st)
        g = haplotype_offset[r]
        while not hap_is_reference[g]:
            g += 1
        reference = hap_base[hap_base_offset[g] : hap_base_offset[g + 1]]
        n4 = left_align(third[:n3], reference, read, ref_start, work, fourth, st)
        new_start[x] = span_start[r] + ref_start + st[2]
        from_ = used
        for w in old:
            if w & 15 != H and w & 15 != S:
                break
            words[used] = w
            used += 1
        words[used : used + n4] = fourth[:n4]
        used += n4
        tail = len(old)
        while tail > 0 and (old[tail - 1] & 15 == H or old[tail - 1] & 15 == S):
            tail -= 1
        if tail > 0:
            words[used : used + len(old) - tail] = old[tail:]
            used += len(old) - tail
        count[x - begin] = used - from_
    return words[:used].copy(), count


@jit
def reference_spans(begin, end, cigar, cigar_offset, out):
    """out[i] = reference bases of read i's CIGAR."""
    for i in range(begin, end):
        out[i] = ref_length(cigar[cigar_offset[i] : cigar_offset[i + 1]])


@jit
def read_spans(begin, end, cigar, cigar_offset, out):
    """out[i] = read bases of read i's CIGAR."""
    for i in range(begin, end):
        out[i] = read_length(cigar[cigar_offset[i] : cigar_offset[i + 1]])
