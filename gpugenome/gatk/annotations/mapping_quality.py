"""Mapping qualities of all reads. Source: RMSMappingQuality, MappingQualityZero, AS_RMSMappingQuality."""

import numpy as np

from gpugenome.gatk.annotations.annotation import ALLELE_SPECIFIC, STANDARD, Annotation, no_values
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import FIXED, INT, Field, scalar_field


def _root_mean_square(e):
    squares, n = e.mapping_quality_squares
    with np.errstate(invalid="ignore"):
        return [scalar_field("MQ", FIXED, np.sqrt(squares / n), e.depth > 0, 2)]


def _of_raw_sums(e):
    squares, n = e.raw_mapping_quality[:, 0], e.raw_mapping_quality[:, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return [scalar_field("MQ", FIXED, np.sqrt(squares / n), n >= 0, 2)]


def _of_raw_sums_by_allele(e):
    squares, present, _ = e.allele_sums("AS_RAW_MQ")
    with np.errstate(invalid="ignore", divide="ignore"):
        return [e.by_alt("AS_MQ", FIXED, np.sqrt(squares[:, 0] / e.summed_allele_depth), present, 2)]


def _raw(e):
    squares, n = e.mapping_quality_squares
    present = e.depth > 0
    return [Field("RAW_MQandDP", INT, np.stack([squares, n], 1)[present].reshape(-1), np.concatenate([[0], np.cumsum(2 * present)]))]


def _raw_by_allele(e):
    return [Field("AS_RAW_MQ", FIXED, e.allele_mapping_quality_squares, e.calls.allele_offset, 2, group=1)]


def _zeros(e):
    return [scalar_field("MQ0", INT, e.mapping_quality_zeros, np.diff(e.calls.allele_offset) > 1)]


RMS_MAPPING_QUALITY = Annotation(
    "RMSMappingQuality", "INFO", (STANDARD,), (field_line("INFO", "MQ", "1", "Float", "RMS Mapping Quality"),), _root_mean_square,
    (field_line("INFO", "RAW_MQandDP", "2", "Integer",
                "Raw data (sum of squared MQ and total depth) for improved RMS Mapping Quality calculation. "
                "Incompatible with deprecated RAW_MQ formulation."),), _raw, joint_values=_of_raw_sums,
    raw_keys=("RAW_MQandDP",),
)  # fmt: skip
AS_RMS_MAPPING_QUALITY = Annotation(
    "AS_RMSMappingQuality", "INFO", (ALLELE_SPECIFIC,),
    (field_line("INFO", "AS_MQ", "A", "Float", "Allele-specific RMS Mapping Quality"),), no_values,
    (field_line("INFO", "AS_RAW_MQ", "1", "String", "Allele-specfic raw data for RMS Mapping Quality"),), _raw_by_allele,
    joint_values=_of_raw_sums_by_allele, raw_keys=("AS_RAW_MQ",),
)  # fmt: skip
MAPPING_QUALITY_ZERO = Annotation(
    "MappingQualityZero", "INFO", (), (field_line("INFO", "MQ0", "1", "Integer", "Total Mapping Quality Zero Reads"),), _zeros
)
