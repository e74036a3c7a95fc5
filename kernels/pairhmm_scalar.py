"""Scalars and tables that both PairHMM kernels share: error probabilities, transitions, log10 of float32.

The float32 tables are those of the native library that GATK 4.6.2.0 ships (Intel GKL 0.8.11), where 10^(-q/10) is the C library's
powf and the result goes through its log10f. Both are given here independently of the C library of the machine: powf as its 128
values (glibc 2.36), log10f as glibc's algorithm (the float logarithm of ARM's optimized routines, MIT, inside Sun's log10f).
"""

import math

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.simd import bits_of_f32, f32_of_bits, fma_scalar

INITIAL_F32 = np.float32(2.0**120)
INITIAL_F64 = 2.0**1020
FALLBACK_F32 = np.float32(1e-28)
"""The native library repeats a case in float64 when its float32 sum is below this."""
GAP_CONTINUATION = 10

# one bit per base, so that "equal or either is N" is a shared bit
BASE_BITS = np.full(256, 1, np.uint8)
BASE_BITS[np.frombuffer(b"ACGTN", np.uint8)] = (1, 2, 4, 8, 15)

# fmt: off
_POWF_BITS = (
    0x3F800000, 0x3F4B5918, 0x3F21866C, 0x3F004DCE, 0x3ECBD4B4, 0x3EA1E89B, 0x3E809BCC, 0x3E4C509B, 0x3E224B06, 0x3E00E9FA,
    0x3DCCCCCD, 0x3DA2ADAD, 0x3D813855, 0x3D4D494C, 0x3D231091, 0x3D0186E2, 0x3CCDC613, 0x3CA373AE, 0x3C81D59F, 0x3C4E4329,
    0x3C23D70A, 0x3C02248C, 0x3BCEC088, 0x3BA43AA3, 0x3B8273A5, 0x3B4F3E37, 0x3B249E78, 0x3B02C2F1, 0x3ACFBC32, 0x3AA50285,
    0x3A83126F, 0x3A503A7A, 0x3A2566D3, 0x3A03621C, 0x39D0B907, 0x39A5CB5F, 0x3983B1FA, 0x395137E9, 0x39263028, 0x39040204,
    0x38D1B717, 0x38A6952F, 0x38845248, 0x3852368C, 0x3826FA6C, 0x3804A2B3, 0x37D2B65D, 0x37A75FF3, 0x3784F34F, 0x3753366C,
    0x3727C5AC, 0x37054425, 0x36D3B6D9, 0x36A82BA3, 0x36859523, 0x36543784, 0x362891E4, 0x3605E65C, 0x35D4B87E, 0x35A8F857,
    0x358637BD, 0x355539D5, 0x35295F14, 0x3506894F, 0x34D5BB6C, 0x34A9C603, 0x3486DB1D, 0x34563D61, 0x342A2D31, 0x34072D12,
    0x33D6BF95, 0x33AA94AB, 0x33877F43, 0x33574218, 0x332AFC56, 0x3307D19C, 0x32D7C4FB, 0x32AB644D, 0x32882428, 0x3258481D,
    0x322BCC77, 0x320876E5, 0x31D8CB9F, 0x31AC34E0, 0x3188C9E8, 0x31594F60, 0x312C9D89, 0x31091D0B, 0x30D9D373, 0x30AD068A,
    0x3089705F, 0x305A57D5, 0x302D6FB2, 0x3009C3E7, 0x2FDADCA7, 0x2FADD91A, 0x2F8A17A1, 0x2F5B61AB, 0x2F2E42C2, 0x2F0A6BA2,
    0x2EDBE6FF, 0x2EAEACAA, 0x2E8ABFC2, 0x2E5C6CA4, 0x2E2F16EC, 0x2E0B1415, 0x2DDCF29B, 0x2DAF8155, 0x2D8B689B, 0x2D5D7903,
    0x2D2FEBFF, 0x2D0BBD55, 0x2CDDFF9C, 0x2CB056EA, 0x2C8C1256, 0x2C5E8688, 0x2C30C215, 0x2C0C6777, 0x2BDF0DC5, 0x2BB12D9C,
    0x2B8CBCCC, 0x2B5F9555, 0x2B31994A, 0x2B0D1255, 0x2AE01D57, 0x2AB20539, 0x2A8D6811, 0x2A60A58C,
)
# fmt: on
ERROR_F32 = np.array(_POWF_BITS, np.uint32).view(np.float32)
"""powf(10, -q / 10) for q = 0..127."""
ERROR_F64 = np.array([10.0 ** (q / -10.0) for q in range(128)])

_LOG_TABLE = np.array([[float.fromhex(a), float.fromhex(b)] for a, b in (
    ("0x1.661ec79f8f3bep+0", "-0x1.57bf7808caadep-2"), ("0x1.571ed4aaf883dp+0", "-0x1.2bef0a7c06ddbp-2"),
    ("0x1.49539f0f010bp+0", "-0x1.01eae7f513a67p-2"), ("0x1.3c995b0b80385p+0", "-0x1.b31d8a68224e9p-3"),
    ("0x1.30d190c8864a5p+0", "-0x1.6574f0ac07758p-3"), ("0x1.25e227b0b8eap+0", "-0x1.1aa2bc79c81p-3"),
    ("0x1.1bb4a4a1a343fp+0", "-0x1.a4e76ce8c0e5ep-4"), ("0x1.12358f08ae5bap+0", "-0x1.1973c5a611cccp-4"),
    ("0x1.0953f419900a7p+0", "-0x1.252f438e10c1ep-5"), ("0x1p+0", "0x0p+0"),
    ("0x1.e608cfd9a47acp-1", "0x1.aa5aa5df25984p-5"), ("0x1.ca4b31f026aap-1", "0x1.c5e53aa362eb4p-4"),
    ("0x1.b2036576afce6p-1", "0x1.526e57720db08p-3"), ("0x1.9c2d163a1aa2dp-1", "0x1.bc2860d22477p-3"),
    ("0x1.886e6037841edp-1", "0x1.1058bc8a07ee1p-2"), ("0x1.767dcf5534862p-1", "0x1.4043057b6ee09p-2"),
)])
_LN2 = float.fromhex("0x1.62e42fefa39efp-1")
_A0 = float.fromhex("-0x1.00ea348b88334p-2")
_A1 = float.fromhex("0x1.5575b0be00b6ap-2")
_A2 = float.fromhex("-0x1.ffffef20a4123p-2")
_IVLN10 = np.float32(4.3429449201e-01)
_LOG10_2_HI = np.float32(3.0102920532e-01)
_LOG10_2_LO = np.float32(7.9034151668e-07)


@jit
def log10f(x):
    """log10 of a positive, normal float32 as glibc 2.36 rounds it -> float32."""
    bits = bits_of_f32(x)
    exponent = (bits >> 23) - 127
    down = np.int32(1) if exponent < 0 else np.int32(0)
    whole = np.float32(exponent + down)
    # the fraction, in [1, 2) for x >= 1 and in [0.5, 1) below
    bits = np.int32((bits & 0x007FFFFF) | ((0x7F - down) << 23))
    log = np.float32(0.0)
    if bits != 0x3F800000:
        shifted = np.int32(bits - 0x3F330000)
        row = (shifted >> 19) & 15
        k = shifted >> 23
        z = np.float64(f32_of_bits(np.int32(bits - (shifted & np.int32(-8388608)))))
        r = fma_scalar(z, _LOG_TABLE[row, 0], -1.0)
        y0 = fma_scalar(np.float64(k), _LN2, _LOG_TABLE[row, 1])
        r2 = r * r
        y = fma_scalar(_A1, r, _A2)
        y = fma_scalar(_A0, r2, y)
        log = np.float32(fma_scalar(y, r2, y0 + r))
    low = np.float32(np.float32(whole * _LOG10_2_LO) + np.float32(_IVLN10 * log))
    return np.float32(low + np.float32(whole * _LOG10_2_HI))


def _one_minus(probability: float, per_ln: float) -> float:
    return 10.0 ** (math.log1p(-probability) * per_ln) if probability < 1 else 0.0


def match_to_match_f32() -> np.ndarray:
    """1 - (e(I) + e(D)) by [insertion open, deletion open] quality 0..127, as the native library tabulates it in float32."""
    tenth, step = np.float32(-0.1), np.float32(1.0 / 0.0001)
    table = np.empty((128, 128), np.float32)
    for high in range(128):
        a = np.float32(tenth * np.float32(high))
        for low in range(high + 1):
            b = np.float32(tenth * np.float32(low))
            difference = np.float32(b - a)
            total = b
            if difference < np.float32(8.0):
                k = int(np.float32(np.float32(difference * step) + np.float32(0.5))) if difference > 0 else 0
                total = np.float32(b + np.float32(math.log10(1.0 + math.pow(10.0, -k * 0.0001))))
            table[high, low] = table[low, high] = np.float32(_one_minus(10.0 ** float(total), 0.434294))
    return table


def match_to_match_f64(native: bool) -> np.ndarray:
    """The same in float64; native: the library's truncated 1/ln 10, else Java's."""
    scale = 0.434294 if native else 1.0 / math.log(10)
    table = np.empty((128, 128))
    for high in range(128):
        for low in range(high + 1):
            a, b = -0.1 * high, -0.1 * low
            difference = b - a
            total = b
            if difference < 8.0:
                k = int(difference * (1.0 / 0.0001) + 0.5)
                total = b + math.log10(1.0 + math.pow(10.0, -k * 0.0001))
            table[high, low] = table[low, high] = _one_minus(10.0**total, scale)
    return table
