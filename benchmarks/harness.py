"""Run ours and the real tools side by side on the same data, stage by stage.

    python benchmarks/harness.py FOLDER [--runs 3] [--threads 2] [--stages align,sort,...] [--out benchmarks/results.jsonl]

FOLDER is made by make_data.py. Each stage's tools read the same inputs (made once, kept in FOLDER/work). Every command is a whole
process; wall, user and system seconds and peak resident memory come from the kernel (wait4). Runs of the tools of a stage take
turns (A B C A B C ...), one warm-up of ours first so that compiled kernels are cached. One JSON line a run with commit, CPU, device;
the table printed at the end gives medians and the ratio of each tool to ours. `compare.py` compares two commits.
Tools that are not installed are left out and named. GATK: environment variable GATK, else ../shared/tools/get-gatk.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def commit():
    out = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return out.stdout.strip() or "unknown"


def gpu_name():
    if not shutil.which("nvidia-smi"):
        return "none"
    out = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return out.stdout.strip() or "none"


def find_gatk():
    if os.environ.get("GATK"):
        return os.environ["GATK"]
    tool = ROOT.parent / "shared" / "tools" / "get-gatk"
    if tool.exists():
        return subprocess.run([str(tool)], capture_output=True, text=True).stdout.strip() or None
    return shutil.which("gatk")


def measure(command, cwd, log):
    """Run a shell command; wall, user, sys seconds and the peak RSS (MB) of its largest process."""
    started = time.perf_counter()
    with open(log, "wb") as f:
        pid = subprocess.Popen(["bash", "-c", "set -euo pipefail; " + command], cwd=cwd, stdout=f, stderr=f)
        _, status, usage = os.wait4(pid.pid, 0)
    pid.returncode = os.waitstatus_to_exitcode(status)
    return {
        "wall_s": round(time.perf_counter() - started, 3),
        "user_s": round(usage.ru_utime, 3),
        "sys_s": round(usage.ru_stime, 3),
        "peak_mb": usage.ru_maxrss // 1024,
        "exit": pid.returncode,
    }


def stages(g, gatk, t):
    """(stage, preparation, {tool: command}) over files of the working folder; `g` is our command, `gatk` the real one."""
    ref = "../reference.fa"
    known = "../known_sites.vcf.gz"
    fastq = "../reads_R1.fastq.gz ../reads_R2.fastq.gz"
    rg = r"'@RG\tID:l1\tSM:sim\tLB:lib1\tPL:ILLUMINA\tPU:l1'"
    quiet = "--verbosity ERROR --QUIET true"
    pq = "--VERBOSITY ERROR --QUIET true"
    return [
        ("align", {
            "gpugenome": f"{g} align -R {ref} --fastq {fastq} --read-group {rg} -O ours.aligned.bam --threads {t}",
            "bwa": f"bwa mem -K 100000000 -Y -t {t} -R {rg} {ref} {fastq} 2> /dev/null | samtools view -@{t} -b --no-PG -o aligned.bam -",
        }, "aligned.bam", "bwa"),
        ("sort", {
            "gpugenome": f"{g} sort -I aligned.bam -O ours.sorted.bam --threads {t}",
            "picard": f"{gatk} SortSam {pq} -I aligned.bam -O sorted.bam --SORT_ORDER coordinate",
            "samtools": f"samtools sort -@{t} -m 2G -l 2 -o samtools.sorted.bam aligned.bam",
            "sambamba": f"sambamba sort -q -t {t} -m 8G -l 2 -o sambamba.sorted.bam aligned.bam",
        }, "sorted.bam", "picard"),
        ("markdup", {
            "gpugenome": f"{g} markdup -I sorted.bam -O ours.markdup.bam -M ours.metrics --threads {t}",
            "picard": f"{gatk} MarkDuplicates {pq} -I sorted.bam -O markdup.bam -M metrics.txt --CREATE_INDEX true",
            "sambamba": f"sambamba markdup -q -t {t} sorted.bam sambamba.markdup.bam",
        }, "markdup.bam", "picard"),
        ("bqsr", {
            "gpugenome": f"{g} bqsr -R {ref} -I markdup.bam --known-sites {known} -O ours.table --threads {t}",
            "gatk": f"{gatk} BaseRecalibrator {quiet} -R {ref} -I markdup.bam --known-sites {known} -O recal.table",
        }, "recal.table", "gatk"),
        ("applybqsr", {
            "gpugenome": f"{g} applybqsr -R {ref} -I markdup.bam --bqsr-recal-file recal.table -O ours.recal.bam --threads {t}",
            "gatk": f"{gatk} ApplyBQSR {quiet} -R {ref} -I markdup.bam --bqsr-recal-file recal.table -O recal.bam",
        }, "recal.bam", "gatk"),
        ("call-vcf", {
            "gpugenome": f"{g} haplotypecaller -R {ref} -I recal.bam -O ours.vcf.gz --threads {t}",
            "gatk": f"{gatk} HaplotypeCaller {quiet} -R {ref} -I recal.bam -O calls.vcf.gz --native-pair-hmm-threads {t}",
            "freebayes": f"freebayes -f {ref} recal.bam > freebayes.vcf",
        }, "calls.vcf.gz", "gatk"),
        ("call-gvcf", {
            "gpugenome": f"{g} haplotypecaller -R {ref} -I recal.bam -O ours.g.vcf.gz -ERC GVCF --threads {t}",
            "gatk": f"{gatk} HaplotypeCaller {quiet} -R {ref} -I recal.bam -O calls.g.vcf.gz -ERC GVCF --native-pair-hmm-threads {t}",
        }, "calls.g.vcf.gz", "gatk"),
        ("genotype", {
            "gpugenome": f"{g} genotypegvcfs -R {ref} -V calls.g.vcf.gz -O ours.genotyped.vcf.gz --threads {t}",
            "gatk": f"{gatk} GenotypeGVCFs {quiet} -R {ref} -V calls.g.vcf.gz -O genotyped.vcf.gz",
        }, "genotyped.vcf.gz", "gatk"),
        ("germline", {
            "gpugenome": f"{g} germline -R {ref} --fastq {fastq} --read-group {rg} --known-sites {known} "
                         f"-O ours.germline.vcf.gz --threads {t}",
        }, "ours.germline.vcf.gz", "gpugenome"),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--stages", default="")
    parser.add_argument("--tools", default="", help="only these tools (ours is always run)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results.jsonl")
    args = parser.parse_args()
    work = args.folder.resolve() / "work"
    work.mkdir(exist_ok=True)
    ours = shutil.which("gpugenome") or f"{sys.executable} -m gpugenome.cli"
    gatk = find_gatk()
    wanted = set(filter(None, args.stages.split(",")))
    only = set(filter(None, args.tools.split(","))) | {"gpugenome"}
    base = {"commit": commit(), "cpu": cpu_model(), "cores": os.cpu_count(), "device": gpu_name(), "threads": args.threads,
            "data": args.folder.resolve().name, "date": time.strftime("%Y-%m-%d")}  # fmt: skip
    rows = []
    for stage, commands, product, maker in stages(ours, gatk, args.threads):
        if wanted and stage not in wanted:
            continue
        usable = {}
        for tool, command in commands.items():
            program = {"picard": gatk, "gatk": gatk, "gpugenome": ours.split()[0]}.get(tool, tool)
            if len(only) > 1 and tool not in only:
                continue
            if program and shutil.which(program):
                usable[tool] = command
            else:
                print(f"{stage}: {tool} is not installed, left out", file=sys.stderr)
        if not (work / product).exists() and maker in commands and maker not in usable and gatk:
            measure(commands[maker], work, work / f"{stage}.prepare.log")
        measure(usable["gpugenome"], work, work / f"{stage}.warmup.log")
        for run in range(args.runs):
            for tool, command in usable.items():
                row = {**base, "stage": stage, "tool": tool, "run": run, **measure(command, work, work / f"{stage}.{tool}.log")}
                rows.append(row)
                with open(args.out, "a") as f:
                    f.write(json.dumps(row) + "\n")
                if row["exit"]:
                    print(f"{stage}: {tool} failed, see {work}/{stage}.{tool}.log", file=sys.stderr)
    print(f"{'stage':10} {'tool':10} {'wall s':>8} {'user s':>8} {'peak MB':>8} {'x ours':>7}")
    for stage in dict.fromkeys(r["stage"] for r in rows):
        good = [r for r in rows if r["stage"] == stage and not r["exit"]]
        mine = [r["wall_s"] for r in good if r["tool"] == "gpugenome"]
        for tool in dict.fromkeys(r["tool"] for r in good):
            mid = {k: statistics.median(r[k] for r in good if r["tool"] == tool) for k in ("wall_s", "user_s", "peak_mb")}
            ratio = f"{mid['wall_s'] / statistics.median(mine):7.1f}" if mine else "      -"
            print(f"{stage:10} {tool:10} {mid['wall_s']:8.2f} {mid['user_s']:8.2f} {mid['peak_mb']:8.0f} {ratio}")


if __name__ == "__main__":
    main()
