"""The whole way on the demo data: FASTQ and BAM to VCF and GVCF, against the outputs of the real tools; bad input; kills."""

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import time

import pysam
import pytest


def run(*arguments, **more):
    command = [sys.executable, "-m", "gpugenome.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **more)


def body(path):
    with gzip.open(path, "rt") as f:
        return [line for line in f if not line.startswith("#")]


@pytest.fixture(scope="module")
def from_fastq(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("germline")
    lanes = [w for n in (1, 2) for w in ("--fastq", demo / f"demo_L00{n}_R1.fastq.gz", demo / f"demo_L00{n}_R2.fastq.gz")]
    result = run(
        "germline", "-R", demo / "reference.fa.gz", *lanes, "--known-sites", demo / "known_sites.vcf.gz", "-O", folder / "calls.vcf.gz",
        "--out-bam", folder / "out.bam", "--out-recal-file", folder / "recal.table", "--out-duplicate-metrics", folder / "metrics",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder


def test_fastq_to_vcf_is_the_real_tools(demo, from_fastq):
    assert body(from_fastq / "calls.vcf.gz") == body(demo / "golden" / "calls.vcf.gz")
    assert (from_fastq / "calls.vcf.gz.tbi").exists() and (from_fastq / "out.bam.bai").exists()


def test_fastq_to_recalibrated_bam_is_the_real_tools(demo, from_fastq):
    def records(path):
        return [str(r) for r in pysam.AlignmentFile(path)]

    assert records(from_fastq / "out.bam") == records(demo / "golden" / "recalibrated.bam")
    with gzip.open(demo / "golden" / "recal.table.gz", "rt") as f:
        assert (from_fastq / "recal.table").read_text() == f.read()
    tail = [p.read_text().split("## METRICS CLASS")[1] for p in (from_fastq / "metrics", demo / "golden" / "markdup.metrics")]
    assert tail[0] == tail[1]


def test_without_output_it_ends_at_the_recalibrated_reads(demo, from_fastq, tmp_path):
    lanes = [w for n in (1, 2) for w in ("--fastq", demo / f"demo_L00{n}_R1.fastq.gz", demo / f"demo_L00{n}_R2.fastq.gz")]
    reads = "germline", "-R", demo / "reference.fa.gz", *lanes, "--known-sites", demo / "known_sites.vcf.gz"
    result = run(*reads, "--out-bam", tmp_path / "out.bam")
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.bam", "out.bam.bai"]
    mine, whole = ([str(r) for r in pysam.AlignmentFile(folder / "out.bam")] for folder in (tmp_path, from_fastq))
    assert mine == whole
    result = run(*reads, "--out-bam", tmp_path / "x.bam", "--alleles", demo / "known_sites.vcf.gz")
    assert result.returncode == 2 and "--alleles needs --output" in result.stderr


@pytest.fixture(scope="module")
def called(demo, tmp_path_factory):
    """haplotypecaller on the golden BAM: file name by mode."""
    folder, out = tmp_path_factory.mktemp("calls"), {}
    for mode in ("NONE", "GVCF"):
        out[mode] = folder / f"{mode}.vcf.gz"
        result = run("haplotypecaller", "-R", demo / "reference.fa.gz", "-I", demo / "golden" / "recalibrated.bam", "-O", out[mode],
                     "-ERC", mode, "--assembly-region-out", folder / "regions.igv")  # fmt: skip
        assert result.returncode == 0, result.stderr
    out["regions"] = folder / "regions.igv"
    return out


@pytest.mark.parametrize("mode, golden", [("NONE", "calls.vcf.gz"), ("GVCF", "calls.g.vcf.gz")])
def test_calls_are_gatks(demo, called, mode, golden):
    assert body(called[mode]) == body(demo / "golden" / golden)


def test_header_is_gatks(demo, called):
    def header(path):
        with gzip.open(path, "rt") as f:
            return [x for x in f if x.startswith("#") and not x.startswith(("##source", "##GATKCommandLine", "##gpugenome"))]

    for mode, golden in (("NONE", "calls.vcf.gz"), ("GVCF", "calls.g.vcf.gz")):
        assert header(called[mode]) == header(demo / "golden" / golden)


def test_assembly_regions_are_gatks(demo, called):
    with gzip.open(demo / "golden" / "assembly_regions.igv.gz", "rt") as f:
        assert called["regions"].read_text() == f.read()


def test_same_bits_for_any_number_of_threads(demo, called, tmp_path):
    for n in (1, 3):
        result = run("haplotypecaller", "-R", demo / "reference.fa.gz", "-I", demo / "golden" / "recalibrated.bam", "-O",
                     tmp_path / "x.vcf.gz", "--threads", n)  # fmt: skip
        assert result.returncode == 0, result.stderr
        digests = {hashlib.sha256("".join(body(p)).encode()).hexdigest() for p in (tmp_path / "x.vcf.gz", called["NONE"])}
        assert len(digests) == 1


def test_reads_from_standard_input(demo, tmp_path):
    reads = demo / "golden" / "recalibrated.bam"
    for source, out in ((reads, "file.vcf.gz"), ("-", "stream.vcf.gz")):
        command = "germline", "-R", demo / "reference.fa.gz", "-I", source, "-O", tmp_path / out, "-L", "demo1:1-30000"
        with open(reads, "rb") as stream:
            result = run(*command, stdin=stream)
        assert result.returncode == 0, result.stderr
    assert body(tmp_path / "stream.vcf.gz") == body(tmp_path / "file.vcf.gz") != []


def test_killed_at_any_moment_leaves_no_output(demo, tmp_path):
    command = [sys.executable, "-m", "gpugenome.cli", "germline", "-R", demo / "reference.fa.gz", "-I",
               demo / "golden" / "recalibrated.bam", "--known-sites", demo / "known_sites.vcf.gz",
               "-O", tmp_path / "x.vcf.gz", "--out-bam", tmp_path / "x.bam"]  # fmt: skip
    started = time.monotonic()
    assert subprocess.run(command, capture_output=True).returncode == 0
    took = time.monotonic() - started
    vcf, bam = tmp_path / "x.vcf.gz", tmp_path / "x.bam"
    whole, size = body(vcf), bam.stat().st_size
    before = 0
    for part in (0.2, 0.5, 0.8, 0.95):
        vcf.unlink(missing_ok=True)
        bam.unlink(missing_ok=True)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(part * took)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # what has its name already is whole
        assert not vcf.exists() or body(vcf) == whole
        assert not bam.exists() or bam.stat().st_size == size
        before += not vcf.exists() and not bam.exists()
    assert before > 0
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert body(vcf) == whole and bam.stat().st_size == size


def problem(tmp_path, *arguments):
    """The one line of a command that must refuse its input."""
    result = run(*arguments, "-O", tmp_path / "out.vcf.gz")
    assert result.returncode == 2, result.stderr
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith((".out", "out"))) == []
    lines = [x for x in result.stderr.splitlines() if "error" in x.lower()]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_bad_input_gets_one_clear_line(demo, tmp_path):
    reference, bam = demo / "reference.fa.gz", demo / "golden" / "recalibrated.bam"
    germline = "germline", "-R", reference
    assert "no such file" in problem(tmp_path, *germline, "-I", tmp_path / "none.bam")
    (tmp_path / "empty.bam").write_bytes(b"")
    assert "empty.bam" in problem(tmp_path, *germline, "-I", tmp_path / "empty.bam")
    (tmp_path / "cut.bam").write_bytes(bam.read_bytes()[:100_000])
    assert "truncated" in problem(tmp_path, *germline, "-I", tmp_path / "cut.bam")
    (tmp_path / "other.fa").write_text(">other\nACGT\n")
    assert "contig" in problem(tmp_path, "germline", "-R", tmp_path / "other.fa", "-I", bam)
    assert "either --fastq or --input" in problem(tmp_path, *germline)
    assert "outside" in problem(tmp_path, *germline, "-I", bam, "-L", "demo1:1-999999999")
    assert "threads" in problem(tmp_path, *germline, "-I", bam, "--threads", "0")
    (tmp_path / "sites.vcf").write_text("##fileformat=VCFv4.2\n"
                                        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nelsewhere\t5\t.\tA\tC\t.\t.\t.\n")  # fmt: skip
    assert "elsewhere" in problem(tmp_path, *germline, "-I", bam, "--known-sites", tmp_path / "sites.vcf")
    assert "not supported yet" in problem(tmp_path, "haplotypecaller", "-R", reference, "-I", bam, "--pileup-detection")
    result = run(*germline, "-I", bam, "-O", tmp_path / "no" / "x.vcf.gz")
    assert result.returncode == 2 and "does not exist" in result.stderr
    result = run(*germline, "-I", bam, "-O", bam)
    assert result.returncode == 2 and "both an input and an output" in result.stderr and os.path.getsize(bam) > 0
