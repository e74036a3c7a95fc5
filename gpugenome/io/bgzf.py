"""BGZF streams: inflated chunks in, blocks out, on several threads. Source: SAM specification 4.1."""

import mmap
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gpugenome.arenas import Arenas
from gpugenome.errors import InputError
from gpugenome.io.outputs import os_problem
from gpugenome.kernels import bgzf_cpu as kernel
from gpugenome.kernels.launch import run_chunks, start
from gpugenome.pipeline import ahead

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
BLOCK_BYTES = 65280
"""Uncompressed bytes of a block that is written, htslib's choice."""
_CHUNK_BYTES = 16 << 20
_UNIT_BLOCKS = 32
"""Blocks that one thread deflates at a time, from the stream's beginning on."""
_RAW_BYTES = 8 << 20

_STATUS = {
    kernel.BAD_MAGIC: "is not a BGZF block (damaged file, or plain gzip)",
    kernel.NO_BLOCK_SIZE: "has no BGZF block size (plain gzip instead of bgzip?)",
    kernel.BAD_SIZE: "has an impossible block size",
}


def _inflate(raw, starts, sizes, raw_sizes, n, threads, path, position_of, headroom=0, arenas=None):
    """The n scanned blocks inflated: uint8 array, the first `headroom` bytes free."""
    out_start = np.full(n + 1, headroom, np.int64)
    out_start[1:] += np.cumsum(raw_sizes[:n])
    out = arenas.take(int(out_start[-1])) if arenas else np.empty(int(out_start[-1]), np.uint8)
    results = run_chunks(kernel.inflate_blocks, n, threads, raw, starts[:n], sizes[:n], out_start, out, True)
    bad = min((r for r in results if r >= 0), default=-1)
    if bad >= 0:
        problem = "wrong CRC, the data are damaged" if bad % 4 == kernel.BAD_CRC else "its deflated data are damaged"
        raise InputError(path, problem, f"BGZF block at byte {position_of(bad // 4)}")
    return out


class BgzfReader:
    """Inflates a BGZF file or stream chunk by chunk, the next chunk while the last one is used.

    path: file name, or "-" for standard input. handle: an open binary file to read instead (`prefix`: bytes already read from it;
    needs_end: without the end marker it is taken as cut off). chunk_bytes: inflated bytes of a chunk, about. headroom: free bytes
    before the data of every chunk, where what a chunk cuts can be put without moving the next one.

    Raises
    ------
    InputError: from `chunks` and `inflate_at`: damaged, truncated or not BGZF.
    """

    def __init__(self, path, threads=2, handle=None, prefix=b"", needs_end=False, chunk_bytes=_CHUNK_BYTES, headroom=0):
        self.path, self.threads, self._chunk_bytes, self.headroom = path, threads, chunk_bytes, headroom
        self.handle, self.prefix, self.needs_end = handle, prefix, needs_end
        self.raw = None
        if handle is None:
            try:
                with open(path, "rb") as f:
                    size = os.fstat(f.fileno()).st_size
                    self._map = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) if size else None
                    self.raw = np.frombuffer(self._map, np.uint8) if size else np.empty(0, np.uint8)
            except OSError as e:
                raise InputError(path, f"cannot be read: {e.strerror}") from None

    def _scan(self, raw, begin, base):
        """(blocks, position after the last one, where their deflated data start, their sizes, inflated sizes) from `begin` on.

        The arrays are the caller's own: a chunk may be read ahead on its thread while a range is read.
        """
        starts, sizes, raw_sizes = (np.empty(max(self._chunk_bytes // 1024, 1024), np.int64) for _ in range(3))
        n, at, status = kernel.scan_blocks(raw, begin, raw.size, self._chunk_bytes, starts, sizes, raw_sizes)
        if status != kernel.OK:
            raise InputError(self.path, _STATUS[status], f"byte {base + at}")
        return n, at, starts[:n], sizes[:n], raw_sizes[:n]

    def _file_chunks(self, position):
        """The inflated pieces from a file position on."""
        arenas = Arenas()
        while position < self.raw.size:
            n, after, starts, sizes, raw_sizes = self._scan(self.raw, position, 0)
            if n == 0:
                raise InputError(self.path, "the file is truncated inside a BGZF block", f"byte {after}")
            yield _inflate(self.raw, starts, sizes, raw_sizes, n, self.threads, self.path,
                           lambda i, s=starts: int(s[i]) - 18, self.headroom, arenas)  # fmt: skip
            # What has been read need not stay resident: a sort's memory is for its records.
            used = after // mmap.PAGESIZE * mmap.PAGESIZE
            if used:
                self._map.madvise(mmap.MADV_DONTNEED, 0, used)
            position = after
        if self.raw.size >= 28 and self.raw[-28:].tobytes() != EOF_BLOCK or self.raw.size < 28:
            print(f"gpugenome: warning: {self.path}: no BGZF end marker, the file may be truncated", file=sys.stderr)

    def _stream_chunks(self):
        pending = np.frombuffer(self.prefix, np.uint8)
        base, ended, last, arenas = 0, False, b"", Arenas()
        while True:
            while pending.size < _RAW_BYTES and not ended:
                more = self.handle.read(_RAW_BYTES)
                ended = not more
                pending = np.concatenate([pending, np.frombuffer(more, np.uint8)])
            if not pending.size:
                if self.needs_end and last != EOF_BLOCK:
                    raise InputError(self.path, "the stream ends without BGZF end marker: the program that writes it stopped early")
                return
            n, after, starts, sizes, raw_sizes = self._scan(pending, 0, base)
            if n == 0:
                raise InputError(self.path, "the stream ends inside a BGZF block", f"byte {base + after}")
            yield _inflate(pending, starts, sizes, raw_sizes, n, self.threads, self.path,
                           lambda i, b=base, s=starts: b + int(s[i]) - 18, self.headroom, arenas)  # fmt: skip
            last = pending[max(0, after - 28) : after].tobytes()
            pending, base = pending[after:].copy(), base + after

    def chunks(self):
        """Iterator of uint8 arrays, the inflated stream in pieces of some MB, each after its headroom.

        The memory of a piece is used again once no array refers to it any more.
        """
        source = self._stream_chunks() if self.raw is None else self._file_chunks(0)
        return ahead(source)

    def range_chunks(self, begin_virtual: int, end_virtual: int):
        """Iterator of uint8 arrays of some MB, each after its headroom: the bytes between two virtual offsets (SAM spec 4.1.1).

        Their memory is used again as that of `chunks`. Raises as `chunks`.
        """
        arenas = Arenas()
        position, skip = begin_virtual >> 16, begin_virtual & 0xFFFF
        last, within = end_virtual >> 16, end_virtual & 0xFFFF
        while position < self.raw.size and position <= last:
            n, after, starts, sizes, raw_sizes = self._scan(self.raw, position, 0)
            if n == 0:
                raise InputError(
                    self.path, "the file is truncated inside a BGZF block, or its index belongs to another file", f"byte {position}"
                )
            begins = np.concatenate([[position], starts[1:] - 18])
            inside = int(np.searchsorted(begins, last, "right"))
            data = _inflate(self.raw, starts, sizes, raw_sizes, inside, self.threads, self.path,
                            lambda i, b=begins: int(b[i]), self.headroom, arenas)  # fmt: skip
            if inside < n or after > last:
                at_last = begins[inside - 1] == last
                yield data[skip : self.headroom + int(raw_sizes[: inside - 1].sum()) + within if at_last else data.size]
                return
            yield data[skip:]
            position, skip = after, 0


class BgzfWriter:
    """Deflates what it is given into BGZF blocks of equal size on a handle, on threads of their own while the caller goes on.

    With several threads the handle is written to by one more of them, so that a failure to write may show in a later call.

    handle: binary file. level: 0 (stored), 1 and 2 (our own, kernels/deflate_cpu.py), 3 to 12 (libdeflate). digest: object with `update`,
    fed with the file's bytes. block_bytes: uncompressed bytes of a block.
    """

    def __init__(self, handle, path, level=2, threads=2, digest=None, block_bytes=BLOCK_BYTES):
        self.handle, self.path, self.level, self.threads, self.digest = handle, path, level, threads, digest
        self._block_bytes, self._unit_bytes = block_bytes, _UNIT_BLOCKS * block_bytes
        self._pending: list[np.ndarray] = []
        self._size = 0
        self._arenas, self._under_way = Arenas(), deque()
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="gpugenome-write") if threads > 1 else None
        self._block_sizes: list[np.ndarray] = []
        # Where base qualities begin and end in the stream, and where in the stream what is pending begins.
        self._quiet, self._place = np.empty((2, 0), np.int64), 0

    def write(self, data: np.ndarray, quiet=None) -> None:
        """Append bytes (uint8 array, not to be changed any more). Whole blocks are deflated and written as they fill up.

        quiet: int64[2, k], where base qualities begin and end in data, in order; levels 1 and 2 are faster and smaller when they know.
        """
        if quiet is not None and 0 < self.level <= kernel.OWN_LEVELS:
            self._quiet = np.concatenate([self._quiet, quiet + (self._place + self._size)], axis=1)
        # Units begin at the same places of the stream however it is handed over: their blocks have to do with each other.
        missing = self._unit_bytes - self._size
        if self._size and data.size >= missing:
            self._pending.append(data[:missing])
            self._deflate(np.concatenate(self._pending))
            self._pending, self._size, data = [], 0, data[missing:]
        whole = 0 if self._size else data.size // self._unit_bytes * self._unit_bytes
        if whole:
            self._deflate(data[:whole])
            data = data[whole:].copy()
        if data.size:
            self._pending.append(data)
            self._size += data.size

    def _deflate(self, data):
        data = np.require(data, requirements=["C", "W"])  # else the kernel would be compiled once more
        for a in range(0, data.size, self._unit_bytes):
            unit = data[a : a + self._unit_bytes]
            size = np.zeros(-(-unit.size // self._block_bytes), np.int64)
            first, last = np.searchsorted(self._quiet[1], self._place, "right"), np.searchsorted(self._quiet[0], self._place + unit.size)
            quiet = self._quiet[:, first:last] - self._place
            self._place += unit.size
            out = self._arenas.take(size.size * kernel.SLOT)
            future = start(self.threads, kernel.deflate_blocks, unit, self._block_bytes, self.level, quiet, out, size)
            if self._writing is None:
                self._put_unit(future, out, size)
            else:
                self._under_way.append(self._writing.submit(self._put_unit, future, out, size))
                self._wait(4 * self.threads)
        self._quiet = self._quiet[:, np.searchsorted(self._quiet[1], self._place, "right") :]

    def _wait(self, most):
        """Wait until at most so many units are under way. Raises what went wrong with those that are through."""
        while self._under_way and (len(self._under_way) > most or self._under_way[0].done()):
            self._under_way.popleft().result()

    def _put_unit(self, future, out, size):
        self._put(out[: future.result()])
        self._block_sizes.append(size)

    def _put(self, data):
        try:
            self.handle.write(data.data)
        except BrokenPipeError:
            raise
        except OSError as e:
            raise os_problem(self.path, e) from e
        if self.digest is not None:
            self.digest.update(data.data)

    def block_starts(self) -> np.ndarray:
        """int64: file offset of every block written (all of them, after `finish`), and of what follows them (the end marker)."""
        return np.cumsum(np.concatenate([np.zeros(1, np.int64), *self._block_sizes]))

    def finish(self) -> None:
        """Write what is left and the empty block that ends a BGZF file."""
        if self._size:
            self._deflate(np.concatenate(self._pending))
        self._wait(0)
        if self._writing is not None:
            self._writing.shutdown()
        self._put(np.frombuffer(EOF_BLOCK, np.uint8))


def compress(data: np.ndarray, level: int = 6, threads: int = 2) -> bytes:
    """A whole BGZF file of `data` (uint8) in memory, with its end marker."""
    import io

    out = io.BytesIO()
    writer = BgzfWriter(out, "memory", level, threads)
    writer.write(data)
    writer.finish()
    return out.getvalue()


__all__ = ["BLOCK_BYTES", "EOF_BLOCK", "BgzfReader", "BgzfWriter", "compress"]
