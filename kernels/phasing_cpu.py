"""Physical phasing of the calls of a region by the haplotypes that carry them.

Source: GATK AssemblyBasedCallerUtils.phaseCalls (behaviour; specification chapter "likelihoods and genotyping", section 11).
"""

import numpy as np

from gpugenome.kernels.genotype_sites_cpu import NON_REF, SPANNING
from gpugenome.kernels.launch import jit


@jit
def _has_event(first, last, start, bases, event_start, alt, alt_offset):
    """Whether one of events first..last begins at `start` with the ALT `bases`."""
    for e in range(first, last):
        if event_start[e] == start and alt_offset[e + 1] - alt_offset[e] == len(bases):
            same = True
            for k in range(len(bases)):
                same = same and alt[alt_offset[e] + k] == bases[k]
            if same:
                return True
    return False


@jit
def _only_alt(code):
    """Index of the only allele that is neither REF, "*" nor <NON_REF>; -1 if there is none or more than one."""
    found = -1
    for k in range(1, len(code)):
        if code[k] != SPANNING and code[k] != NON_REF:
            if found >= 0:
                return -1
            found = k
    return found


@jit
def _contains(mine, other):
    for h in range(len(mine)):
        if other[h] and not mine[h]:
            return False
    return True


@jit
def _disjoint(mine, other):
    for h in range(len(mine)):
        if other[h] and mine[h]:
            return False
    return True


@jit
def _pair_up(member, group, flipped):
    """Groups of the calls of one region. member: uint8[calls, haplotypes]. Output: group int64 (-1: none), flipped uint8."""
    n = len(member)
    size = np.empty(n, np.int64)
    total = 0
    for h in range(member.shape[1]):
        total += member[:, h].any()
    for i in range(n):
        size[i] = member[i].sum()
        group[i], flipped[i] = -1, 0
    fresh = 0
    for i in range(n - 1):
        available = member[i].copy()
        for j in range(i + 1, n):
            if size[i] == 0 or size[j] == 0:
                continue
            together = (
                (size[i] == size[j] and _contains(member[i], member[j]))
                or (size[i] == total and _contains(available, member[j]))
                or size[j] == total
            )
            apart = not together and size[i] + size[j] == total and _disjoint(member[i], member[j])
            if not together and not apart:
                continue
            if group[i] < 0:
                if group[j] >= 0:  # the call is with another one that this is not with: nothing of the region can be phased
                    group[:] = -1
                    flipped[:] = 0
                    return
                group[i] = group[j] = fresh
                flipped[j] = apart
                if together:
                    available &= member[j]
                fresh += 1
            elif group[j] < 0:
                group[j] = group[i]
                flipped[j] = flipped[i] ^ np.uint8(apart)


@jit
def _phase_genotypes(gt, code, at):
    """Put an allele that begins at the site at place `at` (0 or 1) of a heterozygous diploid genotype."""
    a = gt[at]
    if gt[0] >= 0 and gt[0] != gt[1] and (a == 0 or code[a] == SPANNING or code[a] == NON_REF):
        gt[at] = gt[1 - at]
        gt[1 - at] = a


@jit
def phase(
    begin, end, region_call_offset, call_start, call_allele_offset, code, base, base_offset, hap_offset, hap_called, event_offset,
    event_start, alt, alt_offset, gt, phased, group_call, flipped,
):  # fmt: skip
    """Phase the calls of regions begin..end (diploid).

    code: int64 by call_allele_offset (see genotype_sites_cpu); base: their printed bytes. gt: int16[c, s, 2], changed in place.
    Output: phased uint8[c, s]; group_call int32, row of the group's first call, -1 without group; flipped uint8: 1 where PGT is 1|0.
    """
    for r in range(begin, end):
        c0, c1 = region_call_offset[r], region_call_offset[r + 1]
        n, h0, haps = c1 - c0, hap_offset[r], hap_offset[r + 1] - hap_offset[r]
        if n == 0:
            continue
        member, group = np.zeros((n, haps), np.uint8), np.empty(n, np.int64)
        for c in range(c0, c1):
            k = _only_alt(code[call_allele_offset[c] : call_allele_offset[c + 1]])
            if k < 0:
                continue
            row = call_allele_offset[c] + k
            bases = base[base_offset[row] : base_offset[row + 1]]
            for h in range(haps):
                if hap_called[h0 + h]:
                    first, last = event_offset[h0 + h], event_offset[h0 + h + 1]
                    member[c - c0, h] = _has_event(first, last, call_start[c], bases, event_start, alt, alt_offset)
        _pair_up(member, group, flipped[c0:c1])
        for c in range(c0, c1):
            if group[c - c0] < 0:
                continue
            first_call = 0
            while group[first_call] != group[c - c0]:
                first_call += 1
            group_call[c] = c0 + first_call
            phased[c, :] = 1
            for s in range(gt.shape[1]):
                _phase_genotypes(gt[c, s], code[call_allele_offset[c] : call_allele_offset[c + 1]], 0 if flipped[c] else 1)
