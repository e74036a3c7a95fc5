"""`gpugenome markdup`: duplicates as Picard MarkDuplicates."""

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
from gpugenome.gatk.defaults import IDLE_MARKDUPLICATES, UNSUPPORTED_MARKDUPLICATES


def _flag(name, default, help):
    """A Picard boolean: `--remove-duplicates` or `--REMOVE_DUPLICATES true`."""
    return switch("--" + name.replace("_", "-"), "--" + name.upper(), name, text=help, default=default, show_default=True)


def _value(name, help, short=None, **more):
    names = ["--" + name.replace("_", "-"), "--" + name.upper(), *(["-" + short] if short else []), name]
    return click.option(*names, help=help, show_default="default" in more, **more)


@click.command(name="markdup", cls=gatk_command("MarkDuplicates", UNSUPPORTED_MARKDUPLICATES, IDLE_MARKDUPLICATES),
               context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
@reads_in("--INPUT")
@reads_out("--OUTPUT")
@click.option(
    "--metrics-file", "-M", "--METRICS_FILE", "metrics", type=click.Path(), help="Duplicate metrics in Picard's format."
)
@_flag("remove_duplicates", False, "Leave duplicates out of the output.")
@_flag("remove_sequencing_duplicates", False, "Leave only optical duplicates out.")
@_value(
    "tagging_policy",
    "DT tags: SQ for optical, LB for other duplicates.",
    type=click.Choice(["DontTag", "OpticalOnly", "All"]),
    default="DontTag",
)
@_flag("clear_dt", True, "Remove DT tags of the input.")
@_flag("tag_duplicate_set_members", False, "DI and DS tags for every read of a duplicate set.")
@_flag("add_pg_tag_to_reads", True, "Set each record's PG tag.")
@_value("program_record_id", short="PG", help="ID of the @PG line; 'null' for none.", default="MarkDuplicates")
@_value("duplicate_scoring_strategy", short="DS", help="Which read of a set is kept.",
        type=click.Choice(["SUM_OF_BASE_QUALITIES", "TOTAL_MAPPED_REFERENCE_LENGTH", "RANDOM"]),
        default="SUM_OF_BASE_QUALITIES")  # fmt: skip
@_value("read_name_regex", "Three groups: tile, x, y; 'null' switches optical duplicates off.  "
        "[default: the last three of five or seven fields between colons]", default=None)  # fmt: skip
@_value("optical_duplicate_pixel_distance", "2500 for patterned flow cells.", type=click.IntRange(0), default=100)
@_value("max_optical_duplicate_set_size", "No optical duplicates in larger sets.", type=int, default=300000)
@_value("barcode_tag", "Tag of a molecular barcode (UMI), e.g. RX.", default=None)
@_value("read_one_barcode_tag", "Barcode tag of first reads.", default=None)
@_value("read_two_barcode_tag", "Barcode tag of second reads.", default=None)
@_flag("duplex_umi", False, "The barcode is X-Y of both strands.")
@click.option("--assume-sort-order", "--ASSUME_SORT_ORDER", "-ASO", type=click.Choice(["coordinate", "queryname"]),
              help="Instead of the header's order; queryname: names are side by side, in any order.")  # fmt: skip
@switch("--assume-sorted", "--ASSUME_SORTED", "-AS", "assume_sorted", text="The same as --assume-sort-order coordinate.")
@switch("--create-output-bam-index", "--CREATE_INDEX", "index", text="Also write .bai (.csi, .crai).")
@switch("--create-output-bam-md5", "--CREATE_MD5_FILE", "md5", text="Also write .md5.")
@compression
@click.option("--reference", "--REFERENCE_SEQUENCE", "-R", "reference", type=click.Path(), help="Reference, for CRAM.")
@stringency
@threads
@memory
@tmp_dir
def command(
    inputs, output, metrics, assume_sort_order, assume_sorted, index, md5, compression_level, reference, stringency, threads, memory,
    tmp_dir, **picard,
):  # fmt: skip
    """Mark duplicates, with the flags, tags and metrics of Picard MarkDuplicates 3.4.0.

    The input is coordinate-sorted or grouped by read name; what its header says counts, or --assume-sort-order.
    """
    for path in inputs:
        check_input(path)
    check_output(output, *inputs, reference)
    check_output(metrics, *inputs, reference, output)
    touch_ahead(inputs, threads, memory)
    from contextlib import ExitStack

    from gpugenome.commands.options import default_memory
    from gpugenome.errors import UserError
    from gpugenome.io.bam import Replay, create_reads
    from gpugenome.io.headers import htsjdk_header
    from gpugenome.io.metrics import duplicate_metrics_text
    from gpugenome.io.outputs import AtomicOutput, all_or_none
    from gpugenome.io.spill import SpillFolder
    from gpugenome.pipeline import usable_threads
    from gpugenome.provenance import command_line
    from gpugenome.steps.markdup import DuplicateOptions, Marker, find_duplicates

    if assume_sorted:
        if assume_sort_order:
            raise UserError("--assume-sorted and --assume-sort-order: expected one of them")
        assume_sort_order = "coordinate"
    for tag in ("barcode_tag", "read_one_barcode_tag", "read_two_barcode_tag"):
        if picard[tag] and len(picard[tag]) != 2:
            raise UserError(f"--{tag.replace('_', '-')}: expected a tag of two characters, got {picard[tag]!r}")
    regex = picard.pop("read_name_regex")
    picard["program_record_id"] = None if picard["program_record_id"] == "null" else picard["program_record_id"]
    options = DuplicateOptions(**picard, find_locations=regex != "null", read_name_regex=None if regex == "null" else regex)
    n = threads or usable_threads()
    with ExitStack() as stack:
        spill = stack.enter_context(SpillFolder(tmp_dir))
        budget = memory or default_memory()
        reads = Replay(inputs, reference, n, spill, budget, strict=stringency == "STRICT")
        order = assume_sort_order or reads.header.sort_order
        if order not in ("coordinate", "queryname"):
            raise UserError(f"{inputs[0]}: is sorted by {order!r}, expected coordinate or queryname (or say --assume-sort-order queryname "
                            "for reads grouped by name, or run gpugenome sort)")  # fmt: skip
        if len(inputs) > 1 and order != "coordinate":
            raise UserError("several inputs must be coordinate-sorted")
        by_name = order == "queryname"
        marks = find_duplicates(
            reads.batches(), reads.header, options, by_name=by_name, spill=spill, memory_bytes=budget, threads=n, source=inputs[0]
        )
        assumed = ("unknown", "query") if assume_sort_order == "queryname" else (order, None)
        header = htsjdk_header(marks.header, *assumed)
        stack.enter_context(all_or_none())
        if metrics:
            text = duplicate_metrics_text(marks.libraries, marks.sets, command_line())
            stack.enter_context(AtomicOutput(metrics)).write(text.encode())
        out = stack.enter_context(create_reads(output, header, compression_level, n, index, md5, reference))
        marker = Marker(marks, options, by_name=by_name, threads=n)
        for batch in reads.batches():
            out.write(marker.apply(batch))
