"""`gpugenome applybqsr`: recalibrated qualities, as GATK ApplyBQSR."""

import click

from gpugenome.commands.options import (
    check_input,
    check_output,
    compression,
    gatk_command,
    intervals,
    memory,
    reads_in,
    reads_out,
    switch,
    threads,
    tmp_dir,
)
from gpugenome.gatk.defaults import IDLE_APPLYBQSR, UNSUPPORTED_APPLYBQSR


@click.command(name="applybqsr", cls=gatk_command("ApplyBQSR", UNSUPPORTED_APPLYBQSR, IDLE_APPLYBQSR),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@reads_in()
@click.option("--bqsr-recal-file", "-bqsr", "table_path", type=click.Path(), required=True, help="Table of bqsr or BaseRecalibrator.")
@reads_out()
@click.option("--reference", "-R", type=click.Path(), help="Reference, needed for CRAM.")
@click.option("--preserve-qscores-less-than", type=click.IntRange(0, 93), default=6, show_default=True)
@click.option("--quantize-quals", type=int, default=0, show_default=True, help="Levels; 0 for none, negative for the table's own.")
@click.option("--static-quantized-quals", "-SQQ", "static_quantized_quals", type=int, multiple=True, help="Qualities to round to.")
@switch("--round-down-quantized", text="Round down to the static qualities, not to the nearest.")
@switch("--emit-original-quals", text="Keep the qualities of before in the OQ tag.")
@switch("--use-original-qualities", "-OQ", text="Start from the OQ tag where there is one.")
@click.option("--global-qscore-prior", type=float, default=-1.0, show_default=True)
@switch("--allow-missing-read-group", text="Keep reads whose read group the table lacks.")
@switch("--create-output-bam-index", "-OBI", "index", default=True, show_default=True)
@switch("--create-output-bam-md5", "-OBM", "md5", text="Also write .md5.")
@switch("--add-output-sam-program-record", "program", default=True, show_default=True)
@compression
@intervals
@threads
@memory
@tmp_dir
def command(inputs, table_path, output, reference, index, md5, program, compression_level, intervals, threads, memory, tmp_dir, **options):
    """Recalibrate base qualities, every one as GATK ApplyBQSR 4.6.2.0. Reads that are not well-formed are left out, as there."""
    for path in (*inputs, table_path):
        check_input(path)
    check_output(output, *inputs, table_path, reference)
    from gpugenome.columns import overlapping
    from gpugenome.commands.options import default_memory, read_intervals
    from gpugenome.io.bam import Replay, create_reads, open_reads
    from gpugenome.io.headers import htsjdk_header
    from gpugenome.io.intervals import as_array
    from gpugenome.io.recal_table import read_report
    from gpugenome.io.spill import SpillFolder
    from gpugenome.pipeline import usable_threads
    from gpugenome.provenance import program_fields
    from gpugenome.steps.applybqsr import ApplyOptions, Recalibrator

    n = threads or usable_threads()
    chosen = ApplyOptions(**options)
    table = read_report(table_path)
    with SpillFolder(tmp_dir) as spill:
        one = len(inputs) == 1
        reads = open_reads(inputs[0], reference, n) if one else Replay(inputs, reference, n, spill, memory or default_memory())
        header, line = reads.header, ""
        if program:
            taken = {f[3:] for line in header.text.splitlines() if line.startswith("@PG") for f in line.split("\t") if f[:3] == "ID:"}
            name, i = "GATK ApplyBQSR", 1
            while name in taken:
                name, i = f"GATK ApplyBQSR.{i}", i + 1
            line = program_fields(name, "GATK ApplyBQSR", None)
        header = htsjdk_header(header, programs=line)
        recalibrator = Recalibrator(table, header, chosen)
        wanted = read_intervals(intervals, header.contig_names, header.contig_lengths)
        index = index and header.sort_order == "coordinate"
        with create_reads(output, header, compression_level, n, index, md5, reference) as out:
            for batch in reads.fetch_intervals(wanted) if wanted is not None and one else reads.batches():
                if wanted is not None and not one:
                    from gpugenome.columns import take

                    batch = take(batch, overlapping(batch, as_array(wanted), n).nonzero()[0], n)
                out.write(recalibrator.apply(batch, n))
