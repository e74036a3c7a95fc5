"""Make the benchmark set: 10 Mb at 30x of simulated pairs with known truth.

    python benchmarks/make_data.py FOLDER [--mb 10] [--depth 30] [--seed 1]

From ../shared/data/sim_chr20 (GRCh38 chr20:1-10,000,000 with HG002's phased variants, both haplotypes by `bcftools consensus`,
reads by `art_illumina -ss HS25 -p -l 150 -m 400 -s 80`) where it is there; else from a genome and a truth made by data/make_demo.py's
generator. Needs samtools, bcftools, tabix and bwa; art_illumina for the first way. Files: reference.fa (+ .fai .dict, bwa index),
reads_R1.fastq.gz, reads_R2.fastq.gz, truth.vcf.gz, truth.bed, known_sites.vcf.gz.
"""

import argparse
import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SIM = ROOT.parent / "shared" / "data" / "sim_chr20"


def sh(command, cwd):
    subprocess.run(["bash", "-c", "set -euo pipefail; " + command], check=True, cwd=cwd)


def lines_of(path):
    """The start of each line and the end of the last, int64, of a text file read whole."""
    data = np.fromfile(path, np.uint8)
    return data, np.concatenate([[0], np.flatnonzero(data == 10) + 1])


def shuffle_pairs(first, second, out_first, out_second, seed):
    """Put the pairs of several FASTQ files in one random order (a sequencer's order says nothing about positions)."""
    order = None
    for parts, out in ((first, out_first), (second, out_second)):
        joined = out.with_suffix(".joined")
        with open(joined, "wb") as f:
            for p in parts:
                with open(p, "rb") as g:
                    shutil.copyfileobj(g, f)
        data, at = lines_of(joined)
        record = at[::4]
        if order is None:
            order = np.random.default_rng(seed).permutation(len(record) - 1)
        length = np.diff(record)[order]
        with gzip.open(out, "wb", compresslevel=1) as f:
            for block in np.array_split(np.arange(len(order)), max(1, len(order) // 200_000)):
                n = length[block]
                start = np.concatenate([[0], np.cumsum(n)])
                index = np.arange(start[-1]) - np.repeat(start[:-1], n) + np.repeat(record[order[block]], n)
                f.write(data[index].tobytes())
        joined.unlink()


def from_shared(folder, mb, depth, seed):
    region = f"chr20:1-{mb * 1_000_000}"
    sh(f"gzip -dc {SIM}/reference.fa.gz > whole.fa && samtools faidx whole.fa", folder)
    name = (folder / "whole.fa.fai").read_text().split("\t")[0]
    region = region.replace("chr20", name)
    sh(f"samtools faidx whole.fa {region} | sed '1s/.*/>{name}/' > reference.fa && rm whole.fa whole.fa.fai", folder)
    # GATK compares the contig lengths in the header of known sites with the reference's
    sh(f"samtools faidx reference.fa && bcftools view -r {region} {SIM}/truth.vcf.gz -Oz -o all.vcf.gz && "
       "bcftools reheader -f reference.fa.fai -o truth.vcf.gz all.vcf.gz && rm all.vcf.gz && tabix -f truth.vcf.gz", folder)  # fmt: skip
    sh(f"awk '$3 <= {mb * 1_000_000}' {SIM}/truth.bed > truth.bed", folder)
    sh("bcftools view -G truth.vcf.gz -Oz -o known_sites.vcf.gz && tabix -f known_sites.vcf.gz", folder)
    for h in (1, 2):
        sh(f"bcftools consensus -H {h} -f reference.fa truth.vcf.gz 2> /dev/null | sed '1s/.*/>h{h}/' > hap{h}.fa", folder)
        sh(
            f"art_illumina -q -ss HS25 -p -l 150 -f {depth / 2} -m 400 -s 80 -rs {seed + h} -na -i hap{h}.fa -o hap{h}_ > /dev/null",
            folder,
        )


def from_generator(folder, mb, depth, seed):
    sys.path.insert(0, str(ROOT / "data"))
    import make_demo

    make_demo.SEED, make_demo.COVERAGE = seed, depth
    make_demo.CONTIGS = {f"made{i + 1}": 1_000_000 for i in range(mb)}
    make_demo.main(folder)
    sh("gzip -dc reference.fa.gz > reference.fa && rm reference.fa.gz", folder)
    for e in (1, 2):
        sh(f"gzip -dc demo_L001_R{e}.fastq.gz demo_L002_R{e}.fastq.gz | gzip -1 > reads_R{e}.fastq.gz", folder)
    sh("rm demo_L00*; samtools faidx reference.fa; awk '{print $1 FS 0 FS $2}' FS='\t' reference.fa.fai > truth.bed", folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mb", type=int, default=10)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if SIM.is_dir() and shutil.which("art_illumina"):
        from_shared(args.folder, args.mb, args.depth, args.seed)
        parts = [[args.folder / f"hap{h}_{e}.fq" for h in (1, 2)] for e in (1, 2)]
        out = [args.folder / f"reads_R{e}.fastq.gz" for e in (1, 2)]
        shuffle_pairs(*parts, *out, args.seed)
        sh("rm -f hap*", args.folder)
    else:
        from_generator(args.folder, args.mb, args.depth, args.seed)
    sh("samtools faidx reference.fa; rm -f reference.dict; samtools dict reference.fa -o reference.dict", args.folder)
    sh("bwa index reference.fa 2> /dev/null", args.folder)


if __name__ == "__main__":
    main()
