"""Logarithms and powers to the last bit of Java's, whose values are recorded (benchmarks/java_math.py)."""

import math
from decimal import Context, Decimal
from pathlib import Path

import numpy as np
import pytest

from gpugenome.gatk.genotype_likelihoods import LOG10_E, log_factorial
from gpugenome.kernels import java_math_scalar

NAMES = ("pow10", "log10", "log", "exp", "log1p", "expm1")


@pytest.fixture(scope="module")
def recorded():
    return np.load(Path(__file__).parent / "data" / "java_math.npz")


@pytest.mark.parametrize("name", NAMES)
def test_values_are_javas(recorded, name):
    x, y = recorded[f"{name}_x"], recorded[f"{name}_y"]
    ours = np.array([getattr(java_math_scalar, name)(v) for v in x.tolist()])
    assert len(x) >= 200 and np.array_equal(ours.view(np.int64), y.view(np.int64))


def test_sample_is_not_correctly_rounded(recorded):
    """A function that only rounds correctly would fail above."""
    for name, exact in (("log10", lambda v: v.log10(Context(40))), ("pow10", lambda v: Context(40).power(10, v))):
        x, y = recorded[f"{name}_x"][::10], recorded[f"{name}_y"][::10]
        off = [float(exact(Decimal(a))) != b for a, b in zip(x.tolist(), y.tolist())]
        assert len(off) // 3 < sum(off) < len(off)


def test_ends_of_ranges():
    m = java_math_scalar
    assert [m.log10(0.0), m.log(0.0), m.log10(math.inf), m.log(math.inf)] == [-math.inf, -math.inf, math.inf, math.inf]
    assert all(map(math.isnan, (m.log10(-1.0), m.log(-1.0), m.log10(math.nan), m.pow10(math.nan), m.exp(math.nan))))
    assert [m.pow10(-math.inf), m.pow10(math.inf), m.exp(-math.inf), m.exp(math.inf)] == [0.0, math.inf, 0.0, math.inf]
    assert [m.pow10(0.0), m.log10(1.0), m.log(1.0), m.exp(0.0), m.log1p(0.0), m.expm1(0.0)] == [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert [m.log1p(-0.5), m.log10(1000.0), m.pow10(3.0), m.pow10(308.0)] == [math.log(0.5), 3.0, 1000.0, 1e308]


def test_logarithms_of_factorials():
    """Recorded from CombinatoricsUtils.factorialLog: beyond 20! a sum."""
    java = {2: "0x1.62e42fefa39efp-1", 54: "0x1.48a3e5c12af1ap7", 120: "0x1.c9cff8a8a340fp8"}
    assert {k: log_factorial(k) for k in java} == {k: float.fromhex(v.replace("p", "p+").replace("+-", "-")) for k, v in java.items()}
    assert LOG10_E == float.fromhex("0x1.bcb7b1526e50ep-2") != 1.0 / math.log(10.0)
