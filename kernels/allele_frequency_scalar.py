"""What the allele frequency model does for one site, sample or allele, shared by single-sample and joint genotyping, CPU and CUDA.

Genotype columns (distinct, count, n_distinct, combinations, log10_of): `gatk.genotype_likelihoods.GenotypeTable`.
Source: GATK AlleleFrequencyCalculator, AlleleSubsettingUtils.calculateMostLikelyAlleles, MathUtils (behaviour; specification chapter
"likelihoods and genotyping", sections 9, 10.1 and 10.2).
"""

import math

import numpy as np

from gpugenome.kernels.java_math_scalar import log10, pow10
from gpugenome.kernels.launch import jit
from gpugenome.kernels.rounded import product

CONVERGED = 0.1  # the largest change of an expected allele count at which the iteration stops
MOST_PL = 2147483647


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
            total += pow10(values[k] - values[m])
    return values[m] + (log10(total) if total != 1.0 else 0.0)


@jit
def log10_sum_pair(a, b):
    """log10(10^a + 10^b)."""
    if a > b:
        return a + log10(1.0 + pow10(b - a))
    return b + log10(1.0 + pow10(a - b))


@jit
def first_smallest(pl):
    """Index of the first of the smallest values."""
    best = 0
    for g in range(1, len(pl)):
        if pl[g] < pl[best]:
            best = g
    return best


@jit
def add_scores(pl, allele, ploidy, score):
    """Add to each allele of one sample's best genotype its log10 distance to 0/0. allele: int16[genotypes, ploidy], ascending."""
    best = first_smallest(pl)
    weight = abs(pl[best] / -10.0 - pl[0] / -10.0)
    last = -1
    for k in range(ploidy):
        a = allele[best, k]
        if a != last:
            score[a] += weight
        last = a


@jit
def best_alleles(n_alleles, proper, most_alt, score, used):
    """REF, the `most_alt` best of the ALTs 1..proper and the ALTs beyond, in order, in `used`; their number."""
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
            total += product(count[g, k], af[distinct[g, k]])
        out[g] = combinations[g] + likelihood[g] + total
    norm = log10_sum(out, n_genotypes)
    for g in range(n_genotypes):
        out[g] -= norm


@jit
def start_frequencies(n, af, ac):
    """Equal frequencies `af` (log10) of n alleles, no counts `ac`."""
    for a in range(n):
        af[a] = -log10(float(n))
        ac[a] = 0.0


@jit
def next_frequencies(n, log10_count, prior, af, ac):
    """Frequencies and counts of n alleles from the log10 of their expected counts; whether the counts have converged."""
    change, total = 0.0, 0.0
    for a in range(n):
        new = pow10(log10_count[a])
        change = max(change, abs(ac[a] - new))
        ac[a] = new
        total += prior[a] + new
    for a in range(n):
        af[a] = log10((prior[a] + ac[a]) / total)
    return not change > CONVERGED


@jit
def whole_count(count):
    """An expected count as a whole number, halves up. The number below 0.5 gives 0: with 0.5 added to it, it would be 1.

    Source: Math.round.
    """
    whole = math.floor(count)
    return int(whole) + (count - whole >= 0.5)


@jit
def _chosen(g, distinct, n_distinct, allele, without):
    """Whether genotype g lacks `allele` (without), or has no other alleles than it and REF."""
    for k in range(n_distinct[g]):
        same = distinct[g, k] == allele
        if same if without else not (same or distinct[g, k] == 0):
            return False
    return True


@jit
def sum_genotypes(posterior, n_genotypes, distinct, n_distinct, allele, without):
    """log10 of the probability, at most 0, of the genotypes that lack `allele` (without), or of those of REF and `allele` only."""
    m = -1
    for g in range(n_genotypes):
        if (m < 0 or posterior[g] > posterior[m]) and _chosen(g, distinct, n_distinct, allele, without):
            m = g
    if m < 0 or posterior[m] == -np.inf:
        return -np.inf
    total = 1.0
    for g in range(n_genotypes):
        if g != m and posterior[g] != -np.inf and _chosen(g, distinct, n_distinct, allele, without):
            total += pow10(posterior[g] - posterior[m])
    return min(0.0, posterior[m] + (log10(total) if total != 1.0 else 0.0))


@jit
def sample_part(posterior, n_genotypes, distinct, n_distinct, star, k):
    """What a sample adds to log10 P(no variant), k = 0, or to log10 P(allele k is absent). star: place of "*" or -1."""
    if k > 0:
        return sum_genotypes(posterior, n_genotypes, distinct, n_distinct, k, True)
    return posterior[0] if star < 0 else sum_genotypes(posterior, n_genotypes, distinct, n_distinct, star, False)


@jit
def genotype_index(alleles, new, choose):
    """Row of the genotype with the alleles new[alleles] (ascending)."""
    g = np.int64(0)
    for k in range(len(alleles)):
        g += choose[new[alleles[k]], k + 1]
    return g


@jit
def choose_alleles(first, n_alleles, samples, with_non_ref, most_alt, pl, pl_offset, genotype_allele, score, used):
    """Allele indices that enter a site's model, in `used`; their number. Rows first.. of pl_offset are the site's samples."""
    proper = n_alleles - 1 - with_non_ref
    if n_alleles - 1 <= most_alt or proper <= most_alt:
        for a in range(n_alleles):
            used[a] = a
        return n_alleles
    for a in range(n_alleles):
        score[a] = 0.0
    for row in range(first, first + samples):
        add_scores(pl[pl_offset[row] : pl_offset[row + 1]], genotype_allele, genotype_allele.shape[1], score)
    return best_alleles(n_alleles, proper, most_alt, score, used)


@jit
def genotypes_of(n, ploidy):
    """Number of genotypes over n alleles."""
    count = 1
    for k in range(ploidy):
        count = count * (n + k) // (k + 1)
    return count


@jit
def row_likelihoods(pl, n_genotypes, genotype_allele, chosen, choose, out):
    """log10 likelihoods of one sample's genotypes over the alleles `chosen`, the best 0."""
    smallest = MOST_PL
    for g in range(n_genotypes):
        smallest = min(smallest, pl[genotype_index(genotype_allele[g], chosen, choose)])
    for g in range(n_genotypes):
        out[g] = (pl[genotype_index(genotype_allele[g], chosen, choose)] - smallest) / -10.0


@jit
def site_priors(a0, n, allele_length, chosen, ref_prior, snp_prior, indel_prior, prior):
    """Pseudocounts of the n alleles `chosen` of a site whose alleles are rows a0.. of allele_length."""
    for k in range(n):
        length = allele_length[a0 + chosen[k]]
        prior[k] = ref_prior if k == 0 else (snp_prior if length == allele_length[a0] else indel_prior)
