"""Wall seconds and peak memory of sort and markdup over numbers of reads, beside Picard and samtools where that takes a few minutes.

    python benchmarks/scale_reads.py BAM FOLDER [--millions 0.5,2,8,32] [--memory 1G,16G] [--threads 2] [--others-most 8] [--out rows]

BAM holds reads grouped by name (the aligner's output). A set of so many million reads is the first reads of BAM, or BAM repeated with a
number of the copy before each read's name, kept in FOLDER. `sort` reads that, `markdup` what sort wrote. Each is run with every
--memory, and what it writes must have the same records (and markdup the same metrics) for all of them. Rows as harness.py writes them;
`data` is "MILLIONSM_reads", our tools' names end in the memory. Other tools run on at most --others-most million reads.
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


def shell(command, cwd):
    out = subprocess.run(["bash", "-c", "set -euo pipefail; " + command], cwd=cwd, check=True, capture_output=True, text=True)
    return out.stdout.strip()


def make_reads(bam, records, millions, folder):
    """The BAM of so many million reads: `records` of `bam` over and over under other names, whole templates only."""
    path = folder / f"{millions:g}M.bam"
    if path.exists():
        return path
    wanted = round(millions * 1e6)
    copies = -(-wanted // records)
    last = wanted - (copies - 1) * records  # of the last copy; its last template is completed
    rename = """awk -v c=$c -v most=$n 'BEGIN{OFS="\t"} NR>most && $1!=name{exit} {name=$1; $1="c"c":"$1; print}'"""
    shell(f"(samtools view -H {bam}; for c in $(seq {copies}); do n={records}; [ $c -lt {copies} ] || n={last}; "
          f"(samtools view {bam} || true) | {rename}; done) | samtools view -b -1 -@1 -o new.bam -", folder)  # fmt: skip
    (folder / "new.bam").rename(path)
    return path


def body(path, metrics=None):
    """A checksum of the records (and of the metrics without their comments)."""
    sums = shell(f"samtools view {path} | md5sum", path.parent)
    return sums + (shell(f"grep -v '^#' {metrics} | md5sum", path.parent) if metrics else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bam", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--millions", default="0.5,2,8,32")
    parser.add_argument("--memory", default="1G,16G")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--others-most", type=float, default=8, help="most million reads for Picard and samtools")
    parser.add_argument("--only-data", action="store_true", help="make the BAMs, measure nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results.jsonl")
    args = parser.parse_args()
    folder, gatk, t = args.folder.resolve(), find_gatk(), args.threads
    folder.mkdir(parents=True, exist_ok=True)
    ours = shutil.which("gpugenome") or f"{sys.executable} -m gpugenome.cli"
    bam = args.bam.resolve()
    records = int(shell(f"samtools view -c {bam}", folder))
    quiet = "--VERBOSITY ERROR --QUIET true"
    base = {"commit": commit(), "cpu": cpu_model(), "cores": os.cpu_count(), "device": "none", "threads": t}
    print(f"{'data':12} {'stage':8} {'tool':15} {'wall s':>8} {'user s':>8} {'peak MB':>8}")
    for millions in (float(m) for m in args.millions.split(",")):
        reads = make_reads(bam, records, millions, folder)
        if args.only_data:
            continue
        ordered, sums = folder / "sorted.bam", {}
        stages = {"sort": {}, "markdup": {}}
        for memory in args.memory.split(","):
            name = f"gpugenome-{memory}"
            stages["sort"][name] = f"{ours} sort -I {reads} -O {ordered} --threads {t} --memory {memory}"
            stages["markdup"][name] = f"{ours} markdup -I {ordered} -O marked.bam -M marked.txt --threads {t} --memory {memory}"
        if millions <= args.others_most:
            stages["sort"]["samtools"] = f"samtools sort -@{t} -m 2G -l 2 -o other.bam {reads}"
            if gatk:
                stages["sort"]["picard"] = f"{gatk} SortSam {quiet} -I {reads} -O other.bam --SORT_ORDER coordinate"
                stages["markdup"]["picard"] = f"{gatk} MarkDuplicates {quiet} -I {ordered} -O other.bam -M other.txt"
        for stage, tools in stages.items():
            for tool, command in tools.items():
                row = {**base, "data": f"{millions:g}M_reads", "date": time.strftime("%Y-%m-%d"), "stage": stage, "tool": tool, "run": 0,
                       **measure(command, folder, folder / f"{stage}.{tool}.log")}  # fmt: skip
                with open(args.out, "a") as f:
                    f.write(json.dumps(row) + "\n")
                print(f"{row['data']:12} {stage:8} {tool:15} {row['wall_s']:8.2f} {row['user_s']:8.2f} {row['peak_mb']:8}", flush=True)
                if row["exit"]:
                    sys.exit(f"{tool} failed, see {folder}/{stage}.{tool}.log")
                if tool.startswith("gpugenome") and len(args.memory.split(",")) > 1:
                    got = body(ordered) if stage == "sort" else body(folder / "marked.bam", folder / "marked.txt")
                    if sums.setdefault(stage, got) != got:
                        sys.exit(f"{stage} of {row['data']}: other records with {tool} than with {args.memory.split(',')[0]}")


if __name__ == "__main__":
    main()
