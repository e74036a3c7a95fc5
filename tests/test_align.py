"""Alignment against bwa mem's own records, the SAM encoder against htslib, and an aligner that fails."""

import gzip
import hashlib
import os
import shutil
import stat
import struct
import subprocess
import sys

import numpy as np
import pysam
import pytest

from gpugenome.cli import cli
from gpugenome.errors import UserError
from gpugenome.steps.align import SamText

needs_bwa = pytest.mark.skipif(not shutil.which("bwa"), reason="bwa is not installed")


def run(*arguments, code=0, **more):
    done = subprocess.run([sys.executable, "-m", "gpugenome.cli", *map(str, arguments)], capture_output=True, check=False, **more)
    assert done.returncode == code, done.stderr.decode()
    return done


def refusal(*arguments):
    """The error of a command run in this process."""
    with pytest.raises(UserError) as e:
        cli.main([str(a) for a in arguments], prog_name="gpugenome", standalone_mode=False)
    return str(e.value)


def digest(path):
    h = hashlib.sha256()
    with pysam.AlignmentFile(str(path), check_sq=False) as f:
        for read in f.fetch(until_eof=True):
            h.update(read.to_string().encode() + b"\n")
    return h.hexdigest()


def records(path):
    """The bytes of a BAM file's records."""
    with gzip.open(path) as f:
        data = f.read()
    at = 8 + struct.unpack_from("<i", data, 4)[0]
    count = struct.unpack_from("<i", data, at)[0]
    at += 4
    for _ in range(count):
        at += 8 + struct.unpack_from("<i", data, at)[0]
    return data[at:]


@pytest.fixture(scope="session")
def golden(demo):
    return dict(reversed(line.split()) for line in (demo / "golden" / "records.sha256").read_text().splitlines())


@pytest.fixture(scope="session")
def index(demo, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("bwa") / "demo"
    subprocess.run(["bwa", "index", "-p", str(prefix), str(demo / "reference.fa.gz")], check=True, capture_output=True)
    return prefix


def lane(demo, number):
    return ["--fastq", demo / f"demo_L00{number}_R1.fastq.gz", demo / f"demo_L00{number}_R2.fastq.gz"]


@needs_bwa
def test_two_lanes_piped_to_marked_duplicates(demo, golden, index, tmp_path):
    options = ["align", "-R", demo / "reference.fa.gz", *lane(demo, 1), *lane(demo, 2), "--bwa-index", index, "-O", "-"]
    aligned = run(*options).stdout
    (tmp_path / "a.bam").write_bytes(aligned)
    assert digest(tmp_path / "a.bam") == golden["aligned"]
    with pysam.AlignmentFile(str(tmp_path / "a.bam")) as f:
        groups = f.header.to_dict()["RG"]
        programs = [p["PN"] for p in f.header.to_dict()["PG"]]
    unit = "HDEMOCXX.1"
    assert groups[0] == {"ID": unit, "SM": "demo", "LB": "demo", "PL": "ILLUMINA", "PU": unit} and len(groups) == 2
    assert programs == ["bwa", "gpugenome align"]
    sort = run("sort", "-I", "-", "-O", "-", input=aligned)
    run("markdup", "-I", "-", "-O", tmp_path / "m.bam", "-M", tmp_path / "m.txt", input=sort.stdout)
    assert digest(tmp_path / "m.bam") == golden["markdup"]
    broken = run("sort", "-I", "-", "-O", tmp_path / "s.bam", input=aligned[:-28], code=2)
    assert b"without BGZF end marker" in broken.stderr and not (tmp_path / "s.bam").exists()


@needs_bwa
@pytest.mark.parametrize("how", ["interleaved", "single"])
def test_one_file(demo, index, tmp_path, how):
    """An index in a folder that is made, interleaved pairs or single reads, against bwa itself."""
    texts = [gzip.open(demo / f"demo_L001_R{k}.fastq.gz", "rt").read().splitlines()[:4000] for k in (1, 2)]
    woven = [x for i in range(0, 4000, 4) for t in (texts if how == "interleaved" else texts[:1]) for x in t[i : i + 4]]
    (tmp_path / "x.fq").write_text("\n".join(woven) + "\n")
    group = r"@RG\tID:a\tSM:b"
    run("align", "-R", demo / "reference.fa.gz", f"--fastq={tmp_path / 'x.fq'}", "--read-group", group, "-O", tmp_path / "x.bam",
        "--tmp-dir", tmp_path, "--bwa-options", "-K 50000 -Y -a", *(["--interleaved"] if how == "interleaved" else []))  # fmt: skip
    pairs = ["-p"] if how == "interleaved" else []
    with open(tmp_path / "y.sam", "w") as f:
        subprocess.run(["bwa", "mem", "-K", "50000", "-Y", "-a", "-R", group, *pairs, str(index), str(tmp_path / "x.fq")],
                       stdout=f, stderr=subprocess.DEVNULL, check=True)  # fmt: skip
    pysam.view("-b", "--no-PG", "-o", str(tmp_path / "y.bam"), str(tmp_path / "y.sam"), catch_stdout=False)
    assert records(tmp_path / "x.bam") == records(tmp_path / "y.bam")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("gpugenome-bwa")]


@needs_bwa
@pytest.mark.shared
@pytest.mark.parametrize("sample", ["hg002_chr20", "na12878_chr21"])
def test_real_reads(shared, tmp_path, sample):
    data, golden = shared / "data" / sample, shared / "golden" / sample / "aligned.bam"
    with pysam.AlignmentFile(str(golden)) as f:
        group = "\\t".join(x for x in str(f.header).splitlines() if x.startswith("@RG")).replace("\t", "\\t")
    run("align", "-R", data / "reference.fa.gz", "--fastq", data / "reads_R1.fastq.gz", data / "reads_R2.fastq.gz",
        "--read-group", group, "-O", tmp_path / "a.bam")  # fmt: skip
    assert records(tmp_path / "a.bam") == records(golden)


LINES = [
    "r1\t99\tc2\t5\t60\t3S4M1I2M2D1M\t=\t100\t-7\tACGTNacgtRY\tIIIIIIIIII!\tNM:i:5\tXA:Z:c1,+5,3M,1;\tAS:i:-3",
    "r2\t4\t*\t0\t0\t*\t*\t0\t0\t*\t*",
    "r3\t0\tc1\t16380\t255\t10M\tc2\t1\t0\tACGTACGTAC\t*\tXA:A:q\tXF:f:1.25e-3\tXG:f:-0.1\tXH:H:0aFF\tXZ:Z:",
    "r4\t77\t*\t0\t0\t*\t*\t0\t0\tA\t*",
    "r5\t0\tc3\t131072\t3\t70000M5N1=1X2H\t*\t0\t0\t*\t*\tXI:i:127",
    *(f"r6\t0\tc1\t1\t3\t1M\t*\t0\t0\tA\tI\tXI:i:{v}" for v in (0, 255, 256, 65535, 65536, 4294967295, -128, -129, -32768, -32769)),
    *(f"r7\t0\tc1\t9\t3\t1M\t*\t0\t0\tA\tI\tXB:B:{v}" for v in ("c,-1,2", "C,255", "s,-300,1", "S,65535", "i,-70000")),
    *(f"r7\t0\tc1\t9\t3\t1M\t*\t0\t0\tA\tI\tXB:B:{v}" for v in ("I,4000000000", "f,1.5,-2")),
    "r8\t65535\tc3\t2147483647\t0\t*\tc3\t2147483647\t-2147483647\tACG\t!~I\tRG:Z:a",
]  # fmt: skip
HEADER = "@SQ\tSN:c1\tLN:1000000\n@SQ\tSN:c2\tLN:200\n@SQ\tSN:c3\tLN:2147483647\n@RG\tID:a\n"


def test_sam_lines_become_htslibs_records(tmp_path):
    (tmp_path / "x.sam").write_text(HEADER + "\n".join(LINES) + "\n")
    pysam.view("-b", "--no-PG", "-o", str(tmp_path / "x.bam"), str(tmp_path / "x.sam"), catch_stdout=False)
    for ending, threads in (("\n", 1), ("\r\n", 1), ("\n", 2)):
        text = np.frombuffer(("\n".join(LINES) + "\n").replace("\n", ending).encode(), np.uint8).copy()
        batch = SamText(["c1", "c2", "c3"], threads).batch(text, 0, "x.sam")
        assert batch.data.tobytes() == records(tmp_path / "x.bam")
        assert len(batch) == len(LINES) and list(batch.read_group) == [0] * len(LINES)


@pytest.mark.parametrize(
    "line",
    ["", "r\t0\tc1\t1\t3\t1M\t*\t0\t0\tA", "r\tx\tc1\t1\t3\t1M\t*\t0\t0\tA\tI", "r\t0\tc9\t1\t3\t1M\t*\t0\t0\tA\tI",
     "r\t0\tc1\t1\t3\t2M\t*\t0\t0\tA\tI", "r\t0\tc1\t1\t3\t1K\t*\t0\t0\tA\tI", "r\t0\tc1\t1\t3\t1M\t*\t0\t0\tA\tII",
     "r\t0\tc1\t1\t3\t1M\t*\t0\t0\tA\tI\tXI:i:1x", "r\t0\tc1\t1\t3\t1M\t*\t0\t0\tA\tI\tXI", "r\t0\tc1\t1\t3\t1M\t*\t0\t0\tA\tI\tXB:B:q,1"],
)  # fmt: skip
def test_lines_that_are_no_sam(line):
    text = np.frombuffer(f"{LINES[0]}\n{line}\n".encode(), np.uint8).copy()
    with pytest.raises(UserError, match="^bwa: record 7 "):
        SamText(["c1", "c2", "c3"]).batch(text, 0, "bwa", 5)


def failing_bwa(folder, body, monkeypatch):
    """A program `bwa` that behaves badly, found first."""
    folder.mkdir()
    program = folder / "bwa"
    program.write_text("#!/bin/bash\n" + body)
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


READ_ALL = 'for f in "${@: -2}"; do cat $f > /dev/null & done; wait\n'
FAILURES = {
    "killed": ("kill -9 $$\n", "bwa mem was killed by signal 9"),
    "killed later": (READ_ALL + "printf 'r1\\t4\\t*'; kill -9 $$\n", "bwa mem was killed by signal 9"),
    "error": ("echo '[E::x] no memory' >&2; exit 1\n", "bwa mem failed with exit code 1: [E::x] no memory"),
    "reads nothing": ("exit 0\n", "bwa mem stopped too early"),
    "cut": (READ_ALL + "printf 'r1\\t4\\t*'\n", "bwa mem stopped too early"),
    "short": (READ_ALL + "printf 'r1\\t4\\t*\\t0\\t0\\t*\\t*\\t0\\t0\\tA\\tI\\n'\n", "gave 1 primary records for"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_an_aligner_that_fails_is_an_error(demo, tmp_path, monkeypatch, failure):
    body, message = FAILURES[failure]
    failing_bwa(tmp_path / "bin", "printf '@SQ\\tSN:demo1\\tLN:200000\\n@PG\\tID:bwa\\tVN:1\\n'\n" + body, monkeypatch)
    for suffix in (".amb", ".ann", ".bwt", ".pac", ".sa"):
        (tmp_path / f"i{suffix}").touch()
    text = refusal("align", "-R", demo / "reference.fa.gz", *lane(demo, 1), "--bwa-index", tmp_path / "i", "-O", tmp_path / "x.bam")
    assert message in text and len(text.splitlines()) == 1
    assert not (tmp_path / "x.bam").exists()


@needs_bwa
def test_bad_fastq_and_options(demo, index, tmp_path, monkeypatch):
    reads = [gzip.open(demo / f"demo_L001_R{k}.fastq.gz", "rt").read().splitlines() for k in (1, 2)]
    for name, lines in (("a_1.fq", reads[0]), ("a_2.fq", reads[1][:-4]), ("b_2.fq", [*reads[1][:-1], "I"])):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    base = ["align", "-R", demo / "reference.fa.gz", "--bwa-index", index, "-O", tmp_path / "x.bam", "--fastq"]
    a, n = tmp_path / "a_1.fq", len(reads[0]) // 4
    refused = [
        ([a, tmp_path / "a_2.fq"], f"{tmp_path}/a_2.fq: record {n - 1}: ends after this record"),
        ([a, tmp_path / "b_2.fq"], f"{tmp_path}/b_2.fq: record {n}"),
        ([a, a], "is given twice"),
        ([a, tmp_path / "none.fq"], "none.fq: no such file"),
        ([a, tmp_path / "a_2.fq", "--interleaved"], "expected one file"),
        ([a, "--bwa-options", "-t4"], "--bwa-options: -t"),
        ([a, "--read-group", "x"], "does not begin with @RG"),
    ]
    for more, message in refused:
        assert message in refusal(*base, *more)
        assert not (tmp_path / "x.bam").exists()
    assert b"expected one or two FASTQ files" in run(*base, "--threads", "1", code=2).stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install bwa" in refusal(*base, a)
