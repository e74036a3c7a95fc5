"""`gpugenome align`: FASTQ to alignments in the order of the reads."""

import click

from gpugenome.commands.options import (
    FastqCommand,
    alignment,
    check_input,
    check_output,
    compression,
    device,
    reads_out,
    reference,
    threads,
)


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


def aligned_reads(chosen: dict, genome, backend):
    """The alignments (`steps.align.Alignments`) that the options of `options.alignment` ask for.

    genome: `io.fasta.Reference`. backend: `backend.Backend`, where they are made.

    Raises
    ------
    UserError, InputError: as `lanes_of` and `aligner_of`.
    """
    from gpugenome.steps.align import Alignments

    lanes = lanes_of(chosen, backend.threads)
    return Alignments(lanes, aligner_of(chosen, genome, backend))


def lanes_of(chosen: dict, threads: int) -> list:
    """The lanes (`steps.align.Lane`) of the options of `options.alignment`, opened.

    Raises
    ------
    UserError: files that are missing or are no FASTQ, read groups that do not fit.
    """
    from gpugenome.errors import InputError, UserError
    from gpugenome.io.fastq import FastqReads
    from gpugenome.steps.align import Lane

    files = [p for lane in chosen["fastq"] for p in lane]
    for path in files:
        check_input(path)
    for path in files:
        if files.count(path) > 1:
            raise InputError(path, "is given twice")
    if not files:
        raise UserError("--fastq is missing, expected one or two FASTQ files")
    if chosen["interleaved"] and any(len(lane) == 2 for lane in chosen["fastq"]):
        raise UserError("--interleaved: expected one file after each --fastq, got two")
    reads = [FastqReads(lane, chosen["interleaved"], min(threads, 2)) for lane in chosen["fastq"]]
    return [Lane(r, g) for r, g in zip(reads, _read_groups(chosen["read_groups"], reads))]


def aligner_of(chosen: dict, genome, backend):
    """The `steps.align.Aligner` of the options of `options.alignment`, its index read or made. Arguments as of `aligned_reads`.

    Raises
    ------
    UserError: options that contradict each other or are not supported.
    InputError: an index that is damaged or belongs to another reference.
    """
    from gpugenome.io.bwa_index import read_alt
    from gpugenome.steps.align import Aligner
    from gpugenome.steps.aligner_options import AlignerOptions

    options = AlignerOptions.parse(chosen["bwa_options"])
    prefix, index = _index(genome, chosen["bwa_index"], backend.threads)
    return Aligner(index, read_alt(prefix, index.names), options, backend)


def _index(genome, wanted: str | None, threads: int):
    """(prefix, SearchIndex): the index beside the reference or where the user has it; made in memory where there is none."""
    import os

    from gpugenome.io.bwa_index import build_index, check_reference, has_index, pack, read_index
    from gpugenome.progress import log
    from gpugenome.steps.index import index_in_memory

    reference = genome.path
    candidates = [p + s for p in ([wanted] if wanted else [reference, reference.removesuffix(".gz")]) for s in ("", ".64")]
    for prefix in candidates:
        if has_index(prefix):
            index = read_index(prefix, threads)
            check_reference(index, genome, prefix)
            return prefix, index
    log(f"{reference}: no index beside it, making one (see `gpugenome index`)")
    packed = pack(genome, threads)
    if not wanted:
        return reference, index_in_memory(packed, threads)
    if os.path.exists(reference + ".alt") and not os.path.exists(wanted + ".alt"):
        log(f"{reference}.alt is not looked at: ALT contigs are those that {wanted}.alt lists")
    build_index(wanted, packed, threads)
    return wanted, read_index(wanted, threads)


@click.command(name="align", cls=FastqCommand, context_settings={"help_option_names": ["-h", "--help"]})
@reference
@alignment
@reads_out()
@compression
@device
@threads
def command(reference, alignment, output, compression_level, device, threads):
    """Align reads as bwa mem 0.7.17 does: the same records, in the order of the reads, lane after lane.

    A file with pairs that are out of step, cut off or damaged is refused, with the record where it happens.
    """
    check_input(reference)
    check_output(output, reference, *(p for lane in alignment["fastq"] for p in lane))
    from gpugenome.backend import ALIGNER_STEMS
    from gpugenome.batch import Header
    from gpugenome.io.bam import create_reads
    from gpugenome.io.fasta import Reference
    from gpugenome.progress import announce
    from gpugenome.provenance import program_line

    backend = announce(device, threads, "align", stems=ALIGNER_STEMS)
    n = backend.threads
    reads = aligned_reads(alignment, Reference(reference), backend)
    header = Header.from_text(reads.header.text + program_line(reads.header.text, "gpugenome align"))
    with create_reads(output, header, compression_level, n, reference=reference) as out:
        for batch in reads.batches():
            out.write(batch)
