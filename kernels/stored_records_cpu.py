"""Records of a cohort store: reference blocks as numbers, and their lines again.

A block's line is CHROM, POS, '.', one base, <NON_REF>, '.', '.', END=..., then FORMAT and samples, of which only numbers change from block
to block: the rest is a template, text with NUMBER where a number stands. kind of a row: 0 or 1, its line is kept (1: it has a variant), or
2 + the number of its template. Templates are templates[template_offset[t] : template_offset[t + 1]].
"""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.variant_records_cpu import TAB, differs, until
from gpugenome.kernels.vcf_text_cpu import copy, put_int

NUMBER = 1
"""The byte of a template that stands for a number."""
LINE, VARIANT_LINE, FIRST_TEMPLATE = 0, 1, 2
"""Values of kind."""
MOST_VALUE, MOST_DIGITS = 65535, 5
_AFTER_REF = (9, 60, 78, 79, 78, 95, 82, 69, 70, 62, 9, 46, 9, 46, 9, 69, 78, 68, 61)
"""Tab, <NON_REF>, tab, '.', tab, '.', tab, END="""
LONGEST_FIXED = 2 * 10 + len(_AFTER_REF) + 8
"""Bytes of a block's line beside CHROM and what the template gives, at most."""


@jit
def _is_number(data, at, last, value):
    """Whether data[at:last] is how a number >= 0 is written."""
    if at == last or (data[at] == 48 and last - at > 1) or last - at > 10:
        return False
    found = np.int64(0)
    for k in range(at, last):
        if data[k] < 48 or data[k] > 57:
            return False
        found = found * 10 + (data[k] - 48)
    return found == value


@jit
def _is_block(data, columns, start, stop):
    """Whether a record is a block but for its FORMAT and samples."""
    ref = columns[3]
    if columns[3] - columns[2] != 2 or data[columns[2]] != 46 or columns[4] - ref != 2 or columns[7] - ref != len(_AFTER_REF) - 3:
        return False
    for k in range(len(_AFTER_REF)):
        if data[ref + 1 + k] != _AFTER_REF[k]:
            return False
    return (_is_number(data, columns[1], columns[2] - 1, np.int64(start) + 1)
            and _is_number(data, columns[7] + 4, columns[8] - 1, np.int64(stop)))  # fmt: skip


@jit
def _matches(data, at, last, template, values):
    """Whether data[at:last] is a template with numbers, which go to `values`."""
    k = 0
    for c in template:
        if c != NUMBER:
            if at == last or data[at] != c:
                return False
            at += 1
            continue
        first, value = at, np.int64(0)
        while at < last and 48 <= data[at] <= 57 and at - first <= MOST_DIGITS:
            value = value * 10 + (data[at] - 48)
            at += 1
        if at == first or (data[first] == 48 and at - first > 1) or value > MOST_VALUE or k == len(values):
            return False
        values[k] = value
        k += 1
    return at == last


@jit
def encode(begin, data, columns, ends, start, stop, variant, templates, template_offset, learns, kind, ref, values):
    """Rows of records from `begin` on: kind uint8, ref uint8 (a block's base), values uint16[n, numbers].

    data to stop: as of VariantRecords; variant: uint8. Returns the number of records, or with `learns` the first row that is a block but
    for which there is no template; it counts as a line.
    """
    last_used = 0
    for i in range(begin, len(start)):
        kind[i] = VARIANT_LINE if variant[i] else LINE
        ref[i] = 0
        values[i] = 0
        if not _is_block(data, columns[i], start[i], stop[i]):
            continue
        found = False
        for k in range(len(template_offset) - 1):
            t = (last_used + k) % (len(template_offset) - 1)
            if _matches(data, columns[i, 8], ends[i], templates[template_offset[t] : template_offset[t + 1]], values[i]):
                found, last_used = True, t
                break
            values[i] = 0
        if not found and learns:
            return i
        if not found:
            continue
        kind[i] = FIRST_TEMPLATE + last_used
        ref[i] = data[columns[i, 3]]
    return len(start)


@jit
def decode(gap, length, firsts, kind, ref, line_offset, line, bases, start, stop):
    """Spans of rows: start, stop int32. Returns the first row beyond the contig or of another reference, or -1.

    gap: int32, from the end of the row before to the start (from 0 in the rows `firsts`); length: int32. line: uint8, lines of rows by
    line_offset (int32). bases: uint8, the contig.
    """
    bad, end, f = np.int64(-1), np.int64(0), 0
    for i in range(len(gap)):
        if f < len(firsts) and firsts[f] == i:
            end = 0
            f += 1
        start[i] = end + gap[i]
        end = np.int64(start[i]) + length[i]
        stop[i] = end
        if bad >= 0:
            continue
        if start[i] >= len(bases) or end > len(bases):
            bad = i
        elif kind[i] >= FIRST_TEMPLATE:
            if differs(ref[i], bases[start[i]]):
                bad = i
        else:
            at, last = np.int64(line_offset[i]), np.int64(line_offset[i + 1])
            for _ in range(3):
                at = until(line, at, last, TAB) + 1
            p = np.int64(start[i])
            while at < last and line[at] != TAB and p < len(bases):
                if differs(line[at], bases[p]):
                    bad = i
                at += 1
                p += 1
    return bad


@jit
def write_lines(rows, row, start, stop, kind, ref, values, line_offset, line, contig, templates, template_offset, out, at):
    """Write lines, with their newlines, to out[at:]; where they end.

    rows: int64, which of the records start, stop and row (int32, where the rest of each stands) are meant.
    """
    for i in rows:
        r = row[i]
        if kind[r] < FIRST_TEMPLATE:
            at = copy(out, at, line[line_offset[r] : line_offset[r + 1]])
        else:
            at = copy(out, at, contig)
            out[at] = TAB
            at = put_int(out, at + 1, np.int64(start[i]) + 1)
            out[at] = TAB
            out[at + 1] = 46
            out[at + 2] = TAB
            out[at + 3] = ref[r]
            at += 4
            for k in range(len(_AFTER_REF)):
                out[at + k] = _AFTER_REF[k]
            at = put_int(out, at + len(_AFTER_REF), stop[i])
            out[at] = TAB
            at += 1
            t, n = kind[r] - FIRST_TEMPLATE, 0
            for k in range(template_offset[t], template_offset[t + 1]):
                if templates[k] == NUMBER:
                    at = put_int(out, at, values[r, n])
                    n += 1
                else:
                    out[at] = templates[k]
                    at += 1
        out[at] = 10
        at += 1
    return at
