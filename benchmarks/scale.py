"""Wall seconds and peak memory of haplotypecaller over sizes of genome and depths, beside GATK's where that takes a few minutes.

    python benchmarks/scale.py FOLDER [--mb 1,5,10] [--depths 15,30,100] [--threads 2] [--runs 1] [--gatk-most 200] [--out results.jsonl]
    python benchmarks/scale.py FOLDER --only-data ...

For each size make_data.py makes reads of the greatest depth, our align, sort and markdup make a BAM of them, and samtools takes the share
of the templates that a lower depth needs. Rows as harness.py writes them, `data` is "MBmb_DEPTHx". GATK runs where size times depth (Mb
times) is at most --gatk-most. Data that are there are not made again. Needs what make_data.py needs; GATK as harness.py finds it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from harness import ROOT, commit, cpu_model, find_gatk, measure


def make_bams(folder, ours, mb, depths, threads):
    """{depth: BAM} of a genome of mb Mb, in FOLDER/MBmb."""
    place, most = folder / f"{mb}mb", max(depths)
    bams = {d: place / f"{d}x.bam" for d in depths}
    if not (place / "reference.fa.bwt").exists():
        words = [sys.executable, ROOT / "benchmarks" / "make_data.py", place, "--mb", mb, "--depth", most]
        subprocess.run([str(w) for w in words], check=True)
    for depth in sorted(depths, reverse=True):
        if bams[depth].exists():
            continue
        if depth == most:
            group = r"'@RG\tID:l1\tSM:sim\tLB:lib1\tPL:ILLUMINA\tPU:l1'"
            fastq = "reads_R1.fastq.gz reads_R2.fastq.gz"
            command = (f"{ours} align -R reference.fa --fastq {fastq} --read-group {group} -O - --threads {threads} "
                       f"| {ours} sort -I - -O - | {ours} markdup -I - -O new.bam -M metrics.txt "
                       f"&& samtools index new.bam {depth}x.bam.bai && mv new.bam {depth}x.bam")  # fmt: skip
        else:
            share = f"{1 + depth / most:.4f}"  # the whole number is the seed
            command = (f"samtools view -b -s {share} -o new.bam {most}x.bam && samtools index new.bam {depth}x.bam.bai && "
                       f"mv new.bam {depth}x.bam")  # fmt: skip
        subprocess.run(["bash", "-c", f"set -euo pipefail; {command}"], check=True, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return bams


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mb", default="1,5,10")
    parser.add_argument("--depths", default="15,30,100")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--gatk-most", type=float, default=200, help="greatest size (Mb) times depth at which GATK runs too")
    parser.add_argument("--only-data", action="store_true", help="make the data, measure nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results.jsonl")
    args = parser.parse_args()
    folder, gatk = args.folder.resolve(), find_gatk()
    ours = shutil.which("gpugenome") or f"{sys.executable} -m gpugenome.cli"
    depths = [int(d) for d in args.depths.split(",")]
    base = {"commit": commit(), "cpu": cpu_model(), "cores": os.cpu_count(), "device": "none", "threads": args.threads}
    print(f"{'data':12} {'tool':10} {'wall s':>8} {'user s':>8} {'peak MB':>8}")
    for mb in (int(m) for m in args.mb.split(",")):
        for depth, bam in make_bams(folder, ours, mb, depths, args.threads).items():
            if args.only_data:
                continue
            files = f"-R {bam.parent / 'reference.fa'} -I {bam} -O"
            tools = {"gpugenome": f"{ours} haplotypecaller {files} ours.vcf.gz --threads {args.threads} --device cpu"}
            if gatk and mb * depth <= args.gatk_most:
                tools["gatk"] = (f"{gatk} HaplotypeCaller {files} gatk.vcf.gz --native-pair-hmm-threads {args.threads} --verbosity ERROR "
                                 "--QUIET true")  # fmt: skip
            for run in range(args.runs):
                for tool, command in tools.items():
                    row = {**base, "data": f"{mb}mb_{depth}x", "date": time.strftime("%Y-%m-%d"), "stage": "call-vcf", "tool": tool,
                           "run": run, **measure(command, bam.parent, bam.parent / f"{tool}.log")}  # fmt: skip
                    with open(args.out, "a") as f:
                        f.write(json.dumps(row) + "\n")
                    print(f"{row['data']:12} {tool:10} {row['wall_s']:8.2f} {row['user_s']:8.2f} {row['peak_mb']:8}", flush=True)
                    if row["exit"]:
                        sys.exit(f"{tool} failed, see {bam.parent}/{tool}.log")


if __name__ == "__main__":
    main()
