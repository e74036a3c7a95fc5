"""Allele-specific raw annotations of GVCFs: sums by allele, histograms of rank sums, and what GenotypeGVCFs makes of them.

A raw value is text with '|' between the alleles of its record. Entries, rows and allele maps as in `joint_merge_cpu`.
Source: AS_RMSMappingQuality, AS_StrandBiasTest, AS_RankSumTest, Histogram, HeterozygosityCalculator of GATK (behaviour; chapter
"annotations", section 8).
"""

import math

import numpy as np

from gpugenome.kernels.java_math_scalar import pow10
from gpugenome.kernels.joint_merge_scalar import NON_REF, is_non_ref
from gpugenome.kernels.launch import jit
from gpugenome.kernels.variant_records_cpu import parse_decimal
from gpugenome.kernels.vcf_text_cpu import put_fixed, put_int

BAR, COMMA, DOT = 124, 44, 46
BIN = 0.1


@jit
def _part(data, start, length, which):
    """Where part `which` of a text with '|' between parts begins and ends, (-1, -1) where it has fewer."""
    at, last = start, start + length
    for _ in range(which):
        while at < last and data[at] != BAR:
            at += 1
        if at >= last:
            return np.int64(-1), np.int64(-1)
        at += 1
    stop = at
    while stop < last and data[stop] != BAR:
        stop += 1
    return np.int64(at), np.int64(stop)


@jit
def _source(t, e, r, code, map_offset, source, data, allele_offset, allele_start, allele_length):
    """The allele of row r that is allele t of the output, -1 where it has none."""
    j = source[map_offset[e] + t]
    a = allele_offset[r] + j
    if t > 0 and code != NON_REF and is_non_ref(data[allele_start[a] : allele_start[a] + allele_length[a]]):
        return -1
    return j


@jit
def find_bad_sums(begin, end, data, start, length):
    """The first of rows begin..end with a value, between '|' and commas, that is neither a number nor '.' nor empty; -1 for none."""
    for i in range(begin, end):
        at, last = start[i], start[i] + length[i]
        while at < last:
            stop = at
            while stop < last and data[stop] != BAR and data[stop] != COMMA:
                stop += 1
            if stop > at and not (stop - at == 1 and data[at] == DOT):
                value, _ = parse_decimal(data[at:stop])
                if math.isnan(value):
                    return i
            at = stop + 1
    return -1


@jit
def sum_parts(begin, end, entry_offset, entry_row, pos, row_start, data, allele_offset, allele_start, allele_length, out_offset, code,
              map_offset, source, start, length, width, out, present, empty):  # fmt: skip
    """Sums by allele of `width` comma-separated numbers: out float64[alleles, width], present uint8 by record. start, length: text.

    empty: uint8 by allele, whether the text of each row that has the allele is empty; where no row has it, it stays as it is.
    """
    for i in range(begin, end):
        present[i] = 0
        out[out_offset[i] : out_offset[i + 1]] = 0.0
        numbers = np.zeros(out_offset[i + 1] - out_offset[i], np.uint8)
        for e in range(entry_offset[i], entry_offset[i + 1]):
            r = entry_row[e]
            if row_start[r] != pos[i] or length[r] < 0:
                continue
            present[i] = 1
            for t in range(out_offset[i + 1] - out_offset[i]):
                row = out_offset[i] + t
                j = _source(t, e, r, code[row], map_offset, source, data, allele_offset, allele_start, allele_length)
                at, last = _part(data, start[r], length[r], j) if j >= 0 else (np.int64(-1), np.int64(-1))
                numbers[t] |= at < last
                if j >= 0:
                    empty[row] = not numbers[t]
                k = 0
                while 0 <= at < last and k < width:
                    stop = at
                    while stop < last and data[stop] != COMMA:
                        stop += 1
                    value, _ = parse_decimal(data[at:stop])
                    if not math.isnan(value):
                        out[row, k] += value
                    k += 1
                    at = stop + 1


@jit
def histograms(begin, end, entry_offset, entry_row, pos, row_start, data, allele_offset, allele_start, allele_length, out_offset, code,
               map_offset, source, start, length, room_offset, bins, counts, size, present):  # fmt: skip
    """Histograms of rank sums by allele: bins, counts int64 from room_offset[allele] on, `size` int64 of them in use, sorted.

    Returns the most pairs that an allele needs; with room_offset of one value only that is worked out.
    """
    most = 0
    fill = len(room_offset) > 1
    for i in range(begin, end):
        for t in range(out_offset[i + 1] - out_offset[i]):
            row = out_offset[i] + t
            n = 0
            for e in range(entry_offset[i], entry_offset[i + 1]):
                r = entry_row[e]
                if row_start[r] != pos[i] or length[r] < 0:
                    continue
                if fill:
                    present[i] = 1
                j = _source(t, e, r, code[row], map_offset, source, data, allele_offset, allele_start, allele_length)
                at, last = _part(data, start[r], length[r], j) if j >= 0 else (np.int64(-1), np.int64(-1))
                while 0 <= at < last:
                    stop = at
                    while stop < last and data[stop] != COMMA:
                        stop += 1
                    value, _ = parse_decimal(data[at:stop])
                    at = stop + 1
                    while stop + 1 < last and data[stop + 1] != COMMA:
                        stop += 1
                    count, _ = parse_decimal(data[at : stop + 1])
                    at = stop + 2
                    if math.isnan(value) or math.isnan(count):
                        continue
                    if not fill:
                        n += 1
                        continue
                    key = np.int64(math.floor((value + 0.01 * BIN) / BIN))
                    first = room_offset[row]
                    k = first
                    while k < first + n and bins[k] < key:
                        k += 1
                    if k < first + n and bins[k] == key:
                        counts[k] += np.int64(count)
                        continue
                    for x in range(first + n, k, -1):
                        bins[x] = bins[x - 1]
                        counts[x] = counts[x - 1]
                    bins[k] = key
                    counts[k] = np.int64(count)
                    n += 1
            most = max(most, n)
            if fill:
                size[row] = n
    return most


@jit
def render_histograms(begin, end, allele_offset, present, room_offset, bins, counts, size, fill, out, offset, length):
    """Histograms of records begin..end as text: '|' before each ALT's, value and count with commas. With `fill` to out[offset[i]:]."""
    scratch = np.empty(64, np.uint8)
    for i in range(begin, end):
        at = np.int64(0)
        if present[i]:
            for row in range(allele_offset[i] + 1, allele_offset[i + 1]):
                if fill:
                    out[offset[i] + at] = BAR
                at += 1
                for k in range(room_offset[row], room_offset[row] + size[row]):
                    n = 0
                    if k > room_offset[row]:
                        scratch[0] = COMMA
                        n = 1
                    n = put_fixed(scratch, n, bins[k] * BIN, 1)
                    scratch[n] = COMMA
                    n = put_int(scratch, n + 1, counts[k])
                    if fill:
                        for x in range(n):
                            out[offset[i] + at + x] = scratch[x]
                    at += n
        length[i] = at


@jit
def _median(bins, counts):
    """Median of a histogram in bins, NaN where it is empty."""
    total = np.int64(0)
    for c in counts:
        total += c
    middle, seen, first = (total + 1) // 2, np.int64(0), np.nan
    for k in range(len(bins)):
        seen += counts[k]
        if seen > middle:
            return bins[k] * BIN if math.isnan(first) else (first + bins[k]) / 2.0 * BIN
        if seen == middle:
            if total % 2:
                return bins[k] * BIN
            first = float(bins[k])
    return np.nan


@jit
def render_medians(begin, end, allele_offset, allele_row, present, room_offset, bins, counts, size, fill, out, offset, length):
    """Medians of the ALTs of calls begin..end as text: three decimals, '.' where there is none, commas between. allele_row: int64, the
    histogram of each allele. With `fill` to out[offset[i]:], else `length` int64."""
    scratch = np.empty(64, np.uint8)
    for i in range(begin, end):
        at = np.int64(0)
        if present[i]:
            for a in range(allele_offset[i] + 1, allele_offset[i + 1]):
                row = allele_row[a]
                n = 0
                if at > 0:
                    scratch[0] = COMMA
                    n = 1
                b = room_offset[row]
                value = _median(bins[b : b + size[row]], counts[b : b + size[row]])
                if math.isnan(value):
                    scratch[n] = DOT
                    n += 1
                else:
                    n = put_fixed(scratch, n, value, 3)
                if fill:
                    for x in range(n):
                        out[offset[i] + at + x] = scratch[x]
                at += n
        length[i] = at


@jit
def inbreeding(begin, end, allele_offset, gt, gq, pl, pl_offset, out, samples_used):
    """Inbreeding coefficient of each ALT: out float64 by allele; samples_used int64 by call. gt, gq, pl: as in JointCalls."""
    samples = gt.shape[1]
    for i in range(begin, end):
        n = allele_offset[i + 1] - allele_offset[i]
        count, het = np.zeros(n), np.zeros(n)
        used, called = 0, 0
        p = np.empty(n * (n + 1) // 2)
        for s in range(samples):
            for k in range(gt.shape[2]):
                called += gt[i, s, k] >= 0
            d = i * samples + s
            diploid = gt.shape[2] >= 2 and gt[i, s, 1] != -2 and (gt.shape[2] == 2 or gt[i, s, 2] == -2)
            values = pl[pl_offset[d] : pl_offset[d + 1]]
            if not diploid or gt[i, s, 0] < 0 or gt[i, s, 1] < 0 or (len(values) == 0 and gq[i, s] < 0):
                continue
            used += 1
            total = 0.0
            for b in range(n):
                for a in range(b + 1):
                    g = b * (b + 1) // 2 + a
                    q = np.int64(values[g]) if len(values) > 0 else (0 if g == 0 else np.int64(gq[i, s]) * (1 if a == 0 else 10))
                    p[g] = pow10(q / -10.0)
                    total += p[g]
            for g in range(len(p)):
                p[g] /= total
            for b in range(1, n):
                for a in range(n):
                    g = max(a, b) * (max(a, b) + 1) // 2 + min(a, b)
                    if a == b:
                        count[b] += 2.0 * p[g]
                    else:
                        het[b] += p[g]
                        count[b] += p[g]
                        count[0] += p[g]
                count[0] += 2.0 * p[0]
        samples_used[i] = used
        for b in range(1, n):
            if n == 2:
                ref = count[0] / (count[0] + count[1])
                f = 1.0 - ref
                out[allele_offset[i] + b] = 1.0 - het[b] / (2.0 * ref * f * used)
            else:
                f = count[b] / called
                out[allele_offset[i] + b] = 1.0 - het[b] / (2.0 * (1.0 - f) * f * used)


@jit
def blank_parts(begin, end, data, start, length, delimiter, offset, blank, mark):
    """Make parts of rows of text `mark` (a byte; 0: nothing), in place. Part k of row i is value offset[i] + k; blank: uint8 by value."""
    for i in range(begin, end):
        at = to = start[i]
        last = start[i] + length[i]
        value = offset[i]
        while at < last:
            stop = at
            while stop < last and data[stop] != delimiter:
                stop += 1
            if blank[value]:
                if mark > 0:
                    data[to] = mark
                    to += 1
            else:
                for x in range(at, stop):
                    data[to] = data[x]
                    to += 1
            if stop < last:
                data[to] = delimiter
                to += 1
            value += 1
            at = stop + 1
        length[i] = min(length[i], to - start[i])
