"""Merging SAM headers and checking them against a reference."""

import pytest

from gpugenome.batch import Header
from gpugenome.errors import InputError
from gpugenome.io.headers import check_dictionary, merge_headers

SQ = "@SQ\tSN:c1\tLN:100\n@SQ\tSN:c2\tLN:50\n"


def header(*groups, sq=SQ, pg=""):
    return Header.from_text("@HD\tVN:1.6\tSO:coordinate\n" + sq + "".join(f"@RG\t{g}\n" for g in groups) + pg)


def test_equal_groups_become_one_and_others_are_renamed():
    a = header("ID:1\tSM:s\tPU:x", "ID:2\tSM:s", pg="@PG\tID:bwa\n")
    b = header("ID:1\tSM:s\tPU:y", "ID:2\tSM:s", pg="@PG\tID:bwa\n")
    merged, renames = merge_headers([a, b], ["a.bam", "b.bam"])
    assert [g["ID"] for g in merged.read_groups] == ["1", "2", "1.1"]
    assert renames == [{}, {"1": "1.1"}]
    assert merged.sort_order == "unsorted" and merged.text.count("@PG") == 1
    assert merged.contig_names == ["c1", "c2"]


def test_other_contigs_are_refused():
    with pytest.raises(InputError, match="b.bam: header: its contigs are not those of a.bam"):
        merge_headers([header(), header(sq="@SQ\tSN:c1\tLN:99\n")], ["a.bam", "b.bam"])


def test_dictionary_check_names_the_contig():
    check_dictionary(header(), "x.bam", ["c0", "c1", "c2"], [5, 100, 50], "r.fa")
    with pytest.raises(InputError, match="contig c2 has 50 bp, but 51 bp in the reference r.fa"):
        check_dictionary(header(), "x.bam", ["c1", "c2"], [100, 51], "r.fa")
    with pytest.raises(InputError, match=r"contig c2 \(50 bp\) is not in the reference"):
        check_dictionary(header(), "x.bam", ["c1"], [100], "r.fa")
