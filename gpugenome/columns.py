"""Operations on `ReadBatch`: decoding, gathering, joining, and reading or changing fields. Python sees batches, kernels see records."""

import numpy as np

from gpugenome.backend import where
from gpugenome.batch import ReadBatch
from gpugenome.kernels import bam_records_cpu as kernel
from gpugenome.kernels import sam_tags_cpu as tag_kernel
from gpugenome.kernels.launch import run_chunks

FIXED = {
    "ref_id": np.int32, "pos": np.int32, "mapq": np.uint8, "flag": np.uint16, "mate_ref_id": np.int32, "mate_pos": np.int32,
    "tlen": np.int32, "name_length": np.uint8, "n_cigar": np.uint16, "seq_length": np.int32,
}  # fmt: skip
"""The fixed columns of a batch and their dtypes, in the order of `bam_records_cpu.decode_fixed`."""


_SOFT_CLIP, _SKIP = 4, 3  # CIGAR operators S and N


def text_values(texts) -> tuple[np.ndarray, np.ndarray]:
    """Strings as ragged bytes: (uint8 values, int64 offsets)."""
    raw = [t.encode() for t in texts]
    offset = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(r) for r in raw], out=offset[1:])
    return np.frombuffer(b"".join(raw) or b"\0", np.uint8), offset


def quality_spans(batch: ReadBatch, threads: int = 1, origin: int = 0) -> np.ndarray:
    """int64[2, n]: where each record's base qualities begin and end (there its tags begin) in batch.data, counted from origin."""
    out = np.empty((2, len(batch)), np.int64)
    columns = (batch.name_length, batch.n_cigar, batch.seq_length)
    run_chunks(kernel.quality_spans, len(batch), threads, batch.offset, *columns, origin, out)
    return out


def tag_starts_there(batch):
    """int64[n] on the GPU where the batch is: where each record's tags begin in its data. To be called inside `Twin.alone`."""
    twin = where(batch, "bam_records", 1)
    out = twin.empty((2, len(batch)), np.int64)
    twin.run("quality_spans", len(batch), *batch.columns(("offset", "name_length", "n_cigar", "seq_length")), 0, out)
    return out[1]


def find_tag(batch: ReadBatch, tag: str, threads: int = 1) -> np.ndarray:
    """int64[n]: where each record's tag begins in batch.data, -1 where it has none."""
    out = np.empty(len(batch), np.int64)
    start = quality_spans(batch, threads)[1]
    run_chunks(kernel.find_tag, len(batch), threads, batch.data, batch.offset, start, ord(tag[0]), ord(tag[1]), out)
    return out


def decode(data: np.ndarray, offset: np.ndarray, read_group: np.ndarray, threads: int = 1) -> ReadBatch:
    """A batch of records that are known to be sound. data: uint8 arena. offset: int64[n+1]. read_group: int32[n]."""
    n = len(offset) - 1
    columns = {name: np.empty(n, dtype) for name, dtype in FIXED.items()}
    run_chunks(kernel.decode_fixed, n, threads, data, offset, *columns.values())
    return ReadBatch(data, offset, **columns, read_group=read_group)


def take(batch: ReadBatch, index: np.ndarray, threads: int = 1) -> ReadBatch:
    """The records `index` (int64) of a batch, in that order, in an arena of their own."""
    index = np.asarray(index, np.int64)
    offset = np.zeros(len(index) + 1, np.int64)
    np.cumsum((batch.offset[1:] - batch.offset[:-1])[index], out=offset[1:])
    data = np.empty(int(offset[-1]), np.uint8)
    run_chunks(kernel.gather_records, len(index), threads, index, batch.data, batch.offset, data, offset)
    columns = {name: getattr(batch, name)[index] for name in [*FIXED, "read_group"]}
    return ReadBatch(data, offset, **columns)


def concat(batches: list[ReadBatch]) -> ReadBatch:
    """Batches one after the other (at least one), in an arena of their own."""
    offsets, at = [np.zeros(1, np.int64)], 0
    for b in batches:
        offsets.append(b.offset[1:] - b.offset[0] + at)
        at += int(b.offset[-1] - b.offset[0])
    data = np.concatenate([b.data[b.offset[0] : b.offset[-1]] for b in batches])
    columns = {name: np.concatenate([getattr(b, name) for b in batches]) for name in [*FIXED, "read_group"]}
    return ReadBatch(data, np.concatenate(offsets), **columns)


def set_tag(batch: ReadBatch, tag: str, value: np.ndarray, value_offset: np.ndarray, threads: int = 1) -> ReadBatch:
    """A batch whose records have `tag` set: value rows are the type letter and the value's bytes; an empty row removes the tag."""
    n = len(batch)
    code = ord(tag[0]), ord(tag[1])
    size, start = np.empty(n, np.int64), quality_spans(batch, threads)[1]
    run_chunks(kernel.set_tag_sizes, n, threads, batch.data, batch.offset, start, *code, value_offset, size)
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(size, out=offset[1:])
    data = np.empty(int(offset[-1]), np.uint8)
    run_chunks(kernel.set_tag, n, threads, batch.data, batch.offset, start, *code, value, value_offset, data, offset)
    return ReadBatch(data, offset, **{name: getattr(batch, name) for name in [*FIXED, "read_group"]})


def edit_tags(batch: ReadBatch, tags: list[str], row: np.ndarray, value=None, value_offset=None, threads: int = 1,
              arenas=None) -> ReadBatch:  # fmt: skip
    """The batch with tags set or removed and every touched record's tags in htsjdk's order and types.

    Arena and offsets are replaced, unless no record changes. arenas: an `Arenas` that lends the new arena. A batch on a GPU comes back in
    host memory where a record has more tags than kernels there take.

    row: int32[tags, n] (or int32[tags, 1] for all records), for each tag and record a row of the ragged table (value uint8, value_offset
    int64: type letter and value), `sam_tags_cpu.LEAVE` or `sam_tags_cpu.REMOVE` (which touches a record also where it has no such tag).
    """
    n = len(batch)
    code = np.array([ord(t[1]) << 8 | ord(t[0]) for t in tags], np.int64)
    if value is None:
        value, value_offset = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    if batch.on_gpu:
        if _edit_tags_there(batch, code, row, value, value_offset):
            return batch
        batch = batch.on_host()
    row = np.ascontiguousarray(np.broadcast_to(row, (len(tags), n)))
    size, start = np.empty(n, np.int64), quality_spans(batch, threads)[1]
    changed = run_chunks(tag_kernel.reencoded_sizes, n, threads, batch.data, batch.offset, start, code, row, value, value_offset, size)
    if not sum(changed):
        return batch
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(size, out=offset[1:])
    data = arenas.take(int(offset[-1])) if arenas else np.empty(int(offset[-1]), np.uint8)
    run_chunks(tag_kernel.reencode, n, threads, batch.data, batch.offset, start, code, row, value, value_offset, data, offset)
    batch.data, batch.offset = data, offset
    return batch


def _edit_tags_there(batch, code, row, value, value_offset) -> bool:
    """`edit_tags` of a batch on a GPU, in place; False if a record has too many tags."""
    from gpugenome.kernels.scan_cuda import exclusive_scan

    n, twin = len(batch), where(batch, "sam_tags", 1)
    with twin.alone():  # the arrays of the device go inside
        start, size = tag_starts_there(batch), twin.empty(n, np.int64)
        *edits, state = twin.put(code, row, value, value_offset, np.zeros(2, np.int64))
        edits = *batch.columns(("data", "offset")), start, *edits
        twin.run("reencoded_sizes", n, *edits, size, state)
        changed, too_many = twin.take(state)[0].tolist()
        if changed and not too_many:
            offset = twin.empty(n + 1, np.int64)
            exclusive_scan(size, offset)
            data = twin.empty(int(twin.take(offset[n:])[0][0]), np.uint8)
            twin.run("reencode", n, *edits, data, offset)
            batch.change(data=data, offset=offset)
            del data, offset
        del start, size, edits, state
    return not too_many


def htsjdk_tags(batch: ReadBatch, threads: int = 1) -> ReadBatch:
    """The batch with every record's tags in htsjdk's order and types, which it gives to what it reads from or writes to SAM and CRAM."""
    no_tag = "\0\0"
    return edit_tags(batch, [no_tag], np.full((1, 1), tag_kernel.REMOVE, np.int32), threads=threads)


def htsjdk_long_cigars(batch: ReadBatch, threads: int = 1) -> ReadBatch:
    """The batch with CIGARs of more than 65,535 operations (kept in CG behind a placeholder, 'xSyN') as htsjdk writes them.

    It takes CG out of the tags and puts it back as an array of signed numbers, for which it orders and types all tags of the record anew.
    """
    rows = np.flatnonzero(batch.n_cigar == 2)
    if not len(rows):
        return batch
    first = batch.offset[rows] + 36 + batch.name_length[rows]
    rows = rows[(batch.data[first] & 15 == _SOFT_CLIP) & (batch.data[first + 4] & 15 == _SKIP)]
    if not len(rows):
        return batch
    long = take(batch, rows, threads)
    there = find_tag(long, "CG", threads) >= 0
    if not there.any():
        return batch
    rows = rows[there]
    long = htsjdk_tags(take(batch, rows, threads), threads)
    long.data[find_tag(long, "CG", threads) + 3] = ord("i")  # behind "CGB"
    index = np.arange(len(batch))
    index[rows] = len(batch) + np.arange(len(rows))
    return take(concat([batch, long]), index, threads)


def ragged_bytes(batch: ReadBatch, what: str, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """ "base" (ASCII), "qual" (phred), "name" (without NUL) or "cigar" (uint32) of every record: (values, int64 offsets)."""
    n = len(batch)
    offset = np.zeros(n + 1, np.int64)
    lengths = {"base": batch.seq_length, "qual": batch.seq_length, "name": batch.name_length, "cigar": batch.n_cigar}[what].astype(np.int64)
    if what == "name":
        lengths = lengths - 1
    np.cumsum(lengths, out=offset[1:])
    if what == "base":
        out = np.empty(int(offset[-1]), np.uint8)
        run_chunks(kernel.unpack_bases, n, threads, batch.data, batch.seq_start, batch.seq_length, out, offset)
        return out, offset
    start = {"qual": batch.qual_start, "name": batch.name_start, "cigar": batch.cigar_start}[what]
    scale = 4 if what == "cigar" else 1
    out = np.empty(int(offset[-1]) * scale, np.uint8)
    run_chunks(kernel.copy_bytes_ragged, n, threads, batch.data, start, lengths * scale, out, offset * scale)
    return (out.view(np.uint32) if scale == 4 else out), offset


def overlapping(batch: ReadBatch, intervals: np.ndarray, threads: int = 1) -> np.ndarray:
    """bool[n]: mapped (or placed) records that overlap any of the intervals int64[k, 3] (ref_id, start, end), sorted and apart."""
    cigar, offset = ragged_bytes(batch, "cigar", threads)
    spans = np.where(np.isin(cigar & 15, (0, 2, 3, 7, 8)), cigar >> 4, 0).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(spans)])
    span = np.maximum(total[offset[1:]] - total[offset[:-1]], 1)
    low = batch.ref_id.astype(np.int64) << 32 | np.maximum(batch.pos, 0)
    begins, ends = intervals[:, 0] << 32 | intervals[:, 1], intervals[:, 0] << 32 | intervals[:, 2]
    first = np.searchsorted(ends, low, "right")
    hit = np.minimum(first, max(0, len(ends) - 1))
    return (batch.ref_id >= 0) & (first < len(ends)) & (begins[hit] < low + span) if len(ends) else np.zeros(len(batch), bool)
