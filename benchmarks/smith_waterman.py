"""Cell updates per second of the Smith-Waterman kernels, on the CPU and, where there is one, on the GPU.

    python benchmarks/smith_waterman.py [--pairs 2000] [--reference 400] [--alternate 380] [--threads N] [--runs 3] [--warps 4096]

Fill and backtrack are timed, transfers are not. `share_of_peak` is a cell's 17 integer instructions (sums, maxima, comparisons) against
what the GPU's lanes can issue.
"""

import argparse

import numpy as np
from kernel_rate import gpu_lane_rate, report, seconds

from gpugenome.backend import choose
from gpugenome.kernels import smith_waterman_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.smith_waterman_scalar import HAPLOTYPE_TO_REFERENCE, INDEL, back_size
from gpugenome.pipeline import usable_threads

INSTRUCTIONS = 17


def pairs(n, reference, alternate):
    """(inputs of align_pairs, cigar_offset, its outputs): alternates that are the beginning of their reference, 1 % of bases changed."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", np.uint8)
    ref = rng.choice(letters, (n, reference))
    alt = ref[:, :alternate].copy()
    changed = rng.random(alt.shape) < 0.01
    alt[changed] = rng.choice(letters, int(changed.sum()))
    row, size = np.arange(n + 1), alt.shape[1]
    inputs = ref.ravel(), row * reference, np.arange(n, dtype=np.int32), alt.ravel(), row * size
    cigar_offset = row * (2 * size + 3)
    return inputs, cigar_offset, (np.zeros(cigar_offset[-1], np.uint32), np.zeros(n, np.int32), np.zeros(n, np.int32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--reference", type=int, default=400)
    parser.add_argument("--alternate", type=int, default=380)
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--warps", type=int, default=4096, help="Alignments in flight on the GPU, with scratch memory each.")
    args = parser.parse_args()
    inputs, cigar_offset, outputs = pairs(args.pairs, args.reference, args.alternate)
    args.alternate = int(inputs[4][1])
    cells = args.pairs * args.reference * args.alternate
    more = {"reference": args.reference, "alternate": args.alternate}

    def on_cpu():
        run_chunks(smith_waterman_cpu.align_pairs, args.pairs, args.threads, *inputs, *HAPLOTYPE_TO_REFERENCE, INDEL, outputs[0],
                   cigar_offset, *outputs[1:])  # fmt: skip

    report("smith_waterman", "cpu", cells, seconds(on_cpu, args.runs, False), threads=args.threads, **more)
    if not choose("auto").on_gpu:
        return
    from numba import cuda

    from gpugenome.kernels import smith_waterman_cuda

    put = [cuda.to_device(a) for a in (*inputs, cigar_offset, *outputs)]
    warps = min(args.warps, args.pairs)
    back = cuda.device_array((warps, int(back_size(args.reference, args.alternate))), np.uint8)
    edge = cuda.device_array((warps, 2 * args.reference + args.alternate), np.int32)

    def on_gpu():
        smith_waterman_cuda.align_pairs(0, args.pairs, *put[:5], *HAPLOTYPE_TO_REFERENCE, INDEL, put[6], put[5], *put[7:], back, edge)

    best = seconds(on_gpu, args.runs, True)
    report("smith_waterman", "cuda", cells, best, share_of_peak=round(INSTRUCTIONS * cells / best / gpu_lane_rate(), 3), **more)
    assert all((mine.copy_to_host() == expected).all() for mine, expected in zip(put[6:], outputs)), "the devices' alignments differ"


if __name__ == "__main__":
    main()
