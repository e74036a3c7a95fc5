"""CombineGVCFs against records of the real tool (tests/data/joint, made by its make.sh), and windows, threads, orders of files."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gpugenome.commands.combinegvcfs import command
from gpugenome.errors import InputError, UserError
from gpugenome.gatk.annotations import joint_annotations
from gpugenome.io.fasta import Reference
from gpugenome.steps import joint_sweep
from gpugenome.steps.combinegvcfs import GvcfCombiner
from gpugenome.steps.gvcf_inputs import check_no_mnp, open_inputs

ROOT = Path(__file__).parent.parent
JOINT = Path(__file__).parent / "data" / "joint"
FILES = [JOINT / f"{name}.g.vcf.gz" for name in ("as0", "t0", "h0", "as1")]


def run(*args):
    result = CliRunner().invoke(command, [str(a) for a in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def lines(path):
    """Everything but the lines that name the tool and its command."""
    with gzip.open(path, "rt") as f:
        return [x for x in f.read().splitlines() if not x.startswith(("##source", "##GATKCommandLine", "##gpugenomeCommandLine"))]


@pytest.mark.parametrize(
    "wanted, arguments",
    [
        ("combined.g.vcf.gz", []),
        ("combined_as.g.vcf.gz", ["-G", "StandardAnnotation", "-G", "AS_StandardAnnotation"]),
        ("banded.g.vcf.gz", ["--break-bands-at-multiples-of", 100, "-L", "demo1:21000-22200"]),
        ("positions.g.vcf.gz", ["--convert-to-base-pair-resolution"]),
    ],
)
def test_records_of_gatk(tmp_path, wanted, arguments):
    out = tmp_path / "out.g.vcf.gz"
    run("-R", ROOT / "data" / "reference.fa.gz", *(w for f in FILES for w in ("-V", f)), "-O", out, *arguments)
    assert lines(out) == lines(JOINT / wanted)
    assert (tmp_path / "out.g.vcf.gz.tbi").exists()


def test_lines_that_end_in_cr_lf(tmp_path):
    """As GATK, which reads them as any others."""
    given = []
    for i, f in enumerate(FILES):
        given += ["-V", tmp_path / f"{i}.g.vcf"]
        given[-1].write_bytes(gzip.decompress(f.read_bytes()).replace(b"\n", b"\r\n"))
    run("-R", ROOT / "data" / "reference.fa.gz", *given, "-O", tmp_path / "out.g.vcf.gz")
    assert lines(tmp_path / "out.g.vcf.gz") == lines(JOINT / "combined.g.vcf.gz")


def test_dbsnp_adds_a_header_line_only(tmp_path):
    """As GATK (12,783 records of two made samples)."""
    reference, known = ROOT / "data" / "reference.fa.gz", ROOT / "data" / "known_sites.vcf.gz"
    for name, more in (("a.g.vcf.gz", []), ("b.g.vcf.gz", ["--dbsnp", known])):
        run("-R", reference, "-V", FILES[0], "-V", FILES[1], "-L", "demo1:21000-22200", "-O", tmp_path / name, *more)
    with_db, without = lines(tmp_path / "b.g.vcf.gz"), lines(tmp_path / "a.g.vcf.gz")
    (line,) = set(with_db) - set(without)
    assert line.startswith("##INFO=<ID=DB,") and [x for x in with_db if x != line] == without


@pytest.mark.parametrize(
    "threads, piece_bytes, records, entries", [(1, 1 << 16, 1 << 17, 1 << 21), (3, 1 << 17, 300, 900), (2, 1 << 25, 30, 100)]
)
def test_windows_and_threads_do_not_matter(monkeypatch, threads, piece_bytes, records, entries):
    monkeypatch.setattr(joint_sweep, "RECORDS", records)
    monkeypatch.setattr(joint_sweep, "ENTRIES", entries)
    genome = Reference(str(ROOT / "data" / "reference.fa.gz"))
    inputs, samples = open_inputs([str(f) for f in FILES], genome, threads, piece_bytes)
    combiner = GvcfCombiner(inputs, samples, genome.names, genome.bases_upper_acgtn, joint_annotations(), threads=threads)
    parts = list(combiner.lines())
    assert len(parts) > 4
    text = np.concatenate([p.text[p.offset[0] : p.offset[-1]] for p in parts]).tobytes().decode().splitlines()
    assert text == [x for x in lines(JOINT / "combined.g.vcf.gz") if x[0] != "#"]


def altered(tmp_path, change):
    path = tmp_path / "altered.g.vcf"
    path.write_text(change(gzip.decompress((JOINT / "as0.g.vcf.gz").read_bytes()).decode()))
    return path




def with_other_base(text):
    """A reference block's REF becomes another base."""
    line = next(x for x in text.splitlines() if x[0] != "#" and "\t<NON_REF>" in x)
    fields = line.split("\t")
    fields[3] = "C" if fields[3] == "A" else "A"
    return text.replace(line, "\t".join(fields))


def with_long_ref(alts):
    """A change: a block's REF gets a second base of the reference (so the block has two positions or more), its ALTs are these."""
    reference = gzip.decompress((ROOT / "data" / "reference.fa.gz").read_bytes()).decode().split(">")[1:]
    bases = {name: "".join(rest) for name, *rest in (c.split("\n") for c in reference)}

    def change(text):
        line = next(x for x in text.splitlines() if x[0] != "#" and "\t<NON_REF>" in x and "END=" in x)
        fields = line.split("\t")
        fields[3:5] = bases[fields[0].split()[0]][int(fields[1]) - 1 :][:2].upper(), alts
        return text.replace(line, "\t".join(fields))

    return change


@pytest.mark.parametrize("alts", ["<NON_REF>", "<DEL>,<NON_REF>", "GTG,<NON_REF>", "*,<NON_REF>"])
def test_mnps_are_told_from_what_is_none(tmp_path, alts):
    """As GATK CombineGVCFs: REF of several bases with <NON_REF> alone counts as one, symbolic and other lengths do not."""
    genome = Reference(ROOT / "data" / "reference.fa.gz")
    inputs, _ = open_inputs([str(altered(tmp_path, with_long_ref(alts)))], genome, 1)
    (records, *_) = inputs[0].records()
    if alts == "<NON_REF>":
        with pytest.raises(InputError, match="altered.g.vcf: demo1:[0-9]+: is an MNP"):
            check_no_mnp(records)
    else:
        check_no_mnp(records)


@pytest.mark.parametrize(
    "change, message",
    [
        (with_long_ref("GT,<NON_REF>"), "altered.g.vcf: demo1:[0-9]+: is an MNP"),
        (lambda t: t.replace(",<NON_REF>", ""), "has no <NON_REF> allele"),
        (lambda t: t.replace("\tas0", "\tas1"), "has the sample as1, which"),
        (lambda t: t.replace("length=200000", "length=200001"), "made with another reference"),
        (lambda t: t.replace("\tas0", ""), "has no samples|tab-separated columns"),
        (with_other_base, "its REF is not the reference's"),
    ],
)
def test_bad_input_leaves_no_output(tmp_path, change, message):
    out = tmp_path / "out.g.vcf"
    with pytest.raises(InputError, match=message):
        run("-R", ROOT / "data" / "reference.fa.gz", "-V", altered(tmp_path, change), "-V", JOINT / "as1.g.vcf.gz", "-O", out)
    assert not list(tmp_path.glob("out*"))


def test_arguments_of_gatk_that_are_missing_are_named(tmp_path):
    with pytest.raises(UserError, match="--call-genotypes: this argument of GATK CombineGVCFs is not supported"):
        run("-R", ROOT / "data" / "reference.fa.gz", "-V", FILES[0], "-O", tmp_path / "x.g.vcf", "--call-genotypes")


def test_lists_of_numbers_and_annotations_of_mutect(tmp_path):
    """As GATK: of a list of Integers only the first value counts, of a list of Floats all; what Mutect filters by is dropped."""
    text = gzip.decompress((JOINT / "as0.g.vcf.gz").read_bytes()).decode()
    line = next(x for x in text.splitlines() if x[0] != "#" and ",<NON_REF>" in x)
    fields = line.split("\t")
    fields[7] += ";HEC=7,1,9;HAPDOM=0.25,0.5;MBQ=30,31,0;TLOD=1.5,2.5"
    declared = "".join(f'##INFO=<ID={k},Number=.,Type={t},Description="x">\n' for k, t in
                       (("HEC", "Integer"), ("HAPDOM", "Float"), ("MBQ", "Integer"), ("TLOD", "Float")))  # fmt: skip
    path, out = tmp_path / "lists.g.vcf", tmp_path / "out.g.vcf"
    path.write_text(text.replace("#CHROM", declared + "#CHROM").replace(line, "\t".join(fields)))
    run("-R", ROOT / "data" / "reference.fa.gz", "-V", path, "-L", f"{fields[0]}:{fields[1]}-{fields[1]}", "-O", out)
    (info,) = [dict(x.split("=") for x in y.split("\t")[7].split(";")) for y in out.read_text().splitlines() if y[0] != "#"]
    assert (info["HEC"], info["HAPDOM"]) == ("7", "0.500") and not {"MBQ", "TLOD"} & set(info)
