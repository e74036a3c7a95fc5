"""Numbers and records as the bytes that Java and htsjdk print.

A text column is rows of `arena` (uint8): row i is arena[start[i] : start[i] + length[i]], length -1 where the value is absent.
CPU only: the text goes to a file.

Java's `%.Nf` rounds the shortest decimal digits of a double half up. Decimal digits and doubles are ordered alike, so the digits of x
are at or above a tie (10 f + 5) / 10^(N+1) exactly where x is at or above the double nearest to it, which one division of exact integers
gives.
Source: java.util.Formatter, htsjdk VCFEncoder.
"""

import math

import numpy as np

from gpugenome.kernels.launch import jit

COMMA, DASH, DOT, ZERO, BAR, NEWLINE, TAB, COLON, SEMICOLON, EQUALS = 44, 45, 46, 48, 124, 10, 9, 58, 59, 61
INT_WIDTH, FIXED_WIDTH, DOUBLE_WIDTH = 21, 27, 27
"""Bytes that one value with its separator needs at most."""


@jit
def power_of_ten(n):
    """10^n as a double, exact for n in 0..22."""
    p = 1.0
    for _ in range(n):
        p *= 10.0
    return p


@jit
def put_int(out, at, value):
    """Write a decimal integer at out[at:]; returns the position after it."""
    v = np.int64(value)
    if v < 0:
        out[at] = DASH
        at += 1
        v = -v
    digits = 1
    w = v // 10
    while w > 0:
        digits += 1
        w //= 10
    for k in range(digits - 1, -1, -1):
        out[at + k] = ZERO + v % 10
        v //= 10
    return at + digits


@jit
def _put_not_finite(out, at, x):
    """NaN, Infinity, -Infinity."""
    if math.isnan(x):
        out[at] = 78
        out[at + 1] = 97
        out[at + 2] = 78
        return at + 3
    if x < 0:
        out[at] = DASH
        at += 1
    for k, c in enumerate((73, 110, 102, 105, 110, 105, 116, 121)):
        out[at + k] = c
    return at + 8


@jit
def put_fixed(out, at, x, decimals):
    """Java's %.Nf of x (N in 1..4, |x| < 10^10); returns the position after it."""
    if not math.isfinite(x):
        return _put_not_finite(out, at, x)
    if math.copysign(1.0, x) < 0:
        out[at] = DASH
        at += 1
    a = abs(x)
    scale = power_of_ten(decimals)
    f = np.int64(math.floor(a * scale))
    if a >= (10.0 * f + 5.0) / (10.0 * scale):
        f += 1
    unit = np.int64(scale)
    at = put_int(out, at, f // unit)
    out[at] = DOT
    fraction = f % unit
    for k in range(decimals, 0, -1):
        out[at + k] = ZERO + fraction % 10
        fraction //= 10
    return at + decimals + 1


@jit
def _scaled(value, exponent):
    """value * 10^exponent, correctly rounded where value is an integer below 2^53 and |exponent| <= 22."""
    if exponent >= 0:
        return value * power_of_ten(exponent)
    if exponent >= -22:
        return value / power_of_ten(-exponent)
    return value / power_of_ten(22) / power_of_ten(-exponent - 22)


@jit
def put_scientific(out, at, x):
    """Java's %.3e of a finite x other than 0, 10^-18 < |x| < 10^18; returns the position after it."""
    if x < 0:
        out[at] = DASH
        at += 1
    a = abs(x)
    e = np.int64(math.floor(math.log10(a)))
    if a < _scaled(1.0, e):
        e -= 1
    elif a >= _scaled(1.0, e + 1):
        e += 1
    f = np.int64(math.floor(_scaled(a, 3 - e)))
    if a >= _scaled(10.0 * f + 5.0, e - 4):
        f += 1
    if f >= 10000:
        f = 1000
        e += 1
    out[at] = ZERO + f // 1000
    out[at + 1] = DOT
    out[at + 2] = ZERO + f // 100 % 10
    out[at + 3] = ZERO + f // 10 % 10
    out[at + 4] = ZERO + f % 10
    out[at + 5] = 101
    out[at + 6] = DASH if e < 0 else 43
    e = abs(e)
    if e < 10:
        out[at + 7] = ZERO
        return put_int(out, at + 8, e)
    return put_int(out, at + 7, e)


@jit
def put_double(out, at, x):
    """A boxed Double as VCFEncoder.formatVCFDouble prints it; returns the position after it."""
    if not math.isfinite(x):
        return _put_not_finite(out, at, x)
    if x >= 1.0:
        return put_fixed(out, at, x, 2)
    if x >= 0.01:
        return put_fixed(out, at, x, 3)
    return put_scientific(out, at, x) if abs(x) >= 1e-20 else put_fixed(out, at, 0.0, 2)


@jit
def render_ints(begin, end, values, offset, group, out, length):
    """Rows of int64 values as text at out[offset[i] * INT_WIDTH:]; empty rows are absent.

    group: 0 for commas between values, else the values of one allele, which '|' parts from the next allele's.
    """
    for i in range(begin, end):
        a, b = offset[i], offset[i + 1]
        first = a * INT_WIDTH
        at = first
        for j in range(a, b):
            if j > a:
                out[at] = BAR if group > 0 and (j - a) % group == 0 else COMMA
                at += 1
            at = put_int(out, at, values[j])
        length[i] = at - first if b > a else -1


@jit
def render_fixed(begin, end, values, offset, group, decimals, out, length):
    """Rows of float64 values with N decimals at out[offset[i] * FIXED_WIDTH:], as `render_ints` does."""
    for i in range(begin, end):
        a, b = offset[i], offset[i + 1]
        first = a * FIXED_WIDTH
        at = first
        for j in range(a, b):
            if j > a:
                out[at] = BAR if group > 0 and (j - a) % group == 0 else COMMA
                at += 1
            at = put_fixed(out, at, values[j], decimals)
        length[i] = at - first if b > a else -1


@jit
def render_doubles(begin, end, values, offset, out, length):
    """Rows of boxed doubles, comma-separated, at out[offset[i] * DOUBLE_WIDTH:]; empty rows are absent."""
    for i in range(begin, end):
        a, b = offset[i], offset[i + 1]
        first = a * DOUBLE_WIDTH
        at = first
        for j in range(a, b):
            if j > a:
                out[at] = COMMA
                at += 1
            at = put_double(out, at, values[j])
        length[i] = at - first if b > a else -1


@jit
def render_histograms(begin, end, values, offset, out, length):
    """z by allele (REF's first) as GATK's one-entry histograms, '|' between alleles, at out[offset[i] * FIXED_WIDTH:].

    A bin is 0.1 wide. REF's part is empty; all parts are where REF's value is NaN (no REF reads). Source: AS_RankSumTest, Histogram.
    """
    for i in range(begin, end):
        a, b = offset[i], offset[i + 1]
        first = a * FIXED_WIDTH
        at = first
        for j in range(a + 1, b):
            out[at] = BAR
            at += 1
            if math.isnan(values[a]):
                continue
            if math.isnan(values[j]):
                at = _put_not_finite(out, at, values[j])
            else:
                at = put_fixed(out, at, math.floor((values[j] + 0.001) / 0.1) * 0.1, 1)
                out[at] = COMMA
                out[at + 1] = ZERO + 1
                at += 2
        length[i] = at - first if b > a else -1


@jit
def render_qual(begin, end, qual, out, length):
    """QUAL (float64 phred, NaN where missing) at out[i * FIXED_WIDTH:]: two decimals, or none where they are 00."""
    for i in range(begin, end):
        first = i * FIXED_WIDTH
        if math.isnan(qual[i]):
            length[i] = -1
            continue
        at = put_fixed(out, first, qual[i] + 0.0, 2)
        if out[at - 1] == ZERO and out[at - 2] == ZERO and out[at - 3] == DOT:
            at -= 3
        length[i] = at - first


@jit
def render_genotypes(begin, end, allele, phased, out, length):
    """GT of each row of allele int16[n, ploidy] (-1 no call, -2 beyond the ploidy) at out[i * 7 * ploidy:]."""
    ploidy = allele.shape[1]
    for i in range(begin, end):
        first = np.int64(i) * 7 * ploidy
        at = first
        for k in range(ploidy):
            if allele[i, k] == -2:
                break
            if k > 0:
                out[at] = BAR if phased[i] else 47
                at += 1
            if allele[i, k] < 0:
                out[at] = DOT
                at += 1
            else:
                at = put_int(out, at, allele[i, k])
        length[i] = at - first


@jit
def copy(out, at, source):
    target = out[at : at + len(source)]
    for k in range(len(source)):
        target[k] = source[k]
    return at + len(source)


@jit
def render_phase_ids(begin, end, group_call, group_start, allele_offset, allele_base, allele_base_offset, start, out, length):
    """PID of each call at out[start[i]:]: 1-based position, REF and first ALT of its group's first call, joined by '_'.

    group_call: int32[n], row of that call, group_start: int32[n], its 0-based position, -1 where unphased.
    """
    for i in range(begin, end):
        length[i] = -1
        if group_start[i] < 0:
            continue
        at = put_int(out, start[i], group_start[i] + 1)
        ref = allele_offset[group_call[i]]
        for row in (ref, ref + 1):
            out[at] = 95
            at = copy(out, at + 1, allele_base[allele_base_offset[row] : allele_base_offset[row + 1]])
        length[i] = at - start[i]


@jit
def _put_alleles(out, at, allele_base, allele_base_offset, a, b):
    """REF, a tab, and the ALT alleles (rows a..b of the allele texts), '.' where there are none."""
    for j in range(a, b):
        if j > a:
            out[at] = TAB if j == a + 1 else COMMA
            at += 1
        at = copy(out, at, allele_base[allele_base_offset[j] : allele_base_offset[j + 1]])
    if b == a + 1:
        out[at] = TAB
        out[at + 1] = DOT
        at += 2
    return at


@jit
def put_info(out, at, i, arena, start, length, key, key_offset):
    first = at
    for k in range(len(key_offset) - 1):
        n = length[k, i]
        if n < 0:
            continue
        if at > first:
            out[at] = SEMICOLON
            at += 1
        at = copy(out, at, key[key_offset[k] : key_offset[k + 1]])
        if n > 0:
            out[at] = EQUALS
            at = copy(out, at + 1, arena[start[k, i] : start[k, i] + n])
    if at == first:
        out[at] = DOT
        at += 1
    return at


@jit
def _is_missing(text):
    """Whether a value is nothing but '.' and ',' (such values at the end of a sample column are not written)."""
    for c in text:
        if c != DOT and c != COMMA:
            return False
    return True


@jit
def put_samples(out, at, i, samples, arena, start, length, key, key_offset):
    """FORMAT and the sample columns of record i: a tab before each."""
    n_keys = len(key_offset) - 1
    out[at] = TAB
    at += 1
    first = at
    for k in range(n_keys):
        listed = False
        for s in range(samples):
            listed |= length[k, i * samples + s] >= 0
        if listed:
            if at > first:
                out[at] = COLON
                at += 1
            at = copy(out, at, key[key_offset[k] : key_offset[k + 1]])
    for s in range(samples):
        row = i * samples + s
        out[at] = TAB
        at += 1
        kept = at  # end of the last value that is not missing
        written = 0
        for k in range(n_keys):
            listed = False
            for other in range(samples):
                listed |= length[k, i * samples + other] >= 0
            if not listed:
                continue
            if written > 0:
                out[at] = COLON
                at += 1
            n = length[k, row]
            if n < 0:
                out[at] = DOT
                at += 1
            else:
                at = copy(out, at, arena[start[k, row] : start[k, row] + n])
            if written == 0 or not (n < 0 or _is_missing(arena[start[k, row] : start[k, row] + n])):
                kept = at
            written += 1
        at = kept
    return at


@jit
def format_lines(begin, end, contig, pos, allele_offset, allele_base, allele_base_offset, arena, site_start, site_length, info_start,
                 info_length, info_key, info_key_offset, samples, format_start, format_length, format_key, format_key_offset,
                 out, out_start, out_length):  # fmt: skip
    """Record lines begin..end with their newlines at out[out_start[i]:], their lengths in out_length.

    contig: uint8 name. pos: int32[n], 0-based. Text columns in `arena`: ID, QUAL, FILTER (site_*[3, n]), INFO (info_*[k, n], a length of
    0 is a flag), FORMAT (format_*[f, n * samples], GT first). samples: 0 leaves FORMAT out.
    """
    for i in range(begin, end):
        at = copy(out, out_start[i], contig)
        out[at] = TAB
        at = put_int(out, at + 1, pos[i] + 1)
        for column in range(3):
            if column == 1:
                out[at] = TAB
                at = _put_alleles(out, at + 1, allele_base, allele_base_offset, allele_offset[i], allele_offset[i + 1])
            out[at] = TAB
            at += 1
            n = site_length[column, i]
            if n < 0:
                out[at] = DOT
                at += 1
            else:
                at = copy(out, at, arena[site_start[column, i] : site_start[column, i] + n])
        out[at] = TAB
        at = put_info(out, at + 1, i, arena, info_start, info_length, info_key, info_key_offset)
        if samples > 0:
            at = put_samples(out, at, i, samples, arena, format_start, format_length, format_key, format_key_offset)
        out[at] = NEWLINE
        out_length[i] = at + 1 - out_start[i]


@jit
def compact(begin, end, source, source_start, out, out_offset):
    """Copy rows source[source_start[i]:] to out[out_offset[i] : out_offset[i + 1]]."""
    for i in range(begin, end):
        copy(out, out_offset[i], source[source_start[i] : source_start[i] + out_offset[i + 1] - out_offset[i]])
