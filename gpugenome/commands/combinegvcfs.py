"""`gpugenome combinegvcfs`: GVCFs of several samples as one GVCF, as GATK CombineGVCFs."""

import click

from gpugenome.commands.joint_options import annotations, open_gvcfs, output, variants
from gpugenome.commands.options import gatk_command, intervals, reference, switch, threads, variant_output
from gpugenome.gatk.defaults import IDLE_JOINT, UNSUPPORTED_COMBINEGVCFS


@click.command(name="combinegvcfs", cls=gatk_command("CombineGVCFs", UNSUPPORTED_COMBINEGVCFS, IDLE_JOINT),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@reference
@variants
@output
@click.option("--dbsnp", "-D", type=click.Path(), help="Adds the header line of DB, as GATK, which puts no IDs in either.")
@switch("--convert-to-base-pair-resolution", text="A record for each position.")
@click.option("--break-bands-at-multiples-of", type=click.IntRange(0), default=0, show_default=True,
              help="Cut reference blocks before multiples of this position.")  # fmt: skip
@annotations
@variant_output
@intervals
@threads
def command(reference, variants, output, dbsnp, convert_to_base_pair_resolution, break_bands_at_multiples_of, index, md5, intervals,
            threads, **arguments):  # fmt: skip
    """Combine GVCFs of several samples into one, with the records of GATK CombineGVCFs 4.6.2.0."""
    from gpugenome import pipeline
    from gpugenome._version import __version__
    from gpugenome.gatk.annotations import joint_annotations
    from gpugenome.gatk.vcf_lines import command_line as command_line_header
    from gpugenome.io.vcf import VariantWriter
    from gpugenome.progress import log
    from gpugenome.provenance import command_line
    from gpugenome.steps.combinegvcfs import GvcfCombiner, header_lines

    threads = threads or pipeline.usable_threads()
    chosen = joint_annotations(**arguments)
    inputs, samples, genome, wanted = open_gvcfs(variants, reference, output, intervals, threads, dbsnp)
    band = 1 if convert_to_base_pair_resolution else break_bands_at_multiples_of
    combiner = GvcfCombiner(inputs, samples, genome.names, genome.bases_upper_acgtn, chosen, wanted, band, threads)
    extra = [f"source=gpugenome {__version__}", command_line_header("gpugenome", "CombineGVCFs", command_line(), __version__)]
    lines = header_lines([i.file.header for i in inputs], chosen, extra, dbsnp is not None)
    records = 0
    with VariantWriter(output, lines, genome.names, genome.lengths, combiner.samples, threads, index, md5) as writer:
        for found in combiner.lines():
            writer.write(found.text, found.offset, found.ref_id, found.start, found.end)
            records += len(found)
    log(f"{records} records written to {output}")
