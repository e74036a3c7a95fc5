"""GATK's annotations in the order in which GATK runs them (by class name), and which of them a run uses.

Source: GATKAnnotationPluginDescriptor, HaplotypeCallerEngine.filterReferenceConfidenceAnnotations.
"""

from gpugenome.errors import UserError
from gpugenome.gatk.annotations import (
    assembly_complexity,
    chromosome_counts,
    depths,
    genotype_summaries,
    hardy_weinberg,
    mapping_quality,
    quality_by_depth,
    rank_sums,
    read_counts,
    read_medians,
    site_context,
    strand_bias,
)
from gpugenome.gatk.annotations.annotation import STANDARD, STANDARD_HC, Annotation

ANNOTATIONS = tuple(
    sorted(
        (
            hardy_weinberg.AS_INBREEDING_COEFF,
            rank_sums.AS_BASE_QUALITY,
            strand_bias.AS_FISHER_STRAND,
            rank_sums.AS_MAPPING_QUALITY,
            quality_by_depth.AS_QUAL_BY_DEPTH,
            mapping_quality.AS_RMS_MAPPING_QUALITY,
            rank_sums.AS_READ_POSITION,
            strand_bias.AS_STRAND_ODDS_RATIO,
            depths.ALLELE_FRACTION,
            assembly_complexity.ASSEMBLY_COMPLEXITY,
            read_medians.BASE_QUALITY,
            read_counts.BASE_QUALITY_HISTOGRAM,
            rank_sums.BASE_QUALITY,
            chromosome_counts.CHROMOSOME_COUNTS,
            rank_sums.CLIPPING,
            read_counts.COUNT_NS,
            depths.COVERAGE,
            depths.DEPTH_PER_ALLELE_BY_SAMPLE,
            depths.DEPTH_PER_SAMPLE_HC,
            hardy_weinberg.EXCESS_HET,
            strand_bias.FISHER_STRAND,
            read_medians.FRAGMENT_LENGTH,
            genotype_summaries.GENOTYPE_SUMMARIES,
            hardy_weinberg.INBREEDING_COEFF,
            rank_sums.LIKELIHOOD,
            read_medians.MAPPING_QUALITY,
            rank_sums.MAPPING_QUALITY,
            mapping_quality.MAPPING_QUALITY_ZERO,
            quality_by_depth.QUAL_BY_DEPTH,
            mapping_quality.RMS_MAPPING_QUALITY,
            rank_sums.READ_POSITION,
            read_medians.READ_POSITION,
            site_context.REFERENCE_BASES,
            genotype_summaries.SAMPLE_LIST,
            strand_bias.STRAND_BIAS_BY_SAMPLE,
            strand_bias.STRAND_ODDS_RATIO,
            site_context.TANDEM_REPEAT,
            read_counts.UNIQUE_ALT_READ_COUNT,
        ),
        key=lambda a: a.name,
    )
)
BY_NAME = {a.name: a for a in ANNOTATIONS}
GROUPS = tuple(dict.fromkeys(g for a in ANNOTATIONS for g in a.groups))
DEFAULT_GROUPS = (STANDARD, STANDARD_HC)
NOT_EXCLUDED = "RMSMappingQuality"
"""GATK refuses to leave it out: it takes the default of this annotation's own argument for a value that the user gave."""
REMOVED_WITH_REFERENCE_CONFIDENCE = ("ChromosomeCounts", "FisherStrand", "StrandOddsRatio", "QualByDepth")
ADDED_WITH_REFERENCE_CONFIDENCE = "StrandBiasBySample"


def _check_names(argument, names, known):
    for name in names:
        if name not in known:
            raise UserError(f"{argument} {name}: not known, expected one of {', '.join(known)}")
        if names.count(name) > 1:
            raise UserError(f"{argument} {name}: given more than once")


def chosen_annotations(default_groups, annotation=(), annotation_group=(), annotations_to_exclude=(),
                       disable_tool_default_annotations=False, enable_all_annotations=False) -> set[str]:  # fmt: skip
    """Names of the annotations that GATK's arguments (-A, -G, -AX, ...) select in a tool with these default groups.

    Raises
    ------
    UserError: a name that is not known, given twice, both added and excluded, or that GATK does not exclude.
    """
    _check_names("--annotation", annotation, BY_NAME)
    _check_names("--annotation-group", annotation_group, GROUPS)
    _check_names("--annotations-to-exclude", annotations_to_exclude, BY_NAME)
    for name in annotations_to_exclude:
        if name in annotation:
            raise UserError(f"--annotation {name}: also given to --annotations-to-exclude")
        if name == NOT_EXCLUDED:
            raise UserError(f"--annotations-to-exclude {name}: GATK's tools refuse to leave it out, so that is not done here either; "
                            "--disable-tool-default-annotations leaves all defaults out")  # fmt: skip
    groups = {*annotation_group, *(() if disable_tool_default_annotations else default_groups)}
    names = {a.name for a in ANNOTATIONS if enable_all_annotations or a.name in annotation or groups & set(a.groups)}
    return names - set(annotations_to_exclude)


def active_annotations(*, reference_confidence=False, **arguments) -> tuple[Annotation, ...]:
    """The annotations of a HaplotypeCaller run, in GATK's order. arguments: see `chosen_annotations`.

    Raises
    ------
    UserError: as `chosen_annotations`, and allele-specific annotations without reference confidence.
    """
    names = chosen_annotations(DEFAULT_GROUPS, **arguments)
    if reference_confidence:
        names -= set(REMOVED_WITH_REFERENCE_CONFIDENCE)
        names.add(ADDED_WITH_REFERENCE_CONFIDENCE)
    elif any(name.startswith("AS_") for name in names):
        raise UserError("--annotation-group AS_StandardAnnotation: expected --emit-ref-confidence GVCF or BP_RESOLUTION with it")
    return tuple(a for a in ANNOTATIONS if a.name in names)


def joint_annotations(**arguments) -> tuple[Annotation, ...]:
    """The annotations of a GenotypeGVCFs or CombineGVCFs run, in GATK's order. arguments: see `chosen_annotations`."""
    names = chosen_annotations((STANDARD,), **arguments)
    return tuple(a for a in ANNOTATIONS if a.name in names)
