"""VCF records from text into columns: positions, alleles, values of INFO and FORMAT keys, numbers.

A record's fixed columns are borders: column j of record i is data[columns[i, j] : columns[i, j + 1] - 1]. Values of keys are text columns:
row r is data[start[r] : start[r] + length[r]], length -1 where the key is absent (or its value is '.').
CPU only: the text comes from a file.
Source: VCF 4.2 specification, sections 1.3 to 1.6.
"""

import numpy as np

from gpugenome.kernels.launch import jit

TAB, COMMA, SEMICOLON, COLON, EQUALS, DOT, BAR, SLASH, DASH = 9, 44, 59, 58, 61, 46, 124, 47, 45
STAR, LESS, MORE, LEFT, RIGHT = 42, 60, 62, 91, 93
FIXED_COLUMNS = 9
FEW_COLUMNS, BAD_POS, BAD_END, BAD_REF, BAD_ALT, SAME_ALLELE = 1, 2, 3, 4, 5, 6
MOST_FORMAT_KEYS = 64


@jit
def _number(text):
    """A whole number of digits, -1 where it is something else."""
    value = np.int64(0)
    for c in text:
        if c < 48 or c > 57 or value > 1 << 40:
            return np.int64(-1)
        value = value * 10 + (c - 48)
    return value if len(text) else np.int64(-1)


@jit
def until(data, at, last, byte):
    """The first place from `at` on with a byte, `last` where it comes first."""
    while at < last and data[at] != byte:
        at += 1
    return at


@jit
def _info_end(info, otherwise):
    """The value of INFO END, `otherwise` where there is none."""
    n = len(info)
    at = 0
    while at + 4 <= n:
        if info[at] == 69 and info[at + 1] == 78 and info[at + 2] == 68 and info[at + 3] == EQUALS:
            return _number(info[at + 4 : until(info, at + 4, n, SEMICOLON)])
        at = until(info, at, n, SEMICOLON) + 1
    return np.int64(otherwise)


@jit
def _is_allele(text, is_ref):
    """Whether htsjdk takes a text for an allele: A, C, G, T and N; of ALTs also '*', '.', and what is symbolic or a breakend."""
    n = len(text)
    if n == 0:
        return False
    if not is_ref:
        if n == 1 and (text[0] == STAR or text[0] == DOT):
            return True
        if n > 1:
            if text[0] == LESS or text[n - 1] == MORE or text[0] == DOT or text[n - 1] == DOT:
                return True
            for c in text:
                if c == LEFT or c == RIGHT:
                    return True
    for c in text:
        u = c & 0xDF
        if u != 65 and u != 67 and u != 71 and u != 84 and u != 78:
            return False
    return True


@jit
def _same_bases(a, b):
    """Whether two texts of bases are the same allele, upper case or lower."""
    if len(a) != len(b):
        return False
    for k in range(len(a)):
        x, y = a[k], b[k]
        x = x - 32 if 97 <= x <= 122 else x
        y = y - 32 if 97 <= y <= 122 else y
        if x != y:
            return False
    return True


@jit
def _alleles_problem(data, first, second, last):
    """What is wrong with the REF from `first` and the ALTs from `second` to `last`: BAD_REF, BAD_ALT, SAME_ALLELE or 0."""
    if not _is_allele(data[first : second - 1], True):
        return BAD_REF
    at = second
    while at <= last:
        stop = until(data, at, last, COMMA)
        if not _is_allele(data[at:stop], False):
            return BAD_ALT
        if _same_bases(data[at:stop], data[first : second - 1]):
            return SAME_ALLELE
        before = second
        while before < at:
            end = until(data, before, last, COMMA)
            if _same_bases(data[at:stop], data[before:end]) and not (stop - at == 1 and data[at] == DOT):
                return SAME_ALLELE
            before = end + 1
        at = stop + 1
    return 0


@jit
def parse_sites(begin, end, data, starts, ends, expected, columns, same_contig, start, stop, problem):
    """Fixed columns of lines begin..end.

    expected: columns of the file. columns: int64[n, 10], the borders of CHROM to FORMAT; columns[i, 9] is where the samples begin (one past
    the line's end where there are none). same_contig: uint8, CHROM is that of the line before (0 for line 0). start, stop: int32, 0-based
    half-open span (INFO END, else REF). problem: uint8, 0, FEW_COLUMNS (another number than expected), BAD_POS (POS or END is no number),
    BAD_END (END before POS), or what `_alleles_problem` says.
    """
    for i in range(begin, end):
        line = data[starts[i] : ends[i]]
        columns[i, 0] = starts[i]
        k = 1
        for j in range(len(line)):
            if line[j] == TAB:
                if k <= FIXED_COLUMNS:
                    columns[i, k] = starts[i] + j + 1
                k += 1
        for missing in range(k, FIXED_COLUMNS + 1):
            columns[i, missing] = ends[i] + 1
        problem[i] = 0
        if k != expected:
            problem[i] = FEW_COLUMNS
            start[i] = 0
            stop[i] = 0
            same_contig[i] = 0
            continue
        pos = _number(data[columns[i, 1] : columns[i, 2] - 1])
        last = _info_end(data[columns[i, 7] : columns[i, 8] - 1], pos + columns[i, 4] - 2 - columns[i, 3])
        if pos < 1 or pos > 2147483646 or last < 0 or last > 2147483646:
            problem[i] = BAD_POS
            pos, last = np.int64(1), np.int64(1)
        else:
            problem[i] = _alleles_problem(data, columns[i, 3], columns[i, 4], columns[i, 5] - 1)
            if problem[i] == 0 and last < pos:
                problem[i] = BAD_END
        start[i] = pos - 1
        stop[i] = last
        same = i > 0
        if same:
            before = data[starts[i - 1] : ends[i - 1]]
            n = columns[i, 1] - columns[i, 0]
            same = len(before) >= n
            for j in range(n):
                if not same or before[j] != line[j]:
                    same = False
                    break
        same_contig[i] = same


@jit
def count_alleles(begin, end, data, columns, count):
    """count[i] = alleles of record i, REF included (int64)."""
    for i in range(begin, end):
        alt = data[columns[i, 4] : columns[i, 5] - 1]
        n = 2
        for c in alt:
            n += c == COMMA
        count[i] = 1 if len(alt) == 1 and alt[0] == DOT else n


@jit
def fill_alleles(begin, end, data, columns, offset, start, length):
    """start int64, length int32 by offset: the allele texts of records begin..end, REF first."""
    for i in range(begin, end):
        row = offset[i]
        start[row] = columns[i, 3]
        length[row] = columns[i, 4] - 1 - columns[i, 3]
        at = columns[i, 4]
        for row in range(offset[i] + 1, offset[i + 1]):
            stop = until(data, at, columns[i, 5] - 1, COMMA)
            start[row] = at
            length[row] = stop - at
            at = stop + 1


@jit
def mark_variants(begin, end, data, columns, out):
    """out[i] (uint8) = 1 where record i has an ALT other than <NON_REF>."""
    for i in range(begin, end):
        alt = data[columns[i, 4] : columns[i, 5] - 1]
        n = len(alt)
        non_ref = n == 9 and alt[0] == 60 and alt[1] == 78 and alt[2] == 79 and alt[3] == 78 and alt[4] == 95 and alt[8] == 62
        out[i] = not (non_ref or (n == 1 and alt[0] == DOT))


@jit
def differs(a, b):
    """Whether two bases, of which the first may be of lower case, are different ones of A, C, G and T."""
    a = a - 32 if a >= 97 else a
    return a != b and (a == 65 or a == 67 or a == 71 or a == 84) and (b == 65 or b == 67 or b == 71 or b == 84)


@jit
def find_other_reference(begin, end, data, columns, start, stop, bases):
    """The first of records begin..end (of one contig) that lies outside of `bases` or whose REF differs from them; -1 for none.

    Only A, C, G and T on both sides count.
    """
    for i in range(begin, end):
        if start[i] >= len(bases) or stop[i] > len(bases):
            return i
        ref = data[columns[i, 3] : columns[i, 4] - 1]
        for k in range(min(len(ref), len(bases) - start[i])):
            if differs(ref[k], bases[start[i] + k]):
                return i
    return -1


@jit
def _same(a, b):
    if len(a) != len(b):
        return False
    for k in range(len(a)):
        if a[k] != b[k]:
            return False
    return True


@jit
def _find_key(name, keys, key_offset):
    """Index of a name among keys, -1 where it is not there."""
    for k in range(len(key_offset) - 1):
        if _same(name, keys[key_offset[k] : key_offset[k + 1]]):
            return k
    return -1


@jit
def find_info(begin, end, data, columns, rows, keys, key_offset, start, length, other):
    """Values of INFO keys in records rows[begin:end]: start int64[k, n], length int32[k, n] (0 for a flag, -1 absent).

    keys: uint8 names by key_offset. other: int64[n], where the first key that is not among them begins, -1 for none.
    """
    n_keys = len(key_offset) - 1
    for r in range(begin, end):
        i = rows[r]
        for k in range(n_keys):
            length[k, r] = -1
            start[k, r] = 0
        other[r] = -1
        at, last = columns[i, 7], columns[i, 8] - 1
        if last - at == 1 and data[at] == DOT:
            continue
        while at < last:
            stop, equals = at, np.int64(-1)
            while stop < last and data[stop] != SEMICOLON:
                if data[stop] == EQUALS and equals < 0:
                    equals = stop
                stop += 1
            name_end = equals if equals >= 0 else stop
            k = _find_key(data[at:name_end], keys, key_offset)
            if k >= 0:
                start[k, r] = name_end + 1 if equals >= 0 else stop
                length[k, r] = stop - name_end - 1 if equals >= 0 else 0
            elif name_end > at and other[r] < 0:
                other[r] = at
            at = stop + 1


@jit
def find_format(begin, end, data, columns, ends, rows, samples, keys, key_offset, start, length, other):
    """Values of FORMAT keys in records rows[begin:end]: start int64[k, n * samples], length int32[k, n * samples], -1 absent.

    Absent: not among the record's keys, '.' (but GT: a haploid no-call), or left out at the end of the sample. ends: int64, where each line
    ends. other: int64[n] as in `find_info`. Returns a row whose number of values exceeds that of its keys, or -1.
    """
    n_keys = len(key_offset) - 1
    slot = np.empty(MOST_FORMAT_KEYS, np.int64)
    gt = _find_key(np.array([71, 84], np.uint8), keys, key_offset)
    for r in range(begin, end):
        i = rows[r]
        other[r] = -1
        n = 0
        at, last = columns[i, 8], columns[i, 9] - 1
        while at <= last and n < MOST_FORMAT_KEYS:
            stop = until(data, at, last, COLON)
            slot[n] = _find_key(data[at:stop], keys, key_offset)
            if slot[n] < 0 and other[r] < 0 and stop > at and not (stop == at + 1 and data[at] == DOT):
                other[r] = at
            n += 1
            at = stop + 1
        at = columns[i, 9]
        for s in range(samples):
            row = r * samples + s
            for k in range(n_keys):
                length[k, row] = -1
                start[k, row] = 0
            column = 0
            while True:
                stop = at
                while stop < ends[i] and data[stop] != COLON and data[stop] != TAB:
                    stop += 1
                if column >= n:
                    return r
                k = slot[column]
                if k >= 0 and stop > at and (k == gt or not (stop - at == 1 and data[at] == DOT)):
                    start[k, row] = at
                    length[k, row] = stop - at
                column += 1
                at = stop + 1
                if stop >= ends[i] or data[stop] == TAB:
                    break
    return -1


@jit
def largest_ploidy(begin, end, data, start, length):
    """The most alleles of the GT texts begin..end."""
    most = 0
    for r in range(begin, end):
        n = 1 if length[r] > 0 else 0
        for c in data[start[r] : start[r] + max(length[r], 0)]:
            n += c == BAR or c == SLASH
        most = max(most, n)
    return most


@jit
def parse_genotypes(begin, end, data, start, length, allele, phased):
    """GT texts as allele int16[n, p] (-1 no call, -2 beyond the ploidy, in the order of the text) and phased uint8[n] (any '|').

    Returns the first row that is not a genotype, or -1. Absent rows are -2 throughout.
    """
    for r in range(begin, end):
        allele[r, :] = -2
        phased[r] = 0
        if length[r] < 0:
            continue
        text = data[start[r] : start[r] + length[r]]
        k, value, digits = 0, 0, 0
        for j in range(len(text) + 1):
            c = text[j] if j < len(text) else np.uint8(SLASH)
            if c == BAR or c == SLASH:
                allele[r, k] = value if digits else -1
                phased[r] |= c == BAR
                k += 1
                value = 0
                digits = 0
            elif 48 <= c <= 57 and value < 3000:
                value = value * 10 + (c - 48)
                digits += 1
            elif c != DOT:
                return r
    return -1


@jit
def parse_ints(begin, end, data, start, length, missing, out):
    """One whole number a row: out int32, `missing` where absent. Returns the first row that is not a number, or -1."""
    for r in range(begin, end):
        out[r] = missing
        if length[r] < 0:
            continue
        text = data[start[r] : start[r] + length[r]]
        negative = len(text) > 1 and text[0] == DASH
        value = _number(text[1:] if negative else text)
        if value < 0 or value > 2147483647:
            return r
        out[r] = -value if negative else value
    return -1


@jit
def count_values(begin, end, data, start, length, separator, count):
    """count[r] = values of row r (int64), 0 where absent."""
    for r in range(begin, end):
        n = 1 if length[r] > 0 else 0
        for c in data[start[r] : start[r] + max(length[r], 0)]:
            n += c == separator
        count[r] = n


@jit
def parse_int_lists(begin, end, data, start, length, offset, out):
    """Comma-separated whole numbers: out int32 by offset. Returns the first row with something else, or -1."""
    for r in range(begin, end):
        at, last = start[r], start[r] + length[r]
        for k in range(offset[r], offset[r + 1]):
            stop = until(data, at, last, COMMA)
            negative = stop - at > 1 and data[at] == DASH
            value = _number(data[at + negative : stop])
            if value < 0 or value > 2147483647:
                return r
            out[k] = -value if negative else value
            at = stop + 1
    return -1


@jit
def parse_decimal(text):
    """(value, whether it is exact) of a decimal number; what needs more than one rounding or is not a number is (NaN, False).

    Up to 15 digits and powers of ten up to 22 are exact doubles, so their quotient or product is rounded once.
    """
    at, n = 0, len(text)
    negative = n > 0 and text[0] == DASH
    if negative or (n > 0 and text[0] == 43):
        at = 1
    digits, scale, mantissa, any_digit, point = 0, 0, np.int64(0), False, False
    while at < n:
        c = text[at]
        if 48 <= c <= 57:
            any_digit = True
            mantissa = mantissa * 10 + (c - 48)
            digits += mantissa > 0
            scale += point
            if digits > 15:
                return np.nan, False
        elif c == DOT and not point:
            point = True
        else:
            break
        at += 1
    exponent = np.int64(0)
    if at < n and (text[at] == 101 or text[at] == 69) and any_digit:
        at += 1
        down = at < n and text[at] == DASH
        if at < n and (text[at] == DASH or text[at] == 43):
            at += 1
        exponent = _number(text[at:])
        if exponent < 0 or exponent > 400:
            return np.nan, False
        if down:
            exponent = -exponent
        at = n
    exponent -= scale
    if not any_digit or at < n or abs(exponent) > 22:
        return np.nan, False
    power = 1.0
    for _ in range(abs(exponent)):
        power *= 10.0
    value = mantissa * power if exponent > 0 else mantissa / power
    return (-value if negative else value), True


@jit
def parse_decimal_lists(begin, end, data, start, length, offset, out, exact):
    """Comma-separated decimal numbers: out float64 by offset; exact uint8 by offset, 0 where `parse_decimal` cannot tell the value."""
    for r in range(begin, end):
        at, last = start[r], start[r] + length[r]
        for k in range(offset[r], offset[r + 1]):
            stop = until(data, at, last, COMMA)
            out[k], ok = parse_decimal(data[at:stop])
            exact[k] = ok
            at = stop + 1


@jit
def value_spans(begin, end, data, start, length, offset, value_start, value_length):
    """Where each comma-separated value of the rows lies: value_start int64, value_length int32 by offset."""
    for r in range(begin, end):
        at, last = start[r], start[r] + length[r]
        for k in range(offset[r], offset[r + 1]):
            stop = until(data, at, last, COMMA)
            value_start[k] = at
            value_length[k] = stop - at
            at = stop + 1


@jit
def copy_lines(begin, end, data, start, out, offset):
    """Copy lines with their newlines: out[offset[i] : offset[i + 1]] = data[start[i]:]."""
    for i in range(begin, end):
        n = offset[i + 1] - offset[i]
        source, target = data[start[i] : start[i] + n - 1], out[offset[i] : offset[i] + n]
        for k in range(n - 1):
            target[k] = source[k]
        target[n - 1] = 10
