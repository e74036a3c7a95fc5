"""Genotypes over the samples: NCC, GQ_MEAN, GQ_STDDEV; Samples. Source: GenotypeSummaries, SampleList."""

import numpy as np

from gpugenome.gatk.annotations.annotation import Annotation
from gpugenome.gatk.vcf_lines import field_line
from gpugenome.variant_fields import FIXED, INT, TEXT, Field, scalar_field


def _summaries(e):
    called = e.called.reshape(-1, e.samples)
    gq = e.calls.gq
    given = gq >= 0
    n = given.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(given, gq, 0).sum(1) / n
        deviation = np.sqrt(np.where(given, (gq - mean[:, None]) ** 2, 0.0).sum(1) / (n - 1))
    return [
        scalar_field("NCC", INT, (~called).sum(1), np.ones(len(n), bool)),
        scalar_field("GQ_MEAN", FIXED, mean, n > 0, 2),
        scalar_field("GQ_STDDEV", FIXED, deviation, n > 1, 2),
    ]


def _samples(e):
    variant = (e.calls.gt > 0).any(2) | ((e.calls.gt >= 0).any(2) & (e.calls.gt == -1).any(2))
    text, offset = e.joined_sample_names(variant)
    return [Field("Samples", TEXT, text, offset)]


GENOTYPE_SUMMARIES = Annotation(
    "GenotypeSummaries", "INFO", (),
    (field_line("INFO", "NCC", "1", "Integer", "Number of no-called samples"),
     field_line("INFO", "GQ_MEAN", "1", "Float", "Mean of all GQ values"),
     field_line("INFO", "GQ_STDDEV", "1", "Float", "Standard deviation of all GQ values")), _summaries,
    joint_values=_summaries,
)  # fmt: skip
SAMPLE_LIST = Annotation(
    "SampleList", "INFO", (), (field_line("INFO", "Samples", ".", "String", "List of polymorphic samples"),), _samples,
    joint_values=_samples,
)  # fmt: skip
