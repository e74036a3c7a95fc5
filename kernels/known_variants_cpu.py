"""Known variants (dbSNP) by position: reading their lines, and finding those that equal an allele of a call.

A known variant is kept as the bytes "ID<tab>REF<tab>ALT[,ALT...]". Source: VariantOverlapAnnotator, splitVariantContextToEvents of GATK.
CPU only: a binary search per call and comparisons of a few bytes.
"""

import numpy as np

from gpugenome.kernels.launch import jit

TAB, COMMA, DOT, STAR, OPEN, SEMICOLON = 9, 44, 46, 42, 60, 59


@jit
def parse_lines(begin, end, data, starts, ends, pos, keep, same_contig, text_start, text_length):
    """First columns of VCF lines begin..end. Returns the first line that is not one, or -1.

    pos: int32, 0-based. keep: uint8, FILTER is missing or PASS. same_contig: uint8, CHROM equals that of the line before (0 for line 0).
    text_start, text_length: int64, the bytes of ID, REF and ALT with the tabs between them.
    """
    for i in range(begin, end):
        line = data[starts[i] : ends[i]]
        tabs = np.zeros(7, np.int64)
        n = 0
        for j in range(len(line)):
            if line[j] == TAB:
                tabs[n] = j
                n += 1
                if n == 7:
                    break
        if n < 7:
            return i
        value = np.int64(0)
        for j in range(tabs[0] + 1, tabs[1]):
            digit = np.int64(line[j]) - 48
            if digit < 0 or digit > 9:
                return i
            value = value * 10 + digit
        pos[i] = value - 1
        text_start[i] = starts[i] + tabs[1] + 1
        text_length[i] = tabs[4] - tabs[1] - 1
        f = line[tabs[5] + 1 : tabs[6]]
        keep[i] = (len(f) == 1 and f[0] == DOT) or (len(f) == 4 and f[0] == 80 and f[1] == 65 and f[2] == 83 and f[3] == 83)
        same = i > 0
        if same:
            before = data[starts[i - 1] : ends[i - 1]]
            for j in range(tabs[0] + 1):
                if j >= len(before) or before[j] != line[j]:
                    same = False
                    break
        same_contig[i] = same
    return -1


@jit
def copy_rows(begin, end, row, data, start, out, offset):
    """Copy the texts of rows row[begin:end] to out[offset[i] : offset[i + 1]]."""
    for i in range(begin, end):
        n = offset[i + 1] - offset[i]
        source = data[start[row[i]] : start[row[i]] + n]
        target = out[offset[i] : offset[i] + n]
        for k in range(n):
            target[k] = source[k]


@jit
def _event(ref, alt, several):
    """(shared first bases cut off, REF bases, ALT bases) of one REF/ALT pair. several: the record has more than one ALT."""
    n, m = len(ref), len(alt)
    if n == 1 or m == 1 or alt[0] == OPEN:
        return np.int64(0), np.int64(n), np.int64(m)
    if not several:
        while n > 0 and m > 0 and ref[n - 1] == alt[m - 1]:
            n -= 1
            m -= 1
        return np.int64(0), np.int64(n), np.int64(m)
    while n > 1 and m > 1 and ref[n - 1] == alt[m - 1]:
        n -= 1
        m -= 1
    left = 0
    while n - left > 1 and m - left > 1 and ref[left] == alt[left]:
        left += 1
    return np.int64(left), np.int64(n - left), np.int64(m - left)


@jit
def _equal(ref, alt, several, other_ref, other_alt, other_several):
    left, n, m = _event(ref, alt, several)
    other_left, other_n, other_m = _event(other_ref, other_alt, other_several)
    if left != other_left or n != other_n or m != other_m:
        return False
    for k in range(n):
        if ref[left + k] != other_ref[left + k]:
            return False
    for k in range(m):
        if alt[left + k] != other_alt[left + k]:
            return False
    return True


@jit
def _matches(known, id_end, ref_end, alleles, offset, a, b):
    """Whether any ALT of a known variant's text is an ALT of the call (allele rows a..b)."""
    ref = known[id_end + 1 : ref_end]
    alts = known[ref_end + 1 :]
    several = False
    for c in alts:
        several |= c == COMMA
    call_ref = alleles[offset[a] : offset[a + 1]]
    begin = 0
    for j in range(len(alts) + 1):
        if j < len(alts) and alts[j] != COMMA:
            continue
        alt = alts[begin:j]
        begin = j + 1
        if len(alt) == 0 or alt[0] == DOT:
            continue
        for row in range(a + 1, b):
            if _equal(ref, alt, several, call_ref, alleles[offset[row] : offset[row + 1]], b - a > 2):
                return True
    return False


@jit
def match(begin, end, start, allele_offset, alleles, alleles_offset, known_pos, known_text, known_offset, fill, out, out_offset, size):
    """IDs of the known variants that calls begin..end have, ';' between several.

    start: int32[c]. known_pos: int32[k], sorted. With `fill` the text is written to out[out_offset[i]:], else size[i] (int64) becomes its
    length (0: no known variant).
    """
    for i in range(begin, end):
        row = np.searchsorted(known_pos, start[i])
        at = out_offset[i]
        length = np.int64(0)
        while row < len(known_pos) and known_pos[row] == start[i]:
            known = known_text[known_offset[row] : known_offset[row + 1]]
            row += 1
            id_end, ref_end = 0, 0
            for j in range(len(known)):
                if known[j] == TAB:
                    if id_end == 0:
                        id_end = j
                    else:
                        ref_end = j
                        break
            if not _matches(known, id_end, ref_end, alleles, alleles_offset, allele_offset[i], allele_offset[i + 1]):
                continue
            if length > 0:
                if fill:
                    out[at + length] = SEMICOLON
                length += 1
            if fill:
                for j in range(id_end):
                    out[at + length + j] = known[j]
            length += id_end
        size[i] = length


@jit
def extend_ids(begin, end, own, own_start, own_length, known, known_offset, fill, out, out_offset, size):
    """The ID column of records begin..end: their own IDs (length -1: none) and the known ones, ';' between, unless the own has them.

    With `fill` the text is written to out[out_offset[i]:], else size[i] (int64) becomes its length (0: no ID).
    """
    for i in range(begin, end):
        n, m = max(0, own_length[i]), known_offset[i + 1] - known_offset[i]
        contained = m == 0
        for shift in range(n - m + 1):
            same = m > 0
            for k in range(m):
                same = same and own[own_start[i] + shift + k] == known[known_offset[i] + k]
            contained = contained or same
        size[i] = n if contained else (m if n == 0 else n + 1 + m)
        if not fill:
            continue
        at = out_offset[i]
        for k in range(n):
            out[at + k] = own[own_start[i] + k]
        if not contained:
            if n > 0:
                out[at + n] = SEMICOLON
                n += 1
            for k in range(m):
                out[at + n + k] = known[known_offset[i] + k]
