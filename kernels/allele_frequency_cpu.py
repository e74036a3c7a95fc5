"""The allele frequency model of a site: P(no variant), P(allele absent), most likely allele counts, from integer PLs.

Source: see allele_frequency_scalar.
"""

import math

import numpy as np

from gpugenome.kernels.allele_frequency_scalar import (
    choose_alleles,
    genotypes_of,
    log10_sum_pair,
    next_frequencies,
    posteriors,
    row_likelihoods,
    sample_part,
    site_priors,
    start_frequencies,
    whole_count,
)
from gpugenome.kernels.java_math_scalar import exp, expm1, log, log1p
from gpugenome.kernels.launch import jit

LOG10_E = 1.0 / math.log(10.0)


@jit
def log10_one_minus_pow10(a):
    """log10(1 - 10^a) for a <= 0."""
    if a == 0.0:
        return -np.inf
    b = a * math.log(10.0)
    value = log1p(-exp(b)) if b < math.log(0.5) else log(-expm1(b))
    return value * LOG10_E


@jit
def add_counts(posterior, n_genotypes, distinct, count, n_distinct, log10_of, total):
    """Add a sample's expected allele counts to `total` (log10)."""
    for g in range(n_genotypes):
        for k in range(n_distinct[g]):
            a = distinct[g, k]
            total[a] = log10_sum_pair(total[a], posterior[g] + log10_of[count[g, k]])


@jit
def site_model(
    n, star, a0, chosen, prior, likelihood, table_row, n_genotypes, distinct, count, n_distinct, combinations, log10_of, af, ac, sums,
    posterior, absent, mle_count, used,
):  # fmt: skip
    """The model of a site with the alleles `chosen` (n of them, "*" at place `star` or -1), rows a0.. of the outputs; log10 P(no variant).

    likelihood: float64[samples, .]; of each sample, table_row, n_genotypes int64: the first row of its genotypes in the genotype columns
    and their number, 0 if it is left out. af, ac, sums, posterior: scratch.
    """
    start_frequencies(n, af, ac)
    converged = False
    while not converged:
        sums[:n] = -np.inf
        for s in range(len(n_genotypes)):
            if n_genotypes[s]:
                row, g = table_row[s], n_genotypes[s]
                posteriors(likelihood[s], af, g, distinct[row:], count[row:], n_distinct[row:], combinations[row:], posterior)
                add_counts(posterior, g, distinct[row:], count[row:], n_distinct[row:], log10_of, sums)
        converged = next_frequencies(n, sums, prior, af, ac)
    total = 0.0
    for k in range(n):
        a = a0 + chosen[k]
        used[a] = 1
        absent[a] = 0.0
        mle_count[a] = whole_count(ac[k])
    for s in range(len(n_genotypes)):
        if n_genotypes[s]:
            row, g = table_row[s], n_genotypes[s]
            posteriors(likelihood[s], af, g, distinct[row:], count[row:], n_distinct[row:], combinations[row:], posterior)
            total += sample_part(posterior, g, distinct[row:], n_distinct[row:], star, 0)
            if n > 2 or star >= 0:
                for k in range(1, n):
                    absent[a0 + chosen[k]] += sample_part(posterior, g, distinct[row:], n_distinct[row:], star, k)
    if n == 2 and star < 0:
        absent[a0 + chosen[1]] = total
    return total


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
    chosen, score = np.empty(most, np.int64), np.empty(most)
    prior, af, ac, sums = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    likelihood, posterior = np.empty((samples, most_genotypes)), np.empty(most_genotypes)
    table_row, n_genotypes = np.zeros(samples, np.int64), np.empty(samples, np.int64)
    for i in range(begin, end):
        a0, n_alleles, first = allele_offset[i], allele_offset[i + 1] - allele_offset[i], i * samples
        n = choose_alleles(first, n_alleles, samples, with_non_ref, most_alt, pl, pl_offset, genotype_allele, score, chosen)
        site_priors(a0, n, allele_length, chosen, ref_prior, snp_prior, indel_prior, prior)
        star = -1
        for k in range(n):
            if chosen[k] == spanning[i]:
                star = k
        n_genotypes[:] = genotypes_of(n, genotype_allele.shape[1])
        for s in range(samples):
            mine = pl[pl_offset[first + s] : pl_offset[first + s + 1]]
            row_likelihoods(mine, n_genotypes[s], genotype_allele, chosen, choose, likelihood[s])
        used[a0 : a0 + n_alleles] = 0
        no_variant[i] = site_model(n, star, a0, chosen, prior, likelihood, table_row, n_genotypes, distinct, count, n_distinct,
                                   combinations, log10_of, af, ac, sums, posterior, absent, mle_count, used)  # fmt: skip
