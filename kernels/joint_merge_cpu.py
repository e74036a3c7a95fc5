"""Records of several GVCFs at one position as one record: alleles, likelihoods and depths remapped, annotations summed or their median.

An output record i takes entries entry_offset[i]..entry_offset[i + 1] (rows of the source records, in the order in which alleles are
collected). A source allele is data[allele_start[a] : allele_start[a] + allele_length[a]], those of row r by allele_offset, REF first.
`source` maps, for each entry and allele of the output, to the index of an allele of the entry's row.
Source: ReferenceConfidenceVariantContextMerger, AlleleSubsettingUtils of GATK (behaviour; chapter "GVCF and joint genotyping", 8.1, 9.3).
"""

import numpy as np

from gpugenome.kernels.joint_merge_scalar import (
    NON_REF,
    NON_REF_LENGTH,
    OPEN,
    REFERENCE,
    SPANNING,
    is_non_ref,
    is_spanning,
    merged_call,
    remap_sample,
    remapped,
)
from gpugenome.kernels.launch import jit

GENOTYPE, COMBINE_AND_GENOTYPE, COMBINE = 0, 1, 2
"""What merging is for: records of one file that are genotyped (<NON_REF> goes); records of several files, as if combined first; a GVCF."""
NO_NON_REF, BAD_PL, OTHER_REF = 1, 2, 3

@jit
def _upper(c):
    return c - 32 if 97 <= c <= 122 else c


@jit
def _is_mixed(data, allele_start, allele_length, a, b):
    """Whether the ALTs of a record (REF is allele a) are of several kinds: symbolic, SNP, MNP, indel."""
    kinds = 0
    for j in range(a + 1, b):
        text = data[allele_start[j] : allele_start[j] + allele_length[j]]
        if text[0] == OPEN:
            kinds |= 1
        elif len(text) != allele_length[a]:
            kinds |= 2
        else:
            kinds |= 4 if len(text) == 1 else 8
    return kinds & (kinds - 1) != 0


@jit
def _all_symbolic(data, allele_start, a, b):
    for j in range(a + 1, b):
        if data[allele_start[j]] != OPEN:
            return False
    return True


@jit
def _equal(data, s, n, extra, t, m, other_extra, ref_start, ref_length):
    """Whether two alleles are equal: data[s : s + n] with the last `extra` bases of the common REF behind it, and the other likewise."""
    if n + extra != m + other_extra:
        return False
    for k in range(n + extra):
        x = data[s + k] if k < n else data[ref_start + ref_length - extra + k - n]
        y = data[t + k] if k < m else data[ref_start + ref_length - other_extra + k - m]
        if _upper(x) != _upper(y):
            return False
    return True


@jit
def _longest_ref(rows, pos, row_start, data, allele_offset, allele_start, allele_length):
    """(allele of the longest REF of the rows that start at pos, -1 for none; whether two of them contradict each other)."""
    best = np.int64(-1)
    for r in rows:
        if row_start[r] == pos:
            a = allele_offset[r]
            if best < 0 or allele_length[a] > allele_length[best]:
                best = a
    for r in rows:
        if row_start[r] == pos:
            a = allele_offset[r]
            if not _equal(data, allele_start[a], allele_length[a], 0, allele_start[best], allele_length[a], 0, 0, 0):
                return best, True
    return best, False


@jit
def _targets(rows, pos, row_start, data, allele_offset, allele_start, allele_length, mode, ref, target, extra):
    """Alleles of an output record in `target` (source allele or code; REF first) and `extra` (bases of REF behind it); their number."""
    target[0] = REFERENCE
    n = 1
    ref_length = allele_length[ref] if ref >= 0 else 1
    ref_start = allele_start[ref] if ref >= 0 else 0
    spanning, mixed_here, has_star = False, False, False
    for r in rows:
        a, b = allele_offset[r], allele_offset[r + 1]
        spans = row_start[r] != pos
        mixed = _is_mixed(data, allele_start, allele_length, a, b)
        spanning = spanning or (spans and mixed)
        mixed_here = mixed_here or (not spans and mixed)
        all_symbolic = _all_symbolic(data, allele_start, a, b)
        for j in range(a + 1, b):
            s, m = allele_start[j], allele_length[j]
            spanning = spanning or is_spanning(data[s : s + m])
            code = remapped(data, s, m, spans, allele_length[a])
            if code == SPANNING:
                if not has_star:
                    target[n] = SPANNING
                    extra[n] = 0
                    n += 1
                has_star = True
            elif code == 0:
                symbolic = data[s] == OPEN
                if symbolic and all_symbolic:
                    continue
                more = 0 if symbolic else ref_length - allele_length[a]
                known = False
                for t in range(1, n):
                    if target[t] >= 0:
                        u = target[t]
                        known = known or _equal(data, s, m, more, allele_start[u], allele_length[u], extra[t], ref_start, ref_length)
                if not known:
                    target[n] = j
                    extra[n] = more
                    n += 1
    if spanning and not has_star and (mixed_here or mode != GENOTYPE):
        target[n] = SPANNING
        extra[n] = 0
        n += 1
    if mode == COMBINE:
        target[n] = NON_REF
        extra[n] = 0
        n += 1
    return n


@jit
def _most_alleles(begin, end, entry_offset, entry_row, allele_offset):
    most = 4
    for i in range(begin, end):
        n = 4
        for e in range(entry_offset[i], entry_offset[i + 1]):
            n += allele_offset[entry_row[e] + 1] - allele_offset[entry_row[e]]
        most = max(most, n)
    return most


@jit
def count_alleles(begin, end, entry_offset, entry_row, pos, row_start, data, allele_offset, allele_start, allele_length, mode,
                  count, size, problem):  # fmt: skip
    """count int64: alleles of output records begin..end; size int64: bytes of their texts. pos: int32, 0-based position of each.

    problem uint8: NO_NON_REF where an entry lacks <NON_REF>, OTHER_REF where REFs contradict each other.
    """
    most = _most_alleles(begin, end, entry_offset, entry_row, allele_offset)
    target, extra = np.empty(most, np.int64), np.empty(most, np.int64)
    for i in range(begin, end):
        rows = entry_row[entry_offset[i] : entry_offset[i + 1]]
        problem[i] = 0
        for r in rows:
            found = False
            for j in range(allele_offset[r] + 1, allele_offset[r + 1]):
                found = found or is_non_ref(data[allele_start[j] : allele_start[j] + allele_length[j]])
            if not found:
                problem[i] = NO_NON_REF
        ref, contradiction = _longest_ref(rows, pos[i], row_start, data, allele_offset, allele_start, allele_length)
        if contradiction:
            problem[i] = OTHER_REF
        n = _targets(rows, pos[i], row_start, data, allele_offset, allele_start, allele_length, mode, ref, target, extra)
        count[i] = n
        size[i] = allele_length[ref] if ref >= 0 else 1
        for t in range(1, n):
            if target[t] >= 0:
                size[i] += allele_length[target[t]] + extra[t]
            else:
                size[i] += 1 if target[t] == SPANNING else NON_REF_LENGTH


@jit
def fill_alleles(begin, end, entry_offset, entry_row, pos, row_start, data, allele_offset, allele_start, allele_length, mode,
                 ref_base, out_offset, byte_offset, base, base_offset, code, map_offset, source, many_stars):  # fmt: skip
    """Alleles of output records begin..end and where each comes from.

    ref_base: uint8, REF of records at which no entry starts. Output: base uint8, base_offset int64 (one longer, by out_offset) from
    byte_offset[i] on; code int64 by out_offset: REFERENCE, SPANNING, NON_REF or 0; source int16 by map_offset (int64, by entry);
    many_stars uint8 by entry: several alleles of the row became '*'.
    """
    most = _most_alleles(begin, end, entry_offset, entry_row, allele_offset)
    target, extra = np.empty(most, np.int64), np.empty(most, np.int64)
    symbol = (60, 78, 79, 78, 95, 82, 69, 70, 62)
    for i in range(begin, end):
        rows = entry_row[entry_offset[i] : entry_offset[i + 1]]
        ref, _ = _longest_ref(rows, pos[i], row_start, data, allele_offset, allele_start, allele_length)
        n = _targets(rows, pos[i], row_start, data, allele_offset, allele_start, allele_length, mode, ref, target, extra)
        ref_length = allele_length[ref] if ref >= 0 else 1
        ref_start = allele_start[ref] if ref >= 0 else 0
        at = byte_offset[i]
        for t in range(n):
            row = out_offset[i] + t
            base_offset[row] = at
            code[row] = min(target[t], 0)
            if t == 0 and ref < 0:
                base[at] = ref_base[i]
                at += 1
            elif target[t] == SPANNING:
                base[at] = 42
                at += 1
            elif target[t] == NON_REF:
                for k in range(NON_REF_LENGTH):
                    base[at + k] = symbol[k]
                at += NON_REF_LENGTH
            else:
                a = ref if t == 0 else target[t]
                symbolic = data[allele_start[a]] == OPEN
                for k in range(allele_length[a]):
                    c = data[allele_start[a] + k]
                    base[at + k] = c if symbolic else _upper(c)
                at += allele_length[a]
                for k in range(extra[t] if t > 0 else 0):
                    base[at + k] = _upper(data[ref_start + ref_length - extra[t] + k])
                at += extra[t] if t > 0 else 0
        for e in range(entry_offset[i], entry_offset[i + 1]):
            r = entry_row[e]
            a, b = allele_offset[r], allele_offset[r + 1]
            spans = row_start[r] != pos[i]
            non_ref, stars = 0, 0
            mine = source[map_offset[e] : map_offset[e + 1]]
            mine[:] = -1
            mine[0] = 0
            for j in range(a + 1, b):
                s, m = allele_start[j], allele_length[j]
                made = remapped(data, s, m, spans, allele_length[a])
                if made == NON_REF:
                    non_ref = j - a
                stars += made == SPANNING
                more = 0 if data[s] == OPEN else ref_length - allele_length[a]
                for t in range(1, n):
                    if mine[t] >= 0 or made == REFERENCE:
                        continue
                    if made == 0 and target[t] >= 0:
                        u = target[t]
                        if _equal(data, s, m, more, allele_start[u], allele_length[u], extra[t], ref_start, ref_length):
                            mine[t] = j - a
                    elif made < 0 and target[t] == made:
                        mine[t] = j - a
            many_stars[e] = stars > 1
            for t in range(1, n):
                if mine[t] < 0:
                    mine[t] = non_ref


@jit
def remap_values(begin, end, samples, pos, row_of, entry_of, row_start, data, allele_offset, allele_start, allele_length, out_offset, code,
                 map_offset, source, many_stars, ploidy, genotype_of, pl, pl_offset, ad, ad_offset, choose, out_pl, out_pl_offset, out_ad,
                 out_ad_offset):  # fmt: skip
    """PL and AD of output records begin..end.

    row_of, entry_of, genotype_of: int64[n * samples]: the source row, the entry and the source genotype that each sample takes, -1 for
    none. ploidy: int32 by source genotype. pl, ad: int32 by pl_offset, ad_offset int64 by source genotype. choose: int64[a, k]:
    C(a + k - 1, k). Output by out_pl_offset, out_ad_offset int64[n * samples + 1]; empty rows stay so. Returns the first record with a PL
    of another length than its alleles ask for, or -1.
    """
    genotype, most = np.empty(choose.shape[1], np.int64), 1
    for i in range(begin, end):
        most = max(most, out_offset[i + 1] - out_offset[i])
    mine = np.empty(most, np.int64)
    for i in range(begin, end):
        n, codes = out_offset[i + 1] - out_offset[i], code[out_offset[i] : out_offset[i + 1]]
        for d in range(i * samples, (i + 1) * samples):
            q, e = genotype_of[d], entry_of[d]
            if q >= 0 and not remap_sample(
                row_of[d], ploidy[q], pos[i], n, codes, source[map_offset[e] : map_offset[e + 1]], many_stars[e], row_start, data,
                allele_offset, allele_start, allele_length, pl[pl_offset[q] : pl_offset[q + 1]], ad[ad_offset[q] : ad_offset[q + 1]],
                choose, mine, genotype, out_pl[out_pl_offset[d] : out_pl_offset[d + 1]], out_ad[out_ad_offset[d] : out_ad_offset[d + 1]],
            ):  # fmt: skip
                return i
    return -1


@jit
def merged_calls(begin, end, samples, pos, row_of, entry_of, genotype_of, row_start, data, allele_offset, allele_start, allele_length,
                 out_offset, code, map_offset, source, allele, gq, dp, pl, pl_offset, out, cleared):  # fmt: skip
    """Genotypes that single-file records keep when they are merged: out int16[n * samples, p]; cleared uint8: everything else is dropped.

    allele: int16, gq, dp: int32 by source genotype (-1 absent). A genotype without information becomes a no-call; alleles that the output
    does not have become REF. Returns the first record with a genotype of an allele that it does not have, or -1.
    """
    for i in range(begin, end):
        n, codes = out_offset[i + 1] - out_offset[i], code[out_offset[i] : out_offset[i + 1]]
        for d in range(i * samples, (i + 1) * samples):
            q, e = genotype_of[d], entry_of[d]
            cleared[d] = 0
            out[d, :] = -2
            if q < 0:
                continue
            dropped = merged_call(
                row_of[d], pos[i], n, codes, source[map_offset[e] : map_offset[e + 1]], row_start, data, allele_offset, allele_start,
                allele_length, allele[q], gq[q], dp[q], pl[pl_offset[q] : pl_offset[q + 1]], out[d],
            )  # fmt: skip
            if dropped < 0:
                return i
            cleared[d] = dropped
    return -1


@jit
def medians(begin, end, entry_offset, entry_row, pos, row_start, value, value_offset, is_number, out, present):
    """Upper median of a numeric annotation over the entries that start at each output record: out float64, present uint8."""
    for i in range(begin, end):
        n = 0
        for e in range(entry_offset[i], entry_offset[i + 1]):
            if row_start[entry_row[e]] == pos[i]:
                n += value_offset[entry_row[e] + 1] - value_offset[entry_row[e]]
        found = np.empty(n)
        n = 0
        for e in range(entry_offset[i], entry_offset[i + 1]):
            r = entry_row[e]
            if row_start[r] == pos[i]:
                for k in range(value_offset[r], value_offset[r + 1]):
                    if not is_number[k]:
                        break
                    found[n] = value[k]
                    n += 1
        present[i] = n > 0
        out[i] = np.sort(found[:n])[n // 2] if n > 0 else 0.0


@jit
def join_ids(begin, end, entry_offset, entry_row, pos, row_start, data, start, length, fill, offset, out, size):
    """Distinct IDs of the entries that start at each record, commas between; with `fill` to out[offset[i]:], else size int64 (0: none)."""
    for i in range(begin, end):
        total = np.int64(0)
        for e in range(entry_offset[i], entry_offset[i + 1]):
            r = entry_row[e]
            if row_start[r] != pos[i] or length[r] < 0:
                continue
            known = False
            for f in range(entry_offset[i], e):
                other = entry_row[f]
                if row_start[other] == pos[i] and length[other] == length[r]:
                    same = True
                    for k in range(length[r]):
                        same = same and data[start[other] + k] == data[start[r] + k]
                    known = known or same
            if known:
                continue
            if total > 0:
                if fill:
                    out[offset[i] + total] = 44
                total += 1
            if fill:
                for k in range(length[r]):
                    out[offset[i] + total + k] = data[start[r] + k]
            total += length[r]
        size[i] = total
