"""What merging does for one allele, or for one sample of a record, shared by CPU and CUDA.

Rows, entries and alleles: see joint_merge_cpu. Source: ReferenceConfidenceVariantContextMerger, AlleleSubsettingUtils of GATK (behaviour;
chapter "GVCF and joint genotyping", 8.1, 9.3).
"""

import numpy as np

from gpugenome.kernels.launch import jit

REFERENCE, SPANNING, NON_REF = -1, -2, -3
OPEN = 60
NON_REF_LENGTH = 9


@jit
def is_non_ref(text):
    """Whether an allele is <NON_REF>."""
    if len(text) != NON_REF_LENGTH or text[0] != OPEN:
        return False
    return text[1] == 78 and text[2] == 79 and text[3] == 78 and text[4] == 95 and text[5] == 82 and text[6] == 69 and text[7] == 70


@jit
def is_spanning(text):
    """Whether an allele is '*'."""
    return len(text) == 1 and text[0] == 42


@jit
def _length(text):
    """An allele's length in bases, 0 for a symbolic one."""
    return 0 if len(text) > 0 and text[0] == OPEN else len(text)


@jit
def remapped(data, s, n, spans, ref_length):
    """What becomes of an ALT: SPANNING, NON_REF, REFERENCE (nothing: it is a no-call) or 0 (kept, with bases behind it)."""
    text = data[s : s + n]
    if is_non_ref(text):
        return NON_REF
    if spans:
        return SPANNING if _length(text) < ref_length else REFERENCE
    return SPANNING if is_spanning(text) else 0


@jit
def _next_genotype(g, ploidy):
    """Replace a genotype (alleles ascending) by the next in the order of VCF."""
    j = 0
    while j < ploidy - 1 and g[j] == g[j + 1]:
        j += 1
    g[j] += 1
    for k in range(j):
        g[k] = 0


@jit
def mapped_index(g, ploidy, mine, choose):
    """Row, in VCF order, of the genotype with the alleles mine[g]. choose: int64[a, k]: C(a + k - 1, k)."""
    index, last, ascending = np.int64(0), np.int64(-1), True
    for k in range(ploidy):
        x = np.int64(mine[g[k]])
        ascending = ascending and x >= last
        index += choose[x, k + 1]
        last = x
    if ascending:
        return index
    index = np.int64(0)
    for k in range(ploidy):
        x, place = mine[g[k]], 1
        for j in range(ploidy):
            y = mine[g[j]]
            place += y < x or (y == x and j < k)
        index += choose[x, place]
    return index


@jit
def _best_star(row, pos, mine_pl, ploidy, row_start, data, allele_offset, allele_start, allele_length, choose):
    """Of the alleles of a row that become '*' the one whose homozygote is likeliest."""
    a = allele_offset[row]
    best, best_pl = 0, np.int64(2147483647)
    for j in range(a + 1, allele_offset[row + 1]):
        if remapped(data, allele_start[j], allele_length[j], row_start[row] != pos, allele_length[a]) == SPANNING:
            index = np.int64(0)
            for k in range(ploidy):
                index += choose[j - a, k + 1]
            if mine_pl[index] < best_pl:
                best_pl = np.int64(mine_pl[index])
                best = j - a
    return best


@jit
def remap_sample(r, p, pos, n, code, source, has_many_stars, row_start, data, allele_offset, allele_start, allele_length, values, depths,
                 choose, mine, genotype, out_pl, out_ad):  # fmt: skip
    """PL and AD of one sample of an output record; False for PLs of another number than the source's alleles ask for.

    r: source row; p: ploidy. code: of the record's n alleles; source: the map of the row's entry. values, depths: the source's PL and AD.
    mine (n) and genotype (p whole numbers): scratch. out_pl, out_ad: empty where there is nothing to make.
    """
    if len(out_pl) > 0 or (has_many_stars and len(values) > 0):
        if len(values) != choose[allele_offset[r + 1] - allele_offset[r], p]:
            return False
    for t in range(n):
        mine[t] = source[t]
    if has_many_stars and len(values) > 0:
        star = _best_star(r, pos, values, p, row_start, data, allele_offset, allele_start, allele_length, choose)
        for t in range(1, n):
            if code[t] == SPANNING:
                mine[t] = star
    for k in range(p):
        genotype[k] = 0
    for g in range(len(out_pl)):
        out_pl[g] = values[mapped_index(genotype, p, mine, choose)]
        _next_genotype(genotype, p)
    for t in range(len(out_ad)):
        out_ad[t] = depths[mine[t]] if mine[t] < len(depths) else 0
    return True


@jit
def merged_call(r, pos, n, code, source, row_start, data, allele_offset, allele_start, allele_length, allele, gq, dp, values, out):
    """Genotype `out` int16[p] that a sample of an output record keeps of its source genotype `allele` int16[p]: 0 or 1 (everything else
    of the sample is dropped), -1 if the source names an allele that its row does not have. Other arguments: as in `remap_sample`.
    """
    informative, hom_ref, no_call, dropped = False, True, True, 0
    for x in values:
        informative = informative or x != 0
    for x in allele:
        if x == -2:
            break
        hom_ref = hom_ref and x == 0
        no_call = no_call and x == -1
    called = informative or gq > 0
    if called and gq == 0:
        if hom_ref or no_call:
            called = False
            dropped = 1 if dp == 0 else 0
        elif len(values) == 0 or values[0] == 0:
            called = False
    spans = row_start[r] != pos
    for k in range(len(out)):
        x = allele[k]
        if x < 0 or not called:
            out[k] = -2 if x == -2 else -1
            continue
        out[k] = 0
        j = allele_offset[r] + x
        if j >= allele_offset[r + 1]:
            return -1
        text = data[allele_start[j] : allele_start[j] + allele_length[j]]
        for t in range(1, n):
            if spans and code[t] == SPANNING and is_spanning(text):
                out[k] = t
            elif not spans and not is_non_ref(text) and source[t] == x:
                out[k] = t
    return dropped
