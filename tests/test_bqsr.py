"""Recalibration tables and recalibrated records against GATK's for the demo data, GATK's own component cases and small hand-made tables."""

import gzip
import subprocess
import sys

import numpy as np
import pysam
import pytest
from test_sort_markdup import digest, run

from gpugenome.gatk.recalibration import empirical_quality, quantise, static_map


def original_qualities(demo):
    """{(name, second of pair): quality string} of the demo's FASTQ files."""
    out = {}
    for lane in ("L001", "L002"):
        for mate in (1, 2):
            with pysam.FastxFile(str(demo / f"demo_{lane}_R{mate}.fastq.gz")) as f:
                for read in f:
                    out[read.name.split("/")[0], mate == 2] = read.quality
    return out


@pytest.fixture(scope="session")
def marked(demo, golden, tmp_path_factory):
    """The demo's duplicate-marked BAM: the golden recalibrated one with the qualities of the FASTQ files put back."""
    qualities = original_qualities(demo)
    out = tmp_path_factory.mktemp("bqsr") / "markdup.bam"
    with pysam.AlignmentFile(str(demo / "golden" / "recalibrated.bam")) as source:
        with pysam.AlignmentFile(str(out), "wb", template=source) as sink:
            for read in source:
                text = qualities[read.query_name, read.is_read2]
                read.query_qualities = pysam.qualitystring_to_array(text[::-1] if read.is_reverse else text)
                sink.write(read)
    assert digest(out) == golden["markdup"]
    pysam.index(str(out))
    return out


@pytest.fixture(scope="session")
def golden(demo):
    return dict(reversed(line.split()) for line in (demo / "golden" / "records.sha256").read_text().splitlines())


def bqsr(demo, marked, out, *more):
    run("bqsr", "-R", demo / "reference.fa.gz", "-I", marked, "--known-sites", demo / "known_sites.vcf.gz", "-O", out, *more)
    return out.read_text()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_table_is_gatks(demo, marked, tmp_path, threads):
    text = bqsr(demo, marked, tmp_path / "t", "--threads", threads)
    assert text == gzip.open(demo / "golden" / "recal.table.gz", "rt").read()


def test_records_are_gatks(demo, golden, marked, tmp_path):
    table = demo / "golden" / "recal.table.gz"
    run("applybqsr", "-I", marked, "-bqsr", table, "-O", tmp_path / "r.bam", "--create-output-bam-md5")
    assert digest(tmp_path / "r.bam") == golden["recalibrated"]
    assert {p.name for p in tmp_path.iterdir()} == {"r.bam", "r.bam.bai", "r.bam.md5"}


def test_parts_gather_to_the_whole(demo, marked, tmp_path):
    with pysam.AlignmentFile(str(marked)) as f:
        contigs, lengths = f.references, f.lengths
    parts = []
    for i, (name, length) in enumerate(zip(contigs, lengths)):
        parts += ["-I", tmp_path / f"{i}.table"]
        bqsr(demo, marked, parts[-1], "-L", f"{name}:1-{length}")
    run("gatherbqsr", *parts, "-O", tmp_path / "all.table")
    assert (tmp_path / "all.table").read_text() == bqsr(demo, marked, tmp_path / "one.table")


def test_interval_selects_whole_reads(demo, marked, tmp_path):
    with pysam.AlignmentFile(str(marked)) as f:
        name = f.references[0]
    by_index = bqsr(demo, marked, tmp_path / "a", "-L", f"{name}:20,001-30,000")
    part = tmp_path / "part.bam"
    pysam.view("-b", "-o", str(part), str(marked), f"{name}:20001-30000", catch_stdout=False)
    assert by_index == bqsr(demo, part, tmp_path / "b")


def test_original_qualities_round_trip(demo, golden, marked, tmp_path):
    table = demo / "golden" / "recal.table.gz"
    run("applybqsr", "-I", marked, "-bqsr", table, "-O", tmp_path / "oq.bam", "--emit-original-quals")
    with pysam.AlignmentFile(str(tmp_path / "oq.bam")) as a, pysam.AlignmentFile(str(marked)) as b:
        for new, old in zip(a.head(2000), b.head(2000)):
            assert new.get_tag("OQ") == old.qual
            assert new.qual != old.qual
    run("applybqsr", "-I", tmp_path / "oq.bam", "-bqsr", table, "-O", tmp_path / "again.bam", "--use-original-qualities")
    with pysam.AlignmentFile(str(tmp_path / "again.bam")) as a, pysam.AlignmentFile(str(tmp_path / "oq.bam")) as b:
        assert all(x.qual == y.qual for x, y in zip(a, b))


@pytest.mark.shared
@pytest.mark.parametrize(
    "name, more",
    [("", []), (".OQ", ["--use-original-qualities"]), (".qq-1", ["--quantize-quals", "-1"]), (".qq6", ["--quantize-quals", "6"]),
     (".SQQ102030", ["-SQQ", "10", "-SQQ", "20", "-SQQ", "30"]),
     (".SQQ102030RDQ", ["-SQQ", "10", "-SQQ", "20", "-SQQ", "30", "--round-down-quantized"])],
)  # fmt: skip
def test_component_cases(shared, tmp_path, name, more):
    folder = shared / "data" / "components" / "apply_bqsr"
    stem = "HiSeq.1mb.1RG.2k_lines.alternate"
    run("applybqsr", "-I", folder / f"{stem}.bam", "-bqsr", folder / "HiSeq.20mb.1RG.table.gz", "-O", tmp_path / "o.bam", *more)
    with pysam.AlignmentFile(str(tmp_path / "o.bam"), check_sq=False) as a:
        with pysam.AlignmentFile(str(folder / f"expected.{stem}.recalibrated.DIQ{name}.bam"), check_sq=False) as b:
            ours, theirs = [r.to_string() for r in a.fetch(until_eof=True)], [r.to_string() for r in b.fetch(until_eof=True)]
    assert ours == theirs


@pytest.mark.shared
@pytest.mark.parametrize("case", ["hg002_chr20", "na12878_chr21", "na12878_chr21/multi_rg"])
def test_goldens(shared, tmp_path, case):
    data, folder = shared / "data" / case.split("/")[0], shared / "golden" / case
    sites = data / "known_sites.vcf.gz"
    run("bqsr", "-R", data / "reference.fa.gz", "-I", folder / "markdup.bam", "--known-sites", sites, "-O", tmp_path / "t")
    assert (tmp_path / "t").read_text() == gzip.open(folder / "recal.table.gz", "rt").read()
    run("applybqsr", "-I", folder / "markdup.bam", "-bqsr", tmp_path / "t", "-O", tmp_path / "o.bam")
    assert digest(tmp_path / "o.bam") == digest(folder / "recalibrated.bam")


def edited_header(marked, out, old, new):
    """A copy of a BAM with one text of its header replaced; its first reads only."""
    with pysam.AlignmentFile(str(marked)) as source:
        text = str(source.header)
        assert old in text
        with pysam.AlignmentFile(str(out), "wb", header=pysam.AlignmentHeader.from_text(text.replace(old, new))) as sink:
            for read in source.head(2000):
                sink.write(read)


def test_bad_input(demo, marked, tmp_path):
    table = demo / "golden" / "recal.table.gz"
    common = ["-R", demo / "reference.fa.gz", "--known-sites", demo / "known_sites.vcf.gz", "-O", tmp_path / "no"]

    def fails(*arguments, says):
        done = run(*arguments, code=2)
        assert says in done.stderr.decode() and len(done.stderr.decode().splitlines()) == 1, done.stderr.decode()
        assert not (tmp_path / "no").exists() and not (tmp_path / "no.bam").exists()

    edited_header(marked, tmp_path / "nopl.bam", "\tPL:ILLUMINA", "")
    fails("bqsr", "-I", tmp_path / "nopl.bam", *common, says="no PL")
    with pysam.AlignmentFile(str(marked)) as f:
        unit = f.header.to_dict()["RG"][0]["PU"]
    edited_header(marked, tmp_path / "rg.bam", f"PU:{unit}", "PU:other")
    fails("applybqsr", "-I", tmp_path / "rg.bam", "-bqsr", table, "-O", tmp_path / "no.bam", says="read group other: is not in")
    run("applybqsr", "-I", tmp_path / "rg.bam", "-bqsr", table, "-O", tmp_path / "yes.bam", "--allow-missing-read-group")
    (tmp_path / "bad.table").write_text("hello\n")
    fails("applybqsr", "-I", marked, "-bqsr", tmp_path / "bad.table", "-O", tmp_path / "no.bam", says="not a recalibration table")
    text = gzip.open(table, "rt").read()
    (tmp_path / "cut.table").write_text(text[: len(text) // 2])
    fails("applybqsr", "-I", marked, "-bqsr", tmp_path / "cut.table", "-O", tmp_path / "no.bam", says="truncated")
    fails("bqsr", "-I", marked, *common, "--maximum-cycle-value", "20", says="longer than the maximum cycle 20")
    fails("bqsr", "-I", marked, *common, "-L", "nowhere:1-5", says="no contig nowhere")
    (tmp_path / "far.bed").write_text("nowhere\t1\t2\n")
    fails("bqsr", "-I", marked, *common, "--known-sites", tmp_path / "far.bed", says="nowhere")


def test_arithmetic_by_hand():
    # Two observations and no error say little against a prior of 30; many errors say much.
    assert empirical_quality([0], [0.0], [30.0])[0] == 30
    assert empirical_quality([10**6], [10.0**5], [30.0])[0] == 10
    assert empirical_quality([10**6], [0.0], [30.0])[0] > 30
    levels = static_map([10, 20, 30], False)
    assert list(levels[:6]) == list(range(6)) and set(levels[6:254]) <= {6, 10, 20, 30} and levels[40] == 30
    assert static_map([10, 20, 30], True)[29] == 20
    counts = np.zeros(94, np.int64)
    counts[[11, 21, 31]] = 1000, 2000, 3000
    assert list(quantise(counts, 16)[[11, 21, 31]]) == [11, 21, 31] and len(set(quantise(counts, 2))) == 2


def test_module_runs_without_shared(demo):
    done = subprocess.run([sys.executable, "-m", "gpugenome.cli", "bqsr", "--help"], capture_output=True, check=True)
    assert b"--known-sites" in done.stdout
