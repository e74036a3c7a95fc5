"""Depths: INFO DP, FORMAT AD, FORMAT DP, FORMAT AF. Source: Coverage, DepthPerAlleleBySample, DepthPerSampleHC, AlleleFraction."""

import numpy as np

from gpugenome.gatk import vcf_lines
from gpugenome.gatk.annotations.annotation import STANDARD, STANDARD_HC, Annotation
from gpugenome.variant_fields import DOUBLE, INT, scalar_field


def _coverage(e):
    return [scalar_field("DP", INT, e.depth, e.depth > 0)]


def _allele_depths(e):
    return [e.rows_where("AD", INT, e.allele_depth, e.sample_alleles, e.called)]


def _sample_depth(e):
    return [scalar_field("DP", INT, e.sample_depth, e.called)]


def _allele_fraction(e):
    alts = e.sample_alleles - 1
    offset = np.concatenate([[0], np.cumsum(e.sample_alleles)])
    with np.errstate(invalid="ignore"):
        fraction = e.allele_depth / np.repeat(e.sample_depth, e.sample_alleles)
    is_alt = np.ones(len(fraction), bool)
    is_alt[offset[:-1]] = False
    field = e.rows_where("AF", DOUBLE, fraction[is_alt], alts, e.called & e.has_allele_depth)
    field.empty = e.called & e.has_allele_depth
    return [field]


COVERAGE = Annotation(
    "Coverage", "INFO", (STANDARD,),
    (vcf_lines.field_line("INFO", "DP", "1", "Integer", "Approximate read depth; some reads may have been filtered"),), _coverage,
)  # fmt: skip
DEPTH_PER_ALLELE_BY_SAMPLE = Annotation("DepthPerAlleleBySample", "FORMAT", (STANDARD,), (vcf_lines.AD,), _allele_depths)
DEPTH_PER_SAMPLE_HC = Annotation("DepthPerSampleHC", "FORMAT", (STANDARD_HC,), (vcf_lines.DP,), _sample_depth)
ALLELE_FRACTION = Annotation(
    "AlleleFraction", "FORMAT", (),
    (vcf_lines.field_line("FORMAT", "AF", "A", "Float", "Allele fractions of alternate alleles in the tumor"),), _allele_fraction,
    joint_values=_allele_fraction,
)  # fmt: skip
