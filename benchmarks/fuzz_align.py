"""`gpugenome align` against bwa mem 0.7.17 on random small references rich in repeats, record by record.

    python benchmarks/fuzz_align.py [--seeds 1-200] [--pairs 250]

Each seed makes the reference and reads of tests/aligner_cases.py (repeats in tandem and scattered, ALT contigs, N and IUPAC letters;
chimeras, indels, lost and turned mates), other read lengths in turn, and runs one of its option sets, on one and two threads in turn.
Needs bwa; prints the seeds that differ and exits with 1 if there are any.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent / "tests")]

from aligner_cases import CASES, GROUP, digest, files_of, run_bwa, write_case  # noqa: E402

from gpugenome.cli import cli  # noqa: E402

LENGTHS = 150, 100, 250, 75, 36


def same(folder, seed, pairs):
    """(whether the records of a seed are equal, how many)."""
    options, how = list(CASES.items())[seed % len(CASES)]
    write_case(folder, seed, pairs, LENGTHS[seed % len(LENGTHS)])
    subprocess.run(["bwa", "index", str(folder / "ref.fa")], check=True, capture_output=True)
    theirs, ours = run_bwa(folder, options, how), folder / "ours.bam"
    arguments = ["align", "-R", folder / "ref.fa", "--read-group", GROUP, "--bwa-options", options, "-O", ours, "--threads", 1 + seed % 2]
    if how == "interleaved":
        arguments.append("--interleaved")
    arguments += ["--device", "cpu", "--fastq", *files_of(folder, how)]
    cli.main([str(a) for a in arguments], prog_name="gpugenome", standalone_mode=False)
    with open(theirs) as f:
        count = sum(not line.startswith("@") for line in f)
    return digest(theirs) == digest(ours), count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1-200")
    parser.add_argument("--pairs", type=int, default=250)
    args = parser.parse_args()
    first, last = map(int, args.seeds.split("-"))
    bad, records = [], 0
    for seed in range(first, last + 1):
        with tempfile.TemporaryDirectory() as name:
            equal, count = same(Path(name), seed, args.pairs)
        records += count
        if not equal:
            bad.append(seed)
            print(f"seed {seed}: the records differ")
    print(f"{last - first + 1} seeds, {records} records, {len(bad)} seeds differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
