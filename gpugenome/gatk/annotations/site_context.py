"""The reference around a site: REF_BASES; STR, RU, RPA. Source: ReferenceBases, TandemRepeat."""

import numpy as np

from gpugenome.gatk.annotations.annotation import Annotation
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import INT, TEXT, Field, flag_field

FLANK_BP = 10


def _reference_bases(e):
    width, n, length = 2 * FLANK_BP + 1, len(e.calls), len(e.bases)
    at = np.maximum(e.calls.start[:, None] - FLANK_BP, 0) + np.arange(width)
    text = np.where(at < length, e.bases[np.minimum(at, length - 1)], ord("N")).astype(np.uint8)
    return [Field("REF_BASES", TEXT, text.reshape(-1), np.arange(n + 1, dtype=np.int64) * width)]


def _tandem_repeat(e):
    present, units, unit, unit_offset = e.tandem_repeats()
    return [flag_field("STR", present), Field("RU", TEXT, unit, unit_offset), e.rows_where("RPA", INT, units, e.n_alleles, present)]


REFERENCE_BASES = Annotation(
    "ReferenceBases", "INFO", (), (field_line("INFO", "REF_BASES", "1", "String", "local reference bases."),), _reference_bases,
    joint_values=_reference_bases,
)  # fmt: skip
TANDEM_REPEAT = Annotation(
    "TandemRepeat", "INFO", (),
    (field_line("INFO", "STR", "0", "Flag", "Variant is a short tandem repeat"),
     field_line("INFO", "RU", "1", "String", "Tandem repeat unit (bases)"),
     field_line("INFO", "RPA", "R", "Integer",
                "Number of times tandem repeat unit is repeated, for each allele (including reference)")), _tandem_repeat,
    joint_values=_tandem_repeat,
)  # fmt: skip
