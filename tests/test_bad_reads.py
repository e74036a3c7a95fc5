"""Damaged and contradictory alignments: one line that names file and record, exit code 2, and nothing under the final name."""

import gzip
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pysam
import pytest
from test_sort_markdup import run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import strict_reads  # noqa: E402

from gpugenome.cli import cli  # noqa: E402
from gpugenome.errors import InputError, UserError  # noqa: E402
from gpugenome.io.bam import open_reads  # noqa: E402
from gpugenome.io.bgzf import EOF_BLOCK, BgzfReader, compress  # noqa: E402

HEADER = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:c1\tLN:1000\n@SQ\tSN:c2\tLN:500\n@RG\tID:g\tSM:s\tLB:l\tPL:ILLUMINA\n"
BASES = "ACGTACGTAC"
QUAL = "IIIIIIIIII"
REF_ID, POS, MAPQ, N_CIGAR, FLAG, SEQ_LENGTH, MATE_REF, MATE_POS = 4, 8, 13, 16, 18, 20, 24, 28


def row(name, flag=0, contig="c1", pos=100, cigar="10M", mate="*\t0\t0", tags="RG:Z:g\tNM:i:0"):
    return f"{name}\t{flag}\t{contig}\t{pos}\t60\t{cigar}\t{mate}\t{BASES}\t{QUAL}\t{tags}\n"


def sound():
    """The rows of a good file; record 3 is one of a pair."""
    return [
        row("a"),
        row("b", pos=120, cigar="2S8M"),
        row("p", 99, pos=200, mate="=\t300\t110"),
        row("p", 147, pos=300, mate="=\t200\t-110"),
    ]


def bam_bytes(tmp_path, rows, header=HEADER):
    """The inflated bytes of a BAM, and where its records begin."""
    text, out = tmp_path / "made.sam", tmp_path / "made.bam"
    text.write_text(header + "".join(rows))
    pysam.view("--no-PG", "-b", "-o", str(out), str(text), catch_stdout=False)
    data = bytearray(gzip.decompress(out.read_bytes()))
    at = 12 + struct.unpack_from("<i", data, 4)[0]
    for _ in range(struct.unpack_from("<i", data, at - 4)[0]):
        at += 8 + struct.unpack_from("<i", data, at)[0]
    starts = []
    while at < len(data):
        starts.append(at)
        at += 4 + struct.unpack_from("<i", data, at)[0]
    return data, starts


def write(path, data):
    path.write_bytes(compress(np.frombuffer(bytes(data), np.uint8), 1, 1))


def refused(command, bad, tmp_path, *more):
    """The message with which a command refuses a file."""
    out = tmp_path / ("out.table" if command == "bqsr" else "out.bam")
    with pytest.raises(UserError) as caught:
        cli.main(args=[command, "-I", str(bad), "-O", str(out), *map(str, more)], standalone_mode=False)
    text = str(caught.value)
    assert caught.value.exit_code == 2 and "\n" not in text and text.startswith(str(bad))
    assert [p for p in tmp_path.iterdir() if "out." in p.name] == []
    return text


def test_the_sound_file_is_accepted(tmp_path):
    write(tmp_path / "good.bam", bam_bytes(tmp_path, sound())[0])
    for command in ("sort", "markdup"):
        cli.main(args=[command, "-I", str(tmp_path / "good.bam"), "-O", str(tmp_path / f"{command}.bam")], standalone_mode=False)
        with pysam.AlignmentFile(str(tmp_path / f"{command}.bam")) as f:
            assert [r.query_name for r in f.fetch(until_eof=True)] == ["a", "b", "p", "p"]


def poke(kind, at, *values):
    """A change of one number of record 3, or of some that follow each other."""

    def change(data, start):
        struct.pack_into(kind, data, start + at, *values)

    return change


def change_qualities(data, start):
    name, cigars = data[start + 12], struct.unpack_from("<H", data, start + N_CIGAR)[0]
    data[start + 36 + name + 4 * cigars + 5 + 3] = 94


def change_cigar(data, start):
    struct.pack_into("<I", data, start + 36 + data[start + 12], 11 << 4)


def change_name(data, start):
    data[start + 35 + data[start + 12]] = 65


def change_tags(data, start):
    end = start + 4 + struct.unpack_from("<i", data, start)[0]
    data[end - 2] = ord("i")  # NM:C:0 becomes NM:i with one byte left


CHANGES = {
    "contig number": (poke("<i", REF_ID, 2), "its contig number is not in the header"),
    "position beyond its contig": (poke("<i", POS, 1000), "begins beyond the end of its contig"),
    "mate's contig number": (poke("<i", MATE_REF, 7), "its mate lies on a contig that is not in the header"),
    "mate beyond its contig": (poke("<i", MATE_POS, 5000), "or beyond the contig's end"),
    "quality above 93": (change_qualities, "base quality above 93"),
    "CIGAR and sequence": (change_cigar, "CIGAR does not fit its sequence"),
    "sequence longer than the record": (poke("<i", SEQ_LENGTH, 4000), "fields are longer than the record"),
    "more CIGAR than the record has": (poke("<H", N_CIGAR, 60000), "fields are longer than the record"),
    "name": (change_name, "read name does not end"),
    "tags": (change_tags, "tags do not end where the record does"),
}


@pytest.mark.parametrize("command", ["sort", "markdup"])
@pytest.mark.parametrize("what", CHANGES)
def test_record_that_contradicts_itself_or_the_header(tmp_path, command, what):
    change, says = CHANGES[what]
    data, starts = bam_bytes(tmp_path, sound())
    change(data, starts[2])
    write(tmp_path / "bad.bam", data)
    text = refused(command, tmp_path / "bad.bam", tmp_path)
    assert says in text and ": record 3 (" in text


def unmapped_nowhere(data, start):
    for kind, at, value in (("B", MAPQ, 0), ("<H", FLAG, 99 | 4), ("<i", REF_ID, -1)):
        poke(kind, at, value)(data, start)


CONTRADICTIONS = {  # of record 3, whose flag is 99: what Picard refuses where it is to be strict
    "not paired": (poke("<H", FLAG, 98), "it is not paired, but has a flag of pairs or a contig of its mate"),
    "mate without contig": (poke("<i", MATE_REF, -1), "its mate has a position, but no contig"),
    "mate without position": (poke("<i", MATE_POS, -1), "its mate has a contig, but no position"),
    "mate nowhere": (poke("<ii", MATE_REF, -1, -1), "its mate is mapped, but has no contig"),
    "neither end": (poke("<H", FLAG, 35), "it is paired, but neither the first nor the second of its pair"),
    "secondary and unmapped": (poke("<H", FLAG, 99 | 4 | 256), "it is unmapped, but secondary, supplementary or with a mapping quality"),
    "unmapped with a quality": (poke("<H", FLAG, 99 | 4), "it is unmapped, but secondary, supplementary or with a mapping quality"),
    "mapped nowhere": (poke("<ii", REF_ID, -1, -1), "it is mapped, but has no contig or no CIGAR"),
    "position without contig": (unmapped_nowhere, "it has a position, but no contig"),
    "contig without position": (poke("<i", POS, -1), "it has a contig, but no position"),
}


@pytest.mark.parametrize("command", ["sort", "markdup"])
@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_flags_and_mates_that_contradict(tmp_path, command, what):
    """They are refused unless it is said that they are to be taken, as by Picard."""
    change, says = CONTRADICTIONS[what]
    data, starts = bam_bytes(tmp_path, sound(), HEADER.replace("SO:coordinate", "SO:unsorted"))
    change(data, starts[2])
    write(tmp_path / "bad.bam", data)
    more = ["--assume-sort-order", "queryname"] if command == "markdup" else []
    text = refused(command, tmp_path / "bad.bam", tmp_path, *more)
    assert text.endswith(f"bad.bam: record 3 (p): {says} (--VALIDATION_STRINGENCY SILENT takes it)")
    run(command, "-I", tmp_path / "bad.bam", "-O", tmp_path / "s.bam", "--VALIDATION_STRINGENCY", "SILENT", *more)
    with pysam.AlignmentFile(str(tmp_path / "s.bam")) as f:
        assert len(list(f.fetch(until_eof=True))) == 4


def test_every_combination_of_flags_and_places():
    """What Picard said of each (`benchmarks/strict_reads.py`): 32,324 of 32,768 are refused."""
    refused = strict_reads.ours(*strict_reads.records())
    assert refused.sum() == 32324
    assert strict_reads.digest(refused) == "1e9c61314b9219b4a2d5d4220172ec1fb7d442a7c979180b46ba53856393c955"


def test_block_sizes_of_records(tmp_path):
    data, starts = bam_bytes(tmp_path, sound())
    short = bytearray(data)
    struct.pack_into("<i", short, starts[2], 12)
    write(tmp_path / "bad.bam", short)
    assert "record 3: its block size is impossible" in refused("sort", tmp_path / "bad.bam", tmp_path)
    long = bytearray(data)
    struct.pack_into("<i", long, starts[3], 10_000)
    write(tmp_path / "bad.bam", long)
    assert "record 4: the file is truncated inside a record" in refused("sort", tmp_path / "bad.bam", tmp_path)


@pytest.mark.parametrize("command", ["sort", "markdup"])
def test_damaged_blocks(tmp_path, command):
    rows = [row(f"r{i}", pos=100 + i // 40) for i in range(20_000)]
    data, _ = bam_bytes(tmp_path, rows)
    whole = compress(np.frombuffer(bytes(data), np.uint8), 1, 1)
    bad = tmp_path / "bad.bam"
    bad.write_bytes(whole[: len(whole) // 2])
    text = refused(command, bad, tmp_path)
    assert "byte " in text and "truncated inside a BGZF block" in text
    second = int.from_bytes(whole[16:18], "little") + 1
    crc = second + int.from_bytes(whole[second + 16 : second + 18], "little") + 1 - 8
    bad.write_bytes(whole[:crc] + bytes([whole[crc] ^ 1]) + whole[crc + 1 :])
    text = refused(command, bad, tmp_path)
    assert f"BGZF block at byte {second}: wrong CRC" in text
    bad.write_bytes(whole[:second] + b"\x1f\x8b\x08\x00" + whole[second + 4 :])
    assert f"byte {second}" in refused(command, bad, tmp_path)
    middle = second + 100
    bad.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    assert f"BGZF block at byte {second}" in refused(command, bad, tmp_path)
    (tmp_path / "cut.bam").write_bytes(whole[: -len(EOF_BLOCK)])
    done = run("sort", "-I", tmp_path / "cut.bam", "-O", tmp_path / "x.bam")
    assert b"no BGZF end marker" in done.stderr


@pytest.mark.parametrize(
    "order, names, broken",
    [("coordinate", "ba", 2), ("queryname", ["r1", "r3", "r2"], 3), ("queryname", ["r10", "r9", "r10"], 3),
     ("queryname", ["r1", "r2", "r10", "r9"], 4)],
)  # fmt: skip
def test_reads_out_of_the_claimed_order(tmp_path, order, names, broken):
    rows = [row(n, pos=400 - 100 * i if order == "coordinate" else 100) for i, n in enumerate(names)]
    write(tmp_path / "bad.bam", bam_bytes(tmp_path, rows, HEADER.replace("SO:coordinate", f"SO:{order}"))[0])
    text = refused("markdup", tmp_path / "bad.bam", tmp_path)
    assert text.endswith(f"record {broken}: is not in {order} order, as its header claims")
    # To be sorted is what such a file needs.
    cli.main(args=["sort", "-I", str(tmp_path / "bad.bam"), "-O", str(tmp_path / "sorted.bam")], standalone_mode=False)


@pytest.mark.parametrize("names", [["r1", "r10", "r10", "r9"], ["r1", "r9", "r9", "r10"]])
def test_names_in_either_order_are_accepted(tmp_path, names):
    write(tmp_path / "good.bam", bam_bytes(tmp_path, map(row, names), HEADER.replace("SO:coordinate", "SO:queryname"))[0])
    cli.main(args=["markdup", "-I", str(tmp_path / "good.bam"), "-O", str(tmp_path / "m.bam")], standalone_mode=False)


def test_read_group_that_the_header_lacks(tmp_path):
    rows = [row("a"), row("b", tags="RG:Z:gg")]
    write(tmp_path / "bad.bam", bam_bytes(tmp_path, rows)[0])
    for command in ("sort", "markdup"):
        text = refused(command, tmp_path / "bad.bam", tmp_path)
        assert text.endswith("record 2 (b): its read group gg has no @RG line in the header")


@pytest.mark.parametrize("command", ["sort", "markdup"])
@pytest.mark.parametrize(
    "wrong, says",
    [(row("b", contig="c9"), 'unrecognized reference name "c9"'), (row("b", mate="c9\t1\t0"), 'unrecognized mate reference name "c9"'),
     (row("b", cigar="9M"), "CIGAR and query sequence are of different length"), (row("b", cigar="*"), "mapped query must have a CIGAR"),
     (row("b", pos="x"), "Parse error"), (row("b").replace(QUAL, QUAL[1:]), "SEQ and QUAL are of different length")],
)  # fmt: skip
def test_lines_of_sam(tmp_path, command, wrong, says):
    bad = tmp_path / "bad.sam"
    bad.write_text(HEADER + row("u", 4, cigar="*").replace("\t60\t", "\t0\t") + row("a") + wrong + row("c"))
    text = refused(command, bad, tmp_path)
    assert text.startswith(f"{bad}: line 7: cannot be read as SAM or CRAM: ") and says in text


@pytest.mark.parametrize(
    "line, says",
    [("@SQ\tSN:c1\tLN:1000\n", "its contig c1 comes twice"), ("@RG\tSM:x\n", "an @RG line has no ID"),
     ("@SQ\tLN:7\n", "an @SQ line has no SN, or no number as its LN"), ("@SQ\tSN:c3\tLN:x\n", "an @SQ line has no SN, or no number")],
)  # fmt: skip
def test_headers_of_bam(tmp_path, line, says):
    data, starts = bam_bytes(tmp_path, sound())
    text = (HEADER + line).encode()
    contigs = [(b"c1\0", 1000), (b"c2\0", 500), *([(b"c1\0", 1000)] if "c1" in line else [])]
    head = [b"BAM\1", struct.pack("<i", len(text)), text, struct.pack("<i", len(contigs))]
    head += [struct.pack("<i", 3) + name + struct.pack("<i", length) for name, length in contigs]
    write(tmp_path / "bad.bam", b"".join(head) + data[starts[0] :])
    assert f"bad.bam: header: {says}" in refused("sort", tmp_path / "bad.bam", tmp_path)


def test_damaged_cram(tmp_path):
    reference, bad = tmp_path / "ref.fa", tmp_path / "bad.cram"
    reference.write_text(">c1\n" + "ACGTA" * 200 + "\n>c2\n" + "ACGTC" * 100 + "\n")
    made = tmp_path / "made.sam"
    made.write_text(HEADER + "".join(row(f"r{i}", pos=100 + i // 40) for i in range(20_000)))
    pysam.view("--no-PG", "-C", "-T", str(reference), "-o", str(bad), str(made), catch_stdout=False)
    whole = bad.read_bytes()
    given = "-R", str(reference)
    bad.write_bytes(whole[: len(whole) * 2 // 3])
    assert "bad.cram: after record 10000: cannot be read as SAM or CRAM" in refused("sort", bad, tmp_path, *given)
    at = len(whole) * 2 // 3
    bad.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    assert "CRC32 failure" in refused("markdup", bad, tmp_path, *given)
    bad.write_bytes(whole[:-38])
    assert refused("sort", bad, tmp_path, *given) == f"{bad}: after record 20000: is truncated, it has no CRAM end marker"
    done = run("sort", "-I", "-", "-O", tmp_path / "y.bam", *given, input=whole[:-38], code=2)
    assert b"-: after record 20000: is truncated" in done.stderr and not (tmp_path / "y.bam").exists()
    run("sort", "-I", "-", "-O", tmp_path / "y.bam", *given, input=whole)


def test_text_that_is_no_sam(tmp_path):
    bad = tmp_path / "bad.bam"
    bad.write_text("hello world\n")
    text = refused("sort", bad, tmp_path)
    assert text == f'{bad}: cannot be read as SAM or CRAM: [main_samview] fail to read the header from "{bad}".'


def test_sam_leaves_nothing_beside_the_reference(tmp_path, demo):
    (tmp_path / "ref.fa").write_text(">c1\n" + "ACGTA" * 200 + "\n>c2\n" + "ACGTC" * 100 + "\n")
    (tmp_path / "a.sam").write_text(HEADER + row("a"))
    run("sort", "-I", tmp_path / "a.sam", "-R", tmp_path / "ref.fa", "-O", tmp_path / "o.bam")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.sam", "o.bam", "ref.fa"]
    (tmp_path / "b.sam").write_text("@HD\tVN:1.6\tSO:coordinate\n@RG\tID:g\tSM:s\n")  # contigs do not come from the reference
    done = run("haplotypecaller", "-I", tmp_path / "b.sam", "-R", tmp_path / "ref.fa", "-O", tmp_path / "o.vcf", code=2)
    assert b"has no @SQ lines in its header" in done.stderr


def test_second_record_for_the_same_mate(tmp_path):
    rows = [row("p", 65, pos=100, mate="c2\t50\t0"), row("p", 65, pos=110, mate="c2\t60\t0")]
    write(tmp_path / "bad.bam", bam_bytes(tmp_path, rows)[0])
    text = refused("markdup", tmp_path / "bad.bam", tmp_path)
    assert "record 2 (p): a second record of this read waits for the same mate" in text


def test_recalibration_refuses_too(tmp_path, demo):
    with pysam.AlignmentFile(str(demo / "golden" / "recalibrated.bam")) as f:
        header = str(f.header)
    contig = header.split("SN:")[1].split("\t")[0].split("\n")[0]
    group = header.split("@RG\tID:")[1].split("\t")[0]
    rows = [row(n, contig=contig, pos=p, tags=f"RG:Z:{group}") for n, p in (("a", 100), ("b", 200), ("c", 300))]
    data, starts = bam_bytes(tmp_path, rows, header)
    change_qualities(data, starts[1])
    write(tmp_path / "bad.bam", data)
    more = ["-R", demo / "reference.fa.gz", "--known-sites", demo / "known_sites.vcf.gz"]
    assert "record 2 (b): it has a base quality above 93" in refused("bqsr", tmp_path / "bad.bam", tmp_path, *more)
    table = ["-bqsr", demo / "golden" / "recal.table.gz"]
    assert "record 2 (b): it has a base quality above 93" in refused("applybqsr", tmp_path / "bad.bam", tmp_path, *table)


def test_exit_code_and_message(tmp_path):
    data, starts = bam_bytes(tmp_path, sound())
    change_cigar(data, starts[2])
    write(tmp_path / "bad.bam", data)
    done = run("markdup", "-I", tmp_path / "bad.bam", "-O", tmp_path / "out.bam", code=2)
    assert done.stderr.decode() == f"gpugenome: error: {tmp_path / 'bad.bam'}: record 3 (p): its CIGAR does not fit its sequence\n"


def test_a_range_is_read_while_chunks_are_read_ahead(tmp_path):
    text = np.random.default_rng(5).integers(0, 4, 400_000).astype(np.uint8)
    path = tmp_path / "x.gz"
    path.write_bytes(compress(text))
    for _ in range(20):
        reader = BgzfReader(str(path), 2, chunk_bytes=130_000)
        chunks = reader.chunks()
        seen = [next(chunks)]  # and the next one is on its way
        assert (np.concatenate(list(reader.range_chunks(0, 1 << 40))) == text).all()
        assert (np.concatenate([*seen, *chunks]) == text).all()


@pytest.mark.parametrize("command", ["sort", "markdup"])
def test_a_contig_longer_than_bam_can_say(tmp_path, command):
    path = tmp_path / "long.sam"
    path.write_text(HEADER.replace("LN:1000\n", "LN:10001009800\n") + "".join(sound()))
    assert "long.sam: header: its contig c1 has 10001009800 bp, expected 2147483647 at most" in refused(command, path, tmp_path)


@pytest.fixture
def indexed(demo, tmp_path):
    """The path of a BAM with its .bai."""
    path = tmp_path / "x.bam"
    path.write_bytes((demo / "golden" / "recalibrated.bam").read_bytes())
    pysam.index(str(path))
    return path


def test_a_range_of_many_pieces(indexed):
    wanted = [(0, 5_000, 60_000), (0, 60_200, 60_300), (1, 100, 30_000)]
    lines = [x.split("\t") for x in pysam.view("-M", str(indexed), *(f"demo{c + 1}:{a + 1}-{b}" for c, a, b in wanted)).splitlines()]
    assert len(lines) > 10_000
    for chunk_bytes in (70_000, 1_000_000, 1 << 30):
        reader = open_reads(str(indexed), threads=2)
        reader._bgzf._chunk_bytes = chunk_bytes
        found = [x for b in reader.fetch_intervals(wanted, 1_000) for x in zip(b.ref_id.tolist(), b.pos.tolist(), b.flag.tolist())]
        assert found == [(int(f[2][4:]) - 1, int(f[3]) - 1, int(f[1])) for f in lines]


def test_an_old_index_is_named(indexed, tmp_path):
    written = tmp_path / "again.bam"
    pysam.view("-b", "--no-PG", "--output-fmt-option", "level=1", "-o", str(written), str(indexed), catch_stdout=False)
    os.replace(written, indexed)
    os.utime(f"{indexed}.bai", (1, 1))
    with pytest.raises(InputError, match=r"\(its index .*x\.bam\.bai is older than it\)"):
        list(open_reads(str(indexed)).fetch(0, 100_000, 120_000))
