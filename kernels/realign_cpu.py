"""Around the PairHMM: qualities it is given, cap and filter of its results, and realignment of reads to their best haplotype.

Source: GATK PairHMMLikelihoodCalculationEngine, TandemRepeat, AlleleLikelihoods, AlignmentUtils.createReadAlignedToRef
(behaviour; specification chapter "likelihoods and genotyping", sections 3, 5, 6).
"""

import math

import numpy as np

from gpugenome.kernels.bits import equal_bytes, trailing_zeros
from gpugenome.kernels.cigar_cpu import (
    builder_add,
    builder_make,
    builder_reset,
    left_align,
    ref_length,
    soft_clips,
)
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_cpu import align_one, scratch
from gpugenome.kernels.smith_waterman_scalar import SOFTCLIP

LONGEST_UNIT, MOST_REPEATS = 8, 20
M, I, D, S, H = 0, 1, 2, 4, 5


@jit
def _note_run(first, stop, unit, beyond, opening, gaps):
    """Bases first..stop equal those `unit` further on: qualities of the gaps before the bases where a repeat begins.

    beyond: also the gap before the last base of a homopolymer.
    """
    for k in range(stop if beyond else max(first, 1), stop + 1 if beyond else stop - unit + 1):
        gaps[k - 1] = opening[min(1 + (stop - k) // unit + (k - first) // unit, MOST_REPEATS)]


@jit
def _note_repeats(padded, n, unit, beyond, opening, gaps):
    """`_note_run` of all repeats of a unit. padded: uint8, n bases and 64 + LONGEST_UNIT more."""
    first = np.int64(-1)  # of the run of bases that equal those a unit on
    for at in range(0, n - unit, 64):
        same = equal_bytes(padded, at, padded, at + unit)
        if n - unit - at < 64:
            same &= (np.uint64(1) << np.uint64(n - unit - at)) - np.uint64(1)
        while True:
            x = np.int64(0)
            if first < 0:
                x = trailing_zeros(same)
                if x == 64:
                    break
                first = at + x
            x = trailing_zeros(~(same | ((np.uint64(1) << np.uint64(x)) - np.uint64(1))))
            if x == 64:
                break
            if at + x - first >= unit:
                _note_run(first, at + x, unit, beyond, opening, gaps)
            first = -1
            same &= ~((np.uint64(1) << np.uint64(x)) - np.uint64(1))
    if first >= 0 and n - unit - first >= unit:
        _note_run(first, n - unit, unit, beyond, opening, gaps)


@jit
def _gap_qualities(padded, n, opening, gaps):
    """Qualities by the copies of the tandem repeat around the gap behind each base.

    The repeat is that of the shortest unit which the bases behind the gap begin with twice or more, else of one base. Copies before the
    gap count as well. opening: uint8[21] by copies. gaps: uint8[n].
    """
    for k in range(n - 1):
        gaps[k] = opening[1]
    gaps[n - 1] = opening[0]
    _note_repeats(padded, n, 1, True, opening, gaps)
    for unit in range(LONGEST_UNIT, 0, -1):
        _note_repeats(padded, n, unit, False, opening, gaps)


@jit
def _capped(qual, highest, floor, out):
    """out = qual, at most `highest`, and 6 where that is below `floor`."""
    for k in range(len(qual)):
        q = min(qual[k], highest)
        out[k] = np.uint8(6) if q < floor else q


@jit
def hmm_qualities(begin, end, base, qual, offset, mapq, cap_to_mapq, floor, pcr, base_qual, gap_qual):
    """Qualities for the PairHMM of reads begin..end.

    base, qual: uint8 by offset. mapq: uint8[n]. floor: base qualities below it become 6. pcr: int64[21] quality of an insertion or
    deletion by repeat length, or empty. Output: base_qual, gap_qual (insertion and deletion opening): uint8 by offset.
    """
    longest = 1
    for r in range(begin, end):
        longest = max(longest, offset[r + 1] - offset[r])
    padded = np.empty(longest + 64 + LONGEST_UNIT, np.uint8)
    opening = np.full(MOST_REPEATS + 1, 45, np.uint8)
    for n in range(1, len(pcr)):
        opening[n] = max(6, min(45, pcr[n]))
    least = np.uint8(max(0, min(floor, 255)))
    for r in range(begin, end):
        a, n = offset[r], offset[r + 1] - offset[r]
        _capped(qual[a : a + n], np.uint8(mapq[r] if cap_to_mapq else 255), least, base_qual[a : a + n])
        padded[:n] = base[a : a + n]
        _gap_qualities(padded, n, opening, gap_qual[a : a + n])


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

    base: uint8 by base_offset, without what is soft clipped; the clips are put back into the CIGAR. region: int64 by read. span_start:
    int32 by region, where its haplotypes begin. scores: int64[4]: match, mismatch, gap open, extend.
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
        n1, at = align_one(hap, read, scores[0], scores[1], scores[2], scores[3], SOFTCLIP, letters, lanes, back, fourth)
        builder_reset(st, 1)  # a deletion between the clip and the first aligned base goes, and what follows stays where it is
        for w in fourth[:n1]:
            builder_add(first, st, np.int64(w >> 4), np.int64(w & 15))
        n1 = builder_make(first, st)
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
def without_soft_clips(begin, end, base, qual, base_offset, cigar, cigar_offset, core_base, core_qual, core_offset):
    """Copy the bases and qualities (uint8 by base_offset) of reads begin..end that no soft clip has; core_offset: int64[n + 1]."""
    for i in range(begin, end):
        left, _ = soft_clips(cigar[cigar_offset[i] : cigar_offset[i + 1]])
        a, n = base_offset[i] + left, core_offset[i + 1] - core_offset[i]
        core_base[core_offset[i] : core_offset[i + 1]] = base[a : a + n]
        core_qual[core_offset[i] : core_offset[i + 1]] = qual[a : a + n]


@jit
def reference_spans(begin, end, cigar, cigar_offset, out):
    """out[i] = reference bases of read i's CIGAR."""
    for i in range(begin, end):
        out[i] = ref_length(cigar[cigar_offset[i] : cigar_offset[i + 1]])
