"""A made cohort: `cohort` + `genotypegvcfs` against GenomicsDBImport, CombineGVCFs and GenotypeGVCFs, and how they scale.

    python benchmarks/cohort.py make FOLDER [--bp 1000000] [--samples 12] [--depth 12] [--ploidy 2] [--seed 1]
    python benchmarks/cohort.py compare FOLDER --gatk GATK [--cases default,intervals,...]
    python benchmarks/cohort.py scale FOLDER --sizes 1,12,100,500 [--gatk GATK --gatk-sizes 1,12] [--threads 2] [--out cohort.jsonl]

make: genomes whose haplotypes are mosaics of ten founders, drawn from HG002's variants of ../shared/data/sim_chr20 and others made beside
them so that alleles collide; reads by art_illumina, GVCFs by our own `germline -ERC GVCF` with the allele-specific annotations.
compare: four VCFs for each case, from GenomicsDB, from CombineGVCFs, from our store and from the files; pairs of them record by record.
scale: cohorts of any size are mosaics of the made GVCFs. Seconds and peak memory of adding (all, and one more sample) and of genotyping.
Needs samtools, bgzip and art_illumina.
"""

import argparse
import gzip
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pysam

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from fuzz_joint import is_ill_conditioned  # noqa: E402
from harness import commit, cpu_model, measure  # noqa: E402

SIM = ROOT.parent / "shared" / "data" / "sim_chr20"
FIRST_BP, CONTIG = 1_000_000, "chr20"
FOUNDERS, MOSAIC_BP, SCALE_MOSAIC_BP = 10, 40_000, 20_000
ALLELE_SPECIFIC = ["-G", "StandardAnnotation", "-G", "AS_StandardAnnotation"]
PROGRAM = [sys.executable, "-m", "gpugenome.cli"]


def variants(r, bases):
    """(0-based position, REF, ALT, frequency), sorted: HG002's and made ones close to them."""
    found = []
    with pysam.VariantFile(str(SIM / "truth.vcf.gz")) as truth:
        for v in truth.fetch(truth.header.contigs[0].name, FIRST_BP, FIRST_BP + len(bases)):
            start = v.pos - 1 - FIRST_BP
            if start > 300 and start + len(v.ref) < len(bases) - 300:
                found += [(start, v.ref, alt, r.choice([0.1, 0.3, 0.5, 0.8])) for alt in v.alts]
    for at, ref, _, _ in list(found):
        if r.random() < 0.5:
            continue
        start = at + r.choice([0, 0, -3, 1, 2, 5, 12])
        length = r.choice([1, 1, 2, 4, 9])
        ref = bases[start : start + (1 if length == 1 else length + 1)]
        alt = {"snp": r.choice([b for b in "ACGT" if b != ref[0]]) + ref[1:], "deletion": ref[0],
               "insertion": ref[0] + "".join(r.choice("ACGT") for _ in range(length)) + ref[1:]}  # fmt: skip
        kind = r.choice(["snp", "insertion"] if len(ref) == 1 else ["deletion", "deletion", "insertion"])
        found.append((start, ref, alt[kind], r.choice([0.1, 0.3, 0.5])))
    return sorted(set(found))


def haplotype(r, bases, known, carried):
    """A haplotype's sequence: a mosaic of founders. carried: for each founder the variants that it has."""
    out, at, founder, until = [], 0, 0, -1
    for k, (start, ref, alt, _) in enumerate(known):
        if start >= until:
            founder, until = r.randrange(FOUNDERS), start + r.randrange(MOSAIC_BP // 2, 2 * MOSAIC_BP)
        if carried[founder][k] and start >= at:
            out += [bases[at:start], alt]
            at = start + len(ref)
    return "".join([*out, bases[at:]])


def make(o):
    o.folder.mkdir(parents=True, exist_ok=True)
    r = random.Random(o.seed)
    with gzip.open(SIM / "reference.fa.gz", "rt") as f:
        whole = "".join(line.strip() for line in f if not line.startswith(">")).upper()
    bases = whole[FIRST_BP : FIRST_BP + o.bp]
    reference = o.folder / "reference.fa"
    reference.write_text(f">{CONTIG}\n" + "\n".join(bases[k : k + 100] for k in range(0, len(bases), 100)) + "\n")
    pysam.faidx(str(reference))
    subprocess.run(["samtools", "dict", str(reference), "-o", str(o.folder / "reference.dict")], check=True)
    subprocess.run([*PROGRAM, "index", str(reference)], check=True, cwd=ROOT)
    known = variants(r, bases)
    with open(o.folder / "dbsnp.vcf", "w") as f:
        f.write(f"##fileformat=VCFv4.2\n##contig=<ID={CONTIG},length={len(bases)}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        simple = [v for v in known if len(v[1]) == len(v[2]) == 1 or (min(len(v[1]), len(v[2])) == 1 and v[1][0] == v[2][0])]
        f.writelines(f"{CONTIG}\t{s + 1}\trs{k}\t{ref}\t{alt}\t.\t.\t.\n" for k, (s, ref, alt, _) in enumerate(simple) if k % 3)
    pysam.tabix_index(str(o.folder / "dbsnp.vcf"), preset="vcf", force=True)
    carried = [[r.random() < v[3] for v in known] for _ in range(FOUNDERS)]
    for k in range(o.samples):
        name = f"{r.choice('zyxabc')}{k:02d}"
        made = o.folder / f"{name}.fa"
        with open(made, "w") as f:
            f.writelines(f">h{h}\n{haplotype(r, bases, known, carried)}\n" for h in range(o.ploidy))
        subprocess.run(["art_illumina", "-q", "-ss", "HS25", "-p", "-l", "150", "-f", str(o.depth / o.ploidy), "-m", "400", "-s", "80",
                        "-rs", str(o.seed * 1000 + k), "-na", "-i", str(made), "-o", str(o.folder / f"{name}_R")],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        reads = [o.folder / f"{name}_R{e}.fq" for e in (1, 2)]
        command = ["germline", "-R", reference, "--fastq", *reads, "--read-group", f"@RG\\tID:{name}\\tSM:{name}\\tLB:{name}\\tPL:ILLUMINA",
                   "-ERC", "GVCF", "-ploidy", o.ploidy, *ALLELE_SPECIFIC, "-O", o.folder / f"{name}.g.vcf.gz"]  # fmt: skip
        subprocess.run([*PROGRAM, *map(str, command)], check=True, cwd=ROOT)
        for path in (made, *reads):
            path.unlink()


def gvcfs(folder):
    return sorted(folder.glob("*.g.vcf.gz"))


CASES = {
    "default": [],
    "intervals": ["-L", f"{CONTIG}:20001-45000", "-L", f"{CONTIG}:50500-50900"],
    "dbsnp": ["--dbsnp", "dbsnp.vcf.gz"],
    "allele-specific": ALLELE_SPECIFIC,
    "low": ["-stand-call-conf", "0", "--max-alternate-alleles", "2"],
    "all-sites": ["--include-non-variant-sites", "-L", f"{CONTIG}:20001-45000"],
    "together": ["--include-non-variant-sites", "-L", f"{CONTIG}:30001-45000", "--dbsnp", "dbsnp.vcf.gz", *ALLELE_SPECIFIC],
}


def record_lines(path):
    with gzip.open(path, "rt") as f:
        return [x.rstrip("\n") for x in f if not x.startswith("#")]


def describe(a, b):
    """How many records of two VCFs are equal; of the others, whether only the order of the ALTs differs; where the first lies."""
    def key(x):
        return tuple(x.split("\t", 2)[:2])

    left, right = {key(x): x for x in a}, {key(x): x for x in b}
    wrong = [(left[k], right[k]) for k in left if k in right and left[k] != right[k]]
    rounding = [w for w in wrong if is_ill_conditioned(*w)]
    reordered = [(x, y) for x, y in wrong if x.split("\t")[4] != y.split("\t")[4]
                 and sorted(x.split("\t")[4].split(",")) == sorted(y.split("\t")[4].split(","))]  # fmt: skip
    rest = [w for w in wrong if w not in reordered and w not in rounding]
    text = f"{len(left)} and {len(right)} records, {len(left) - len(left.keys() - right.keys()) - len(wrong)} equal"
    for name, some in (("only the order of ALTs", reordered), ("last bit of pow", rounding), ("else", rest)):
        text += f", {len(some)} differ ({name})" if some else ""
    only = len(left.keys() ^ right.keys())
    text += f", {only} in one only" if only else ""
    for x, y in rest[:2]:
        differ = [(i, u, v) for i, (u, v) in enumerate(zip(x.split("\t"), y.split("\t"))) if u != v]
        text += f"\n      {key(x)}: {differ[:3]}"
    return text, not rest and not only, not wrong and not only


def compare(o):
    folder = o.folder.resolve()
    made = gvcfs(folder)
    common = ["-R", "reference.fa"]
    each = [w for f in made for w in ("-V", f.name)]

    def run(*command):
        done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
        if done.returncode:
            sys.exit(f"{shlex.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")

    if not (folder / "genomicsdb").exists():
        run(o.gatk, "GenomicsDBImport", *each, "--genomicsdb-workspace-path", "genomicsdb", "-L", CONTIG)
        run(o.gatk, "CombineGVCFs", *common, *each, *ALLELE_SPECIFIC, "-O", "combined.gatk.vcf.gz")
    shutil.rmtree(folder / "store", ignore_errors=True)
    for name in reversed(made):  # the order of adding must not matter
        run(*PROGRAM, "cohort", "add", *common, "store", name.name)
    good = True
    for case in o.cases.split(","):
        more, tools = CASES[case], {"genomicsdb": "gendb://genomicsdb", "combined": "combined.gatk.vcf.gz"}
        for tool, source in tools.items():
            if not (folder / f"{case}.{tool}.vcf.gz").exists():
                run(o.gatk, "GenotypeGVCFs", *common, "-V", source, *more, "-O", "unfinished.vcf.gz")
                (folder / "unfinished.vcf.gz").rename(folder / f"{case}.{tool}.vcf.gz")
        run(*PROGRAM, "genotypegvcfs", *common, "-V", "cohort://store", *more, "-O", f"{case}.store.vcf.gz")
        run(*PROGRAM, "genotypegvcfs", *common, *each, *more, "-O", f"{case}.files.vcf.gz")
        lines = {t: record_lines(folder / f"{case}.{t}.vcf.gz") for t in (*tools, "store", "files")}
        print(f"{case} ({len(made)} samples)")
        for a, b in (("store", "genomicsdb"), ("files", "combined"), ("genomicsdb", "combined")):
            text, same, _ = describe(lines[a], lines[b])
            print(f"    {a} - {b}: {text}", flush=True)
            good &= same or a == "genomicsdb"
    sys.exit(0 if good else 1)


def mosaic(r, sources, name, path):
    """Write a GVCF made of stretches of others. sources: (text, POS of each line, where each line begins) by file."""
    header, _, _, _ = sources[0]
    with open(path, "wb") as out:
        compressing = subprocess.Popen(["bgzip", "-c", "-l", "1"], stdin=subprocess.PIPE, stdout=out)
        compressing.stdin.write(header[: header.rindex(b"\t") + 1] + name.encode() + b"\n")
        at, last = 0, max(int(s[1][-1]) for s in sources)
        while at <= last:
            stop = at + r.randrange(SCALE_MOSAIC_BP // 2, 2 * SCALE_MOSAIC_BP)
            _, pos, begin, text = r.choice(sources)
            a, b = np.searchsorted(pos, (at, stop))
            compressing.stdin.write(text[begin[a] : begin[b]])
            if b > a:
                stop = max(stop, line_end(text[begin[b - 1] : begin[b]]))
            at = stop
        compressing.stdin.close()
        if compressing.wait():
            sys.exit("bgzip failed")


def line_end(line):
    """The 1-based position after a record."""
    fields = line.split(b"\t", 8)
    if fields[7].startswith(b"END="):
        return int(fields[7][4:].split(b";")[0]) + 1
    return int(fields[1]) + len(fields[3])


def scale(o):
    folder = o.folder.resolve()
    work = folder / "scale"
    work.mkdir(exist_ok=True)
    r, sizes = random.Random(1), [int(x) for x in o.sizes.split(",")]
    names = [f"m{k:05d}" for k in range(max(sizes) + 1)]
    sources = []
    for path in gvcfs(folder):
        with gzip.open(path) as f:
            text = f.read()
        start = text.index(b"\n", text.index(b"\n#CHROM") + 1) + 1
        lines = np.frombuffer(text, np.uint8)[start:]
        begin = np.append(0, np.flatnonzero(lines == 10) + 1)
        body = text[start:]
        pos = np.array([int(body[a : a + 30].split(b"\t", 2)[1]) for a in begin[:-1]])
        sources.append((text[:start - 1], pos, begin, body))
    for name in names:
        path = work / f"{name}.g.vcf.gz"
        if not path.exists():
            mosaic(r, sources, name, work / "unfinished.gz")
            (work / "unfinished.gz").rename(path)
    sources.clear()
    ours = f"{shlex.join(PROGRAM)}"
    reference = "-R ../reference.fa"

    def row(tool, what, samples, command, *outputs):
        for path in outputs:
            shutil.rmtree(work / path, ignore_errors=True)
        found = measure(command, work, work / "log")
        if found["exit"]:
            sys.exit(f"{command}\n" + (work / "log").read_text()[-3000:])
        found = {"tool": tool, "what": what, "samples": samples, **found, "commit": commit(), "cpu": cpu_model()}
        print(json.dumps(found), flush=True)
        if o.out:
            with open(o.out, "a") as f:
                f.write(json.dumps(found) + "\n")

    gatk_sizes = [int(x) for x in o.gatk_sizes.split(",")] if o.gatk else []
    for n in sizes:
        files = " ".join(f"{x}.g.vcf.gz" for x in names[:n])
        row("gpugenome", "add", n, f"{ours} cohort add {reference} --threads {o.threads} store {files}", "store")
        row("gpugenome", "add one more", n, f"{ours} cohort add {reference} --threads {o.threads} store {names[n]}.g.vcf.gz")
        subprocess.run([*PROGRAM, "cohort", "remove", "store", names[n]], cwd=work, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        row("gpugenome", "genotype", n, f"{ours} genotypegvcfs {reference} -V cohort://store --threads {o.threads} -O ours{n}.vcf.gz")
        if n in gatk_sizes:
            for x in names[:n]:
                if not (work / f"{x}.g.vcf.gz.tbi").exists():
                    pysam.tabix_index(str(work / f"{x}.g.vcf.gz"), preset="vcf")
            each = " ".join(f"-V {x}.g.vcf.gz" for x in names[:n])
            row("GATK", "GenomicsDBImport", n, f"{o.gatk} GenomicsDBImport {each} --genomicsdb-workspace-path db -L {CONTIG}", "db")
            row("GATK", "GenotypeGVCFs", n, f"{o.gatk} GenotypeGVCFs {reference} -V gendb://db -O gatk{n}.vcf.gz")
            text, _, _ = describe(record_lines(work / f"ours{n}.vcf.gz"), record_lines(work / f"gatk{n}.vcf.gz"))
            print(f"    {n} samples, ours - GATK: {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("make")
    p.set_defaults(run=make)
    p.add_argument("folder", type=Path)
    for name, kind, default in (("--bp", int, 1_000_000), ("--samples", int, 12), ("--depth", float, 12), ("--ploidy", int, 2),
                                ("--seed", int, 1)):  # fmt: skip
        p.add_argument(name, type=kind, default=default)
    p = commands.add_parser("compare")
    p.set_defaults(run=compare)
    p.add_argument("folder", type=Path)
    p.add_argument("--gatk", required=True)
    p.add_argument("--cases", default=",".join(CASES))
    p = commands.add_parser("scale")
    p.set_defaults(run=scale)
    p.add_argument("folder", type=Path)
    p.add_argument("--sizes", default="1,12,100,500")
    p.add_argument("--gatk")
    p.add_argument("--gatk-sizes", default="1,12,100")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
