"""Lines of a text file (plain, gzip or BGZF) in pieces of some MB that end with a line's end."""

import gzip
import zlib

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.bgzf import BgzfReader

PIECE_BYTES = 32 << 20
_BGZF_EXTRA = b"BC\x02\x00"


def _pieces(path, threads, piece_bytes):
    """The file's text as uint8 arrays."""
    try:
        with open(path, "rb") as f:
            head = f.read(16)
        if head[:2] == b"\x1f\x8b" and head[12:16] == _BGZF_EXTRA:
            yield from BgzfReader(path, threads, chunk_bytes=piece_bytes).chunks()
            return
        with gzip.open(path) if head[:2] == b"\x1f\x8b" else open(path, "rb") as f:
            while piece := f.read(piece_bytes):
                yield np.frombuffer(piece, np.uint8)
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(path, f"cannot be read as a VCF: {e}") from None


def whole_lines(path: str, threads: int = 1, piece_bytes: int = PIECE_BYTES):
    """Iterator of uint8 arrays: the inflated text, cut after newlines (the last piece may end without one).

    Raises
    ------
    InputError: the file cannot be read, or is damaged or truncated.
    """
    rest = np.empty(0, np.uint8)
    for piece in _pieces(path, threads, piece_bytes):
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
