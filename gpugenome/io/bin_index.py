"""Queries of .bai, .csi and .tbi indexes: which stretches of a BGZF file may hold the records of some intervals.

Source: SAM specification 5, CSIv1, tabix.
"""

import gzip
import struct
import zlib

import numpy as np

from gpugenome.errors import InputError


def _bins(start, end, min_shift, depth):
    """Numbers of all bins that may hold records overlapping [start, end)."""
    out, shift, first = [], min_shift + 3 * depth, 0
    for level in range(depth + 1):
        out.append(np.arange(first + (start >> shift), first + ((end - 1) >> shift) + 1))
        first += 1 << 3 * level
        shift -= 3
    return np.concatenate(out)


def _read(path, is_tabix):
    """What an index says: names of its contigs (None but of tbi), then by contig bin -> chunks int64[k, 2], and the linear index (of csi
    each bin's lowest offset); min_shift, depth.
    """
    with open(path, "rb") as f:
        data = f.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if is_tabix and data[:4] != b"TBI\1":
        raise InputError(path, "is not a tabix index, or damaged: it does not begin with TBI")
    is_csi = data[:4] == b"CSI\1"
    if not is_tabix and not is_csi and data[:4] != b"BAI\1":
        raise InputError(path, "is not a BAM index (.bai, .csi)")
    min_shift, depth, at, names = 14, 5, 4, None
    if is_csi:
        min_shift, depth, skip = struct.unpack_from("<iii", data, 4)
        at = 16 + skip
    (contigs,) = struct.unpack_from("<i", data, at)
    at += 4
    if is_tabix:
        (size,) = struct.unpack_from("<24xi", data, at)
        at += 28 + size
        names = [name.decode("latin-1") for name in data[at - size : at].split(b"\0")[:contigs]]
    chunks, lowest = [], []
    for _ in range(contigs):
        (count,) = struct.unpack_from("<i", data, at)
        at += 4
        mine, low = {}, {}
        for _ in range(count):
            number, *more, size = struct.unpack_from("<IQi" if is_csi else "<Ii", data, at)
            at += 16 if is_csi else 8
            low[number] = more[0] if more else 0
            mine[number] = np.frombuffer(data, "<i8", 2 * size, at).reshape(-1, 2)
            at += 16 * size
        if not is_csi:
            (size,) = struct.unpack_from("<i", data, at)
            low = np.frombuffer(data, "<i8", size, at + 4)
            at += 4 + 8 * size
        chunks.append(mine)
        lowest.append(low)
    return names, chunks, lowest, min_shift, depth


def query(path, intervals: np.ndarray, contigs=None) -> list[tuple[int, int]]:
    """Virtual offset ranges (begin, end), in file order and apart, that hold every record overlapping the intervals.

    intervals: int64[k, 3] (ref_id, start, end). contigs: of a .tbi, which numbers its contigs in its own way, their names; else None.

    Raises
    ------
    InputError: not an index, or a damaged one.
    """
    is_tabix = contigs is not None
    try:
        names, chunks, lowest, min_shift, depth = _read(path, is_tabix)
    except (struct.error, ValueError, EOFError, OSError, zlib.error) as e:
        raise InputError(path, f"{'is not a tabix index, or damaged' if is_tabix else 'is a damaged index'}: {e}") from None
    number = range(len(chunks)) if not is_tabix else {i: names.index(c) for i, c in enumerate(contigs) if c in names}
    found = []
    for ref_id, start, end in intervals.tolist():
        if ref_id not in number:
            continue
        ref_id = number[ref_id]
        mine = [chunks[ref_id][b] for b in _bins(start, max(end, start + 1), min_shift, depth).tolist() if b in chunks[ref_id]]
        if not mine:
            continue
        spans = np.concatenate(mine)
        floor = 0
        if isinstance(lowest[ref_id], np.ndarray) and len(lowest[ref_id]):
            floor = int(lowest[ref_id][min(start >> 14, len(lowest[ref_id]) - 1)])
        spans = spans[spans[:, 1] > floor]
        found.append(np.column_stack([np.maximum(spans[:, 0], floor), spans[:, 1]]))
    if not found:
        return []
    spans = np.concatenate(found)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    out: list[list[int]] = []
    for begin, end in spans.tolist():
        if out and begin >> 16 <= out[-1][1] >> 16:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([begin, end])
    return [(b, e) for b, e in out if e > b]
