"""Scalar maths of the site annotations: strand bias, exact tests, genotype counts.

Source: FisherExactTest, FisherStrand, StrandOddsRatio, ExcessHet, GenotypeUtils, MathUtils of GATK (behaviour; chapter "annotations").
"""

import math

import numpy as np

from gpugenome.kernels.java_math_scalar import log, log10, pow10
from gpugenome.kernels.launch import jit

FISHER_TABLE_LIMIT = 400
"""Reads in a strand table above which its cells are scaled down (to 200 reads in all)."""
FISHER_TIE = 1.0 - 10e-7
"""GATK multiplies the logarithm of the observed table's probability with this."""
SMALLEST_P = 1e-320
EXCESS_HET_CEILING = 160.0


@jit
def fisher_phred(ref_forward, ref_reverse, alt_forward, alt_reverse, log_factorial):
    """-10 log10 of the two-sided p of a strand table. log_factorial: float64[FISHER_TABLE_LIMIT + 1], ln(k!)."""
    a, b, c, d = ref_forward, ref_reverse, alt_forward, alt_reverse
    total = a + b + c + d
    if total > FISHER_TABLE_LIMIT:
        scale = total / 200.0
        a, b, c, d = np.int64(a / scale), np.int64(b / scale), np.int64(c / scale), np.int64(d / scale)
    m, n, k = a + b, c + d, a + c
    low, high = max(0, k - n), min(k, m)
    if high <= low:
        return 0.0
    constant = log_factorial[m] + log_factorial[n] + log_factorial[k] + log_factorial[m + n - k] - log_factorial[m + n]
    observed = constant - log_factorial[a] - log_factorial[m - a] - log_factorial[k - a] - log_factorial[n - k + a]
    p = 0.0
    for x in range(low, high + 1):
        log_p = constant - log_factorial[x] - log_factorial[m - x] - log_factorial[k - x] - log_factorial[n - k + x]
        if log_p <= observed * FISHER_TIE:
            p += math.exp(log_p)
    return abs(-10.0 * log10(max(min(p, 1.0), SMALLEST_P)))


@jit
def strand_odds_ratio(ref_forward, ref_reverse, alt_forward, alt_reverse):
    """ln of the symmetric odds ratio of a strand table with 1 added to each cell, scaled by the ref and alt strand ratios."""
    a, b, c, d = ref_forward + 1.0, ref_reverse + 1.0, alt_forward + 1.0, alt_reverse + 1.0
    ratio = (a / b) * (d / c) + (b / a) * (c / d)
    return log(ratio) + log(min(a, b) / max(a, b)) - log(min(c, d) / max(c, d))


@jit
def inverse_normal(p):
    """Quantile of the standard normal distribution (0 < p < 1; exactly +0 at 0.5).

    Source: P. J. Acklam's rational approximation, one step of Halley's method on erfc.
    """
    if p < 0.02425 or p > 0.97575:
        tail = p if p < 0.5 else 1.0 - p
        q = math.sqrt(-2.0 * math.log(tail))
        top = -7.784894002430293e-03
        for c in (-3.223964580411365e-01, -2.400758277161838e00, -2.549732539343734e00, 4.374664141464968e00, 2.938163982698783e00):
            top = top * q + c
        bottom = 7.784695709041462e-03
        for c in (3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0):
            bottom = bottom * q + c
        x = top / bottom if p < 0.5 else -top / bottom
    else:
        q = p - 0.5
        r = q * q
        top = -3.969683028665376e01
        for c in (2.209460984245205e02, -2.759285104469687e02, 1.383577518672690e02, -3.066479806614716e01, 2.506628277459239e00):
            top = top * r + c
        bottom = -5.447609879822406e01
        for c in (1.615858368580409e02, -1.556989798598866e02, 6.680131188771972e01, -1.328068155288572e01, 1.0):
            bottom = bottom * r + c
        x = top * q / bottom
    error = 0.5 * math.erfc(-x / math.sqrt(2.0)) - p
    step = error * math.sqrt(2.0 * math.pi) * math.exp(x * x / 2.0)
    return x - step / (1.0 + x * step / 2.0)


@jit
def excess_het_phred(ref, het, hom):
    """-10 log10 p of Wigginton's exact test for this many or more heterozygotes. ref, het, hom: counts of 0/0, 0/x, x/x."""
    rare, common = min(ref, hom), max(ref, hom)
    copies = 2 * rare + het
    n = het + common + rare
    probability = np.zeros(copies + 1)
    middle = np.int64(math.floor(copies * (2.0 * n - copies) / (2.0 * n - 1.0)))
    if middle % 2 != copies % 2:
        middle += 1
    probability[middle] = 1.0
    total = 1.0
    h, r = middle, (copies - middle) // 2
    c = n - h - r
    while h >= 2:  # each walk ends at the first term that no longer matters
        p = probability[h] * h * (h - 1.0) / (4.0 * (r + 1.0) * (c + 1.0))
        if p < 1e-16:
            break
        probability[h - 2] = p
        total += p
        h, r, c = h - 2, r + 1, c + 1
    h, r = middle, (copies - middle) // 2
    c = n - h - r
    while h <= copies - 2:
        p = probability[h] * 4.0 * r * c / ((h + 2.0) * (h + 1.0))
        if p < 1e-16:
            break
        probability[h + 2] = p
        total += p
        h, r, c = h + 2, r - 1, c - 1
    beyond = 0.0
    for k in range(het + 1, copies + 1):
        beyond += probability[k]
    p = max(0.0, min(1.0, probability[het] / total + beyond / total))
    return EXCESS_HET_CEILING if p < 10e-60 else -10.0 * log10(p) + 0.0


@jit
def _round(x):
    """MathUtils.fastRound."""
    return math.floor(x + 0.5) if x > 0 else math.ceil(x - 0.5)


@jit
def genotype_votes(pl, n_alleles, rounded):
    """What one diploid sample adds to the counts of (0/0, 0/x, x/x), from its PLs.

    rounded: whole votes, else likelihoods that sum to 1. With several ALTs the best one stands for all; a best genotype without REF is x/x.
    """
    best = 0
    for g in range(1, len(pl)):
        if pl[g] < pl[best]:
            best = g
    top = pl[best] / -10.0
    total = 1.0
    for g in range(len(pl)):
        if g != best:
            total += pow10(pl[g] / -10.0 - top)
    log_sum = top + (log10(total) if total != 1.0 else 0.0)
    p_ref = pow10(pl[0] / -10.0 - log_sum)
    het, hom = 1, 2
    if n_alleles > 2:
        for second in range(1, n_alleles):
            first = best - second * (second + 1) // 2
            if 0 < first <= second:
                return 0.0, 0.0, 1.0
        for second in range(2, n_alleles):
            g = second * (second + 1) // 2
            if pow10(pl[g] / -10.0 - log_sum) > pow10(pl[het] / -10.0 - log_sum):
                het, hom = g, g + second
    p_het = pow10(pl[het] / -10.0 - log_sum)
    p_hom = pow10(pl[hom] / -10.0 - log_sum)
    if n_alleles > 2:
        s = p_ref + p_het + p_hom
        p_ref, p_het, p_hom = p_ref / s, p_het / s, p_hom / s
    if not rounded:
        return p_ref, p_het, p_hom
    return _round(p_ref), _round(p_het) if p_ref != p_het else 0.0, _round(p_hom) if p_hom != p_het else 0.0
