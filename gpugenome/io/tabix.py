"""Stretches of a bgzipped VCF through its .tbi. Source: tabix's index format (SAM specification 5.2 for bins and the linear index)."""

import gzip
import os
import struct
import zlib

import numpy as np

from gpugenome.errors import InputError

_LINEAR_SHIFT = 14
_LEVELS = ((0, 29), (1, 26), (9, 23), (73, 20), (585, 17), (4681, 14))
"""First bin of each level, and log2 of its bins' bp."""


def index_of(path: str) -> str | None:
    """The .tbi beside a file, None where there is none."""
    index = f"{path}.tbi"
    return index if os.path.isfile(index) else None


def stretches(index: str, intervals) -> list[tuple[int, int]]:
    """Virtual offsets (begin, end) of the stretches of the indexed file that hold all records that overlap the intervals; sorted and apart.

    index: path of a .tbi. intervals: (contig, 0-based start, end).

    Raises
    ------
    InputError: the index cannot be read or is none.
    """
    try:
        with gzip.open(index) as f:
            data = f.read()
        contigs = _parse(data)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as e:
        raise InputError(index, f"is not a tabix index, or damaged: {e}") from None
    chunks = [np.empty((0, 2), np.int64)]
    for name, start, end in intervals:
        if name in contigs:
            chunks.append(_chunks(*contigs[name], start, max(end, start + 1)))
    found = np.concatenate(chunks)
    found = found[np.lexsort((found[:, 1], found[:, 0]))]
    if not len(found):
        return []
    reach = np.maximum.accumulate(found[:, 1])
    first = np.append(True, found[1:, 0] > reach[:-1])
    return list(zip(found[first, 0].tolist(), reach[np.append(first[1:], True)].tolist()))


def _parse(data):
    """{contig: (bins int64[n], chunks int64[n, 2], linear int64[m])}: a bin for each chunk."""
    magic, n, *_, names_bytes = struct.unpack_from("<4s8i", data)
    if magic != b"TBI\1":
        raise ValueError("it does not begin with TBI")
    at = 36
    names, at = data[at : at + names_bytes].split(b"\0")[:n], at + names_bytes
    contigs = {}
    for name in names:
        (n_bins,) = struct.unpack_from("<i", data, at)
        bins, chunks, at = [], [np.empty((0, 2), np.int64)], at + 4
        for _ in range(n_bins):
            number, count = struct.unpack_from("<Ii", data, at)
            chunks.append(np.frombuffer(data, "<i8", 2 * count, at + 8).reshape(-1, 2))
            bins += [number] * count
            at += 8 + 16 * count
        (n_linear,) = struct.unpack_from("<i", data, at)
        linear, at = np.frombuffer(data, "<i8", n_linear, at + 4), at + 4 + 8 * n_linear
        contigs[name.decode("latin-1")] = np.array(bins, np.int64), np.concatenate(chunks), linear
    return contigs


def _chunks(bins, chunks, linear, start, end):
    """The chunks that may hold records overlapping a stretch of their contig."""
    wanted = np.zeros(len(bins), bool)
    for first, shift in _LEVELS:
        wanted |= (bins >= first + (start >> shift)) & (bins <= first + (end - 1 >> shift)) & (bins < first + (1 << 29 - shift))
    least = linear[min(start >> _LINEAR_SHIFT, len(linear) - 1)] if len(linear) else 0
    found = chunks[wanted & (chunks[:, 1] > least)].copy()
    found[:, 0] = np.maximum(found[:, 0], least)
    return found
