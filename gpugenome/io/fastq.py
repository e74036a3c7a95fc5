"""FASTQ: plain, gzip (any number of members) or bgzip, in one or two files or interleaved, as batches that were checked.

Source: Cock et al. 2010; four lines a record.
"""

import os
import sys
import zlib

import numpy as np

from gpugenome.batch import FastqBatch, Fragments
from gpugenome.errors import InputError
from gpugenome.io.bgzf import BgzfReader
from gpugenome.kernels import fastq_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.pipeline import ahead

BATCH_READS = 50_000
_PIECE_BYTES = 4 << 20
_NEWLINE, _RETURN = np.full(1, 10, np.uint8), 13
_PROBLEMS = {
    kernel.NO_AT: "its first line does not begin with '@' (expected four lines a record)",
    kernel.NO_NAME: "it has no read name",
    kernel.NO_PLUS: "its third line does not begin with '+' (expected four lines a record)",
    kernel.BAD_BASE: "its sequence has a character that is not a base",
    kernel.BAD_QUALITY: "it has a quality that is not between '!' and '~'",
}


def _is_bgzf(prefix: bytes) -> bool:
    """Whether a file that begins with these 18 bytes is BGZF (SAM specification 4.1)."""
    return len(prefix) == 18 and prefix[:4] == b"\x1f\x8b\x08\x04" and prefix[12:16] == b"BC\2\0"


class FastqFile:
    """One FASTQ file: `batches()` gives its records once.

    path: file name, or "-" for standard input. threads: for inflating bgzip and for the checks.

    Raises
    ------
    InputError: missing, empty, truncated, damaged, or not FASTQ; the record is named.
    """

    def __init__(self, path, threads=1):
        self.path, self.threads = os.fspath(path), threads
        self.count = 0
        try:
            self._handle = sys.stdin.buffer if self.path == "-" else open(self.path, "rb")  # noqa: SIM115 closed at its end
            self._prefix = self._handle.read(18)
        except OSError as e:
            raise InputError(self.path, f"cannot be read: {e.strerror}") from None
        if not self._prefix:
            raise InputError(self.path, "is empty, expected FASTQ")

    def _plain_chunks(self):
        piece = self._prefix
        while piece:
            yield np.frombuffer(piece, np.uint8)
            piece = self._handle.read(_PIECE_BYTES)

    def _gzip_chunks(self):
        raw, stream = self._prefix, zlib.decompressobj(31)
        begun = True
        while True:
            raw = raw or self._handle.read(_PIECE_BYTES // 4)
            if not raw:
                if begun:
                    raise InputError(self.path, "the file is truncated, its gzip stream has no end", f"after record {self.count}")
                return
            if not begun:
                raw = raw.lstrip(b"\0")  # some writers pad members with zeros
                if not raw:
                    continue
                stream, begun = zlib.decompressobj(31), True
            try:
                piece = stream.decompress(raw, _PIECE_BYTES)
            except zlib.error as e:
                raise InputError(self.path, f"its gzip data are damaged ({e})", f"after record {self.count}") from None
            raw = stream.unconsumed_tail
            if stream.eof:
                raw, begun = stream.unused_data, False
            if piece:
                yield np.frombuffer(piece, np.uint8)

    def _chunks(self):
        """The text, without carriage returns: bwa takes the one of an empty line for a base."""
        if _is_bgzf(self._prefix):
            chunks = BgzfReader(self.path, self.threads, self._handle, self._prefix).chunks()
        elif self._prefix[:2] == b"\x1f\x8b":
            chunks = self._gzip_chunks()
        else:
            chunks = self._plain_chunks()
        with self._handle:
            for chunk in chunks:
                returns = chunk == _RETURN
                yield chunk[~returns] if returns.any() else chunk

    def _batch(self, data, line_start, n, at_end) -> FastqBatch:
        columns = [np.empty(n, np.int64) for _ in range(5)]
        bad = min((r for r in run_chunks(kernel.check_records, n, self.threads, data, line_start, *columns) if r >= 0), default=-1)
        if bad >= 0:
            self._refuse(data, line_start, *divmod(bad, 8), at_end)
        self.count += n
        return FastqBatch(data, line_start[: 4 * n + 1 : 4].copy(), *columns)

    def _refuse(self, data, line_start, i, status, at_end):
        where = f"record {self.count + i + 1}"
        lines = [bytes(data[line_start[k] : line_start[k + 1]]).rstrip(b"\n") for k in range(4 * i, 4 * i + 4)]
        if self.count + i == 0 and status == kernel.NO_AT:
            raise InputError(self.path, "is not FASTQ, expected '@' as its first character")
        if status == kernel.LENGTHS:
            if at_end and 4 * i + 4 == len(line_start) - 1 and len(lines[3]) < len(lines[1]):
                raise InputError(self.path, "the file is truncated inside a record", where)
            problem = f"its sequence has {len(lines[1])} bases, but {len(lines[3])} qualities"
        else:
            problem = _PROBLEMS[status]
        name = lines[0][1:].split()[:1] if status != kernel.NO_AT else []
        raise InputError(self.path, problem, where + (f" ({name[0].decode('ascii', 'replace')})" if name else ""))

    def batches(self, most: int = BATCH_READS):
        """Iterator of FastqBatch of `most` records (the last one has fewer)."""
        chunks = ahead(self._chunks())
        rest, ended = np.empty(0, np.uint8), False
        line_start = np.empty(4 * most + 1, np.int64)
        while True:
            n = kernel.scan_lines(rest, 0, rest.size, line_start, 4 * most)
            if n < 4 * most and not ended:
                chunk = next(chunks, None)
                ended = chunk is None
                if ended:
                    chunk = _NEWLINE[: int(rest.size > 0 and rest[-1] != 10)]
                rest = np.concatenate([rest, chunk])
                continue
            if n < 4 * most:
                n = _without_blank_lines(rest, line_start, n)
            if n >= 4:
                yield self._batch(rest, line_start[: n // 4 * 4 + 1].copy(), n // 4, ended)
            if n % 4:
                if self.count == 0 and rest[0] != ord("@"):
                    raise InputError(self.path, "is not FASTQ, expected '@' as its first character")
                raise InputError(self.path, "the file is truncated inside a record", f"record {self.count + 1}")
            if n < 4 * most:
                break
            rest = rest[int(line_start[n]) :]
        if self.count == 0:
            raise InputError(self.path, "is empty, expected FASTQ")


def _without_blank_lines(data, line_start, n):
    """n less the blank lines at the end of a file; an empty last quality line stays."""

    def blank(k):
        return k >= 0 and not bytes(data[line_start[k] : line_start[k + 1]]).strip(b"\n")

    while n and blank(n - 1) and (n % 4 or blank(n - 2)):
        n -= 1
    return n


def _name(batch: FastqBatch, i) -> str:
    return bytes(batch.data[batch.name_start[i] : batch.name_start[i] + batch.name_length[i]]).decode("ascii", "replace")


class FastqReads:
    """The fragments of a pair of FASTQ files, of an interleaved file, or of a file of single reads.

    paths: one or two files. interleaved: the only file has the two reads of each fragment one after the other.
    first_name: the name of the first read; the first batch is read at once, so that a bad file is refused early.

    Raises
    ------
    InputError: as `FastqFile`, and mates that are out of step, at the record where they are.
    """

    def __init__(self, paths, interleaved=False, threads=1):
        self.paths, self.interleaved, self.threads = [os.fspath(p) for p in paths], interleaved, threads
        self._source = self._interleaved() if interleaved else self._files()
        self._begun = next(self._source)
        self.first_name = _name(self._begun.first, 0)

    def batches(self):
        """Iterator of Fragments, once."""
        begun, self._begun = self._begun, None
        if begun is not None:
            yield begun
        yield from self._source

    def _check_mates(self, first, second, before):
        bad = run_chunks(
            kernel.check_mates, len(first), self.threads,
            first.data, first.name_start, first.name_length, second.data, second.name_start, second.name_length,
        )  # fmt: skip
        i = min((r for r in bad if r >= 0), default=-1)
        if i >= 0:
            a, b = _name(first, i), _name(second, i)
            if self.interleaved:
                number = 2 * (before + i) + 1
                problem = f"is {a}, but the record after it is {b}, expected the two reads of a fragment"
            else:
                number, problem = before + i + 1, f"is {a}, but {b} in {self.paths[1]}: the two files are out of step"
            raise InputError(self.paths[0], problem, f"record {number}")

    def _files(self):
        files = [FastqFile(p, self.threads) for p in self.paths]
        streams = [ahead(f.batches()) for f in files]
        count = 0
        while True:
            parts = [next(s, None) for s in streams]
            if parts[0] is None and parts[-1] is None:
                return
            size = [0 if p is None else len(p) for p in parts]
            both = min(size)
            if len(parts) == 2 and both:
                self._check_mates(parts[0].rows(slice(both)), parts[1].rows(slice(both)), count)
            if size[0] != size[-1]:
                short = int(size[1] < size[0])
                problem = f"ends after this record, but {self.paths[1 - short]} goes on: one of the two files is not complete"
                raise InputError(self.paths[short], problem, f"record {count + both}")
            yield Fragments(parts[0], parts[1] if len(parts) == 2 else None, tuple(p.text for p in parts))
            count += both

    def _interleaved(self):
        count = 0
        for batch in ahead(FastqFile(self.paths[0], self.threads).batches()):
            if len(batch) % 2:
                name = _name(batch, len(batch) - 1)
                raise InputError(self.paths[0], "has no mate, expected two records a fragment", f"record {2 * count + len(batch)} ({name})")
            first, second = batch.rows(slice(0, None, 2)), batch.rows(slice(1, None, 2))
            self._check_mates(first, second, count)
            yield Fragments(first, second, (batch.text,))
            count += len(first)
