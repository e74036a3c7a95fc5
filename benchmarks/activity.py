"""Read bases per second that the activity kernel of the CPU sums up (its CUDA twin: device.py).

    python benchmarks/activity.py [--positions 500000] [--depth 30] [--read 150] [--threads N] [--runs 3]

`giga_cells_per_s` counts bases of reads at positions. Sums of likelihoods and probabilities are timed.
"""

import argparse

import numpy as np
from kernel_rate import report, seconds

from gpugenome.gatk import activity_priors
from gpugenome.kernels import activity_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.pipeline import usable_threads
from gpugenome.steps.haplotypecaller.options import CallerOptions

MOST_POSITIONS = 1 << 14
"""Of a chunk: as the caller does."""


def pileup(positions, depth, read):
    """(columns of reads as `activity` wants them, reference): reads of one M each at random places, 0.3 % of bases changed."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", np.uint8)
    reference = rng.choice(letters, positions)
    n = positions * depth // read
    start = np.sort(rng.integers(0, positions - read, n)).astype(np.int32)
    base = reference[start[:, None] + np.arange(read)].ravel()
    changed = rng.random(len(base)) < 0.003
    base[changed] = rng.choice(letters, int(changed.sum()))
    qual = rng.integers(20, 41, len(base)).astype(np.uint8)
    zero = np.zeros(n, np.int32)
    columns = (start, start + np.int32(read), np.zeros(n, np.uint16), zero - 1, zero - 1, zero, base, qual, np.arange(n + 1) * read,
               np.full(n, read << 4, np.uint32), np.arange(n + 1))  # fmt: skip
    return columns, reference


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--positions", type=int, default=500_000)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--read", type=int, default=150)
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    o = CallerOptions()
    columns, reference = pileup(args.positions, args.depth, args.read)
    m, n = o.activity_ploidy, args.positions
    ref, _, indel = activity_priors.pseudocounts(o.heterozygosity, o.heterozygosity_stdev, o.indel_heterozygosity)
    element, log_ploidy = activity_priors.element_likelihoods(m), float(np.log10(m))
    priors = (
        activity_priors.alt_copy_priors(m, o.heterozygosity, o.heterozygosity_stdev), activity_priors.genotype_coefficients(m),
        np.array([ref, indel, min(4.0, o.calling_confidence_phred)]),
    )  # fmt: skip
    sample, rank = np.zeros(len(columns[0]), np.int32), np.zeros(1, np.int32)
    quality = o.min_base_quality_score, o.reference_model_deletion_quality
    probability, soft_clip = np.zeros(n), np.zeros(n)
    reach = np.maximum.accumulate(columns[1])

    def chunk(begin, end):
        for lo in range(begin, end, MOST_POSITIONS):
            first = int(np.searchsorted(reach, lo, "right"))
            activity_cpu.activity(lo, min(end, lo + MOST_POSITIONS), 0, columns, sample, rank, first, len(sample), reference, element,
                                  log_ploidy, *priors, *quality, probability, soft_clip)  # fmt: skip

    best = seconds(lambda: run_chunks(chunk, n, args.threads), args.runs, False)
    report("activity", "cpu", len(columns[6]), best, threads=args.threads, positions=n, depth=args.depth, read=args.read)


if __name__ == "__main__":
    main()
