"""`gpugenome genotypegvcfs`: the joint genotypes of GVCFs, as GATK GenotypeGVCFs."""

import click

from gpugenome.commands.joint_options import annotations, open_gvcfs, output, variants
from gpugenome.commands.options import device, gatk_command, intervals, reference, switch, threads, variant_output
from gpugenome.gatk.defaults import IDLE_GENOTYPEGVCFS, UNSUPPORTED_GENOTYPEGVCFS


@click.command(name="genotypegvcfs", cls=gatk_command("GenotypeGVCFs", UNSUPPORTED_GENOTYPEGVCFS, IDLE_GENOTYPEGVCFS),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@reference
@variants
@output
@click.option("--dbsnp", "-D", type=click.Path(), help="VCF whose IDs go into the ID column.")
@click.option("--standard-min-confidence-threshold-for-calling", "-stand-call-conf", type=float, default=30.0, show_default=True,
              help="Least QUAL of a call.")  # fmt: skip
@switch("--include-non-variant-sites", "-all-sites", text="Also sites without a variant.")
@click.option("--max-alternate-alleles", type=click.IntRange(1), default=6, show_default=True, help="Most ALT alleles to genotype.")
@click.option("--sample-ploidy", "-ploidy", type=click.IntRange(1, 60), default=2, show_default=True,
              help="Ploidy of genotypes that do not show it.")  # fmt: skip
@click.option("--heterozygosity", type=float, default=0.001, show_default=True, help="Prior of a SNP.")
@click.option("--indel-heterozygosity", type=float, default=1.25e-4, show_default=True, help="Prior of an indel.")
@click.option("--heterozygosity-stdev", type=float, default=0.01, show_default=True, help="Deviation of the prior.")
@switch("--only-output-calls-starting-in-intervals", "starting_in_intervals", text="Of what -L reads, write records that start inside.")
@switch("--keep-combined-raw-annotations", "-keep-combined",
        text="Keep the raw values of annotations that are finished, as RAW_MQandDP.")  # fmt: skip
@click.option("--keep-specific-combined-raw-annotation", "-keep-specific-combined", multiple=True,
              help="Annotation whose raw values are kept, as RMSMappingQuality; repeatable.")  # fmt: skip
@click.option("--force-output-intervals", multiple=True, help="Interval, or file of intervals, where all sites are written; repeatable.")
@annotations
@variant_output
@intervals
@device
@threads
def command(reference, variants, output, dbsnp, starting_in_intervals, force_output_intervals, index, md5, intervals, device, threads,
            **arguments):  # fmt: skip
    """Genotype the samples of GVCFs together, with the records of GATK GenotypeGVCFs 4.6.2.0.

    -V takes one GVCF of one or many samples; several are combined first, as by CombineGVCFs, a cohort store as by GenomicsDBImport
    (the order of ALT alleles and the GT of samples without a record differ).
    """
    from gpugenome.errors import UserError
    from gpugenome.io.intervals import as_array, resolve_intervals
    from gpugenome.progress import announce
    from gpugenome.steps.gvcf_inputs import STORE_SCHEME
    from gpugenome.steps.joint_calls import GenotypeOptions

    if force_output_intervals and arguments["include_non_variant_sites"]:
        raise UserError("--force-output-intervals: not with --include-non-variant-sites, which writes all sites anyway")
    if arguments["keep_combined_raw_annotations"] and arguments["keep_specific_combined_raw_annotation"]:
        raise UserError("--keep-specific-combined-raw-annotation: not with --keep-combined-raw-annotations, which keeps all")
    backend = announce(device, threads, "genotypegvcfs", gpu_gains=True)
    options = GenotypeOptions(**arguments)
    opened = open_gvcfs(variants, reference, output, intervals, backend.threads, dbsnp)
    stored = all(v.startswith(STORE_SCHEME) for v in variants)
    genome, forced = opened[2], None
    if force_output_intervals:
        forced = as_array(resolve_intervals(force_output_intervals, [], genome.names, genome.lengths))
    genotype_to_file(*opened, options, output, index, md5, backend, dbsnp, starting_in_intervals, stored, forced)


def genotype_to_file(inputs, samples, genome, intervals, options, output, index, md5, backend, dbsnp=None, starting_in_intervals=False,
                     by_sample=False, forced=None):  # fmt: skip
    """Genotype GVCFs and write the VCF. The first four: what `open_gvcfs` gives. options: GenotypeOptions. backend: `Backend`.

    dbsnp: path or None. starting_in_intervals: as of `steps.genotypegvcfs.joint_lines`; by_sample, forced: as of `JointGenotyper`.
    """
    from gpugenome._version import __version__
    from gpugenome.gatk.vcf_lines import command_line as command_line_header
    from gpugenome.io.known_variants import read_known_variants
    from gpugenome.io.vcf import VariantWriter
    from gpugenome.progress import log
    from gpugenome.provenance import command_line
    from gpugenome.steps.genotypegvcfs import JointGenotyper, annotations_of, header_lines, joint_lines
    from gpugenome.steps.joint_records import InputKeys

    threads = backend.threads
    known = read_known_variants(dbsnp, genome.names, threads) if dbsnp else None
    headers = [i.file.header for i in inputs]
    keys = InputKeys.of(headers, annotations_of(options))
    genotyper = JointGenotyper(samples, keys, genome.names, genome.bases_upper_acgtn, options, known, threads, backend, by_sample,
                               forced)  # fmt: skip
    extra = [f"source=gpugenome {__version__}", command_line_header("gpugenome", "GenotypeGVCFs", command_line(), __version__)]
    lines = header_lines(headers, options, dbsnp is not None, extra)
    records = 0
    with VariantWriter(output, lines, genome.names, genome.lengths, genotyper.samples, threads, index, md5) as writer:
        for found in joint_lines(inputs, genotyper, intervals, starting_in_intervals):
            writer.write(found.text, found.offset, found.ref_id, found.start, found.end)
            records += len(found)
    log(f"{records} records written to {output}")
