"""`gpugenome bqsr`: the recalibration table, as GATK BaseRecalibrator."""

import click

from gpugenome.commands.options import check_input, check_output, gatk_command, intervals, reads_in, reference, switch, threads
from gpugenome.gatk.defaults import IDLE_BASERECALIBRATOR, UNSUPPORTED_BASERECALIBRATOR


@click.command(name="bqsr", cls=gatk_command("BaseRecalibrator", UNSUPPORTED_BASERECALIBRATOR, IDLE_BASERECALIBRATOR),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@reference
@reads_in()
@click.option("--known-sites", "sites", type=click.Path(), multiple=True, required=True, help="VCF or BED of known variants; repeatable.")
@click.option("--output", "-O", type=click.Path(), required=True, help="The table (GATKReport); '-' is standard output.")
@click.option("--mismatches-context-size", "-mcs", "context_size", type=click.IntRange(1, 13), default=2, show_default=True)
@click.option("--indels-context-size", "-ics", "indels_context_size", type=click.IntRange(1, 13), default=3, show_default=True)
@click.option("--maximum-cycle-value", "-max-cycle", "maximum_cycle", type=click.IntRange(1), default=500, show_default=True)
@click.option("--low-quality-tail", "low_quality_tail", type=click.IntRange(0, 93), default=2, show_default=True)
@click.option("--preserve-qscores-less-than", type=click.IntRange(0, 93), default=6, show_default=True)
@click.option("--quantizing-levels", type=click.IntRange(1, 94), default=16, show_default=True)
@switch("--use-original-qualities", "-OQ", text="Take qualities from the OQ tag where there is one.")
@intervals
@threads
def command(reference, inputs, sites, output, intervals, threads, **options):
    """Build the table of base quality score recalibration, byte for byte that of GATK BaseRecalibrator 4.6.2.0."""
    for path in (*inputs, *sites, reference):
        check_input(path)
    check_output(output, *inputs, *sites, reference)
    from gpugenome.commands.options import read_intervals
    from gpugenome.io.bam import open_several
    from gpugenome.io.fasta import Reference
    from gpugenome.io.headers import check_dictionary
    from gpugenome.io.intervals import as_array
    from gpugenome.io.known_sites import read_sites
    from gpugenome.io.outputs import AtomicOutput
    from gpugenome.io.recal_table import arguments_table, report_text
    from gpugenome.pipeline import usable_threads
    from gpugenome.steps.bqsr import TableBuilder, TableOptions

    n = threads or usable_threads()
    chosen = TableOptions(**options)
    options.pop("preserve_qscores_less_than")
    options.pop("use_original_qualities")
    genome = Reference(reference)
    reads = open_several(inputs, reference, n)
    header = reads.header
    check_dictionary(header, inputs[0], genome.names, genome.lengths, reference)
    known = read_sites(sites, header.contig_names, header.contig_lengths, n)
    wanted = read_intervals(intervals, header.contig_names, header.contig_lengths)
    index = {name: i for i, name in enumerate(genome.names)}
    builder = TableBuilder(
        header, lambda ref_id: genome.bases_upper_acgtn(index[header.contig_names[ref_id]]), known, chosen, arguments_table(**options), n,
        None if wanted is None else as_array(wanted),
    )  # fmt: skip
    with AtomicOutput(output) as out:
        fetched = wanted is not None and len(inputs) == 1
        for batch in reads.fetch_intervals(wanted) if fetched else reads.batches():
            builder.add(batch)
        out.write(report_text(builder.finish()).encode())
