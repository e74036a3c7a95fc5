"""What an annotation is: its name in GATK, its header lines, and a rule from evidence to typed values."""

from collections.abc import Callable
from dataclasses import dataclass

STANDARD, STANDARD_HC, ALLELE_SPECIFIC = "StandardAnnotation", "StandardHCAnnotation", "AS_StandardAnnotation"


@dataclass(frozen=True)
class Annotation:
    """One annotation class of GATK.

    name: its simple class name. place: "INFO" or "FORMAT". groups: GATK's groups that contain it. lines: its header lines (without "##").
    values: evidence -> list of `variant_fields.Field`, rows of calls (INFO) or of calls x samples (FORMAT). The evidence is
    `steps.haplotypecaller.evidence.Evidence`. raw_lines, raw_values: the same where reference confidence is emitted (None: unchanged).
    joint_values: the rule without reads, from genotypes and what GVCFs carry (`steps.joint_evidence.JointEvidence`); None: no values.
    raw_keys: INFO keys under which GVCFs carry sums of this annotation, which joint_values finishes.
    """

    name: str
    place: str
    groups: tuple[str, ...]
    lines: tuple[str, ...]
    values: Callable
    raw_lines: tuple[str, ...] | None = None
    raw_values: Callable | None = None
    joint_values: Callable | None = None
    raw_keys: tuple[str, ...] = ()


def no_values(evidence) -> list:
    """The rule of annotations that only declare header lines in this mode."""
    return []
