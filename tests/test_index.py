"""`gpugenome index`: the files of bwa index, and the full suffix array, against a sort of all suffixes and against bwa itself."""

import gzip
import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from gpugenome.commands.index import command
from gpugenome.errors import InputError
from gpugenome.io import bwa_index
from gpugenome.io.fasta import Reference
from gpugenome.steps import index as step

needs_bwa = pytest.mark.skipif(shutil.which("bwa") is None, reason="bwa is not installed")


def sorted_suffixes(codes):
    text = bytes(codes + 1)
    return np.array(sorted(range(len(text) + 1), key=lambda i: text[i:]))


def texts():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, 4, int(rng.integers(1, 300))).astype(np.uint8)
        if seed % 3 == 0:
            codes = np.tile(codes[: max(1, len(codes) // 20)], 20)
        if seed % 5 == 0:
            codes[:] = seed % 4
        yield codes


def write_fasta(path, rng):
    """Contigs with repeats, holes of both cases, other letters, and a comment."""
    with open(path, "w") as f:
        for i, n in enumerate((3000, 1, 517, 64)):
            letters = rng.choice(list("ACGTacgt"), n)
            if n > 100:
                letters[50:90] = "N"
                letters[90:95] = "n"
                letters[200:240] = letters[100:140]
                letters[300] = "R"
            f.write(f">chr{i}{' a comment here' if i == 1 else ''}\n")
            text = "".join(letters)
            f.write("\n".join(text[k : k + 60] for k in range(0, n, 60)) + "\n")


def doubled(codes):
    return np.concatenate([codes, 3 - codes[::-1]])


def test_suffix_array_is_the_sorted_order_of_suffixes():
    for codes in texts():
        words, expected = step.doubled_words(codes), sorted_suffixes(doubled(codes))
        for wide in (False, True):
            rows = step.suffix_array(words, 2 * codes.size, wide)
            assert np.array_equal(rows.low, expected) and not rows.high.any()


def test_entries_of_33_bits():
    rng = np.random.default_rng(4)
    places = rng.integers(0, 2**33, 1000)
    low, high = np.empty(1000, np.uint32), np.full(32, 0xF0F0F0F0, np.uint32)
    for i in rng.permutation(1000):
        step.sais.put(low, high, i, places[i])
    assert [step.sais.entry(low, high, i) for i in range(1000)] == places.tolist()
    (lines,) = step.search_rows(step.Rows(low, high))
    assert lines.size == 67 * 8 and [step.kernel.row_place(lines, i) for i in range(1000)] == places.tolist()
    narrow = places.astype(np.uint32)
    assert [step.kernel.row_place(narrow, i) for i in range(1000)] == narrow.tolist()


def test_sampled_suffix_array_expands_to_the_full_one():
    for codes in texts():
        words, n = step.doubled_words(codes), 2 * codes.size
        rows = step.suffix_array(words, n)
        assert np.array_equal(step.expand(step.burrows_wheeler(words, n, rows)), rows.low)
        rows = step.suffix_array(words, n, wide=True)
        (lines,) = step.search_rows(rows)
        assert np.array_equal(step.expand(step.burrows_wheeler(words, n, rows), wide=True), lines)


def test_prefix_table_gives_the_rows_of_each_prefix():
    codes = np.random.default_rng(3).integers(0, 4, 500).astype(np.uint8)
    words = step.doubled_words(codes)
    padded = np.concatenate([doubled(codes), np.zeros(4, np.uint8)]).astype(np.int64)
    sa = step.suffix_array(words, 1000).low
    number = sum(padded[sa + j] << (2 * (3 - j)) for j in range(4))
    assert np.array_equal(step.prefix_table(words, 1000, 4), np.searchsorted(number, np.arange(257)))


def test_unique_lengths_are_the_shortest_matches_that_occur_once():
    for codes in texts():
        words, size = step.doubled_words(codes), 2 * codes.size
        text = bytes(doubled(codes) + 1)
        for wide in (False, True):
            (sa,) = step.search_rows(step.suffix_array(words, size, wide))
            unique = step.unique_lengths(words, size, sa)
            for p, n in enumerate(unique.tolist()):
                once = [m for m in range(1, len(text) - p + 1) if text.find(text[p : p + m]) == text.rfind(text[p : p + m])]
                assert n == (min(once[0], 255) if once else min(len(text) - p + 1, 255))


@needs_bwa
@pytest.mark.parametrize("name", ["demo", "made"])
def test_files_are_those_of_bwa_index(name, demo, tmp_path):
    reference = tmp_path / "reference.fa"
    if name == "demo":
        reference.write_bytes(gzip.decompress((demo / "reference.fa.gz").read_bytes()))
    else:
        write_fasta(reference, np.random.default_rng(1))
    subprocess.run(["bwa", "index", str(reference)], check=True, stderr=subprocess.DEVNULL)
    result = CliRunner().invoke(command, [str(reference), "-p", str(tmp_path / "ours")])
    assert result.exit_code == 0, result.output
    for suffix in bwa_index.SUFFIXES:
        assert (tmp_path / f"ours{suffix}").read_bytes() == (tmp_path / f"reference.fa{suffix}").read_bytes(), suffix
    mapped, expanded = bwa_index.read_index(tmp_path / "ours"), bwa_index.read_index(reference)
    for field in ("offsets", "lengths", "words", "sa", "first"):
        assert np.array_equal(getattr(mapped, field), getattr(expanded, field)), field
    assert mapped.names == expanded.names == Reference(reference).names and mapped.prefix == expanded.prefix
    bwa_index.check_reference(mapped, Reference(reference), reference)


@pytest.fixture
def indexed(tmp_path):
    write_fasta(tmp_path / "reference.fa", np.random.default_rng(2))
    assert CliRunner().invoke(command, [str(tmp_path / "reference.fa")]).exit_code == 0
    return tmp_path / "reference.fa"


def damage(path, how):
    data = bytearray(path.read_bytes())
    path.write_bytes(how(data))


@pytest.mark.parametrize(
    "suffix, how, words",
    [
        (".search", lambda d: d[:-8], "truncated"),
        (".search", lambda d: d[:8] + b"\7" + d[9:], "another version"),
        (".pac", lambda d: bytes([d[0] ^ 64]) + d[1:], "another reference"),
        (".pac", lambda d: d[:-1], "does not belong"),
        (".ann", lambda d: d.replace(b"3000", b"3001"), "do not add up"),
        (".ann", lambda d: b"", "is not an .ann file"),
    ],
)
def test_damaged_files_are_refused(indexed, suffix, how, words):
    damage(indexed.with_name(indexed.name + suffix), how)
    with pytest.raises(InputError, match=words):
        bwa_index.read_index(indexed)


@pytest.mark.parametrize(
    "suffix, how, words",
    [
        (".sa", lambda d: d[:-8], "truncated"),
        (".sa", lambda d: d[:40] + b"\x10" + d[41:], "every 32nd row"),
        (".sa", lambda d: d[:-1] + b"\1", "beyond the reference"),
        (".bwt", lambda d: d[:-4], "truncated"),
        (".bwt", lambda d: d[:8] + bytes([d[8] ^ 1]) + d[9:], "base counts differ"),
    ],
)
def test_damaged_files_of_bwa_are_refused(indexed, suffix, how, words):
    indexed.with_name(indexed.name + ".search").unlink()
    damage(indexed.with_name(indexed.name + suffix), how)
    with pytest.raises(InputError, match=words):
        bwa_index.read_index(indexed)


def test_a_changed_reference_is_refused(indexed):
    index = bwa_index.read_index(indexed)
    text = indexed.read_text()
    indexed.write_text(text.replace("A", "C", 1))
    with pytest.raises(InputError, match="other bases"):
        bwa_index.check_reference(index, Reference(indexed), indexed)
    indexed.write_text(text.replace("chr2", "chrX", 1))
    with pytest.raises(InputError, match="other contigs"):
        bwa_index.check_reference(index, Reference(indexed), indexed)


def test_a_file_of_the_first_version_serves_as_well(indexed):
    """It lacks the table at the end, which is made in memory."""
    path = indexed.with_name(indexed.name + ".search")
    data = path.read_bytes()
    whole = bwa_index.read_index(indexed)
    unique = whole.unique.copy()  # the file is mapped
    path.write_bytes(data[:8] + b"\1" + data[9 : len(data) - 2 * whole.length])
    assert np.array_equal(bwa_index.read_index(indexed).unique, unique)


def test_alt_file_names_the_alternate_contigs(indexed):
    assert not bwa_index.read_alt(indexed, ["chr0", "chr1"]).any()
    indexed.with_name(indexed.name + ".alt").write_text("@SQ\tSN:chr0\nchr1\t0\tchr0\t1\n")
    assert bwa_index.read_alt(indexed, ["chr0", "chr1"]).tolist() == [False, True]
