"""Read bases per second that local assembly turns into haplotypes, on the CPU (the CUDA twin of its graphs: device.py).

    python benchmarks/assembly.py [--regions 500] [--span 400] [--reads 80] [--read 150] [--errors 0.003] [--threads N] [--runs 3]

Regions have two haplotypes, one with a base changed and a deletion of three. `giga_cells_per_s` counts bases of reads; graphs of all
k-mer sizes, paths and alignment of haplotypes are timed.
"""

import argparse

import numpy as np
from kernel_rate import report, seconds

from gpugenome.pipeline import usable_threads
from gpugenome.steps.haplotypecaller.columns import RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.graph import assemble
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.regions import take_none


def made(regions, span, reads, read, errors):
    """(finalised reads, reads, regions, contig): arguments of `assemble`."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", np.uint8)
    contig = rng.choice(letters, regions * span)
    other = contig.reshape(regions, span).copy()
    middle = span // 2
    other[:, middle] = np.where(other[:, middle] == 65, 67, 65)
    other[:, middle + 20 : -3] = other[:, middle + 23 :]
    haplotypes = np.stack([contig.reshape(regions, span), other])
    n = regions * reads
    region, offset = np.repeat(np.arange(regions), reads), np.arange(n + 1) * read
    first = np.sort(rng.integers(0, span - read - 3, (regions, reads)), axis=1).ravel()
    base = haplotypes[rng.integers(0, 2, n)[:, None], region[:, None], first[:, None] + np.arange(read)].ravel()
    changed = rng.random(len(base)) < errors
    base[changed] = rng.choice(letters, int(changed.sum()))
    edge = (np.arange(regions + 1) * span).astype(np.int32)
    row_offset, rows = np.arange(regions + 1) * reads, np.arange(n, dtype=np.int32)
    finalised = RegionReads(row_offset, rows, edge[region] + first.astype(np.int32), base, np.full(len(base), 30, np.uint8), offset,
                            np.full(n, read << 4, np.uint32), np.arange(n + 1), np.zeros(n, np.uint8))  # fmt: skip
    columns = take_none(0)
    columns.sample = np.zeros(n, np.int32)
    batch = RegionBatch(0, edge[:-1], edge[1:], edge[:-1], edge[1:], np.ones(regions, bool), row_offset, rows)
    return finalised, columns, batch, contig


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=500)
    parser.add_argument("--span", type=int, default=400)
    parser.add_argument("--reads", type=int, default=80)
    parser.add_argument("--read", type=int, default=150)
    parser.add_argument("--errors", type=float, default=0.003)
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    finalised, reads, regions, contig = made(args.regions, args.span, args.reads, args.read, args.errors)
    wanted, options, found = np.ones(args.regions, bool), CallerOptions(), []

    def call():
        found[:] = [assemble(finalised, reads, regions, wanted, contig, options, args.threads)]

    best = seconds(call, args.runs, False)
    report("assembly", "cpu", len(finalised.base), best, threads=args.threads, regions=args.regions, reads=args.reads, read=args.read,
           haplotypes=len(found[0]), regions_per_s=round(args.regions / best))  # fmt: skip


if __name__ == "__main__":
    main()
