"""GenotypeGVCFs against records of the real tool (data/golden, tests/data/joint: made by tests/data/joint/make.sh)."""

import gzip
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpugenome.cli import cli
from gpugenome.commands.genotypegvcfs import command
from gpugenome.errors import InputError, UserError

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "data"
JOINT = Path(__file__).parent / "data" / "joint"
SEVERAL = [w for name in ("as0", "t0", "h0", "as1") for w in ("-V", JOINT / f"{name}.g.vcf.gz")]
SHARED = ROOT.parent / "shared"


def run(*args):
    result = CliRunner().invoke(command, [str(a) for a in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def lines(path):
    """Everything but the lines that name the tool and its command."""
    with gzip.open(path, "rt") if str(path).endswith(".gz") else open(path) as f:
        return [x for x in f.read().splitlines() if not x.startswith(("##source", "##GATKCommandLine", "##gpugenomeCommandLine"))]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "demo.fa"
    path.write_bytes(gzip.decompress((DEMO / "reference.fa.gz").read_bytes()))
    return path


@pytest.mark.parametrize("threads", [1, 3])
def test_one_gvcf(reference, tmp_path, threads):
    out = tmp_path / "out.vcf.gz"
    run("-R", reference, "-V", DEMO / "golden" / "calls.g.vcf.gz", "-O", out, "--threads", threads)
    assert lines(out) == lines(DEMO / "golden" / "genotyped.vcf.gz")
    assert (tmp_path / "out.vcf.gz.tbi").exists()


def check(reference, tmp_path, wanted, *arguments):
    out = tmp_path / "out.vcf.gz"
    run("-R", reference, "-O", out, *arguments)
    assert lines(out) == lines(JOINT / wanted)


@pytest.mark.parametrize("inputs", [["-V", JOINT / "combined.g.vcf.gz"], SEVERAL], ids=["combined", "several"])
def test_samples_of_several_ploidies(reference, tmp_path, inputs):
    check(reference, tmp_path, "genotyped.vcf.gz", *inputs, "-stand-call-conf", 10, "--dbsnp", DEMO / "known_sites.vcf.gz")


@pytest.mark.parametrize("inputs", [["-V", JOINT / "combined_as.g.vcf.gz"], SEVERAL], ids=["combined", "several"])
def test_allele_specific_annotations(reference, tmp_path, inputs):
    check(reference, tmp_path, "genotyped_as.vcf.gz", *inputs, "-G", "StandardAnnotation", "-G", "AS_StandardAnnotation",
          "--max-alternate-alleles", 2)  # fmt: skip


def test_blocks_that_go_on_behind_an_interval(reference, tmp_path):
    """All positions of an interval come out, though CombineGVCFs -L loses the blocks of all samples that cross its end."""
    run("-R", reference, "-O", tmp_path / "out.vcf.gz", *SEVERAL, "--include-non-variant-sites", "-L", "demo1:21474-21477", "-L",
        "demo1:22323-22325")  # fmt: skip
    found = [x for x in lines(tmp_path / "out.vcf.gz") if not x.startswith("#")]
    wanted = [x for x in lines(JOINT / "all_sites.vcf.gz") if not x.startswith("#")]
    places = {*range(21474, 21478), *range(22323, 22326)}
    assert found == [x for x in wanted if x.startswith("demo1\t") and int(x.split("\t")[1]) in places] and len(found) == 7


def test_raw_annotations_that_are_kept(reference, tmp_path):
    check(reference, tmp_path, "genotyped_raw.vcf.gz", "-V", JOINT / "combined_as.g.vcf.gz", "-G", "StandardAnnotation", "-G",
          "AS_StandardAnnotation", "-keep-combined", "-stand-call-conf", 10)  # fmt: skip


def test_intervals_and_annotations(reference, tmp_path):
    added = [w for name in ("GenotypeSummaries", "SampleList", "StrandBiasBySample") for w in ("-A", name)]
    check(reference, tmp_path, "genotyped_more.vcf.gz", "-V", JOINT / "combined.g.vcf.gz", "-L", "demo1:21000-23000", "-L",
          "demo2:10500-11000", "--only-output-calls-starting-in-intervals", *added, "-AX", "FisherStrand")  # fmt: skip


def test_annotations_on_request(reference, tmp_path):
    names = """AlleleFraction BaseQuality BaseQualityHistogram ClippingRankSumTest CountNs FragmentLength LikelihoodRankSumTest
    MappingQuality MappingQualityZero ReadPosition ReferenceBases TandemRepeat DepthPerSampleHC AssemblyComplexity
    GenotypeSummaries""".split()
    check(reference, tmp_path, "annotations.vcf.gz", "-V", JOINT / "combined.g.vcf.gz", *(w for name in names for w in ("-A", name)))


@pytest.mark.parametrize("inputs", [["-V", JOINT / "combined.g.vcf.gz"], SEVERAL], ids=["combined", "several"])
def test_all_sites(reference, tmp_path, inputs):
    check(reference, tmp_path, "all_sites.vcf.gz", *inputs, "--include-non-variant-sites", "-L", "demo1:21000-22500", "-L",
          "demo2:10100-10600")  # fmt: skip


@pytest.mark.parametrize("inputs", [["-V", JOINT / "combined_as.g.vcf.gz"], SEVERAL], ids=["combined", "several"])
def test_places_that_are_always_written(reference, tmp_path, inputs):
    """Also where -L begins inside a deletion; places under one hold the samples twice, in GATK as here."""
    places = [w for place in ("demo1:20340-20420", "demo1:24010-24030", "demo2:10100-10150") for w in ("--force-output-intervals", place)]
    kept = [w for name in ("RMSMappingQuality", "AS_FisherStrand") for w in ("--keep-specific-combined-raw-annotation", name)]
    check(reference, tmp_path, "forced.vcf.gz", *inputs, "-G", "StandardAnnotation", "-G", "AS_StandardAnnotation", *places, *kept, "-L",
          "demo1:20000-22500", "-L", "demo1:24012-24600", "-L", "demo2:10000-10600", "--call-genotypes", "false")  # fmt: skip


def test_raw_annotations_where_no_alt_is_left(reference, tmp_path):
    """AS_QUAL of the site and empty histograms, as GATK writes them."""
    out = tmp_path / "out.vcf"
    run("-R", reference, "-V", JOINT / "combined_as.g.vcf.gz", "-O", out, "-G", "StandardAnnotation", "-G", "AS_StandardAnnotation",
        "-keep-combined", "--include-non-variant-sites", "-stand-call-conf", 1e6)  # fmt: skip
    found = [dict(x.partition("=")[::2] for x in line.split("\t")[7].split(";")) for line in lines(out) if "AS_RAW_MQ=" in line]
    assert len(found) > 20 and all(x["AS_RAW_BaseQRankSum"] == "" and "|" not in x["AS_RAW_MQ"] for x in found)
    assert {x["AS_QUAL"] == "." for x in found} == {True, False}


@pytest.mark.parametrize("way", ["combined", "genomicsdb"])
def test_reblocked_gvcfs(reference, tmp_path, way):
    """AS_QUALapprox is summed up by both of GATK's ways, QUALapprox and VarDP by GenomicsDB."""
    files = [JOINT / "reblocked1.g.vcf.gz", JOINT / "reblocked0.g.vcf.gz"]
    if way == "genomicsdb":
        files = [f"cohort://{tmp_path / 'store'}"]
        cli.main(["cohort", "add", "-R", str(reference), str(tmp_path / "store"), *(str(JOINT / f"reblocked{k}.g.vcf.gz") for k in (0, 1))],
                 standalone_mode=False)  # fmt: skip
    run("-R", reference, *(w for f in files for w in ("-V", f)), "-O", tmp_path / "out.vcf", "-G", "StandardAnnotation", "-G",
        "AS_StandardAnnotation", "-keep-combined")  # fmt: skip
    found, wanted = ([x for x in lines(p) if x[0] != "#"] for p in (tmp_path / "out.vcf", JOINT / f"reblocked_{way}.vcf.gz"))
    assert found == wanted and len(wanted) > 10 and all("AS_QUALapprox=" in x for x in wanted)


def test_one_tetraploid_sample(reference, tmp_path):
    check(reference, tmp_path, "tetraploid.vcf.gz", "-V", JOINT / "t0.g.vcf.gz", "-ploidy", 4)


@pytest.mark.parametrize(
    "arguments", [["-stand-call-conf", 1e6], ["-L", "demo1:1-100"], ["-stand-call-conf", 1e6, "-G", "AS_StandardAnnotation"]]
)
@pytest.mark.parametrize("inputs", [SEVERAL[:2], SEVERAL], ids=["one", "several"])
def test_nothing_to_call(reference, tmp_path, inputs, arguments):
    out = tmp_path / "out.vcf"
    run("-R", reference, "-O", out, *inputs, *arguments)
    assert lines(out)[-1].startswith("#CHROM")


@pytest.mark.shared
@pytest.mark.parametrize("name, run_name", [("na12878_chr21", ""), ("na12878_chr21", "multi_rg"), ("hg002_chr20", "")])
def test_golden(tmp_path, name, run_name):
    golden, data, out = SHARED / "golden" / name / run_name, SHARED / "data" / name, tmp_path / "out.vcf.gz"
    run("-R", data / "reference.fa.gz", "-V", golden / "calls.g.vcf.gz", "-O", out, "--dbsnp", data / "known_sites.vcf.gz")
    assert lines(out) == lines(golden / "genotyped.vcf.gz")


def altered(tmp_path, change):
    text = gzip.decompress((DEMO / "golden" / "calls.g.vcf.gz").read_bytes()).decode()
    path = tmp_path / "altered.g.vcf"
    path.write_text(change(text))
    return path


def with_short_pl(text):
    """The first variant record loses the last of its PLs."""
    line = next(x for x in text.splitlines() if not x.startswith("#") and ",<NON_REF>" in x)
    *fixed, keys, values = line.split("\t")
    values = values.split(":")
    at = keys.split(":").index("PL")
    values[at] = values[at].rpartition(",")[0]
    return text.replace(line, "\t".join([*fixed, keys, ":".join(values)]))


def with_field(k, change):
    """A change of column k of the first variant record with a REF of one base."""
    def changed(text):
        line = next(x for x in text.splitlines() if x[0] != "#" and ",<NON_REF>" in x and len(x.split("\t")[3]) == 1)
        fields = line.split("\t")
        fields[k] = change(fields[k])
        return text.replace(line, "\t".join(fields))

    return changed


def with_old_raw_mq(text):
    """As GATK before 4.1.3 wrote it: the sum of squares alone, under another key."""
    text = text.replace("##INFO=<ID=RAW_MQandDP,Number=2,Type=Integer", "##INFO=<ID=RAW_MQ,Number=1,Type=Float")
    return re.sub(r"RAW_MQandDP=(\d+),\d+", r"RAW_MQ=\1.00", text)


def test_old_raw_mq_passes_where_it_is_not_read(reference, tmp_path):
    """As GATK: RMSMappingQuality alone asks for it."""
    path = altered(tmp_path, with_old_raw_mq)
    run("-R", reference, "-V", path, "-O", tmp_path / "out.vcf", "--disable-tool-default-annotations", "-A", "QualByDepth")
    assert all("RAW_MQ=" in x for x in lines(tmp_path / "out.vcf") if x[0] != "#")


@pytest.mark.parametrize(
    "change, message",
    [
        (with_old_raw_mq, "altered.g.vcf: demo1:[0-9]+: has INFO RAW_MQ of an older GATK"),
        (lambda t: t.replace(",<NON_REF>", ""), "has no <NON_REF> allele"),
        (lambda t: t.replace("##contig=<ID=", "##contig=<ID=x"), "made with another reference"),
        (lambda t: t.replace("length=", "length=1"), "made with another reference"),
        (lambda t: t[: len(t) // 2], "tab-separated columns"),
        (with_short_pl, "PL has another number of values"),
        (with_field(9, lambda x: "0/7" + x[3:]), "altered.g.vcf: demo1:[0-9]+: GT names an allele that the record does not have"),
        (with_field(7, lambda x: "END=5;" + x), "altered.g.vcf: demo1:[0-9]+: INFO END is before POS"),
        (with_field(7, lambda x: "END="), "altered.g.vcf: record [0-9]+: expected numbers as POS and END"),
        (with_field(3, lambda x: ""), "altered.g.vcf: demo1:[0-9]+: REF '': expected bases"),
        (with_field(3, lambda x: "Z"), "altered.g.vcf: demo1:[0-9]+: REF 'Z': expected bases"),
        (with_field(4, lambda x: "Q!," + x), "altered.g.vcf: demo1:[0-9]+: ALT 'Q!,.*': expected alleles"),
        (with_field(4, lambda x: "," + x), "altered.g.vcf: demo1:[0-9]+: ALT ',.*': expected alleles"),
        (with_field(4, lambda x: x.lower().replace("<non_ref>", "") + x), "altered.g.vcf: demo1:[0-9]+: REF .* name an allele twice"),
        (with_field(4, lambda x: "a,c,g,t,<NON_REF>"), "altered.g.vcf: demo1:[0-9]+: REF .* name an allele twice"),
    ],
)
def test_bad_input_leaves_no_output(reference, tmp_path, change, message):
    out = tmp_path / "out.vcf"
    with pytest.raises(InputError, match=message):
        run("-R", reference, "-V", altered(tmp_path, change), "-O", out)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("change, message", [
    ((r"AS_SB_TABLE=[^|]+\|", "AS_SB_TABLE="), "AS_SB_TABLE has not as many values as there are alleles"),
    ((r"AS_SB_TABLE=[0-9]+", "AS_SB_TABLE=abc"), "AS_SB_TABLE is not a list of numbers"),
])  # fmt: skip
def test_bad_allele_specific_values_are_named(reference, tmp_path, change, message):
    path = tmp_path / "altered.g.vcf"
    path.write_text(re.sub(*change, gzip.decompress((JOINT / "as0.g.vcf.gz").read_bytes()).decode()))
    for inputs in (["-V", path], ["-V", JOINT / "as1.g.vcf.gz", "-V", path]):
        with pytest.raises(InputError, match=f"altered.g.vcf: demo1:[0-9]+: {message}"):
            run("-R", reference, *inputs, "-O", tmp_path / "out.vcf", "-G", "AS_StandardAnnotation")
    assert not list(tmp_path.glob("out*"))


def test_overlapping_blocks_are_refused(reference, tmp_path):
    def change(text):
        rows = text.splitlines()
        at = next(k for k in range(len(rows) - 1) if "\t<NON_REF>\t" in rows[k] and "\t<NON_REF>\t" in rows[k + 1] and rows[k][0] != "#")
        end = rows[k := at].split("END=")[1].split("\t")[0]
        rows[k] = rows[k].replace(f"END={end}", f"END={int(end) + 1}")
        return "\n".join(rows) + "\n"

    with pytest.raises(InputError, match="begins inside the reference block"):
        run("-R", reference, "-V", altered(tmp_path, change), "-O", tmp_path / "out.vcf")


def test_a_sample_twice_is_refused(reference, tmp_path):
    gvcf = JOINT / "as0.g.vcf.gz"
    with pytest.raises(InputError, match="has the sample as0, which"):
        run("-R", reference, "-V", gvcf, "-V", gvcf, "-O", tmp_path / "out.vcf")


def test_arguments_of_gatk_that_are_missing_are_named(reference, tmp_path):
    gvcf = DEMO / "golden" / "calls.g.vcf.gz"
    with pytest.raises(UserError, match="--merge-input-intervals: this argument of GATK GenotypeGVCFs is not supported"):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "--merge-input-intervals")
    with pytest.raises(UserError, match="--force-output-intervals: not with --include-non-variant-sites"):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "--force-output-intervals", "demo1", "-all-sites")
    with pytest.raises(UserError, match="x: "):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "--force-output-intervals", "x")
    with pytest.raises(UserError, match="annotation AS_FisherStrand: expected one of the annotations of this run"):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "-keep-specific-combined", "AS_FisherStrand")
    with pytest.raises(UserError, match="--annotations-to-exclude RMSMappingQuality: GATK's tools refuse"):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "-AX", "RMSMappingQuality")
    with pytest.raises(UserError, match="UniqueAltReadCount: needs reads"):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "-A", "UniqueAltReadCount")
    with pytest.raises(UserError, match="--annotation Nothing: not known"):
        run("-R", reference, "-V", gvcf, "-O", tmp_path / "out.vcf", "-A", "Nothing")
