"""How our calls differ from GATK's, field by field, and how both stand to the truth.

    python benchmarks/against_gatk.py [--samples demo,hg002_chr20,...] [--modes vcf,gvcf,genotype,germline] [--folder SET]
                                      [--threads 2] [--device cpu] [--out benchmarks/against_gatk.jsonl] [--keep FOLDER]

Runs our commands on the golden samples (data/golden; ../shared/golden where it is there; SET: a folder of make_data.py with GATK's
outputs in it or in its work folder) and compares each output with GATK's: the share of records that are equal in QUAL, GT, AD, DP,
GQ, PL and every INFO key among the records that both have, and the records that only one has. Where a truth set is there, sensitivity
(recall) and precision inside its confident regions, for ours and for GATK's.
vcf, gvcf: haplotypecaller on the recalibrated reads; genotype: genotypegvcfs on GATK's GVCF; germline: from FASTQ to VCF.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from harness import commit, cpu_model, gpu_name  # noqa: E402

from gpugenome.io.fasta import Reference  # noqa: E402
from gpugenome.io.variant_text import read_bed, read_variant_text  # noqa: E402
from gpugenome.steps.concordance import compare  # noqa: E402

SHARED = ROOT.parent / "shared"
OUTPUTS = {"vcf": "calls.vcf.gz", "gvcf": "calls.g.vcf.gz", "genotype": "genotyped.vcf.gz", "germline": "calls.vcf.gz"}


@dataclass
class Sample:
    """One set of reads with GATK's outputs in the folder `golden`.

    lanes: FASTQ files of each lane. truth, bed: truth set and its confident regions. covered: (contig, start, end) of the reads,
    where they cover a part of the truth set only. dbsnp: known sites that GenotypeGVCFs was given.
    """

    name: str
    reference: Path
    golden: Path
    bam: Path
    lanes: list[list[Path]] = field(default_factory=list)
    known: Path | None = None
    truth: Path | None = None
    bed: Path | None = None
    covered: tuple[str, int, int] | None = None
    dbsnp: Path | None = None

    def command(self, mode, out):
        """Our command for a mode, without program name."""
        if mode == "germline":
            fastq = [x for lane in self.lanes for x in ("--fastq", *lane)]
            return ["germline", "-R", self.reference, *fastq, *self.read_groups(), "--known-sites", self.known, "-O", out]
        if mode == "genotype":
            more = ["--dbsnp", self.dbsnp] if self.dbsnp else []
            return ["genotypegvcfs", "-R", self.reference, "-V", self.golden / OUTPUTS["gvcf"], *more, "-O", out]
        more = ["-ERC", "GVCF"] if mode == "gvcf" else []
        return ["haplotypecaller", "-R", self.reference, "-I", self.bam, *more, "-O", out]

    def read_groups(self):
        """--read-group with what the golden reads have."""
        import pysam

        with pysam.AlignmentFile(str(self.bam)) as f:
            lines = [x for x in str(f.header).splitlines() if x.startswith("@RG")]
        return [x for line in lines for x in ("--read-group", line)]


def samples(folder):
    """All samples that are here, by name."""
    data, golden = ROOT / "data", ROOT / "data" / "golden"
    demo = [[data / f"demo_L00{lane}_R{end}.fastq.gz" for end in (1, 2)] for lane in (1, 2)]
    found = [Sample("demo", data / "reference.fa.gz", golden, golden / "recalibrated.bam", demo, data / "known_sites.vcf.gz",
                    data / "truth.vcf.gz")]  # fmt: skip
    for name, covered in (("hg002_chr20", ("chr20", 5_000, 105_000)), ("na12878_chr21", None), ("na12878_chr21/multi_rg", None)):
        reads, golden = SHARED / "data" / name.split("/")[0], SHARED / "golden" / name
        if golden.is_dir():
            truth = reads / "truth.vcf.gz"
            found.append(Sample(
                name, reads / "reference.fa.gz", golden, golden / "recalibrated.bam",
                [] if "/" in name else [[reads / f"reads_R{end}.fastq.gz" for end in (1, 2)]], reads / "known_sites.vcf.gz",
                truth if truth.exists() else None, reads / "truth.bed" if truth.exists() else None, covered,
                reads / "known_sites.vcf.gz",
            ))  # fmt: skip
    if folder:
        bam = next((folder / n for n in ("recalibrated.bam", "work/recal.bam") if (folder / n).exists()), None)
        if bam is None:
            sys.exit(f"{folder} has neither recalibrated.bam nor work/recal.bam, expected GATK's outputs in it")
        found.append(Sample(folder.name, folder / "reference.fa", bam.parent, bam, [[folder / f"reads_R{e}.fastq.gz" for e in (1, 2)]],
                            folder / "known_sites.vcf.gz", folder / "truth.vcf.gz", folder / "truth.bed"))  # fmt: skip
    return {s.name: s for s in found}


def confident(sample):
    """The regions {contig: int64[k, 2]} in which the truth counts, None for everywhere."""
    regions = read_bed(str(sample.bed)) if sample.bed else None
    if regions is not None and sample.covered:
        contig, low, high = sample.covered
        spans = np.clip(regions.get(contig, np.zeros((0, 2), np.int64)), low, high)
        regions = {contig: spans[spans[:, 0] < spans[:, 1]]}
    return regions


def print_fields(summary):
    """Every field with its share of equal values, the least equal first."""
    counts = summary["categories"]
    print(f"  GATK {summary['truth']['records']} records, ours {summary['eval']['records']}; identical {counts['identical']}; "
          f"genotype concordance {100 * summary['genotype_concordance']:.4f} %")  # fmt: skip
    if others := [f"{name} {n}" for name, n in counts.items() if n and name != "identical"]:
        print("  not identical: " + ", ".join(others))
    for name, share in sorted(summary["fields_equal"].items(), key=lambda kv: (kv[1], kv[0])):
        print(f"  {name:28} {100 * share:9.4f} % equal")
    if "gvcf_blocks" in summary:
        b = summary["gvcf_blocks"]
        print(f"  reference blocks: {b['equal_bases']} of {b['truth_bases']} bases with equal values")


def print_truth(rows):
    print(f"  {'against truth':14} {'':6} {'truth':>7} {'TP':>7} {'FN':>6} {'FP':>6} {'sensitivity':>11} {'precision':>9}")
    for who, summary in rows:
        for kind, m in summary["by_kind"].items():
            shares = [f"{100 * v:.3f}" if v is not None else "-" for v in (m["recall"], m["precision"])]
            print(f"  {who:14} {kind:6} {m['truth']:7} {m['true_positives']:7} {m['false_negatives']:6} {m['false_positives']:6} "
                  f"{shares[0]:>11} {shares[1]:>9}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", default="")
    parser.add_argument("--modes", default="vcf,gvcf,genotype,germline")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="append one JSON line a comparison")
    parser.add_argument("--keep", type=Path, help="keep our outputs here")
    args = parser.parse_args()
    known = samples(args.folder.resolve() if args.folder else None)
    chosen = list(filter(None, args.samples.split(","))) or list(known)
    modes = args.modes.split(",")
    for value, all_of_them in ((chosen, known), (modes, OUTPUTS)):
        if unknown := [v for v in value if v not in all_of_them]:
            parser.error(f"unknown {unknown}, expected some of {list(all_of_them)}")
    device = gpu_name() if args.device != "cpu" else "none"
    base = {"commit": commit(), "cpu": cpu_model(), "device": device, "date": time.strftime("%Y-%m-%d")}
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        for name in chosen:
            for mode in modes:
                if not (known[name].golden / OUTPUTS[mode]).exists() or (mode == "germline" and not known[name].lanes):
                    continue
                failed |= not run_one(known[name], mode, folder, args, base)
    sys.exit(int(failed))


def run_one(sample, mode, folder, args, base):
    """One command of ours and its comparisons; False where it failed."""
    out = folder / f"{sample.name.replace('/', '.')}.{mode}.{OUTPUTS[mode]}"
    out.parent.mkdir(parents=True, exist_ok=True)
    more = ["--threads", args.threads] if args.threads else []
    more += ["--device", args.device] if mode != "genotype" else []
    command = [sys.executable, "-m", "gpugenome.cli", *map(str, [*sample.command(mode, out), *more])]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    print(f"== {sample.name} {mode} ({seconds:.1f} s)")
    if done.returncode:
        print(f"  failed with exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
        return False
    genome = Reference(sample.reference)
    number = {n: i for i, n in enumerate(genome.names)}

    def bases(contig):
        return genome.bases_upper_acgtn(number[contig]) if contig in number else None

    gatk, ours = (read_variant_text(str(p), 2) for p in (sample.golden / OUTPUTS[mode], out))
    summary = compare(gatk, ours, bases=bases, threads=2).summary
    print_fields(summary)
    row = {**base, "sample": sample.name, "mode": mode, "wall_s": round(seconds, 3), "against_gatk": summary}
    if sample.truth and mode != "gvcf":
        truth, regions = read_variant_text(str(sample.truth), 2), confident(sample)
        rows = [(who, compare(truth, calls, bases=bases, regions=regions, threads=2).summary)
                for who, calls in (("ours", ours), ("GATK", gatk))]  # fmt: skip
        print_truth(rows)
        row["against_truth"] = {who: s["by_kind"] for who, s in rows}
    sys.stdout.flush()
    if args.out:
        with open(args.out, "a") as f:
            f.write(json.dumps(row) + "\n")
    return True


if __name__ == "__main__":
    main()
