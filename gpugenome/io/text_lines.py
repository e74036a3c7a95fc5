"""Lines of a text file (plain, gzip or BGZF) in pieces of some MB that end with a line's end."""

import gzip
import os
import stat
import zlib

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.bgzf import BgzfReader

PIECE_BYTES = 32 << 20
_BGZF_EXTRA = b"BC\x02\x00"


def refuse_pipe(path) -> None:
    """Raise InputError for standard input and other pipes, of a file that is read more than once."""
    try:
        pipe = path == "-" or stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return  # said where it is opened
    if pipe:
        raise InputError(path, "is a pipe, expected a file (it is read more than once)")


def _head(path):
    with open(path, "rb") as f:
        return f.read(16)


def is_bgzf(path: str) -> bool:
    """Whether a file is there and bgzipped."""
    try:
        return _head(path)[12:16] == _BGZF_EXTRA
    except OSError:
        return False


def _pieces(path, threads, piece_bytes):
    """The file's text as uint8 arrays."""
    try:
        if is_bgzf(path):
            yield from BgzfReader(path, threads, chunk_bytes=piece_bytes).chunks()
            return
        with gzip.open(path) if _head(path)[:2] == b"\x1f\x8b" else open(path, "rb") as f:
            while piece := f.read(piece_bytes):
                yield np.frombuffer(piece, np.uint8)
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(path, f"cannot be read as a VCF: {e}") from None


def whole_lines(path: str, threads: int = 1, piece_bytes: int = PIECE_BYTES):
    """Iterator of uint8 arrays: the inflated text, cut after newlines (the last piece may end without one).

    Raises
    ------
    InputError: the file cannot be read, is a pipe, or is damaged or truncated.
    """
    refuse_pipe(path)
    return _line_feeds(_cut(_pieces(path, threads, piece_bytes)))


def indexed_lines(path: str, stretches, threads: int = 1, piece_bytes: int = PIECE_BYTES):
    """As `whole_lines`, of a bgzipped file, only what lies between pairs of virtual offsets (of `io.bin_index.query`)."""
    reader = BgzfReader(path, threads, chunk_bytes=piece_bytes)
    for begin, end in stretches:
        yield from _cut(reader.range_chunks(begin, end))


def _line_feeds(pieces):
    """Lines that end in CR LF, where the first one does, as lines that end in LF: so htsjdk reads them."""
    carriage = None
    for data in pieces:
        if carriage is None:
            end = int(np.argmax(data[: 1 << 16] == 10))
            carriage = end > 0 and data[end - 1] == 13
        if carriage:
            data = data[np.append((data[:-1] != 13) | (data[1:] != 10), True)]
        yield data


def _cut(pieces):
    """The pieces, cut after newlines."""
    rest = np.empty(0, np.uint8)
    for piece in pieces:
        data = np.concatenate([rest, piece]) if len(rest) else piece
        ends = np.flatnonzero(data[-(1 << 16) :] == 10)
        if not len(ends):
            rest = data
            continue
        cut = max(0, len(data) - (1 << 16)) + int(ends[-1]) + 1
        yield data[:cut]
        rest = data[cut:]
    if len(rest):
        yield rest
