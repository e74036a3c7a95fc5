"""Calls and their annotations as VCF lines, and the header that goes with them."""

import numpy as np

from gpugenome.gatk import vcf_lines
from gpugenome.kernels import vcf_text_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.annotation import Annotated, annotations_of
from gpugenome.steps.haplotypecaller.columns import CallBatch
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets
from gpugenome.variant_fields import (
    DOUBLE,
    INT,
    Field,
    TextColumn,
    format_lines,
    render,
    render_genotypes,
    render_qual,
    repeated_text,
    scalar_field,
)

MAX_PRINTED_GQ = 99
PHASED_PLOIDY = 2


def header_lines(options: CallerOptions, contigs, contig_lengths, assemblies=None, dbsnp: bool = False, extra=()) -> list[str]:
    """The header lines of HaplotypeCaller's output, in no order and without "##".

    contigs, contig_lengths, assemblies: names, lengths and AS tags of the BAM's @SQ lines. extra: more lines (source, command line).
    """
    v = vcf_lines
    lines = [v.LOW_QUAL, v.GT, v.GQ, v.DP, v.PL, v.MLEAC, v.MLEAF, *v.contig_lines(contigs, contig_lengths, assemblies), *extra]
    for a in annotations_of(options):
        lines += a.raw_lines if options.with_reference_confidence and a.raw_lines is not None else a.lines
    if dbsnp:
        lines.append(v.DB)
    if options.with_reference_confidence:
        lines.append(v.NON_REF)
        if not options.do_not_run_physical_phasing and options.sample_ploidy == PHASED_PLOIDY:
            lines += [v.PGT, v.PID, v.PS]
    if options.emit_ref_confidence == "GVCF":
        lines += [v.MIN_DP, v.END, *v.gvcf_block_lines(options.gvcf_gq_bands)]
    return lines


def _by_sample(column: TextColumn, samples: int) -> TextColumn:
    """A column of calls as one of calls x samples."""
    return TextColumn(column.data, np.repeat(column.start, samples), np.repeat(column.length, samples))


def _phase_columns(calls: CallBatch, samples: int, threads: int) -> dict[str, TextColumn]:
    """PGT, PID and PS."""
    n, grouped = len(calls), calls.phase_group_start >= 0
    row = calls.phase_group_call
    ref = calls.allele_offset[np.where(grouped, row, 0)]
    size = calls.allele_base_offset[ref + 2] - calls.allele_base_offset[ref]
    start = offsets(np.where(grouped, size + 13, 0))
    data, length = np.empty(int(start[-1]), np.uint8), np.empty(n, np.int32)
    run_chunks(
        kernel.render_phase_ids, n, threads, row, calls.phase_group_start, calls.allele_offset, calls.allele_base, calls.allele_base_offset,
        start, data, length,
    )  # fmt: skip
    order = np.frombuffer(b"0|11|0", np.uint8)
    columns = {
        "PID": TextColumn(data, start[:-1], length),
        "PS": render(scalar_field("PS", INT, calls.phase_group_start.astype(np.int64) + 1, grouped), threads),
        "PGT": TextColumn(order, 3 * calls.phase_alt_first.astype(np.int64), np.where(grouped, 3, -1).astype(np.int32)),
    }
    return {key: _by_sample(column, samples) for key, column in columns.items()}


def format_records(calls: CallBatch, annotated: Annotated, contig: str, options: CallerOptions, threads: int = 1):
    """The calls' record lines in order: (uint8 text with newlines, int64 offsets). contig: the name of their contig."""
    samples = calls.gt.shape[1]
    alt_offset = calls.allele_offset - np.arange(len(calls.allele_offset))
    info = {f.key: render(f, threads) for f in annotated.info}
    info["MLEAC"] = render(Field("MLEAC", INT, calls.mleac, alt_offset), threads)
    info["MLEAF"] = render(Field("MLEAF", DOUBLE, calls.mleaf, alt_offset), threads)
    formats = {}
    if not options.sites_only_vcf_output:
        gq = calls.gq.reshape(-1)
        formats = {f.key: render(f, threads) for f in annotated.formats}
        formats["GT"] = render_genotypes(calls.gt.reshape(-1, calls.gt.shape[2]), calls.phased.reshape(-1), threads)
        formats["GQ"] = render(scalar_field("GQ", INT, np.minimum(gq, MAX_PRINTED_GQ), gq >= 0), threads)
        formats["PL"] = render(Field("PL", INT, calls.pl, calls.pl_offset), threads)
        if (calls.phase_group_start >= 0).any():
            formats.update(_phase_columns(calls, samples, threads))
    nothing = np.zeros(len(calls), bool)
    ids = render(annotated.ids, threads) if annotated.ids else repeated_text("", nothing)
    return format_lines(
        contig, calls.start, calls.allele_offset, calls.allele_base, calls.allele_base_offset, ids, render_qual(calls.qual, threads),
        repeated_text("LowQual", calls.low_qual > 0), info, 0 if options.sites_only_vcf_output else samples, formats, threads,
    )  # fmt: skip
