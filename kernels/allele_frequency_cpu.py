"""The allele frequency model of a site: P(no variant), P(allele absent), most likely allele counts, from integer PLs.

Source: GATK AlleleFrequencyCalculator, AlleleSubsettingUtils.calculateMostLikelyAlleles, MathUtils (behaviour; specification chapter
"likelihoods and genotyping", sections 9, 10.1 and 10.2).
"""

import math

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.log10_scalar import log10

CONVERGED = 0.1  # the largest change of an expected allele count at which the iteration stops
MOST_PL = 2147483647
LOG10_E = 1.0 / math.log(10.0)


@jit
def log10_sum(values, n):
    """log10 of the sum of 10^values[:n], largest first."""
    m = 0
    for k in range(1, n):
        if values[k] > values[m]:
            m = k
    if n == 0 or values[m] == -np.inf:
        return -np.inf
    total = 1.0
    for k in range(n):
        if k != m and values[k] != -np.inf:
            total += math.pow(10.0, values[k] - values[m])
    return values[m] + (log10(total) if total != 1.0 else 0.0)


@jit
def log10_sum_pair(a, b):
    """log10(10^a + 10^b)."""
    if a > b:
        return a + log10(1.0 + math.pow(10.0, b - a))
    return b + log10(1.0 + math.pow(10.0, a - b))


@jit
def log10_one_minus_pow10(a):
    """log10(1 - 10^a) for a <= 0."""
    if a == 0.0:
        return -np.inf
    b = a * math.log(10.0)
    value = math.log1p(-math.exp(b)) if b < math.log(0.5) else math.log(-math.expm1(b))
    return value * LOG10_E


@jit
def genotype_index(alleles, new, choose):
    """Row of the genotype with the alleles new[alleles] (ascending)."""
    g = np.int64(0)
    for k in range(len(alleles)):
        g += choose[new[alleles[k]], k + 1]
    return g


@jit
def first_smallest(pl):
    """Index of the first of the smallest values."""
    best = 0
    for g in range(1, len(pl)):
        if pl[g] < pl[best]:
            best = g
    return best


@jit
def _choose_alleles(pl, n_alleles, samples, with_non_ref, most_alt, genotype_allele, used):
    """Allele indices that enter the model, in `used`; their number. pl: int32[samples, genotypes]."""
    proper = n_alleles - 1 - with_non_ref
    if n_alleles - 1 <= most_alt or proper <= most_alt:
        for a in range(n_alleles):
            used[a] = a
        return n_alleles
    score = np.zeros(n_alleles)
    for s in range(samples):
        best = first_smallest(pl[s])
        weight = abs(pl[s, best] / -10.0 - pl[s, 0] / -10.0)
        last = -1
        for a in genotype_allele[best]:
            if a != last:
                score[a] += weight
            last = a
    used[0] = 0
    n = 1
    for a in range(1, n_alleles):
        before = 0
        for b in range(1, proper + 1):
            before += score[b] > score[a] or (score[b] == score[a] and b < a)
        if a > proper or before < most_alt:
            used[n] = a
            n += 1
    return n


@jit
def posteriors(likelihood, af, n_genotypes, distinct, count, n_distinct, combinations, out):
    """Normalised log10 posteriors of one sample's genotypes."""
    for g in range(n_genotypes):
        total = 0.0
        for k in range(n_distinct[g]):
            total += count[g, k] * af[distinct[g, k]]
        out[g] = combinations[g] + likelihood[g] + total
    norm = log10_sum(out, n_genotypes)
    for g in range(n_genotypes):
        out[g] -= norm


@jit
def add_counts(posterior, n_genotypes, distinct, count, n_distinct, log10_of, total):
    """Add a sample's expected allele counts to `total` (log10)."""
    for g in range(n_genotypes):
        for k in range(n_distinct[g]):
            a = distinct[g, k]
            total[a] = log10_sum_pair(total[a], posterior[g] + log10_of[count[g, k]])


@jit
def _frequencies(likelihood, prior, n, n_genotypes, distinct, count, n_distinct, combinations, log10_of, af, ac, posterior, work):
    """Iterate to the allele frequencies `af` (log10) and expected counts `ac` of the first n alleles."""
    for a in range(n):
        af[a] = -log10(float(n))
        ac[a] = 0.0
    while True:
        for a in range(n):
            work[a] = -np.inf
        for s in range(len(likelihood)):
            posteriors(likelihood[s], af, n_genotypes, distinct, count, n_distinct, combinations, posterior)
            add_counts(posterior, n_genotypes, distinct, count, n_distinct, log10_of, work)
        change, total = 0.0, 0.0
        for a in range(n):
            new = math.pow(10.0, work[a])
            change = max(change, abs(ac[a] - new))
            ac[a] = new
            total += prior[a] + new
        for a in range(n):
            af[a] = log10((prior[a] + ac[a]) / total)
        if not change > CONVERGED:
            return


@jit
def sum_without(posterior, n_genotypes, distinct, n_distinct, allele, work):
    """log10 of the probability of the genotypes without an allele, at most 0."""
    n = 0
    for g in range(n_genotypes):
        has = False
        for k in range(n_distinct[g]):
            has = has or distinct[g, k] == allele
        if not has:
            work[n] = posterior[g]
            n += 1
    return min(0.0, log10_sum(work, n))


@jit
def sum_ref_spanning(posterior, n_genotypes, distinct, n_distinct, spanning, work):
    """log10 of the probability of the genotypes of REF and "*" only, at most 0."""
    n = 0
    for g in range(n_genotypes):
        only = True
        for k in range(n_distinct[g]):
            only = only and (distinct[g, k] == 0 or distinct[g, k] == spanning)
        if only:
            work[n] = posterior[g]
            n += 1
    return min(0.0, log10_sum(work, n))


@jit
def allele_frequency(
    begin, end, allele_offset, allele_length, spanning, with_non_ref, pl, pl_offset, samples, most_alt, ref_prior, snp_prior, indel_prior,
    genotype_allele, distinct, count, n_distinct, combinations, choose, log10_of, no_variant, absent, mle_count, used,
):  # fmt: skip
    """The model of sites begin..end.

    allele_length: int32 by allele_offset, REF first. spanning: int32[sites], index of "*" in the site or -1. with_non_ref: 1 if the last
    allele of every site is <NON_REF>. pl: int32 by pl_offset int64[sites * samples + 1], all of one ploidy. most_alt: alternate alleles
    that enter the model. *_prior: pseudocounts. Genotype columns: `gatk.genotype_likelihoods.GenotypeTable`.
    Output: no_variant float64[sites], log10 P(no variant); by allele: absent float64 log10 P(allele absent), mle_count int32,
    used uint8 (0: left out of the model; its other values mean nothing).
    """
    most, most_genotypes = 1, 1
    for i in range(begin, end):
        most = max(most, allele_offset[i + 1] - allele_offset[i])
        most_genotypes = max(most_genotypes, pl_offset[i * samples + 1] - pl_offset[i * samples])
    chosen = np.empty(most, np.int64)
    prior, af, ac, sums = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    likelihood, posterior, work = np.empty((samples, most_genotypes)), np.empty(most_genotypes), np.empty(most_genotypes)
    for i in range(begin, end):
        a0, n_alleles = allele_offset[i], allele_offset[i + 1] - allele_offset[i]
        mine = pl[pl_offset[i * samples] : pl_offset[(i + 1) * samples]].reshape((samples, -1))
        n = _choose_alleles(mine, n_alleles, samples, with_non_ref, most_alt, genotype_allele, chosen)
        n_genotypes = mine.shape[1]
        if n < n_alleles:
            n_genotypes = 1
            for k in range(genotype_allele.shape[1]):
                n_genotypes = n_genotypes * (n + k) // (k + 1)
        star = -1
        for k in range(n):
            length = allele_length[a0 + chosen[k]]
            prior[k] = ref_prior if k == 0 else (snp_prior if length == allele_length[a0] else indel_prior)
            if chosen[k] == spanning[i]:
                star = k
        for s in range(samples):
            smallest = MOST_PL
            for g in range(n_genotypes):
                smallest = min(smallest, mine[s, genotype_index(genotype_allele[g], chosen, choose)])
            for g in range(n_genotypes):
                likelihood[s, g] = (mine[s, genotype_index(genotype_allele[g], chosen, choose)] - smallest) / -10.0
        _frequencies(likelihood, prior, n, n_genotypes, distinct, count, n_distinct, combinations, log10_of, af, ac, posterior, sums)
        used[a0 : a0 + n_alleles] = 0
        total = 0.0
        for k in range(n):
            a = a0 + chosen[k]
            used[a] = 1
            absent[a] = 0.0
            mle_count[a] = int(math.floor(ac[k] + 0.5))
        for s in range(samples):
            posteriors(likelihood[s], af, n_genotypes, distinct, count, n_distinct, combinations, posterior)
            if star < 0:
                total += posterior[0]
            else:
                total += sum_ref_spanning(posterior, n_genotypes, distinct, n_distinct, star, work)
            if n > 2 or star >= 0:
                for k in range(1, n):
                    absent[a0 + chosen[k]] += sum_without(posterior, n_genotypes, distinct, n_distinct, k, work)
        if n == 2 and star < 0:
            absent[a0 + chosen[1]] = total
        no_variant[i] = total



