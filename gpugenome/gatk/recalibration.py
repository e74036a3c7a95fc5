"""GATK's arithmetic of recalibration: empirical qualities, reported qualities of a group, quantisation.

Source: RecalDatum, RecalibrationTables, QualQuantizer, QuantizationInfo of GATK 4.6.2.0.
"""

import math

import numpy as np

from gpugenome.kernels.java_math_scalar import log10, pow10

MAX_QUAL = 93
MAX_EMPIRICAL = 60
_MOST_OBSERVATIONS = 2**31 - 2
_MIN_INTERESTING = 6
_AT_ONCE = 1 << 16  # data whose likelihoods are in memory together


def empirical_quality(observations, errors, prior) -> np.ndarray:
    """The Bayesian estimate of the quality of each datum.

    observations: int64[n]. errors: float64[n]. prior: float64[n], the quality expected (phred).

    Returns
    -------
    int64[n], 0..60.
    """
    n = len(observations)
    if n > _AT_ONCE:
        parts = [slice(a, a + _AT_ONCE) for a in range(0, n, _AT_ONCE)]
        return np.concatenate([empirical_quality(observations[p], errors[p], prior[p]) for p in parts])
    n = np.asarray(observations, np.int64) + 2
    k = np.trunc(np.asarray(errors, np.float64) + 0.5).astype(np.int64) + 1
    many = n > _MOST_OBSERVATIONS
    k = np.where(many, np.floor(k * (float(_MOST_OBSERVATIONS) / n) + 0.5).astype(np.int64), k)
    n = np.minimum(n, _MOST_OBSERVATIONS)
    q = np.arange(MAX_EMPIRICAL + 1, dtype=np.float64)
    p = 10.0 ** (q / -10.0)
    p[0] = 0.5  # placeholder: quality 0 is ruled out below
    distance = np.minimum(np.abs(np.trunc(q[None, :] - np.asarray(prior, np.float64)[:, None])), 40)
    score = k[:, None] * np.log(p) + (n - k)[:, None] * np.log1p(-p) - 2.0 * distance * distance
    score[:, 0] = -np.inf
    return np.argmax(score, axis=1)


def reported_quality(observations, qualities) -> float:
    """The mean reported quality of a group: data of ascending quality folded one into the next, rounded to four places.

    observations: counts by datum. qualities: their reported qualities, ascending.
    """
    total, reported = 0, 0.0
    for count, quality in zip(observations, qualities):
        if total == 0:
            total, reported = int(count), float(quality)
            continue
        expected = total * pow10(reported / -10.0) + count * pow10(float(quality) / -10.0)
        total += int(count)
        reported = -10.0 * log10(expected / total)
    return round_places(reported, 4)


def round_places(value: float, places: int) -> float:
    """GATK's MathUtils rounding of a positive number: half up after one ulp."""
    scale = 10.0**places
    return math.floor((value + math.ulp(value)) * scale + 0.5) / scale


def quantise(counts, levels: int) -> np.ndarray:
    """The quantisation map: neighbouring qualities are merged where that costs least, until `levels` bins are left.

    counts: int64[94], observations by empirical quality. Returns uint8[94].
    """
    rates = [pow10(q / -10.0) for q in range(MAX_QUAL + 1)]
    # A bin: (first, last, observations, errors, rate, its subtree as nested pairs of leaves).
    bins = []
    for q in range(MAX_QUAL + 1):
        n = int(counts[q])
        bins.append((q, q, n, min(int(math.floor(n * rates[q])), 2**31 - 1), rates[q], q))

    def merged(a, b):
        n, errors = a[2] + b[2], a[3] + b[3]
        return a[0], b[1], n, errors, (errors + 1) / (n + 1) if n else 0.0, (a[5], b[5])

    def cost(tree, log_rate):
        if isinstance(tree, int):
            return 0.0 if tree <= _MIN_INTERESTING else abs(log10(rates[tree]) - log_rate) * int(counts[tree])
        return cost(tree[0], log_rate) + cost(tree[1], log_rate)

    def penalty(a, b):
        bin_ = merged(a, b)
        return 0.0 if bin_[4] == 0.0 else cost(bin_[5], log10(bin_[4]))

    penalties = [penalty(a, b) for a, b in zip(bins, bins[1:])]
    while len(bins) > levels:
        i = min(range(len(penalties)), key=penalties.__getitem__)
        bins[i : i + 2] = [merged(bins[i], bins[i + 1])]
        del penalties[i]
        for j in (i - 1, i):
            if 0 <= j < len(penalties):
                penalties[j] = penalty(bins[j], bins[j + 1])
    out = np.zeros(MAX_QUAL + 1, np.uint8)
    for first, last, _, _, rate, tree in bins:
        value = tree if isinstance(tree, int) else MAX_QUAL if rate == 0.0 else math.floor(-10.0 * log10(rate) + 0.5)
        out[first : last + 1] = value if isinstance(tree, int) else min(max(value, 1), MAX_QUAL)
    return out


def static_map(levels, round_down: bool) -> np.ndarray:
    """uint8[256]: the map of --static-quantized-quals. levels: qualities."""
    out = np.arange(256, dtype=np.uint8)
    ordered = sorted(levels)
    if len(ordered) == 1:
        out[_MIN_INTERESTING:254] = ordered[0]
        return out

    def probability(q):
        return 1.0 - pow10(q / -10.0)

    previous = _MIN_INTERESTING
    for following in ordered:
        for i in range(previous, following):
            up = not round_down and probability(i) - probability(previous) > probability(following) - probability(i)
            out[i] = following if up else previous
        previous = following
    out[previous:254] = previous
    return out
