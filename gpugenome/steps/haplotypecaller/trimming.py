"""Assembly regions cut to their variation: span, haplotypes and reads for the likelihoods.

Source: GATK AssemblyRegionTrimmer, AssemblyResultSet.trimTo, HaplotypeCallerEngine (specification chapter "assembly", sections 13, 14).
"""

import numpy as np

from gpugenome.kernels import trimming_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallerReads, HaplotypeEvents, Haplotypes, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.events import haplotype_events
from gpugenome.steps.haplotypecaller.finalise import MINIMUM_READ_LENGTH, clip_to_spans, passes
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

INACTIVE, NO_VARIATION, VARIATION = 0, 1, 2
"""Values of AssemblyBatch.status."""


def event_spans(regions: RegionBatch, haplotypes: Haplotypes, events: HaplotypeEvents, contig_bases: np.ndarray, options: CallerOptions,
                threads: int = 1) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(found bool[r], spans int32[r, 4]): whether an event overlaps the active span; variant start and end, trimmed start and end."""
    n = len(regions)
    found, spans = np.empty(n, np.uint8), np.empty((n, 4), np.int32)
    padding = np.array([options.padding_around_snps, options.padding_around_indels, options.padding_around_strs], np.int64)
    run_chunks(kernel.event_spans, n, threads, (regions.start, regions.end, regions.padded_start, regions.padded_end),
               events.offset[haplotypes.offset], events.start, events.ref_length, events.alt, events.alt_offset, np.zeros((n, 2), np.int64),
               contig_bases, padding, found, spans)  # fmt: skip
    return found > 0, spans


class TrimmedHaplotypes:
    """Haplotypes cut to the trimmed span of their regions, in likelihood order. count: int64[r], how many are left.

    wanted: bool[r], regions to trim; spans as from `event_spans`.
    """

    def __init__(self, haplotypes: Haplotypes, wanted, spans, threads: int = 1):
        self._table, self._spans, self._threads = haplotypes, spans, threads
        n = len(haplotypes)
        region = np.repeat(np.arange(len(wanted)), np.diff(haplotypes.offset))
        start = (spans[:, kernel.TRIMMED_START] - haplotypes.span_start)[region]
        stop = np.where(wanted, spans[:, kernel.TRIMMED_END] - haplotypes.span_start, 0)[region]
        self._low, self._high = np.empty(n, np.int64), np.empty(n, np.int64)
        self._count, self._words = np.empty(n, np.int32), np.empty(len(haplotypes.cigar), np.uint32)
        run_chunks(kernel.trim_haplotypes, n, threads, start, stop.astype(np.int32), haplotypes.base_offset, haplotypes.cigar,
                   haplotypes.cigar_offset, self._low, self._high, self._count, self._words)  # fmt: skip
        self._order, self.count = np.empty(n, np.int64), np.empty(len(wanted), np.int64)
        run_chunks(kernel.order_haplotypes, len(wanted), threads, haplotypes.offset, haplotypes.base, self._low, self._high, self._count,
                   haplotypes.is_reference, self._order, self.count)  # fmt: skip

    def take(self, wanted: np.ndarray) -> Haplotypes:
        """The table of the regions `wanted` (bool[r]); other regions have no rows."""
        table = self._table
        count = np.where(wanted, self.count, 0)
        offset = offsets(count)
        rows = self._order[np.arange(int(offset[-1])) + np.repeat(table.offset[:-1] - offset[:-1], count)]
        base_offset, cigar_offset = offsets((self._high - self._low)[rows]), offsets(self._count[rows])
        base, cigar = np.empty(int(base_offset[-1]), np.uint8), np.empty(int(cigar_offset[-1]), np.uint32)
        run_chunks(kernel.fill_haplotypes, len(rows), self._threads, rows, table.base, self._low, table.cigar_offset, self._words, base,
                   base_offset, cigar, cigar_offset)  # fmt: skip
        is_reference = table.is_reference[rows]
        return Haplotypes(offset, self._spans[:, kernel.TRIMMED_START].copy(), base, base_offset, cigar, cigar_offset, is_reference,
                          np.where(is_reference, 0, table.kmer[rows]).astype(np.int32), table.score[rows])  # fmt: skip


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
                 contig_bases: np.ndarray, options: CallerOptions, threads: int = 1) -> AssemblyBatch:  # fmt: skip
    """Cut the assembled regions (active: bool[r]) to their events. haplotypes: over the padded spans, in the assembler's order.

    Where no variation is left, the spans of the result are empty (at the region's start).
    """
    events = haplotype_events(haplotypes, contig_bases, options.max_mnp_distance, threads)
    found, spans = event_spans(regions, haplotypes, events, contig_bases, options, threads)
    pieces = TrimmedHaplotypes(haplotypes, found, spans, threads)
    varies = found & (pieces.count > 1)
    trimmed = trim_reads(reads, finalised, varies, spans, options, threads)
    usable = np.diff(offsets(trimmed.filtered == 0)[trimmed.region_offset]) > 0
    if (varies & ~usable).any():
        varies &= usable
        trimmed = trim_reads(reads, finalised, varies, spans, options, threads)
    table = pieces.take(varies)
    status = np.where(varies, VARIATION, np.where(active, NO_VARIATION, INACTIVE)).astype(np.uint8)
    spans[~varies] = regions.start[~varies, None]
    return AssemblyBatch(status, *(np.ascontiguousarray(column) for column in spans.T), finalised, trimmed, table,
                         haplotype_events(table, contig_bases, options.max_mnp_distance, threads))  # fmt: skip
