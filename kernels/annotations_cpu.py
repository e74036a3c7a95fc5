"""Annotations of calls from their evidence: which allele each read supports, what it shows at the site, and counts over reads and samples.

Calls i have evidence rows evidence_offset[i]:evidence_offset[i + 1] (reads) and a matrix of log10 likelihoods, reads x columns, the columns
being alleles of the merged site. Positions are 0-based. Source: chapter "annotations", sections 2-7, 9.
"""

import math

import numpy as np

from gpugenome.kernels.annotations_scalar import excess_het_phred, fisher_phred, genotype_votes, strand_odds_ratio
from gpugenome.kernels.java_math_scalar import pow10
from gpugenome.kernels.launch import jit

INFORMATIVE_GAP = 0.2
"""log10 by which the best allele must beat the second best."""
OP_I, OP_D, OP_N, OP_S, OP_H = 1, 2, 3, 4, 5
READ_OPS = 1 | 2 | 16 | 128 | 256  # M I S = X
REF_OPS = 1 | 4 | 8 | 128 | 256  # M D N = X


@jit
def best_alleles(begin, end, matrix, matrix_offset, evidence_offset, column_offset, column_allele, column, full, subset, best):
    """The allele of the call that each evidence row supports, -1 where it is not informative.

    full: int16, over all columns (-1 also where the best allele was dropped); subset: int16, over the columns of the call's alleles only.
    column: int16, the matrix column behind `full`, dropped alleles included. best: float64, the highest likelihood over all columns.
    """
    for i in range(begin, end):
        columns = column_allele[column_offset[i] : column_offset[i + 1]]
        k = len(columns)
        at = matrix_offset[i]
        for row in range(evidence_offset[i], evidence_offset[i + 1]):
            values = matrix[at : at + k]
            at += k
            top, second, top_kept, second_kept = -np.inf, -np.inf, -np.inf, -np.inf
            which, which_kept = 0, -1
            for j in range(k):
                v = values[j]
                if v > top:
                    second = top
                    top = v
                    which = j
                elif v > second:
                    second = v
                if columns[j] < 0:
                    continue
                if v > top_kept or which_kept < 0:
                    second_kept = top_kept
                    top_kept = v
                    which_kept = columns[j]
                elif v > second_kept:
                    second_kept = v
            column[row] = which if top - second > INFORMATIVE_GAP else -1
            full[row] = columns[which] if column[row] >= 0 else -1
            subset[row] = which_kept if top_kept - second_kept > INFORMATIVE_GAP else -1
            best[row] = top


@jit
def _offset_at(cigar, soft_start, pos):
    """(read offset, operator) at a position, soft clips counting as aligned; inside a gap the offset of the next base.

    (-1, -1) beyond the read.
    """
    offset = np.int64(0)
    at = np.int64(soft_start)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        uses_read = (READ_OPS >> op) & 1 == 1
        if op == OP_S or (REF_OPS >> op) & 1:
            if at <= pos < at + length:
                return (offset + pos - at if uses_read else offset), op
            at += length
        if uses_read:
            offset += length
    return np.int64(-1), np.int64(-1)


@jit
def _ends(cigar, start):
    """(alignment end, soft start, soft end, hard clip left, hard clip right, first operator inside the clips); ends exclusive."""
    stop = np.int64(start)
    soft_left, soft_right, hard_left, hard_right = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    first = np.int64(-1)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        if op == OP_H:
            if first < 0 and soft_left == 0:
                hard_left = length
            else:
                hard_right = length
        elif op == OP_S:
            if first < 0:
                soft_left = length
            else:
                soft_right = length
        else:
            if first < 0:
                first = op
            if (REF_OPS >> op) & 1:
                stop += length
    return stop, start - soft_left, stop + soft_right, hard_left, hard_right, first


@jit
def read_values(begin, end, pos, ref_end, evidence_offset, evidence_read, read_start, cigar, cigar_offset, base, qual, base_offset,
                base_quality, position, spans, clipped, is_n):  # fmt: skip
    """What each evidence row shows at its call's site.

    pos, ref_end: int32[c], first and one past the last REF base (before trimming). Outputs per row: base_quality float64, NaN where no
    base is aligned at `pos`; position float64, distance from the nearer end of the unclipped read, NaN where it has none; spans uint8,
    the alignment covers `pos`; clipped int32, hard-clipped bases; is_n uint8, the base at `pos` is N.
    """
    for i in range(begin, end):
        site = np.int64(pos[i])
        last = np.int64(ref_end[i]) - 1
        for row in range(evidence_offset[i], evidence_offset[i + 1]):
            r = evidence_read[row]
            words = cigar[cigar_offset[r] : cigar_offset[r + 1]]
            length = base_offset[r + 1] - base_offset[r]
            start = np.int64(read_start[r])
            stop, soft_start, soft_stop, left, right, first = _ends(words, start)
            offset, op = _offset_at(words, soft_start, site)
            inside = start <= site < stop
            aligned = inside and offset >= 0 and op != OP_D and op != OP_N
            spans[row] = inside
            clipped[row] = left + right
            base_quality[row] = qual[base_offset[r] + offset] if aligned else np.nan
            is_n[row] = aligned and base[base_offset[r] + offset] == 78
            position[row] = np.nan
            if soft_start <= last + 1 and soft_stop - 1 >= site:
                if start == last + 1 and first == OP_I:
                    position[row] = 0.0
                elif offset >= 0:
                    position[row] = min(left + offset, length - 1 - offset + right)


@jit
def count_alleles(begin, end, evidence_offset, allele, sample, reverse, allele_offset, samples, out):
    """Informative reads by sample, allele and strand.

    out: int32, samples x alleles x 2 of call i in C order from allele_offset[i] * samples * 2 on.
    """
    for i in range(begin, end):
        n_alleles = allele_offset[i + 1] - allele_offset[i]
        first = allele_offset[i] * samples * 2
        for row in range(evidence_offset[i], evidence_offset[i + 1]):
            if allele[row] >= 0:
                out[first + (sample[row] * n_alleles + allele[row]) * 2 + reverse[row]] += 1


@jit
def strand_bias(begin, end, fisher_table, odds_table, log_factorial, fisher, odds):
    """FS and SOR of each call from its strand tables int64[c, 4] (ref+, ref-, alt+, alt-)."""
    for i in range(begin, end):
        t = fisher_table[i]
        fisher[i] = fisher_phred(t[0], t[1], t[2], t[3], log_factorial)
        u = odds_table[i]
        odds[i] = strand_odds_ratio(u[0], u[1], u[2], u[3])


@jit
def genotype_counts(begin, end, allele_offset, gt, gq, pl, pl_offset, rounded, out):
    """out float64[c, 5]: counts of 0/0, 0/x and x/x from PLs, called diploid samples with PLs or GQ, these and uncalled ones with PLs.

    gt: int16[c, s, ploidy] as in CallBatch. gq: int32[c, s]. pl: int32 by pl_offset int64[c * s + 1].
    """
    samples, ploidy = gt.shape[1], gt.shape[2]
    for i in range(begin, end):
        n_alleles = allele_offset[i + 1] - allele_offset[i]
        out[i] = 0.0
        for s in range(samples):
            row = i * samples + s
            diploid = ploidy >= 2 and gt[i, s, 1] != -2 and (ploidy == 2 or gt[i, s, 2] == -2)
            if not diploid:
                continue
            called = gt[i, s, 0] >= 0 or gt[i, s, 1] >= 0
            values = pl[pl_offset[row] : pl_offset[row + 1]]
            if len(values) > 0:
                ref, het, hom = genotype_votes(values, n_alleles, rounded)
                out[i, 0] += ref
                out[i, 1] += het
                out[i, 2] += hom
                out[i, 4] += 1.0
            elif called and gq[i, s] >= 0:
                out[i, 4] += 1.0
                if gt[i, s, 0] == 0 and gt[i, s, 1] == 0:
                    p = 1.0 if rounded else 1.0 / 3.0 if gq[i, s] == 0 else 1.0 - pow10(gq[i, s] / -10.0)
                    out[i, 0] += p
                    out[i, 1] += 0.0 if rounded else 1.0 / 3.0 if gq[i, s] == 0 else 1.0 - p
                    out[i, 2] += 1.0 / 3.0 if gq[i, s] == 0 and not rounded else 0.0
            if called and (len(values) > 0 or gq[i, s] >= 0):
                out[i, 3] += 1.0


@jit
def excess_het(begin, end, counts, out):
    """ExcessHet of each call (float64[c]) from `genotype_counts`."""
    for i in range(begin, end):
        out[i] = excess_het_phred(np.int64(counts[i, 0]), np.int64(counts[i, 1]), np.int64(counts[i, 2]))


@jit
def gaussians(state, saved, out):
    """Standard normal values of java.util.Random by the polar method, as many as `out` (float64) holds.

    state: int64, the 48-bit generator. saved: the value kept from the call before, NaN for none. Returns (state, saved).
    """
    mask = (np.int64(1) << 48) - 1
    for i in range(len(out)):
        if not math.isnan(saved):
            out[i] = saved
            saved = np.nan
            continue
        while True:
            pair0, pair1 = 0.0, 0.0
            for which in range(2):
                state = (state * np.int64(0x5DEECE66D) + np.int64(11)) & mask
                high = state >> 22
                state = (state * np.int64(0x5DEECE66D) + np.int64(11)) & mask
                x = 2.0 * (((high << 27) + (state >> 21)) * 2.0**-53) - 1.0
                if which == 0:
                    pair0 = x
                else:
                    pair1 = x
            s = pair0 * pair0 + pair1 * pair1
            if 0.0 < s < 1.0:
                break
        m = math.sqrt(-2.0 * math.log(s) / s)
        out[i] = pair0 * m
        saved = pair1 * m
    return state, saved


@jit
def medians(begin, end, evidence_offset, allele_offset, allele, value, default, out):
    """Median of each allele's values (NaN: none), halves rounded up; out int64 by allele row. Alleles without values get `default`."""
    for i in range(begin, end):
        a, b = evidence_offset[i], evidence_offset[i + 1]
        mine = np.empty(b - a)
        for row in range(allele_offset[i], allele_offset[i + 1]):
            n = 0
            for k in range(a, b):
                if allele[k] == row - allele_offset[i] and not math.isnan(value[k]):
                    mine[n] = value[k]
                    n += 1
            out[row] = default
            if n > 0:
                ordered = np.sort(mine[:n])
                middle = ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2.0
                out[row] = np.int64(math.floor(middle + 0.5))
