"""Given alleles (--alleles) put into the haplotypes of a region.

Source: GATK AssemblyResultSet.addGivenAlleles, Haplotype.insertAllele (behaviour; specification chapter "assembly", section 13).
"""

import numpy as np

from gpugenome.kernels.assembly_alignment_cpu import PADDING, haplotype_cigar, pad
from gpugenome.kernels.cigar_cpu import OP_M, READ_MASK
from gpugenome.kernels.finalise_cpu import read_index
from gpugenome.kernels.given_records_cpu import OPEN, STAR
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_scalar import INDEL

MOST_BASES = 5  # haplotypes of a region that get the given alleles


@jit
def _equal(a, b):
    if len(a) != len(b):
        return False
    for i in range(len(a)):
        if a[i] != b[i]:
            return False
    return True


@jit
def _best_haplotypes(first, last, is_reference, score, best):
    """The reference and then the haplotypes of highest score, the earlier one of equals, into best; their number."""
    n = 0
    for h in range(first, last):
        k = n
        while k > 0:
            o = best[k - 1]
            if is_reference[o] or not (is_reference[h] or score[h] > score[o]):
                break
            if k < MOST_BASES:
                best[k] = o
            k -= 1
        if k < MOST_BASES:
            best[k] = h
            n = min(n + 1, MOST_BASES)
    return n


@jit
def _is_known(g, haps, events, given):
    """Whether an assembled haplotype (rows haps[0] to haps[1]) has the given allele g."""
    offset, start, length, alt, alt_offset = events
    given_start, given_length, given_alt, given_alt_offset = given
    mine = given_alt[given_alt_offset[g] : given_alt_offset[g + 1]]
    for e in range(offset[haps[0]], offset[haps[1]]):
        if start[e] == given_start[g] and length[e] == given_length[g] and _equal(alt[alt_offset[e] : alt_offset[e + 1]], mine):
            return True
    return False


@jit
def _has_bases(g, given):
    """Whether the given allele g is neither "*" nor symbolic."""
    first = given[2][given[3][g]]
    return first != STAR and first != OPEN


@jit
def _overlaps(h, begin, end, events):
    """Whether an event of haplotype h shares a base with begin <= i < end."""
    offset, start, length = events[0], events[1], events[2]
    for e in range(offset[h], offset[h + 1]):
        if start[e] < end and start[e] + length[e] > begin:
            return True
    return False


@jit
def _insert(bases, cigar, span_start, position, ref_length, alt, out):
    """The haplotype with the allele in it, into out; its length, -1 where the allele has no place."""
    n = len(bases)
    if ref_length > len(alt) and position == span_start - 1:
        left, right, middle = np.int64(0), ref_length - len(alt), alt[:0]
        if right > n:
            return -1
    else:
        left, op = read_index(span_start, cigar, position)
        right, middle = left + ref_length, alt
        if left < 0 or not (READ_MASK >> op) & 1 or right > n:
            return -1
    m = left + len(middle)
    out[:left] = bases[:left]
    out[left:m] = middle
    out[m : m + n - right] = bases[right:]
    return m + n - right


@jit
def _is_new(bases, first, last, is_reference, base, base_offset, new_base, ends):
    """Whether no haplotype of rows first to last (but the reference) nor one of the new ones, between `ends`, is the same."""
    for h in range(first, last):
        if not is_reference[h] and _equal(base[base_offset[h] : base_offset[h + 1]], bases):
            return False
    for k in range(1, len(ends)):
        if _equal(new_base[ends[k - 1] : ends[k]], bases):
            return False
    return True


@jit
def inject(begin, end, haplotypes, events, given, given_rows, count):
    """New haplotypes of regions [begin, end): (bases, int64 lengths), region by region; count: int64[r], filled with their numbers.

    haplotypes: (offset, span_start, base, base_offset, cigar, cigar_offset, is_reference, score), trimmed, in order. events: (offset,
    start, ref_length, alt, alt_offset) of these. given: (start, ref_length, alt, alt_offset). given_rows: int64[r, 2], those of a region.
    """
    offset, span_start, base, base_offset, cigar, cigar_offset, is_reference, score = haplotypes
    given_start, given_length, given_alt, given_alt_offset = given
    longest, most = np.int64(0), np.int64(0)
    for h in range(offset[begin], offset[end]):
        longest = max(longest, base_offset[h + 1] - base_offset[h])
    for g in range(begin, end):
        if offset[g + 1] > offset[g]:
            for k in range(given_rows[g, 0], given_rows[g, 1]):
                most += MOST_BASES
                longest = max(longest, given_alt_offset[k + 1] - given_alt_offset[k])
    ends, new_base = np.zeros(most + 1, np.int64), np.empty(2 * longest * most, np.uint8)
    best = np.empty(MOST_BASES, np.int64)
    n = 0
    for g in range(begin, end):
        first, last, before = offset[g], offset[g + 1], n
        bases_of = best[: _best_haplotypes(first, last, is_reference, score, best)]
        for k in range(given_rows[g, 0], given_rows[g, 1] if first < last else given_rows[g, 0]):
            position, length = np.int64(given_start[k]), np.int64(given_length[k])
            if _is_known(k, (first, last), events, given) or not _has_bases(k, given):
                continue
            for h in bases_of:
                if _overlaps(h, position, position + length, events):
                    continue
                own, words = base[base_offset[h] : base_offset[h + 1]], cigar[cigar_offset[h] : cigar_offset[h + 1]]
                out = new_base[ends[n] :]
                alt = given_alt[given_alt_offset[k] : given_alt_offset[k + 1]]
                size = _insert(own, words, np.int64(span_start[g]), position, length, alt, out)
                mine = ends[before : n + 1]
                if size >= 0 and _is_new(out[:size], first, last, is_reference, base, base_offset, new_base, mine):
                    ends[n + 1] = ends[n] + size
                    n += 1
        count[g] = n - before
    return new_base[: ends[n]].copy(), ends[1 : n + 1] - ends[:n]


@jit
def align(begin, end, region, offset, base, base_offset, is_reference, new_base, new_base_offset, scores):
    """CIGARs of the new haplotypes [begin, end) against their region's reference haplotype: (words, int64 elements by haplotype).

    region: int64 by new haplotype. scores: int64[4], match, mismatch, gap open, gap extend.
    """
    n, m = np.int64(0), np.int64(0)
    for i in range(begin, end):
        m = max(m, new_base_offset[i + 1] - new_base_offset[i])
        for h in range(offset[region[i]], offset[region[i] + 1]):
            n = max(n, base_offset[h + 1] - base_offset[h])
    n, m = n + 2 * PADDING, m + 2 * PADDING
    row, gap, column = np.empty(n + m + 2, np.int32), np.empty(n + m + 2, np.int32), np.empty(n + 1, np.int32)
    back, padded_ref, padded_alt = np.empty((n + 1) * (n + m + 1), np.uint8), np.empty(n, np.uint8), np.empty(m, np.uint8)
    room = 2 * (n + m)
    first, second, work = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(5 * room, np.uint32)
    st, size = np.empty(5, np.int64), np.empty(end - begin, np.int64)
    words, used = np.empty(64 * (end - begin), np.uint32), 0
    for i in range(begin, end):
        alt = new_base[new_base_offset[i] : new_base_offset[i + 1]]
        h = offset[region[i]]
        while not is_reference[h]:
            h += 1
        ref = base[base_offset[h] : base_offset[h + 1]]
        if _equal(ref, alt):
            first[0] = len(ref) << 4 | OP_M
            k = 1
        else:
            k = haplotype_cigar(ref, alt, pad(ref, padded_ref), pad(alt, padded_alt), scores, INDEL, row, gap, back, column, first, second,
                                work, st)  # fmt: skip
        if used + k > len(words):
            larger = np.empty(2 * (used + k), np.uint32)
            larger[:used] = words[:used]
            words = larger
        words[used : used + k] = first[:k]
        used += k
        size[i - begin] = k
    return words[:used].copy(), size
