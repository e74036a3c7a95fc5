"""HaplotypeCaller's arguments under GATK's names, for `haplotypecaller` and `germline`."""

import functools
from dataclasses import replace

import click

from gpugenome.commands.options import gatk_command
from gpugenome.errors import UserError
from gpugenome.gatk.defaults import IDLE_HAPLOTYPECALLER, UNSUPPORTED_HAPLOTYPECALLER
from gpugenome.steps.haplotypecaller.options import (
    BAM_WRITER_TYPES,
    OUTPUT_MODES,
    PCR_INDEL_MODELS,
    REFERENCE_CONFIDENCE_MODES,
    CallerOptions,
)

_QUALITY = click.IntRange(0, 127)
_COUNT = click.IntRange(1)

# (field of CallerOptions, GATK's short name, type, repeatable, help)
_ARGUMENTS = [
    ("emit_ref_confidence", "ERC", click.Choice(REFERENCE_CONFIDENCE_MODES), False, "Reference records too: GVCF or BP_RESOLUTION."),
    ("standard_min_confidence_threshold_for_calling", "stand-call-conf", float, False, "Least QUAL of a call."),
    ("sample_ploidy", "ploidy", click.IntRange(1, 60), False, "Chromosome copies of each sample."),
    ("sample_name", "ALIAS", str, False, "Call this sample only."),
    ("output_mode", None, click.Choice(OUTPUT_MODES), False, "Which sites are written."),
    ("bam_writer_type", None, click.Choice(BAM_WRITER_TYPES), False, "What --bam-output has."),
    ("annotation", "A", str, True, "Annotation to add."),
    ("annotation_group", "G", str, True, "Group of annotations to add."),
    ("annotations_to_exclude", "AX", str, True, "Annotation to leave out."),
    ("max_alternate_alleles", None, _COUNT, False, "Most ALT alleles to genotype."),
    ("max_genotype_count", None, _COUNT, False, "Most genotypes to consider."),
    ("pcr_indel_model", None, click.Choice(PCR_INDEL_MODELS), False, "Indel errors of PCR; NONE for PCR-free libraries."),
    ("min_base_quality_score", "mbq", _QUALITY, False, "Least base quality for calling."),
    ("minimum_mapping_quality", None, click.IntRange(0, 255), False, "Least mapping quality of a read."),
    ("maximum_mapping_quality", None, click.IntRange(0, 255), False, "Greatest mapping quality of a read."),
    ("max_reads_per_alignment_start", None, click.IntRange(0), False, "Reads kept of one start; 0 for all."),
    ("min_pruning", None, click.IntRange(0), False, "Least support of a path in the assembly graph."),
    ("num_pruning_samples", None, _COUNT, False, "Samples that must pass the pruning."),
    ("adaptive_pruning", None, bool, False, "Prune what looks like errors beside its surroundings; --min-pruning does not count."),
    ("adaptive_pruning_initial_error_rate", None, float, False, "First guess of errors a base of adaptive pruning."),
    ("pruning_lod_threshold", None, float, False, "Least log odds (ln) of a path that adaptive pruning keeps."),
    ("pruning_seeding_lod_threshold", None, float, False, "Least log odds (ln) of a path that adaptive pruning starts from."),
    ("max_unpruned_variants", None, click.IntRange(0), False, "Most variants of a graph after adaptive pruning."),
    ("kmer_size", None, click.IntRange(1), True, "k of the assembly graphs."),
    ("soft_clip_low_quality_ends", None, bool, False, "Clip low-quality ends of reads softly, not hard."),
    ("dont_use_soft_clipped_bases", None, bool, False, "Leave soft-clipped bases out."),
    ("max_mnp_distance", "mnp-dist", click.IntRange(0), False, "Substitutions this near become one MNP."),
    ("force_call_filtered_alleles", "genotype-filtered-alleles", bool, False, "Also alleles of --alleles that a filter has taken out."),
    ("gvcf_gq_bands", "GQB", click.IntRange(1, 100), True, "Upper bounds of the GQ bands of reference blocks."),
    ("floor_blocks", None, bool, False, "Write the lower bound of a block's GQ band."),
    ("native_pair_hmm_use_double_precision", None, bool, False, "Double precision in the PairHMM."),
    ("base_quality_score_threshold", None, _QUALITY, False, "Base qualities below become 6 in the PairHMM."),
    ("read_filters", None, str, True, "Read filter to add."),
    ("disabled_read_filters", None, str, True, "Default read filter to leave out."),
    ("disable_tool_default_read_filters", None, bool, False, "Leave all default read filters out."),
    ("heterozygosity", None, float, False, "Prior of a SNP."),
    ("indel_heterozygosity", None, float, False, "Prior of an indel."),
    ("heterozygosity_stdev", None, float, False, "Deviation of the prior."),
    ("active_probability_threshold", None, float, False, "Least activity of an active position."),
    ("assembly_region_padding", None, click.IntRange(0), False, "bp around a region."),
    ("min_assembly_region_size", None, _COUNT, False, "Least size of a region."),
    ("max_assembly_region_size", None, _COUNT, False, "Greatest size of a region."),
    ("force_active", None, bool, False, "Assemble every region."),
    ("do_not_run_physical_phasing", None, bool, False, "No PGT, PID and PS."),
    ("max_num_haplotypes_in_population", None, _COUNT, False, "Most haplotypes of a graph."),
    ("allow_non_unique_kmers_in_ref", None, bool, False, "Also graphs whose reference k-mers repeat."),
    ("dont_increase_kmer_sizes_for_cycles", None, bool, False, "No larger k where graphs have cycles."),
    ("recover_all_dangling_branches", None, bool, False, "Also dangling branches that fork."),
    ("max_prob_propagation_distance", None, click.IntRange(0), False, "bp that activity spreads."),
    ("padding_around_snps", None, click.IntRange(0), False, "bp of haplotypes around a SNP."),
    ("padding_around_indels", None, click.IntRange(0), False, "bp of haplotypes around an indel."),
    ("padding_around_strs", None, click.IntRange(0), False, "bp of haplotypes around a repeat."),
    ("min_dangling_branch_length", None, click.IntRange(0), False, "Least length of a dangling branch to recover."),
    ("do_not_correct_overlapping_quality", None, bool, False, "Leave qualities of overlapping mates as they are."),
    ("mapping_quality_threshold_for_genotyping", None, click.IntRange(0, 255), False, "Least mapping quality for genotyping."),
    ("allele_informative_reads_overlap_margin", None, click.IntRange(0), False, "bp from an event at which a read counts."),
    ("disable_spanning_event_genotyping", None, bool, False, "No '*' allele inside deletions."),
    ("phred_scaled_global_read_mismapping_rate", None, int, False, "Cap of likelihood ratios; negative for none."),
    ("expected_mismatch_rate_for_read_disqualification", None, float, False, "Errors a base of reads that haplotypes explain."),
    ("disable_cap_base_qualities_to_map_quality", None, bool, False, "Base qualities may exceed the mapping quality."),
    ("disable_symmetric_hmm_normalizing", None, bool, False, "The cap does not look at the reference's likelihood."),
    ("reference_model_deletion_quality", None, _QUALITY, False, "Quality of deletions in the reference model."),
    ("indel_size_to_eliminate_in_ref_model", None, _COUNT, False, "Longest indel that the reference model looks for."),
    ("disable_tool_default_annotations", None, bool, False, "Only annotations that are asked for."),
    ("sites_only_vcf_output", None, bool, False, "No genotypes in the output."),
]  # fmt: skip
# (field of CallerOptions, field of its SmithWatermanParameters, argument, type)
_SMITH_WATERMAN = [
    (f"{aligned}_smith_waterman", score, f"smith_waterman_{aligned}_{score}_{'value' if score == 'match' else 'penalty'}",
     click.IntRange(min=0) if score == "match" else click.IntRange(max=0))
    for aligned in ("dangling_end", "haplotype_to_reference", "read_to_haplotype")
    for score in ("match", "mismatch", "gap_open", "gap_extend")
]  # fmt: skip
GatkCommand = gatk_command("HaplotypeCaller", UNSUPPORTED_HAPLOTYPECALLER, IDLE_HAPLOTYPECALLER)
_NAMES = {"read_filters": ("read-filter", "RF"), "disabled_read_filters": ("disable-read-filter", "DF")}


def caller_options(function):
    """The arguments of HaplotypeCaller; the command gets them as one `CallerOptions` named `caller`."""
    defaults = CallerOptions()

    @functools.wraps(function)
    def wrapped(**given):
        values = {name: given.pop(name) for name, *_ in _ARGUMENTS}
        scores = [(field, score, given.pop(name)) for field, score, name, _ in _SMITH_WATERMAN]
        repeatable = {name for name, _, _, many, _ in _ARGUMENTS if many}
        chosen = {k: tuple(v) if k in repeatable else v for k, v in values.items() if v not in (None, ())}
        if "gvcf_gq_bands" in chosen and list(chosen["gvcf_gq_bands"]) != sorted(set(chosen["gvcf_gq_bands"])):
            raise UserError("--gvcf-gq-bands: expected growing numbers, each once")
        for field in dict.fromkeys(field for field, *_ in scores):
            chosen[field] = replace(getattr(defaults, field), **{s: n for f, s, n in scores if f == field and n is not None})
        caller = CallerOptions(**chosen)
        if caller.max_genotype_count <= caller.sample_ploidy and not caller.with_reference_confidence:
            most, ploidy = caller.max_genotype_count, caller.sample_ploidy
            raise UserError(f"--max-genotype-count {most}: a site with one ALT has {ploidy + 1} genotypes with --sample-ploidy {ploidy}, "
                            "expected at least as many")  # fmt: skip
        return function(caller=caller, **given)

    for field, score, name, kind in reversed(_SMITH_WATERMAN):
        text = f"Score of an alignment.  [default: {getattr(getattr(defaults, field), score)}]"
        wrapped = click.option("--" + name.replace("_", "-"), name, type=kind, default=None, help=text)(wrapped)
    for name, short, kind, many, text in reversed(_ARGUMENTS):
        long, short = _NAMES.get(name, (name.replace("_", "-"), short))
        names = ["--" + long, *(["-" + short] if short else []), name]
        default = getattr(defaults, name)
        shown = f"{text}  [default: {default}]" if default not in (None, (), False) and not (many and len(default) > 4) else text
        flag = {"is_flag": False, "flag_value": True} if kind is bool else {}
        wrapped = click.option(*names, type=kind, multiple=many, default=None, help=shown, **flag)(wrapped)
    return wrapped
