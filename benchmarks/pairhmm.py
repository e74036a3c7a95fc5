"""Cell updates per second of the PairHMM kernels, on the CPU and, where there is one, on the GPU.

    python benchmarks/pairhmm.py [--pairs 20000] [--read 150] [--haplotype 300] [--double] [--threads N] [--runs 3]
    python benchmarks/pairhmm.py --gkl [-R ref.fa -I reads.bam [-L interval]] [--threads N] [--runs 3] [--out results.jsonl]

Cells are those of reads and haplotypes, without padding. Transfers are not timed. A cell is 8 float instructions (4 of them fused):
`share_of_peak` is those against what the GPU's lanes can issue, `instructions_per_lane_cycle` the same for a CPU thread's vector
lanes at the clock that the system reports.

--gkl: the likelihoods of the same pairs by GATK's native library (AVX-512 where the CPU has it, called from Java: GklPairHmm.java) and by
ours, from bases and qualities to log10 likelihoods, float32 with float64 where that is too small; all bits compared. The pairs are those
of haplotypecaller on the given reads, else the made ones. Needs GATK's jars (environment variable GATK, else ../shared/tools/get-gatk).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import find_gatk
from kernel_rate import gpu_lane_rate, report, seconds

from gpugenome.backend import Backend, choose
from gpugenome.kernels import pairhmm_scalar
from gpugenome.pipeline import usable_threads
from gpugenome.steps.haplotypecaller import likelihoods

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


def caller_pairs(reference, reads, interval):
    """What haplotypecaller gives to the PairHMM: arguments of `likelihoods.pair_hmm` up to pair_hap, a tuple a part of the genome."""
    from gpugenome.commands.haplotypecaller import command

    own, parts = likelihoods.pair_hmm, []

    def keep(*arguments):
        if len(arguments[6]):
            parts.append(arguments[:8])
        return own(*arguments)

    likelihoods.pair_hmm = keep
    with tempfile.TemporaryDirectory() as folder:
        where = ["-L", interval] if interval else []
        words = ["-R", reference, "-I", reads, *where, "-O", str(Path(folder, "out.vcf")), "--device", "cpu"]
        command.main(words, standalone_mode=False)
    likelihoods.pair_hmm = own
    return parts


def write_pairs(parts, path):
    """The file that GklPairHmm.java reads: reads that meet the same haplotypes are a region."""
    out, regions = [], 0
    for base, base_qual, gap_qual, base_offset, hap_base, hap_offset, pair_read, pair_hap in parts:
        first = np.flatnonzero(np.diff(pair_read, prepend=-1))  # of each read's pairs
        low, high = pair_hap[first], pair_hap[np.append(first[1:], len(pair_hap)) - 1]
        begin = np.append(np.flatnonzero(np.diff(low, prepend=-1)), len(first))
        for a, b in zip(begin[:-1], begin[1:]):
            regions += 1
            haps = range(low[a], high[a] + 1)
            assert (high[a:b] == high[a]).all()
            out.append(np.array([b - a, len(haps)], "<i4").tobytes())
            for r in pair_read[first[a:b]]:
                span = slice(base_offset[r], base_offset[r + 1])
                out += [np.int32(span.stop - span.start).tobytes(), *(x[span].tobytes() for x in (base, base_qual, gap_qual))]
            for h in haps:
                text = hap_base[hap_offset[h] : hap_offset[h + 1]].tobytes()
                out += [np.int32(len(text)).tobytes(), text]
    path.write_bytes(np.int32(regions).tobytes() + b"".join(out))


def ours_of(parts, threads):
    """(float64 log10 likelihoods of all parts, whether float32 was too small), as with options that show the smallest ones."""
    backend, out, small = Backend("cpu", threads), [], []
    for columns in parts:
        values = likelihoods.pair_hmm(*columns, False, backend)
        small.append(np.isneginf(values))
        lost = np.flatnonzero(small[-1])
        values[lost] = likelihoods.pair_hmm(*columns[:6], columns[6][lost], columns[7][lost], True, backend)
        out.append(values)
    return np.concatenate(out), np.concatenate(small)


def compare_with_gkl(parts, threads, runs, out):
    """Rows of both, and whether all bits are equal."""
    gatk = find_gatk()
    if not gatk:
        sys.exit("not found: GATK")
    cells = sum(int((np.diff(c[3])[c[6]] * np.diff(c[5])[c[7]]).sum()) for c in parts)
    more = {"pairs": sum(len(c[6]) for c in parts), "threads": threads, "dtype": "float32"}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_pairs(parts, folder / "pairs")
        jars, source = Path(gatk).resolve().parent / "lib", Path(__file__).with_name("GklPairHmm.java")
        command = ["java", "-Xmx2g", "-cp", f"{jars}/*", source, folder / "pairs", threads, runs, folder / "values"]
        done = subprocess.run([str(w) for w in command], check=True, capture_output=True, text=True)
        theirs = np.fromfile(folder / "values", ">f8").astype(np.float64)
    times = [float(line) for line in done.stdout.split() if line.replace(".", "").isdigit()]
    report("pairhmm by GKL", "cpu", cells, min(times), out, **more)
    best = seconds(lambda: ours_of(parts, threads), runs, False)
    ours, small = ours_of(parts, threads)
    unequal = ours.view(np.int64) != theirs.view(np.int64)
    report("pairhmm", "cpu", cells, best, out, **more, unequal=int((unequal & ~small).sum()), in_float64=int(small.sum()),
           unequal_in_float64=int((unequal & small).sum()))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--read", type=int, default=150)
    parser.add_argument("--haplotype", type=int, default=300)
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--gkl", action="store_true", help="compare with GATK's native library")
    parser.add_argument("-R", dest="reference")
    parser.add_argument("-I", dest="reads")
    parser.add_argument("-L", dest="interval")
    parser.add_argument("--out", type=Path, help="append the rows to this file as well")
    args = parser.parse_args()
    if args.gkl:
        parts = caller_pairs(args.reference, args.reads, args.interval) if args.reads else [pairs(args.pairs, args.read, args.haplotype)]
        compare_with_gkl(parts, args.threads, args.runs, args.out)
        return
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
        report("pairhmm", backend.device, cells, best, args.out, **more)
    assert all((t == totals[0]).all() for t in totals), "the devices' totals differ"


if __name__ == "__main__":
    main()
