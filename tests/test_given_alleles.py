"""--alleles: reading the VCF, and calls against GATK's recorded outputs."""

import numpy as np
import pytest
from recorded_calls import recorded, run_recorded

from gpugenome.errors import InputError
from gpugenome.io.given_alleles import read_given_alleles

BASES = np.frombuffer(b"ACGTACGTTTTTACGCAAAA" * 5, np.uint8)
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def read(folder, *rows, with_filtered=False):
    path = folder / "given.vcf"
    path.write_text(HEADER + "".join("\t".join(str(w) for w in r) + "\n" for r in rows))
    return read_given_alleles(str(path), ["c1", "c2"], lambda ref_id: BASES, with_filtered, 2)


def row(pos, ref, alt, contig="c1", filters="PASS", info="."):
    return contig, pos, ".", ref, alt, ".", filters, info


def events(given, ref_id=0):
    e = given.events[ref_id]
    return [(int(e.start[k]), int(e.ref_length[k]), e.alt[e.alt_offset[k] : e.alt_offset[k + 1]].tobytes().decode())
            for k in range(len(e.start))]  # fmt: skip


@pytest.mark.parametrize("name", [n for n in recorded() if n.startswith("alleles")])
def test_is_what_gatk_wrote(name, demo, tmp_path):
    ours, expected = run_recorded(name, demo, tmp_path)
    assert ours == expected


def test_records_are_split_and_cut(tmp_path):
    given = read(
        tmp_path, row(1, "A", "t"), row(2, "CGT", "C"), row(3, "GT", "GTT,G,*"), row(4, "T", "A,<NON_REF>"), row(5, "ACG", "TCG"),
        row(9, "TTTT", "TTT,A"), row(13, "ACGC", "*"), row(17, "A", "."), row(30, "T", "G", info="AC=1;END=40"),
        row(1, "A", "C", contig="c9"),
    )  # fmt: skip
    assert events(given) == [
        (0, 1, "T"), (1, 3, "C"), (2, 1, "GT"), (2, 2, "G"), (2, 1, "*"), (3, 1, "A"), (3, 1, "<NON_REF>"), (4, 1, "T"), (8, 2, "T"),
        (8, 4, "A"), (12, 4, "*"), (29, 1, "G"),
    ]  # fmt: skip
    assert list(given.events) == [0]
    assert np.flatnonzero(given.mask(0, 100)).tolist() == [*range(7), *range(8, 17), *range(29, 40)] and given.mask(1, 100) is None


def test_filtered_records(tmp_path):
    rows = row(1, "A", "C", filters="."), row(2, "C", "A", filters="bad"), row(3, "G", "A", filters="PASS")
    assert [e[0] for e in events(read(tmp_path, *rows))] == [0, 2]
    assert [e[0] for e in events(read(tmp_path, *rows, with_filtered=True))] == [0, 1, 2]
    assert np.flatnonzero(read(tmp_path, *rows).mask(0, 100)).tolist() == [0, 2]


@pytest.mark.parametrize(
    "rows, message",
    [
        ([row(1, "C", "A")], "record 1: c1:1 C A: REF is not what the reference has there"),
        ([row(1, "A", "C"), row(100, "AA", "C")], "record 2: c1:100 AA C: REF is not what the reference has there"),
        ([row(1, "A", "C,")], "expected REF and ALT of the bases ACGTN"),
        ([row(1, "A", "R")], "expected REF and ALT of the bases ACGTN"),
        ([row(9, "TTTT", "TTT")], "record 1: c1:9 TTTT TTT: one of REF and ALT is the end of the other"),
        ([row(9, "T", "TT"), row(5, "A", "C")], "is not sorted by contig and position"),
        ([row(1, "A", "C"), row(1, "A", "C", contig="c2"), row(2, "C", "A")], "is not sorted by contig and position"),
        ([row("x", "A", "C")], "POS is not a number"),
    ],
)
def test_bad_records(rows, message, tmp_path):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        read(tmp_path, *rows)
