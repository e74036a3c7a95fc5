"""GATK's and Picard's own test inputs through sort, markdup, bqsr and applybqsr, against recorded outputs of the real tools.

The recording: python benchmarks/component_cases.py --record tests/components_recorded.json
"""

import hashlib
import json
import sys
from pathlib import Path

import pysam
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from component_cases import COMPONENTS, component_cases, prepare  # noqa: E402
from fuzz_reads import Draw  # noqa: E402
from fuzz_stages import output_of, run_ours  # noqa: E402

RECORDED = json.loads((Path(__file__).parent / "components_recorded.json").read_text())
# Claims SO:queryname and is sorted by name, but records of one name are not in Picard's order: Picard's writer stops there.
ACCEPTED = "markedDups.queryname.bam"

SILENT = ["--VALIDATION_STRINGENCY", "SILENT"]

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("components")
    prepare(folder)
    (folder / "out").mkdir()
    return folder / "out", component_cases(folder / "out", folder)


def test_the_cases_are_those_recorded(cases):
    assert list(cases[1]) == list(RECORDED)


@pytest.mark.parametrize("kind", sorted({name.split(":")[0] for name in RECORDED}))
def test_outputs_are_the_real_tools(cases, kind):
    out, all_cases = cases
    wrong = []
    for name in (n for n in RECORDED if n.split(":")[0] == kind):
        _, _, arguments, files = all_cases[name]
        said = run_ours(arguments, Draw(name))
        if RECORDED[name] == "fails":
            good = said != "0" or ACCEPTED in name
        else:
            good = said == "0" and {n: hashlib.sha256(output_of(out / n)).hexdigest()[:16] for n in files} == RECORDED[name]
        if not good:
            wrong.append((name, said))
    assert not wrong


def flags(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as f:
        return [(r.query_name, r.flag, r.query_qualities) for r in f.fetch(until_eof=True)]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("clean.CEUTrio.HiSeq.WGS.b37.ch20.1m-1m1k.NA12878.bam", "picard.marked.CEUTrio.HiSeq.WGS.b37.ch20.1m-1m1k.NA12878.bam"),
        ("mdOrderBug.bam", "expected.mdOrderBug.bam"),
        ("mdOrderBug2.bam", "expected.mdOrderBug2.bam"),
    ],
)
def test_shipped_flags(tmp_path, source, expected):
    folder = COMPONENTS / "mark_duplicates"
    assert run_ours(["markdup", "-I", folder / source, "-O", tmp_path / "m.bam", *SILENT], Draw(source)) == "0"
    assert flags(tmp_path / "m.bam") == flags(folder / expected)


@pytest.mark.parametrize("metrics, source", [
    ("sorted.optical_dupes.markDuplicate", "optical_dupes.bam"),
    ("sorted.chr1.1-1K.unmarkedDups.markDuplicate", "example.chr1.1-1K.unmarkedDups.bam"),
    ("sorted.inputSingleLibrarySolexa16404", "inputSingleLibrarySolexa16404.bam"),
])  # fmt: skip
def test_shipped_metrics(tmp_path, metrics, source):
    """The library tables of Picard 2.15.0; its histograms are another version's."""

    def table(path):
        lines = path.read_text().splitlines()
        at = next(i for i, x in enumerate(lines) if x.startswith("## METRICS CLASS"))
        return lines[at + 1 : lines.index("", at)]

    folder = COMPONENTS / "mark_duplicates"
    assert run_ours(["markdup", "-I", folder / source, "-O", tmp_path / "m.bam", "-M", tmp_path / "m.txt", *SILENT], Draw(source)) == "0"
    assert table(tmp_path / "m.txt") == table(folder / f"expected.picard-2.15.0.{metrics}.metrics")


def test_shipped_sort(tmp_path):
    folder = COMPONENTS / "sort_sam"
    assert run_ours(["sort", "-I", folder / "count_reads.sam", "-O", tmp_path / "s.sam", *SILENT], Draw("sort")) == "0"
    assert output_of(tmp_path / "s.sam").splitlines()[1:] == output_of(folder / "count_reads_sorted.sam").splitlines()[1:]


def test_shipped_recalibration(tmp_path):
    folder = COMPONENTS / "base_recalibrator"
    arguments = ["-I", folder / "NA12878.chr17_69k_70k.dictFix.bam", "-bqsr", folder / "expected.NA12878.chr17_69k_70k.txt"]
    assert run_ours(["applybqsr", *arguments, "-O", tmp_path / "r.bam"], Draw("applybqsr")) == "0"
    assert flags(tmp_path / "r.bam") == flags(folder / "expected.NA12878.chr17_69k_70k.dictFix.recalibrated.DIQ.bam")
