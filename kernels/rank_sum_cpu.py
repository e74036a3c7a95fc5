"""Mann-Whitney rank sums of reads that support ALT against reads that support REF, call by call.

Source: MannWhitneyU, RankSumTest of GATK (behaviour; chapter "annotations", section 6). Ranks and their sums are single precision, as
there.
CPU only: sorting a few dozen numbers per call.
"""

import math

import numpy as np

from gpugenome.kernels.annotations_scalar import inverse_normal
from gpugenome.kernels.launch import jit

NORMAL_FROM = 10
"""Values in either series from which the normal approximation is used."""


@jit
def _exact_z(group_size, group_rank2, n_groups, n1, u2):
    """z of the exact test by counting the choices of n1 of the pooled ranks, tie group by tie group.

    group_size, group_rank2: int64[n_groups], members and twice the rank of each tie group. u2: twice U.
    """
    highest = np.int64(0)
    for g in range(n_groups):
        highest = max(highest, group_rank2[g])
    size = n1 * highest + 1
    ways = np.zeros((n1 + 1, size), np.int64)  # [chosen, twice their rank sum]
    ways[0, 0] = 1
    for g in range(n_groups):
        members, rank2 = group_size[g], group_rank2[g]
        for chosen in range(n1, 0, -1):
            row = ways[chosen]
            choices = np.int64(1)
            for more in range(1, min(members, chosen) + 1):
                choices = choices * (members - more + 1) // more
                before = ways[chosen - more]
                shift = more * rank2
                for s in range(size - shift):
                    row[s + shift] += choices * before[s]
    target = u2 + n1 * (n1 + 1)
    less, equal, total = np.int64(0), np.int64(0), np.int64(0)
    for s in range(size):
        w = ways[n1, s]
        total += w
        if s < target:
            less += w
        elif s == target:
            equal += w
    return inverse_normal((equal / 2.0 + less) / total)


@jit
def rank_sum_z(alt, ref):
    """z of sorted values: positive where those of `alt` are larger. NaN where a series is empty."""
    n1, n2 = len(alt), len(ref)
    n = n1 + n2
    if n1 == 0 or n2 == 0:
        return np.nan
    group_size, group_rank2 = np.empty(n, np.int64), np.empty(n, np.int64)
    groups = 0
    i, j, done = 0, 0, 0
    rank_sum = np.float32(0.0)
    ties = 0.0
    while done < n:
        value = alt[i] if j >= n2 or (i < n1 and alt[i] <= ref[j]) else ref[j]
        of_alt = np.int64(0)
        count = np.int64(0)
        rank = np.float32(0.0)
        while i < n1 and alt[i] == value:
            i += 1
            of_alt += 1
            count += 1
            rank += np.float32(done + count)
        while j < n2 and ref[j] == value:
            j += 1
            count += 1
            rank += np.float32(done + count)
        if count > 1:
            rank = np.float32(rank / np.float32(count))
            if count != n:
                ties += float(count) * count * count - count
        for _ in range(of_alt):
            rank_sum += rank
        group_size[groups] = count
        group_rank2[groups] = np.int64(rank * np.float32(2.0))
        groups += 1
        done += count
    u = float(rank_sum) - n1 * (n1 + 1.0) / 2.0
    if n1 < NORMAL_FROM and n2 < NORMAL_FROM:
        return _exact_z(group_size, group_rank2, groups, n1, np.int64(2.0 * u))
    correction = 0.0 if ties == 0.0 else -0.5
    sigma = math.sqrt((n1 * n2 / 12.0) * ((n + 1) - ties / (float(n) * (n - 1))))
    return (u - n1 * n2 / 2.0 - correction) / sigma


@jit
def rank_sums(begin, end, evidence_offset, allele, value, out):
    """out float64[c]: z of each call, NaN where it has none.

    allele: int16 per evidence row, the call's allele that the read supports, -1 for none. value: float64 per row, NaN for none.
    """
    for i in range(begin, end):
        a, b = evidence_offset[i], evidence_offset[i + 1]
        alt, ref = np.empty(b - a), np.empty(b - a)
        n1, n2 = 0, 0
        for k in range(a, b):
            if allele[k] < 0 or math.isnan(value[k]):
                continue
            if allele[k] > 0:
                alt[n1] = value[k]
                n1 += 1
            else:
                ref[n2] = value[k]
                n2 += 1
        out[i] = rank_sum_z(np.sort(alt[:n1]), np.sort(ref[:n2])) if n1 > 0 and n2 > 0 else np.nan


@jit
def allele_rank_sums(begin, end, evidence_offset, allele_offset, allele, value, out):
    """out float64 by allele row: z of that allele's reads against the REF reads, values cut to integers; NaN where it has none.

    The row of REF is 0 where the call has REF reads with values, else NaN.
    """
    for i in range(begin, end):
        a, b = evidence_offset[i], evidence_offset[i + 1]
        mine, ref = np.empty(b - a), np.empty(b - a)
        n2 = 0
        for k in range(a, b):
            if allele[k] == 0 and not math.isnan(value[k]):
                ref[n2] = float(np.int64(value[k]))
                n2 += 1
        ref_sorted = np.sort(ref[:n2])
        out[allele_offset[i]] = 0.0 if n2 > 0 else np.nan
        for row in range(allele_offset[i] + 1, allele_offset[i + 1]):
            n1 = 0
            for k in range(a, b):
                if allele[k] == row - allele_offset[i] and not math.isnan(value[k]):
                    mine[n1] = float(np.int64(value[k]))
                    n1 += 1
            out[row] = rank_sum_z(np.sort(mine[:n1]), ref_sorted)
