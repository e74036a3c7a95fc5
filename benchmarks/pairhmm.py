"""Cell updates per second of the PairHMM kernels, on the CPU and, where there is one, on the GPU.

    python benchmarks/pairhmm.py [--pairs 20000] [--read 150] [--haplotype 300] [--double] [--threads N] [--runs 3]

Cells are those of reads and haplotypes, without padding. Transfers are not timed. A cell is 8 float instructions (4 of them fused):
`share_of_peak` is those against what the GPU's lanes can issue, `instructions_per_lane_cycle` the same for a CPU thread's vector
lanes at the clock that the system reports.
"""

import argparse

import numpy as np
from kernel_rate import gpu_lane_rate, report, seconds

from gpugenome.backend import Backend, choose, usable_threads
from gpugenome.kernels import pairhmm_scalar

INSTRUCTIONS = 8


def pairs(n, read, haplotype):
    """(base, qualities, base_offset, hap_base, hap_offset, pair_read, pair_hap): reads cut from their haplotypes, 1 % of bases changed."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", np.uint8)
    haps = max(1, n // 64)
    hap_base = rng.choice(letters, haps * haplotype)
    pair_hap = np.sort(rng.integers(0, haps, n)).astype(np.int32)
    at = pair_hap * np.int64(haplotype) + rng.integers(0, max(1, haplotype - read), n)
    base = hap_base[np.minimum(at[:, None] + np.arange(read), len(hap_base) - 1)].ravel()
    changed = rng.random(len(base)) < 0.01
    base[changed] = rng.choice(letters, int(changed.sum()))
    base_qual, gap_qual = rng.integers(10, 41, len(base)).astype(np.uint8), np.full(len(base), 45, np.uint8)
    offsets = np.arange(n + 1) * read, np.arange(haps + 1) * haplotype
    return base, base_qual, gap_qual, offsets[0], hap_base, offsets[1], np.arange(n, dtype=np.int32), pair_hap


def clock_hz():
    with open("/proc/cpuinfo") as f:
        rates = [float(line.split(":")[1]) * 1e6 for line in f if line.startswith("cpu MHz")]
    return max(rates, default=float("nan"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--read", type=int, default=150)
    parser.add_argument("--haplotype", type=int, default=300)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    real, like = (np.float64, np.int64) if args.double else (np.float32, np.int32)
    tables = pairhmm_scalar.ERROR_F64, pairhmm_scalar.match_to_match_f64(True), np.float64(pairhmm_scalar.INITIAL_F64)
    if not args.double:
        tables = pairhmm_scalar.ERROR_F32, pairhmm_scalar.match_to_match_f32(), pairhmm_scalar.INITIAL_F32
    base, base_qual, gap_qual, base_offset, hap_base, hap_offset, pair_read, pair_hap = pairs(args.pairs, args.read, args.haplotype)
    cells, totals = args.pairs * args.read * args.haplotype, []
    backends = [Backend("cpu", args.threads)]
    if (found := choose("auto")).on_gpu:
        backends.append(found)
    for backend in backends:
        hmm = backend.kernels("pairhmm")
        group = hmm.module.GROUP_F64 if args.double else hmm.module.GROUP_F32
        out = hmm.empty(args.pairs, real)
        put = hmm.put(np.arange(args.pairs), pair_read, pair_hap, base, base_qual, gap_qual, gap_qual, base_offset, hap_base, hap_offset,
                      *tables[:2])  # fmt: skip

        def call(hmm=hmm, group=group, put=put, out=out):
            hmm.run("pair_totals", -(-args.pairs // group), *put, tables[2], np.zeros(group, like), None, out)

        best = seconds(call, args.runs, hmm.on_gpu)
        totals += hmm.take(out)
        rate = INSTRUCTIONS * cells / best
        more = {"read": args.read, "haplotype": args.haplotype, "dtype": real.__name__}
        if hmm.on_gpu:
            more["share_of_peak"] = round(rate / gpu_lane_rate(), 3)
        else:
            more |= {"threads": args.threads, "instructions_per_lane_cycle": round(rate / (args.threads * group * clock_hz()), 3)}
        report("pairhmm", backend.device, cells, best, **more)
    assert all((t == totals[0]).all() for t in totals), "the devices' totals differ"


if __name__ == "__main__":
    main()
