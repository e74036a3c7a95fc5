"""`gpugenome selectvariants`: some of the records, samples and alleles of a VCF, as GATK SelectVariants."""

import click

from gpugenome.commands.options import gatk_command, intervals, switch, threads, variant_output
from gpugenome.commands.variant_options import open_variants, optional_reference, output, rows_in, sites_only, variant
from gpugenome.gatk.defaults import IDLE_SELECTVARIANTS, UNSUPPORTED_SELECTVARIANTS

_TYPES = click.Choice(["NO_VARIATION", "SNP", "MNP", "INDEL", "SYMBOLIC", "MIXED"])


@click.command(name="selectvariants", cls=gatk_command("SelectVariants", UNSUPPORTED_SELECTVARIANTS, IDLE_SELECTVARIANTS),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@variant
@output
@optional_reference
@click.option("--sample-name", "-sn", multiple=True, help="Sample to keep, or a .args file of names; repeatable.")
@click.option("--sample-expressions", "-se", multiple=True, help="Regular expression of samples to keep; repeatable.")
@click.option("--exclude-sample-name", "-xl-sn", multiple=True, help="Sample to leave out, or a .args file; repeatable.")
@click.option("--exclude-sample-expressions", "-xl-se", multiple=True, help="Regular expression of samples to leave out; repeatable.")
@click.option("--select", "-select", multiple=True, help="JEXL expression over a record; records for which one holds stay; repeatable.")
@click.option("--select-genotype-expressions", "-select-genotype", multiple=True,
              help="JEXL expression over a genotype; records with a genotype for which one holds stay; repeatable.")
@switch("--invert-select", "-invert-select", text="Keep records for which an expression does not hold.")
@switch("--apply-jexl-filters-first", "-jexl-first", text="Evaluate expressions before samples are taken away.")
@click.option("--select-type-to-include", "-select-type", multiple=True, type=_TYPES, help="Types of records to keep; repeatable.")
@click.option("--select-type-to-exclude", "-xl-select-type", multiple=True, type=_TYPES, help="Types to leave out; repeatable.")
@switch("--ignore-non-ref-in-types", text="<NON_REF> says nothing about the type (for GVCFs).")
@switch("--exclude-filtered", text="Leave out records with filters.")
@switch("--exclude-non-variants", text="Leave out records of which no sample left has a variant.")
@switch("--preserve-alleles", text="Do not trim alleles after samples or alleles were taken away.")
@switch("--remove-unused-alternates", text="Take away ALT alleles that no sample left has.")
@click.option("--restrict-alleles-to", type=click.Choice(["ALL", "BIALLELIC", "MULTIALLELIC"]), default="ALL", show_default=True)
@switch("--keep-original-ac", text="Keep AC, AF and AN as they were as AC_Orig, AF_Orig and AN_Orig.")
@switch("--keep-original-dp", text="Keep DP as it was as DP_Orig.")
@click.option("--concordance", "-conc", type=click.Path(), help="VCF; keep only records at its sites.")
@click.option("--discordance", "-disc", type=click.Path(), help="VCF; leave out records at its sites.")
@click.option("--keep-ids", "-ids", multiple=True, help="ID to keep, or a .list file; repeatable.")
@click.option("--exclude-ids", "-xl-ids", multiple=True, help="ID to leave out, or a .list file; repeatable.")
@click.option("--max-indel-size", type=click.IntRange(0), help="Leave out records with a longer indel.")
@click.option("--min-indel-size", type=click.IntRange(0), default=0, show_default=True, help="Leave out records with a shorter indel.")
@click.option("--max-filtered-genotypes", type=click.IntRange(0), help="Most genotypes with filters.")
@click.option("--min-filtered-genotypes", type=click.IntRange(0), default=0, show_default=True)
@click.option("--max-nocall-number", type=click.IntRange(0), help="Most genotypes without call.")
@click.option("--max-nocall-fraction", type=click.FloatRange(0, 1), default=1.0, show_default=True)
@switch("--set-filtered-gt-to-nocall", text="Make filtered genotypes ./. and count AC, AF and AN anew.")
@click.option("--drop-info-annotation", "-DA", multiple=True, help="INFO key to take away; repeatable.")
@click.option("--drop-genotype-annotation", "-DGA", multiple=True, help="FORMAT key to take away; repeatable.")
@sites_only
@variant_output
@intervals
@threads
def command(variant, output, reference, sample_name, sample_expressions, exclude_sample_name, exclude_sample_expressions, select,
            select_genotype_expressions, invert_select, apply_jexl_filters_first, select_type_to_include, select_type_to_exclude,
            ignore_non_ref_in_types, exclude_filtered, exclude_non_variants, preserve_alleles, remove_unused_alternates,
            restrict_alleles_to, keep_original_ac, keep_original_dp, concordance, discordance, keep_ids, exclude_ids,
            max_indel_size, min_indel_size, max_filtered_genotypes, min_filtered_genotypes, max_nocall_number, max_nocall_fraction,
            set_filtered_gt_to_nocall, drop_info_annotation, drop_genotype_annotation, sites_only_vcf_output, index, md5, intervals,
            threads):  # fmt: skip
    """Select records, samples and alleles, with the records of GATK SelectVariants 4.6.2.0.

    An expression that cannot be evaluated for a record ends the run, as in GATK; a missing value only makes it not hold.
    """
    from gpugenome.steps.variants.selection import SelectionOptions

    options = SelectionOptions(
        _listed(sample_name, ".args"), sample_expressions, _listed(exclude_sample_name, ".args"), exclude_sample_expressions, select,
        select_genotype_expressions, invert_select, apply_jexl_filters_first, select_type_to_include, select_type_to_exclude,
        ignore_non_ref_in_types, exclude_filtered, exclude_non_variants, preserve_alleles, remove_unused_alternates, restrict_alleles_to,
        keep_original_ac, keep_original_dp, _listed(keep_ids, ".list"), _listed(exclude_ids, ".list"), max_indel_size, min_indel_size,
        max_filtered_genotypes, min_filtered_genotypes, max_nocall_number, max_nocall_fraction, set_filtered_gt_to_nocall,
        drop_info_annotation, drop_genotype_annotation,
    )  # fmt: skip
    header, names, lengths, wanted, threads = open_variants(variant, reference, output, intervals, threads, [concordance, discordance])
    from pathlib import Path

    from gpugenome.io.known_sites import read_sites
    from gpugenome.io.variant_records import VariantFile
    from gpugenome.io.vcf import VariantWriter
    from gpugenome.progress import log
    from gpugenome.steps.variants.output import OrderedWriter, tool_lines
    from gpugenome.steps.variants.selection import Selection
    from gpugenome.steps.variants.sites import undeclared

    tracks = [read_sites([path], names, lengths, threads) if path else None for path in (concordance, discordance)]
    selection = Selection(options, header, sites_only_vcf_output, *tracks)
    for text in (*undeclared(selection.select, header), *undeclared(selection.select_genotype, header, True)):
        log(text)
    uri = Path(reference).absolute().as_uri() if reference else None
    assemblies = [Path(reference).name] * len(names) if reference else None
    lines = selection.header_lines(names if reference else None, lengths, assemblies, uri) + tool_lines("SelectVariants")
    read, written = 0, 0
    samples = () if sites_only_vcf_output else selection.samples
    with VariantWriter(output, lines, names, lengths, samples, threads, index, md5) as writer:
        ordered = OrderedWriter(writer)
        for records in VariantFile(variant, names, threads).records():
            text, offset, rows, start = selection.lines(records, rows_in(wanted, records))
            last = int(records.ref_id[-1]), int(records.start[-1])
            ordered.write(text, offset, records.ref_id[rows], start, records.end[rows], last)
            read, written = read + len(records), written + len(rows)
        ordered.finish()
    log(f"{written} of {read} records written to {output}")


def _listed(values, suffix):
    """Values, those that are files of names by the names in them."""
    from gpugenome.commands.options import check_input

    out = []
    for value in values:
        if not value.endswith(suffix):
            out.append(value)
            continue
        check_input(value)
        with open(value) as f:
            out += [line.strip() for line in f if line.strip()]
    return tuple(out)
