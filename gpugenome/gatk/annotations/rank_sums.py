"""Rank sums of ALT against REF reads. Source: RankSumTest and its subclasses, AS_RankSumTest and its subclasses."""

import numpy as np

from gpugenome.gatk.annotations.annotation import ALLELE_SPECIFIC, STANDARD, Annotation, no_values
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import FIXED, HISTOGRAM, Field, scalar_field


def _test(name, key, description, values_of, groups=(STANDARD,)):
    def values(e):
        z = e.rank_sums(values_of(e))
        return [scalar_field(key, FIXED, z, ~np.isnan(z), 3)]

    return Annotation(name, "INFO", groups, (field_line("INFO", key, "1", "Float", description),), values)


def _allele_test(name, key, description, values_of, final_description):
    raw = key.replace("AS_", "AS_RAW_")

    def values(e):
        return [Field(raw, HISTOGRAM, e.allele_rank_sums(values_of(e)), e.calls.allele_offset)]

    return Annotation(
        name, "INFO", (ALLELE_SPECIFIC,), (field_line("INFO", key, "A", "Float", final_description),), no_values,
        (field_line("INFO", raw, "1", "String", description),), values, joint_values=lambda e: e.allele_medians(key, raw), raw_keys=(raw,),
    )  # fmt: skip


BASE_QUALITY = _test("BaseQualityRankSumTest", "BaseQRankSum", "Z-score from Wilcoxon rank sum test of Alt Vs. Ref base qualities",
                     lambda e: e.base_quality)  # fmt: skip
MAPPING_QUALITY = _test("MappingQualityRankSumTest", "MQRankSum",
                        "Z-score From Wilcoxon rank sum test of Alt vs. Ref read mapping qualities",
                        lambda e: e.mapping_quality)  # fmt: skip
READ_POSITION = _test("ReadPosRankSumTest", "ReadPosRankSum", "Z-score from Wilcoxon rank sum test of Alt vs. Ref read position bias",
                      lambda e: e.position)  # fmt: skip
CLIPPING = _test("ClippingRankSumTest", "ClippingRankSum",
                 "Z-score From Wilcoxon rank sum test of Alt vs. Ref number of hard clipped bases", lambda e: e.clipped, ())  # fmt: skip
LIKELIHOOD = _test("LikelihoodRankSumTest", "LikelihoodRankSum",
                   "Z-score from Wilcoxon rank sum test of Alt Vs. Ref haplotype likelihoods", lambda e: e.best_likelihood, ())  # fmt: skip
AS_BASE_QUALITY = _allele_test(
    "AS_BaseQualityRankSumTest", "AS_BaseQRankSum", "raw data for allele specific rank sum test of base qualities",
    lambda e: e.base_quality, "allele specific Z-score from Wilcoxon rank sum test of each Alt Vs. Ref base qualities",
)  # fmt: skip
AS_MAPPING_QUALITY = _allele_test(
    "AS_MappingQualityRankSumTest", "AS_MQRankSum", "Allele-specfic raw data for Mapping Quality Rank Sum", lambda e: e.mapping_quality,
    "Allele-specific Mapping Quality Rank Sum",
)  # fmt: skip
AS_READ_POSITION = _allele_test(
    "AS_ReadPosRankSumTest", "AS_ReadPosRankSum", "allele specific raw data for rank sum test of read position bias", lambda e: e.position,
    "allele specific Z-score from Wilcoxon rank sum test of each Alt vs. Ref read position bias",
)  # fmt: skip
