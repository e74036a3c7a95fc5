"""Java's Math.pow(10, x), log10, log, exp, log1p and expm1, to the last bit, as HotSpot computes them on x86-64.

The first four are Intel's math library there (algorithms and constants: Android's libm, BSD licence). Their errors pass half a unit in the
last place by little: about 1 value in 1,100 of 10^x and 1 in 8,000 of log10 is not the correctly rounded one. The C library's differ more
often, and with its version; a GPU's are others again. log1p and expm1 are Sun's fdlibm. Plain arithmetic, no fused operations, so they are
the same everywhere. Verified against recorded values of Java in tests, against millions by benchmarks/java_math.py.

Intel's logarithms begin with the CPU's approximate reciprocal, which is not the same on all makes. Here it is that of AMD's EPYC 9005.
"""

import math
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from itertools import accumulate, repeat
from operator import mul

import numpy as np

from gpugenome.kernels.bits import bits_float, float_bits
from gpugenome.kernels.launch import jit
from gpugenome.kernels.rounded import product

_LEAST_NORMAL = 2.0**-1022
_LN2 = math.log(2.0)
_DIGITS = 45  # of the decimals behind tables


def _parts(values, digits=None):
    """Numbers (Decimal) as sums of two float64 each: the first nearest, or a multiple of 2^-digits, and the rest."""
    scale = 2**digits if digits else None
    high = [float((x * scale).to_integral_value()) / scale if digits else float(x) for x in values]
    return np.array(high), np.array([float(x - Decimal(h)) for x, h in zip(values, high)])


# 10^x = 2^(n / 256) * 2^f with n the whole number next to 256 log2(10) x

_ROUND_256TH = 1.5 * 2.0**44  # added to a number, its last bit is 1 / 256
_POW_2, _POW_3 = float.fromhex("0x1.ebfbdff82c58fp-3"), float.fromhex("0x1.c6b08d704a0c0p-5")
_POW_4, _POW_5 = float.fromhex("0x1.3b2ab6fba4e77p-7"), float.fromhex("0x1.5d87fe78a6731p-10")


def _powers():
    """2^(k / 256), k = 0 .. 255, as Decimal."""
    root = Decimal(2)
    for _ in range(8):
        root = root.sqrt()
    return list(accumulate(repeat(root, 255), mul, initial=Decimal(1)))


def _power_tables():
    """2^(k / 256), k = 0 .. 255, as two float64; log2(10) as one of 25 bits, so that its multiples are exact, and the rest."""
    with localcontext() as context:
        context.prec = _DIGITS
        high, low = _parts(_powers())
        first, second = _parts([Decimal(10).ln() / Decimal(2).ln()], 24)
    low[0] = 2.0**-72  # as it is there
    return high, low, float(first[0]), float(second[0])


_POWER, _POWER_REST, _LOG2_10, _LOG2_10_REST = _power_tables()


@jit
def _two_to(n):
    """2^n, -1022 <= n <= 1023."""
    return bits_float((n + 1023) << 52)


@jit
def _scaled_below_normal(high, rest, n):
    """(high + rest) * 2^n below the normal range, rounded once. 1 <= high < 2."""
    half = n >> 1
    first, second = _two_to(half), _two_to(n - half)
    cut = max(32, -1022 - n)
    head = bits_float(float_bits(high) >> cut << cut)
    return product(product(head, first), second) + product(product((high - head) + rest, first), second)


@jit
def pow10(x):
    """10^x. Source: Math.pow(10, x)."""
    size = abs(x)
    if not size >= 2.0**-33:  # also NaN
        return 1.0 + product(product(x, _LOG2_10) + product(x, _LOG2_10_REST), _LN2)
    if size > 400.0:
        return np.inf if x > 0.0 else 0.0
    near = size < 64.0
    # so short that its product with _LOG2_10 is exact
    head = bits_float(float_bits(x) & (~0x7FFFFFFFF if near else ~0x7FFFFFF))
    whole = product(head, _LOG2_10)
    steps = whole + _ROUND_256TH
    n = float_bits(steps) << 32 >> 32  # 256ths
    left, middle, low = whole - (steps - _ROUND_256TH), product(x - head, _LOG2_10), product(x, _LOG2_10_REST)
    f = low + (left + middle) if near else left + (low + middle)
    power, square = _POWER[n & 255], product(f, f)
    a = product(product(product(square, square), product(_POW_5, f) + _POW_4), power)
    b = product(product(square, product(_POW_3, f) + _POW_2), power)
    rest = (a + (product(product(f, _LN2), power) + _POWER_REST[n & 255])) + b
    n >>= 8
    if near:
        return product(power + rest, _two_to(n))
    half = n >> 1
    result = product(product(power + rest, _two_to(half)), _two_to(n - half))
    return _scaled_below_normal(power, rest, n) if result < _LEAST_NORMAL and n > -1075 else result


# log(x) = k log(2) - log(B / L) + log(1 + r / L), r = B m - L, for x = 2^k m, with a factor B of 8 bits next to L / m. L, of 8 bits, is
# about the logarithm of e, so that log(1 + r / L) is nearly r: the sum of r and the main part of the rest then loses no bits.

# 4096 (m - 1) from which on the factor is the next smaller one; it follows from the CPU's approximate reciprocal
_LOG10_STEPS = (
    9, 28, 47, 66, 85, 104, 124, 143, 163, 183, 204, 224, 245, 265, 287, 307, 329, 351, 373, 395, 417, 440, 462, 485, 508, 531, 555, 579,
    603, 628, 653, 678, 703, 729, 754, 780, 806, 832, 860, 886, 914, 942, 970, 998, 1027, 1056, 1086, 1115, 1145, 1176, 1206, 1237, 1269,
    1301, 1333, 1366, 1398, 1432, 1466, 1500, 1534, 1570, 1605, 1642, 1678, 1715, 1752, 1789, 1827, 1867, 1906, 1946, 1987, 2028, 2070,
    2111, 2153, 2197, 2241, 2285, 2330, 2377, 2422, 2470, 2518, 2567, 2615, 2664, 2715, 2767, 2819, 2873, 2927, 2980, 3021, 3050, 3077,
    3107, 3135, 3165, 3194, 3223, 3251, 3282, 3312, 3341, 3373, 3404, 3436, 3466, 3498, 3530, 3562, 3593, 3625, 3659, 3693, 3727, 3759,
    3794, 3828, 3863, 3897, 3933, 3970, 4004, 4041, 4077,
)  # fmt: skip
_LOG_STEPS = (
    8, 24, 41, 57, 74, 91, 107, 124, 141, 158, 175, 193, 211, 229, 246, 264, 283, 301, 320, 338, 357, 376, 395, 414, 434, 454, 473, 493,
    513, 534, 555, 575, 596, 617, 639, 660, 682, 703, 726, 748, 770, 793, 816, 839, 863, 886, 910, 934, 958, 982, 1007, 1032, 1057, 1083,
    1109, 1134, 1161, 1187, 1214, 1241, 1269, 1296, 1324, 1352, 1380, 1409, 1438, 1468, 1497, 1527, 1557, 1588, 1619, 1650, 1682, 1714,
    1747, 1779, 1812, 1845, 1880, 1914, 1948, 1983, 2019, 2055, 2091, 2128, 2165, 2203, 2241, 2279, 2318, 2357, 2398, 2438, 2479, 2521,
    2562, 2605, 2648, 2692, 2736, 2780, 2826, 2873, 2919, 2966, 3014, 3062, 3112, 3162, 3211, 3263, 3315, 3368, 3421, 3475, 3532, 3586,
    3643, 3702, 3759, 3819, 3879, 3940, 4002, 4066,
)  # fmt: skip
_LOG10_UNIT, _LOG10_UNIT_REST = 0.43359375, float.fromhex("0x1.a7a6cbf2e4108p-10")  # L, and log10(e) / L - 1
_LOG10_SERIES = tuple(map(float.fromhex, (
    "-0x1.27af2dc77b115p+0", "0x1.c6a02dc963467p+0", "-0x1.8930964d4ef0dp+1", "0x1.6ab9f7f9d3aa1p+2", "-0x1.5c917385593b1p+3",
    "0x1.58874c1a5f12ep+4",
)))  # fmt: skip
_LOG_SERIES = -0.5, float.fromhex("0x1.5555555555555p-2"), -0.25, 0.2, float.fromhex("-0x1.5555e3d6fb175p-3"), 1.0 / 7.0


def _factors(unit, steps, base, digits):
    """Place of the factor by 4096 (m - 1); the factors from unit / 2 to unit, and -log(factor / unit) as two float64. base: its ln."""
    place = (128 - np.searchsorted(np.array(steps), np.arange(4096), side="right")).astype(np.uint8)
    last = int(np.float32(unit).view(np.uint32)) >> 16
    factor = (np.arange(last - 128, last + 1, dtype=np.uint32) << 16).view(np.float32).astype(float)
    with localcontext() as context:
        context.prec = _DIGITS
        high, low = _parts([-(Decimal(b) / Decimal(unit)).ln() / base for b in factor.tolist()], digits)
    return place, factor, high, low


_LOG10_PLACE, _LOG10_FACTOR, _LOG10_HIGH, _LOG10_LOW = _factors(_LOG10_UNIT, _LOG10_STEPS, Decimal(10).ln(Context(_DIGITS)), 44)
_LOG_PLACE, _LOG_FACTOR, _LOG_HIGH, _LOG_LOW = _factors(1.0, _LOG_STEPS, 1, 43)


@jit
def _logarithm(x, places, factor, high, low, unit, unit_rest, series):
    """Logarithm of a positive finite number. unit: L. unit_rest: 1 / L in the base's terms, less 1. series: from r^2 on."""
    exponent = np.int64(-1023)
    if x < _LEAST_NORMAL:
        x = product(x, 2.0**128)
        exponent -= 128
    bits = float_bits(x)
    exponent += bits >> 52
    bits = bits & 0xFFFFFFFFFFFFF | 0x3FF0000000000000
    place = places[bits >> 40 & 4095]
    m, head = bits_float(bits), bits_float(bits >> 27 << 27)
    r = product(m - head, factor[place]) + (product(head, factor[place]) - unit)
    main = high[place] + product(float(exponent), high[0])
    value = main + r
    rest = (r + (main - value)) + product(unit_rest, r) + (product(float(exponent), low[0]) + low[place])
    square = product(r, r)
    low_powers = product(series[1], r) + series[0] + product(series[2], square)
    high_powers = product(product(series[4], r) + series[3], r) + product(product(series[5], r), square)
    return value + ((rest + product(high_powers, product(square, square))) + product(low_powers, square))


@jit
def log10(x):
    """log10(x); -inf for 0, NaN for negative numbers. Source: Math.log10."""
    if not x > 0.0 or x == np.inf:
        return -np.inf if x == 0.0 else (x if x > 0.0 else np.nan)
    return _logarithm(x, _LOG10_PLACE, _LOG10_FACTOR, _LOG10_HIGH, _LOG10_LOW, _LOG10_UNIT, _LOG10_UNIT_REST, _LOG10_SERIES)


@jit
def log(x):
    """ln(x); -inf for 0, NaN for negative numbers. Source: Math.log."""
    if not x > 0.0 or x == np.inf:
        return -np.inf if x == 0.0 else (x if x > 0.0 else np.nan)
    return _logarithm(x, _LOG_PLACE, _LOG_FACTOR, _LOG_HIGH, _LOG_LOW, 1.0, 0.0, _LOG_SERIES)


# e^x = 2^(n / 64) * e^y with n the whole number next to 64 log2(e) x

_ROUND = 1.5 * 2.0**52  # added to a number, its last bit is 1
_STEPS_PER_E = float.fromhex("0x1.71547652b82fep+6")
_STEP, _STEP_REST = float.fromhex("0x1.62e42fefap-7"), float.fromhex("0x1.cf79abc9e3b3ap-46")  # ln(2) / 64
_EXP_2, _EXP_3 = float.fromhex("0x1.ffffffffffffep-2"), float.fromhex("0x1.5555555548ba1p-3")
_EXP_4, _EXP_5, _EXP_6 = float.fromhex("0x1.55555555b9e25p-5"), float.fromhex("0x1.11115c090cf0fp-7"), float.fromhex("0x1.6c15ce328986p-10")


def _exponentials():
    """2^(k / 64), k = 0 .. 63, rounded down, and the rest in terms of it."""
    with localcontext() as context:
        context.prec = _DIGITS
        exact = _powers()[::4]
        down = [(x * 2**52).to_integral_value(ROUND_FLOOR) / 2**52 for x in exact]
        return np.array([float(d) for d in down]), np.array([float((x - d) / d) for x, d in zip(exact, down)])


_EXPONENTIAL, _EXPONENTIAL_REST = _exponentials()


@jit
def exp(x):
    """e^x; below the normal range the last bit may differ. Source: Math.exp."""
    if not abs(x) >= 2.0**-54:  # also NaN
        return 1.0 + x
    if abs(x) > 750.0:
        return np.inf if x > 0.0 else 0.0
    steps = product(x, _STEPS_PER_E) + _ROUND
    n = float_bits(steps) << 32 >> 32  # 64ths
    steps -= _ROUND
    y = (x - product(steps, _STEP)) - product(steps, _STEP_REST)
    power, square = _EXPONENTIAL[n & 63], product(y, y)
    cube = product(y, square)
    rest = (y + _EXPONENTIAL_REST[n & 63]) + product(product(cube, square), product(_EXP_6, y) + _EXP_5)
    rest = (product(cube, product(_EXP_4, y) + _EXP_3) + rest) + product(square, _EXP_2)
    n >>= 6
    half = n >> 1
    return product(product(product(power, rest) + power, _two_to(half)), _two_to(n - half))


# log1p and expm1 split off a multiple of ln(2), here -1 or 0 times

_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
_LOG1P_1, _LOG1P_2, _LOG1P_3 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01
_LOG1P_4, _LOG1P_5, _LOG1P_6 = 2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01
_LOG1P_7 = 1.479819860511658591e-01
_EXPM1_1, _EXPM1_2, _EXPM1_3 = -3.33333333333331316428e-02, 1.58730158725481460165e-03, -7.93650757867487942473e-05
_EXPM1_4, _EXPM1_5 = 4.00821782732936239552e-06, -2.01099218183624371326e-07


@jit
def _high_word(x):
    return float_bits(x) >> 32 & 0x7FFFFFFF


@jit
def log1p(x):
    """ln(1 + x), -0.5 <= x <= 0. Source: StrictMath.log1p."""
    if x > -(2.0**-29):
        return x if x > -(2.0**-54) else x - product(product(x, x), 0.5)
    f, least, halved, correction = x, False, False, 0.0  # least: |f| < 2^-20
    if _high_word(x) > 0x3FD2BEC3:  # 1 + x is below sqrt(1/2), or about it
        u = 1.0 + x
        correction = (x - (u - 1.0)) / u
        mantissa = _high_word(u) & 0xFFFFF
        halved = mantissa < 0x6A09E
        least = mantissa == 0 or (not halved and 0x100000 - mantissa < 4)
        f = (product(u, 2.0) if halved else u) - 1.0
    half_square = product(product(0.5, f), f)
    correction -= _LN2_LOW
    if least:
        r = product(half_square, 1.0 - product(2.0 / 3.0, f))
        return -_LN2_HIGH - ((r - correction) - f) if halved else f - r
    s = f / (2.0 + f)
    z = product(s, s)
    r = _LOG1P_5 + product(z, _LOG1P_6 + product(z, _LOG1P_7))
    r = _LOG1P_2 + product(z, _LOG1P_3 + product(z, _LOG1P_4 + product(z, r)))
    r = product(s, half_square + product(z, _LOG1P_1 + product(z, r)))
    return -_LN2_HIGH - ((half_square - (r + correction)) - f) if halved else f - (half_square - r)


@jit
def expm1(x):
    """e^x - 1, -1 < x <= 0. Source: StrictMath.expm1."""
    if x > -(2.0**-54):
        return x
    correction, halved = 0.0, _high_word(x) > 0x3FD62E42  # beyond -ln(2) / 2
    if halved:
        high = x + _LN2_HIGH
        x = high + _LN2_LOW
        correction = (high - x) + _LN2_LOW
    half = product(0.5, x)
    square = product(x, half)
    r = _EXPM1_2 + product(square, _EXPM1_3 + product(square, _EXPM1_4 + product(square, _EXPM1_5)))
    r = 1.0 + product(square, _EXPM1_1 + product(square, r))
    t = 3.0 - product(r, half)
    e = product(square, (r - t) / (6.0 - product(x, t)))
    if not halved:
        return x - (product(x, e) - square)
    return product(0.5, x - ((product(x, e - correction) - correction) - square)) - 0.5
