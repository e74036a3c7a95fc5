"""Everything the stages of HaplotypeCaller can be told, with GATK 4.6.2.0's defaults.

Field names are GATK's long argument names with underscores, so a message can name the argument.
Source: HaplotypeCallerArgumentCollection and the collections it contains.
"""

import math
from dataclasses import dataclass

DEFAULT_GQ_BANDS = (*range(1, 61), 70, 80, 90, 99)
REFERENCE_CONFIDENCE_MODES = ("NONE", "BP_RESOLUTION", "GVCF")
PCR_INDEL_MODELS = ("NONE", "HOSTILE", "AGGRESSIVE", "CONSERVATIVE")
BAM_WRITER_TYPES = ("CALLED_HAPLOTYPES", "ALL_POSSIBLE_HAPLOTYPES", "NO_HAPLOTYPES", "CALLED_HAPLOTYPES_NO_READS")
OUTPUT_MODES = ("EMIT_VARIANTS_ONLY", "EMIT_ALL_CONFIDENT_SITES", "EMIT_ALL_ACTIVE_SITES")


@dataclass(frozen=True)
class SmithWatermanParameters:
    """Affine scores of one alignment; penalties are negative numbers."""

    match: int
    mismatch: int
    gap_open: int
    gap_extend: int


@dataclass(frozen=True)
class CallerOptions:
    """Parameters of all stages. Immutable and hashable; paths and threads are not here.

    samples: the samples to call, in output order (Java String order); with_tags: keep the tags of reads; filled by the orchestrator.
    emit_ref_confidence: "NONE", "BP_RESOLUTION" or "GVCF".
    Qualities are phred, probabilities and fractions plain, distances bp.
    """

    # Activity and regions
    min_assembly_region_size: int = 50
    max_assembly_region_size: int = 300
    assembly_region_padding: int = 100
    active_probability_threshold: float = 0.002
    max_prob_propagation_distance: int = 50
    force_active: bool = False
    heterozygosity: float = 0.001
    heterozygosity_stdev: float = 0.01
    indel_heterozygosity: float = 1.0 / 8000.0
    reference_model_deletion_quality: int = 30

    # Reads
    min_base_quality_score: int = 10
    minimum_mapping_quality: int = 20
    maximum_mapping_quality: int | None = None
    max_reads_per_alignment_start: int = 50
    read_filters: tuple[str, ...] = ()
    disabled_read_filters: tuple[str, ...] = ()
    disable_tool_default_read_filters: bool = False
    dont_use_soft_clipped_bases: bool = False
    soft_clip_low_quality_ends: bool = False
    do_not_correct_overlapping_quality: bool = False
    mapping_quality_threshold_for_genotyping: int = 20
    sample_name: str | None = None

    # Assembly
    kmer_size: tuple[int, ...] = (10, 25)
    dont_increase_kmer_sizes_for_cycles: bool = False
    allow_non_unique_kmers_in_ref: bool = False
    num_pruning_samples: int = 1
    min_pruning: int = 2
    adaptive_pruning: bool = False
    adaptive_pruning_initial_error_rate: float = 0.001
    pruning_lod_threshold: float = math.log(10.0)
    pruning_seeding_lod_threshold: float = 4.0 * math.log(10.0)
    max_unpruned_variants: int = 100
    min_dangling_branch_length: int = 4
    recover_all_dangling_branches: bool = False
    max_num_haplotypes_in_population: int = 128
    padding_around_snps: int = 20
    padding_around_indels: int = 75
    padding_around_strs: int = 75
    dangling_end_smith_waterman: SmithWatermanParameters = SmithWatermanParameters(25, -50, -110, -6)
    haplotype_to_reference_smith_waterman: SmithWatermanParameters = SmithWatermanParameters(200, -150, -260, -11)
    read_to_haplotype_smith_waterman: SmithWatermanParameters = SmithWatermanParameters(10, -15, -30, -5)

    # Likelihoods
    pcr_indel_model: str = "CONSERVATIVE"
    base_quality_score_threshold: int = 18
    phred_scaled_global_read_mismapping_rate: int = 45
    expected_mismatch_rate_for_read_disqualification: float = 0.02
    native_pair_hmm_use_double_precision: bool = False
    disable_cap_base_qualities_to_map_quality: bool = False
    disable_symmetric_hmm_normalizing: bool = False

    # Genotyping
    sample_ploidy: int = 2
    standard_min_confidence_threshold_for_calling: float = 30.0
    max_alternate_alleles: int = 6
    max_genotype_count: int = 1024
    max_mnp_distance: int = 0
    allele_informative_reads_overlap_margin: int = 2
    do_not_run_physical_phasing: bool = False
    disable_spanning_event_genotyping: bool = False
    output_mode: str = "EMIT_VARIANTS_ONLY"
    force_call_filtered_alleles: bool = False

    # Reference confidence
    emit_ref_confidence: str = "NONE"
    gvcf_gq_bands: tuple[int, ...] = DEFAULT_GQ_BANDS
    floor_blocks: bool = False
    indel_size_to_eliminate_in_ref_model: int = 10

    # Annotations
    annotation: tuple[str, ...] = ()
    annotation_group: tuple[str, ...] = ()
    annotations_to_exclude: tuple[str, ...] = ()
    disable_tool_default_annotations: bool = False
    enable_all_annotations: bool = False
    sites_only_vcf_output: bool = False

    # Reads that calls come from
    bam_writer_type: str = "CALLED_HAPLOTYPES"

    # Filled by the orchestrator
    samples: tuple[str, ...] = ()
    with_tags: bool = False

    @property
    def with_reference_confidence(self) -> bool:
        """True with -ERC GVCF or BP_RESOLUTION: reference records, <NON_REF> alleles."""
        return self.emit_ref_confidence != "NONE"

    @property
    def calling_confidence_phred(self) -> float:
        """The threshold of calls in use: GATK sets -stand-call-conf to -0.0 when it emits reference confidence."""
        return -0.0 if self.with_reference_confidence else self.standard_min_confidence_threshold_for_calling

    @property
    def activity_ploidy(self) -> int:
        """Ploidy of the activity model, at least 2."""
        return max(2, self.sample_ploidy)
