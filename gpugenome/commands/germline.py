"""`gpugenome germline`: from FASTQ or BAM to variants in one command."""

import click

from gpugenome.commands.caller_options import GatkCommand, caller_options
from gpugenome.commands.options import (
    FastqCommand,
    alignment,
    check_input,
    check_output,
    device,
    intervals,
    memory,
    reference,
    threads,
    tmp_dir,
    variant_output,
)


class GermlineCommand(FastqCommand, GatkCommand):
    """--fastq with one or two files, and GATK arguments refused by name."""


@click.command(name="germline", cls=GermlineCommand, context_settings={"help_option_names": ["-h", "--help"]})
@reference
@alignment
@click.option("--input", "-I", "inputs", type=click.Path(), multiple=True, help="Instead of FASTQ: SAM, BAM or CRAM; repeatable.")
@click.option("--known-sites", "sites", type=click.Path(), multiple=True, help="VCF or BED of known variants (recalibration); repeatable.")
@click.option("--output", "-O", type=click.Path(), required=True, help=".vcf or .vcf.gz; '-' is plain VCF on standard output.")
@click.option("--out-bam", type=click.Path(), help="Also write the sorted, marked and recalibrated reads.")
@click.option("--out-recal-file", type=click.Path(), help="Also write the recalibration table.")
@click.option("--out-duplicate-metrics", type=click.Path(), help="Also write the duplicate metrics.")
@click.option("--dbsnp", "-D", type=click.Path(), help="VCF whose IDs go into the ID column.")
@click.option("--alleles", type=click.Path(), help="VCF of alleles to call whatever their evidence.")
@caller_options
@variant_output
@intervals
@device
@threads
@memory
@tmp_dir
def command(reference, alignment, inputs, sites, output, out_bam, out_recal_file, out_duplicate_metrics, dbsnp, alleles, index, md5, caller,
            intervals, device, threads, memory, tmp_dir):  # fmt: skip
    """Align, sort, mark duplicates, recalibrate base qualities and call variants, with the records of bwa mem, Picard and GATK 4.6.2.0.

    Reads go from stage to stage in memory (sorted spill files beyond --memory); only the requested outputs are written. Without
    --known-sites base qualities are not recalibrated.
    """
    from gpugenome.errors import UserError

    given = [*inputs, *(p for lane in alignment["fastq"] for p in lane), reference, *sites, *(p for p in (dbsnp, alleles) if p)]
    outputs = [p for p in (output, out_bam, out_recal_file, out_duplicate_metrics) if p]
    for path in given:
        check_input(path)
    for i, path in enumerate(outputs):
        check_output(path, *given, *outputs[:i])
    if bool(inputs) == bool(alignment["fastq"]):
        raise UserError("expected either --fastq or --input (-I)")
    if out_recal_file and not sites:
        raise UserError("--out-recal-file needs --known-sites")
    from contextlib import ExitStack

    from gpugenome.commands.calling import call_to_files
    from gpugenome.commands.options import default_memory, read_intervals
    from gpugenome.io.arrow import SpillFolder
    from gpugenome.io.bam import create_reads
    from gpugenome.io.fasta import Reference
    from gpugenome.io.headers import check_dictionary, htsjdk_header
    from gpugenome.io.intervals import as_array
    from gpugenome.io.known_sites import read_sites
    from gpugenome.io.metrics import duplicate_metrics_text
    from gpugenome.io.outputs import AtomicOutput
    from gpugenome.io.recal_table import arguments_table, report_text
    from gpugenome.progress import announce, log
    from gpugenome.provenance import command_line, program_line
    from gpugenome.steps.bqsr import TableOptions
    from gpugenome.steps.germline import marked_reads, recalibrated, recalibration_table

    backend = announce(device, threads, "germline")
    n, budget = backend.threads, memory or default_memory()
    genome = Reference(reference)
    with ExitStack() as stack:
        spill = stack.enter_context(SpillFolder(tmp_dir))
        source, reads = _source(alignment, inputs, genome, backend, spill, budget)
        header = reads.header
        check_dictionary(header, source, genome.names, genome.lengths, reference)
        wanted = read_intervals(intervals, header.contig_names, header.contig_lengths)
        known = read_sites(sites, header.contig_names, header.contig_lengths, n) if sites else None
        in_order = header.sort_order == "coordinate"
        if not in_order:
            header = htsjdk_header(header, "coordinate", "none" if header.hd("GO", "") else None)
        header = htsjdk_header(header, None, None, program_line(header.text, "gpugenome germline"))
        marked = marked_reads(reads, header, in_order=in_order, memory_bytes=budget, spill=spill, threads=n, source=source)
        # the pair counts are of reads, see io.metrics
        examined = sum(r["READ_PAIRS_EXAMINED"] + r["UNPAIRED_READS_EXAMINED"] for r in marked.marks.libraries)
        lost = sum(r["READ_PAIR_DUPLICATES"] + r["UNPAIRED_READ_DUPLICATES"] for r in marked.marks.libraries)
        log(f"{examined} mapped primary reads sorted, {lost} of them marked as duplicates")
        if out_duplicate_metrics:
            text = duplicate_metrics_text(marked.marks.libraries, marked.marks.sets, command_line())
            stack.enter_context(AtomicOutput(out_duplicate_metrics)).handle.write(text.encode())
        index = {name: i for i, name in enumerate(genome.names)}

        def bases_of(ref_id):
            return genome.bases_upper_acgtn(index[marked.header.contig_names[ref_id]])

        prepared = marked
        if known is None:
            log("no --known-sites: base qualities are not recalibrated")
        else:
            o = TableOptions()
            arguments = arguments_table(
                context_size=o.context_size, indels_context_size=o.indels_context_size, maximum_cycle=o.maximum_cycle,
                low_quality_tail=o.low_quality_tail, quantizing_levels=o.quantizing_levels,
            )  # fmt: skip
            table = recalibration_table(marked, bases_of, known, arguments, n, None if wanted is None else as_array(wanted))
            log("recalibration table built")
            if out_recal_file:
                stack.enter_context(AtomicOutput(out_recal_file)).handle.write(report_text(table).encode())
            prepared = recalibrated(marked, table, n, out_bam is not None)
        batches = prepared.batches()
        if out_bam:
            writer = stack.enter_context(create_reads(out_bam, marked.header, 1, n, True, False, reference))
            batches = _written(batches, writer)
        call_to_files(batches, marked.header, genome, caller, output, wanted, index, md5, backend, dbsnp=dbsnp, alleles=alleles)
        for _ in batches:
            pass  # records after the last interval still go to --out-bam


def _source(alignment, inputs, genome, backend, spill, budget):
    """(name for messages, reads) of the FASTQ lanes or the files of alignments."""
    from gpugenome.commands.align import aligned_reads
    from gpugenome.io.bam import Replay, open_several

    if alignment["fastq"]:
        return alignment["fastq"][0][0], aligned_reads(alignment, genome, backend)
    opened = [open_several([p], genome.path, backend.threads) for p in inputs]
    if all(r.header.sort_order == "coordinate" for r in opened):
        return inputs[0], Replay(inputs, genome.path, backend.threads, spill, budget)
    return inputs[0], open_several(inputs, genome.path, backend.threads)


def _written(batches, writer):
    """The batches, each written before it is handed on."""
    for batch in batches:
        writer.write(batch)
        yield batch
