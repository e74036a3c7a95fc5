"""Writing VCF: plain or BGZF, with index and digest, whole or not at all. Source: VCF 4.2, htsjdk VariantContextWriterBuilder."""

import hashlib
from pathlib import Path

import numpy as np

from gpugenome.gatk.vcf_lines import header_text
from gpugenome.io.bgzf import BgzfWriter, compress
from gpugenome.io.outputs import STDOUT, AtomicOutput
from gpugenome.io.variant_index import LONGEST_CONTIG_BP, LinearIndex, TabixIndex

BLOCK_BYTES = 65498
"""Uncompressed bytes of a BGZF block, htsjdk's choice."""
COMPRESSED = (".gz", ".gzip", ".bgz", ".bgzf")


class VariantWriter:
    """Context manager that writes record lines in order.

    path: names that end in .gz (.bgz, ...) are compressed; "-" is plain text on standard output, without index.
    header_lines: without "##", in any order. contigs, contig_lengths: the contigs that records lie on. samples: names of the sample columns
    (none: sites only). index: also .tbi, or .idx for plain text. md5: also a .md5 file. level: of compression.

    Raises
    ------
    InputError: the file cannot be written.
    ValueError: from `write`: records that are out of order.
    """

    def __init__(self, path, header_lines, contigs, contig_lengths, samples=(), threads: int = 1, index: bool = True, md5: bool = False,
                 level: int = 2):  # fmt: skip
        self.path = str(path)
        self._compressed = self.path.endswith(COMPRESSED)
        self._contigs, self._threads, self._level = list(contigs), threads, level
        self._header = np.frombuffer(header_text(header_lines, samples), np.uint8)
        self._output = AtomicOutput(self.path)
        self._with_index = index and self.path not in STDOUT
        if self._compressed and max((int(n) for n in contig_lengths), default=0) > LONGEST_CONTIG_BP:
            self._with_index = False
        self._digest = hashlib.md5(usedforsecurity=False) if md5 and self.path not in STDOUT else None
        self._index = TabixIndex(BLOCK_BYTES) if self._compressed else LinearIndex(contigs, contig_lengths)
        self._bgzf = None
        self._size = 0
        self._last = (-1, -1)
        self._done: set[int] = set()

    def __enter__(self) -> "VariantWriter":
        self._output.open()
        try:
            if self._compressed:
                self._bgzf = BgzfWriter(self._output.handle, self.path, self._level, self._threads, self._digest, BLOCK_BYTES)
            self._put(self._header)
        except BaseException:
            self._output.discard()
            raise
        return self

    def _put(self, data: np.ndarray):
        self._size += data.size
        if self._bgzf is not None:
            self._bgzf.write(data)
            return
        self._output.write(data.data)
        if self._digest is not None:
            self._digest.update(data.data)

    def write(self, text: np.ndarray, offset: np.ndarray, ref_id: int, start: np.ndarray, end: np.ndarray) -> None:
        """Record lines of one contig, sorted by start and not before those written so far.

        text: uint8, line i with its newline at text[offset[i] : offset[i + 1]] (int64[n+1], no gaps). start, end: int32[n], 0-based
        half-open span on the reference; `end` is INFO END where there is one.
        """
        if len(start) == 0:
            return
        ordered = (np.diff(start) >= 0).all() and (ref_id != self._last[0] or start[0] >= self._last[1])
        if not ordered or (ref_id != self._last[0] and ref_id in self._done):
            raise ValueError(f"{self.path}: records of {self._contigs[ref_id]} are out of order at {int(start[0]) + 1}")
        self._done.add(ref_id)
        self._last = (ref_id, int(start[-1]))
        if self._with_index:
            self._index.add(self._contigs[ref_id], start, end, offset - offset[0] + self._size)
        self._put(text[offset[0] : offset[-1]])

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                self._finish()
            except BaseException:
                self._output.discard()
                raise
        self._output.__exit__(kind, error, trace)

    def _finish(self):
        if self._bgzf is not None:
            self._bgzf.finish()
        if self._with_index and self._bgzf is not None:
            data = self._index.to_bytes(self._bgzf.block_starts(), self._size)
            self._companion(".tbi", compress(np.frombuffer(data, np.uint8), threads=1))
        elif self._with_index:
            self._companion(".idx", self._index.to_bytes(Path(self.path).absolute().as_uri(), self._size))
        if self._digest is not None:
            self._companion(".md5", self._digest.hexdigest().encode())

    def _companion(self, suffix, data):
        self._output.also(self.path + suffix).write(data)
