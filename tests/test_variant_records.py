"""VCF records as columns, against a reader that splits lines."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from gpugenome.errors import InputError
from gpugenome.io.variant_records import VariantFile
from gpugenome.steps.gvcf_inputs import overlapping

GVCF = Path(__file__).parent.parent / "data" / "golden" / "calls.g.vcf.gz"
HEADER = """##fileformat=VCFv4.2
##INFO=<ID=DP,Number=1,Type=Integer,Description="depth, with a comma">
##INFO=<ID=X,Number=.,Type=Float,Description="a \\"quoted\\" word">
##INFO=<ID=F,Number=0,Type=Flag,Description="flag">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="likelihoods">
##contig=<ID=a,length=1000>
##contig=<ID=b,length=1000>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\ts2
"""
BODY = """a\t10\trs1\tACG\tA,<NON_REF>\t.\t.\tDP=7;X=0.25,NaN,-1e-3;F\tGT:PL\t0|1:0,5,10\t./.
a\t20\t.\tA\t.\t30.5\tPASS\t.\tGT\t0/0/1\t.
b\t5\t.\tN\t<NON_REF>\t.\t.\tEND=44;Y=1\tPL:GT:Z\t1,2:.\t.:0/2:3
"""


def write(tmp_path, text):
    path = tmp_path / "x.vcf"
    path.write_text(text)
    return str(path)


def texts(column):
    return [None if n < 0 else column.data[s : s + n].tobytes().decode() for s, n in zip(column.start, column.length)]


def test_columns_of_a_small_file(tmp_path):
    vcf = VariantFile(write(tmp_path, HEADER + BODY), ["a", "b"])
    h = vcf.header
    assert h.samples == ["s1", "s2"] and h.contigs == {"a": 1000, "b": 1000}
    assert h.info == {"DP": ("1", "Integer"), "X": (".", "Float"), "F": ("0", "Flag")} and list(h.formats) == ["GT", "PL"]
    (r,) = vcf.records()
    assert r.ref_id.tolist() == [0, 0, 1] and r.start.tolist() == [9, 19, 4] and r.end.tolist() == [12, 20, 44]
    offset, start, length = r.alleles()
    assert offset.tolist() == [0, 3, 4, 6]
    assert [r.data[s : s + n].tobytes() for s, n in zip(start, length)] == [b"ACG", b"A", b"<NON_REF>", b"A", b"N", b"<NON_REF>"]
    info, other = r.info(h.info)
    assert texts(info["DP"]) == ["7", None, None] and texts(info["F"]) == ["", None, None]
    assert [r.key_at(o) for o in other if o >= 0] == ["END"]
    assert [r.key_at(o) for o in r.info([*h.info, "END"])[1] if o >= 0] == ["Y"]
    values, offset, number = r.decimals(info["X"])
    assert offset.tolist() == [0, 3, 3, 3] and values[0] == 0.25 and np.isnan(values[1]) and values[2] == -1e-3 and number.all()
    formats, other = r.formats(["GT", "PL"])
    assert texts(formats["PL"]) == ["0,5,10", None, None, None, "1,2", None] and [r.key_at(o) for o in other if o >= 0] == ["Z"]
    allele, phased = r.genotypes(formats["GT"])
    assert allele.tolist() == [[0, 1, -2], [-1, -1, -2], [0, 0, 1], [-1, -2, -2], [-1, -2, -2], [0, 2, -2]]
    assert phased.tolist() == [1, 0, 0, 0, 0, 0]
    assert texts(r.column(2)) == ["rs1", None, None] and texts(r.column(5)) == [None, "30.5", None]
    assert texts(r.take(np.array([1])).column(6)) == ["PASS"]


def test_every_value_of_a_gvcf_in_pieces():
    with gzip.open(GVCF, "rt") as f:
        lines = [line.rstrip("\n").split("\t") for line in f if line[0] != "#"]
    contigs = list(VariantFile(str(GVCF), []).header.contigs)
    vcf = VariantFile(str(GVCF), contigs, piece_bytes=1 << 16)
    seen, pieces = 0, 0
    for r in vcf.records():
        here = lines[seen : seen + len(r)]
        assert r.first == seen
        info, other = r.info(vcf.header.info)
        formats, _ = r.formats(vcf.header.formats)
        assert (other < 0).all()
        for key, column in info.items():
            wanted = [dict(kv.partition("=")[::2] for kv in f[7].split(";")).get(key) for f in here]
            assert texts(column) == wanted
        for key, column in formats.items():
            assert texts(column) == [dict(zip(f[8].split(":"), f[9].split(":"))).get(key) for f in here]
        pl, offset = r.int_lists("PL", formats["PL"])
        assert [pl[a:b].tolist() for a, b in zip(offset, offset[1:])] == [[int(x) for x in t.split(",")] for t in texts(formats["PL"])]
        assert r.ints("GQ", formats["GQ"]).tolist() == [int(t) for t in texts(formats["GQ"])]
        value, offset, _ = r.decimals(info["BaseQRankSum"])
        assert value.tolist() == [float(t) for t in texts(info["BaseQRankSum"]) if t is not None]
        seen, pieces = seen + len(r), pieces + 1
    assert seen == len(lines) and pieces > 1


@pytest.mark.parametrize(
    "number", ["0", "-0.658", "1e-20", "886.03", "0.1", "123456789012345", "1234567890123456789", "2.5E+3", "1e300", "-inf"]
)
def test_decimals_are_rounded_once(tmp_path, number):
    vcf = VariantFile(write(tmp_path, HEADER + f"a\t10\t.\tA\tC\t.\t.\tX={number}\tGT\t0/1\t0/1\n"), ["a", "b"])
    (r,) = vcf.records()
    value, _, known = r.decimals(r.info(["X"])[0]["X"])
    assert value[0] == float(number) and known[0]


@pytest.mark.parametrize(
    "text, message",
    [
        ("nothing\n", "does not begin with"),
        ("##fileformat=VCFv4.2\n", "no #CHROM line"),
        (HEADER.replace("s2", "s1"), "sample s1 twice"),
        (HEADER.replace("Number=1,Type=Integer", "Type=Integer"), "cannot be understood"),
        (HEADER + BODY.replace("0/0/1\t.", "0/0/1"), "record 2: expected 11 tab-separated columns"),
        (HEADER + BODY.replace("a\t20", "a\tx"), "record 2: expected numbers as POS"),
        (HEADER + BODY.replace("a\t20", "a\t9"), "a:9: records are not sorted"),
        (HEADER + BODY.replace("b\t5", "c\t5"), "contig c is not one of the reference's"),
        (HEADER + BODY.replace("0|1:0,5,10", "0|1:0,5,10:7"), "a:10: a sample has more values"),
        (HEADER + BODY.replace("0|1:", "x:"), "a:10: GT is not a genotype"),
        (HEADER + BODY.replace("0,5,10", "0,5,y"), "a:10: PL is not a list of whole numbers"),
    ],
)
def test_bad_input_is_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message):
        for r in VariantFile(path, ["a", "b"]).records():
            formats, _ = r.formats(["GT", "PL"])
            r.genotypes(formats["GT"])
            r.int_lists("PL", formats["PL"])


@pytest.mark.parametrize("piece_bytes", [1 << 16, 1 << 25])
def test_an_index_gives_the_records_that_overlap(piece_bytes):
    """Of a file with HaplotypeCaller's index: what lies elsewhere is not read."""
    path, names = str(GVCF), ["demo1", "demo2"]

    def lines(pieces, wanted):
        return [r.data[r.columns[i, 0] : r.ends[i]].tobytes() for r in pieces for i in np.flatnonzero(overlapping(r, wanted))]

    whole = list(VariantFile(path, names).records())
    random = np.random.default_rng(1)
    for _ in range(12):
        edges = np.sort(random.choice(200_000, 6, replace=False))
        wanted = np.array([(0, edges[0], edges[1]), (0, edges[2], edges[3]), (1, edges[4] % 40_000, 45_000)], np.int64)
        some = list(VariantFile(path, names, piece_bytes=piece_bytes, intervals=wanted).records())
        assert lines(some, wanted) == lines(whole, wanted) != []
    wanted = np.array([(0, 100_000, 100_100)], np.int64)
    some = list(VariantFile(path, names, intervals=wanted).records())
    assert 0 < sum(map(len, some)) < sum(map(len, whole)) / 5
    assert not list(VariantFile(path, names, intervals=np.array([(1, 900_000, 900_001)], np.int64)).records())


def test_a_damaged_index_is_named(tmp_path):
    path, wanted = tmp_path / "calls.g.vcf.gz", np.array([(0, 1000, 2000)], np.int64)
    path.write_bytes(GVCF.read_bytes())
    index, content = tmp_path / "calls.g.vcf.gz.tbi", GVCF.with_suffix(".gz.tbi").read_bytes()
    short = gzip.compress(gzip.decompress(content)[:60])
    for damaged in (content[: len(content) // 2], b"", gzip.compress(b"no index at all, none"), short):
        index.write_bytes(damaged)
        with pytest.raises(InputError, match="calls.g.vcf.gz.tbi: .*is not a tabix index, or damaged"):
            VariantFile(str(path), intervals=wanted)
