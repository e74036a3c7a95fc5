"""`hardfilter` against SelectVariants, VariantFiltration and MergeVcfs as recorded."""

import numpy as np
import pytest
from filter_cases import digest, recorded, records, run, write

from gpugenome.errors import UserError
from gpugenome.kernels.variant_filter_cpu import merge_sources


@pytest.mark.parametrize("expected, variants, arguments", recorded("hardfilter"))
def test_records_are_those_of_the_three_tools(tmp_path, expected, variants, arguments):
    run("hardfilter", "-V", variants, "-O", tmp_path / "o.vcf")
    assert digest(tmp_path / "o.vcf") == expected


def test_own_filters_and_types(tmp_path):
    variants = write(
        tmp_path / "v.vcf", "c1 5 . A G 20 . DP=1;QD=9.0 GT 0/1", "c1 6 . A AT 20 . DP=1 GT 0/1", "c1 7 . AC GT 50 . DP=1 GT 0/1",
        "c1 8 . A G,AT 40 . QD=1.0 GT 0/1",
    )  # fmt: skip
    run("hardfilter", "-V", variants, "-O", tmp_path / "o.vcf")
    assert [line.split("\t")[1:7:5] for line in records(tmp_path / "o.vcf")] == [["5", "QUAL30"], ["6", "QUAL30"], ["8", "QD2"]]
    run("hardfilter", "-V", variants, "-O", tmp_path / "o.vcf", "--snp-filter", "low", "DP < 2", "--indel-filter", "x", "QD > 5.0")
    assert [line.split("\t")[1:7:5] for line in records(tmp_path / "o.vcf")] == [["5", "low"], ["6", "PASS"], ["8", "PASS"]]
    lines = (tmp_path / "o.vcf").read_text().splitlines()
    assert '##FILTER=<ID=low,Description="DP < 2">' in lines


def test_qual_counts_as_it_was_written_between_the_tools(tmp_path):
    """29.996 is written as 30 by SelectVariants, so that QUAL < 30.0 does not hold for VariantFiltration."""
    variants = write(tmp_path / "v.vcf", "c1 5 . A G 29.996 . QD=9.0 GT 0/1", "c1 6 . A G 29.994 . QD=9.0 GT 0/1")
    run("hardfilter", "-V", variants, "-O", tmp_path / "o.vcf")
    assert [line.split("\t")[5:7] for line in records(tmp_path / "o.vcf")] == [["30", "PASS"], ["29.99", "QUAL30"]]


def test_order_of_equal_places():
    order = np.empty(7, np.int64)
    last = merge_sources(np.array([1, 5, 5]), np.array([1, 5, 5, 9]), -1, order)
    assert order.tolist() == [0, 3, 1, 4, 2, 5, 6] and last == 1


def test_syntax_error(tmp_path):
    variants = write(tmp_path / "v.vcf", "c1 5 . A G 50 PASS DP=1 GT 0/1")
    with pytest.raises(UserError, match="expression 'QD ><'"):
        run("hardfilter", "-V", variants, "-O", tmp_path / "o.vcf", "--snp-filter", "a", "QD ><")
    assert not (tmp_path / "o.vcf").exists()
