"""Likelihoods that no indel lies at a position, by the number of reads that rule one out. Source: ReferenceConfidenceModel of GATK."""

import math

import numpy as np

from gpugenome.gatk.activity_priors import approximate_log10_sum
from gpugenome.kernels.java_math_scalar import log10, pow10
from gpugenome.kernels.reference_confidence_scalar import MAX_INFORMATIVE

INDEL_QUALITY = 45


def indel_likelihoods(ploidy: int) -> tuple[np.ndarray, np.ndarray]:
    """(margin, pl) by number of informative reads 0..40.

    margin: float64[41], log10 likelihood of the reference minus that of the best genotype with an indel. pl: int32[41, ploidy + 1].
    """
    none, indel = log10(1.0 - pow10(INDEL_QUALITY / -10.0)), INDEL_QUALITY * -0.1
    one = [none]
    for copies in range(1, ploidy + 1):
        ref = none + log10(float(ploidy - copies)) if copies < ploidy else -math.inf
        one.append(approximate_log10_sum(ref, indel + log10(float(copies))) - log10(float(ploidy)))
    gl = np.arange(MAX_INFORMATIVE + 1)[:, None] * np.array(one)
    return gl[:, 0] - gl[:, 1:].max(1), np.floor(-10.0 * (gl - gl.max(1, keepdims=True)) + 0.5).astype(np.int32)
