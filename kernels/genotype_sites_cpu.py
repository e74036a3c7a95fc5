"""Loci of a region, their merged alleles and the haplotypes of each allele. Coordinates are 0-based.

An allele is the row of one of its events, or REFERENCE, SPANNING ("*") or NON_REF.
Source: GATK EventMap.getOverlappingEvents, AssemblyBasedCallerUtils (getVariantsFromActiveHaplotypes, makeMergedVariantContext,
createAlleleMapper), HaplotypeCallerGenotypingEngine.removeAltAllelesIfTooManyGenotypes (behaviour; specification chapter
"likelihoods and genotyping", sections 7.1 to 7.4).
"""

import numpy as np

from gpugenome.kernels.given_records_cpu import STAR
from gpugenome.kernels.launch import jit

REFERENCE, SPANNING, NON_REF = -1, -2, -3


@jit
def _starts(first, last, span_start, span_end, event_start, work):
    """Distinct starts of events first..last inside the span, ascending, in `work`; their number."""
    n = 0
    for e in range(first, last):
        if span_start <= event_start[e] < span_end:
            work[n] = event_start[e]
            n += 1
    work[:n].sort()
    distinct = 0
    for k in range(n):
        if k == 0 or work[k] != work[k - 1]:
            work[distinct] = work[k]
            distinct += 1
    return distinct


@jit
def _most_events(begin, end, hap_offset, event_offset):
    most = 0
    for r in range(begin, end):
        most = max(most, event_offset[hap_offset[r + 1]] - event_offset[hap_offset[r]])
    return most


@jit
def count_loci(begin, end, span_start, span_end, hap_offset, event_offset, event_start, count):
    """count[r] = loci of region r: distinct starts of events inside its variant span. int64[regions]."""
    work = np.empty(_most_events(begin, end, hap_offset, event_offset), np.int32)
    for r in range(begin, end):
        first, last = event_offset[hap_offset[r]], event_offset[hap_offset[r + 1]]
        count[r] = _starts(first, last, span_start[r], span_end[r], event_start, work)


@jit
def fill_loci(begin, end, span_start, span_end, hap_offset, event_offset, event_start, locus_offset, region, start):
    """The loci of regions begin..end, ascending: region and start, int32 by locus_offset."""
    work = np.empty(_most_events(begin, end, hap_offset, event_offset), np.int32)
    for r in range(begin, end):
        first, last = event_offset[hap_offset[r]], event_offset[hap_offset[r + 1]]
        n = _starts(first, last, span_start[r], span_end[r], event_start, work)
        for k in range(n):
            region[locus_offset[r] + k] = r
            start[locus_offset[r] + k] = work[k]


@jit
def _at_locus(first, last, locus, event_start, ref_length, alt_offset):
    """Of one haplotype's events first..last: whether one from further left covers the locus, and which starts there (-1: none).

    Beside an insertion, a deletion that ends exactly at the locus does not count.
    """
    here = -1
    stop = first
    while stop < last and event_start[stop] <= locus:
        if event_start[stop] == locus:
            here = stop
        stop += 1
    insertion = here >= 0 and ref_length[here] == 1 and alt_offset[here + 1] - alt_offset[here] > 1
    for e in range(first, stop):
        reach = event_start[e] + ref_length[e]
        if event_start[e] < locus and reach > locus:
            deletion = alt_offset[e + 1] - alt_offset[e] == 1
            if not (insertion and deletion and reach == locus + 1):
                return True, here
    return False, here


@jit
def _same_alt(a, b, event_start, ref_length, alt, alt_offset, contig):
    """Whether two events with one start have the same ALT on the longer of their REFs."""
    if ref_length[a] < ref_length[b]:
        a, b = b, a
    la, lb = alt_offset[a + 1] - alt_offset[a], alt_offset[b + 1] - alt_offset[b]
    if la - ref_length[a] != lb - ref_length[b]:
        return False
    for k in range(lb):
        if alt[alt_offset[a] + k] != alt[alt_offset[b] + k]:
            return False
    rest = event_start[a] + ref_length[b] - lb
    for k in range(lb, la):
        if alt[alt_offset[a] + k] != contig[rest + k]:
            return False
    return True


@jit
def allele_byte(code, k, start, event_ref_length, alt, alt_offset, contig):
    """Base k of an allele that is REFERENCE or an event starting at `start`, on a REF long enough."""
    if code == REFERENCE:
        return contig[start + k]
    n = alt_offset[code + 1] - alt_offset[code]
    return alt[alt_offset[code] + k] if k < n else contig[start + event_ref_length[code] + k - n]


@jit
def _precedes(a, b, best, second, alleles, length, start, ref_length, alt, alt_offset, contig):
    """Whether allele a (index, not REF) has precedence over allele b: by haplotype scores, then by bases."""
    if best[a] != best[b]:
        return best[a] > best[b]
    if second[a] != second[b]:
        return second[a] > second[b]
    if alleles[a] == SPANNING or alleles[b] == SPANNING:
        return alleles[a] == SPANNING
    for k in range(min(length[a], length[b])):
        x = allele_byte(alleles[a], k, start, ref_length, alt, alt_offset, contig)
        y = allele_byte(alleles[b], k, start, ref_length, alt, alt_offset, contig)
        if x != y:
            return x < y
    return length[a] < length[b]


@jit
def _drop_excess(alleles, n, most, haps, score, start, site_ref, ref_length, alt, alt_offset, contig):
    """Keep the `most` alleles whose haplotypes score best, order unchanged; `haps` (allele of each haplotype) follows. Number kept."""
    best, second, length = np.full(n, -np.inf), np.full(n, -np.inf), np.ones(n, np.int64)
    for h in range(len(haps)):
        a = haps[h]
        if score[h] > best[a]:
            second[a] = best[a]
            best[a] = score[h]
        elif score[h] > second[a]:
            second[a] = score[h]
    for a in range(n):
        if alleles[a] >= 0:
            e = alleles[a]
            length[a] = alt_offset[e + 1] - alt_offset[e] + site_ref - ref_length[e]
    new = np.full(n, -1, np.int64)
    kept = 0
    for a in range(n):
        before = 0
        if a > 0:
            before = 1
            for b in range(1, n):
                if b != a and _precedes(b, a, best, second, alleles, length, start, ref_length, alt, alt_offset, contig):
                    before += 1
        if before < most:
            new[a] = kept
            alleles[kept] = alleles[a]
            kept += 1
    for h in range(len(haps)):
        haps[h] = new[haps[h]]
    return kept


@jit
def _collect_alleles(h0, haps, locus, with_spanning, event_offset, event_start, ref_length, alt, alt_offset, contig, alleles):
    """Alleles of a locus in order of appearance and the allele of each haplotype: (number of alleles, length of the merged REF).

    haps: int16, one an haplotype from row h0 on. A haplotype that a spanning event covers counts for "*" only, whatever starts there.
    """
    alleles[0] = REFERENCE
    n, spanning, longest = 1, -1, 1
    for h in range(len(haps)):
        covered, here = _at_locus(event_offset[h0 + h], event_offset[h0 + h + 1], locus, event_start, ref_length, alt_offset)
        haps[h] = 0
        if covered and with_spanning:
            if spanning < 0:
                spanning = n
                alleles[n] = SPANNING
                n += 1
            haps[h] = spanning
        if here >= 0:
            longest = max(longest, ref_length[here])
            a = 1
            while a < n and not (alleles[a] >= 0 and _same_alt(alleles[a], here, event_start, ref_length, alt, alt_offset, contig)):
                a += 1
            if a == n:
                alleles[n] = here
                n += 1
            if not covered:
                haps[h] = a
    return n, longest


@jit
def site_alleles(
    begin, end, site_region, site_start, hap_offset, score, event_offset, event_start, ref_length, alt, alt_offset, contig, with_spanning,
    with_non_ref, most_alleles, room_offset, allele, hap_allele, hap_allele_offset, count, merged_count, site_ref_length,
):  # fmt: skip
    """Merged alleles of sites begin..end.

    site_region, site_start: int32. The haplotypes' score float64 and events (`HaplotypeEvents`) by hap_offset; contig: uint8 bases.
    most_alleles: what --max-genotype-count allows. room_offset: int64[n+1], at least the haplotypes + 3 for each site.
    Output: allele int64 by room_offset, the first count[i] of them used (REF first, NON_REF last if wanted); hap_allele int16 by
    hap_allele_offset: the allele of each haplotype of the region, -1 where it was dropped; merged_count: alleles before any was dropped
    for the number of genotypes; site_ref_length: bases of the merged REF. All int32[n] unless said otherwise.
    """
    for i in range(begin, end):
        r = site_region[i]
        h0 = hap_offset[r]
        haps = hap_allele[hap_allele_offset[i] : hap_allele_offset[i + 1]]
        mine = allele[room_offset[i] : room_offset[i + 1]]
        n, site_ref = _collect_alleles(
            h0, haps, site_start[i], with_spanning, event_offset, event_start, ref_length, alt, alt_offset, contig, mine
        )
        merged_count[i] = n + with_non_ref
        if n > most_alleles:
            n = _drop_excess(mine, n, most_alleles, haps, score[h0 : h0 + len(haps)], site_start[i], site_ref, ref_length, alt, alt_offset,
                             contig)  # fmt: skip
        if with_non_ref:
            mine[n] = NON_REF
            n += 1
        count[i] = n
        site_ref_length[i] = site_ref


@jit
def allele_lengths(begin, end, site_allele_offset, allele, site_ref_length, ref_length, alt_offset, length):
    """length[k] = bases of allele k (int32): 1 for "*", 0 for <NON_REF>."""
    for i in range(begin, end):
        for k in range(site_allele_offset[i], site_allele_offset[i + 1]):
            code = allele[k]
            if code >= 0:
                length[k] = alt_offset[code + 1] - alt_offset[code] + site_ref_length[i] - ref_length[code]
            elif code == REFERENCE:
                length[k] = site_ref_length[i]
            else:
                length[k] = 1 if code == SPANNING else 0


@jit
def _matches_given(code, n, start, site_ref, g, given_ref_length, given_alt, given_alt_offset, ref_length, alt, alt_offset, contig):
    """Whether an allele of n bases and a given one change the length alike and one ALT begins with the other, wherever they start."""
    m = given_alt_offset[g + 1] - given_alt_offset[g]
    if n - site_ref != m - given_ref_length[g]:
        return False
    for k in range(min(n, m)):
        base = np.uint8(STAR) if code == SPANNING else allele_byte(code, k, start, ref_length, alt, alt_offset, contig)
        if base != given_alt[given_alt_offset[g] + k]:
            return False
    return True


@jit
def force_alleles(
    begin, end, site_region, site_start, site_ref_length, allele_offset, allele, length, ref_length, alt, alt_offset, contig, given_first,
    given_last, given_ref_length, given_alt, given_alt_offset, forced,
):  # fmt: skip
    """forced[k] = 1 for alternate alleles of sites begin..end that a given allele of their region matches.

    given_first, given_last: int64 by region, its rows of the given alleles (`HaplotypeEvents` columns). forced: uint8 by allele_offset.
    Source: GATK AssemblyBasedCallerUtils.allelesConsistentWithGivenAlleles.
    """
    for i in range(begin, end):
        r = site_region[i]
        for k in range(allele_offset[i], allele_offset[i + 1]):
            if allele[k] == REFERENCE or allele[k] == NON_REF:
                continue
            for g in range(given_first[r], given_last[r]):
                if _matches_given(allele[k], length[k], site_start[i], site_ref_length[i], g, given_ref_length, given_alt, given_alt_offset,
                                  ref_length, alt, alt_offset, contig):  # fmt: skip
                    forced[k] = 1
