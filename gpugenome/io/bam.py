"""Alignments: BAM by our own kernels, SAM and CRAM through htslib in a child process that speaks uncompressed BAM.

Source: SAM specification 1 and 4; indexes are htslib's (.bai, .csi where a contig passes 512 Mb, .crai).
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading

import numpy as np

from gpugenome.batch import Header, ReadBatch
from gpugenome.errors import InputError, UserError
from gpugenome.io.bgzf import BgzfReader, BgzfWriter
from gpugenome.io.outputs import AtomicOutput
from gpugenome.kernels import bam_records_cpu as kernel
from gpugenome.kernels.launch import run_chunks

BATCH_READS = 200_000
BAI_LONGEST_BP = 1 << 29
_PROBLEMS = {
    kernel.FIELDS_TOO_LONG: "its fields are longer than the record",
    kernel.BAD_REFERENCE: "its contig number is not in the header",
    kernel.BAD_NAME: "its read name does not end where the record says",
    kernel.BAD_CIGAR: "its CIGAR does not fit its sequence",
    kernel.BAD_QUALITY: "it has a base quality above 93",
}
_FIXED = {
    "ref_id": np.int32, "pos": np.int32, "mapq": np.uint8, "flag": np.uint16, "mate_ref_id": np.int32, "mate_pos": np.int32,
    "tlen": np.int32, "name_length": np.uint8, "n_cigar": np.uint16, "seq_length": np.int32,
}  # fmt: skip


def text_values(texts) -> tuple[np.ndarray, np.ndarray]:
    """Strings as ragged bytes: (uint8 values, int64 offsets)."""
    raw = [t.encode() for t in texts]
    offset = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(r) for r in raw], out=offset[1:])
    return np.frombuffer(b"".join(raw) or b"\0", np.uint8), offset


def find_tag(batch: ReadBatch, tag: str, threads: int = 1) -> np.ndarray:
    """int64[n]: where each record's tag begins in batch.data, -1 where it has none."""
    out = np.empty(len(batch), np.int64)
    run_chunks(kernel.find_tag, len(batch), threads, batch.data, batch.offset, batch.tag_start, ord(tag[0]), ord(tag[1]), out)
    return out


def batch_from_records(data, offset, header: Header, path="records", first_record=0, threads=1) -> ReadBatch:
    """Decode and check records.

    data: uint8, BAM records back to back. offset: int64[n+1]. first_record: number of the first one in its file, for messages.

    Raises
    ------
    InputError: a record that contradicts itself or the header.
    """
    n = len(offset) - 1

    def place(i):
        return f"record {first_record + i + 1}"

    bad = min((r for r in run_chunks(kernel.check_records, n, threads, data, offset, len(header.contig_names)) if r >= 0), default=-1)
    if bad >= 0:
        i, problem = divmod(bad, 8)
        name = (
            bytes(data[offset[i] + 36 : offset[i] + 36 + max(0, int(data[offset[i] + 12]) - 1)]).split(b"\0")[0].decode("ascii", "replace")
        )
        raise InputError(path, _PROBLEMS[problem], f"{place(i)} ({name})")
    columns = {name: np.empty(n, dtype) for name, dtype in _FIXED.items()}
    run_chunks(kernel.decode_fixed, n, threads, data, offset, *columns.values())
    batch = ReadBatch(data, offset, **columns, read_group=np.empty(n, np.int32))
    names, name_offset = text_values([g.get("ID", "") for g in header.read_groups])
    at = find_tag(batch, "RG", threads)
    run_chunks(kernel.match_text_tag, n, threads, data, at, names, name_offset, batch.read_group)
    unknown = np.flatnonzero(batch.read_group == -2)
    if len(unknown):
        i = int(unknown[0])
        group = bytes(data[at[i] + 3 : offset[i + 1]]).split(b"\0")[0].decode("ascii", "replace")
        raise InputError(path, f"its read group {group} has no @RG line in the header", place(i))
    return batch


def take(batch: ReadBatch, index: np.ndarray, threads: int = 1) -> ReadBatch:
    """The records `index` (int64) of a batch, in that order, in an arena of their own."""
    index = np.asarray(index, np.int64)
    offset = np.zeros(len(index) + 1, np.int64)
    np.cumsum((batch.offset[1:] - batch.offset[:-1])[index], out=offset[1:])
    data = np.empty(int(offset[-1]), np.uint8)
    run_chunks(kernel.gather_records, len(index), threads, index, batch.data, batch.offset, data, offset)
    columns = {name: getattr(batch, name)[index] for name in [*_FIXED, "read_group"]}
    return ReadBatch(data, offset, **columns)


def concat(batches: list[ReadBatch]) -> ReadBatch:
    """Batches one after the other (at least one), in an arena of their own."""
    offsets, at = [np.zeros(1, np.int64)], 0
    for b in batches:
        offsets.append(b.offset[1:] - b.offset[0] + at)
        at += int(b.offset[-1] - b.offset[0])
    data = np.concatenate([b.data[b.offset[0] : b.offset[-1]] for b in batches])
    columns = {name: np.concatenate([getattr(b, name) for b in batches]) for name in [*_FIXED, "read_group"]}
    return ReadBatch(data, np.concatenate(offsets), **columns)


def set_flags(batch: ReadBatch, flag: np.ndarray, threads: int = 1) -> None:
    """Write new FLAG values (uint16[n]) into the arena and the column."""
    batch.flag = np.asarray(flag, np.uint16)
    run_chunks(kernel.set_flags, len(batch), threads, batch.data, batch.offset, batch.flag)


def set_tag(batch: ReadBatch, tag: str, value: np.ndarray, value_offset: np.ndarray, threads: int = 1) -> ReadBatch:
    """A batch whose records have `tag` set: value rows are the type letter and the value's bytes; an empty row removes the tag."""
    n = len(batch)
    code = ord(tag[0]), ord(tag[1])
    size = np.empty(n, np.int64)
    run_chunks(kernel.set_tag_sizes, n, threads, batch.data, batch.offset, batch.tag_start, *code, value_offset, size)
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(size, out=offset[1:])
    data = np.empty(int(offset[-1]), np.uint8)
    run_chunks(kernel.set_tag, n, threads, batch.data, batch.offset, batch.tag_start, *code, value, value_offset, data, offset)
    return ReadBatch(data, offset, **{name: getattr(batch, name) for name in [*_FIXED, "read_group"]})


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


def _parse_header(data, path):
    """(Header, bytes of the binary header), or None where `data` is too short."""
    if data.size < 12:
        return None
    if bytes(data[:4]) != b"BAM\1":
        raise InputError(path, "is not a BAM file, expected the magic bytes BAM\\1")
    at = 8 + int(data[4:8].view("<i4")[0])
    if data.size < at + 4:
        return None
    text = bytes(data[8:at]).rstrip(b"\0").decode("utf-8", "replace")
    count = int(data[at : at + 4].copy().view("<i4")[0])
    at += 4
    names, lengths = [], []
    for _ in range(count):  # contigs, not reads
        if data.size < at + 4:
            return None
        size = int(data[at : at + 4].copy().view("<i4")[0])
        if data.size < at + 8 + size:
            return None
        names.append(bytes(data[at + 4 : at + 3 + size]).decode("ascii", "replace"))
        lengths.append(int(data[at + 4 + size : at + 8 + size].copy().view("<i4")[0]))
        at += 8 + size
    header = Header.from_text(text)
    if header.contig_names and header.contig_names != names:
        raise InputError(path, "the @SQ lines of its header are not its list of contigs", "header")
    if not header.contig_names and names:
        lines = "".join(f"@SQ\tSN:{n}\tLN:{k}\n" for n, k in zip(names, lengths))
        header = Header.from_text(text + lines)
    return header, at


def _header_bytes(header: Header) -> np.ndarray:
    text = header.text.encode()
    parts = [b"BAM\1", len(text).to_bytes(4, "little"), text, len(header.contig_names).to_bytes(4, "little")]
    for name, length in zip(header.contig_names, header.contig_lengths):
        raw = name.encode() + b"\0"
        parts += [len(raw).to_bytes(4, "little"), raw, int(length).to_bytes(4, "little")]
    return np.frombuffer(b"".join(parts), np.uint8)


_TO_BAM = "import sys, pysam; pysam.view(*sys.argv[1:], catch_stdout=False)"


def _samtools_view(arguments, **streams):
    return subprocess.Popen([sys.executable, "-c", _TO_BAM, *arguments], **streams)


class Reader:
    """Alignments of one file: `.header`, and batches of records. Made by `open_reads`."""

    def __init__(self, path, reference=None, threads=2):
        self.path, self.threads, self._reference = os.fspath(path), threads, reference
        self._child = self._errors = None
        stream = sys.stdin.buffer if self.path in ("-", "/dev/stdin") else None
        if stream is None:
            try:
                regular = os.path.isfile(self.path)
                if not regular:
                    stream = open(self.path, "rb")  # noqa: SIM115 a pipe, read to its end
                else:
                    with open(self.path, "rb") as f:
                        prefix = f.read(4)
            except OSError as e:
                raise InputError(self.path, f"cannot be read: {e.strerror}") from None
        if stream is not None:
            prefix = stream.read(4)
        if not prefix:
            raise InputError(self.path, "is empty, expected SAM, BAM or CRAM")
        self.is_bam = prefix[:2] == b"\x1f\x8b"
        if self.is_bam:
            self._bgzf = BgzfReader(self.path, threads, stream, prefix if stream is not None else b"")
        else:
            if not (prefix[:1] == b"@" or prefix == b"CRAM" or b"\t" in prefix or prefix.isalnum() or prefix.isascii()):
                raise InputError(self.path, "is not SAM, BAM or CRAM")
            self._bgzf = self._through_htslib(stream, prefix)
        self._chunks = self._bgzf.chunks()
        self.header, self._rest = self._read_header()
        self._count = 0

    def _through_htslib(self, stream, prefix):
        self._errors = tempfile.TemporaryFile()
        arguments = ["-u", "--no-PG", *(["-T", self._reference] if self._reference else []), self.path if stream is None else "-"]
        feed = subprocess.PIPE if stream is not None else subprocess.DEVNULL
        self._child = _samtools_view(arguments, stdin=feed, stdout=subprocess.PIPE, stderr=self._errors)
        if stream is not None:
            threading.Thread(target=self._feed, args=(stream, prefix), daemon=True).start()
        return BgzfReader(self.path, self.threads, self._child.stdout)

    def _feed(self, stream, data):
        try:
            while data:
                self._child.stdin.write(data)
                data = stream.read(1 << 20)
            self._child.stdin.close()
        except BrokenPipeError:
            pass  # the child ended early; its exit status says why

    def _check_child(self):
        if self._child is not None and self._child.wait() != 0:
            self._errors.seek(0)
            lines = [x for x in self._errors.read().decode("utf-8", "replace").splitlines() if x.strip()]
            known = [x for x in lines if x.startswith("[")] or lines[-1:] or ["htslib failed"]
            raise InputError(self.path, "cannot be read as SAM or CRAM: " + known[0])

    def _read_header(self):
        data = np.empty(0, np.uint8)
        for chunk in self._chunks:
            data = np.concatenate([data, chunk])
            parsed = _parse_header(data, self.path)
            if parsed:
                return parsed[0], data[parsed[1] :]
        self._check_child()
        raise InputError(self.path, "is truncated inside its header")

    def _to_batch(self, data, offset):
        batch = batch_from_records(data, offset, self.header, self.path, self._count, self.threads)
        self._count += len(batch)
        return batch

    def _split(self, chunks, max_reads):
        """Batches from inflated pieces that may cut records."""
        rest, chunks = self._rest, iter(chunks)
        offset = np.empty(max_reads + 1, np.int64)
        begin, ended = 0, False
        while True:
            n, status = kernel.scan_records(rest, begin, rest.size, offset, max_reads)
            if status != kernel.OK:
                raise InputError(self.path, "its block size is impossible", f"record {self._count + n + 1}")
            if n < max_reads and not ended:
                chunk = next(chunks, None)
                ended = chunk is None
                if not ended:
                    rest, begin = np.concatenate([rest[begin:], chunk]), 0
                    continue
            if n:
                at = offset[: n + 1].copy()
                begin = int(at[-1])
                yield self._to_batch(rest, at)
            if ended and n < max_reads:
                if begin < rest.size:
                    raise InputError(self.path, "the file is truncated inside a record", f"record {self._count + 1}")
                return

    def batches(self, max_reads: int = BATCH_READS):
        """Iterator of ReadBatch over all records, once.

        Raises
        ------
        InputError: damaged files, and reads out of the order that the header claims.
        """
        in_order = self.header.sort_order == "coordinate"
        last = -1
        for batch in self._split(self._chunks, max_reads):
            if in_order:
                key = (batch.ref_id.astype(np.int64) & 0xFFFFFFFF) << 32 | (batch.pos.astype(np.int64) + 1)
                back = np.flatnonzero(np.diff(key, prepend=last) < 0)
                if len(back):
                    raise InputError(
                        self.path,
                        "is not in coordinate order, as its header claims",
                        f"record {self._count - len(batch) + int(back[0]) + 1}",
                    )
                last = int(key[-1])
            yield batch
        self._check_child()

    def read_all(self) -> ReadBatch:
        """All records as one batch."""
        batches = list(self.batches())
        return concat(batches) if batches else batch_from_records(np.empty(0, np.uint8), np.zeros(1, np.int64), self.header)

    def fetch_intervals(self, intervals, max_reads: int = BATCH_READS):
        """Batches of the records that overlap any of the intervals [(ref_id, start, end)], sorted and apart; each record once.

        Through the index where there is one; else the whole file is read. CRAM and SAM are read as a whole.
        """
        wanted = np.array(intervals, np.int64).reshape(-1, 3)
        index = next((p for p in (self.path + ".bai", self.path[:-4] + ".bai", self.path + ".csi") if os.path.exists(p)), None)
        source = self.batches(max_reads)
        if self.is_bam and self._bgzf.raw is not None and index:
            source = self._indexed(wanted, index, max_reads)
        for batch in source:
            keep = overlapping(batch, wanted, self.threads)
            if keep.all():
                yield batch
            elif keep.any():
                yield take(batch, np.flatnonzero(keep), self.threads)

    def fetch(self, ref_id: int, start: int, end: int):
        """Batches of the records that overlap one interval."""
        return self.fetch_intervals([(ref_id, start, end)])

    def _indexed(self, wanted, index, max_reads):
        from gpugenome.io.bam_index import query

        for begin, end in query(index, wanted):
            self._rest = self._bgzf.inflate_range(begin, end)
            yield from self._split([], max_reads)


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


def open_reads(path, reference=None, threads: int = 2) -> Reader:
    """Open SAM, BAM or CRAM, told apart by content; "-" is standard input. reference: FASTA path, for CRAM.

    Raises
    ------
    InputError: missing, empty, truncated, or not a file of alignments.
    """
    return Reader(path, reference, threads)


class Writer:
    """Writes alignments under a temporary name; a context manager. Made by `create_reads`."""

    def __init__(self, path, header, level, threads, index, md5, reference):
        self.path, self.header, self.threads = os.fspath(path), header, threads
        self.level, self.index, self.md5, self.reference = level, index, md5, reference
        self.kind = os.path.splitext(self.path)[1].lower().lstrip(".")
        self.kind = self.kind if self.kind in ("sam", "cram") else "bam"

    def __enter__(self):
        self._output = AtomicOutput(self.path, suffix=f".{self.kind}").open()
        self._digest = hashlib.md5() if self.md5 and self.kind == "bam" else None
        self._child = None
        handle, level = self._output, self.level
        if self.kind == "bam":
            handle = self._output.handle
            if self._output.special:
                level = 0
        else:
            if self.kind == "cram" and not self.reference:
                raise UserError(f"{self.path}: writing CRAM needs the reference (-R)")
            arguments = ["-h", "--no-PG", "-@", str(max(0, self.threads - 1)), "-O", self.kind, "-o", self._output.path]
            self._errors = tempfile.TemporaryFile()
            self._child = _samtools_view(
                [*arguments, *(["-T", self.reference] if self.reference else []), "-"], stdin=subprocess.PIPE, stderr=self._errors
            )
            handle, level = self._child.stdin, 0
        self._bgzf = BgzfWriter(handle, self.path, level, self.threads, self._digest)
        self._bgzf.write(_header_bytes(self.header))
        return self

    def write(self, batch: ReadBatch) -> None:
        """Append the records of a batch."""
        try:
            self._bgzf.write(batch.data[batch.offset[0] : batch.offset[-1]])
        except BrokenPipeError:
            self._finish_child()
            raise

    def _finish_child(self):
        if self._child is not None:
            try:
                self._child.stdin.close()
            except BrokenPipeError:
                pass  # its exit status says why
            if self._child.wait() != 0:
                self._errors.seek(0)
                text = self._errors.read().decode("utf-8", "replace").strip().splitlines()
                raise InputError(self.path, "cannot be written: " + (text[0] if text else "htslib failed"))

    def _companions(self):
        import pysam

        if self.index and not self._output.special and self.kind != "sam":
            longest = int(max(self.header.contig_lengths, default=0))
            kind = "crai" if self.kind == "cram" else "csi" if longest > BAI_LONGEST_BP else "bai"
            companion = self._output.also(f"{self.path}.{kind}")
            pysam.index("-@", str(self.threads), *(["-c"] if kind == "csi" else []), "-o", companion.path, self._output.path)
        if self.md5 and not self._output.special:
            if self._digest is None:
                with open(self._output.path, "rb") as f:
                    self._digest = hashlib.file_digest(f, "md5")
            companion = self._output.also(f"{self.path}.md5")
            companion.handle.write(self._digest.hexdigest().encode())

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                self._bgzf.finish()
                self._finish_child()
                if self._output._handle is not None:
                    self._output._handle.flush()
                self._companions()
            except BaseException:
                self._output.discard()
                raise
        elif self._child is not None:
            self._child.kill()
            self._child.wait()
        self._output.__exit__(kind, error, trace)


def create_reads(path, header: Header, level: int = 2, threads: int = 2, index: bool = False, md5: bool = False, reference=None) -> Writer:
    """Create SAM, BAM or CRAM by the file's extension; "-" and pipes get uncompressed BAM.

    level: BGZF compression, 0-12. index: also .bai (.csi, .crai). md5: also a .md5 file. Everything appears on leaving the `with`.
    """
    return Writer(path, header, level, threads, index, md5, reference)
