"""What is written beside reads and how: indexes, MD5 files, compression levels."""

import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pysam
import pytest
from test_sort_markdup import digest, run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from fuzz_reads import CONTIGS, Case, Draw, make_reference  # noqa: E402

from gpugenome.cli import cli  # noqa: E402
from gpugenome.errors import InputError  # noqa: E402
from gpugenome.io import bam  # noqa: E402
from gpugenome.io.bgzf import BLOCK_BYTES  # noqa: E402
from gpugenome.io.outputs import AtomicOutput, all_or_none  # noqa: E402
from gpugenome.io.vcf import VariantWriter  # noqa: E402


@pytest.fixture(scope="module")
def random_reads(tmp_path_factory):
    """BAMs of several contigs with unmapped and unplaced reads, sorted by our command with their index, by seed."""
    folder = tmp_path_factory.mktemp("random")
    sequences = make_reference(folder)
    made = []
    for seed in (11, 12, 13):
        (folder / str(seed)).mkdir()
        Case(seed, folder / str(seed), sequences)
        made.append(folder / str(seed))
        sort(made[-1] / "reads.bam", made[-1] / "sorted.bam")
    return made


def sort(source, out, *more):
    cli.main(args=["sort", "-I", str(source), "-O", str(out), "--create-output-bam-index", *more], standalone_mode=False)


def test_index_of_random_reads(random_reads):
    for folder in random_reads:
        mine = folder / "sorted.bam"
        other = folder / "other.bai"
        pysam.index("-o", str(other), str(mine))
        assert pysam.idxstats(str(mine)) == pysam.idxstats("-X", str(mine), str(other))
        draw = Draw(folder.name)
        with pysam.AlignmentFile(str(mine)) as a, pysam.AlignmentFile(str(mine), index_filename=str(other)) as b:
            for _ in range(40):
                contig = draw.choice(list(CONTIGS))
                start = draw.between(0, CONTIGS[contig] - 2)
                region = contig, start, min(CONTIGS[contig], start + draw.between(1, 300))
                assert [r.to_string() for r in a.fetch(*region)] == [r.to_string() for r in b.fetch(*region)]


def test_index_does_not_depend_on_batches(random_reads, tmp_path):
    for folder in random_reads:
        (tmp_path / "small").mkdir(exist_ok=True)
        with bam.create_reads(tmp_path / "small" / "b.bam", bam.open_reads(folder / "sorted.bam").header, 1, 1, True) as out:
            for batch in bam.open_reads(folder / "sorted.bam").batches(5):
                out.write(batch)
        with bam.create_reads(tmp_path / "b.bam", bam.open_reads(folder / "sorted.bam").header, 1, 2, True) as out:
            for batch in bam.open_reads(folder / "sorted.bam").batches(200_000):
                out.write(batch)
        assert (tmp_path / "small" / "b.bam.bai").read_bytes() == (tmp_path / "b.bam.bai").read_bytes()


def test_same_bytes_for_threads_batches_and_memory(random_reads, tmp_path, monkeypatch):
    folder, out = random_reads[0], tmp_path / "out"
    reference, table = folder.parent / "reference.fa", tmp_path / "table"
    commands = [["sort", "-I", folder / "reads.bam", "-O", out / "o.bam", "--sort-order", order, "--create-output-bam-md5"]
                for order in ("coordinate", "queryname", "natural")]  # fmt: skip
    for reads, order in (("sorted.bam", "coordinate"), ("reads.bam", "queryname")):
        commands.append(["markdup", "-I", folder / reads, "-O", out / "o.bam", "-M", out / "m", "--assume-sort-order", order])
    known = "--known-sites", folder / "known.vcf.gz"
    commands.append(["bqsr", "-I", folder / "sorted.bam", "-R", reference, *known, "-O", out / "table"])
    commands.append(["applybqsr", "-I", folder / "sorted.bam", "-bqsr", table, "-O", out / "o.bam"])
    run(*commands[5][:-1], table)
    ways = (1, 200_000, 1 << 30), (2, 50, 1 << 30), (4, 23, 20_000), (1, 200_000, 20_000), (4, 200_000, 60_000)
    for command in commands:
        seen = set()
        for threads, reads, memory in ways:
            out.mkdir()
            settings = {"threads": threads, **({"memory": memory} if command[0] in ("sort", "markdup") else {})}
            monkeypatch.setattr(bam.Reader.batches, "__defaults__", (reads, True))
            cli.main(args=list(map(str, command)), standalone_mode=False, default_map={command[0]: settings})
            lines = {p.name: [x for x in p.read_bytes().split(b"\n") if p.name != "m" or x[:1] != b"#"] for p in sorted(out.iterdir())}
            seen.add(hashlib.md5(repr(lines).encode()).hexdigest())
            shutil.rmtree(out)
        assert len(seen) == 1, command


def test_index_over_many_blocks(demo, tmp_path):
    run("sort", "-I", demo / "golden" / "recalibrated.bam", "-O", tmp_path / "s.bam", "--create-output-bam-index")
    pysam.index("-o", str(tmp_path / "other.bai"), str(tmp_path / "s.bam"))
    assert pysam.idxstats(str(tmp_path / "s.bam")) == pysam.idxstats("-X", str(tmp_path / "s.bam"), str(tmp_path / "other.bai"))
    with pysam.AlignmentFile(str(tmp_path / "s.bam")) as f:
        spans = list(zip(f.references, f.lengths))
        everything = list(f)
        for contig, length in spans:
            for start in range(0, length, length // 7):
                end = min(length, start + 500)
                found = [r.to_string() for r in f.fetch(contig, start, end)]
                assert found == [r.to_string() for r in everything if r.reference_name == contig and r.reference_start < end
                                 and (r.reference_end or r.reference_start + 1) > start]  # fmt: skip


def test_contigs_beyond_512_mb_get_csi(tmp_path):
    text = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:long\tLN:600000000\n@RG\tID:g\tSM:s\n"
    rows = "".join(f"r{i}\t0\tlong\t{p}\t60\t4M\t*\t0\t0\tACGT\tIIII\tRG:Z:g\n" for i, p in enumerate((5, 540_000_000, 599_999_000)))
    (tmp_path / "l.sam").write_text(text + rows)
    sort(tmp_path / "l.sam", tmp_path / "l.bam")
    assert {p.name for p in tmp_path.iterdir()} == {"l.sam", "l.bam", "l.bam.csi"}
    with pysam.AlignmentFile(str(tmp_path / "l.bam")) as f:
        assert [r.query_name for r in f.fetch("long", 530_000_000, 550_000_000)] == ["r1"]


def test_no_index_of_reads_by_name(demo, tmp_path):
    run("sort", "-I", demo / "golden" / "recalibrated.bam", "-O", tmp_path / "n.bam", "-SO", "queryname", "--create-output-bam-index")
    assert [p.name for p in tmp_path.iterdir()] == ["n.bam"]


@pytest.mark.parametrize("level", [0, 1, 2, 3, 9])
def test_levels_and_md5(demo, tmp_path, level):
    out = tmp_path / "s.bam"
    run("sort", "-I", demo / "golden" / "recalibrated.bam", "-O", out, "--ties", "input", "--compression-level", level,
        "--create-output-bam-md5")  # fmt: skip
    assert (tmp_path / "s.bam.md5").read_text() == hashlib.md5(out.read_bytes()).hexdigest()
    assert digest(out) == digest(demo / "golden" / "recalibrated.bam")
    pysam.quickcheck(str(out))


def test_sizes(demo, tmp_path):
    """At the default level, 2 as GATK's, the file is smaller than zlib's; each level makes a smaller one than that before."""
    reads, sizes = demo / "golden" / "recalibrated.bam", []
    for level in ([], *(["--compression-level", level] for level in (0, 1, 2, 6))):
        run("sort", "-I", reads, "-O", tmp_path / "s.bam", "--ties", "input", *level)
        sizes.append((tmp_path / "s.bam").stat().st_size)
    # the level is in the command line of the header, which moves the blocks
    assert sizes[0] == pytest.approx(sizes[3], rel=0.001) and sizes[1:] == sorted(set(sizes[1:]), reverse=True), sizes
    data = gzip.decompress(reads.read_bytes())
    assert sizes[0] < sum(len(zlib.compress(data[i : i + BLOCK_BYTES], 2)) for i in range(0, len(data), BLOCK_BYTES))


def test_no_metrics_without_the_reads(demo, tmp_path):
    reads = demo / "golden" / "recalibrated.bam"
    given = ["markdup", "-I", str(reads), "-O", str(tmp_path / "o.bam"), "-M", str(tmp_path / "m")]
    run(*given)  # what it compiles is kept
    (tmp_path / "o.bam").unlink(), (tmp_path / "m").unlink()
    limit = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)); sys.argv = {['gpugenome', *given]}\n"
    limited = subprocess.run([sys.executable, "-c", limit + "from gpugenome.cli import main; main()"], capture_output=True, text=True)
    assert limited.returncode == 2 and f"{tmp_path / 'o.bam'}: cannot be written: File too large" in limited.stderr, limited.stderr
    assert list(tmp_path.iterdir()) == []


def test_outputs_get_their_names_together(tmp_path, monkeypatch):
    with all_or_none():
        with AtomicOutput(tmp_path / "a") as a, all_or_none():  # one within another is a part of it
            a.write(b"a")
            with AtomicOutput(tmp_path / "b") as b:
                b.write(b"b")
                b.also(tmp_path / "b.index").write(b"i")
        assert all(p.name.startswith(".") for p in tmp_path.iterdir())
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "a", "b": "b", "b.index": "i"}
    with pytest.raises(ZeroDivisionError), all_or_none():
        with AtomicOutput(tmp_path / "a") as a:
            a.write(b"new")
        1 / 0  # noqa: B018
    with pytest.raises(InputError, match="c: cannot be written: Is a directory"), all_or_none():
        for name in "ca":
            with AtomicOutput(tmp_path / name) as out:
                out.write(b"new")
        (tmp_path / "c").mkdir()
    (tmp_path / "c").rmdir()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "a", "b": "b", "b.index": "i"}
    renamed = []

    def interrupted(old, new, rename=os.replace):
        rename(old, new)
        os.kill(os.getpid(), signal.SIGINT)
        renamed.append(Path(new).name)

    monkeypatch.setattr(os, "replace", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a script ignore it
    try:
        with pytest.raises(KeyboardInterrupt), AtomicOutput(tmp_path / "b") as b:
            b.also(tmp_path / "b.index")
    finally:
        signal.signal(signal.SIGINT, before)
    monkeypatch.undo()
    assert renamed == ["b", "b.index"] and len(list(tmp_path.iterdir())) == 3
    with AtomicOutput(tmp_path / "a") as a:  # as always without it
        a.write(b"new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("command", ["haplotypecaller", "germline"])
def test_nothing_is_left_where_the_calls_fail_at_the_end(demo, tmp_path, monkeypatch, command):
    def full(self, suffix, data):
        raise InputError(self.path + suffix, "cannot be written")

    monkeypatch.setattr(VariantWriter, "_companion", full)
    given = [command, "-R", demo / "reference.fa.gz", "-I", demo / "golden" / "recalibrated.bam", "-O", tmp_path / "o.vcf",
             "-L", "demo1:1-3000"]  # fmt: skip
    if command == "haplotypecaller":
        given += ["-bamout", tmp_path / "bo.bam", "--assembly-region-out", tmp_path / "regions"]
    else:
        given += ["--known-sites", demo / "known_sites.vcf.gz", "--out-bam", tmp_path / "o.bam", "--out-recal-file", tmp_path / "t",
                  "--out-duplicate-metrics", tmp_path / "m"]  # fmt: skip
    with pytest.raises(InputError, match="o.vcf.idx: cannot be written"):
        cli.main(args=list(map(str, given)), standalone_mode=False)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    cli.main(args=list(map(str, given)), standalone_mode=False)
    assert len(list(tmp_path.iterdir())) == (5 if command == "haplotypecaller" else 6)
