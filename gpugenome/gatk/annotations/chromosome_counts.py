"""AC, AF, AN. Source: ChromosomeCounts."""

import numpy as np

from gpugenome.gatk.annotations.annotation import STANDARD, Annotation
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import DOUBLE, INT, Field, scalar_field


def _values(e):
    number = e.allele_number
    alts = np.where(number > 0, e.n_alleles - 1, 0)
    offset = np.concatenate([[0], np.cumsum(alts)])
    count = e.alt_count[np.repeat(number > 0, e.n_alleles - 1)]
    return [scalar_field("AN", INT, number, number > 0), Field("AC", INT, count, offset),
            Field("AF", DOUBLE, count / np.repeat(number, alts), offset)]  # fmt: skip


CHROMOSOME_COUNTS = Annotation(
    "ChromosomeCounts", "INFO", (STANDARD,),
    (field_line("INFO", "AC", "A", "Integer", "Allele count in genotypes, for each ALT allele, in the same order as listed"),
     field_line("INFO", "AF", "A", "Float", "Allele Frequency, for each ALT allele, in the same order as listed"),
     field_line("INFO", "AN", "1", "Integer", "Total number of alleles in called genotypes")), _values,
    joint_values=_values,
)  # fmt: skip
