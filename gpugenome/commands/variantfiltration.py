"""`gpugenome variantfiltration`: names of filters by expressions, as GATK VariantFiltration."""

import click

from gpugenome.commands.options import gatk_command, intervals, switch, threads, variant_output
from gpugenome.commands.variant_options import (
    named_expressions,
    open_variants,
    optional_reference,
    output,
    rows_in,
    sites_only,
    variant,
)
from gpugenome.gatk.defaults import IDLE_JOINT, UNSUPPORTED_VARIANTFILTRATION


@click.command(name="variantfiltration", cls=gatk_command("VariantFiltration", UNSUPPORTED_VARIANTFILTRATION, IDLE_JOINT),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@variant
@output
@optional_reference
@click.option("--filter-expression", "-filter", multiple=True, help="JEXL expression over a record, such as 'QD < 2.0'; repeatable.")
@click.option("--filter-name", multiple=True, help="What FILTER gets where the expression of the same place holds; repeatable.")
@click.option("--genotype-filter-expression", "-G-filter", multiple=True, help="The same over a genotype ('GQ < 20'); repeatable.")
@click.option("--genotype-filter-name", "-G-filter-name", multiple=True, help="What FT gets where that holds; repeatable.")
@click.option("--mask", "-mask", type=click.Path(), help="VCF or BED; records that it overlaps get --mask-name.")
@click.option("--mask-name", default="Mask", show_default=True)
@click.option("--mask-description", help="Description of the mask's filter in the header.")
@click.option("--mask-extension", type=click.IntRange(0), default=0, show_default=True, help="bp around the mask's sites.")
@switch("--filter-not-in-mask", text="Name the records outside of the mask instead.")
@click.option("--cluster-size", "-cluster", type=int, default=3, show_default=True, help="SNPs that make up a cluster.")
@click.option("--cluster-window-size", "-window", type=int, default=0, show_default=True,
              help="bp in which they lie; 0: no filter SnpCluster.")  # fmt: skip
@switch("--missing-values-evaluate-as-failing", text="An expression holds where it needs a value that is missing.")
@switch("--invalidate-previous-filters", text="Forget filters in the input.")
@switch("--invert-filter-expression", "-invfilter", text="Name records where the expression does not hold.")
@switch("--invert-genotype-filter-expression", "-invG-filter", text="The same for genotypes.")
@switch("--set-filtered-genotype-to-no-call", text="Make filtered genotypes ./. and count AC, AF and AN anew.")
@sites_only
@variant_output
@intervals
@threads
def command(variant, output, reference, filter_expression, filter_name, genotype_filter_expression, genotype_filter_name, mask, mask_name,
            mask_description, mask_extension, filter_not_in_mask, cluster_size, cluster_window_size, missing_values_evaluate_as_failing,
            invalidate_previous_filters, invert_filter_expression, invert_genotype_filter_expression, set_filtered_genotype_to_no_call,
            sites_only_vcf_output, index, md5, intervals, threads):  # fmt: skip
    """Name filters of records and genotypes, with the records of GATK VariantFiltration 4.6.2.0.

    A missing value makes its whole expression not hold, as in GATK. Differences: GATK ignores calls of methods that it does not know; here
    they are an error. ALLELES is not supported in expressions.
    """
    from gpugenome.errors import UserError
    from gpugenome.steps.variants.filtration import FiltrationOptions

    if not mask and (filter_not_in_mask or mask_description is not None):
        raise UserError("--filter-not-in-mask and --mask-description need --mask")
    options = FiltrationOptions(
        named_expressions(filter_name, filter_expression, "--filter-name", "--filter-expression"),
        named_expressions(genotype_filter_name, genotype_filter_expression, "--genotype-filter-name", "--genotype-filter-expression"),
        mask_name, mask_description, mask_extension, filter_not_in_mask, cluster_size, cluster_window_size,
        missing_values_evaluate_as_failing, invalidate_previous_filters, invert_filter_expression, invert_genotype_filter_expression,
        set_filtered_genotype_to_no_call,
    )  # fmt: skip
    options.parsed()  # errors in expressions before anything is read
    header, names, lengths, wanted, threads = open_variants(variant, reference, output, intervals, threads, [mask])
    from gpugenome.io.known_sites import read_sites
    from gpugenome.io.variant_records import VariantFile
    from gpugenome.io.vcf import VariantWriter
    from gpugenome.progress import log
    from gpugenome.steps.variants.filtration import Filtration, snp_positions
    from gpugenome.steps.variants.output import OrderedWriter, tool_lines
    from gpugenome.steps.variants.sites import undeclared

    spans = read_sites([mask], names, lengths, threads) if mask else None
    snps = snp_positions(variant, names, threads) if cluster_window_size > 0 else None
    filtration = Filtration(options, header, spans, snps, sites_only=sites_only_vcf_output)
    for text in (*undeclared(filtration.filters.values(), header), *undeclared(filtration.genotype_filters.values(), header, True)):
        log(text)
    lines = header.lines[1:] + filtration.header_lines() + tool_lines("VariantFiltration")
    written = 0
    samples = () if sites_only_vcf_output else header.samples
    with VariantWriter(output, lines, names, lengths, samples, threads, index, md5) as writer:
        ordered = OrderedWriter(writer)
        for records in VariantFile(variant, names, threads).records():
            rows = rows_in(wanted, records)
            text, offset = filtration.lines(records, rows)
            ordered.write(text, offset, records.ref_id[rows], records.start[rows], records.end[rows])
            written += len(rows)
    log(f"{written} records written to {output}")
