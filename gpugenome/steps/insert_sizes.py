"""Insert sizes of the pairs of a chunk: for each orientation of mates, which distances are usual.

Source: specification chapter "bwa_mem", section 11.
"""

from dataclasses import dataclass

import numpy as np

from gpugenome.kernels import pairing_cpu as kernel

_LEAST_PAIRS, _LEAST_SHARE = 10, 0.05
_TRUSTED, _ALLOWED, _DEVIATIONS = 2.0, 3.0, 4.0
"""Distances for mean and deviation, and those allowed, lie so many interquartile ranges beyond the quartiles; or so many deviations."""
_FR = 1


def _rounded(x: float) -> int:
    return int(x + 0.499)


@dataclass
class InsertSizes:
    """limits: int64[4, 3], spread: float64[4, 2], as `kernels.pairing_cpu` has them."""

    limits: np.ndarray
    spread: np.ndarray

    @classmethod
    def given(cls, mean: float, deviation: float | None = None, high: float | None = None, low: float | None = None) -> "InsertSizes":
        """What a user says of pairs that face each other; no other orientation is usual."""
        out = cls(np.zeros((4, 3), np.int64), np.zeros((4, 2)))
        deviation = mean * 0.1 if deviation is None else deviation
        out.limits[:, kernel.OUT] = 1
        out.limits[_FR] = (
            max(_rounded(mean - _DEVIATIONS * deviation), 1) if low is None else _rounded(low),
            _rounded(mean + _DEVIATIONS * deviation) if high is None else _rounded(high),
            0,
        )
        out.spread[_FR] = mean, deviation
        return out

    @classmethod
    def of(cls, distances: np.ndarray) -> "InsertSizes":
        """From the output of `kernels.pairing_cpu.pair_distances` (int64, any order)."""
        out = cls(np.zeros((4, 3), np.int64), np.zeros((4, 2)))
        kinds = [np.sort(distances[(distances >= 0) & (distances & 3 == way)] >> 2) for way in range(4)]
        for way, values in enumerate(kinds):
            if len(values) < _LEAST_PAIRS:
                out.limits[way, kernel.OUT] = 1
                continue
            p25, p75 = (int(values[_rounded(f * len(values))]) for f in (0.25, 0.75))
            reach = p75 - p25
            low, high = max(_rounded(p25 - _TRUSTED * reach), 1), _rounded(p75 + _TRUSTED * reach)
            mean, deviation = kernel.mean_and_deviation(values, low, high)
            low, high = _rounded(p25 - _ALLOWED * reach), _rounded(p75 + _ALLOWED * reach)
            if low > mean - _DEVIATIONS * deviation:
                low = _rounded(mean - _DEVIATIONS * deviation)
            if high < mean + _DEVIATIONS * deviation:
                high = _rounded(mean + _DEVIATIONS * deviation)
            out.limits[way] = max(low, 1), high, len(values) < max(map(len, kinds)) * _LEAST_SHARE
            out.spread[way] = mean, deviation
        return out
