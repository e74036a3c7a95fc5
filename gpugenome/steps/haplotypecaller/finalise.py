"""Reads of assembly regions as local assembly sees them: clipped, in order, qualities of overlapping mates lowered.

Source: GATK AssemblyBasedCallerUtils.finalizeRegion, AssemblyRegion.trim (specification chapter "assembly", sections 2 and 13).
"""

import numpy as np

from gpugenome.kernels import finalise_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import CallerReads, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

MINIMUM_READ_LENGTH = 10
"""Reads with fewer bases (without soft clips) after trimming go."""


def rows_of(offset: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int64 rows, int64[groups + 1] offsets): all rows of the groups `group` (int64) of a table with these offsets, group by group."""
    size = (offset[1:] - offset[:-1])[group]
    new = offsets(size)
    return np.arange(int(new[-1])) + np.repeat(offset[:-1][group] - new[:-1], size), new


class _Clipped:
    """Where the clipping of (row, span) pairs goes: a piece of the source's bases, a start and a CIGAR in a room of its own."""

    def __init__(self, cigar_sizes):
        n = len(cigar_sizes)
        self.room = offsets(cigar_sizes + 2)
        self.start, self.count = np.empty(n, np.int32), np.zeros(n, np.int32)
        self.low, self.high = np.empty(n, np.int64), np.empty(n, np.int64)
        self.words = np.empty(int(self.room[-1]), np.uint32)

    @property
    def columns(self):
        return self.room, self.start, self.low, self.high, self.count, self.words

    def in_order(self, reads: CallerReads, source, row_offset, base, qual, filtered, threads) -> RegionReads:
        """The rows that are left, each group (row_offset int64[g+1]) in GATK's order of reads. base, qual: what low and high refer to."""
        kept = self.count > 0
        region_offset = offsets(kept)[row_offset]
        rows = np.flatnonzero(kept)
        columns = (reads.flag, reads.mapq, reads.mate_ref_id, reads.mate_start, reads.tlen, reads.name, reads.name_offset)
        run_chunks(kernel.sort_rows, len(row_offset) - 1, threads, region_offset, rows, source, self.start, columns)
        base_offset, cigar_offset = offsets((self.high - self.low)[rows]), offsets(self.count[rows])
        new_base, new_qual = np.empty(int(base_offset[-1]), np.uint8), np.empty(int(base_offset[-1]), np.uint8)
        cigar = np.empty(int(cigar_offset[-1]), np.uint32)
        run_chunks(kernel.fill_rows, len(rows), threads, rows, base, qual, self.low, self.room, self.words, new_base, new_qual, base_offset,
                   cigar, cigar_offset)  # fmt: skip
        return RegionReads(region_offset, source[rows], self.start[rows], new_base, new_qual, base_offset, cigar, cigar_offset,
                           filtered[rows])  # fmt: skip


def finalise_reads(reads: CallerReads, regions: RegionBatch, wanted: np.ndarray, options: CallerOptions, threads: int = 1) -> RegionReads:
    """The reads of the regions `wanted` (bool[r]) as assembly and the reference model use them; other regions have no rows.

    Soft clips are reverted where the fragment's ends are known, else cut off; low-quality ends, adaptor and what lies outside the padded
    span are cut off; the rest is sorted, and overlapping mates get lower qualities.
    """
    wanted = np.flatnonzero(wanted)
    at, wanted_offset = rows_of(regions.read_offset, wanted)
    source = regions.read_index[at]
    size = np.zeros(len(regions), np.int64)
    size[wanted] = np.diff(wanted_offset)
    region = np.repeat(np.arange(len(regions)), size)
    clipped = _Clipped(np.diff(reads.cigar_offset)[source])
    columns = (reads.start, reads.flag, reads.mate_ref_id, reads.mate_start, reads.tlen, reads.qual, reads.base_offset, reads.cigar,
               reads.cigar_offset)  # fmt: skip
    run_chunks(kernel.finalise_rows, len(source), threads, source, regions.padded_start[region], regions.padded_end[region], columns,
               options.min_base_quality_score - 1, options.dont_use_soft_clipped_bases, options.soft_clip_low_quality_ends,
               *clipped.columns)  # fmt: skip
    out = clipped.in_order(reads, source, offsets(size), reads.base, reads.qual, np.zeros(len(source), np.uint8), threads)
    if not options.do_not_correct_overlapping_quality:
        columns = (reads.flag, reads.mate_ref_id, reads.mate_start, reads.sample, reads.name, reads.name_offset)
        run_chunks(kernel.lower_overlapping_mates, len(regions), threads, out.region_offset, out.source, out.start, out.base, out.qual,
                   out.base_offset, out.cigar, out.cigar_offset, columns)  # fmt: skip
    return out


def passes(reads: CallerReads, region_reads: RegionReads, options: CallerOptions) -> np.ndarray:
    """bool[m]: reads good enough for likelihoods and the reference model: not too short, MAPQ, no mate on another contig."""
    soft = offsets(np.where(region_reads.cigar & 15 == 4, region_reads.cigar >> 4, 0))
    length = np.diff(region_reads.base_offset) - np.diff(soft[region_reads.cigar_offset])
    row = region_reads.source
    mate = reads.mate_ref_id[row]
    mapped_mate = (reads.flag[row] & (kernel.PAIRED | kernel.MATE_UNMAPPED) == kernel.PAIRED) & (mate >= 0) & (reads.mate_start[row] >= 0)
    return ((length >= MINIMUM_READ_LENGTH) & (reads.mapq[row] >= options.mapping_quality_threshold_for_genotyping)
            & (~mapped_mate | (mate == reads.ref_id)))  # fmt: skip


def clip_to_spans(reads: CallerReads, region_reads: RegionReads, region: np.ndarray, span_start: np.ndarray, span_end: np.ndarray,
                  threads: int = 1, least_bases: int = 1) -> RegionReads:  # fmt: skip
    """The reads of some regions hard clipped to a span each and sorted again; group i holds what is left of the reads of region[i].

    region: int64[g], rows of region_reads.region_offset (a region may occur more than once). span_start, span_end: int32[g], 0-based
    half-open. least_bases: shorter reads (without soft clips) are dropped. The result's region_offset has g + 1 entries.
    """
    rows, row_offset = rows_of(region_reads.region_offset, np.asarray(region, np.int64))
    group = np.repeat(np.arange(len(region)), np.diff(row_offset))
    clipped = _Clipped(np.diff(region_reads.cigar_offset)[rows])
    run_chunks(kernel.clip_rows, len(rows), threads, rows, span_start[group], span_end[group], least_bases,
               region_reads.start, region_reads.base_offset, region_reads.cigar, region_reads.cigar_offset, *clipped.columns)  # fmt: skip
    return clipped.in_order(reads, region_reads.source[rows], row_offset, region_reads.base, region_reads.qual,
                            region_reads.filtered[rows], threads)  # fmt: skip
