"""Java's behaviour where GATK's results depend on it: the shared random generator and hash order.

`JavaRandom` is one mutable object per run; GATK draws read downsampling and the QD jitter from the same one.
"""

import math

import numpy as np

GATK_RANDOM_SEED = 47382911
_MULTIPLIER = 0x5DEECE66D
_MASK = (1 << 48) - 1


class JavaRandom:
    """java.util.Random with `nextInt(bound)` and `nextGaussian()`. Source: its class documentation (a 48-bit linear congruence)."""

    def __init__(self, seed: int = GATK_RANDOM_SEED):
        self.state = (seed ^ _MULTIPLIER) & _MASK
        self.saved_gaussian: float | None = None

    def get_state(self) -> tuple:
        """A snapshot for `set_state`; equal snapshots mean equal futures."""
        return self.state, self.saved_gaussian

    def set_state(self, snapshot: tuple) -> None:
        self.state, self.saved_gaussian = snapshot

    def _next(self, bits: int) -> int:
        self.state = (self.state * _MULTIPLIER + 0xB) & _MASK
        return self.state >> (48 - bits)

    def next_double(self) -> float:
        high = self._next(26)
        return ((high << 27) + self._next(27)) * 2.0**-53

    def next_gaussian(self) -> float:
        """Standard normal value by the polar method; every second call returns the value kept from the one before."""
        if self.saved_gaussian is not None:
            value, self.saved_gaussian = self.saved_gaussian, None
            return value
        while True:
            a = 2.0 * self.next_double() - 1.0
            b = 2.0 * self.next_double() - 1.0
            s = a * a + b * b
            if 0.0 < s < 1.0:
                break
        m = math.sqrt(-2.0 * math.log(s) / s)
        self.saved_gaussian = b * m
        return a * m

    def next_gaussians(self, n: int) -> np.ndarray:
        """float64[n]: the values of n calls of `next_gaussian`."""
        from gpugenome.kernels.annotations_cpu import gaussians

        out = np.empty(n)
        saved = np.nan if self.saved_gaussian is None else self.saved_gaussian
        state, saved = gaussians(np.int64(self.state), saved, out)
        self.state, self.saved_gaussian = int(state), None if math.isnan(saved) else float(saved)
        return out


def string_hash(text: str) -> int:
    """String.hashCode as an unsigned 32-bit number."""
    h = 0
    for unit in np.frombuffer(text.encode("utf-16-le"), "<u2"):
        h = (31 * h + int(unit)) & 0xFFFFFFFF
    return h


def hash_order(names: list[str]) -> list[int]:
    """Indices of `names` in the iteration order of a java.util.HashMap or HashSet filled in the given order.

    Source: java.util.HashMap (16 buckets, doubled when more than three quarters as many keys; bucket of h ^ h >>> 16).
    """
    capacity = 16
    while len(names) > 0.75 * capacity:
        capacity *= 2

    def bucket(i: int) -> int:
        h = string_hash(names[i])
        return (h ^ (h >> 16)) & (capacity - 1)

    return sorted(range(len(names)), key=bucket)
