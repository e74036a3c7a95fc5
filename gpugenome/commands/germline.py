"""`gpugenome germline`: from FASTQ or BAM to variants in one command."""

from dataclasses import dataclass

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
    touch_ahead,
    variant_output,
)

SAMPLE = "{sample}"


class GermlineCommand(FastqCommand, GatkCommand):
    """--fastq with one or two files, and GATK arguments refused by name."""


@click.command(name="germline", cls=GermlineCommand, context_settings={"help_option_names": ["-h", "--help"]})
@reference
@alignment
@click.option("--input", "-I", "inputs", type=click.Path(), multiple=True, help="Instead of FASTQ: SAM, BAM or CRAM; repeatable.")
@click.option("--known-sites", "sites", type=click.Path(), multiple=True, help="VCF or BED of known variants (recalibration); repeatable.")
@click.option("--output", "-O", type=click.Path(), help=".vcf or .vcf.gz; '-' is plain VCF on standard output. Not needed with --joint; "
              "without it --out-bam is all and nothing is called.")
@click.option("--joint", type=click.Path(), help="Call each sample of the reads by itself as a GVCF (-ERC GVCF), then write their joint "
              "genotypes to this VCF. Names of other outputs have {sample} in them, as -O out/{sample}.g.vcf.gz.")
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
def command(reference, alignment, inputs, sites, output, joint, out_bam, out_recal_file, out_duplicate_metrics, dbsnp, alleles, index, md5,
            caller, intervals, device, threads, memory, tmp_dir):  # fmt: skip
    """Align, sort, mark duplicates, recalibrate base qualities and call variants, with the records of bwa mem, Picard and GATK 4.6.2.0.

    Reads go from stage to stage in memory (sorted spill files beyond --memory); only the requested outputs are written. Without
    --known-sites base qualities are not recalibrated. Several samples are called together as one HaplotypeCaller run; with --joint each
    goes its own way to a GVCF, and GenotypeGVCFs follows. With --out-bam and no --output it ends at the recalibrated reads.
    """
    from gpugenome.errors import UserError

    given = [*inputs, *(p for lane in alignment["fastq"] for p in lane), reference, *sites, *(p for p in (dbsnp, alleles) if p)]
    outputs = Outputs(output, out_bam, out_recal_file, out_duplicate_metrics)
    for path in given:
        check_input(path)
    if bool(inputs) == bool(alignment["fastq"]):
        raise UserError("expected either --fastq or --input (-I)")
    if out_recal_file and not sites:
        raise UserError("--out-recal-file needs --known-sites")
    if not joint:
        if not output and not out_bam:
            raise UserError("expected --output (-O), or --out-bam for the recalibrated reads alone")
        for name, path in ("--dbsnp", dbsnp), ("--alleles", alleles):
            if path and not output:
                raise UserError(f"{name} needs --output (-O)")
        outputs.check(given)
    touch_ahead(inputs, threads, memory)

    from gpugenome.backend import ALIGNER_STEMS, RECORD_STEMS
    from gpugenome.commands.options import default_memory
    from gpugenome.io.fasta import Reference
    from gpugenome.io.spill import SpillFolder
    from gpugenome.progress import announce, log_transfers

    backend = announce(device, threads, "germline", stems=(*(ALIGNER_STEMS if alignment["fastq"] else ()), *RECORD_STEMS, "pairhmm"))
    way = _Way(Reference(reference), sites, caller, intervals, index, md5, backend, memory or default_memory(), tmp_dir, dbsnp, alleles)
    if joint:
        _joint(way, alignment, inputs, outputs, joint, given)
    else:
        with SpillFolder(tmp_dir) as spill:
            way.run(*_source(alignment, inputs, way, spill), outputs, spill)
    log_transfers()


@dataclass
class Outputs:
    """Paths of what a sample's way leaves, None for what is not wanted."""

    variants: str | None
    bam: str | None
    table: str | None
    metrics: str | None

    def check(self, given, *others) -> None:
        """Refuse paths as `options.check_output` does. given: the inputs. others: further outputs."""
        paths = [p for p in (*others, *vars(self).values()) if p]
        for i, path in enumerate(paths):
            check_output(path, *given, *paths[:i])

    def of_sample(self, sample: str) -> "Outputs":
        """The paths with the sample's name in its place."""
        return Outputs(*(p and p.replace(SAMPLE, sample) for p in vars(self).values()))


@dataclass
class _Way:
    """What the way from reads to variants needs beside the reads. genome: `io.fasta.Reference`; the rest: the command's arguments."""

    genome: "Reference"  # noqa: F821
    sites: tuple[str, ...]
    caller: "CallerOptions"  # noqa: F821
    intervals: dict
    index: bool
    md5: bool
    backend: "Backend"  # noqa: F821
    memory: int
    tmp_dir: str | None
    dbsnp: str | None
    alleles: str | None

    def run(self, source, reads, outputs: Outputs, spill) -> None:
        """From reads to the outputs. source: name for messages."""
        from contextlib import ExitStack

        from gpugenome.commands.calling import call_to_files
        from gpugenome.commands.options import read_intervals
        from gpugenome.gpu_records import Card
        from gpugenome.io.bam import create_reads
        from gpugenome.io.headers import check_dictionary, htsjdk_header
        from gpugenome.io.intervals import as_array
        from gpugenome.io.known_sites import read_sites
        from gpugenome.io.metrics import duplicate_metrics_text
        from gpugenome.io.outputs import AtomicOutput, all_or_none
        from gpugenome.io.recal_table import arguments_table, report_text
        from gpugenome.pipeline import ahead
        from gpugenome.progress import log
        from gpugenome.provenance import command_line, program_line
        from gpugenome.steps.bqsr import TableOptions
        from gpugenome.steps.germline import marked_reads, recalibrated, recalibration_table

        genome, n = self.genome, self.backend.threads
        with ExitStack() as stack:
            stack.enter_context(all_or_none())
            header = reads.header
            check_dictionary(header, source, genome.names, genome.lengths, genome.path)
            wanted = read_intervals(self.intervals, header.contig_names, header.contig_lengths)
            known = read_sites(self.sites, header.contig_names, header.contig_lengths, n) if self.sites else None
            in_order = header.sort_order == "coordinate"
            if not in_order:
                header = htsjdk_header(header, "coordinate", "none" if header.hd("GO", "") else None)
            header = htsjdk_header(header, None, None, program_line(header.text, "gpugenome germline"))
            card = Card(self.backend) if self.backend.on_gpu else None
            if card:
                stack.callback(card.close)
            marked = marked_reads(reads, header, in_order=in_order, memory_bytes=self.memory, spill=spill, threads=n, source=source,
                                  card=card)  # fmt: skip
            # the pair counts are of reads, see io.metrics
            examined = sum(r["READ_PAIRS_EXAMINED"] + r["UNPAIRED_READS_EXAMINED"] for r in marked.marks.libraries)
            lost = sum(r["READ_PAIR_DUPLICATES"] + r["UNPAIRED_READ_DUPLICATES"] for r in marked.marks.libraries)
            log(f"{examined} mapped primary reads sorted, {lost} of them marked as duplicates")
            if outputs.metrics:
                text = duplicate_metrics_text(marked.marks.libraries, marked.marks.sets, command_line())
                stack.enter_context(AtomicOutput(outputs.metrics)).write(text.encode())
            index = {name: i for i, name in enumerate(genome.names)}

            def bases_of(ref_id):
                return genome.bases_upper_acgtn(index[marked.header.contig_names[ref_id]])

            if known is None:
                log("no --known-sites: base qualities are not recalibrated")
                batches = (batch.on_host() for batch in ahead(marked.batches(), n))
            else:
                o = TableOptions()
                arguments = arguments_table(
                    context_size=o.context_size, indels_context_size=o.indels_context_size, maximum_cycle=o.maximum_cycle,
                    low_quality_tail=o.low_quality_tail, quantizing_levels=o.quantizing_levels,
                )  # fmt: skip
                table = recalibration_table(marked, bases_of, known, arguments, n, None if wanted is None else as_array(wanted))
                log("recalibration table built")
                if outputs.table:
                    stack.enter_context(AtomicOutput(outputs.table)).write(report_text(table).encode())
                batches = recalibrated(marked, table, n, outputs.bam is not None).batches()
            if outputs.bam:
                writer = stack.enter_context(create_reads(outputs.bam, marked.header, 2, n, True, False, genome.path))
                batches = _written(batches, writer)
            batches = ahead(batches, n)
            if outputs.variants:
                call_to_files(batches, marked.header, genome, self.caller, outputs.variants, wanted, self.index, self.md5, self.backend,
                              dbsnp=self.dbsnp, alleles=self.alleles)  # fmt: skip
            for _ in batches:
                pass  # records after the last interval, or all where nothing is called, still go to --out-bam


def _joint(way, alignment, inputs, outputs, joint, given):
    """Each sample's way to a GVCF, then their joint genotypes."""
    import os
    import tempfile
    from dataclasses import fields, replace

    from gpugenome.commands.align import aligner_of
    from gpugenome.commands.genotypegvcfs import genotype_to_file
    from gpugenome.commands.options import read_intervals
    from gpugenome.io.intervals import as_array
    from gpugenome.io.outputs import os_problem
    from gpugenome.io.spill import SpillFolder
    from gpugenome.progress import log
    from gpugenome.steps.align import Alignments
    from gpugenome.steps.genotypegvcfs import annotations_of
    from gpugenome.steps.gvcf_inputs import open_inputs
    from gpugenome.steps.joint_calls import GenotypeOptions

    genome, n = way.genome, way.backend.threads
    options = GenotypeOptions(**{f.name: getattr(way.caller, f.name) for f in fields(GenotypeOptions) if hasattr(way.caller, f.name)})
    annotations_of(options)  # refuses what cannot be
    wanted = read_intervals(way.intervals, genome.names, genome.lengths)
    samples = _lanes_by_sample(alignment, n) if alignment["fastq"] else _files_by_sample(inputs, genome, n)
    _check_names(samples, outputs)
    try:
        folder = tempfile.TemporaryDirectory(prefix="gpugenome-", dir=way.tmp_dir)
    except OSError as e:
        raise os_problem(way.tmp_dir, e) from None
    mode = way.caller.emit_ref_confidence
    each = replace(way, caller=replace(way.caller, emit_ref_confidence="GVCF" if mode == "NONE" else mode))
    with folder as scratch:
        paths = {name: outputs.of_sample(name) for name in samples}
        taken = [joint]
        for o in paths.values():
            o.check(given, *taken)
            taken += [p for p in vars(o).values() if p]
        check_output(joint, *given)
        if not outputs.variants:
            paths = {name: replace(o, variants=os.path.join(scratch, f"{i}.g.vcf.gz")) for i, (name, o) in enumerate(paths.items())}
            each = replace(each, index=False, md5=False)
        aligner = aligner_of(alignment, genome, way.backend) if alignment["fastq"] else None
        for i, (name, source) in enumerate(samples.items()):
            log(f"sample {name} ({i + 1} of {len(samples)})")
            with SpillFolder(way.tmp_dir) as spill:
                if aligner:
                    each.run(source[0].reads.paths[0], Alignments(source, aligner), paths[name], spill)
                else:
                    each.run(*_source(alignment, source, way, spill), paths[name], spill)
        wanted = None if wanted is None else as_array(wanted)
        opened = open_inputs([o.variants for o in paths.values()], genome, n, intervals=wanted)
        genotype_to_file(*opened, genome, wanted, options, joint, way.index, way.md5, way.backend, way.dbsnp)


def _lanes_by_sample(alignment, threads):
    """{sample: lanes of FASTQ}, in the order in which they are given."""
    from gpugenome.commands.align import lanes_of

    samples = {}
    for lane in lanes_of(alignment, threads):
        samples.setdefault(lane.read_group["SM"], []).append(lane)
    return samples


def _files_by_sample(inputs, genome, threads):
    """{sample: files of alignments}, in the order in which they are given.

    Raises
    ------
    UserError: standard input, which cannot be read twice. InputError: a file with reads of no sample or of several.
    """
    from gpugenome.errors import InputError, UserError
    from gpugenome.io.bam import open_reads

    samples = {}
    for path in inputs:
        if path in ("-", "/dev/stdin"):
            raise UserError("--joint: expected files after --input (-I), got standard input")
        mine = open_reads(path, genome.path, threads).header.samples
        if len(mine) != 1:
            raise InputError(path, f"--joint: expected reads of one sample in each file, got {', '.join(mine) or 'none'}", "@RG lines")
        samples.setdefault(mine[0], []).append(path)
    return samples


def _check_names(samples, outputs):
    """Refuse outputs that samples would share, and samples whose names cannot be in a path."""
    from gpugenome.errors import UserError

    for name, path in (("--output (-O)", outputs.variants), ("--out-bam", outputs.bam), ("--out-recal-file", outputs.table),
                       ("--out-duplicate-metrics", outputs.metrics)):  # fmt: skip
        if path and len(samples) > 1 and SAMPLE not in path:
            raise UserError(f"--joint: {name} {path} is one file for {len(samples)} samples, expected {SAMPLE} in its name")
        for sample in samples:
            if path and "/" in sample:
                raise UserError(f"--joint: the sample {sample} has a / in its name, which cannot be in that of {name}")


def _source(alignment, inputs, way, spill):
    """(name for messages, reads) of the FASTQ lanes or the files of alignments."""
    from gpugenome.commands.align import aligned_reads
    from gpugenome.io.bam import Replay, open_several

    genome, threads = way.genome, way.backend.threads
    if alignment["fastq"]:
        return alignment["fastq"][0][0], aligned_reads(alignment, genome, way.backend)
    reads = open_several(inputs, genome.path, threads)
    return inputs[0], Replay(inputs, genome.path, threads, spill, way.memory, reads) if reads.in_order else reads


def _written(batches, writer):
    """The batches, each written before it is handed on."""
    for batch in batches:
        writer.write(batch)
        yield batch
