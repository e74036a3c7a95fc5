"""`concordance` on hand-made cases: one of each category, representation on the reference, BED, thresholds."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from gpugenome.io.variant_text import read_bed, read_variant_text
from gpugenome.steps.concordance import compare

HEADER = """##fileformat=VCFv4.2
##contig=<ID=c1,length=1000>
##contig=<ID=c2,length=1000>
##INFO=<ID=DP,Number=1,Type=Integer,Description="x">
##INFO=<ID=QD,Number=1,Type=Float,Description="x">
##INFO=<ID=FLAG,Number=0,Type=Flag,Description="x">
##INFO=<ID=END,Number=1,Type=Integer,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="x">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="x">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	{sample}
"""


def write(path, *records, sample="s"):
    lines = []
    for r in records:
        contig, pos, ref, alt, *rest = r.split()
        given = dict(x.split("=", 1) for x in rest)
        info, gt = given.get("info", "DP=10;QD=2.0").replace(",", ";"), given.get("gt", "0/1")
        tail = [given.get("id", "."), ref, alt, given.get("qual", "50"), given.get("filter", "."), info, "GT:GQ:PL"]
        lines.append("\t".join([contig, pos, *tail, f"{gt}:{given.get('gq', '30')}:{given.get('pl', '1,0,1')}"]))
    path.write_text(HEADER.format(sample=sample) + "".join(x + "\n" for x in lines))
    return str(path)


def result(tmp_path, truth, evaluated, **kw):
    a, b = write(tmp_path / "a.vcf", *truth), write(tmp_path / "b.vcf", *evaluated)
    return compare(read_variant_text(a), read_variant_text(b), **kw)


@pytest.mark.parametrize(
    "evaluated, category, fields",
    [
        ("c1 10 A G", "identical", ""),
        ("c1 10 A G gt=1/1", "genotype", "GT"),
        ("c1 10 A G gt=0|1", "phase", "phase"),
        ("c1 10 A G gq=31", "likelihoods", "FORMAT/GQ"),
        ("c1 10 A G qual=50.1", "likelihoods", "QUAL"),
        ("c1 10 A G pl=1,0,2 info=DP=11,QD=2.0", "likelihoods", "INFO/DP,FORMAT/PL"),
        ("c1 10 A G info=DP=10,QD=2.1", "qd_jitter", "INFO/QD"),
        ("c1 10 A G info=DP=11,QD=2.0", "one_annotation", "INFO/DP"),
        ("c1 10 A G info=DP=10,QD=2.0,FLAG", "one_annotation", "INFO/FLAG"),
        ("c1 10 A G info=DP=11,QD=2.1", "annotations", "INFO/DP,INFO/QD"),
        ("c1 10 A G info=DP=10,QD=2.0,NEW=3", "one_annotation", "INFO/(undeclared)"),
        ("c1 10 A G filter=PASS", "filter_or_id", "FILTER"),
        ("c1 10 A G id=rs1", "filter_or_id", "ID"),
        ("c1 10 A T", "alleles", ""),
        ("c1 11 A G", "missing", ""),
        ("c2 10 A G", "missing", ""),
    ],
)
def test_categories(tmp_path, evaluated, category, fields):
    found = result(tmp_path, ["c1 10 A G", "c1 20 C CT"], [evaluated, "c1 20 C CT"])
    assert found.summary["categories"][category] == (2 if category in ("identical", "alleles") else 1)
    assert found.summary["identical"] == (category == "identical")
    if category != "identical":
        assert found.rows[0][2:] == (category, fields)


def test_order_of_info_keys_is_no_difference_in_values(tmp_path):
    found = result(tmp_path, ["c1 10 A G info=DP=1,QD=2"], ["c1 10 A G info=QD=2,DP=1"])
    assert found.summary["categories"]["identical"] == 1


def test_repeated_records_pair_first_with_first(tmp_path):
    found = result(tmp_path, ["c1 10 A G", "c1 10 A G gt=1/1"], ["c1 10 A G", "c1 10 A G gt=1/1"])
    assert found.summary["identical"]


def test_recall_and_precision(tmp_path):
    truth = ["c1 10 A G", "c1 20 A G", "c1 30 C CT", "c1 40 A G gt=0/0"]
    calls = ["c1 10 A G", "c1 20 A G gt=1/1", "c1 50 A G", "c1 60 A G gt=./."]
    kinds = result(tmp_path, truth, calls).summary["by_kind"]
    assert kinds["SNP"] == {"truth": 2, "eval": 3, "true_positives": 1, "false_negatives": 1, "false_positives": 2,
                            "recall": 0.5, "precision": 1 / 3, "f1": pytest.approx(0.4)}  # fmt: skip
    assert kinds["INDEL"]["recall"] == 0 and kinds["INDEL"]["precision"] is None


REFERENCE = np.frombuffer(b"ACGTTTTTGCATCATCATGG" * 50, np.uint8)


@pytest.mark.parametrize(
    "truth, calls, same",
    [
        (["c1 4 T TT"], ["c1 8 T TT"], True),  # an insertion at either end of a homopolymer
        (["c1 4 T TT"], ["c1 9 G GT"], False),
        (["c1 9 GCAT G"], ["c1 12 TCAT T"], True),
        (["c1 9 GC AT gt=0/1"], ["c1 9 G A gt=0|1", "c1 10 C T gt=0|1"], True),
        (["c1 9 GC AT gt=0/1"], ["c1 9 G A gt=0|1", "c1 10 C T gt=1|0"], False),
        (["c1 9 GC AT gt=0/1"], ["c1 9 G A gt=0/1", "c1 10 C T gt=0/1"], True),
        (["c1 9 GC AT gt=1/1"], ["c1 9 G A gt=0/1", "c1 10 C T gt=0/1"], False),
    ],
)
def test_representation(tmp_path, truth, calls, same):
    found = result(tmp_path, truth, calls, bases=lambda name: REFERENCE if name == "c1" else None)
    expected = len(truth) + len(calls) if same else 0
    assert found.summary["categories"]["representation"] == expected
    assert (found.summary["genotype_concordance"] == 1.0) == same


def test_bed_limits_the_comparison(tmp_path):
    bed = tmp_path / "x.bed"
    bed.write_text("c1\t15\t25\nc1\t5\t9\nc1\t20\t30\n")
    regions = read_bed(str(bed))
    assert regions["c1"].tolist() == [[5, 9], [15, 30]]
    found = result(tmp_path, ["c1 9 A G", "c1 10 A G", "c1 16 A G", "c1 31 A C"], ["c1 9 A G", "c1 16 A T"], regions=regions)
    assert found.summary["truth"]["records"] == 2 and found.summary["eval"]["records"] == 2
    assert found.summary["categories"]["alleles"] == 2


def test_reference_blocks(tmp_path):
    truth = ["c1 1 A <NON_REF> info=END=10 gt=0/0", "c1 11 A <NON_REF> info=END=20 gt=0/0 gq=7"]
    calls = ["c1 1 A <NON_REF> info=END=5 gt=0/0", "c1 6 A <NON_REF> info=END=20 gt=0/0"]
    blocks = result(tmp_path, truth, calls).summary["gvcf_blocks"]
    assert blocks == {"truth_bases": 20, "eval_bases": 20, "shared_bases": 20, "equal_bases": 10}


def run(*args):
    return subprocess.run([sys.executable, "-m", "gpugenome.cli", "concordance", *args], capture_output=True, text=True)


def test_command_thresholds_and_outputs(tmp_path):
    a = write(tmp_path / "a.vcf", "c1 10 A G", "c1 20 A G")
    b = write(tmp_path / "b.vcf", "c1 10 A G", "c1 20 A G gt=1/1", sample="other")
    assert run("--truth", a, "--eval", a, "--require-identical").returncode == 0
    assert run("--truth", a, "--eval", b, "--require-identical").returncode == 1
    assert run("--truth", a, "--eval", b, "--min-genotype-concordance", "0.5").returncode == 0
    assert run("--truth", a, "--eval", b, "--min-genotype-concordance", "0.51").returncode == 1
    done = run("--truth", a, "--eval", b, "--json", str(tmp_path / "x.json"), "--multiqc", str(tmp_path / "x_mqc.tsv"),
               "--differences", str(tmp_path / "x.tsv"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "x.json").read_text())["categories"]["genotype"] == 1
    assert (tmp_path / "x_mqc.tsv").read_text().startswith("# id: gpugenome_concordance\n")
    assert (tmp_path / "x.tsv").read_text().splitlines()[1] == "c1\t20\tgenotype\tGT"


@pytest.mark.parametrize("text, part", [("", "is not a VCF"), ("##fileformat=VCFv4.2\n", "no #CHROM line"),
                                        (HEADER.format(sample="s") + "c1\t5\tx\n", "record 1")])  # fmt: skip
def test_bad_input_is_one_line(tmp_path, text, part):
    good = write(tmp_path / "a.vcf", "c1 10 A G")
    (tmp_path / "bad.vcf").write_text(text)
    done = run("--truth", good, "--eval", str(tmp_path / "bad.vcf"))
    assert done.returncode == 2 and part in done.stderr and "bad.vcf" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not shutil.which("bcftools"), reason="bcftools is not installed")
def test_shared_sites_are_those_of_bcftools_isec(demo, tmp_path):
    # Single ALT only: isec pairs records whose ALT alleles come in another order, which here are not equal records.
    files = []
    for source in (demo / "truth.vcf.gz", demo / "golden" / "calls.vcf.gz"):
        files.append(str(tmp_path / source.name))
        subprocess.run(["bcftools", "view", "-i", "N_ALT=1", "-Oz", "-o", files[-1], str(source)], check=True, capture_output=True)
        subprocess.run(["bcftools", "index", "-f", "-t", files[-1]], check=True, capture_output=True)
    subprocess.run(["bcftools", "isec", "-c", "none", "-p", str(tmp_path / "isec"), *files], check=True, capture_output=True)
    n = [sum(not line.startswith("#") for line in open(tmp_path / "isec" / f"000{i}.vcf")) for i in range(3)]
    found = compare(*map(read_variant_text, files), truth_sample="DEMO", eval_sample="demo").summary
    assert found["truth"]["records"] == n[0] + n[2] and found["eval"]["records"] == n[1] + n[2]
    assert sum(found["categories"][c] for c in ("missing", "extra", "alleles")) == n[0] + n[1]
