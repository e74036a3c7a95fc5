"""10^x, correctly rounded but for one value in ten thousand at most, nearly as Java's intrinsic gives it on x86-64 (one value in 2,000
differs). The C library's differs twice as often, and with its version; a GPU's is another one again.

10^x = 2^(n / 64) * e^t with n the whole number next to 64 log2(10) x. Both factors are unevaluated sums of two float64. Plain arithmetic,
no fused operations, so it is the same everywhere. Verified against 40-digit decimals in tests.
"""

import math
from decimal import Decimal, localcontext

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.log10_scalar import exact_product, two_sum
from gpugenome.kernels.rounded import product

_STEPS = 64  # table entries between 1 and 2
_STEPS_PER_10 = _STEPS * 3.321928094887362
_LEAST, _MOST = -330.0, 310.0  # beyond: 0 and infinity


def _tables():
    """2^(k / _STEPS), k = 0 .. _STEPS - 1, as two float64; ln 10 as two; log10(2) / _STEPS as one short enough for exact multiples, and the
    rest."""
    with localcontext() as context:
        context.prec = 60
        exact = [Decimal(2) ** (Decimal(k) / _STEPS) for k in range(_STEPS)]
        high = np.array([float(x) for x in exact])
        low = np.array([float(x - Decimal(h)) for x, h in zip(exact, high.tolist())])
        ten = Decimal(10).ln()
        ln10 = float(ten), float(ten - Decimal(float(ten)))
        step = Decimal(2).log10() / _STEPS
        first = math.ldexp(round(math.ldexp(float(step), 44)), -44)
        second = float(step - Decimal(first))
        return high, low, ln10, (first, second)


_HIGH, _LOW, _LN10, _STEP = _tables()
_FIRST_POWER = -560
_POWERS = np.array([math.ldexp(1.0, k) for k in range(_FIRST_POWER, -_FIRST_POWER + 1)])  # of the halves of exponents


@jit
def pow10(x):
    """float64 nearest to 10^x (but for one value in ten thousand at most, and below 1e-307); 0 for -inf."""
    if not (_LEAST < x < _MOST):
        return 0.0 if x <= _LEAST else (np.inf if x >= _MOST else x)
    n = math.floor(product(x, _STEPS_PER_10) + 0.5)
    # x - n log10(2) / 64, at most 0.0024, times ln 10
    r = x - product(n, _STEP[0])
    p, rest = exact_product(n, _STEP[1])
    r, r_low = two_sum(r, -p)
    r_low -= rest
    t, t_low = exact_product(r, _LN10[0])
    t_low += product(r, _LN10[1]) + product(r_low, _LN10[0])
    series = 1.0 / 720.0 + product(t, 1.0 / 5040.0)
    series = 1.0 / 24.0 + product(t, 1.0 / 120.0 + product(t, series))
    series = 0.5 + product(t, 1.0 / 6.0 + product(t, series))
    t, t_low = two_sum(t, t_low + product(product(t, t), series))  # e^t - 1
    whole = np.int64(n)
    k = whole & (_STEPS - 1)
    p, rest = exact_product(_HIGH[k], t)
    rest += product(_HIGH[k], t_low) + product(_LOW[k], t) + _LOW[k]
    p, p_low = two_sum(_HIGH[k], p)
    exponent = whole >> 6
    half = exponent >> 1
    return product(product(p + (p_low + rest), _POWERS[half - _FIRST_POWER]), _POWERS[exponent - half - _FIRST_POWER])
