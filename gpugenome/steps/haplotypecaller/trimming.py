"""Assembly regions cut to their variation: span, haplotypes and reads for the likelihoods.

Source: GATK AssemblyRegionTrimmer, AssemblyResultSet.trimTo, HaplotypeCallerEngine (specification chapter "assembly", sections 13, 14).
"""

import numpy as np

from gpugenome.kernels import given_alleles_cpu as given_kernel
from gpugenome.kernels import trimming_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallerReads, HaplotypeEvents, Haplotypes, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.events import haplotype_events
from gpugenome.steps.haplotypecaller.finalise import MINIMUM_READ_LENGTH, clip_to_spans, passes, rows_of
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import gather, offsets

INACTIVE, NO_VARIATION, VARIATION = 0, 1, 2
"""Values of AssemblyBatch.status."""


def _columns(events: HaplotypeEvents):
    return events.start, events.ref_length, events.alt, events.alt_offset


def event_spans(regions: RegionBatch, haplotypes: Haplotypes, events: HaplotypeEvents, contig_bases: np.ndarray, options: CallerOptions,
                threads: int = 1, given: HaplotypeEvents | None = None, given_rows=None) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(found bool[r], spans int32[r, 4]): whether an event overlaps the active span; variant start and end, trimmed start and end.

    given: more events, rows given_rows (int64[r, 2]) of each region.
    """
    n = len(regions)
    found, spans = np.empty(n, np.uint8), np.empty((n, 4), np.int32)
    padding = np.array([options.padding_around_snps, options.padding_around_indels, options.padding_around_strs], np.int64)
    columns = _columns(events)
    run_chunks(kernel.event_spans, n, threads, (regions.start, regions.end, regions.padded_start, regions.padded_end),
               events.offset[haplotypes.offset], columns, columns if given is None else _columns(given),
               np.zeros((n, 2), np.int64) if given is None else given_rows, contig_bases, padding, found, spans)  # fmt: skip
    return found > 0, spans


def trim_haplotypes(haplotypes: Haplotypes, wanted: np.ndarray, spans: np.ndarray, threads: int = 1) -> Haplotypes:
    """Haplotypes of the regions `wanted` (bool[r]) cut to the trimmed span, in likelihood order; other regions have no rows.

    spans: as from `event_spans`.
    """
    n, table = len(haplotypes), haplotypes
    region = np.repeat(np.arange(len(wanted)), np.diff(table.offset))
    start = (spans[:, kernel.TRIMMED_START] - table.span_start)[region]
    stop = np.where(wanted, spans[:, kernel.TRIMMED_END] - table.span_start, 0)[region].astype(np.int32)
    low, high = np.empty(n, np.int64), np.empty(n, np.int64)
    size, words = np.empty(n, np.int32), np.empty(len(table.cigar), np.uint32)
    run_chunks(kernel.trim_haplotypes, n, threads, start, stop, table.base_offset, table.cigar, table.cigar_offset, low, high, size, words)
    order, count = np.empty(n, np.int64), np.empty(len(wanted), np.int64)
    run_chunks(kernel.order_haplotypes, len(wanted), threads, table.offset, table.base, low, high, size, table.is_reference, order, count)
    offset = offsets(count)
    rows = order[np.arange(int(offset[-1])) + np.repeat(table.offset[:-1] - offset[:-1], count)]
    base_offset, cigar_offset = offsets((high - low)[rows]), offsets(size[rows])
    base, cigar = np.empty(int(base_offset[-1]), np.uint8), np.empty(int(cigar_offset[-1]), np.uint32)
    run_chunks(kernel.fill_haplotypes, len(rows), threads, rows, table.base, low, table.cigar_offset, words, base, base_offset, cigar,
               cigar_offset)  # fmt: skip
    is_reference = table.is_reference[rows]
    return Haplotypes(offset, spans[:, kernel.TRIMMED_START].copy(), base, base_offset, cigar, cigar_offset, is_reference,
                      np.where(is_reference, 0, table.kmer[rows]).astype(np.int32), table.score[rows])  # fmt: skip


def take_haplotypes(table: Haplotypes, rows: np.ndarray, offset: np.ndarray, threads: int = 1) -> Haplotypes:
    """Rows (int64) of a table, with the region offsets they have afterwards."""
    base, base_offset = gather(table.base, table.base_offset, rows, threads)
    cigar, cigar_offset = gather(table.cigar, table.cigar_offset, rows, threads)
    return Haplotypes(offset, table.span_start, base, base_offset, cigar, cigar_offset, table.is_reference[rows], table.kmer[rows],
                      table.score[rows])  # fmt: skip


def add_given_alleles(table: Haplotypes, contig_bases: np.ndarray, given: HaplotypeEvents, given_rows: np.ndarray, options: CallerOptions,
                      threads: int = 1) -> Haplotypes:  # fmt: skip
    """The trimmed haplotypes and, behind those of a region, its best ones with each given allele that none of them has.

    given_rows: int64[r, 2], rows of `given` for each region.
    """
    events = haplotype_events(table, contig_bases, options.max_mnp_distance, threads)
    n, sw = len(table.span_start), options.haplotype_to_reference_smith_waterman
    count = np.empty(n, np.int64)
    parts = run_chunks(
        given_kernel.inject, n, threads,
        (table.offset, table.span_start, table.base, table.base_offset, table.cigar, table.cigar_offset, table.is_reference, table.score),
        (events.offset, *_columns(events)), _columns(given), given_rows, count,
    )  # fmt: skip
    base, length = (np.concatenate(column) for column in zip(*parts))
    if not len(length):
        return table
    base_offset, region = offsets(length), np.repeat(np.arange(n), count)
    parts = run_chunks(given_kernel.align, len(length), threads, region, table.offset, table.base, table.base_offset, table.is_reference,
                       base, base_offset, np.array([sw.match, sw.mismatch, sw.gap_open, sw.gap_extend], np.int64))  # fmt: skip
    cigar, elements = (np.concatenate(column) for column in zip(*parts))
    new = len(length)
    both = Haplotypes(
        table.offset, table.span_start, np.concatenate([table.base, base]),
        np.concatenate([table.base_offset, base_offset[1:] + table.base_offset[-1]]), np.concatenate([table.cigar, cigar]),
        np.concatenate([table.cigar_offset, offsets(elements)[1:] + table.cigar_offset[-1]]),
        np.concatenate([table.is_reference, np.zeros(new, np.uint8)]), np.concatenate([table.kmer, np.zeros(new, np.int32)]),
        np.concatenate([table.score, np.full(new, np.nan)]),
    )  # fmt: skip
    rows = np.argsort(np.concatenate([np.repeat(np.arange(n), np.diff(table.offset)), region]), kind="stable")
    return take_haplotypes(both, rows, table.offset + offsets(count), threads)


def trim_reads(reads: CallerReads, finalised: RegionReads, wanted: np.ndarray, spans: np.ndarray, options: CallerOptions,
               threads: int = 1) -> RegionReads:  # fmt: skip
    """The finalised reads of the regions `wanted` (bool[r]) cut to the trimmed span; `filtered` is set for reads put aside."""
    region = np.flatnonzero(wanted)
    out = clip_to_spans(reads, finalised, region, spans[region, kernel.TRIMMED_START], spans[region, kernel.TRIMMED_END], threads,
                        MINIMUM_READ_LENGTH)  # fmt: skip
    size = np.zeros(len(wanted), np.int64)
    size[region] = np.diff(out.region_offset)
    out.region_offset = offsets(size)
    out.filtered = (~passes(reads, out, options)).astype(np.uint8)
    return out


def trim_regions(reads: CallerReads, regions: RegionBatch, active: np.ndarray, finalised: RegionReads, haplotypes: Haplotypes,
                 contig_bases: np.ndarray, options: CallerOptions, threads: int = 1,
                 given_alleles: HaplotypeEvents | None = None) -> AssemblyBatch:  # fmt: skip
    """Cut the assembled regions (active: bool[r]) to their events. haplotypes: over the padded spans, in the assembler's order.

    given_alleles: those of --alleles on this contig, by start, one ALT a row (`offset` is not used). Where no variation is left, the spans
    of the result are empty (at the region's start).
    """
    events = haplotype_events(haplotypes, contig_bases, options.max_mnp_distance, threads)
    given_rows = np.zeros((len(regions), 2), np.int64)
    if given_alleles is not None:
        # Those that begin in the region or in the padding to its right.
        given_rows = np.stack([np.searchsorted(given_alleles.start, edge) for edge in (regions.start, regions.padded_end)], 1)
    found, spans = event_spans(regions, haplotypes, events, contig_bases, options, threads, given_alleles, given_rows)
    table = trim_haplotypes(haplotypes, found, spans, threads)
    if given_alleles is not None:
        table = add_given_alleles(table, contig_bases, given_alleles, given_rows, options, threads)
    varies = found & (np.diff(table.offset) > 1)
    trimmed = trim_reads(reads, finalised, varies, spans, options, threads)
    usable = np.diff(offsets(trimmed.filtered == 0)[trimmed.region_offset]) > 0
    if (varies & ~usable).any():
        varies &= usable
        trimmed = trim_reads(reads, finalised, varies, spans, options, threads)
    if (found & ~varies).any():
        rows, _ = rows_of(table.offset, np.flatnonzero(varies))
        table = take_haplotypes(table, rows, offsets(np.where(varies, np.diff(table.offset), 0)), threads)
    status = np.where(varies, VARIATION, np.where(active, NO_VARIATION, INACTIVE)).astype(np.uint8)
    spans[~varies] = regions.start[~varies, None]
    table.span_start = np.ascontiguousarray(spans[:, kernel.TRIMMED_START])
    return AssemblyBatch(status, *(np.ascontiguousarray(column) for column in spans.T), finalised, trimmed, table,
                         haplotype_events(table, contig_bases, options.max_mnp_distance, threads))  # fmt: skip
