"""Trimming of assembly regions and haplotypes to the span of their events.

Source: GATK AssemblyRegionTrimmer, AssemblyResultSet.trimTo, Haplotype.trim, GATKVariantContextUtils.getNumTandemRepeatUnits (behaviour;
specification chapter "assembly", section 13).
"""

import numpy as np

from gpugenome.kernels.cigar_cpu import OP_D, OP_I, REF_MASK, trim_cigar
from gpugenome.kernels.finalise_cpu import compare_bytes
from gpugenome.kernels.given_records_cpu import OPEN
from gpugenome.kernels.launch import jit

LOW, HIGH = 0, 1
VARIANT_START, VARIANT_END, TRIMMED_START, TRIMMED_END = 0, 1, 2, 3  # columns of `spans`


@jit
def repeat_unit(bases):
    """Length of the shortest string that tiles `bases`."""
    n = len(bases)
    for unit in range(1, n):
        if n % unit:
            continue
        i = unit
        while i < n and bases[i] == bases[i - unit]:
            i += 1
        if i == n:
            return unit
    return n


@jit
def leading_units(unit, first, then):
    """How often `unit` repeats at the start of first + then."""
    n, size, at, whole = len(unit), len(first) + len(then), 0, 0
    while at + n <= size:
        for k in range(n):
            i = at + k
            if unit[k] != (first[i] if i < len(first) else then[i - len(first)]):
                return whole
        whole += 1
        at += n
    return whole


@jit
def repeat_length(ref, alt, context):
    """Bases of the longer run of an indel's repeat unit in ref + context and alt + context, 0 where the indel is no repeat.

    ref, alt: alleles without their first base. context: the reference behind that base.
    """
    longer = alt if len(alt) > len(ref) else ref
    unit = longer[: repeat_unit(longer)]
    own = leading_units(unit, ref, context[:0])
    in_ref, in_alt = leading_units(unit, ref, context) - own, leading_units(unit, alt, context) - own
    if in_ref == 0 or in_alt == 0:
        return 0
    return max(in_ref, in_alt) * len(unit)


@jit
def _widen(span, first, last, events, region, contig, padding):
    """Take the events [first, last) that overlap the active span into `span` (int64[4]). Whether there is any."""
    event_start, event_length, alts, alt_offset = events
    start, end, _, padded_end = region
    found = False
    for e in range(first, last):
        position, length = np.int64(event_start[e]), np.int64(event_length[e])
        if position >= end or position + length <= start:
            continue
        found = True
        pad, alt = padding[0], alts[alt_offset[e] : alt_offset[e + 1]]
        if len(alt) != length and alt[0] != OPEN:
            behind = contig[position + 1 : padded_end]
            repeat = repeat_length(contig[position + 1 : position + length], alt[1:], behind)
            pad = padding[2] + repeat if repeat else padding[1]
        span[VARIANT_START] = min(span[VARIANT_START], position)
        span[VARIANT_END] = max(span[VARIANT_END], position + length)
        span[TRIMMED_START] = min(span[TRIMMED_START], position - pad)
        span[TRIMMED_END] = max(span[TRIMMED_END], position + length + pad)
    return found


@jit
def event_spans(begin, end, regions, first_event, events, given, given_rows, contig, padding, found, spans):
    """The span of the events of regions [begin, end), and that span padded.

    regions: (start, end, padded_start, padded_end), int32 each. events, given: (start int32, ref_length int32, alt uint8, alt_offset
    int64). first_event: int64[r+1], where the events of each region's haplotypes begin. given_rows: int64[r, 2], rows of `given` by region.
    padding: int64[3], bases around substitutions, indels and repeats. found: uint8[r], whether an event overlaps the active span.
    spans: int32[r, 4], variant start and end, trimmed start and end (where none is found: the region's start).
    """
    region_start, region_end, padded_start, padded_end = regions
    span = np.empty(4, np.int64)
    for g in range(begin, end):
        own = (np.int64(region_start[g]), np.int64(region_end[g]), np.int64(padded_start[g]), np.int64(padded_end[g]))
        span[VARIANT_START] = span[TRIMMED_START] = len(contig)
        span[VARIANT_END] = span[TRIMMED_END] = 0
        widened = _widen(span, first_event[g], first_event[g + 1], events, own, contig, padding)
        if _widen(span, given_rows[g, 0], given_rows[g, 1], given, own, contig, padding) or widened:
            found[g] = 1
            spans[g, VARIANT_START] = max(span[VARIANT_START], own[0])
            spans[g, VARIANT_END] = min(span[VARIANT_END], own[1])
            spans[g, TRIMMED_START] = max(span[TRIMMED_START], own[2])
            spans[g, TRIMMED_END] = min(span[TRIMMED_END], own[3])
        else:
            found[g] = 0
            spans[g, :] = region_start[g]


@jit
def _cut(cigar, start, stop, piece):
    """Read bases of a haplotype from reference base `start` to `stop` (inclusive) into piece (int64[2]); False if one is deleted."""
    rp, ap = np.int64(0), np.int64(0)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        if op == OP_I:
            ap += length
            continue
        if op == OP_D:
            if rp <= start < rp + length or rp <= stop < rp + length:
                return False
        else:
            if rp <= start < rp + length:
                piece[LOW] = ap + start - rp
            if rp <= stop < rp + length:
                piece[HIGH] = ap + stop - rp + 1
            ap += length
        rp += length
    return True


@jit
def trim_haplotypes(begin, end, start, stop, base_offset, cigar, cigar_offset, low, high, count, words):
    """Cut haplotypes [begin, end) to the reference bases start <= i < stop (int32, from the haplotype's begin; empty: skip it).

    Output: low, high int64 (flat base positions), count int32 (CIGAR elements, 0: the haplotype goes), words uint32 (the CIGAR, where the
    haplotype's own begins).
    """
    most = np.int64(0)
    for h in range(begin, end):
        most = max(most, cigar_offset[h + 1] - cigar_offset[h])
    spare, builder, piece = np.empty(most + 3, np.uint32), np.empty(5, np.int64), np.empty(2, np.int64)
    for h in range(begin, end):
        count[h] = 0
        own = cigar[cigar_offset[h] : cigar_offset[h + 1]]
        if start[h] >= stop[h] or not _cut(own, np.int64(start[h]), np.int64(stop[h]) - 1, piece):
            continue
        last = trim_cigar(own, np.int64(start[h]), np.int64(stop[h]) - 1, True, spare, builder)
        first = 0
        # Insertions beside the cut stay in the trimmed CIGAR, but their bases are outside.
        if last > 0 and not (REF_MASK >> np.int64(spare[0] & 15)) & 1:
            first = 1
        if last > 0 and not (REF_MASK >> np.int64(spare[last - 1] & 15)) & 1:
            last -= 1
        if last <= first:
            continue
        low[h], high[h], count[h] = base_offset[h] + piece[LOW], base_offset[h] + piece[HIGH], last - first
        for k in range(last - first):
            words[cigar_offset[h] + k] = spare[first + k]


@jit
def _compare_haplotypes(a, b, base, low, high):
    """Order by length, then bases."""
    if high[a] - low[a] != high[b] - low[b]:
        return -1 if high[a] - low[a] < high[b] - low[b] else 1
    return compare_bytes(base[low[a] : high[a]], base[low[b] : high[b]])


@jit
def order_haplotypes(begin, end, offset, base, low, high, count, is_reference, order, kept):
    """Sort the trimmed haplotypes of regions [begin, end) by length and bases; of equal ones the reference or else the first stays.

    order: int64 by haplotype, filled from offset[g] on with the rows that stay; kept: int64[r], their number.
    """
    for g in range(begin, end):
        mine = order[offset[g] : offset[g + 1]]
        n = 0
        for h in range(offset[g], offset[g + 1]):
            if not count[h]:
                continue
            a, b = 0, n
            same = False
            while a < b and not same:
                middle = (a + b) // 2
                c = _compare_haplotypes(mine[middle], h, base, low, high)
                if c == 0:
                    same = True
                    if is_reference[h]:
                        mine[middle] = h
                elif c < 0:
                    a = middle + 1
                else:
                    b = middle
            if same:
                continue
            for k in range(n, a, -1):
                mine[k] = mine[k - 1]
            mine[a] = h
            n += 1
        kept[g] = n


@jit
def fill_haplotypes(begin, end, rows, base, low, cigar_offset, words, new_base, new_base_offset, cigar, new_cigar_offset):
    """Copy the bases and CIGARs of haplotypes rows[begin:end] to where the new offsets say."""
    for i in range(begin, end):
        h = rows[i]
        n = new_base_offset[i + 1] - new_base_offset[i]
        to, own = new_base[new_base_offset[i] : new_base_offset[i + 1]], base[low[h] : low[h] + n]
        for k in range(n):
            to[k] = own[k]
        for k in range(new_cigar_offset[i + 1] - new_cigar_offset[i]):
            cigar[new_cigar_offset[i] + k] = words[cigar_offset[h] + k]
