"""Reference records and calls as lines of a GVCF: blocks of positions of like confidence, or one line a position.

Source: GVCFWriter, GVCFBlockCombiner, HomRefBlock of GATK; specification chapter "gvcf_joint", section 5.1.
"""

from dataclasses import dataclass

import numpy as np

from gpugenome.errors import UserError
from gpugenome.kernels import gvcf_blocks_cpu as kernel
from gpugenome.kernels import gvcf_text_cpu as text_kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import ReferenceRecords
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets
from gpugenome.variant_fields import render_qual

MAX_GQ = 99


@dataclass
class RecordLines:
    """Lines of a VCF in order, n rows of one contig.

    start, end: int32[n], 0-based half-open, what a record spans. text: uint8, lines with newlines, by offset int64[n+1].
    """

    ref_id: int
    start: np.ndarray
    end: np.ndarray
    text: np.ndarray
    offset: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


def band_edges(bands) -> np.ndarray:
    """int32: lower bounds of the bands of genotype quality and the last upper bound. bands: upper bounds, as of -GQB.

    Raises
    ------
    UserError: no bands, out of order, repeated, or outside 1..100.
    """
    edges = np.array([0, *bands, *([MAX_GQ + 1] if bands and bands[-1] <= MAX_GQ else [])], np.int32)
    if len(edges) < 2 or edges.max() > MAX_GQ + 1 or (np.diff(edges) <= 0).any():
        raise UserError(f"-GQB {','.join(map(str, bands))}: expected ascending bounds from 1 to {MAX_GQ + 1}")
    return edges


class _ReferenceLines:
    """What both kinds of output share: rooms of equal width for reference lines, merged with the lines of calls."""

    def __init__(self, options: CallerOptions, contig_names, threads: int):
        self._ploidy, self._with_genotypes, self._threads = options.sample_ploidy, not options.sites_only_vcf_output, threads
        self._names = [np.frombuffer(n.encode(), np.uint8) for n in contig_names]

    def _merged(self, ref_id, item, start, end, write, columns, calls: RecordLines | None) -> RecordLines:
        """Items in order; reference line b spans start[b]..end[b] and is written by the kernel `write` from `columns`."""
        name = self._names[ref_id]
        width, n = text_kernel.line_width(len(name), self._ploidy), len(start)
        room, length = np.empty(n * width, np.uint8), np.empty(n, np.int64)
        run_chunks(write, n, self._threads, name, self._with_genotypes, *columns, width, room, length)
        calls = calls or RecordLines(ref_id, start[:0], end[:0], room[:0], np.zeros(1, np.int64))
        is_call = item < 0
        row = np.where(is_call, -1 - item, item)

        def pick(own, of_calls):
            out = np.empty(len(item), own.dtype)
            out[~is_call], out[is_call] = own[row[~is_call]], of_calls[row[is_call]]
            return out

        offset = offsets(pick(length, np.diff(calls.offset)))
        text = np.empty(int(offset[-1]), np.uint8)
        run_chunks(text_kernel.merge_lines, len(item), self._threads, item, room, width, calls.text, calls.offset, text, offset)
        return RecordLines(ref_id, pick(start, calls.start), pick(end, calls.end), text, offset)


class PositionLines(_ReferenceLines):
    """-ERC BP_RESOLUTION: one line a position, reference lines under deletions too."""

    def add(self, records: ReferenceRecords, calls: RecordLines) -> list[RecordLines]:
        """Lines of a batch of regions. calls: a line for each row of the CallBatch that records.call points into."""
        r = records
        item = np.where(r.call >= 0, -1 - r.call, np.arange(len(r), dtype=np.int32))
        columns = r.pos, r.ref_base, r.ref_depth, r.alt_depth, r.gq, r.pl
        return [self._merged(r.ref_id, item, r.pos, r.pos + 1, text_kernel.position_lines, columns, calls)]

    def finish(self) -> list[RecordLines]:
        """Nothing is held back."""
        return []


@dataclass
class _OpenBlock:
    """A block that later records may join: its first position and that one's QUAL (NaN: none), what `summarise` says of its records so
    far, and their depths."""

    start: int
    ref_base: int
    qual: float
    pl: np.ndarray
    depth: np.ndarray
    count: np.ndarray


class BlockLines(_ReferenceLines):
    """-ERC GVCF: neighbouring positions of one band of genotype quality are one line; a block may go on from batch to batch."""

    def __init__(self, options: CallerOptions, contig_names, threads: int):
        super().__init__(options, contig_names, threads)
        edges = band_edges(options.gvcf_gq_bands)
        self._lower = edges[:-1]
        self._band_of_gq = (np.searchsorted(edges, np.arange(MAX_GQ + 1), "right") - 1).astype(np.int32)
        self._floor = options.floor_blocks
        self._state = np.zeros(4, np.int64)
        self._ref_id, self._open = -1, None

    def add(self, records: ReferenceRecords, calls: RecordLines) -> list[RecordLines]:
        """Lines that a batch of regions completes. calls: a line for each row of the CallBatch that records.call points into."""
        done = []
        if self._ref_id != records.ref_id:
            done = self.finish()
            self._ref_id, self._state[:] = records.ref_id, 0
        n, was_open, end = len(records), self._open, int(self._state[kernel.END])
        if n == 0:
            return done
        first, stop, band = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64), np.empty(n + 1, np.int32)
        item = np.empty(2 * n + 1, np.int32)
        blocks, items = kernel.combine(records.pos, records.call, calls.end, records.gq, self._band_of_gq, self._state, first, stop, band,
                                       item)  # fmt: skip
        first, stop, band = first[:blocks], stop[:blocks], band[:blocks]
        depth = records.ref_depth + records.alt_depth
        median, low, pl = self._summaries(first, stop, depth, records.pl)
        at = np.minimum(first, n - 1)
        start, ref_base, stops = records.pos[at], records.ref_base[at], records.pos[stop - 1] + 1
        by_record = np.full(n, np.nan)
        by_record[records.with_qual] = records.qual
        qual = by_record[at]
        if was_open is not None:
            start[0], ref_base[0], qual[0] = was_open.start, was_open.ref_base, was_open.qual
            stops[0] = stops[0] if stop[0] else end
        self._keep_open(first, stop, depth, start, ref_base, qual, pl)
        columns = start, stops, ref_base, *_texts(qual), median, low, pl, self._floors(band)
        return [*done, self._merged(records.ref_id, item[:items], start, stops, text_kernel.block_lines, columns, calls)]

    def finish(self) -> list[RecordLines]:
        """The line of the block that is still open, if any; the next record begins another."""
        if self._open is None:
            return []
        o, none = self._open, np.zeros(1, np.int64)
        median, low, pl = self._summaries(none, none, np.empty(0, np.int32), o.pl)
        start, end = np.array([o.start], np.int32), self._state[kernel.END : kernel.END + 1].astype(np.int32)
        floors = self._floors(self._state[kernel.BAND : kernel.BAND + 1])
        columns = start, end, np.array([o.ref_base], np.uint8), *_texts(np.array([o.qual])), median, low, pl, floors
        self._open, self._state[kernel.IS_OPEN] = None, 0
        return [self._merged(self._ref_id, np.zeros(1, np.int32), start, end, text_kernel.block_lines, columns, None)]

    def _floors(self, band):
        return self._lower[band] if self._floor else np.full(len(band), -1, np.int32)

    def _summaries(self, first, stop, depth, pl):
        blocks = len(first)
        median, low, out = np.empty(blocks, np.int32), np.empty(blocks, np.int32), np.empty((blocks, self._ploidy + 1), np.int32)
        o = self._open
        carried = (o.depth, o.count, o.pl) if o else (np.empty(0, np.int64), np.empty(0, np.int64), out[:0])
        run_chunks(kernel.summarise, blocks, self._threads, first, stop, depth, pl, *carried, median, low, out)
        return median, low, out

    def _keep_open(self, first, stop, depth, start, ref_base, qual, pl):
        """Hold back the last block where it is open."""
        old, self._open = self._open, None
        if not self._state[kernel.IS_OPEN]:
            return
        mine, count = np.unique(depth[first[-1] : stop[-1]], return_counts=True)
        if old is not None and len(first) == 1:
            mine, count = np.concatenate([old.depth, mine]), np.concatenate([old.count, count])
            mine, back = np.unique(mine, return_inverse=True)
            count = np.bincount(back, count, len(mine))
        self._open = _OpenBlock(int(start[-1]), int(ref_base[-1]), float(qual[-1]), pl[-1:], mine.astype(np.int64), count.astype(np.int64))


def _texts(qual):
    """QUAL of blocks (float64, NaN for none) as (uint8 text, int64 start, int32 length, -1 for none)."""
    column = render_qual(qual)
    return column.data, column.start, column.length


def reference_lines(options: CallerOptions, contig_names, threads: int = 1) -> PositionLines | BlockLines:
    """What turns records into lines under these options; contigs are named by their index.

    Raises
    ------
    UserError: see `band_edges`.
    """
    return (BlockLines if options.emit_ref_confidence == "GVCF" else PositionLines)(options, contig_names, threads)
