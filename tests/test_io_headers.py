"""Merging SAM headers and checking them against a reference."""

import pytest

from gpugenome.batch import Header
from gpugenome.errors import InputError
from gpugenome.io.headers import check_dictionary, merge_headers

SQ = "@SQ\tSN:c1\tLN:100\n@SQ\tSN:c2\tLN:50\n"


def header(*groups, sq=SQ, pg=""):
    return Header.from_text("@HD\tVN:1.6\tSO:coordinate\n" + sq + "".join(f"@RG\t{g}\n" for g in groups) + pg)


def test_equal_groups_become_one_and_others_are_renamed():
    a = header("ID:1\tSM:s\tPU:x", "ID:2\tSM:s", pg="@PG\tID:bwa\n@CO\tx\n")
    b = header("ID:1\tSM:s\tPU:y", "ID:2\tSM:s", pg="@PG\tID:bwa\n@CO\tx\n")
    merged, groups, programs = merge_headers([a, b], ["a.bam", "b.bam"])
    assert [g["ID"] for g in merged.read_groups] == ["1", "1.1", "2"]
    assert groups == [{}, {"1": "1.1"}] and programs == [{}, {}]
    assert merged.sort_order == "unsorted" and merged.text.count("@PG") == 1 and merged.text.count("@CO") == 2
    assert merged.contig_names == ["c1", "c2"]


def test_programs_keep_the_ones_before_them():
    a = header(pg="@PG\tID:sort\tPP:bwa\tCL:1\n@PG\tID:bwa\tCL:a\n")
    b = header(pg="@PG\tID:bwa\tCL:b\n@PG\tID:sort\tCL:1\tPP:bwa\n@PG\tID:lost\tPP:none\n")
    merged, _, programs = merge_headers([a, b], ["a.bam", "b.bam"])
    assert [x for x in merged.text.splitlines() if x.startswith("@PG")] == [
        "@PG\tID:bwa\tCL:a", "@PG\tID:bwa.1\tCL:b", "@PG\tID:lost\tPP:none", "@PG\tID:sort\tPP:bwa\tCL:1",
        "@PG\tID:sort.4\tCL:1\tPP:bwa.1",
    ]  # fmt: skip
    assert programs == [{}, {"bwa": "bwa.1", "sort": "sort.4"}]


def test_other_contigs_are_refused():
    with pytest.raises(InputError, match="b.bam: header: its contigs are not those of a.bam"):
        merge_headers([header(), header(sq="@SQ\tSN:c1\tLN:99\n")], ["a.bam", "b.bam"])


def test_dictionary_check_names_the_contig():
    check_dictionary(header(), "x.bam", ["c0", "c1", "c2"], [5, 100, 50], "r.fa")
    with pytest.raises(InputError, match="contig c2 has 50 bp, but 51 bp in the reference r.fa"):
        check_dictionary(header(), "x.bam", ["c1", "c2"], [100, 51], "r.fa")
    with pytest.raises(InputError, match=r"contig c2 \(50 bp\) is not in the reference"):
        check_dictionary(header(), "x.bam", ["c1"], [100], "r.fa")
