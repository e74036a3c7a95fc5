"""QD and its jitter. Source: QualByDepth, AS_QualByDepth."""

import numpy as np

from gpugenome.gatk.annotations.annotation import ALLELE_SPECIFIC, STANDARD, Annotation, no_values
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import FIXED, scalar_field

MAX_QD, IDEAL_HIGH_QD, JITTER_SIGMA = 35.0, 30.0, 3.0


def jittered(qd: np.ndarray, gaussians) -> np.ndarray:
    """Values from MAX_QD on (infinite and NaN too) replaced, in order, by draws around IDEAL_HIGH_QD. gaussians(n): n standard normals."""
    high = ~(qd < MAX_QD)
    out = qd.copy()
    out[high] = IDEAL_HIGH_QD + JITTER_SIGMA * gaussians(int(high.sum()))
    return out


def _values(e):
    """QD before its jitter, which is drawn in the order of the genome (`Annotated.draw`)."""
    depth = e.variant_depth
    present = (depth > 0) & ~np.isnan(e.calls.qual)
    qual = e.calls.qual[present]
    qual = np.where(qual == 0, -0.0, qual)  # GATK multiplies a log10 error of 0 by -10 and prints QD=-0.00 beside a QUAL of 0
    return [scalar_field("QD", FIXED, _spread(qual / depth[present], present), present, 2)]


def _spread(values, present):
    out = np.zeros(len(present))
    out[present] = values
    return out


def _by_allele(e):
    """AS_QD before its jitter."""
    depth, present = e.variant_allele_depth
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = e.calls.allele_qual / (depth + np.repeat(depth[e.calls.allele_offset[:-1]], e.n_alleles)).astype(np.float64)
    return [e.by_alt("AS_QD", FIXED, ratio, present, 2)]


QUAL_BY_DEPTH = Annotation(
    "QualByDepth", "INFO", (STANDARD,), (field_line("INFO", "QD", "1", "Float", "Variant Confidence/Quality by Depth"),), _values,
    joint_values=_values,
)  # fmt: skip
AS_QUAL_BY_DEPTH = Annotation(
    "AS_QualByDepth", "INFO", (ALLELE_SPECIFIC,),
    (field_line("INFO", "AS_QD", "A", "Float", "Allele-specific Variant Confidence/Quality by Depth"),), no_values,
    joint_values=_by_allele, raw_keys=("AS_QUALapprox",),
)  # fmt: skip
