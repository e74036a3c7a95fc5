"""kernels/java_math_scalar.py against Java, bit by bit.

    python benchmarks/java_math.py [--values 1000000] [--seed 1] [--record tests/data/java_math.npz]

--values: random numbers from each range of each function. --record: keep a sample for tests: values about half-way between two float64,
half of them rounded the wrong way. Prints how many differ; exits with 1 if any does. Needs java (HotSpot on x86-64), --record float80.
"""

import argparse
import subprocess
import sys
import tempfile
from decimal import Decimal, getcontext
from pathlib import Path

import numpy as np
from numba import vectorize

from gpugenome.kernels import java_math_scalar

RECORDED = {"pow10": 700, "log10": 700, "log": 200, "exp": 200, "log1p": 200, "expm1": 200}  # of either kind, at most
NAMES = ("pow10", "log10", "log", "exp", "log1p", "expm1")
EXTENDED = {"pow10": lambda x: np.power(np.longdouble(10), x), **{name: getattr(np, name) for name in NAMES[1:]}}
EXACT = {"pow10": lambda x: Decimal(10) ** x, "log10": Decimal.log10, "log": Decimal.ln, "exp": Decimal.exp,
         "log1p": lambda x: (1 + x).ln(), "expm1": lambda x: x.exp() - 1}  # fmt: skip


def numbers(r, n) -> dict[str, np.ndarray]:
    """By function: n numbers from each of the ranges that genotyping comes to, and from the others that it is defined for."""
    near_one = 1.0 + r.uniform(-1, 1, n) * 10.0 ** r.uniform(-16, -1, n)
    everywhere = 10.0 ** r.uniform(-323, 308, n)
    return {
        "pow10": np.concatenate([
            r.uniform(-400, 20, n), r.uniform(-1, 0, n), r.uniform(-64, 0, n), -r.integers(0, 100000, n) / 10.0,
            -r.integers(0, 80001, n) * 0.0001, r.uniform(-330, -290, n), -(10.0 ** r.uniform(-14, 2.5, n)), r.uniform(0, 310, n),
        ]),
        "log10": np.concatenate([
            r.uniform(0, 1e6, n), r.uniform(0, 1, n), r.uniform(1, 10, n), near_one, everywhere, np.arange(n) + 1.0,
            r.integers(1, 2**52, n).view(float),
        ]),
        "log": np.concatenate([r.uniform(0, 1, n), r.uniform(0, 1000, n), near_one, everywhere, np.arange(n) + 1.0]),
        "exp": np.concatenate([r.uniform(-700, 0, n), r.uniform(-5, 5, n), -(10.0 ** r.uniform(-20, 2, n)), r.uniform(0, 710, n)]),
        "log1p": np.concatenate([-r.uniform(0, 0.5, n), -(10.0 ** r.uniform(-20, -0.3011, n))]),
        "expm1": np.concatenate([-r.uniform(0, 1, n), -(10.0 ** r.uniform(-20, 0, n))]),
    }  # fmt: skip


def java(work: Path, inputs) -> dict[str, np.ndarray]:
    """Java's values."""
    arguments = []
    for name, x in inputs.items():
        x.tofile(work / f"{name}.in")
        arguments += [name, str(work / f"{name}.in"), str(work / f"{name}.out")]
    subprocess.run(["java", str(Path(__file__).with_name("JavaMath.java")), *arguments], check=True)
    return {name: np.fromfile(work / f"{name}.out") for name in inputs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=1000000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record")
    options = parser.parse_args()
    getcontext().prec = 60
    r = np.random.default_rng(options.seed)
    inputs, sample, good = numbers(r, options.values), {}, True
    with tempfile.TemporaryDirectory() as folder:
        results = java(Path(folder), inputs)
    for name, x in inputs.items():
        y = results[name]
        with np.errstate(all="ignore"):
            ours = vectorize(["float64(float64)"])(getattr(java_math_scalar, name).py_func)(x)
        wrong = np.flatnonzero(ours.view(np.int64) != y.view(np.int64))
        print(f"{name}: {len(x)} values, {len(wrong)} differ")
        for i in wrong[:3]:
            print(f"  {float(x[i]).hex()}: ours {float(ours[i]).hex()}, Java {float(y[i]).hex()}")
        good &= len(wrong) == 0
        if options.record:
            some = r.permutation(np.flatnonzero(np.isfinite(y) & (np.abs(y) > 1e-290)))
            off = np.abs(EXTENDED[name](x[some].astype(np.longdouble)) - y[some]) / np.spacing(np.abs(y[some]))
            some = some[np.abs(off - 0.5) < 0.002][:20000]  # about half-way between two float64
            right = np.array([float(EXACT[name](Decimal(v))) for v in x[some].tolist()]) == y[some]
            kinds = [some[k][: RECORDED[name]] for k in (~right, right)]
            kept = np.concatenate(kinds)
            sample[f"{name}_x"], sample[f"{name}_y"] = x[kept], y[kept]
            print(f"  kept {[len(k) for k in kinds]}")
    if options.record:
        np.savez_compressed(options.record, **sample)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
