"""Reads by what they show: BQHIST, AS_UNIQ_ALT_READ_COUNT, NCount. Source: BaseQualityHistogram, UniqueAltReadCount, CountNs."""

import numpy as np

from gpugenome.gatk.annotations.annotation import Annotation
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import INT, Field, scalar_field


def _histogram(e):
    values, offset = e.base_quality_histogram()
    return [Field("BQHIST", INT, values, offset, empty=np.ones(len(offset) - 1, bool))]


def _distinct(e):
    offset = e.calls.allele_offset
    counts = np.delete(e.distinct_fragments(), offset[:-1])
    empty = np.ones(len(e.calls), bool)
    return [Field("AS_UNIQ_ALT_READ_COUNT", INT, counts, offset - np.arange(len(offset)), group=1, empty=empty, empty_text="")]


def _count_n(e):
    return [scalar_field("NCount", INT, e.n_bases, np.ones(len(e.calls), bool))]


BASE_QUALITY_HISTOGRAM = Annotation(
    "BaseQualityHistogram", "INFO", (),
    (field_line("INFO", "BQHIST", "A", "Integer",
                "Base quality counts for each allele represented sparsely as alternating entries of qualities and counts for each allele."
                "For example [10,1,0,20,0,1] means one ref base with quality 10 and one alt base with quality 20."),), _histogram,
)  # fmt: skip
UNIQUE_ALT_READ_COUNT = Annotation(
    "UniqueAltReadCount", "INFO", (),
    (field_line("INFO", "AS_UNIQ_ALT_READ_COUNT", "A", "Integer",
                "Number of reads with unique start and mate end positions for each alt at a variant site"),), _distinct,
)  # fmt: skip
COUNT_NS = Annotation(
    "CountNs", "INFO", (), (field_line("INFO", "NCount", "1", "Integer", "Count of N bases in the pileup"),), _count_n
)
