"""Reading FASTQ in all its wrappings, and refusing what is broken with the file and the record."""

import gzip
import re

import numpy as np
import pytest

from gpugenome.errors import InputError, UserError
from gpugenome.io.bgzf import compress
from gpugenome.io.fastq import FastqFile, FastqReads
from gpugenome.io.read_groups import derive_read_group, distinct_read_groups, parse_read_group, read_group_line


def records(n, mate=1, seed=1):
    """Text lines of n records, four each."""
    rng = np.random.default_rng(seed + mate)
    out = []
    for i in range(n):
        length = int(rng.integers(0, 60))
        bases = "".join(rng.choice(list("ACGTN"), length))
        quals = "".join(chr(c) for c in rng.integers(33, 127, length))
        out += [f"@inst:1:FC:{1 + i % 4}:11:{i}:5/{mate} {mate}:N:0:ACGT", bases, "+", quals]
    return out


def text(lines, end="\n"):
    return "".join(x + end for x in lines).encode()


WRAPPINGS = {
    "plain": lambda raw: raw,
    "no last newline": lambda raw: raw[:-1],
    "blank lines at the end": lambda raw: raw + b"\n\n",
    "carriage returns": lambda raw: raw.replace(b"\n", b"\r\n"),
    "gzip": gzip.compress,
    "gzip members": lambda raw: b"".join(gzip.compress(raw[a : a + 5000]) for a in range(0, len(raw), 5000)) + b"\0" * 100,
    "bgzip": lambda raw: compress(np.frombuffer(raw, np.uint8)),
}


def read(path, most=700):
    """Names, bases and qualities of a file, as three lists of bytes."""
    out = [], [], []
    for b in FastqFile(path).batches(most):
        for start, size, values in ((b.name_start, b.name_length, out[0]), (b.seq_start, b.seq_length, out[1]),
                                    (b.qual_start, b.seq_length, out[2])):  # fmt: skip
            values += [bytes(b.data[s : s + n]) for s, n in zip(start, size)]
        if len(b) < most:
            assert len(b) == len(out[0]) % most
    return out


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_gives_the_same_records(tmp_path, wrapping):
    lines = [*records(3000), "@last", "ACG", "+", "III"]
    (tmp_path / "x.fq").write_bytes(WRAPPINGS[wrapping](text(lines)))
    names, bases, quals = read(tmp_path / "x.fq")
    assert names == [x[1:].split()[0].removesuffix("/1").encode() for x in lines[::4]]
    assert bases == [x.encode() for x in lines[1::4]]
    assert quals == [x.encode() for x in lines[3::4]]


def with_line(k, value):
    lines = records(100)
    lines[k] = value
    return text(lines)


BAD = {
    "empty": (b"", "is empty"),
    "only a blank line": (b"\n", "is empty"),
    "empty gzip": (gzip.compress(b""), "is empty"),
    "no FASTQ": (b"hello world\nthis is text\n", "is not FASTQ"),
    "FASTA": (b">a\nACGT\n>b\nACGT\n", "is not FASTQ"),
    "qualities too short": (with_line(4 * 41 + 3, "I" * 61), r"record 42 \(inst:1:FC:2:11:41:5/1\): its sequence has \d+ bases, but 61"),
    "no plus": (with_line(4 * 9 + 2, "x"), "record 10 .*third line"),
    "no at": (with_line(4 * 9, "x"), "record 10: its first line"),
    "no name": (with_line(4 * 9, "@ x"), "record 10 .*it has no read name"),
    "base": (text([*records(9), "@x", "AC1", "+", "III"]), r"record 10 \(x\): its sequence has a character"),
    "quality": (text([*records(9), "@x", "ACG", "+", "I I"]), r"record 10 \(x\): it has a quality"),
    "cut in a sequence": (text(records(50)) + b"@last\nACGTAC", "truncated inside a record"),
    "cut in a quality": (text(records(50)) + b"@last\nACGTAC\n+\nIII", "record 51: the file is truncated inside a record"),
    "cut gzip": (gzip.compress(text(records(2000)))[:-2000], "truncated"),
    "cut gzip trailer": (gzip.compress(text(records(2000)))[:-3], "truncated"),
    "damaged gzip": (gzip.compress(text(records(2000)))[:3000] + b"\x55" * 3000, "damaged|not FASTQ|record"),
    "cut bgzip": (compress(np.frombuffer(text(records(2000)), np.uint8))[:-500], "BGZF block"),
    "other data after gzip": (gzip.compress(text(records(20))) + b"xxxx", "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("problem", BAD)
def test_broken_files_are_refused_with_their_place(tmp_path, problem):
    raw, message = BAD[problem]
    (tmp_path / "x.fq").write_bytes(raw)
    with pytest.raises(InputError) as e:
        read(tmp_path / "x.fq")
    assert str(e.value).startswith(f"{tmp_path}/x.fq: ") and re.search(message, str(e.value)), str(e.value)
    assert "\n" not in str(e.value)


def pair(tmp_path, first, second):
    for name, lines in (("a_R1.fq", first), ("a_R2.fq", second)):
        (tmp_path / name).write_bytes(text(lines))
    reads = FastqReads([str(tmp_path / "a_R1.fq"), str(tmp_path / "a_R2.fq")])
    return reads, list(reads.batches())


def test_pairs_and_interleaved_reads_agree(tmp_path):
    first, second = records(1000, 1), records(1000, 2)
    reads, batches = pair(tmp_path, first, second)
    assert reads.first_name == "inst:1:FC:1:11:0:5" and sum(b.reads for b in batches) == 2000
    both = [x for i in range(0, 4000, 4) for x in first[i : i + 4] + second[i : i + 4]]
    (tmp_path / "i.fq").write_bytes(text(both))
    woven = list(FastqReads([tmp_path / "i.fq"], interleaved=True).batches())
    for side in ("first", "second"):
        columns = []
        for source in (batches, woven):
            rows = [getattr(f, side) for f in source]
            columns.append([bytes(b.data[s : s + n]) for b in rows for s, n in zip(b.seq_start, b.seq_length)])
        assert columns[0] == columns[1] and len(columns[0]) == 1000
    assert b"".join(bytes(f.text[0]) for f in woven) == text(both)


def test_mates_out_of_step(tmp_path):
    first, second = records(100, 1), records(100, 2)
    with pytest.raises(InputError, match="a_R1.fq: record 31: is inst.* but inst.* out of step"):
        pair(tmp_path, first, second[:120] + second[124:] + second[:4])
    with pytest.raises(InputError, match="a_R2.fq: record 99: ends after this record, but .*a_R1.fq goes on"):
        pair(tmp_path, first, second[:-4])
    with pytest.raises(InputError, match="a_R1.fq: record 99: ends after this record, but .*a_R2.fq goes on"):
        pair(tmp_path, first[:-4], second)
    (tmp_path / "i.fq").write_bytes(text(records(4)))
    with pytest.raises(InputError, match="i.fq: record 1: is inst.*the two reads of a fragment"):
        FastqReads([tmp_path / "i.fq"], interleaved=True)
    (tmp_path / "i.fq").write_bytes(text(records(3)))
    with pytest.raises(InputError, match="i.fq: record 3 .*has no mate"):
        FastqReads([tmp_path / "i.fq"], interleaved=True)


NAMES = {
    ("NA12878_S1_L001_R1_001.fastq.gz", "A00217:76:HFLT3DSXX:2:1101:1:2"): ("HFLT3DSXX.2", "NA12878"),
    ("dir/demo_L002_R1.fastq.gz", "DEMOSEQ:7:HDEMOCXX:1:1101:1055:3592"): ("HDEMOCXX.1", "demo"),
    ("sample_1.fq", "HWUSI-EAS100R:6:73:941:1973#0"): ("HWUSI-EAS100R.6", "sample"),
    ("SRR062634_1.filt.fastq.gz", "SRR062634.1"): ("SRR062634_1.filt", "SRR062634_1.filt"),
    ("x.R1.fastq.bgz", "read1"): ("x", "x"),
}


@pytest.mark.parametrize("case", NAMES)
def test_read_groups_from_names(case):
    path, name = case
    unit, sample = NAMES[case]
    group = derive_read_group([path, path.replace("R1", "R2")], name)
    assert group == {"ID": unit, "SM": sample, "LB": sample, "PL": "ILLUMINA", "PU": unit}


def test_read_groups_of_the_user():
    assert parse_read_group(r"@RG\tID:a.1\tSM:b c\tDS:x:y") == {"ID": "a.1", "SM": "b c", "DS": "x:y"}
    assert read_group_line(parse_read_group("@RG\tID:a\tSM:b")) == "@RG\tID:a\tSM:b"
    for bad in ("ID:a", r"@RG\tID:a", r"@RG\tSM:a", r"@RG\tID:a\tSM:b\tID:c", r"@RG\tID:a\tSM", r"@RG\tID:\tSM:b", "", r"@RG\nID:a\tSM:b"):
        with pytest.raises(UserError, match="--read-group"):
            parse_read_group(bad)
    one, other = {"ID": "f.1", "SM": "a"}, {"ID": "f.1", "SM": "b"}
    assert [g["ID"] for g in distinct_read_groups([one, dict(one), other])] == ["f.1", "f.1", "f.1.b"]
    with pytest.raises(UserError, match="standard input"):
        derive_read_group(["-"], "x")
