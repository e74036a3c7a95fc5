"""HEC, HAPCOMP, HAPDOM: how complex the assembly around a call was. Source: AssemblyComplexity."""

import numpy as np

from gpugenome.gatk.annotations.annotation import Annotation
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import DOUBLE, INT, Field


def _values(e):
    support, support_offset, distance, dominance = e.assembly_complexity()
    offset = e.calls.allele_offset - np.arange(len(e.calls.allele_offset))
    empty = np.ones(len(e.calls), bool)
    return [Field("HEC", INT, support, support_offset), Field("HAPCOMP", INT, distance, offset, empty=empty),
            Field("HAPDOM", DOUBLE, dominance, offset, empty=empty)]  # fmt: skip


ASSEMBLY_COMPLEXITY = Annotation(
    "AssemblyComplexity", "INFO", (),
    (field_line("INFO", "HEC", ".", "Integer", "Counts of support for haplotype groups excluding difference at the site in question."),
     field_line("INFO", "HAPCOMP", "A", "Integer",
                "Edit distances of each alt allele's most common supporting haplotype from closest germline haplotype, "
                "excluding differences at the site in question."),
     field_line("INFO", "HAPDOM", "A", "Float",
                "For each alt allele, fraction of read support that best fits the most-supported haplotype containing the allele")),
    _values,
)  # fmt: skip
