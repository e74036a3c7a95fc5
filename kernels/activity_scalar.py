"""Scalar parts of the activity model that CPU and CUDA share. Coordinates are 0-based half-open.

Source: HaplotypeCallerEngine.isActive, ReferenceConfidenceModel.calcGenotypeLikelihoodsOfRefVsAny, AlleleFrequencyCalculator
.calculateSingleSampleBiallelicNonRefPosterior, ReadUtils.isBaseInsideAdaptor.
"""

import math

from gpugenome.kernels.java_math_scalar import log10, pow10
from gpugenome.kernels.launch import jit

# What an element of the pileup is.
ABSENT, SKIPPED, REF, ALT, ALT_AT_CLIP = 0, 1, 2, 3, 4
NEG_INF = -math.inf
PAIRED, MATE_UNMAPPED, REVERSE, MATE_REVERSE = 1, 8, 16, 32


@jit
def kept_range(start, end, flag, mate_ref_id, mate_start, tlen):
    """Positions of a read that are not inside the adaptor: (first, one past the last).

    TLEN is compared with 100 with its sign, so reverse reads lose what lies left of the mate at any insert size.
    """
    if tlen == 0 or tlen > 100 or not flag & 1 or flag & 8 or mate_ref_id < 0 or mate_start < 0:
        return start, end
    reverse = flag & 16 != 0
    if reverse == (flag & 32 != 0):
        return start, end
    if reverse:
        if end > mate_start + 1:
            return max(start, mate_start), end
    elif start <= mate_start + tlen:
        return start, min(end, start + abs(tlen))
    return start, end


@jit
def consumes_reference(op):
    """M, D, N, =, X."""
    return op == 0 or op == 2 or op == 3 or op == 7 or op == 8


@jit
def consumes_read(op):
    """M, I, S, =, X."""
    return op == 0 or op == 1 or op == 4 or op == 7 or op == 8


@jit
def deletion_beyond(cigar, begin, end, k, step):
    """1 where the next (step 1) or previous (step -1) reference-consuming element of CIGAR row begin:end after element k is D."""
    j = k + step
    while begin <= j < end:
        op = cigar[j] & 15
        if op == 0 or op == 2 or op == 3 or op == 7 or op == 8:
            return op == 2
        j += step
    return False


@jit
def edge_marks(cigar, begin, end, k):
    """Marks of the first and last base of element k (M, =, X, D): bit 0 first is alt, bit 1 first touches S, bits 2 and 3 the last."""
    op = cigar[k] & 15
    marks = 0
    if k > begin:
        before = cigar[k - 1] & 15
        if before == 4:
            marks |= 3
        if before == 1:
            marks |= 1
    if k + 1 < end:
        after = cigar[k + 1] & 15
        if after == 4:
            marks |= 12
        if after == 1:
            marks |= 4
    if op != 2:
        if deletion_beyond(cigar, begin, end, k, -1):
            marks |= 1
        if deletion_beyond(cigar, begin, end, k, 1):
            marks |= 4
    return marks


@jit
def log10_sum(a, b):
    """log10(10^a + 10^b), exact two-argument form."""
    if a > b:
        return a + log10(1.0 + pow10(b - a))
    return b + log10(1.0 + pow10(a - b))


@jit
def round_to_phred(gl, m):
    """Genotype likelihoods gl[0..m] to PL / -10 in place: normalised to the best, rounded half up."""
    best = gl[0]
    for i in range(1, m + 1):
        best = max(best, gl[i])
    for i in range(m + 1):
        x = -10.0 * (gl[i] - best)
        gl[i] = math.floor(min(x, 2147483647.0) + 0.5) / -10.0


@jit
def single_sample_probability(gl, m, prior):
    """Probability that one sample is not hom-ref, from gl[0..m] = PL / -10; prior[0..m] as in gatk.activity_priors."""
    best = 0
    for i in range(1, m + 1):
        if gl[i] > gl[best]:
            best = i
    if gl[best] == gl[0]:
        return 0.0
    best = 0
    for i in range(1, m + 1):
        if gl[i] + prior[i] > gl[best] + prior[best]:
            best = i
    if best == 0:
        return 0.0
    top = gl[best] + prior[best]
    total = 1.0
    for i in range(m + 1):
        if i != best:
            total += pow10(gl[i] + prior[i] - top)
    log_sum = top + (log10(total) if total != 1.0 else 0.0)
    return 1.0 - pow10(gl[0] + prior[0] - log_sum)


@jit
def normalised_posteriors(gl, m, coefficient, log_ref, log_alt, post):
    """post[0..m] = log10 posteriors of alt copies under allele frequencies, summing to 1."""
    best = 0
    for g in range(m + 1):
        a = 0.0
        if m - g > 0:
            a += (m - g) * log_ref
        if g > 0:
            a += g * log_alt
        post[g] = coefficient[g] + gl[g] + a
        if post[g] > post[best]:
            best = g
    total = 1.0
    for g in range(m + 1):
        if g != best:
            total += pow10(post[g] - post[best])
    s = post[best] + (log10(total) if total != 1.0 else 0.0)
    for g in range(m + 1):
        post[g] -= s


@jit
def joint_probability(gl, n, m, coefficient, ref_pseudocount, alt_pseudocount, threshold_phred, post):
    """Probability that n >= 2 samples with likelihoods gl[s, 0..m] are not all hom-ref (symbolic alternate allele).

    Source: AlleleFrequencyCalculator.calculate. post: scratch of m + 1 values.
    """
    log_ref = log_alt = -log10(2.0)
    count_ref = count_alt = 0.0
    while True:
        sum_ref = sum_alt = NEG_INF
        for s in range(n):
            normalised_posteriors(gl[s], m, coefficient, log_ref, log_alt, post)
            for g in range(m + 1):
                if m - g > 0:
                    sum_ref = log10_sum(sum_ref, post[g] + log10(float(m - g)))
                if g > 0:
                    sum_alt = log10_sum(sum_alt, post[g] + log10(float(g)))
        new_ref, new_alt = pow10(sum_ref), pow10(sum_alt)
        difference = max(abs(count_ref - new_ref), abs(count_alt - new_alt))
        count_ref, count_alt = new_ref, new_alt
        alpha_ref, alpha_alt = ref_pseudocount + count_ref, alt_pseudocount + count_alt
        total = alpha_ref + alpha_alt
        log_ref, log_alt = log10(alpha_ref / total), log10(alpha_alt / total)
        if not difference > 0.1:
            break
    none = 0.0
    for s in range(n):
        normalised_posteriors(gl[s], m, coefficient, log_ref, log_alt, post)
        none += post[0]
    if not none + 1e-10 < threshold_phred * -0.1 or -10.0 * none < threshold_phred:
        return 0.0
    return 1.0 - pow10((none * -10.0) / -10.0)
