"""`gpugenome hardfilter`: GATK's recommended hard filters in one pass."""

import click

from gpugenome.commands.options import intervals, threads, variant_output
from gpugenome.commands.variant_options import open_variants, optional_reference, output, rows_in, variant


@click.command(name="hardfilter", context_settings={"help_option_names": ["-h", "--help"]})
@variant
@output
@optional_reference
@click.option("--snp-filter", nargs=2, multiple=True, metavar="NAME EXPRESSION", help="Filter of SNPs instead of GATK's; repeatable.")
@click.option("--indel-filter", nargs=2, multiple=True, metavar="NAME EXPRESSION", help="Filter of indels instead of GATK's; repeatable.")
@variant_output
@intervals
@threads
def command(variant, output, reference, snp_filter, indel_filter, index, md5, intervals, threads):
    """Filter SNPs and indels with the thresholds that GATK recommends.

    \b
    SNPs: QD < 2.0, QUAL < 30.0, SOR > 3.0, FS > 60.0, MQ < 40.0, MQRankSum < -12.5, ReadPosRankSum < -8.0.
    Indels and mixed records: QD < 2.0, QUAL < 30.0, FS > 200.0, ReadPosRankSum < -20.0.

    The records are those of GATK SelectVariants, VariantFiltration and MergeVcfs: records of other types (MNPs, symbolic alleles, sites
    without a variant) are left out, and their number is reported.
    """
    from pathlib import Path

    header, names, lengths, wanted, threads = open_variants(variant, reference, output, intervals, threads)
    from gpugenome.io.variant_records import VariantFile
    from gpugenome.io.vcf import VariantWriter
    from gpugenome.progress import log
    from gpugenome.steps.variants.hardfilter import INDEL_FILTERS, SNP_FILTERS, HardFilter
    from gpugenome.steps.variants.output import OrderedWriter, tool_lines

    filters = HardFilter(header, snp_filter or SNP_FILTERS, indel_filter or INDEL_FILTERS)
    where = (names, lengths, [Path(reference).name] * len(names), Path(reference).absolute().as_uri()) if reference else ()
    written = 0
    with VariantWriter(output, filters.header_lines(*where) + tool_lines("HardFilter"), names, lengths, filters.samples, threads, index,
                       md5) as writer:  # fmt: skip
        ordered = OrderedWriter(writer)
        for records in VariantFile(variant, names, threads).records():
            text, offset, rows, source = filters.lines(records, rows_in(wanted, records))
            whole_to = int(records.ref_id[-1]), int(records.start[-1]) - 1
            ordered.write(text, offset, records.ref_id[rows], records.start[rows], records.end[rows], whole_to, source)
            written += len(rows)
        ordered.finish()
    log(f"{written} records written to {output}; {filters.left_out} records that are neither SNP, indel nor mixed were left out")
