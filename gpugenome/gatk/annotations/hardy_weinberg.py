"""ExcessHet and InbreedingCoeff, from genotype likelihoods. Source: ExcessHet, InbreedingCoeff."""

import numpy as np

from gpugenome.gatk.annotations.annotation import ALLELE_SPECIFIC, STANDARD, Annotation, no_values
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import FIXED, scalar_field

MIN_SAMPLES = 10
_INBREEDING = (
    "Inbreeding coefficient as estimated from the genotype likelihoods per-sample when compared against the Hardy-Weinberg expectation"
)


def _excess_het(e):
    counts = e.genotype_counts(rounded=True)
    return [scalar_field("ExcessHet", FIXED, e.excess_het(counts), (counts[:, 3] > 0) & (e.n_alleles > 1), 4)]


def _inbreeding(e):
    if e.samples < MIN_SAMPLES:
        return []
    counts = e.genotype_counts(rounded=False)
    ref, het, hom, n = counts[:, 0], counts[:, 1], counts[:, 2], counts[:, 4]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = (2.0 * ref + het) / (2.0 * (ref + het + hom))
        coefficient = 1.0 - het / (2.0 * p * (1.0 - p) * n)
    return [scalar_field("InbreedingCoeff", FIXED, coefficient, (n >= MIN_SAMPLES) & (e.n_alleles > 1), 4)]


def _allele_inbreeding(e):
    coefficient, used = e.allele_inbreeding
    return [e.by_alt("AS_InbreedingCoeff", FIXED, coefficient, (used >= MIN_SAMPLES) & (e.n_alleles > 1), 4)]


EXCESS_HET = Annotation(
    "ExcessHet", "INFO", (STANDARD,),
    (field_line("INFO", "ExcessHet", "1", "Float", "Phred-scaled p-value for exact test of excess heterozygosity"),), _excess_het,
    joint_values=_excess_het,
)  # fmt: skip
INBREEDING_COEFF = Annotation(
    "InbreedingCoeff", "INFO", (STANDARD,), (field_line("INFO", "InbreedingCoeff", "1", "Float", _INBREEDING),), _inbreeding,
    joint_values=_inbreeding,
)  # fmt: skip
AS_INBREEDING_COEFF = Annotation(
    "AS_InbreedingCoeff", "INFO", (ALLELE_SPECIFIC,),
    (field_line("INFO", "AS_InbreedingCoeff", "A", "Float", "Allele-specific " + _INBREEDING[0].lower() + _INBREEDING[1:]),), no_values,
    joint_values=_allele_inbreeding,
)  # fmt: skip
