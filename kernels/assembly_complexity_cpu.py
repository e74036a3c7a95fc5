"""How the reads of a region spread over its haplotypes: support, groups of haplotypes, distance and dominance of an allele's haplotype.

Haplotype h has events event_offset[h]:event_offset[h + 1], by start. Source: AssemblyComplexity, AlleleLikelihoods.searchBestAllele of
GATK (behaviour). CPU only: optional annotation.
"""

import numpy as np

from gpugenome.kernels.launch import jit

TIE = 0.2
"""log10 below which the best haplotype of a read is not told from the reference one."""
STAR, OPEN = 42, 60


@jit
def haplotype_support(begin, end, read_offset, filtered, matrix, matrix_offset, hap_offset, is_reference, support):
    """support int64 by haplotype: reads of regions begin..end that fit it best, those between two going to the reference if that is near.

    read_offset: int64[r+1]. filtered: uint8 per read, 1 for reads without likelihoods. matrix: float64 by region, reads x haplotypes.
    """
    for r in range(begin, end):
        a, b = hap_offset[r], hap_offset[r + 1]
        at = matrix_offset[r]
        for read in range(read_offset[r], read_offset[r + 1]):
            values = matrix[at : at + b - a]
            at += b - a
            if filtered[read]:
                continue
            top, second, best, reference = -np.inf, -np.inf, 0, -1
            for h in range(b - a):
                if is_reference[a + h]:
                    reference = h
                if values[h] > top:
                    second = top
                    top = values[h]
                    best = h
                elif values[h] > second:
                    second = values[h]
            if reference >= 0 and top - second < TIE and top - values[reference] <= TIE:
                best = reference
            support[a + best] += 1


@jit
def _same_events(h, g, site, event_offset, event_start, event_alt, event_alt_offset):
    """Whether two haplotypes have the same events (start and ALT), those at `site` aside."""
    i, j = event_offset[h], event_offset[g]
    while True:
        if i < event_offset[h + 1] and event_start[i] == site:
            i += 1
            continue
        if j < event_offset[g + 1] and event_start[j] == site:
            j += 1
            continue
        if i == event_offset[h + 1] or j == event_offset[g + 1]:
            return i == event_offset[h + 1] and j == event_offset[g + 1]
        if event_start[i] != event_start[j]:
            return False
        x = event_alt[event_alt_offset[i] : event_alt_offset[i + 1]]
        y = event_alt[event_alt_offset[j] : event_alt_offset[j + 1]]
        if len(x) != len(y):
            return False
        for k in range(len(x)):
            if x[k] != y[k]:
                return False
        i += 1
        j += 1


@jit
def _has_allele(h, site, alt, ref_length, event_offset, event_start, event_ref_length, event_alt, event_alt_offset):
    """Whether a haplotype's first event over `site` begins there and is the ALT, which may have more of the reference behind it."""
    insertion = False
    for e in range(event_offset[h], event_offset[h + 1]):
        if event_start[e] == site and event_ref_length[e] == 1 and event_alt_offset[e + 1] - event_alt_offset[e] > 1:
            insertion = True
    for e in range(event_offset[h], event_offset[h + 1]):
        last = event_start[e] + event_ref_length[e] - 1
        n = event_alt_offset[e + 1] - event_alt_offset[e]
        deletion = event_ref_length[e] > 1 and n == 1
        if event_start[e] > site or last < site or (insertion and deletion and last == site):
            continue
        if event_start[e] != site or n + ref_length - event_ref_length[e] != len(alt) or n > len(alt):
            return False
        for k in range(n):
            if event_alt[event_alt_offset[e] + k] != alt[k]:
                return False
        return True
    return False


@jit
def _own_events(h, g, site, event_offset, event_start, event_ref_length, event_alt, event_alt_offset):
    """Events of haplotype h, not at `site`, that haplotype g has not."""
    n = 0
    for e in range(event_offset[h], event_offset[h + 1]):
        if event_start[e] == site:
            continue
        found = False
        x = event_alt[event_alt_offset[e] : event_alt_offset[e + 1]]
        for f in range(event_offset[g], event_offset[g + 1]):
            y = event_alt[event_alt_offset[f] : event_alt_offset[f + 1]]
            if event_start[f] != event_start[e] or event_ref_length[f] != event_ref_length[e] or len(x) != len(y):
                continue
            same = True
            for k in range(len(x)):
                same &= x[k] == y[k]
            found |= same
        n += not found
    return n


@jit
def _is_before(h, g, support, hap_base, hap_base_offset):
    """Whether haplotype h comes before g by support, then by its bases as text."""
    if support[h] != support[g]:
        return support[h] > support[g]
    x = hap_base[hap_base_offset[h] : hap_base_offset[h + 1]]
    y = hap_base[hap_base_offset[g] : hap_base_offset[g + 1]]
    for k in range(min(len(x), len(y))):
        if x[k] != y[k]:
            return x[k] < y[k]
    return len(x) < len(y)


@jit
def complexity(begin, end, region, start, allele_offset, allele_base, allele_base_offset, hap_offset, hap_base, hap_base_offset, support,
               event_offset, event_start, event_ref_length, event_alt, event_alt_offset, group_offset, group_support, groups, distance,
               dominance):  # fmt: skip
    """HEC, HAPCOMP and HAPDOM of each call.

    group_support: int64 at group_offset[i] (room for the region's haplotypes), descending, groups int64[c] of them: reads of each group of
    haplotypes that differ at the call's site only. By ALT, row allele_offset[i] - i + j: distance int64, events elsewhere by which its
    best-supported haplotype differs from the nearer germline one (the region's best-supported, and the next if it has half as many reads);
    dominance float64, that haplotype's share of the ALT's reads. Both are 0 for '*' and symbolic alleles.
    """
    for i in range(begin, end):
        a, b = hap_offset[region[i]], hap_offset[region[i] + 1]
        site = start[i]
        n = 0
        germline, second = a, -1
        for h in range(a + 1, b):
            if _is_before(h, germline, support, hap_base, hap_base_offset):
                germline, second = h, germline
            elif second < 0 or _is_before(h, second, support, hap_base, hap_base_offset):
                second = h
        if second >= 0 and support[second] < support[germline] // 2:
            second = -1
        mine = group_support[group_offset[i] : group_offset[i + 1]]
        leader = np.empty(b - a, np.int64)
        for h in range(a, b):
            which = -1
            for g in range(n):
                if _same_events(h, leader[g], site, event_offset, event_start, event_alt, event_alt_offset):
                    which = g
                    break
            if which < 0:
                which = n
                leader[n] = h
                mine[n] = 0
                n += 1
            mine[which] += support[h]
        for g in range(1, n):  # insertion sort, descending
            value = mine[g]
            k = g
            while k > 0 and mine[k - 1] < value:
                mine[k] = mine[k - 1]
                k -= 1
            mine[k] = value
        groups[i] = n
        first = allele_offset[i]
        ref_length = allele_base_offset[first + 1] - allele_base_offset[first]
        for row in range(first + 1, allele_offset[i + 1]):
            alt = allele_base[allele_base_offset[row] : allele_base_offset[row + 1]]
            distance[row - i - 1] = 0
            dominance[row - i - 1] = 0.0
            if alt[0] == STAR or alt[0] == OPEN:
                continue
            best, total = -1, np.int64(0)
            for h in range(a, b):
                if _has_allele(h, site, alt, ref_length, event_offset, event_start, event_ref_length, event_alt, event_alt_offset):
                    total += support[h]
                    if best < 0 or _is_before(h, best, support, hap_base, hap_base_offset):
                        best = h
            if best < 0:
                continue
            dominance[row - i - 1] = support[best] / total if total > 0 else 1.0 / (b - a)
            nearest = np.int64(1 << 30)
            for g in (germline, second):
                if g >= 0:
                    away = _own_events(best, g, site, event_offset, event_start, event_ref_length, event_alt, event_alt_offset)
                    away += _own_events(g, best, site, event_offset, event_start, event_ref_length, event_alt, event_alt_offset)
                    nearest = min(nearest, np.int64(away))
            distance[row - i - 1] = nearest
