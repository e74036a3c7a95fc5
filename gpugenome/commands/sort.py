"""`gpugenome sort`: alignments by coordinate or read name."""

import click

from gpugenome.commands.options import (
    check_input,
    check_output,
    compression,
    gatk_command,
    memory,
    reads_in,
    reads_out,
    stringency,
    switch,
    threads,
    tmp_dir,
    touch_ahead,
)
from gpugenome.gatk.defaults import IDLE_SORTSAM, UNSUPPORTED_SORTSAM


@click.command(name="sort", cls=gatk_command("SortSam", UNSUPPORTED_SORTSAM, IDLE_SORTSAM),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@reads_in("--INPUT")
@reads_out("--OUTPUT")
@click.option("--sort-order", "--SORT_ORDER", "-SO", "order", type=click.Choice(["coordinate", "queryname", "natural"]),
              default="coordinate", show_default=True, help="queryname: Picard's order; natural: samtools sort -n.")  # fmt: skip
@click.option("--ties", type=click.Choice(["picard", "input"]), default="picard", show_default=True,
              help="Equal coordinates: as Picard SortSam, or in input order as samtools sort.")  # fmt: skip
@switch("--create-output-bam-index", "--CREATE_INDEX", "index", text="Also write .bai (.csi, .crai).")
@switch("--create-output-bam-md5", "--CREATE_MD5_FILE", "md5", text="Also write .md5.")
@compression
@click.option("--reference", "--REFERENCE_SEQUENCE", "-R", "reference", type=click.Path(), help="Reference, for CRAM.")
@stringency
@threads
@memory
@tmp_dir
def command(inputs, output, order, ties, index, md5, compression_level, reference, stringency, threads, memory, tmp_dir):
    """Sort alignments, with the order of Picard SortSam (or samtools) to the last tie.

    Several inputs are sorted into one output. Beyond --memory sorted runs are spilled to --tmp-dir.
    """
    for path in inputs:
        check_input(path)
    check_output(output, *inputs, reference)
    touch_ahead(inputs, threads, memory)
    from gpugenome.commands.options import default_memory
    from gpugenome.io.bam import create_reads, open_several
    from gpugenome.io.headers import htsjdk_header
    from gpugenome.io.spill import SpillFolder
    from gpugenome.pipeline import usable_threads
    from gpugenome.provenance import program_line
    from gpugenome.steps.sort import sorted_records, write_bins

    n = threads or usable_threads()
    reads = open_several(inputs, reference, n, stringency == "STRICT")
    programs = program_line(reads.header.text, "gpugenome sort")
    header = htsjdk_header(reads.header, {"natural": "queryname"}.get(order, order), None, programs)
    with SpillFolder(tmp_dir) as spill, create_reads(output, header, compression_level, n, index, md5, reference) as out:
        ordered = sorted_records(
            reads.batches(ordered=False), order, spill=spill, memory_bytes=memory or default_memory(),
            picard_ties=ties == "picard", threads=n, alone=True,
        )  # fmt: skip
        for batch in ordered.batches():
            write_bins(batch, header.contig_lengths, n)
            out.write(batch)
