"""Run ours and the real tools side by side on the same data, stage by stage.

    python benchmarks/harness.py FOLDER [--runs 3] [--threads 2] [--stages align,sort,...] [--out benchmarks/results.jsonl]

FOLDER is made by make_data.py. Each stage's tools read the same inputs (made once by the real tools, kept in FOLDER/work); germline
goes from FASTQ to VCF. Every command is a whole process; wall, user and system seconds come from the kernel (wait4), peak resident
memory from samples over all processes of the command. Runs of the tools of a stage take turns (A B C A B C ...), one
warm-up of ours first so that compiled kernels are cached. One JSON line a run with commit, CPU, device; the table printed at the end
gives medians and the ratio of each tool to ours. `compare.py` compares two commits. BAM is written at compression level 2 by all, which
is GATK's, Picard's and our default (by samtools after bwa and sambamba markdup at their own, and by the latter also at 2 and, where its
file has about the size of ours, at 4).
Tools that are not installed are left out and named. GATK: environment variable GATK, else ../shared/tools/get-gatk.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
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


def session_mb(session):
    """(resident memory of all processes of a session, the most that one of them has had so far), MB."""
    pages, most = 0, 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[3]) != session:
                continue
            pages += int((folder / "statm").read_text().split()[1])
            most = max(most, int((folder / "status").read_text().split("VmHWM:")[1].split()[0]))
        except (OSError, IndexError):
            continue  # the process ended meanwhile
    return pages * os.sysconf("SC_PAGESIZE") / 2**20, most / 2**10


_OUTPUT = re.compile(r"(?: -[oOM]| --out-bam| >|sambamba markdup .*?\.bam) ([\w.]+)")
"""A file that a command writes."""


def measure(command, cwd, log):
    """Run a shell command; wall, user, sys seconds, the peak resident memory and the size of the largest file that it writes (MB).

    What an earlier run left under the names of its outputs is removed first: to replace a file takes longer than to make one. What other
    runs wrote is brought to the disk first: the system would do that meanwhile.

    The peak is that of all processes of the command together, sampled ten times a second, or of its largest one by the kernel's
    count at the last sample where that is more. wait4's own count is no use: a process starts with that of the one it was forked from.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    outputs = [Path(cwd) / output for output in _OUTPUT.findall(command)]
    for output in outputs:
        output.unlink(missing_ok=True)
    os.sync()
    started = time.perf_counter()
    with open(log, "wb") as f:
        process = subprocess.Popen(["bash", "-c", "set -euo pipefail; " + command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=f,
                                   stderr=f, env=environment, start_new_session=True)  # fmt: skip
        peak, ended = 0.0, threading.Event()

        def sample():
            nonlocal peak
            while not ended.wait(0.1):
                peak = max(peak, *session_mb(process.pid))

        watcher = threading.Thread(target=sample, daemon=True)
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall = time.perf_counter() - started
        ended.set()
        watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "wall_s": round(wall, 3),
        "user_s": round(usage.ru_utime, 3),
        "sys_s": round(usage.ru_stime, 3),
        "peak_mb": round(peak),
        "output_mb": round(max((output.stat().st_size for output in outputs if output.exists()), default=0) / 1e6, 2),
        "exit": process.returncode,
    }


def stages(g, gatk, t, device):
    """(stage, {tool: command}, product, its maker) over files of the working folder; `g` is our command, `gatk` the real one.

    The product is what later stages of all tools read.
    """
    ref = "../reference.fa"
    known = "../known_sites.vcf.gz"
    fastq = "../reads_R1.fastq.gz ../reads_R2.fastq.gz"
    rg = r"'@RG\tID:l1\tSM:sim\tLB:lib1\tPL:ILLUMINA\tPU:l1'"
    quiet = "--verbosity ERROR --QUIET true"
    pq = "--VERBOSITY ERROR --QUIET true"

    def recalibration(source, x):
        """The four steps from aligned reads to recalibrated ones, as they are run: files between them, named with an x before."""
        return (f"{gatk} SortSam {pq} -I {source} -O {x}.sorted.bam --SORT_ORDER coordinate && "
                f"{gatk} MarkDuplicates {pq} -I {x}.sorted.bam -O {x}.markdup.bam -M {x}.metrics --CREATE_INDEX true && "
                f"{gatk} BaseRecalibrator {quiet} -R {ref} -I {x}.markdup.bam --known-sites {known} -O {x}.table && "
                f"{gatk} ApplyBQSR {quiet} -R {ref} -I {x}.markdup.bam --bqsr-recal-file {x}.table -O {x}.recal.bam")  # fmt: skip

    bwa = f"bwa mem -K 100000000 -Y -t {t} -R {rg} {ref} {fastq} 2> /dev/null | samtools view -@{t} -b --no-PG"
    return [
        ("align", {
            "gpugenome": f"{g} align -R {ref} --fastq {fastq} --read-group {rg} -O ours.aligned.bam --threads {t}",
            "bwa": f"{bwa} -o aligned.bam -",
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
            "sambamba-l2": f"sambamba markdup -q -t {t} -l 2 sorted.bam sambamba.l2.bam",
            "sambamba-l4": f"sambamba markdup -q -t {t} -l 4 sorted.bam sambamba.l4.bam",
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
            "gpugenome": f"{g} haplotypecaller -R {ref} -I recal.bam -O ours.vcf.gz --threads {t} --device {device}",
            "gatk": f"{gatk} HaplotypeCaller {quiet} -R {ref} -I recal.bam -O calls.vcf.gz --native-pair-hmm-threads {t}",
            "freebayes": f"freebayes -f {ref} recal.bam > freebayes.vcf",
        }, "calls.vcf.gz", "gatk"),
        ("call-gvcf", {
            "gpugenome": f"{g} haplotypecaller -R {ref} -I recal.bam -O ours.g.vcf.gz -ERC GVCF --threads {t} --device {device}",
            "gatk": f"{gatk} HaplotypeCaller {quiet} -R {ref} -I recal.bam -O calls.g.vcf.gz -ERC GVCF --native-pair-hmm-threads {t}",
        }, "calls.g.vcf.gz", "gatk"),
        ("genotype", {
            "gpugenome": f"{g} genotypegvcfs -R {ref} -V calls.g.vcf.gz -O ours.genotyped.vcf.gz --threads {t}",
            "gatk": f"{gatk} GenotypeGVCFs {quiet} -R {ref} -V calls.g.vcf.gz -O genotyped.vcf.gz",
        }, "genotyped.vcf.gz", "gatk"),
        ("fused", {
            "gpugenome": f"{g} germline -R {ref} -I aligned.bam --known-sites {known} --out-bam ours.fused.bam --threads {t}",
            "gatk": recalibration("aligned.bam", "f"),
        }, "f.recal.bam", "gatk"),
        ("germline", {
            "gpugenome": f"{g} germline -R {ref} --fastq {fastq} --read-group {rg} --known-sites {known} "
                         f"-O ours.germline.vcf.gz --threads {t} --device {device}",
            # the Best Practices as they are run: the real tools one after another, files between them
            "gatk": f"{bwa} -o g.aligned.bam - && {recalibration('g.aligned.bam', 'g')} && "
                    f"{gatk} HaplotypeCaller {quiet} -R {ref} -I g.recal.bam -O germline.vcf.gz --native-pair-hmm-threads {t}",
            # other callers' way: no recalibration
            "freebayes": f"{bwa} -o f.aligned.bam - && sambamba sort -q -t {t} -m 8G -l 2 -o f.sorted.bam f.aligned.bam && "
                         f"sambamba markdup -q -t {t} -l 2 f.sorted.bam f.markdup.bam && freebayes -f {ref} f.markdup.bam > f.vcf",
        }, "germline.vcf.gz", "gatk"),
    ]  # fmt: skip


def installed(commands, gatk, ours):
    """The commands whose programs are there, and the tools that are not."""
    program = {"picard": gatk, "gatk": gatk, "gpugenome": ours.split()[0], "sambamba-l2": "sambamba", "sambamba-l4": "sambamba"}
    usable = {tool: c for tool, c in commands.items() if shutil.which(program.get(tool, tool) or "")}
    return usable, [tool for tool in commands if tool not in usable]


def make_inputs(table, upto, work, gatk, ours):
    """Make what stage number `upto` reads: the products of the stages before, where they are not there yet."""
    for stage, commands, product, maker in table[:upto]:
        if (work / product).exists():
            continue
        usable, _ = installed({maker: commands[maker]}, gatk, ours)
        if not usable:
            sys.exit(f"{work}/{product} is missing and {maker}, which makes it, is not installed")
        print(f"making {product} by {maker}", file=sys.stderr)
        if measure(commands[maker], work, work / f"{stage}.prepare.log")["exit"]:
            sys.exit(f"{stage}: {maker} failed, see {work}/{stage}.prepare.log")


def print_table(rows):
    """Medians of each stage and tool, and wall seconds over ours."""
    print(f"{'stage':10} {'tool':10} {'runs':>4} {'wall s':>8} {'min':>8} {'max':>8} {'user s':>8} {'peak MB':>8} {'MB out':>8} "
          f"{'x ours':>7}")  # fmt: skip
    for stage in dict.fromkeys(r["stage"] for r in rows):
        good = [r for r in rows if r["stage"] == stage and not r["exit"]]
        mine = [r["wall_s"] for r in good if r["tool"] == "gpugenome"]
        for tool in dict.fromkeys(r["tool"] for r in good):
            own = [r for r in good if r["tool"] == tool]
            mid = {k: statistics.median(r[k] for r in own) for k in ("wall_s", "user_s", "peak_mb", "output_mb")}
            wall = [r["wall_s"] for r in own]
            ratio = f"{mid['wall_s'] / statistics.median(mine):7.1f}" if mine else "      -"
            print(f"{stage:10} {tool:10} {len(own):4} {mid['wall_s']:8.2f} {min(wall):8.2f} {max(wall):8.2f} {mid['user_s']:8.2f} "
                  f"{mid['peak_mb']:8.0f} {mid['output_mb']:8.2f} {ratio}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="auto", help="of our commands: auto, cpu or cuda")
    parser.add_argument("--stages", default="", help="only these; 'call' is call-vcf and call-gvcf")
    parser.add_argument("--tools", default="", help="only these (ours is always run)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results.jsonl")
    args = parser.parse_args()
    work = args.folder.resolve() / "work"
    work.mkdir(exist_ok=True)
    ours = shutil.which("gpugenome") or f"{sys.executable} -m gpugenome.cli"
    gatk = find_gatk()
    table = stages(ours, gatk, args.threads, args.device)
    wanted = list(filter(None, args.stages.split(",")))
    if unknown := [w for w in wanted if not any(s[0] == w or s[0].startswith(w + "-") for s in table)]:
        parser.error(f"unknown stages {unknown}, expected some of {[s[0] for s in table]}")
    only = set(filter(None, args.tools.split(",")))
    base = {"commit": commit(), "cpu": cpu_model(), "cores": os.cpu_count(), "device": gpu_name() if args.device != "cpu" else "none",
            "threads": args.threads, "data": args.folder.resolve().name, "date": time.strftime("%Y-%m-%d")}  # fmt: skip
    rows = []
    for number, (stage, commands, _, _) in enumerate(table):
        if wanted and not any(stage == w or stage.startswith(w + "-") for w in wanted):
            continue
        usable, missing = installed({t: c for t, c in commands.items() if not only or t in only | {"gpugenome"}}, gatk, ours)
        if missing:
            print(f"{stage}: not installed, left out: {', '.join(missing)}", file=sys.stderr)
        if stage not in ("fused", "germline"):
            make_inputs(table, number, work, gatk, ours)
        if measure(usable["gpugenome"], work, work / f"{stage}.gpugenome.log")["exit"]:
            print(f"{stage}: gpugenome failed, see {work}/{stage}.gpugenome.log", file=sys.stderr)
            del usable["gpugenome"]
        for run in range(args.runs):
            for tool, command in usable.items():
                row = {**base, "stage": stage, "tool": tool, "run": run, **measure(command, work, work / f"{stage}.{tool}.log")}
                rows.append(row)
                with open(args.out, "a") as f:
                    f.write(json.dumps(row) + "\n")
                if row["exit"]:
                    print(f"{stage}: {tool} failed, see {work}/{stage}.{tool}.log", file=sys.stderr)
    print_table(rows)


if __name__ == "__main__":
    main()
