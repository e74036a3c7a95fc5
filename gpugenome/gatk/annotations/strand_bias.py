"""FS, SOR, SB and the allele-specific strand table. Source: FisherStrand, StrandOddsRatio, StrandBiasBySample, AS_StrandBiasTest."""

import numpy as np

from gpugenome.gatk.annotations.annotation import ALLELE_SPECIFIC, STANDARD, Annotation, no_values
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import FIXED, INT, Field, scalar_field

FISHER_MIN_READS = 2
"""Informative reads that a sample must exceed for its table to count in FS (and in AS_SB_TABLE)."""


def _fisher(e):
    return [scalar_field("FS", FIXED, e.strand_bias[0], (e.n_alleles > 1) & e.has_strands, 3)]


def _odds(e):
    return [scalar_field("SOR", FIXED, e.strand_bias[1], (e.n_alleles > 1) & e.has_strands, 3)]


def _by_sample(e):
    return [e.rows_where("SB", INT, e.strand_table.reshape(-1), np.full(len(e.called), 4), e.called)]


def _allele_table(e):
    enough = e.strand_table.reshape(-1, e.samples, 4).sum(2) > FISHER_MIN_READS
    return [Field("AS_SB_TABLE", INT, e.allele_strands(enough), 2 * e.calls.allele_offset, group=2)]


def _by_alt(e, key, which):
    tests, present, empty = e.allele_strand_bias
    return [e.by_alt(key, FIXED, tests[which], present, 3, empty)]


_TABLE_LINE = field_line(
    "INFO", "AS_SB_TABLE", "1", "String",
    "Allele-specific forward/reverse read counts for strand bias tests. Includes the reference and alleles separated by |.",
)  # fmt: skip
FISHER_STRAND = Annotation(
    "FisherStrand", "INFO", (STANDARD,),
    (field_line("INFO", "FS", "1", "Float", "Phred-scaled p-value using Fisher's exact test to detect strand bias"),), _fisher,
    joint_values=_fisher,
)  # fmt: skip
STRAND_ODDS_RATIO = Annotation(
    "StrandOddsRatio", "INFO", (STANDARD,),
    (field_line("INFO", "SOR", "1", "Float", "Symmetric Odds Ratio of 2x2 contingency table to detect strand bias"),), _odds,
    joint_values=_odds,
)  # fmt: skip
STRAND_BIAS_BY_SAMPLE = Annotation(
    "StrandBiasBySample", "FORMAT", (),
    (field_line("FORMAT", "SB", "4", "Integer",
                "Per-sample component statistics which comprise the Fisher's Exact Test to detect strand bias."),), _by_sample,
)  # fmt: skip
AS_FISHER_STRAND = Annotation(
    "AS_FisherStrand", "INFO", (ALLELE_SPECIFIC,),
    (field_line("INFO", "AS_FS", "A", "Float",
                "allele specific phred-scaled p-value using Fisher's exact test to detect strand bias of each alt allele"),), no_values,
    (_TABLE_LINE,), _allele_table, joint_values=lambda e: _by_alt(e, "AS_FS", 0), raw_keys=("AS_SB_TABLE",),
)  # fmt: skip
AS_STRAND_ODDS_RATIO = Annotation(
    "AS_StrandOddsRatio", "INFO", (ALLELE_SPECIFIC,),
    (field_line("INFO", "AS_SOR", "A", "Float",
                "Allele specific strand Odds Ratio of 2x|Alts| contingency table to detect allele specific strand bias"),), no_values,
    (_TABLE_LINE,), _allele_table, joint_values=lambda e: _by_alt(e, "AS_SOR", 1), raw_keys=("AS_SB_TABLE",),
)  # fmt: skip
