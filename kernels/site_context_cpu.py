"""The reference around a site: tandem repeats that an indel expands or contracts.

Source: TandemRepeat, GATKVariantContextUtils.getNumTandemRepeatUnits of GATK (behaviour). CPU only: optional annotation.
"""

import numpy as np

from gpugenome.kernels.launch import jit

STAR, OPEN = 42, 60


@jit
def _period(bases):
    """Smallest length of a unit whose copies make up `bases` exactly."""
    n = len(bases)
    for length in range(1, n + 1):
        if n % length:
            continue
        whole = True
        for k in range(length, n):
            if bases[k] != bases[k - length]:
                whole = False
                break
        if whole:
            return length
    return n


@jit
def _leading_units(unit, bases, contig, site):
    """How often `unit` follows itself from the start of `bases` + contig[site:]; only in `bases` where site is -1."""
    n, k = len(bases), len(unit)
    total = n + (len(contig) - site if site >= 0 else 0)
    count = 0
    while (count + 1) * k <= total:
        for j in range(k):
            at = count * k + j
            base = bases[at] if at < n else contig[site + at - n]
            if base != unit[j]:
                return count
        count += 1
    return count


@jit
def _payload(allele, contig, site, extra):
    """An allele without its first base, with `extra` reference bases from `site` behind it; empty for '*'."""
    if allele[0] == STAR:
        return np.empty(0, np.uint8)
    out = np.empty(len(allele) - 1 + extra, np.uint8)
    for k in range(1, len(allele)):
        out[k - 1] = allele[k]
    for k in range(extra):
        out[len(allele) - 1 + k] = contig[site + k]
    return out


@jit
def _is_indel(allele_base, offset, a, b, extra):
    """Whether every ALT (allele rows a + 1 .. b) differs from REF in length, and none is symbolic; '*' has not lost `extra` bases."""
    for row in range(a + 1, b):
        first, length = allele_base[offset[row]], offset[row + 1] - offset[row]
        if first == OPEN or length - (extra if first == STAR else 0) == offset[a + 1] - offset[a]:
            return False
    return b > a + 1


@jit
def tandem_repeats(begin, end, start, ref_end, extra, allele_offset, allele_base, allele_base_offset, contig, present, units, unit,
                   unit_offset, unit_length):  # fmt: skip
    """RU and RPA of calls that are indels.

    start, ref_end: int32[c], span of REF as printed; extra: int32[c], REF bases trimmed off its end.

    present: uint8[c]. units: int64 by allele, copies of the unit (REF's: by the first ALT's unit). unit: the last ALT's unit at
    unit_offset[i] (room for the longest allele), unit_length int32[c].
    """
    for i in range(begin, end):
        a, b = allele_offset[i], allele_offset[i + 1]
        present[i] = 0
        unit_length[i] = 0
        if not _is_indel(allele_base, allele_base_offset, a, b, extra[i]):
            continue
        site = np.int64(start[i]) + 1
        stop, more = np.int64(ref_end[i]), np.int64(extra[i])
        ref = _payload(allele_base[allele_base_offset[a] : allele_base_offset[a + 1]], contig, stop, more)
        found = True
        for row in range(a + 1, b):
            alt = _payload(allele_base[allele_base_offset[row] : allele_base_offset[row + 1]], contig, stop, more)
            longer = alt if len(alt) > len(ref) else ref
            one = longer[: _period(longer)]
            in_ref = _leading_units(one, ref, contig, np.int64(-1))
            of_ref = _leading_units(one, ref, contig, site) - in_ref
            of_alt = _leading_units(one, alt, contig, site) - in_ref
            if of_ref == 0 or of_alt == 0:
                found = False
                break
            if row == a + 1:
                units[a] = of_ref
            units[row] = of_alt
            unit_length[i] = len(one)
            for k in range(len(one)):
                unit[unit_offset[i] + k] = one[k]
        present[i] = found
