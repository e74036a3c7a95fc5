"""Text of VCF records, headers, and the files that hold them, against GATK's own."""

import gzip
import hashlib
import resource
import struct
from contextlib import ExitStack
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from gpugenome.batch import Header
from gpugenome.errors import InputError
from gpugenome.gatk import vcf_lines
from gpugenome.io.outputs import AtomicOutput
from gpugenome.io.variant_text import read_variant_text
from gpugenome.io.vcf import VariantWriter
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.records import header_lines
from gpugenome.variant_fields import (
    DOUBLE,
    FIXED,
    HISTOGRAM,
    INT,
    TEXT,
    Field,
    flag_field,
    format_lines,
    render,
    render_genotypes,
    render_qual,
    repeated_text,
    scalar_field,
)

FIXED_KEYS = {"FS": 3, "SOR": 3, "QD": 2, "MQ": 2, "ExcessHet": 4, "BaseQRankSum": 3, "MQRankSum": 3, "ReadPosRankSum": 3}


def texts(column):
    """The rows of a text column as strings, None where absent."""
    return [None if n < 0 else column.data[a : a + n].tobytes().decode() for a, n in zip(column.start.tolist(), column.length.tolist())]


def ragged(rows, dtype):
    """(values, int64 offsets) of lists."""
    offset = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    return np.array([v for r in rows for v in r], dtype), offset


def java_fixed(x, digits):
    """%.Nf by decimal arithmetic on the shortest digits."""
    s = format(abs(Decimal(repr(x))).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP), "f")
    return ("-" if np.copysign(1, x) < 0 else "") + s


def java_scientific(x):
    """%.3e likewise."""
    d = abs(Decimal(repr(x)))
    e = d.adjusted()
    m = d.scaleb(-e).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)
    if m >= 10:
        m, e = Decimal("1.000"), e + 1
    return f"{'-' if x < 0 else ''}{m}e{'-' if e < 0 else '+'}{abs(e):02d}"


def test_numbers_are_rounded_as_java_does():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(size=1000) * 20, rng.integers(0, 200000, 2000) / 2000, rng.integers(0, 20000, 2000) / 20000,
                        [1.005, 0.125, -0.0004, -0.0, 0.9996, 2.675, 1e9 + 0.125]])  # fmt: skip
    one_each = np.arange(len(x) + 1)
    for digits in (1, 2, 3, 4):
        got = texts(render(Field("x", FIXED, x, one_each, digits)))
        assert got == [java_fixed(v, digits) for v in x.tolist()]
    small = np.concatenate([x, 10.0 ** rng.uniform(-17, -2, 1000), [0.00999999, 0.01, 9.9996e-5, 0.0]])
    got = texts(render(Field("x", DOUBLE, small, np.arange(len(small) + 1))))
    for v, text in zip(small.tolist(), got):
        if v >= 1:
            assert text == java_fixed(v, 2)
        elif v >= 0.01:
            assert text == java_fixed(v, 3)
        else:
            assert text == ("0.00" if abs(v) < 1e-20 else java_scientific(v))
    special = np.array([np.nan, np.inf, -np.inf])
    assert texts(render(Field("x", FIXED, special, np.arange(4), 2))) == ["NaN", "Infinity", "-Infinity"]
    assert texts(render_qual(np.array([30.0, 30.1, 30.004, 30.005, np.nan]))) == ["30", "30.10", "30", "30.01", None]


def test_rows_separators_and_genotypes():
    assert texts(render(Field("SB", INT, np.array([1, -20, 3]), np.array([0, 2, 2, 3])))) == ["1,-20", None, "3"]
    assert texts(render(Field("T", INT, np.array([1, 0, 8, 8, 0, 0]), np.array([0, 6]), group=2))) == ["1,0|8,8|0,0"]
    assert texts(render(Field("M", FIXED, np.array([3600.0, 0.0]), np.array([0, 2]), 2, group=1))) == ["3600.00|0.00"]
    histogram = Field("R", HISTOGRAM, np.array([0.0, -0.31, np.nan, np.nan, 1.0, np.nan]), np.array([0, 3, 6]))
    assert texts(render(histogram)) == ["|-0.4,1|NaN", "||"]
    gt = np.array([[0, 1, -2], [-1, -1, -2], [1, 2, 10]], np.int16)
    assert texts(render_genotypes(gt, np.array([0, 1, 0], np.uint8))) == ["0/1", ".|.", "1/2/10"]


def test_missing_values_at_the_end_of_a_sample_are_left_out():
    n = np.zeros(1, np.int64)
    formats = {
        "GT": render_genotypes(np.array([[0, 1], [-1, -1]], np.int16), np.zeros(2, np.uint8)),
        "AD": render(Field("AD", INT, np.array([3, 4]), np.array([0, 2, 2]))),
        "GQ": render(scalar_field("GQ", INT, np.array([50, 0]), np.array([True, True]))),
        "SB": render(Field("SB", INT, np.arange(4), np.array([0, 4, 4]))),
    }
    alleles = np.frombuffer(b"AT", np.uint8)
    absent = repeated_text("", np.zeros(1, bool))
    text, offset = format_lines(
        "c", np.array([9], np.int32), np.array([0, 2]), alleles, np.array([0, 1, 2]), absent, render_qual(np.array([np.nan])), absent,
        {"B": render(flag_field("B", n == 0)), "A": render(flag_field("A", n > 0))}, 2, formats,
    )  # fmt: skip
    assert text.tobytes() == b"c\t10\t.\tA\tT\t.\t.\tB\tGT:AD:GQ:SB\t0/1:3,4:50:0,1,2,3\t./.:.:0\n"
    assert offset.tolist() == [0, len(text)]


def typed(key, values):
    """A field of one key's texts (None: absent), read back into numbers."""
    rows = [[] if v in (None, ".") else v.split(",") for v in values]
    if key in ("AF", "MLEAF"):
        return Field(key, DOUBLE, *ragged([[float(x) for x in r] for r in rows], np.float64))
    if key in FIXED_KEYS:
        return Field(key, FIXED, *ragged([[float(x) for x in r] for r in rows], np.float64), FIXED_KEYS[key])
    if key in ("PGT", "PID"):
        return Field(key, TEXT, *ragged([v.encode() if v else b"" for v in values], np.uint8))
    return Field(key, INT, *ragged([[int(x) for x in r] for r in rows], np.int64))


@pytest.mark.parametrize("name", ["calls.vcf.gz", "calls.g.vcf.gz"])
def test_records_of_gatk_come_back_byte_for_byte(demo, name):
    """Every value of GATK's output is parsed to its type and printed again."""
    lines = [line.split("\t") for line in gzip.open(demo / "golden" / name, "rt").read().splitlines() if not line.startswith("#")]
    lines = [f for f in lines if f[4] != "<NON_REF>"] + [f for f in lines if f[4] == "<NON_REF>"][:3000]
    lines = [f for f in lines if f[0] == lines[0][0]]
    n = len(lines)
    info = [dict(i.split("=") for i in f[7].split(";")) if f[7] != "." else {} for f in lines]
    sample = [dict(zip(f[8].split(":"), f[9].split(":"))) for f in lines]
    alleles = [[f[3], *f[4].split(",")] for f in lines]
    infos = {k: render(typed(k, [i.get(k) for i in info])) for k in {k for i in info for k in i}}
    formats = {k: render(typed(k, [s.get(k) for s in sample])) for k in {k for s in sample for k in s} - {"GT"}}
    gt = [s["GT"] for s in sample]
    genotypes = np.array([[-1 if a == "." else int(a) for a in g.replace("|", "/").split("/")] for g in gt], np.int16)
    formats["GT"] = render_genotypes(genotypes, np.array(["|" in g for g in gt], np.uint8))
    base, base_offset = ragged([a.encode() for row in alleles for a in row], np.uint8)
    qual = np.array([np.nan if f[5] == "." else float(f[5]) for f in lines])
    absent = repeated_text("", np.zeros(n, bool))
    text, offset = format_lines(
        lines[0][0], np.array([int(f[1]) - 1 for f in lines], np.int32), np.cumsum([0, *map(len, alleles)]), base, base_offset, absent,
        render_qual(qual), absent, infos, 1, formats, threads=2,
    )  # fmt: skip
    got = text.tobytes().decode().splitlines()
    assert got == ["\t".join(f) for f in lines]
    assert text[offset[5] : offset[6]].tobytes().decode() == "\t".join(lines[5]) + "\n"


def header_of(path):
    return [line for line in gzip.open(path, "rt").read().splitlines() if line.startswith("#")]


@pytest.mark.parametrize("name, mode", [("calls.vcf.gz", "NONE"), ("calls.g.vcf.gz", "GVCF")])
def test_header_is_that_of_gatk(demo, name, mode):
    want = header_of(demo / "golden" / name)
    contigs = [line.removeprefix("##contig=<ID=").rstrip(">").split(",length=") for line in want if line.startswith("##contig")]
    lines = header_lines(CallerOptions(emit_ref_confidence=mode), [c for c, _ in contigs], [int(n) for _, n in contigs],
                         extra=["source=HaplotypeCaller"])  # fmt: skip
    got = vcf_lines.header_text(lines, want[-1].split("\t")[9:]).decode().splitlines()
    assert got == [line for line in want if not line.startswith("##GATKCommandLine")]


def test_contigs_keep_their_assembly_and_commands_their_quotes():
    header = Header.from_text("@HD\tVN:1.6\n@SQ\tSN:b\tLN:5\tAS:x\n@SQ\tSN:a\tLN:6\n")
    lines = vcf_lines.contig_lines(header.contig_names, header.contig_lengths, header.assemblies)
    command = vcf_lines.command_line("me", "Tool", 'run "it"', "1")
    assert vcf_lines.header_text([*lines, command, "source=me"]).decode().splitlines()[1:-1] == [
        "##contig=<ID=b,length=5,assembly=x>", "##contig=<ID=a,length=6>",
        '##meCommandLine=<ID=Tool,CommandLine="run \\"it\\"",Version="1">', "##source=me",
    ]  # fmt: skip


def blocks(path):
    """(file offset, bytes) of every BGZF block."""
    raw, at, out = path.read_bytes(), 0, []
    while at < len(raw):
        size = struct.unpack_from("<H", raw, at + 16)[0] + 1
        out.append(at)
        at += size
    return out


def index_of(path):
    """A .tbi as (header, everything else) with block numbers instead of file offsets."""
    number = {a: i for i, a in enumerate(blocks(path))}
    data = gzip.decompress((path.parent / (path.name + ".tbi")).read_bytes())

    def place(v):
        return number[v >> 16], v & 0xFFFF

    contigs, *_, names = struct.unpack_from("<8i", data, 4)
    at, out = 36 + names, [data[: 36 + names]]
    for _ in range(contigs):
        (bins,) = struct.unpack_from("<i", data, at)
        at += 4
        for _ in range(bins):
            b, k = struct.unpack_from("<Ii", data, at)
            out.append((b, [place(v) for v in struct.unpack_from(f"<{2 * k}Q", data, at + 8)]))
            at += 8 + 16 * k
        (windows,) = struct.unpack_from("<i", data, at)
        out.append([place(v) for v in struct.unpack_from(f"<{windows}Q", data, at + 4)])
        at += 4 + 8 * windows
    assert at == len(data)
    return out


def rewrite(source, target, step, **options):
    """Write the records of a VCF again in batches of `step`."""
    v = read_variant_text(str(source))
    offset = np.concatenate([v.columns[:, 0], v.columns[-1:, -1]])
    end = np.maximum(v.end_pos, v.pos).astype(np.int32)
    names = [v.text(i, 0) for i in range(len(v))]
    contigs = list(dict.fromkeys(names))
    with VariantWriter(target, [line[2:] for line in v.header[1:-1]], contigs, [10**6] * len(contigs), v.samples, **options) as out:
        for c, contig in enumerate(contigs):
            rows = [i for i, name in enumerate(names) if name == contig]
            for a in range(rows[0], rows[-1] + 1, step):
                b = min(a + step, rows[-1] + 1)
                out.write(v.data, offset[a : b + 1], c, v.pos[a:b] - 1, end[a:b])


@pytest.mark.parametrize("name, step", [("calls.vcf.gz", 7), ("calls.g.vcf.gz", 2000)])
def test_file_and_index_are_those_of_htsjdk(demo, tmp_path, name, step):
    """Same text in the same blocks, and the same bins, chunks and windows."""
    want, got = demo / "golden" / name, tmp_path / name
    rewrite(want, got, step, md5=True, threads=2)
    assert gzip.decompress(got.read_bytes()) == gzip.decompress(want.read_bytes())
    assert len(blocks(got)) == len(blocks(want))
    assert index_of(got) == index_of(want)
    assert (tmp_path / (name + ".md5")).read_text() == hashlib.md5(got.read_bytes()).hexdigest()


def test_plain_file_with_linear_index(demo, tmp_path):
    source, target = demo / "golden" / "calls.vcf.gz", tmp_path / "calls.vcf"
    rewrite(source, target, 50)
    text = target.read_bytes()
    assert text == gzip.decompress(source.read_bytes())
    index = (tmp_path / "calls.vcf.idx").read_bytes()
    assert index[:4] == b"TIDX" and struct.unpack_from("<ii", index, 4) == (1, 3)
    name = text.splitlines()[-1].split(b"\t")[0]
    at = index.rindex(name + b"\0") + len(name) + 1
    width, bins, _, _, features = struct.unpack_from("<5i", index, at)
    starts = struct.unpack_from(f"<{bins}q", index, at + 20)
    assert struct.unpack_from("<q", index, at + 20 + 8 * bins) == (len(text),) and at + 28 + 8 * bins == len(index)
    assert features == sum(line.startswith(name + b"\t") for line in text.splitlines())
    for k, begin in enumerate(starts):
        pos = int(text[begin:].split(b"\t", 2)[1])
        assert pos > k * width
        before = text[:begin].rsplit(b"\n", 2)[1].split(b"\t")
        assert before[0] != name or int(before[1]) <= k * width


def test_out_of_order_records_and_unwritable_folders(tmp_path):
    lines = np.frombuffer(b"c\t5\t.\n", np.uint8)
    at = np.array([4], np.int32)
    with pytest.raises(ValueError, match="out of order"), VariantWriter(tmp_path / "x.vcf.gz", [], ["c"], [100]) as out:
        out.write(lines, np.array([0, 6]), 0, at, at + 1)
        out.write(lines, np.array([0, 6]), 0, at - 1, at)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError), VariantWriter(tmp_path / "no" / "x.vcf", [], ["c"], [100]):
        pass


def test_a_full_disk_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        for name, lines in (("a.vcf", ["x=" + "y" * 9000]), ("b.vcf.gz", [str(np.random.default_rng(1).bytes(9000))])):
            with pytest.raises(InputError, match=f"{name}: cannot be written"), VariantWriter(tmp_path / name, lines, ["c"], [100]):
                pass
        with pytest.raises(InputError, match="trace: cannot be written"), ExitStack() as stack:  # it, not what is written beside it
            trace = stack.enter_context(AtomicOutput(tmp_path / "trace"))
            stack.enter_context(VariantWriter(tmp_path / "c.vcf", [], ["c"], [100]))
            trace.write(bytes(9000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
