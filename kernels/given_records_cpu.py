"""VCF records as alleles to be called whatever their evidence (--alleles): one event an ALT, cut to what it changes.

Source: GATK GATKVariantContextUtils.splitVariantContextToEvents and trimAlleles, Event.makeMinimalRepresentation (behaviour).
CPU only: a pass over some bytes of each record.
"""

import numpy as np

from gpugenome.kernels.launch import jit

COMMA, DOT, STAR, OPEN = 44, 46, 42, 60
REF, ALT, FILTER = 3, 4, 6
BAD_BASES, OTHER_REFERENCE, NO_BASES = 1, 2, 3  # values of `problem`


@jit
def is_unfiltered(begin, end, data, columns, out):
    """out: uint8 by record, 1 where FILTER is "." or PASS."""
    for i in range(begin, end):
        text = data[columns[i, FILTER] : columns[i, FILTER + 1] - 1]
        missing = len(text) == 1 and text[0] == DOT
        out[i] = missing or (len(text) == 4 and text[0] == 80 and text[1] == 65 and text[2] == 83 and text[3] == 83)


@jit
def _upper(base):
    return base - 32 if 97 <= base <= 122 else base


@jit
def _is_sequence(text):
    for base in text:
        upper = _upper(base)
        if not (upper == 65 or upper == 67 or upper == 71 or upper == 84 or upper == 78):
            return False
    return len(text) > 0


@jit
def _ends_alike(ref, n, alt, m):
    return _upper(ref[n - 1]) == _upper(alt[m - 1])


@jit
def _lengths(ref, alt, several):
    """(bases of REF, bases of ALT) that the event keeps of a pair: common last bases are cut off. several: the record has other ALTs."""
    n, m = len(ref), len(alt)
    if alt[0] == STAR or alt[0] == OPEN:
        return np.int64(1) if several else np.int64(n), np.int64(m)
    if n > 1 and m > 1:
        least = 1 if several else 0
        while n > least and m > least and _ends_alike(ref, n, alt, m):
            n -= 1
            m -= 1
    return np.int64(n), np.int64(m)


@jit
def count_events(begin, end, data, columns, rows, count):
    """count[i]: int64, ALTs of record rows[i]."""
    for i in range(begin, end):
        text = data[columns[rows[i], ALT] : columns[rows[i], ALT + 1] - 1]
        if len(text) == 1 and text[0] == DOT:
            count[i] = 0
            continue
        n = 1
        for c in text:
            n += c == COMMA
        count[i] = n


@jit
def fill_events(begin, end, data, columns, rows, pos, offset, contig, start, ref_length, alt_start, alt_length, problem):
    """The events of records rows[begin:end], at offset[i] and on: start int32 (0-based), ref_length int32, and where ALT's bases are in
    `data` (alt_start, alt_length int64).

    pos: int32, 1-based POS by record. contig: uint8, its bases. problem: uint8 by i, what is wrong with a record, 0 for nothing.
    """
    for i in range(begin, end):
        r = rows[i]
        ref = data[columns[r, REF] : columns[r, REF + 1] - 1]
        where = pos[r] - 1
        problem[i] = 0 if _is_sequence(ref) else BAD_BASES
        if problem[i] == 0 and (where < 0 or where + len(ref) > len(contig)):
            problem[i] = OTHER_REFERENCE
        if problem[i]:
            continue
        for k in range(len(ref)):
            if _upper(ref[k]) != contig[where + k]:
                problem[i] = OTHER_REFERENCE
        n, at = offset[i + 1] - offset[i], columns[r, ALT]
        for k in range(offset[i], offset[i + 1]):
            stop = at
            while stop < columns[r, ALT + 1] - 1 and data[stop] != COMMA:
                stop += 1
            alt = data[at:stop]
            start[k], alt_start[k], ref_length[k], alt_length[k] = where, at, 0, 0
            if len(alt) == 0 or not (_is_sequence(alt) or alt[0] == OPEN or (len(alt) == 1 and alt[0] == STAR)):
                problem[i] = BAD_BASES
            else:
                ref_length[k], alt_length[k] = _lengths(ref, alt, n > 1)
                if ref_length[k] == 0 or alt_length[k] == 0:
                    problem[i] = NO_BASES
            at = stop + 1


@jit
def copy_alts(begin, end, data, alt_start, alt, alt_offset):
    """ALT bases of events begin..end, upper-case, to `alt` (uint8 by alt_offset)."""
    for k in range(begin, end):
        for j in range(alt_offset[k + 1] - alt_offset[k]):
            base = data[alt_start[k] + j]
            alt[alt_offset[k] + j] = base if data[alt_start[k]] == OPEN else _upper(base)


@jit
def mark_spans(begin, end, low, high, mask):
    """mask[p] = 1 inside the spans low[i]..high[i] (int64, half-open) of begin..end."""
    for i in range(begin, end):
        mask[low[i] : high[i]] = True
