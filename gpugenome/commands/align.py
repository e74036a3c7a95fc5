"""`gpugenome align`: FASTQ to alignments in the order of the reads."""

from contextlib import contextmanager

import click

from gpugenome.commands.options import FastqCommand, alignment, check_input, check_output, reference, threads, tmp_dir


def _read_groups(texts, reads):
    """The fields of the read group of each item of `reads` (FastqReads)."""
    from gpugenome.errors import UserError
    from gpugenome.io.read_groups import derive_read_group, distinct_read_groups, parse_read_group

    if not texts:
        return distinct_read_groups([derive_read_group(r.paths, r.first_name) for r in reads])
    if len(texts) not in (1, len(reads)):
        raise UserError(f"--read-group is given {len(texts)} times for {len(reads)} --fastq, expected one for all or one for each")
    groups = [parse_read_group(t) for t in texts]
    return groups * len(reads) if len(groups) == 1 else groups


@contextmanager
def aligned_reads(chosen: dict, reference: str, threads: int, tmp_dir: str | None):
    """The alignments (`steps.align.Alignments`) that the options of `options.alignment` ask for; a context manager.

    Raises
    ------
    UserError: files that are missing or are no FASTQ, options that contradict each other, no bwa.
    """
    from gpugenome.errors import InputError, UserError
    from gpugenome.io.fasta import Reference
    from gpugenome.io.fastq import FastqReads
    from gpugenome.progress import log
    from gpugenome.steps.align import Alignments, BwaMem, Lane

    files = [p for lane in chosen["fastq"] for p in lane]
    for path in [reference, *files]:
        check_input(path)
    for path in files:
        if files.count(path) > 1:
            raise InputError(path, "is given twice")
    if not files:
        raise UserError("--fastq is missing, expected one or two FASTQ files")
    if chosen["interleaved"] and any(len(lane) == 2 for lane in chosen["fastq"]):
        raise UserError("--interleaved: expected one file after each --fastq, got two")
    reads = [FastqReads(lane, chosen["interleaved"], min(threads, 2)) for lane in chosen["fastq"]]
    lanes = [Lane(r, g) for r, g in zip(reads, _read_groups(chosen["read_groups"], reads))]
    aligner = BwaMem(reference, chosen["bwa_options"], threads, chosen["bwa_index"], tmp_dir)
    if not aligner.has_index:
        Reference(reference)  # refuses what is no FASTA in our words
        log(f"{reference}: no bwa index beside it, making one (an hour for a human genome; see --bwa-index)")
    with aligner:
        yield Alignments(lanes, aligner, threads)


@click.command(name="align", cls=FastqCommand, context_settings={"help_option_names": ["-h", "--help"]})
@reference
@alignment
@click.option("--output", "-O", type=click.Path(), required=True, help="SAM, BAM or CRAM by extension; '-' is uncompressed BAM.")
@click.option("--compression-level", type=click.IntRange(0, 12), default=2, show_default=True)
@threads
@tmp_dir
def command(reference, alignment, output, compression_level, threads, tmp_dir):
    """Align reads with bwa mem: its records, in the order of the reads, lane after lane.

    A file with pairs that are out of step, cut off or damaged is refused, with the record where it happens.
    """
    check_output(output, reference, *(p for lane in alignment["fastq"] for p in lane))
    from gpugenome.backend import usable_threads
    from gpugenome.batch import Header
    from gpugenome.io.bam import create_reads
    from gpugenome.provenance import program_line

    n = threads or usable_threads()
    with aligned_reads(alignment, reference, n, tmp_dir) as reads:
        header = Header.from_text(reads.header.text + program_line(reads.header.text, "gpugenome align"))
        with create_reads(output, header, compression_level, n, reference=reference) as out:
            for batch in reads.batches():
                out.write(batch)
