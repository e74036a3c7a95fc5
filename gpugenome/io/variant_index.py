"""Indexes of VCF files, built while they are written: tabix (.tbi) for BGZF, Tribble's linear index (.idx) for plain text.

Source: tabix specification; htsjdk TabixIndexCreator, LinearIndex and AbstractIndex.
"""

import struct
import time

import numpy as np

from gpugenome.kernels import variant_index_cpu as kernel

LONGEST_CONTIG_BP = 1 << 29
"""Positions from here on do not fit into a tabix index."""
LINEAR_BIN_BP = 16000


class _ContigChunks:
    """Chunks and windows of one contig."""

    def __init__(self):
        self.last_chunk = np.full(kernel.BINS, -1, np.int64)
        self.window = np.empty(0, np.int64)
        self.chunks = [np.empty(0, np.int64) for _ in range(3)]
        self.count = 0

    def add(self, start, end, position, block_bytes):
        windows = (int(max(end.max(), start.max() + 1)) - 1 >> kernel.WINDOW_SHIFT) + 1
        if windows > len(self.window):
            self.window = np.concatenate([self.window, np.full(windows - len(self.window), -1, np.int64)])
        needed = self.count + len(start)
        if needed > len(self.chunks[0]):
            self.chunks = [np.concatenate([c[: self.count], np.empty(needed, np.int64)]) for c in self.chunks]
        self.count = int(kernel.add_records(start, end, position, block_bytes, self.last_chunk, self.window, *self.chunks, self.count))

    def finish(self) -> None:
        """Keep what the index needs."""
        self.chunks = [c[: self.count].copy() for c in self.chunks]
        del self.last_chunk


class TabixIndex:
    """Collects records and gives the bytes of the index. block_bytes: uncompressed bytes of every block of the file but the last."""

    def __init__(self, block_bytes: int):
        self._block_bytes = block_bytes
        self._contigs: dict[str, _ContigChunks] = {}

    def add(self, contig: str, start: np.ndarray, end: np.ndarray, position: np.ndarray) -> None:
        """Records of a contig. start, end: int32[n]. position: int64[n+1], uncompressed file positions of the lines."""
        if contig not in self._contigs:
            for done in self._contigs.values():
                if hasattr(done, "last_chunk"):
                    done.finish()
            self._contigs[contig] = _ContigChunks()
        self._contigs[contig].add(start, end, position, self._block_bytes)

    def to_bytes(self, block_start: np.ndarray, total: int) -> bytes:
        """The index, not compressed. block_start: int64, file offset of every block, the end marker last. total: uncompressed bytes."""

        def virtual(position):
            block = position // self._block_bytes
            out = block_start[np.minimum(block, len(block_start) - 1)] << 16 | position % self._block_bytes
            return np.where(position == total, block_start[-1] << 16, out)

        names = b"".join(name.encode() + b"\0" for name in self._contigs)
        out = [b"TBI\1", struct.pack("<8i", len(self._contigs), 2, 1, 2, 0, ord("#"), 0, len(names)), names]
        for contig in self._contigs.values():
            bins, begin, end = (c[: contig.count] for c in contig.chunks)
            order = np.argsort(bins, kind="stable")
            begin, end = virtual(begin[order]), virtual(end[order])
            numbers, first, count = np.unique(bins[order], return_index=True, return_counts=True)
            out.append(struct.pack("<i", len(numbers)))
            pairs = np.stack([begin, end], 1).astype("<u8")
            for number, a, n in zip(numbers.tolist(), first.tolist(), count.tolist()):
                out += [struct.pack("<Ii", number, n), pairs[a : a + n].tobytes()]
            known = np.maximum.accumulate(np.where(contig.window >= 0, np.arange(len(contig.window)), -1))
            linear = np.where(known >= 0, virtual(contig.window[np.maximum(known, 0)]), 0)
            out += [struct.pack("<i", len(linear)), linear.astype("<u8").tobytes()]
        return b"".join(out)


class LinearIndex:
    """Tribble's linear index: where the records of each stretch of LINEAR_BIN_BP begin in the file."""

    def __init__(self, contigs, contig_lengths):
        self._dictionary = list(zip(contigs, contig_lengths))
        self._bins: dict[str, list[np.ndarray]] = {}
        self._longest: dict[str, int] = {}
        self._features: dict[str, int] = {}
        self._end: dict[str, int] = {}

    def add(self, contig: str, start: np.ndarray, end: np.ndarray, position: np.ndarray) -> None:
        """As of `TabixIndex.add`; positions are file offsets."""
        bins = self._bins.setdefault(contig, [])
        begun = sum(len(b) for b in bins)
        edges = np.arange(begun, int(start[-1]) // LINEAR_BIN_BP + 1, dtype=np.int64) * LINEAR_BIN_BP
        bins.append(position[np.searchsorted(start, edges)])
        self._longest[contig] = max(self._longest.get(contig, 0), int((end - start).max()))
        self._features[contig] = self._features.get(contig, 0) + len(start)
        self._end[contig] = int(position[-1])

    def to_bytes(self, uri: str, size: int) -> bytes:
        """The index. uri: of the indexed file; size: its bytes."""

        def text(s):
            return s.encode() + b"\0"

        out = [b"TIDX", struct.pack("<ii", 1, 3), text(uri), struct.pack("<qq", size, int(time.time() * 1000)), text(""),
               struct.pack("<ii", 0, len(self._dictionary))]  # fmt: skip
        out += [text(f"DICT:{name}") + text(str(int(length))) for name, length in self._dictionary]
        out.append(struct.pack("<i", len(self._bins)))
        for contig, bins in self._bins.items():
            starts = np.concatenate(bins).astype("<i8")
            out += [text(contig), struct.pack("<5i", LINEAR_BIN_BP, len(starts), self._longest[contig], 0, self._features[contig]),
                    starts.tobytes(), struct.pack("<q", self._end[contig])]  # fmt: skip
        return b"".join(out)
