"""`gpugenome haplotypecaller`: variants of coordinate-sorted reads, as GATK HaplotypeCaller."""

import click

from gpugenome.commands.caller_options import GatkCommand, caller_options
from gpugenome.commands.options import (
    check_input,
    check_output,
    device,
    intervals,
    memory,
    reads_in,
    reference,
    switch,
    threads,
    tmp_dir,
    variant_output,
)


@click.command(name="haplotypecaller", cls=GatkCommand, context_settings={"help_option_names": ["-h", "--help"]})
@reference
@reads_in()
@click.option("--output", "-O", type=click.Path(), required=True, help=".vcf or .vcf.gz; '-' is plain VCF on standard output.")
@click.option("--dbsnp", "-D", type=click.Path(), help="VCF whose IDs go into the ID column.")
@click.option("--alleles", type=click.Path(), help="VCF of alleles to call whatever their evidence.")
@click.option("--bqsr-recal-file", "-bqsr", "table_path", type=click.Path(), help="Recalibrate qualities on the fly with this table.")
@click.option("--bam-output", "-bamout", "bamout", type=click.Path(), help="Write haplotypes and realigned reads (BAM).")
@switch("--create-output-bam-index", "-OBI", "bamout_index", text="Also write .bai of --bam-output.", default=True, show_default=True)
@switch("--create-output-bam-md5", "-OBM", "bamout_md5", text="Also write .md5 of --bam-output.")
@click.option("--assembly-region-out", type=click.Path(), help="Write the assembly regions (IGV format).")
@caller_options
@variant_output
@intervals
@device
@threads
@memory
@tmp_dir
def command(reference, inputs, output, dbsnp, alleles, table_path, bamout, bamout_index, bamout_md5, assembly_region_out, index, md5,
            caller, intervals, device, threads, memory, tmp_dir):  # fmt: skip
    """Call SNPs and indels by local assembly of haplotypes, with the records of GATK HaplotypeCaller 4.6.2.0."""
    paths = [p for p in (*inputs, reference, dbsnp, alleles, table_path) if p]
    for path in paths:
        check_input(path)
    outputs = [p for p in (output, bamout, assembly_region_out) if p]
    for i, path in enumerate(outputs):
        check_output(path, *paths, *outputs[:i])
    from contextlib import ExitStack

    from gpugenome.commands.calling import call_to_files
    from gpugenome.commands.options import default_memory, read_intervals
    from gpugenome.io.bam import Replay, open_reads
    from gpugenome.io.fasta import Reference
    from gpugenome.io.headers import check_dictionary
    from gpugenome.io.spill import SpillFolder
    from gpugenome.pipeline import ahead
    from gpugenome.progress import announce

    backend = announce(device, threads, "haplotypecaller", stems=("pairhmm",))
    genome = Reference(reference)
    with ExitStack() as stack:
        spill = stack.enter_context(SpillFolder(tmp_dir))
        one = len(inputs) == 1
        reads = open_reads(inputs[0], reference, backend.threads) if one else Replay(inputs, reference, backend.threads, spill,
                                                                                     memory or default_memory())  # fmt: skip
        header = reads.header
        check_dictionary(header, inputs[0], genome.names, genome.lengths, reference)
        wanted = read_intervals(intervals, header.contig_names, header.contig_lengths)
        batches = reads.batches() if wanted is None or not one else reads.fetch_intervals(_padded(wanted, header, caller))
        if table_path:
            from gpugenome.io.recal_table import read_report
            from gpugenome.steps.applybqsr import ApplyOptions, Recalibrator

            recalibrator = Recalibrator(read_report(table_path), header, ApplyOptions())
            batches = (recalibrator.qualities(b, backend.threads) for b in batches)
        batches = ahead(batches, backend.threads)
        call_to_files(batches, header, genome, caller, output, wanted, index, md5, backend, dbsnp=dbsnp, alleles=alleles, bamout=bamout,
                      bamout_index=bamout_index, bamout_md5=bamout_md5, assembly_region_out=assembly_region_out)  # fmt: skip


def _padded(wanted, header, caller):
    """Intervals with the padding of assembly regions, joined where they meet."""
    out, pad = [], caller.assembly_region_padding
    for ref_id, start, end in wanted:
        start, end = max(0, start - pad), min(int(header.contig_lengths[ref_id]), end + pad)
        if out and out[-1][0] == ref_id and start <= out[-1][2]:
            out[-1] = (ref_id, out[-1][1], max(out[-1][2], end))
        else:
            out.append((ref_id, start, end))
    return out
