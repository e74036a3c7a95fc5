"""Constants of the activity model. Source: AlleleFrequencyCalculator, BandPassActivityProfile of GATK 4.6.2.0."""

import math

import numpy as np

from gpugenome.gatk.genotype_likelihoods import LOG10_E, log_factorial
from gpugenome.kernels.java_math_scalar import log10, pow10

# By ploidy for the default heterozygosities, to the last bit of Java's arithmetic.
_DEFAULT = {
    2: (9.59868444869371, 6.858321759199469, 5.561613137318128),
    3: (10.677865694741337, 8.075805703413373, 7.038734392037793, 5.8648091947386165),
    4: (11.791809047048174, 9.279925686069301, 8.381157072859995, 7.466869186066582, 6.34337569033246),
    5: (12.937937082726412, 10.490779051384193, 9.68218706852398, 8.906201879896843, 8.04234569466848, 6.946520062952642),
    6: (14.114028341782088, 11.716088333110056, 10.972221679886497, 10.28641312160845, 9.560859634546366, 8.72467131333629,
        7.646357788819888),
}  # fmt: skip
SIGMA, HALF_WIDTH = 17.0, 50


def pseudocounts(heterozygosity: float, deviation: float, indel_heterozygosity: float) -> tuple[float, float, float]:
    """(reference, SNP, indel) pseudocounts of the allele frequency prior."""
    reference = heterozygosity / (deviation * deviation)
    return reference, heterozygosity * reference, indel_heterozygosity * reference


def alt_copy_priors(ploidy: int, heterozygosity: float, deviation: float) -> np.ndarray:
    """float64[ploidy + 1]: log10 weights of 0..ploidy copies of the alternate allele in one sample."""
    if ploidy in _DEFAULT and (heterozygosity, deviation) == (0.001, 0.01):
        return np.array(_DEFAULT[ploidy])
    r, a, _ = pseudocounts(heterozygosity, deviation, 0.0)
    return np.array([
        LOG10_E * (math.lgamma(ploidy + 1) - math.lgamma(i + 1) - math.lgamma(ploidy - i + 1) + math.lgamma(i + a)
                    + math.lgamma(ploidy - i + r))
        for i in range(ploidy + 1)
    ])  # fmt: skip


def genotype_coefficients(ploidy: int) -> np.ndarray:
    """float64[ploidy + 1]: log10 of the number of orderings of a genotype with 0..ploidy alternate copies."""
    return np.array([
        (log_factorial(ploidy) - (log_factorial(ploidy - i) + log_factorial(i))) * LOG10_E for i in range(ploidy + 1)
    ])  # fmt: skip


def approximate_log10_sum(a: float, b: float) -> float:
    """log10(10^a + 10^b) from a table with steps of 0.0001. Source: MathUtils.approximateLog10SumLog10."""
    a, b = min(a, b), max(a, b)
    if not b - a < 8.0:
        return b
    return b + log10(1.0 + pow10(-int((b - a) * 10000.0 + 0.5) * 0.0001))


def element_likelihoods(ploidy: int) -> np.ndarray:
    """float64[94, 2, ploidy + 1]: what a pileup element of a quality adds to the likelihoods of 0..ploidy alternate copies.

    Second axis: 0 for an element that agrees with the reference, 1 for one that does not.
    """
    out = np.zeros((94, 2, ploidy + 1))
    log3 = -log10(3.0)
    for q in range(94):
        p = 1.0 - pow10(q / -10.0)
        right, wrong = (log10(p) if p > 0 else -math.inf), q * -0.1 + log3
        for alt, (ref, non) in enumerate(((right, wrong), (wrong, right))):
            out[q, alt, 0] = ref + log10(float(ploidy))
            out[q, alt, ploidy] = non + log10(float(ploidy))
            for i in range(1, ploidy):
                out[q, alt, i] = approximate_log10_sum(ref + log10(float(ploidy - i)), non + log10(float(i)))
    return out


def band_pass_kernel() -> np.ndarray:
    """float64[101]: the Gaussian that smooths activity, normalised by its left-to-right sum."""
    w = [math.exp(-((x - HALF_WIDTH) ** 2) / (2.0 * SIGMA * SIGMA)) / (SIGMA * math.sqrt(2.0 * math.pi)) for x in range(2 * HALF_WIDTH + 1)]
    total = 0.0
    for v in w:
        total += v
    return np.array([v / total for v in w])
