"""Medians over the reads of each allele: MBQ, MMQ, MFRL, MPOS. Source: PerAlleleAnnotation and its subclasses."""

import numpy as np

from gpugenome.gatk.annotations.annotation import Annotation
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import INT, Field


def _per_allele(name, key, description, values_of, without_reads):
    def values(e):
        return [Field(key, INT, e.medians(values_of(e), without_reads), e.calls.allele_offset)]

    return Annotation(name, "INFO", (), (field_line("INFO", key, "R", "Integer", description),), values)


def _positions(e):
    median = e.medians(np.where(e.spans, e.position, np.nan), 50)
    offset = e.calls.allele_offset
    return [Field("MPOS", INT, np.delete(median, offset[:-1]), offset - np.arange(len(offset)), empty=np.ones(len(offset) - 1, bool))]


BASE_QUALITY = _per_allele("BaseQuality", "MBQ", "median base quality by allele", lambda e: e.base_quality, 0)
MAPPING_QUALITY = _per_allele("MappingQuality", "MMQ", "median mapping quality by allele", lambda e: e.mapping_quality, 60)
FRAGMENT_LENGTH = _per_allele("FragmentLength", "MFRL", "median fragment length by allele", lambda e: e.fragment_length, 0)
READ_POSITION = Annotation(
    "ReadPosition", "INFO", (), (field_line("INFO", "MPOS", "A", "Integer", "median distance from end of read"),), _positions
)
