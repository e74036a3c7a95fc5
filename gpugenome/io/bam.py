"""Alignments: BAM by our own kernels, SAM and CRAM through htslib in a child process that speaks uncompressed BAM.

Source: SAM specification 1 and 4; indexes are htslib's (.bai, .csi where a contig passes 512 Mb, .crai).
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import replace

import numpy as np

from gpugenome.arenas import Columns
from gpugenome.batch import Header, ReadBatch
from gpugenome.columns import (
    FIXED,
    concat,
    find_tag,
    htsjdk_long_cigars,
    htsjdk_tags,
    overlapping,
    quality_spans,
    set_tag,
    take,
    text_values,
)
from gpugenome.errors import InputError, UserError
from gpugenome.io.bai import BaiBuilder
from gpugenome.io.bgzf import BLOCK_BYTES, BgzfReader, BgzfWriter
from gpugenome.io.headers import merge_headers
from gpugenome.io.outputs import AtomicOutput
from gpugenome.kernels import bam_records_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.sort_keys_cpu import coordinates_broken, names_broken

BATCH_READS = 200_000
_HEADROOM = 1 << 16
BAI_LONGEST_BP = 1 << 29
LONGEST_CONTIG = (1 << 31) - 1
_PROBLEMS = {
    kernel.FIELDS_TOO_LONG: "its fields are longer than the record",
    kernel.BAD_REFERENCE: "its contig number is not in the header",
    kernel.BAD_NAME: "its read name does not end where the record says",
    kernel.BAD_CIGAR: "its CIGAR does not fit its sequence",
    kernel.BAD_QUALITY: "it has a base quality above 93",
    kernel.BAD_PLACE: "it begins beyond the end of its contig",
    kernel.BAD_MATE: "its mate lies on a contig that is not in the header, or beyond the contig's end",
    kernel.BAD_TAGS: "its tags do not end where the record does",
    kernel.UNPAIRED_WITH_MATE: "it is not paired, but has a flag of pairs or a contig of its mate",
    kernel.MATE_WITHOUT_CONTIG: "its mate has a position, but no contig",
    kernel.MATE_WITHOUT_POSITION: "its mate has a contig, but no position",
    kernel.MATE_NOWHERE: "its mate is mapped, but has no contig",
    kernel.NEITHER_END: "it is paired, but neither the first nor the second of its pair",
    kernel.UNMAPPED_ALIGNMENT: "it is unmapped, but secondary, supplementary or with a mapping quality",
    kernel.NO_ALIGNMENT: "it is mapped, but has no contig or no CIGAR",
    kernel.WITHOUT_CONTIG: "it has a position, but no contig",
    kernel.WITHOUT_POSITION: "it has a contig, but no position",
}
_CRAM_END, _CRAM_END_BYTES = b"\x0f\xe0EOF", 38
"""What tells the empty container that ends a CRAM, and the most bytes it has. Source: CRAM specification 9."""


def batch_from_records(data, offset, header: Header, path="records", first_record=0, threads=1, empty=np.empty, strict=False) -> ReadBatch:
    """Decode and check records.

    data: uint8, BAM records back to back. offset: int64[n+1]. first_record: number of the first one in its file, for messages.
    empty: makes the columns. strict: see `Reader`.

    Raises
    ------
    InputError: a record that contradicts itself or the header.
    """
    n = len(offset) - 1

    def place(i):
        return f"record {first_record + i + 1}"

    lengths = np.asarray(header.contig_lengths, np.int64)
    names, name_offset = text_values([g.get("ID", "") for g in header.read_groups])
    columns = {name: empty(n, dtype) for name, dtype in [*FIXED.items(), ("read_group", np.int32)]}
    bad = run_chunks(kernel.parse_records, n, threads, data, offset, lengths, names, name_offset, *columns.values(), strict)
    bad = min((r for r in bad if r >= 0), default=-1)
    if bad >= 0:
        i, problem = divmod(bad, kernel.PROBLEMS)
        name = (
            bytes(data[offset[i] + 36 : offset[i] + 36 + max(0, int(data[offset[i] + 12]) - 1)]).split(b"\0")[0].decode("ascii", "replace")
        )
        hint = " (--VALIDATION_STRINGENCY SILENT takes it)" if problem >= kernel.UNPAIRED_WITH_MATE else ""
        raise InputError(path, _PROBLEMS[problem] + hint, f"{place(i)} ({name})")
    batch = ReadBatch(data, offset, **columns)
    unknown = np.flatnonzero(batch.read_group == -2)
    if len(unknown):
        i = int(unknown[0])
        at = int(find_tag(batch, "RG", threads)[i])
        group = bytes(data[at + 3 : offset[i + 1]]).split(b"\0")[0].decode("ascii", "replace")
        raise InputError(path, f"its read group {group} has no @RG line in the header", f"{place(i)} ({batch.name(i)})")
    return batch


def _header_of(text, path) -> Header:
    """The header of a text, whose contigs and read groups can be told apart."""
    try:
        header = Header.from_text(text)
    except (KeyError, ValueError):
        raise InputError(path, "an @SQ line has no SN, or no number as its LN", "header") from None
    if any("ID" not in g for g in header.read_groups):
        raise InputError(path, "an @RG line has no ID", "header")
    twice = Counter(header.contig_names).most_common(1)
    if twice and twice[0][1] > 1:
        raise InputError(path, f"its contig {twice[0][0]} comes twice", "header")
    return header


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
    header = _header_of(text, path)
    for name, length in zip(header.contig_names, header.contig_lengths.tolist()):
        if length > LONGEST_CONTIG:
            raise InputError(path, f"its contig {name} has {length} bp, expected {LONGEST_CONTIG} at most, as BAM and Picard", "header")
    if header.contig_names and header.contig_names != names:
        raise InputError(path, "the @SQ lines of its header are not its list of contigs", "header")
    if not header.contig_names and names:
        lines = "".join(f"@SQ\tSN:{n}\tLN:{k}\n" for n, k in zip(names, lengths))
        header = _header_of(text + lines, path)
    return header, at


def _header_bytes(header: Header) -> np.ndarray:
    text = header.text.encode()
    parts = [b"BAM\1", len(text).to_bytes(4, "little"), text, len(header.contig_names).to_bytes(4, "little")]
    for name, length in zip(header.contig_names, header.contig_lengths):
        raw = name.encode() + b"\0"
        parts += [len(raw).to_bytes(4, "little"), raw, int(length).to_bytes(4, "little")]
    return np.frombuffer(b"".join(parts), np.uint8)


_TO_BAM = """
import sys, pysam
try:
    pysam.view(*sys.argv[1:], catch_stdout=False)
except pysam.SamtoolsError as e:
    sys.exit(e.value.partition("stderr=")[2] or e.value)
"""


def _samtools_view(arguments, **streams):
    return subprocess.Popen([sys.executable, "-c", _TO_BAM, *arguments], **streams)


class Reader:
    """Alignments of one file: `.header`, and batches of records. Made by `open_reads`.

    strict: records whose flags and places, or what they have of their mates', contradict each other are refused, as by Picard where
    VALIDATION_STRINGENCY is STRICT.
    """

    def __init__(self, path, reference=None, threads=2, strict=False):
        self.path, self.threads, self._reference, self._strict = os.fspath(path), threads, reference, strict
        self._child = self._errors = None
        self._tail = b""  # of a stream that is given to htslib
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
        self.is_bam, self._is_cram = prefix[:2] == b"\x1f\x8b", prefix == b"CRAM"
        if self.is_bam:
            self._bgzf = BgzfReader(self.path, threads, stream, prefix if stream is not None else b"", needs_end=True, headroom=_HEADROOM)
        else:
            if not (prefix[:1] == b"@" or prefix == b"CRAM" or b"\t" in prefix or prefix.isalnum() or prefix.isascii()):
                raise InputError(self.path, "is not SAM, BAM or CRAM")
            self._bgzf = self._through_htslib(stream, prefix)
        self._chunks, self._count, self._columns = self._bgzf.chunks(), 0, Columns()
        self.header, self._rest = self._read_header()

    @property
    def in_order(self) -> bool:
        """Whether the header says that the records are in coordinate order."""
        return self.header.sort_order == "coordinate"

    def _through_htslib(self, stream, prefix):
        self._errors = tempfile.TemporaryFile()
        # htslib makes up NM and MD tags for CRAM unless told not to; SAM gets no contigs from the reference, and leaves no .fai beside it.
        given = ["--input-fmt-option", "decode_md=0", *(["-T", self._reference] if self._reference else [])] if self._is_cram else []
        arguments = ["-u", "--no-PG", *given, self.path if stream is None else "-"]
        feed = subprocess.PIPE if stream is not None else subprocess.DEVNULL
        self._child = _samtools_view(arguments, stdin=feed, stdout=subprocess.PIPE, stderr=self._errors)
        if stream is not None:
            threading.Thread(target=self._feed, args=(stream, prefix), daemon=True).start()
        return BgzfReader(self.path, self.threads, self._child.stdout, headroom=_HEADROOM)

    def _feed(self, stream, data):
        try:
            while data:
                self._tail = (self._tail + data)[-_CRAM_END_BYTES:]
                self._child.stdin.write(data)
                data = stream.read(1 << 20)
            self._child.stdin.close()
        except BrokenPipeError:
            pass  # the child ended early; its exit status says why

    def _check_child(self):
        """Raise what htslib says once it has ended."""
        if self._child is None:
            return
        failed = self._child.wait() != 0
        self._check_unmapped()
        if failed:
            lines = self._said()
            known = [x for x in lines if x.startswith("[")] or lines[-1:] or ["htslib failed"]
            line = next((f"line {x.rsplit(' ', 1)[1]}" for x in lines if "Parse error at line" in x), None)
            where = line or (f"after record {self._count}" if self._count else None)
            raise InputError(self.path, "cannot be read as SAM or CRAM: " + known[0], where)
        if self._is_cram:
            self._check_cram_end()

    def _said(self):
        """The lines that htslib has printed."""
        text = os.pread(self._errors.fileno(), 1 << 20, 0)  # where it goes on writing is shared
        return [x for x in text.decode("utf-8", "replace").splitlines() if x.strip()]

    def _check_unmapped(self):
        """htslib goes on where a contig is not in the header or a mapped read has no CIGAR, with the read unmapped: not so here."""
        warning = next((x for x in self._said() if "treated as unmapped" in x), None)
        if warning:
            raise InputError(self.path, "cannot be read as SAM or CRAM: " + warning, self._line_of(warning))

    def _line_of(self, warning):
        """Which line of a SAM file a warning of htslib is about, None where that cannot be told."""
        if not os.path.isfile(self.path):
            return None
        kinds = {"mate reference name": 6, "reference name": 2, "CIGAR": 5, "coordinate": 3}
        column = next((c for text, c in kinds.items() if text in warning), 0)
        value = (warning.split('"')[1] if '"' in warning else {5: "*", 3: "0"}.get(column, "")).encode()
        with open(self.path, "rb") as f:
            for number, line in enumerate(f, 1):
                fields = line.split(b"\t", 7)
                # A CIGAR or position that is missing is right for unmapped reads.
                if line[:1] != b"@" and fields[column] == value and ('"' in warning or not int(fields[1]) & 4):
                    return f"line {number}"
        return None

    def _check_cram_end(self):
        """Refuse a CRAM without the container that ends it: htslib takes what there is."""
        if os.path.isfile(self.path):
            with open(self.path, "rb") as f:
                f.seek(-min(_CRAM_END_BYTES, os.path.getsize(self.path)), os.SEEK_END)
                self._tail = f.read()
        if _CRAM_END not in self._tail:
            raise InputError(self.path, "is truncated, it has no CRAM end marker", f"after record {self._count}")

    def _read_header(self):
        data = np.empty(0, np.uint8)
        for chunk in self._chunks:
            data = np.concatenate([data, chunk[_HEADROOM:]]) if data.size else chunk[_HEADROOM:]
            parsed = _parse_header(data, self.path)
            if parsed:
                return parsed[0], data[parsed[1] :]
        self._check_child()
        raise InputError(self.path, "is truncated inside its header")

    def _to_batch(self, data, offset):
        try:
            batch = batch_from_records(data, offset, self.header, self.path, self._count, self.threads, self._columns.empty, self._strict)
        except InputError:
            if self._child is not None:
                self._check_unmapped()  # what is wrong with the record may be what htslib made of a line, which it said before
            raise
        self._count += len(batch)
        return htsjdk_long_cigars(batch if self.is_bam else htsjdk_tags(batch, self.threads), self.threads)

    def _split(self, chunks, max_reads):
        """Batches from inflated pieces that may cut records; a piece's last record that is cut goes before the next piece."""
        data, begin, chunks = self._rest, 0, iter(chunks)
        offset = np.empty(max_reads + 1, np.int64)
        while True:
            n, status = kernel.scan_records(data, begin, data.size, offset, max_reads)
            if n:
                at = self._columns.empty(n + 1, np.int64)
                at[:] = offset[: n + 1]
                begin = int(at[-1])
                yield self._to_batch(data, at)
            if status != kernel.OK:
                raise InputError(self.path, "its block size is impossible", f"record {self._count + 1}")
            if n == max_reads:
                continue
            chunk = next(chunks, None)
            cut = data[begin:]
            if chunk is None:
                if cut.size:
                    raise InputError(self.path, "the file is truncated inside a record", f"record {self._count + 1}")
                return
            if cut.size <= _HEADROOM:
                begin = _HEADROOM - cut.size
                chunk[begin:_HEADROOM] = cut
                data = chunk
            else:
                data, begin = np.concatenate([cut, chunk[_HEADROOM:]]), 0

    def batches(self, max_reads: int = BATCH_READS, ordered: bool = True):
        """Iterator of ReadBatch over all records, once. ordered: hold the reads to the order that the header claims.

        Raises
        ------
        InputError: damaged files, and reads out of order.
        """
        check = {"coordinate": self._coordinates_broken, "queryname": self._names_broken}.get(self.header.sort_order if ordered else "")
        state = [np.full(1, -1, np.int64), np.zeros(256, np.uint8), np.array([-1, 1, 1], np.int64)]
        for batch in self._split(self._chunks, max_reads):
            broken = check(batch, *state) if check else -1
            if broken >= 0:
                if self._child is not None:
                    self._check_unmapped()
                where = f"record {self._count - len(batch) + broken + 1}"
                raise InputError(self.path, f"is not in {self.header.sort_order} order, as its header claims", where)
            yield batch
        self._check_child()

    @staticmethod
    def _coordinates_broken(batch, last, *_):
        """The first record before its predecessor, or -1. last: int64[1], the last key of the batch before."""
        return int(coordinates_broken(batch.ref_id, batch.pos, last))

    @staticmethod
    def _names_broken(batch, _, previous, state):
        """The first record whose name comes before its predecessor's both as text and by samtools' natural order, or -1."""
        return int(names_broken(batch.data, batch.offset, batch.name_length, previous, state))

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
        from gpugenome.io.bin_index import query

        try:
            for begin, end in query(index, wanted):
                self._rest = np.empty(0, np.uint8)
                yield from self._split(self._bgzf.range_chunks(begin, end), max_reads)
        except InputError as e:
            if os.path.getmtime(index) < os.path.getmtime(self.path):
                raise InputError(self.path, f"{e.problem} (its index {index} is older than it)", e.where) from None
            raise


def open_reads(path, reference=None, threads: int = 2, strict: bool = False) -> Reader:
    """Open SAM, BAM or CRAM, told apart by content; "-" is standard input. reference: FASTA path, for CRAM. strict: see `Reader`.

    Raises
    ------
    InputError: missing, empty, truncated, or not a file of alignments.
    """
    return Reader(path, reference, threads, strict)


class Several:
    """Several files one after another under one header, read groups and programs renamed where two files use an ID differently."""

    def __init__(self, paths, reference, threads, strict):
        self._readers = [open_reads(p, reference, threads, strict) for p in paths]
        self.threads = threads
        self.header, self._renames, self._programs = merge_headers([r.header for r in self._readers], list(paths))

    @property
    def in_order(self) -> bool:
        """Whether the headers of all files say that their records are in coordinate order."""
        return all(r.in_order for r in self._readers)

    def batches(self, max_reads: int = BATCH_READS, ordered: bool = True):
        """Iterator of ReadBatch of all files, once. ordered: hold the reads of each file to the order that its header claims."""
        ids = {g["ID"]: i for i, g in enumerate(self.header.read_groups)}
        for reader, renames, programs in zip(self._readers, self._renames, self._programs):
            names = [renames.get(g["ID"], g["ID"]) for g in reader.header.read_groups]
            number = np.array([-1, *(ids[x] for x in names)], np.int32)
            for batch in reader.batches(max_reads, ordered):
                group = batch.read_group
                if renames:
                    batch = self._with_text(batch, "RG", group, names)
                if programs:
                    lines = [x.split("\t") for x in reader.header.text.splitlines() if x.startswith("@PG")]
                    old = [f[3:] for fields in lines for f in fields if f.startswith("ID:")]
                    values, offset = text_values(old)
                    which = np.empty(len(batch), np.int32)
                    at = find_tag(batch, "PG", self.threads)
                    run_chunks(kernel.match_text_tag, len(batch), self.threads, batch.data, at, values, offset, which)
                    batch = self._with_text(batch, "PG", np.maximum(which, -1), [programs.get(x, x) for x in old])
                batch.read_group = number[group + 1]
                yield batch

    def _with_text(self, batch, tag, which, texts):
        """The batch with a tag set to texts[which] (int32 by record, -1 for none)."""
        values, offset = text_values(["", *("Z" + x + "\0" for x in texts)])
        size = np.diff(offset)[which + 1]
        rows = np.zeros(len(batch) + 1, np.int64)
        np.cumsum(size, out=rows[1:])
        index = np.repeat(offset[which + 1] - rows[:-1], size) + np.arange(int(rows[-1]))
        return set_tag(batch, tag, values[index], rows, self.threads)


def open_several(paths, reference=None, threads: int = 2, strict: bool = False):
    """A Reader of one file, or a `Several` of more. strict: see `Reader`.

    Raises
    ------
    InputError: as `open_reads`, and files whose contigs differ.
    """
    return open_reads(paths[0], reference, threads, strict) if len(paths) == 1 else Several(paths, reference, threads, strict)


class Replay:
    """Alignments that can be read twice: a regular file is kept in memory where that is a quarter of a budget at most, or opened again;
    streams and several files are kept, spilled beyond a budget. Batches are not to be changed.

    Several coordinate-sorted files are merged in Picard's order. spill: `io.spill.SpillFolder`. reader: of the paths, if they are open.
    strict: see `Reader`.
    """

    def __init__(self, paths, reference, threads, spill, memory_bytes, reader=None, strict=False):
        self._arguments = (paths[0], reference, threads)
        self._reader = reader or open_several(paths, reference, threads, strict)
        self.header = self._reader.header
        self._kept, self._most = None, memory_bytes // 4
        self._again = len(paths) == 1 and os.path.isfile(paths[0])
        if len(paths) > 1:
            from gpugenome.steps.sort import COORDINATE, sorted_records

            if not self._reader.in_order:
                raise UserError("several inputs must be coordinate-sorted")
            self.header.text = self.header.text.replace("SO:unsorted", "SO:coordinate", 1)
            self._kept = sorted_records(self._reader.batches(), COORDINATE, spill=spill, memory_bytes=memory_bytes, threads=threads)
        elif not self._again:
            self._kept = _Kept(self._reader.batches(), spill, memory_bytes)

    def batches(self, max_reads: int = BATCH_READS):
        """Iterator of ReadBatch, each call from the start."""
        if self._kept is not None:
            yield from self._kept.batches()
            return
        reader, self._reader = self._reader or open_reads(*self._arguments), None
        held, size = [], 0
        for batch in reader.batches(max_reads):
            size += batch.nbytes
            if size > self._most:
                held = []
            else:
                held.append(batch)
            yield batch
        if size <= self._most:
            self._kept = _Held(held)


class _Held:
    """Batches in memory."""

    def __init__(self, batches):
        self._batches = batches

    def batches(self):
        return iter(self._batches)


class _Kept:
    """Batches held in memory, and beyond a budget in spill files, in the order in which they came."""

    def __init__(self, batches, spill, memory_bytes):
        from gpugenome.steps.sort import resident_bytes

        self._held, self._runs, size = [], [], 0
        for batch in batches:
            self._held.append(batch)
            size += batch.nbytes
            if size > resident_bytes(memory_bytes):
                self._runs.append(spill.write(self._held))
                self._held, size = [], 0

    def batches(self):
        for run in self._runs:
            yield from run
        yield from self._held


class Writer:
    """Writes alignments under a temporary name; a context manager. Made by `create_reads`."""

    def __init__(self, path, header, level, threads, index, md5, reference):
        self.path, self.header, self.threads = os.fspath(path), header, threads
        self.level, self.index, self.md5, self.reference = level, index, md5, reference
        self.kind = os.path.splitext(self.path)[1].lower().lstrip(".")
        self.kind = self.kind if self.kind in ("sam", "cram") else "bam"

    def __enter__(self):
        if self.kind == "cram" and not self.reference:
            raise UserError(f"{self.path}: writing CRAM needs the reference (-R)")
        self._output = AtomicOutput(self.path, suffix=f".{self.kind}").open()
        self._digest = hashlib.md5() if self.md5 and self.kind == "bam" else None
        self._child = None
        handle, level = self._output, self.level
        if self.kind == "bam":
            handle = self._output.handle
            if self._output.special:
                level = 0
        else:
            arguments = ["-h", "--no-PG", "-@", str(max(0, self.threads - 1)), "-O", self.kind, "-o", self._output.path]
            self._errors = tempfile.TemporaryFile()
            self._child = _samtools_view(
                [*arguments, *(["-T", self.reference] if self.reference else []), "-"], stdin=subprocess.PIPE, stderr=self._errors
            )
            handle, level = self._child.stdin, 0
        self._bgzf = BgzfWriter(handle, self.path, level, self.threads, self._digest)
        head = _header_bytes(self.header)
        self._bgzf.write(head)
        longest = int(max(self.header.contig_lengths, default=0))
        wanted = self.index and not self._output.special and self.header.sort_order == "coordinate" and self.kind != "sam"
        self._index_kind = ("crai" if self.kind == "cram" else "csi" if longest > BAI_LONGEST_BP else "bai") if wanted else None
        self._bai = BaiBuilder(self.header.contig_lengths, BLOCK_BYTES) if self._index_kind == "bai" else None
        self._place = head.size
        return self

    def write(self, batch: ReadBatch) -> None:
        """Append the records of a batch."""
        if self.kind != "bam":
            batch = htsjdk_tags(replace(batch), self.threads)
        if self._bai is not None and not self._bai.add(batch, self._place):
            raise InputError(self.path, "cannot be indexed: its records are not in coordinate order")
        self._place += int(batch.offset[-1] - batch.offset[0])
        try:
            quiet = quality_spans(batch, self.threads, batch.offset[0])
            self._bgzf.write(batch.data[batch.offset[0] : batch.offset[-1]], quiet)
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
        if self._index_kind:
            companion = self._output.also(f"{self.path}.{self._index_kind}")
            if self._bai is not None:
                companion.write(self._bai.finish(self._bgzf.block_starts()))
            else:
                import pysam

                more = ["-c"] if self._index_kind == "csi" else []
                try:
                    pysam.index("-@", str(self.threads), *more, "-o", companion.path, self._output.path)
                except pysam.SamtoolsError:
                    raise InputError(companion.final, "cannot be written: htslib could not make the index (is the disk full?)") from None
        if self.md5 and not self._output.special:
            if self._digest is None:
                with open(self._output.path, "rb") as f:
                    self._digest = hashlib.file_digest(f, "md5")
            companion = self._output.also(f"{self.path}.md5")
            companion.write(self._digest.hexdigest().encode())

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                try:
                    self._bgzf.finish()
                except BrokenPipeError:
                    self._finish_child()
                    raise
                self._finish_child()
                if self._child is None:
                    self._output.write(b"")
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

    level: BGZF compression, 0-12. index: also .bai (.csi, .crai), where the header says coordinate order. md5: also a .md5 file.
    Everything appears on leaving the `with`.
    """
    return Writer(path, header, level, threads, index, md5, reference)
