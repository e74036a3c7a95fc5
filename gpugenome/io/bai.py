"""Writing .bai: gathered batch by batch while the BAM is written, put together when the places of its blocks are known.

Source: SAM specification 5.2; htsjdk BAMIndexer, BinningIndexBuilder.
"""

import numpy as np

from gpugenome.batch import ReadBatch
from gpugenome.kernels import bai_cpu as kernel

_BINS = 37450
_METADATA_BIN = 37450
_WORD = np.dtype("<u8")


class BaiBuilder:
    """The index of the records of a BAM in coordinate order. block_bytes: uncompressed bytes of each of its blocks but the last."""

    def __init__(self, contig_lengths, block_bytes: int):
        self._lengths, self._block_bytes = contig_lengths, block_bytes
        self._contigs: list[tuple | None] = [None] * len(contig_lengths)
        self._contig, self._unplaced = -1, 0
        self._last_chunk = np.empty(_BINS, np.int32)

    def add(self, batch: ReadBatch, place: int) -> bool:
        """Index a batch whose first record lies at `place` of the uncompressed file. False where the records are not in order."""
        edges = np.flatnonzero(np.diff(batch.ref_id)) + 1
        columns = batch.pos, batch.flag, batch.name_length, batch.n_cigar
        for a, b in zip([0, *edges.tolist()], [*edges.tolist(), len(batch)]):
            if a == b:
                continue
            contig = int(batch.ref_id[a])
            if contig < 0:
                self._end()
                self._contig = len(self._contigs)
                self._unplaced += b - a
                continue
            if contig < self._contig or (np.diff(batch.pos[a:b]) < 0).any():
                return False
            if contig != self._contig:
                self._begin(contig)
            bins, starts, stops, linear, totals = self._contigs[contig]
            room = int(totals[kernel.CHUNKS]) + b - a
            if room > bins.size:
                bins, starts, stops = (np.concatenate([x, np.empty(room - x.size, x.dtype)]) for x in (bins, starts, stops))
                self._contigs[contig] = bins, starts, stops, linear, totals
            kernel.index_records(a, b, batch.data, batch.offset, place - int(batch.offset[0]), self._block_bytes, *columns,
                                 self._last_chunk, bins, starts, stops, linear, totals)  # fmt: skip
        return True

    def _begin(self, contig):
        self._end()
        self._contig = contig
        self._last_chunk[:] = -1
        windows = (int(self._lengths[contig]) >> 14) + 2
        chunks = np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)
        self._contigs[contig] = *chunks, np.full(windows, -1, np.int64), np.zeros(5, np.int64)

    def _end(self):
        """Cut the arrays of the contig that is done to what they hold."""
        if 0 <= self._contig < len(self._contigs):
            bins, starts, stops, linear, totals = self._contigs[self._contig]
            n = int(totals[kernel.CHUNKS])
            used = int(np.flatnonzero(linear >= 0)[-1]) + 1
            self._contigs[self._contig] = bins[:n].copy(), starts[:n].copy(), stops[:n].copy(), linear[:used].copy(), totals

    def finish(self, block_starts: np.ndarray) -> bytes:
        """The .bai file. block_starts: int64, file offsets of the blocks and of what follows them."""
        self._end()

        def virtual(place):
            return (block_starts[place // self._block_bytes] << 16 | place % self._block_bytes).astype(_WORD)

        parts = [b"BAI\1", len(self._contigs).to_bytes(4, "little")]
        parts += [_contig_bytes(*c, virtual) if c else bytes(8) for c in self._contigs]
        return b"".join([*parts, self._unplaced.to_bytes(8, "little")])


def _contig_bytes(bins, starts, stops, linear, totals, virtual):
    """A contig's bins with their chunks, the bin of counts, the linear index."""
    order = np.argsort(bins, kind="stable")
    numbers, first, count = np.unique(bins[order], return_index=True, return_counts=True)
    # Words of 8 bytes: a bin's number and count of chunks, then begin and end of each chunk.
    words = np.empty(len(numbers) + 2 * len(bins), _WORD)
    head = np.arange(len(numbers)) + 2 * first
    words[head] = numbers.astype(np.uint64) | count.astype(np.uint64) << np.uint64(32)
    at = 2 * np.arange(len(bins)) + np.repeat(np.arange(len(numbers)), count) + 1
    words[at], words[at + 1] = virtual(starts[order]), virtual(stops[order])
    ends = virtual(totals[[kernel.FIRST, kernel.LAST]])
    counts = np.array([_METADATA_BIN | 2 << 32, *ends.tolist(), totals[kernel.MAPPED], totals[kernel.UNMAPPED]], _WORD)
    # A window without records of its own has the offset of the one before.
    latest = np.maximum.accumulate(np.where(linear >= 0, np.arange(len(linear)), -1))
    windows = np.where(latest >= 0, virtual(linear[np.maximum(latest, 0)] * (latest >= 0)), 0).astype(_WORD)
    sizes = (len(numbers) + 1).to_bytes(4, "little"), len(windows).to_bytes(4, "little")
    return b"".join([sizes[0], words.tobytes(), counts.tobytes(), sizes[1], windows.tobytes()])
