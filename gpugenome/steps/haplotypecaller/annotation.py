"""Annotations of calls: the rules of `gatk.annotations` over the evidence of a batch."""

from dataclasses import dataclass

import numpy as np

from gpugenome.gatk.annotations import active_annotations
from gpugenome.gatk.annotations.quality_by_depth import jittered
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallBatch, CallerReads, LikelihoodBatch
from gpugenome.steps.haplotypecaller.evidence import Evidence
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.variant_fields import Field, flag_field


@dataclass
class Annotated:
    """Annotations of a CallBatch: INFO fields (a row a call) and FORMAT fields (a row a call and sample).

    ids: dbSNP's IDs of each call, ';' between several (a TEXT field), or None without dbSNP.
    """

    info: list[Field]
    formats: list[Field]
    ids: Field | None = None

    def draw(self, rng) -> None:
        """Put the jitter on QD, in output order: a Gaussian of `rng` (`gatk.java.JavaRandom` of the run) for each value of 35 and more."""
        for field in self.info:
            if field.key == "QD":
                field.values = jittered(field.values, rng.next_gaussians)


def annotations_of(options: CallerOptions):
    """The annotations of a run with these options.

    Raises
    ------
    UserError: see `gatk.annotations.active_annotations`.
    """
    return active_annotations(
        reference_confidence=options.with_reference_confidence, annotation=options.annotation, annotation_group=options.annotation_group,
        annotations_to_exclude=options.annotations_to_exclude, enable_all_annotations=options.enable_all_annotations,
        disable_tool_default_annotations=options.disable_tool_default_annotations,
    )  # fmt: skip


def annotate(reads: CallerReads, likelihoods: LikelihoodBatch, calls: CallBatch, contig_bases, options: CallerOptions,
             dbsnp=None, threads: int = 1, assembly: AssemblyBatch | None = None) -> Annotated:  # fmt: skip
    """Annotate a batch of calls, in output order; QD without its jitter, see `Annotated.draw`.

    contig_bases: uint8, bases of the contig. dbsnp: `known_variants.KnownVariants` for ID and DB, or None.
    assembly: what the calls come from, only for AssemblyComplexity.
    """
    active = annotations_of(options)
    evidence = Evidence(reads, likelihoods, calls, contig_bases, options, any(a.name == "DepthPerAlleleBySample" for a in active),
                        assembly, threads)  # fmt: skip
    fields = {"INFO": {}, "FORMAT": {}}
    for a in active:
        rule = a.raw_values if options.with_reference_confidence and a.raw_values else a.values
        for field in rule(evidence):
            fields[a.place][field.key] = field
    info, ids = list(fields["INFO"].values()), None
    if dbsnp is not None:
        ids = dbsnp.ids(reads.ref_id, calls.start, calls.allele_offset, calls.allele_base, calls.allele_base_offset, threads)
        info.append(flag_field("DB", np.diff(ids.offset) > 0))
    return Annotated(info, list(fields["FORMAT"].values()), ids)
