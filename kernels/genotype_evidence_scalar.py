"""Scalar parts of genotype likelihoods that CPU and CUDA share.

Source: GATK ApproximateLog10SumLog10, htsjdk GenotypeLikelihoods (behaviour; specification chapter "likelihoods and genotyping",
section 8).
"""

import math

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.rounded import product

MOST_PL = 2147483647


@jit
def approximate_log10_sum(a, b, table):
    """Approximate log10(10^a + 10^b). table: gatk.genotype_likelihoods.log10_sum_table."""
    if a > b:
        a, b = b, a
    if a == -np.inf:
        return b
    d = b - a
    return b + table[int(product(d, 10000.0) + 0.5)] if d < 8.0 else b


@jit
def minus_product(total, n, x):
    """total - n * x, both operations rounded."""
    return total - product(n, x)


@jit
def to_pl(likelihood, pl):
    """Phred-scaled likelihoods relative to the best, rounded as Java does."""
    top = -np.inf
    for x in likelihood:
        top = max(top, x)
    for g in range(len(likelihood)):
        x = min(product(-10.0, likelihood[g] - top), float(MOST_PL))
        pl[g] = MOST_PL if x >= MOST_PL else int(math.floor(x + 0.5))
