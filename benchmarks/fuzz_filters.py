"""variantfiltration and selectvariants against GATK on made VCFs that mix types, ploidies, missing values and odd order.

    python benchmarks/fuzz_filters.py --gatk GATK [--seeds 1 2 3] [--work DIR]

GATK runs in one Java process for each tool (GATK: its launcher; the jars lie in lib/ beside it). Prints what differs; exits with 1 if
something does. `--make FILE SEED` only writes a VCF.
"""

import argparse
import contextlib
import gzip
import io
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pysam

from gpugenome.cli import cli
from gpugenome.errors import UserError

INFO = """AC A Integer|AF A Float|AN 1 Integer|DB 0 Flag|DP 1 Integer|FS 1 Float|MLEAC A Integer|MLEAF A Float|MQ 1 Float|QD 1 Float
SOR 1 Float|ReadPosRankSum 1 Float|NAME 1 String|SHIFT 1 Integer|EMPTY 1 String""".replace("\n", "|")
FORMAT = "AD R Integer|DP 1 Integer|FT . String|GQ 1 Integer|GT 1 String|PL G Integer|PGT 1 String|XF 1 Float|SB 4 Integer"
STANDARD = {
    "INFO AC": "Allele count in genotypes, for each ALT allele, in the same order as listed",
    "INFO AF": "Allele Frequency, for each ALT allele, in the same order as listed",
    "INFO AN": "Total number of alleles in called genotypes", "INFO DP": "Approximate read depth; some reads may have been filtered",
    "INFO DB": "dbSNP Membership", "FORMAT FT": "Genotype-level filter",
}  # fmt: skip


def _header(samples, contig, length):
    lines = ["##fileformat=VCFv4.2"]
    lines += [f'##FILTER=<ID={name},Description="made">' for name in ("LowQual", "aold", "Zold")]
    for place, keys in (("FORMAT", FORMAT), ("INFO", INFO)):
        for key, number, kind in (entry.split() for entry in keys.split("|")):
            lines.append(f'##{place}=<ID={key},Number={number},Type={kind},Description="{STANDARD.get(f"{place} {key}", "made")}">')
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", *(["FORMAT", *samples] if samples else [])]
    return [*lines, f"##contig=<ID={contig},length={length}>", "##source=fuzz_filters", "\t".join(columns)]


def _alleles(r):
    def bases(k):
        return "".join(r.choice("ACGT") for _ in range(k))

    ref = bases(r.choice([1, 1, 1, 2, 5]))
    alts = []
    for _ in range(r.choice([0, 1, 1, 1, 1, 1, 1, 2, 2, 3])):
        shorter = ref[0] if len(ref) > 1 else ref + bases(2)
        alt = r.choices([bases(len(ref)), ref[0] + bases(r.randint(1, 4)), shorter, "*", "<NON_REF>", "<DEL>", ref + "T"],
                        [50, 25, 10, 7, 2, 2, 4])[0]  # fmt: skip
        if alt != ref and alt not in alts:
            alts.append(alt)
    return ref.lower() if r.random() < 0.05 else ref, alts


def _genotype(r, alts):
    ploidy = r.choice([2] * 12 + [1])
    alleles = [str(r.randint(0, alts)) for _ in range(ploidy)]
    if r.random() < 0.15:
        alleles[0] = "."
        if r.random() < 0.8:
            alleles = ["."] * ploidy
    depth = [r.randint(0, 30) for _ in range(alts + 1)]
    likelihoods = [r.randint(0, 900) for _ in range((alts + 1) * (alts + 2) // 2 if ploidy == 2 else alts + 1)]
    likelihoods = [x - min(likelihoods) for x in likelihoods]
    return {
        "GT": r.choice("//|").join(alleles),
        "AD": ",".join(map(str, depth)) if r.random() < 0.9 else r.choice([".", ",".join("." * (alts + 1))]),
        "DP": str(r.choice([sum(depth), sum(depth), 0])) if r.random() < 0.9 else ".",
        "GQ": str(r.randint(0, 99)) if r.random() < 0.8 else r.choice([".", "0", "120", "33.6", "12.5"]),
        "PL": ",".join(map(str, likelihoods)) if r.random() < 0.9 else ".",
        "PGT": r.choice([".", ".", "0|1", "1|1"]),
        "XF": r.choice([".", "0.5", "1.25", "3", "1e-3"]),
        "FT": r.choice([".", "PASS", "PASS", "PASS", "gbad", "gbad;abad"]),
        "SB": ",".join(str(r.randint(0, 9)) for _ in range(4)) if r.random() < 0.5 else ".",
    }


def _info(r, alts, genotypes):
    called = [a for g in genotypes for a in g["GT"].replace("|", "/").split("/") if a != "."]
    count = [called.count(str(k + 1)) for k in range(alts)]
    found = {"AN": str(len(called)), "DP": str(r.randint(0, 200))}
    if alts:
        found["AC"], found["AF"] = ",".join(map(str, count)), ",".join(f"{c / max(1, len(called)):.3f}" for c in count)
        if r.random() < 0.8:
            found["MLEAC"], found["MLEAF"] = found["AC"], found["AF"]
    for key, chance, value in (
        ("QD", 0.9, f"{r.random() * 35:.2f}"), ("FS", 0.95, r.choice([f"{r.random() * 80:.3f}", "0.000", "2.5e-3"])),
        ("MQ", 0.9, f"{20 + r.random() * 40:.2f}"), ("SOR", 0.9, f"{r.random() * 4:.3f}"), ("DB", 0.3, None),
        ("ReadPosRankSum", 0.5, f"{r.gauss(0, 5):.3f}"), ("NAME", 0.3, r.choice(["abc", "x1", "abd", "a,b", "A.B"])),
        ("SHIFT", 0.5, r.choice(["0", "1", "-7", "250"])), ("EMPTY", 0.1, r.choice(["", "v"])),
    ):  # fmt: skip
        if r.random() < chance:
            found[key] = value
    keys = list(found)
    r.shuffle(keys)
    return "." if r.random() < 0.02 else ";".join(k if found[k] is None else f"{k}={found[k]}" for k in keys)


def make(path: Path, seed: int, records: int = 250, samples=("A1", "B2", "C3"), contig: str = "chr21", length: int = 200286) -> None:
    """Write a made VCF, bgzipped and indexed."""
    r = random.Random(seed)
    lines, pos = _header(samples, contig, length), 1000
    for i in range(records):
        pos += r.choice([1, 2, 3, 5, 10, 40, 300])
        ref, alts = _alleles(r)
        odd = [".", f"{r.random() * 100:.2f}", str(r.randint(0, 3000)), f"{r.random() * 60:.5f}", "30.00", "1e2", "-1"]
        qual = r.choice(odd) if r.random() < 0.4 else f"{r.random() * 2000:.2f}"
        filters = r.choice([".", "PASS", "PASS", "PASS", "LowQual", "Zold;aold", "aold"])
        genotypes = [_genotype(r, len(alts)) for _ in samples]
        fields = [contig, pos, r.choice([".", ".", f"rs{i}", f"rs{i};x"]), ref, ",".join(alts) or ".", qual, filters,
                  _info(r, len(alts), genotypes)]  # fmt: skip
        if samples:
            keys = ["GT", *r.sample(["AD", "DP", "GQ", "PL", "PGT", "XF", "FT", "SB"], r.randint(3, 8))]
            fields.append(":".join(keys))
            for genotype in genotypes:
                values = [genotype[k] for k in keys]
                while r.random() < 0.6 and len(values) > 1 and values[-1] == ".":
                    values.pop()
                fields.append(":".join(values))
        lines.append("\t".join(map(str, fields)))
    plain = path.with_suffix("")
    plain.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), str(path), force=True)
    plain.unlink()
    pysam.tabix_index(str(path), preset="vcf", force=True)


def _number(r):
    key, top = r.choice([("QD", 35), ("MQ", 60), ("SOR", 4), ("FS", 80), ("ReadPosRankSum", 3), ("DP", 200), ("QUAL", 2000), ("AN", 6)])
    value = f"{r.random() * top:.{r.choice([1, 2, 3])}f}"
    if key in ("DP", "AN", "QUAL") and r.random() < 0.5:
        value = str(r.randint(0, top))
    return f"{key} {r.choice(['<', '>', '<=', '>=', '==', '!='])} {value}"


def expression(r: random.Random, depth: int = 0) -> str:
    """A random site expression."""
    if depth < 3 and r.random() < 0.55:
        a, b = expression(r, depth + 1), expression(r, depth + 1)
        return r.choice([f"{a} && {b}", f"{a} || {b}", f"({a} or {b}) and {expression(r, depth + 1)}", f"!({a})", f"({a}) ? ({b}) : true"])
    return r.choice([
        _number(r), _number(r), _number(r), "DB", "AC == MLEAC", "AF > 0.3", "AC == 1", "TYPE == 'SNP'", "TYPE eq \"INDEL\"",
        "FILTER == '1'", "aold == 1", "NAME =~ 'ab.*'", "NAME < 'b'", "SHIFT > 0", "EMPTY == '.'", "POS > 5000", "N_ALLELES > 2",
        "vc.isSNP()",
        "vc.hasAttribute('SHIFT')", "hetCount > 0", "vc.getHomVarCount() == 1", "QD / SOR > 9.0", "DP * 2 - 7 > AN", "(SHIFT ?: 3) > 1",
        "AC.0 > 0", "vc.isPolymorphicInSamples()", "(-1.0) < ReadPosRankSum", "MISSING > 1",
    ])  # fmt: skip


def genotype_expression(r: random.Random) -> str:
    """A random genotype expression."""
    one = ["GQ < 50", "DP > 20", "isHet == 1", "isHomVar == 1", "AD.0 > 10", "XF > 0.7", "PGT == '0|1'", "FT == 'PASS'", "gbad",
           "QD < 10.0", "isPassFT == 0", "g.isHet()", "GT =~ 'A.*'", "g.getPL().0 > 100", "MISSING == 1"]  # fmt: skip
    return r.choice([r.choice(one), f"{r.choice(one)} && {r.choice(one)}", f"{r.choice(one)} || {r.choice(one)}"])


def filtration_arguments(r: random.Random) -> list[str]:
    """Random arguments of VariantFiltration."""
    out = []
    for k in range(r.randint(1, 3)):
        out += ["--filter-name", f"F{k}", "--filter-expression", expression(r)]
    for k in range(r.choice([0, 0, 1, 2])):
        out += ["--genotype-filter-name", f"g{k}", "--genotype-filter-expression", genotype_expression(r)]
    for option, chance in (("--missing-values-evaluate-as-failing", 0.2), ("--invalidate-previous-filters", 0.2),
                           ("--invert-filter-expression", 0.2), ("--invert-genotype-filter-expression", 0.2),
                           ("--set-filtered-genotype-to-no-call", 0.3), ("--sites-only-vcf-output", 0.05)):  # fmt: skip
        if r.random() < chance:
            out.append(option)
    if r.random() < 0.3:
        out += ["--cluster-size", str(r.randint(2, 4)), "--cluster-window-size", str(r.choice([5, 30, 200]))]
    return out


def selection_arguments(r: random.Random, samples) -> list[str]:
    """Random arguments of SelectVariants."""
    out = []
    if samples and r.random() < 0.5:
        for name in r.sample(samples, r.randint(1, len(samples))):
            out += ["-sn", name]
    for option, chance in (("--exclude-filtered", 0.2), ("--exclude-non-variants", 0.25), ("--remove-unused-alternates", 0.4),
                           ("--preserve-alleles", 0.3), ("--keep-original-ac", 0.2), ("--keep-original-dp", 0.2),
                           ("--set-filtered-gt-to-nocall", 0.2), ("-invert-select", 0.2), ("-jexl-first", 0.2),
                           ("--sites-only-vcf-output", 0.05)):  # fmt: skip
        if r.random() < chance:
            out.append(option)
    types = ["SNP", "INDEL", "MIXED", "MNP", "SYMBOLIC", "NO_VARIATION"]
    for _ in range(r.choice([0, 0, 1, 3])):
        out += [r.choice(["-select-type", "-select-type", "-xl-select-type"]), r.choice(types)]
    for _ in range(r.choice([0, 1, 2])):
        out += ["-select", expression(r)]
    for option, value, chance in (("--restrict-alleles-to", "BIALLELIC", 0.1), ("--max-indel-size", "2", 0.1),
                                  ("--min-indel-size", "2", 0.1), ("--max-nocall-number", "1", 0.1), ("--max-filtered-genotypes", "1", 0.1),
                                  ("-select-genotype", genotype_expression(r), 0.2)):  # fmt: skip
        if r.random() < chance:
            out += [option, value]
    return out


DRIVER = """import java.nio.file.*; import java.util.*;
public class Driver { public static void main(String[] a) throws Exception {
    for (String line : Files.readAllLines(Paths.get(a[0]))) {
        String[] p = line.split("\\t", -1);
        String result = "ok";
        try { new org.broadinstitute.hellbender.Main().instanceMain(Arrays.copyOfRange(p, 1, p.length)); }
        catch (Throwable e) { result = e.toString().replace('\\n', ' '); }
        System.out.println("RESULT\\t" + p[0] + "\\t" + result);
    }
    System.exit(0); } }
"""


def run_gatk(gatk: str, jobs: list[list[str]], work: Path) -> list[str]:
    """Run GATK command lines in one process; "ok" or the error of each. (VariantFiltration changes JEXL's settings for its process, so
    tools must not be mixed.)"""
    (work / "Driver.java").write_text(DRIVER)
    (work / "jobs.tsv").write_text("".join("\t".join([str(k), *job]) + "\n" for k, job in enumerate(jobs)))
    lib = Path(gatk).resolve().parent / "lib"
    command = ["java", "-Xmx2g", "-cp", f"{lib}/*", str(work / "Driver.java"), str(work / "jobs.tsv")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = dict(line.split("\t")[1:3] for line in out.splitlines() if line.startswith("RESULT\t"))
    return [found.get(str(k), "did not run") for k in range(len(jobs))]


def run_ours(arguments: list[str]) -> str:
    """Run one of our commands here; "ok" or its error."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            cli.main(arguments, standalone_mode=False)
    except (UserError, click.ClickException) as e:
        return str(e)
    return "ok"


def body(path: Path) -> list[str]:
    """The header without what says how a file was made, and the records."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as f:
        return [line for line in f if not line.startswith(("##GATKCommandLine", "##gpugenomeCommandLine", "##source="))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gatk")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--work")
    parser.add_argument("--make", nargs=2, metavar=("FILE", "SEED"))
    given = parser.parse_args()
    if given.make:
        make(Path(given.make[0]), int(given.make[1]), 150)
        return
    work = Path(given.work or tempfile.mkdtemp())
    different = total = records = refused = 0
    for tool in ("VariantFiltration", "SelectVariants"):
        jobs = []
        for seed in given.seeds:
            r = random.Random(seed)
            samples = [("A1", "B2", "C3"), ("S2", "S1", "S3"), ("ONLY",), ()][seed % 4]
            path = work / f"{seed}.vcf.gz"
            make(path, seed, samples=samples)
            for k in range(12):
                arguments = filtration_arguments(r) if tool == "VariantFiltration" else selection_arguments(r, samples)
                jobs.append((path, work / f"{tool}.{seed}.{k}", arguments))
        quiet = ["--verbosity", "ERROR", "--QUIET", "true"]
        theirs = run_gatk(given.gatk, [[tool, "-V", str(v), "-O", f"{o}.gatk.vcf", *quiet, *a] for v, o, a in jobs], work)
        for (variants, out, arguments), result in zip(jobs, theirs):
            own = run_ours([tool.lower(), "-V", str(variants), "-O", f"{out}.ours.vcf", *arguments])
            total += 1
            if (result == "ok") != (own == "ok"):
                different += 1
                print(f"DIFFERENT {tool} -V {variants} {arguments}\n    GATK: {result}\n    ours: {own}")
            elif result != "ok":
                refused += 1
            else:
                a, b = body(Path(f"{out}.gatk.vcf")), body(Path(f"{out}.ours.vcf"))
                records += sum(not line.startswith("#") for line in a)
                if a != b:
                    different += 1
                    first = next(((x, y) for x, y in zip(a, b) if x != y), (f"{len(a)} lines", f"{len(b)} lines"))
                    print(f"DIFFERENT {tool} -V {variants} {arguments}\n    GATK: {first[0]}\n    ours: {first[1]}")
    print(f"{total} runs, {records} records, {refused} that both refuse, {different} different")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
