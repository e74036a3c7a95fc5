"""GATK's outputs kept in tests/recorded/caller (made by benchmarks/differential_caller.py --record), and our runs on the same inputs.

The first line of NAME.vcf.gz has the inputs and options of the run; NAME.bam.txt.gz and NAME.igv.txt.gz are its other outputs as text.
"""

import gzip
from pathlib import Path

import pysam

from gpugenome.cli import cli

FOLDER = Path(__file__).parent / "recorded" / "caller"
NAMED = ("##source=", "##GATKCommandLine", "##gpugenomeCommandLine")


def recorded():
    """Names of all recorded runs."""
    return sorted(p.name.removesuffix(".vcf.gz") for p in FOLDER.glob("*.vcf.gz"))


def lines_of(path):
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as f:
        return f.read().splitlines()


def call(*arguments):
    """Run `gpugenome haplotypecaller` in this process."""
    cli.main(args=["haplotypecaller", "--device", "cpu", "--threads", "2", *map(str, arguments)], standalone_mode=False)


def run_recorded(name, demo, folder):
    """(our lines, GATK's) of a recorded run, without those that name the program; further outputs follow the VCF's lines."""
    first, *expected = lines_of(FOLDER / f"{name}.vcf.gz")
    reads, *words = first.split(" ")
    out, inputs = folder / f"{name}.vcf", FOLDER / "inputs"
    places = {"known": demo / "known_sites.vcf.gz", "truth": demo / "truth.vcf.gz", "bed": inputs / "bed.bed", "out": out,
              **{p.name.removesuffix(".vcf.gz"): p for p in inputs.glob("*.vcf.gz")}}  # fmt: skip
    files = [next(inputs.glob(f"{r}.*am")) for r in reads.split(",")]
    own = inputs / f"{reads}.fa"
    reference = own if own.exists() else demo / "reference.fa.gz"
    call("-R", reference, *[w for f in files for w in ("-I", f)], "-O", out, *[w.format(**places) for w in words])
    ours = [line for line in lines_of(out) if not line.startswith(NAMED)]
    for kind in ("bam", "igv"):
        text = FOLDER / f"{name}.{kind}.txt.gz"
        if text.exists():
            path = f"{out}.{kind}"
            ours += (pysam.view("-h", "--no-PG", path) if kind == "bam" else Path(path).read_text()).splitlines()
            expected += lines_of(text)
    return ours, expected
