"""combinegvcfs and genotypegvcfs against GATK on made GVCFs: spanning deletions, many alleles, gaps, no-calls, mixed ploidies.

    python benchmarks/fuzz_joint.py --gatk GATK [--seed 1] [--contigs 150] [--ploidies 2,2,1,2] [--allele-specific] [--work DIR]

Every contig is a case of its own; one GATK run serves them all. A sample for each ploidy. GATK: its launcher. Prints what differs; exits
with 1 if something does. Needs samtools.
"""

import argparse
import gzip
import random
import subprocess
import sys
import tempfile
from itertools import combinations_with_replacement
from pathlib import Path

import pysam
from click.testing import CliRunner

from gpugenome.commands import combinegvcfs, genotypegvcfs

CONTIG_BP = 240
FORMATS = ("AD", "DP", "GQ", "GT", "MIN_DP", "PGT", "PID", "PL", "PS", "SB")
INFOS = ("BaseQRankSum", "DP", "END", "ExcessHet", "MLEAC", "MLEAF", "MQRankSum", "RAW_MQandDP", "ReadPosRankSum")
RAW_RANK_SUMS = ("AS_RAW_BaseQRankSum", "AS_RAW_MQRankSum", "AS_RAW_ReadPosRankSum")
ALLELE_SPECIFIC = ["-G", "StandardAnnotation", "-G", "AS_StandardAnnotation"]


def header_donor() -> dict[str, str]:
    """Header lines of a GVCF of the caller, whose texts GATK's tools write too: by "INFO key" and "FORMAT key"."""
    path = Path(__file__).resolve().parent.parent / "tests" / "data" / "joint" / "as0.g.vcf.gz"
    with gzip.open(path, "rt") as f:
        lines = [x.rstrip("\n") for x in f if x.startswith(("##INFO", "##FORMAT", "##ALT", "##FILTER"))]
    return {f"{x[2 : x.index('=')]} {x.split('ID=')[1].split(',')[0]}": x for x in lines}


def alternate(r, ref):
    """An ALT of a REF: another first base, an insertion, a deletion, or None."""
    kind = r.random()
    if kind < 0.4:
        return r.choice([b for b in "ACGT" if b != ref[0]]) + ref[1:]
    if kind < 0.6:
        return ref[0] + "".join(r.choice("ACGT") for _ in range(r.choice([1, 1, 2, 5]))) + ref[1:]
    if kind < 0.9 and len(ref) > 1:
        return ref[: len(ref) - r.randrange(1, len(ref))]
    return None


def alleles_at(r, pool, bases, pos, length):
    """(REF, ALTs) of a sample at a site: some of the ALTs that all samples share there, maybe '*'."""
    ref, alts = bases[pos : pos + length], []
    for alt in [a for a in (alternate(pool, ref) for _ in range(6)) if a]:
        if alt != ref and alt not in alts and r.random() < 0.35:
            alts.append(alt)
    if alts and r.random() < 0.12:
        alts.insert(r.randrange(len(alts) + 1), "*")
    real = [a for a in alts if a != "*"]
    if not real or (length > 1 and all(len(a) == length for a in real)):  # CombineGVCFs refuses MNPs
        ref = bases[pos]
        alts = [r.choice([b for b in "ACGT" if b != ref])] + (["*"] if r.random() < 0.1 else [])
    return ref, alts


def genotype_fields(r, ploidy, pos, ref, alts):
    """(GT, FORMAT values) of a variant record."""
    n = len(alts) + 2
    genotypes = sorted(combinations_with_replacement(range(n), ploidy), key=lambda g: g[::-1])
    pl = [0] * len(genotypes)
    if r.random() >= 0.06:
        pl = [r.choice([0, 1, 5, 20, 60, 200, 800, 1500]) + r.randrange(0, 40) + (r.choice([30, 200, 400]) if n - 1 in g else 0)
              for g in genotypes]  # fmt: skip
        pl = [x - min(pl) for x in pl]
        if r.random() < 0.08:
            pl[r.randrange(len(pl))] = 0
    gt = list(genotypes[pl.index(min(pl))])
    ad = [r.choice([0, 0, 1, 3, 8, 20]) for _ in range(n - 1)] + [0]
    for a in gt:
        ad[a] += r.choice([0, 2, 6, 15]) if a < n - 1 else 0
    depth = sum(ad) + r.choice([0, 0, 1, 2])
    values = {"AD": ad, "DP": [depth], "GQ": [min(99, sorted(pl)[1])], "PL": pl, "SB": [r.choice([0, 0, 1, 4, 10]) for _ in range(4)]}
    between = "/"
    if r.random() < 0.25 and ploidy == 2:
        between, place = "|", max(1, pos - 3)
        values |= {"PGT": [r.choice(["0|1", "1|0"])], "PID": [f"{place}_{ref}_{alts[0]}"], "PS": [place]}
        gt = gt[::-1] if r.random() < 0.3 else gt
    odd = r.random()
    if n - 1 in gt:
        gt, values["PL"], values["GQ"] = [0] * ploidy, [0] * len(pl), [0]
    elif odd < 0.06:
        gt = ["."] * ploidy
        values = {k: v for k, v in values.items() if k not in ("AD", "DP", "SB")}
    elif odd < 0.09:
        values["GQ"] = [0]
    elif odd < 0.11:
        gt, values["DP"], values["GQ"] = [0] * ploidy, [0], [0]
    elif odd < 0.13:
        del values["AD"]
    return between.join(map(str, gt)), {k: ",".join(map(str, v)) for k, v in values.items()}, depth


def info_fields(r, n, depth, allele_specific):
    """INFO of a variant record of n alleles."""
    info = {"DP": str(depth + r.choice([0, 0, 3])), "ExcessHet": f"{r.choice([0, 3.0103, 1.7609]):.4f}",
            "MLEAC": ",".join(["1"] * (n - 1)), "MLEAF": ",".join(["0.500"] * (n - 1))}  # fmt: skip
    if r.random() < 0.97:
        info["RAW_MQandDP"] = f"{r.randrange(0, 90000)},{r.choice([0, depth + 1, depth + 1, depth + 2])}"
    for key in ("BaseQRankSum", "MQRankSum", "ReadPosRankSum"):
        if r.random() < 0.6:
            info[key] = f"{r.choice([0, -0.658, 1.538, 0.0094, -0.0004, 0.967, 2.5, -3.1]):.3f}"
    if r.random() < 0.03:
        info["DP"] = "0"
    if r.random() < 0.03:
        del info["DP"]
    if allele_specific and r.random() < 0.9:
        info["AS_RAW_MQ"] = "|".join(f"{3600 * r.choice([0, 1, 4, 9, r.random() * 8]):.2f}" for _ in range(n))
        info["AS_SB_TABLE"] = "|".join(f"{r.choice([0, 1, 5, 12])},{r.choice([0, 2, 9])}" for _ in range(n))
        for key in RAW_RANK_SUMS:
            parts = ["" if r.random() < 0.2 else f"{r.choice([0, -0.7, 1.5, 2.2, -1.4, 0.1]):.1f},1" for _ in range(n - 1)]
            info[key] = "|" + "|".join(parts)
    return info


def block(r, ploidy, bases, pos, sites):
    """(line without CHROM, end) of a reference block."""
    end, limit = pos + 1, r.choice([1, 1, 2, 5, 12])
    while end < CONTIG_BP and end - pos < limit and end not in sites:
        end += 1
    gq = r.choice([0, 0, 3, 20, 45, 60, 99])
    depth = r.choice([0, 1, 5, 20]) if gq < 20 else r.choice([8, 20, 33])
    pl = [0] + [gq * j + (r.randrange(3) if gq else 0) for j in range(1, ploidy + 1)]
    values = ["/".join(["0"] * ploidy), depth, min(99, sorted(pl)[1]), max(0, depth - 1), ",".join(map(str, pl))]
    text = f"{pos + 1}\t.\t{bases[pos]}\t<NON_REF>\t.\t.\tEND={end}\tGT:DP:GQ:MIN_DP:PL\t" + ":".join(map(str, values))
    return text, end


def sample_lines(seed, name, ploidy, contigs, allele_specific):
    """The record lines of a sample."""
    r, lines = random.Random(f"{seed} {name}"), []
    for contig, bases in contigs.items():
        pool, sites, pos = random.Random(f"{seed} {contig}"), {}, 0
        pos = pool.randrange(0, 8)
        while pos < CONTIG_BP - 30:  # sites that all samples share
            length = pool.choice([1, 1, 1, 2, 3, 6, 12])
            if r.random() < 0.55:
                sites[pos] = length
            pos += pool.choice([1, 2, 4, 9, 15])
        pos = r.choice([0, 0, 0, 3])
        while pos < CONTIG_BP - 2:
            if r.random() < 0.02:
                pos += r.randrange(1, 10)  # a gap
            elif pos in sites:
                ref, alts = alleles_at(r, random.Random(f"{seed} {contig} {pos}"), bases, pos, sites[pos])
                gt, values, depth = genotype_fields(r, ploidy, pos, ref, alts)
                info, keys = info_fields(r, len(alts) + 2, depth, allele_specific), sorted(values)
                fields = [contig, pos + 1, f"rs{pos}" if r.random() < 0.1 else ".", ref, ",".join([*alts, "<NON_REF>"]),
                          r.choice([".", f"{r.random() * 900:.2f}"]), ".", ";".join(f"{k}={info[k]}" for k in sorted(info)),
                          ":".join(["GT", *keys]), ":".join([gt, *(values[k] for k in keys)])]  # fmt: skip
                lines.append("\t".join(map(str, fields)))
                pos += 1 if len(ref) > 1 and r.random() < 0.5 else len(ref)  # a deletion that is opened again, or passed
            else:
                text, pos = block(r, ploidy, bases, pos, sites)
                lines.append(f"{contig}\t{text}")
    return lines


def make(work: Path, seed: int, contigs: int, ploidies, allele_specific: bool) -> list[Path]:
    """Write the reference and a GVCF for each sample, bgzipped and indexed."""
    r, donor = random.Random(seed), header_donor()
    genome = {f"c{k}": "".join(r.choice("ACGT") for _ in range(CONTIG_BP)) for k in range(contigs)}
    fasta = work / "reference.fa"
    fasta.write_text("".join(f">{c}\n{b}\n" for c, b in genome.items()))
    pysam.faidx(str(fasta))
    subprocess.run(["samtools", "dict", str(fasta), "-o", str(work / "reference.dict")], check=True)
    keys = [*(f"FORMAT {key}" for key in FORMATS), *(f"INFO {key}" for key in INFOS)]
    keys += [f"INFO {k}" for k in ("AS_RAW_MQ", "AS_SB_TABLE", *RAW_RANK_SUMS)] if allele_specific else []
    head = ["##fileformat=VCFv4.2", donor["ALT NON_REF"], '##FILTER=<ID=LowQual,Description="Low quality">', *(donor[k] for k in keys),
            *(f"##contig=<ID={c},length={CONTIG_BP}>" for c in genome)]  # fmt: skip
    out = []
    for k, ploidy in enumerate(ploidies):
        name = random.Random(f"{seed} name {k}").choice("zyxabc") + str(k)
        title = "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", name])
        plain = work / f"s{k}.g.vcf"
        plain.write_text("\n".join([*head, title, *sample_lines(seed, name, ploidy, genome, allele_specific)]) + "\n")
        pysam.tabix_compress(str(plain), f"{plain}.gz", force=True)
        pysam.tabix_index(f"{plain}.gz", preset="vcf", force=True)
        out.append(Path(f"{plain}.gz"))
    return out


def body(path):
    """Record lines and header lines but those that name the tool and its command."""
    with gzip.open(path, "rt") as f:
        return [x for x in f.read().splitlines() if not x.startswith(("##source", "##GATKCommandLine", "##gpugenomeCommandLine"))]


def compare(name, ours, theirs) -> bool:
    """Print how two files differ; whether they are equal."""
    a, b = body(ours), body(theirs)
    wrong = [(x, y) for x, y in zip(a, b) if x != y]
    print(f"{name}: {len(b)} lines, {len(wrong) + abs(len(a) - len(b))} differ", flush=True)
    for x, y in wrong[:3]:
        print(f"  ours  {x}\n  GATK  {y}")
    return not wrong and len(a) == len(b)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gatk", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--contigs", type=int, default=150)
    parser.add_argument("--ploidies", default="2,2,1,2", type=lambda text: [int(x) for x in text.split(",")])
    parser.add_argument("--allele-specific", action="store_true")
    parser.add_argument("--work")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(options.work or folder)
        work.mkdir(exist_ok=True)
        files = make(work, options.seed, options.contigs, options.ploidies, options.allele_specific)
        everything = [w for f in files for w in ("-V", str(f))]
        combined = ["-V", str(work / "combined.gatk.vcf.gz")]
        more = ALLELE_SPECIFIC if options.allele_specific else []
        cases = [
            ("combined", "CombineGVCFs", everything), ("positions", "CombineGVCFs", [*everything, "--convert-to-base-pair-resolution"]),
            ("banded", "CombineGVCFs", [*everything, "--break-bands-at-multiples-of", "7"]), ("genotyped", "GenotypeGVCFs", combined),
            ("low", "GenotypeGVCFs", [*combined, "-stand-call-conf", "0"]),
            ("two", "GenotypeGVCFs", [*combined, "--max-alternate-alleles", "2", "-stand-call-conf", "3"]),
            ("all", "GenotypeGVCFs", [*combined, "--include-non-variant-sites"]),
            ("one", "GenotypeGVCFs", ["-V", str(files[0]), "-stand-call-conf", "5"]),
            ("one_all", "GenotypeGVCFs", ["-V", str(files[-1]), "--include-non-variant-sites"]),
        ]  # fmt: skip
        tools = {"CombineGVCFs": combinegvcfs.command, "GenotypeGVCFs": genotypegvcfs.command}
        good = True
        for name, tool, arguments in cases:
            arguments = ["-R", str(work / "reference.fa"), *arguments, *more]
            theirs, ours = work / f"{name}.gatk.vcf.gz", work / f"{name}.ours.vcf.gz"
            subprocess.run([options.gatk, tool, *arguments, "-O", str(theirs)], check=True, capture_output=True)
            CliRunner().invoke(tools[tool], [*arguments, "-O", str(ours)], catch_exceptions=False)
            good &= compare(name, ours, theirs)
        arguments = ["-R", str(work / "reference.fa"), *everything, *more, "-stand-call-conf", "0", "-O", str(work / "direct.ours.vcf.gz")]
        CliRunner().invoke(genotypegvcfs.command, arguments, catch_exceptions=False)
        good &= compare("several at once", work / "direct.ours.vcf.gz", work / "low.gatk.vcf.gz")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
