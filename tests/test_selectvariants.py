"""`selectvariants` against GATK's recorded results; alleles, samples and bad input."""

import gzip

import numpy as np
import pytest
from filter_cases import DATA, digest, recorded, records, run, write

from gpugenome.errors import UserError
from gpugenome.io.variant_records import VariantFile
from gpugenome.steps.variants.output import OrderedWriter
from gpugenome.steps.variants.selection import Selection, SelectionOptions


@pytest.mark.parametrize("expected, variants, arguments", recorded("SelectVariants"))
def test_records_are_those_of_gatk(tmp_path, expected, variants, arguments):
    run("selectvariants", "-V", variants, "-O", tmp_path / "o.vcf", *arguments)
    assert digest(tmp_path / "o.vcf") == expected


def selected(tmp_path, *arguments, lines, samples="s1 s2"):
    run("selectvariants", "-V", write(tmp_path / "v.vcf", *lines, samples=samples), "-O", tmp_path / "o.vcf", *arguments)
    return [line.split("\t") for line in records(tmp_path / "o.vcf")]


def test_unused_alleles_take_their_values_away_and_are_trimmed(tmp_path):
    """PL of 0/0, 0/1, 1/1, 0/2, 1/2, 2/2; without ALT 1 the alleles share a base, and the record moves behind the next one."""
    lines = ("c1 10 . TAG T,TAC 50 . DP=9 GT:AD:GQ:PL 0/2:5,1,4:30:40,50,60,0,70,20",
             "c1 11 . A C 50 . DP=9 GT:AD:GQ:PL 0/1:5,4:30:30,0,40")  # fmt: skip
    a, b = selected(tmp_path, "--remove-unused-alternates", lines=lines, samples="s1")
    assert a[:5] == ["c1", "11", ".", "A", "C"]
    assert b[:5] == ["c1", "12", ".", "G", "C"]
    assert b[8:] == ["GT:AD:GQ:PL", "0/1:5,4:20:40,0,20"]
    (_, b) = selected(tmp_path, "--remove-unused-alternates", "--preserve-alleles", lines=lines[::-1][1:] + lines[1:], samples="s1")
    assert b[1] == "11"


def test_samples_come_out_sorted_and_counted_anew(tmp_path):
    line = "c1 10 . A G 50 . AC=3;DP=20 GT:DP:GQ 1/1:7:120 0/1:13:5 ./.:.:."
    (one,) = selected(tmp_path, "-sn", "b", "-sn", "c", lines=[line], samples="c b a")
    assert one[7:] == ["AC=3;AF=0.750;AN=4;DP=20", "GT:DP:GQ", "0/1:13:5", "1/1:7:99"]
    (one,) = selected(tmp_path, "-se", "^[bc]$", "-xl-sn", "c", "--keep-original-ac", lines=[line], samples="c b a")
    assert one[7:] == ["AC=1;AC_Orig=3;AF=0.500;AN=2;DP=13", "GT:DP:GQ", "0/1:13:5"]
    assert selected(tmp_path, "-sn", "a", "--exclude-non-variants", lines=[line], samples="c b a") == []


class _Writer:
    def __init__(self):
        self.text = b""

    def write(self, text, offset, ref_id, start, end):
        assert (np.diff(start) >= 0).all() and len(offset) == len(start) + 1
        self.text += text[offset[0] : offset[-1]].tobytes()


def test_threads_and_pieces_change_nothing(tmp_path):
    (tmp_path / "v.vcf").write_bytes(gzip.decompress((DATA / "mixed_sites.vcf.gz").read_bytes()))
    options = SelectionOptions(samples=("A1", "C3"), remove_unused_alternates=True, select=("AN > 1",))
    texts = []
    for threads, piece_bytes in ((1, 1 << 25), (2, 5000), (3, 20000)):
        file = VariantFile(tmp_path / "v.vcf", None, threads, piece_bytes)
        selection, writer = Selection(options, file.header), _Writer()
        ordered = OrderedWriter(writer)
        for r in file.records():
            text, offset, rows, start = selection.lines(r, np.arange(len(r)))
            ordered.write(text, offset, r.ref_id[rows], start, r.end[rows], (int(r.ref_id[-1]), int(r.start[-1])))
        ordered.finish()
        texts.append(writer.text)
    assert texts[0].count(b"\n") > 100
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (("-sn", "nobody"), "no sample nobody"),
        (("-se", "("), "not a regular expression"),
        (("-sn", "s1", "-xl-sn", "s1"), "also excluded"),
        (("-select", "DP > 1.0 &&"), "found its end"),
        (("-select", "AC > 1"), "c1:5: a value of a type that the operator does not take"),
        (("-select", "QD > 1"), "c1:5: a text that is not a number"),
        (("-select", "DP"), "c1:5: the result is not true or false"),
    ],
)
def test_bad_arguments_and_expressions(tmp_path, arguments, problem):
    with pytest.raises(UserError) as e:
        selected(tmp_path, *arguments, lines=["c1 5 . A G,T 50 PASS AC=1,1;DP=1;QD=1.5 GT 0/1 1/2"])
    assert problem in str(e.value)
    assert not (tmp_path / "o.vcf").exists()


def test_missing_values_do_not_match(tmp_path):
    lines = ["c1 5 . A G 50 PASS DP=1 GT 0/1 0/0", "c1 6 . A G 50 PASS DP=9;QD=2.5 GT 0/1 0/0"]
    assert [x[1] for x in selected(tmp_path, "-select", "QD > 1.0", lines=lines)] == ["6"]
    assert [x[1] for x in selected(tmp_path, "-select", "QD > 1.0", "-invert-select", lines=lines)] == ["5"]
    assert [x[1] for x in selected(tmp_path, "-select", "QD > 1.0", "-select", "DP < 5", lines=lines)] == ["5", "6"]


def test_sites_of_other_files(tmp_path):
    lines = ["c1 5 . A G 50 PASS DP=1 GT 0/1 0/0", "c1 6 . ACT A 50 PASS DP=9 GT 0/1 0/0", "c1 9 . A G 50 PASS DP=9 GT 0/1 0/0"]
    other = write(tmp_path / "other.vcf", "c1 8 . T G 50 PASS DP=1", samples="")
    assert [x[1] for x in selected(tmp_path, "-conc", other, lines=lines)] == ["6"]
    assert [x[1] for x in selected(tmp_path, "-disc", other, lines=lines)] == ["5", "9"]
    with pytest.raises(UserError, match="together with samples"):
        selected(tmp_path, "-disc", other, "-sn", "s1", lines=lines)


def test_an_allele_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="c1:5: GT has an allele"):
        selected(tmp_path, "--exclude-non-variants", lines=["c1 5 . A G 50 PASS DP=1 GT 0/2 0/0"])
