"""The aligner against the records of bwa mem 0.7.17: demo data, real reads, made cases for its options; bad input."""

import gzip
import os
import random
import shutil
import struct
import subprocess
import sys
from functools import partial

import pysam
import pytest
from aligner_cases import CASES, GROUP, digest, files_of, run_bwa, write_case

from gpugenome.backend import Backend
from gpugenome.batch import Header
from gpugenome.cli import cli
from gpugenome.commands.align import aligned_reads
from gpugenome.errors import UserError
from gpugenome.io import bwa_index
from gpugenome.io.bam import create_reads
from gpugenome.io.fasta import Reference
from gpugenome.steps import alignment_tasks
from gpugenome.steps import index as index_steps

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
    prefix = tmp_path_factory.mktemp("index") / "demo"
    run("index", demo / "reference.fa.gz", "--prefix", prefix)
    return prefix


def lane(demo, number):
    return ["--fastq", demo / f"demo_L00{number}_R1.fastq.gz", demo / f"demo_L00{number}_R2.fastq.gz"]


def test_two_lanes_piped_to_marked_duplicates(demo, golden, index, tmp_path):
    options = ["align", "-R", demo / "reference.fa.gz", *lane(demo, 1), *lane(demo, 2), "--bwa-index", index, "-O", "-", "--threads", "2"]
    aligned = run(*options).stdout
    (tmp_path / "a.bam").write_bytes(aligned)
    assert digest(tmp_path / "a.bam") == golden["aligned"]
    with pysam.AlignmentFile(str(tmp_path / "a.bam")) as f:
        groups = f.header.to_dict()["RG"]
        programs = [p["PN"] for p in f.header.to_dict()["PG"]]
    unit = "HDEMOCXX.1"
    assert groups[0] == {"ID": unit, "SM": "demo", "LB": "demo", "PL": "ILLUMINA", "PU": unit} and len(groups) == 2
    assert programs == ["gpugenome align"]
    sort = run("sort", "-I", "-", "-O", "-", input=aligned)
    run("markdup", "-I", "-", "-O", tmp_path / "m.bam", "-M", tmp_path / "m.txt", input=sort.stdout)
    assert digest(tmp_path / "m.bam") == golden["markdup"]
    broken = run("sort", "-I", "-", "-O", tmp_path / "s.bam", input=aligned[:-28], code=2)
    assert b"without BGZF end marker" in broken.stderr and not (tmp_path / "s.bam").exists()


def align(folder, options, how, threads=1):
    """Align a case in this process; the BAM file."""
    chosen = {"fastq": [[str(p) for p in files_of(folder, how)]], "interleaved": how == "interleaved", "bwa_options": options,
              "bwa_index": None, "read_groups": [GROUP]}  # fmt: skip
    reads = aligned_reads(chosen, Reference(folder / "ref.fa"), Backend("cpu", threads))
    with create_reads(str(folder / "out.bam"), Header.from_text(reads.header.text), 1, 1) as out:
        for batch in reads.batches():
            out.write(batch)
    return folder / "out.bam"


# What bwa 0.7.17 makes of the cases: `python tests/aligner_cases.py`.
DIGESTS = {
    "-K 30000 -Y": "236b6429b794f0bc",
    "-K 30000 -M -C": "4b652298c77f9fa2",
    "-a -j": "b525da5188cd637b",
    "-5 -j": "84c1f17b74e212d2",
    "-q -S": "791bdb7be948637a",
    "-P -T 20": "d2262d954c70dd01",
    "-j -I 260,40,420,100": "c6c937dfe6acbe8c",
    "-B 3 -O 5 -E 2 -L 4 -U 9": "235e81c241efab8f",
    "-j -k 15 -w 20 -d 40 -c 50 -m 3": "4968d18ebc4be737",
    "-A 2 -O 4,9 -E 2,1 -L 3,12": "c116321c6de021af",
    "-h 2,30 -D 0.3 -r 1.1 -W 25": "9b6ac4bbf2e24e3b",
    "-k 11 -r 1 -X 0.3 -y 0 -s 3 -G 400": "7fee377e470eb7f4",
    "-K 20000 -j -Y": "2037a8fcaf5b45a3",
    "-Y": "392569ef9aea6067",
    "-a": "fbeab755c9fda878",
    "-j -T 20": "40916e19ba3d2e6e",
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    write_case(folder)
    run("index", folder / "ref.fa")
    return folder


@pytest.mark.parametrize("options", CASES)
def test_options_against_bwas_records(case, options):
    for threads in (1, 2):
        assert digest(align(case, options, CASES[options], threads))[:16] == DIGESTS[options]


@pytest.mark.parametrize("options", ["-K 30000 -Y", "-B 3 -O 5 -E 2 -L 4 -U 9", "-A 2 -O 4,9 -E 2,1 -L 3,12", "-a"])
@pytest.mark.parametrize("least", [1, 40])
def test_extensions_and_rescues_in_batches(case, options, least, monkeypatch):
    """What a GPU does ahead, here done by the twins on the CPU: the same records, whatever is left to where it comes up."""
    done = []

    class Ahead(alignment_tasks.AlignmentTasks):
        def __init__(self, *arguments):
            super().__init__(*arguments, ahead=True, least=(least, least))

        def _run_there(self, name, tasks, codes, groups):
            done.extend([name] * len(groups))
            return super()._run_there(name, tasks, codes, groups)

    monkeypatch.setattr("gpugenome.steps.align.AlignmentTasks", Ahead)
    for threads in (1, 2):
        assert digest(align(case, options, CASES[options], threads))[:16] == DIGESTS[options]
    assert "extend_tasks" in done and (least > 1 or ("local_tasks" in done) == (CASES[options] == "pairs"))


def test_an_index_of_33_bit_rows(tmp_path, monkeypatch):
    """That of references beyond 2^31 bases: from a file and made in memory."""
    write_case(tmp_path)
    monkeypatch.setattr(index_steps, "suffix_array", partial(index_steps.suffix_array, wide=True))
    assert digest(align(tmp_path, "-Y", CASES["-Y"]))[:16] == DIGESTS["-Y"]
    bwa_index.build_index(tmp_path / "ref.fa", bwa_index.pack(Reference(tmp_path / "ref.fa")))
    assert bwa_index.read_index(tmp_path / "ref.fa").sa.dtype == "uint64"
    for options in ("-Y", "-K 30000 -Y"):
        assert digest(align(tmp_path, options, CASES[options]))[:16] == DIGESTS[options]


@needs_bwa
def test_other_reads_against_the_installed_bwa(tmp_path):
    """Lengths where rescue takes the 16-bit code, an index that bwa made, and one that is made in memory."""
    write_case(tmp_path, 2, 60, 280)
    made = {how: digest(align(tmp_path, "-j", how)) for how in ("pairs", "single")}
    subprocess.run(["bwa", "index", tmp_path / "ref.fa"], check=True, capture_output=True)
    for how, found in made.items():
        assert found == digest(run_bwa(tmp_path, "-j", how)) == digest(align(tmp_path, "-j", how))


@pytest.mark.shared
@pytest.mark.parametrize("sample", ["hg002_chr20", "na12878_chr21"])
def test_real_reads(shared, tmp_path, sample):
    data, golden = shared / "data" / sample, shared / "golden" / sample / "aligned.bam"
    with pysam.AlignmentFile(str(golden)) as f:
        group = "\\t".join(x for x in str(f.header).splitlines() if x.startswith("@RG")).replace("\t", "\\t")
    run("align", "-R", data / "reference.fa.gz", "--fastq", data / "reads_R1.fastq.gz", data / "reads_R2.fastq.gz",
        "--read-group", group, "-O", tmp_path / "a.bam")  # fmt: skip
    assert records(tmp_path / "a.bam") == records(golden)


def test_reads_that_align_nowhere_and_a_very_long_one(case, tmp_path):
    rng = random.Random(5)
    junk = ["".join(rng.choices("ACGT", k=n)) for n in (0, 1, 30, 300)] + ["N" * 100, "acgtRYKMn"]
    with open(case / "ref.fa") as f:
        sequence = "".join(line.strip() for line in f.read().split(">")[1].splitlines()[1:])
    reads = [*junk, (sequence * 10)[:100_000], sequence[100:200].lower()]
    (case / "r1.fq").write_text("".join(f"@r{i}\n{s}\n+\n{'I' * len(s)}\n" for i, s in enumerate(reads)))
    with pysam.AlignmentFile(str(align(case, "", "single"))) as f:
        found = {}
        for r in f.fetch(until_eof=True):
            found.setdefault(r.query_name, r)
    assert all(found[f"r{i}"].is_unmapped for i in range(len(junk)))
    assert found["r5"].query_sequence == "ACGTNNNNN"
    long = found[f"r{len(junk)}"]
    assert not long.is_unmapped and long.query_alignment_length == len(sequence) and long.query_length == 100_000
    assert found[f"r{len(reads) - 1}"].pos == 100 and found[f"r{len(reads) - 1}"].cigarstring == "100M"


def test_bad_fastq_and_options(demo, index, tmp_path):
    reads = [gzip.open(demo / f"demo_L001_R{k}.fastq.gz", "rt").read().splitlines() for k in (1, 2)]
    for name, lines in (("a_1.fq", reads[0]), ("a_2.fq", reads[1][:-4]), ("b_2.fq", [*reads[1][:-1], "I"])):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "name.fq").write_text(f"@{'x' * 255}\nACGT\n+\nIIII\n")
    (tmp_path / "long.fq").write_text(f"@x\n{'A' * (1 << 20)}\n+\n{'I' * (1 << 20)}\n")
    (tmp_path / "comment.fq").write_text("@x 1:N:0:ACGT\nACGT\n+\nIIII\n")
    (tmp_path / "fasta.fq").write_text(">x\nACGT\n")
    (tmp_path / "none.fq").write_text("")
    base = ["align", "-R", demo / "reference.fa.gz", "--bwa-index", index, "-O", tmp_path / "x.bam", "--fastq"]
    a, n = tmp_path / "a_1.fq", len(reads[0]) // 4
    refused = [
        ([a, tmp_path / "a_2.fq"], f"{tmp_path}/a_2.fq: record {n - 1}: ends after this record"),
        ([a, tmp_path / "b_2.fq"], f"{tmp_path}/b_2.fq: record {n}"),
        ([a, a], "is given twice"),
        ([a, tmp_path / "missing.fq"], "missing.fq: no such file"),
        ([a, tmp_path / "a_2.fq", "--interleaved"], "expected one file"),
        ([tmp_path / "none.fq"], "none.fq: is empty"),
        ([tmp_path / "fasta.fq"], "fasta.fq: is not FASTQ"),
        ([tmp_path / "name.fq"], "name.fq: read xxxx"),
        ([tmp_path / "long.fq"], "long.fq: read x: has 1048576 bases"),
        ([tmp_path / "comment.fq", "--bwa-options", "-C"], "comment.fq: read 1: has a comment that is no SAM tag"),
        ([a, "--bwa-options", "-t4"], "--bwa-options: -t is not for the aligner, say --threads"),
        ([a, "--bwa-options", "-x pacbio"], "--bwa-options: -x is not supported"),
        ([a, "--bwa-options", "-Z"], "--bwa-options: option -Z not recognized"),
        ([a, "--bwa-options", "-k"], "--bwa-options: option -k requires argument"),
        ([a, "--bwa-options", "-k 3"], "--bwa-options: -k 3: expected an integer from 4"),
        ([a, "--bwa-options", "-w 1,2"], "--bwa-options: -w 1,2: expected an integer"),
        ([a, "--bwa-options", "-I x"], "--bwa-options: -I x: expected a number"),
        ([a, "--bwa-options", "more"], "--bwa-options: more is no option"),
        ([a, "--read-group", "x"], "does not begin with @RG"),
    ]
    for more, message in refused:
        assert message in refusal(*base, *more)
        assert not (tmp_path / "x.bam").exists()
    assert b"expected one or two FASTQ files" in run(*base, "--threads", "1", code=2).stderr


def test_references_and_indices_that_do_not_fit(tmp_path):
    write_case(tmp_path, pairs=2)
    run("index", tmp_path / "ref.fa")
    arguments = ["align", "-R", tmp_path / "ref.fa", "--fastq", tmp_path / "r1.fq", "-O", tmp_path / "x.bam"]
    text = (tmp_path / "ref.fa").read_text()
    (tmp_path / "ref.fa").write_text(text.replace("AC", "AG", 1))
    assert "has other bases than" in refusal(*arguments)
    (tmp_path / "ref.fa").write_text(text + "A\n")
    assert "has other contigs than" in refusal(*arguments)
    (tmp_path / "ref.fa").write_text(text)
    os.truncate(tmp_path / "ref.fa.search", 5000)
    assert "ref.fa.search: is truncated" in refusal(*arguments)
    assert not (tmp_path / "x.bam").exists()
