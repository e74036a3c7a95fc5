"""`variantfiltration` against GATK's recorded results, and what it does with odd and bad input."""

import gzip

import numpy as np
import pytest
from filter_cases import DATA, digest, recorded, records, run, write

from gpugenome.errors import UserError
from gpugenome.io.variant_records import VariantFile
from gpugenome.steps.variants.filtration import Filtration, FiltrationOptions, find_clusters, overlaps


@pytest.mark.parametrize("expected, variants, arguments", recorded("VariantFiltration"))
def test_records_are_those_of_gatk(tmp_path, expected, variants, arguments):
    run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf", *arguments)
    assert digest(tmp_path / "o.vcf") == expected


@pytest.mark.shared
@pytest.mark.parametrize("sample", ["hg002_chr20", "na12878_chr21", "na12878_chr21/multi_rg"])
def test_golden_hard_filters(tmp_path, shared, sample):
    """The SNP recipe of ../shared/golden/make."""
    filters = {"QD2": "QD < 2.0", "FS60": "FS > 60.0", "SOR3": "SOR > 3.0", "MQ40": "MQ < 40.0", "MQRS-12.5": "MQRankSum < -12.5",
               "RPRS-8": "ReadPosRankSum < -8.0"}  # fmt: skip
    pairs = [x for name, text in filters.items() for x in ("--filter-name", name, "--filter-expression", text)]
    run("variantfiltration", "-V", shared / "golden" / sample / "genotyped.vcf.gz", "-O", tmp_path / "o.vcf", *pairs)
    with gzip.open(shared / "golden" / sample / "filtered.vcf.gz", "rt") as f:
        assert records(tmp_path / "o.vcf") == [line.rstrip("\n") for line in f if not line.startswith("#")]


def test_threads_and_pieces_change_nothing(tmp_path):
    (tmp_path / "v.vcf").write_bytes(gzip.decompress((DATA / "mixed_sites.vcf.gz").read_bytes()))
    options = FiltrationOptions((("a", "QD < 20.0"),), (("g", "GQ < 50"),), filtered_to_no_call=True)
    texts = []
    for threads, piece_bytes in ((1, 1 << 25), (3, 1 << 25), (2, 20000)):
        file = VariantFile(tmp_path / "v.vcf", None, threads, piece_bytes)
        filtration = Filtration(options, file.header)
        texts.append(b"".join(filtration.lines(r, np.arange(len(r)))[0].tobytes() for r in file.records()))
    assert texts[0].count(b"\n") == 150
    assert texts[0] == texts[1] == texts[2]


def test_masks(tmp_path):
    variants = write(tmp_path / "v.vcf", *(f"c1 {p} . A G 50 PASS DP=1 GT 0/1" for p in (100, 105, 110, 200)))
    (tmp_path / "m.bed").write_text("c1\t100\t105\nc1\t205\t300\n")
    mask = ("--mask", tmp_path / "m.bed")

    def filters(*more):
        run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf", *mask, *more)
        return [line.split("\t")[6] for line in records(tmp_path / "o.vcf")]

    assert filters() == ["PASS", "Mask", "PASS", "PASS"]
    assert filters("--mask-extension", "5", "--mask-name", "near") == ["near", "near", "near", "PASS"]
    assert filters("--filter-not-in-mask", "--filter-name", "x", "--filter-expression", "FILTER == 1 && DP == 1") == [
        "Mask;x", "PASS", "Mask;x", "Mask;x",
    ]  # fmt: skip


def test_clusters():
    pos = np.array([10, 12, 15, 40, 41, 80])
    assert find_clusters(pos, 3, 6).tolist() == [True, True, True, False, False, False]
    assert find_clusters(pos, 3, 5).tolist() == [False] * 6
    assert find_clusters(pos, 2, 30).tolist() == [True] * 5 + [False]
    # a run of SNPs nearby counts even if this one is not in it
    assert find_clusters(np.array([10, 11, 18]), 2, 8).tolist() == [True, True, True]


def test_overlaps_of_nested_spans():
    spans = np.array([[0, 100], [10, 20], [150, 160]])
    assert overlaps(spans, np.array([50, 100, 155, 160]), np.array([51, 101, 156, 170])).tolist() == [True, False, True, False]


def test_values_written_again(tmp_path):
    """QUAL in two decimals, INFO sorted, filters sorted, flags without value, genotypes as they were."""
    variants = write(tmp_path / "v.vcf", "c1 5 . a g 30.015 old QD=1e1;DP;DB=1;AC=1 GT:AD:DP 0/1:1,.:.", samples="s1")
    run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf", "--filter-name", "Z", "--filter-expression", "QD == 10.0")
    assert records(tmp_path / "o.vcf") == ["c1\t5\t.\tA\tG\t30.02\tZ;old\tAC=1;DB;DP=.;QD=1e1\tGT:AD:DP\t0/1:1,.:."]


@pytest.mark.parametrize(
    "line, problem",
    [
        ("c1 5 . A G 50 PASS DP=ten GT 0/1", "c1:5: a text that is not a number"),
        ("c1 5 . A G fifty PASS DP=1 GT 0/1", "c1:5: QUAL is not a number"),
        ("c1 5 . A G 50 new DP=1 GT 0/1", "FILTER has new, which the header does not declare"),
        ("c1 5 . A G 50 PASS DP=1;XX=2 GT 0/1", "INFO has XX, which the header does not declare"),
        ("c3 5 . A G 50 PASS DP=1 GT 0/1", "contig c3"),
        ("c1 5 . A G 50 PASS DP=1 GT", "expected 10 tab-separated columns"),
    ],
)
def test_bad_records_are_named_and_leave_no_output(tmp_path, line, problem):
    variants = write(tmp_path / "v.vcf", line)
    with pytest.raises(UserError) as e:
        run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf", "--filter-name", "a", "--filter-expression", "DP < 3")
    assert problem in str(e.value)
    assert [p.name for p in tmp_path.iterdir()] == ["v.vcf"]


def test_unknown_fields_are_named(tmp_path, capsys):
    """GATK takes them for missing values, too, and says so in its log."""
    variants = write(tmp_path / "v.vcf", "c1 5 . A G 50 PASS DP=1 GT 0/1")
    site, genotype = "(QD < 2.0 || old) && Qd > 1 && TYPE == 'SNP'", "isHet == 1 && AD[0] > 1 && XX > 3"
    run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf", "--filter-name", "a", "--filter-expression", site,
        "--genotype-filter-name", "b", "--genotype-filter-expression", genotype)  # fmt: skip
    run("selectvariants", "-V", variants, "-O", tmp_path / "s.vcf", "-select", site)
    found = [x.partition("] ")[2].partition(" is not in the header of ")[0] for x in capsys.readouterr().err.splitlines() if "header" in x]
    assert found == [f"expression '{site}': Qd", f"expression '{genotype}': XX", f"expression '{site}': Qd"]


def test_percent_encoded_text_is_refused(tmp_path):
    """htsjdk decodes it where the header says VCF 4.3, and not before."""
    variants = write(tmp_path / "v.vcf", "c1 5 . A G 50 PASS DP=1;QD=1%2C5 GT 0/1")
    run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf")
    assert "QD=1%2C5" in records(tmp_path / "o.vcf")[0]
    variants.write_text(variants.read_text().replace("VCFv4.2", "VCFv4.3"))
    with pytest.raises(UserError, match="percent-encoded"):
        run("variantfiltration", "-V", variants, "-O", tmp_path / "p.vcf")


def test_truncated_input(tmp_path):
    whole = (DATA / "golden" / "calls.vcf.gz").read_bytes()
    (tmp_path / "cut.vcf.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated"):
        run("variantfiltration", "-V", tmp_path / "cut.vcf.gz", "-O", tmp_path / "o.vcf")
    assert [p.name for p in tmp_path.iterdir()] == ["cut.vcf.gz"]


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (("--filter-name", "a"), "expected as many names as expressions"),
        (("--filter-name", "a", "--filter-expression", "QD <"), "expression 'QD <'"),
        (("--filter-name", "a", "--filter-expression", "ALLELES == 1"), "ALLELES is not supported"),
        (("--apply-allele-specific-filters",), "not supported yet"),
        (("--filter-name", "a", "--filter-expression", "vc.getGenotype('nobody').isHet()"), "no such sample"),
        (("--filter-name", "a", "--filter-expression", "vc.frobnicate()"), "vc.frobnicate() is not supported"),
        (("--cluster-size", "1"), "lower than 2"),
        (("--filter-not-in-mask",), "need --mask"),
        (("-L", "c9"), "no contig c9"),
    ],
)
def test_bad_arguments(tmp_path, arguments, problem):
    variants = write(tmp_path / "v.vcf", "c1 5 . A G 50 PASS DP=1 GT 0/1")
    with pytest.raises(UserError) as e:
        run("variantfiltration", "-V", variants, "-O", tmp_path / "o.vcf", *arguments)
    assert problem in str(e.value)
    assert not (tmp_path / "o.vcf").exists()
