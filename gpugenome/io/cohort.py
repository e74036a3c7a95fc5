"""A store of GVCFs that grows sample by sample: a folder with a folder for each GVCF, and a list of them.

The folder of a GVCF holds an Arrow stream of its records, a record batch for each genome window: reference blocks as numbers, other
records as lines; and index.parquet with the span, place and checksum of each batch, so that what an interval does not need is not read.
Windows are small, for the memory of cohorts of thousands; where there are few samples as many windows are read at once as the reader's
pieces hold. The list (cohort.json) is replaced in one step after the new folders are complete: whatever interrupts `add` or `remove`,
the store is as before or as after.
"""

import contextlib
import fcntl
import json
import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpugenome.errors import InputError
from gpugenome.io.outputs import AtomicOutput, os_problem
from gpugenome.io.stored_records import MOST_NUMBERS, StoredRecords, Templates
from gpugenome.io.text_lines import PIECE_BYTES
from gpugenome.io.variant_records import OTHER_REFERENCE, VariantFile, VariantHeader
from gpugenome.kernels import stored_records_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_text_cpu import compact

FORMAT, VERSION = "gpugenome cohort", 3
WINDOW_BP = 20_000
_LIST, _PARTS, _INDEX, _RECORDS = "cohort.json", "parts", "index.parquet", "records.arrows"
_HEADER, _TEMPLATES = b"vcf_header", b"templates"
_SPANS = pa.schema([("ref_id", pa.int32()), ("start", pa.int32()), ("end", pa.int32()), ("records", pa.int32()), ("bytes", pa.int64()),
                    ("offset", pa.int64()), ("size", pa.int32()), ("crc32", pa.uint32())])  # fmt: skip
_TEXT_BYTES = 128
"""Bytes of a record as text, about."""


def _columns(numbers):
    """The schema of a part's records. gap: from the end of the record before to the start, in a batch's first one from 0; length: to the
    end. kind, ref, values, line: as of `io.stored_records`."""
    return pa.schema([("gap", pa.int32()), ("length", pa.int32()), ("kind", pa.uint8()), ("ref", pa.uint8()),
                      ("values", pa.list_(pa.uint16(), numbers)), ("line", pa.binary())])  # fmt: skip


@dataclass
class Part:
    """One GVCF of a store. name: of its folder. samples: in it. source: the path that was added. records: their number."""

    name: str
    samples: list[str]
    source: str
    records: int


@dataclass
class Cohort:
    """A store. contigs: [(name, length)] of the reference. next_part: number of the next part."""

    path: Path
    contigs: list[tuple[str, int]] = field(default_factory=list)
    window_bp: int = WINDOW_BP
    parts: list[Part] = field(default_factory=list)
    next_part: int = 1

    @classmethod
    def open(cls, path) -> "Cohort":
        """Read the list of a store.

        Raises
        ------
        InputError: no store, one of another version, or one of which a file is missing.
        """
        path = Path(path)
        try:
            found = json.loads((path / _LIST).read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(path, f"is not a cohort store: it has no {_LIST} (make one with `gpugenome cohort add`)") from None
        except (OSError, ValueError) as e:
            raise InputError(path / _LIST, f"cannot be read: {e}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise InputError(path / _LIST, "is not the list of a cohort store")
        if found.get("version") != VERSION:
            raise InputError(path, f"is a cohort store of version {found.get('version')}, this gpugenome reads version {VERSION}")
        try:
            store = cls(path, [(n, int(x)) for n, x in found["contigs"]], found["window_bp"], [Part(**p) for p in found["parts"]],
                        found["next_part"])  # fmt: skip
        except (KeyError, TypeError, ValueError) as e:
            raise InputError(path / _LIST, f"is damaged: {e}") from None
        for part in store.parts:
            if not (store.folder(part) / _INDEX).is_file():
                raise InputError(store.folder(part) / _INDEX, f"is missing: the samples {', '.join(part.samples)} of the store lie in it")
        return store

    def folder(self, part: Part) -> Path:
        """Where the records of a part are."""
        return self.path / _PARTS / part.name

    def samples(self) -> list[str]:
        """Names of all samples, sorted."""
        return sorted(s for p in self.parts for s in p.samples)

    def folders(self) -> list[Path]:
        """The folders of all parts, by their first samples, so that the order of adding does not matter.

        Raises
        ------
        InputError: a store without samples.
        """
        if not self.parts:
            raise InputError(self.path, "is a cohort store without samples")
        return [self.folder(p) for p in sorted(self.parts, key=lambda p: p.samples[0])]

    def add(self, paths, names, lengths, threads: int = 1, records=VariantFile.records) -> list[Part]:
        """Add GVCFs; the store has all of them afterwards, or none. names, lengths: contigs of the reference. records(file): the records of
        a `VariantFile`, checked.

        Raises
        ------
        InputError: a GVCF that cannot be read or added; the store cannot be written.
        """
        contigs = [(n, int(x)) for n, x in zip(names, lengths)]
        if self.parts and self.contigs != contigs:
            raise InputError(self.path, "was made with another reference: its contigs differ from those given")
        owner = {s: p.source for p in self.parts for s in p.samples}
        made: list[Part] = []
        try:
            with ThreadPoolExecutor(threads) as pool:
                for first in range(0, len(paths), threads):  # files side by side
                    files, some = [], paths[first : first + threads]
                    for path in some:
                        file = VariantFile(path, names, max(1, threads // len(some)))
                        for sample in file.header.samples:
                            if sample in owner:
                                raise InputError(path, f"has the sample {sample}, which is in the store already (from {owner[sample]})")
                            owner[sample] = path
                        files.append(file)
                        made.append(Part(f"{self.next_part:08d}", file.header.samples, os.path.abspath(path), 0))
                        self.next_part += 1
                    parts = made[first:]
                    for part, n in zip(parts, pool.map(self._write, files, map(records, files), parts)):
                        part.records = n
            self.contigs = contigs
            self.parts += made
            self._save()
        except BaseException:
            for part in made:
                shutil.rmtree(self.folder(part), ignore_errors=True)
            raise
        return made

    def remove(self, samples) -> list[Part]:
        """Take samples away.

        Raises
        ------
        InputError: a sample that is not there, or one of a GVCF of several samples of which others stay.
        """
        gone = set(samples)
        for sample in gone.difference(self.samples()):
            raise InputError(self.path, f"has no sample {sample}")
        removed = [p for p in self.parts if gone.intersection(p.samples)]
        for part in removed:
            others = [s for s in part.samples if s not in gone]
            if others:
                together = ", ".join(part.samples)
                raise InputError(self.path, f"the samples {together} were added in one GVCF and can only be removed together")
        self.parts = [p for p in self.parts if p not in removed]
        self._save()
        for part in removed:
            shutil.rmtree(self.folder(part), ignore_errors=True)
        return removed

    def _write(self, file, pieces, part):
        """The records of a GVCF as the folder of a part; returns their number."""
        header = "".join(f"##{line}\n" for line in file.header.lines) + file.header.title
        unfinished = self.folder(part).with_name("." + part.name)
        try:
            unfinished.mkdir()
            with _WindowWriter(unfinished / _RECORDS) as windows:
                waiting = None
                for records in pieces:
                    new = _table(records, windows.templates, windows.numbers)
                    waiting = new if waiting is None else pa.concat_tables([waiting, new]).combine_chunks()
                    edges = _window_edges(waiting, self.window_bp)
                    for a, b in zip(edges[:-2], edges[1:-1]):  # a pass for each window; the last one may go on
                        windows.write(waiting.slice(a, b - a))
                    waiting = waiting.slice(edges[-2])
                if waiting is not None:
                    windows.write(waiting)
            more = {_HEADER: header.encode("latin-1"), _TEMPLATES: json.dumps([t.decode("latin-1") for t in windows.templates.texts])}
            index = pa.table(windows.spans, schema=_SPANS.with_metadata(more))
            with open(unfinished / _INDEX, "wb") as f:
                pq.write_table(index, f, write_page_checksum=True)
                _to_disk(f)
            unfinished.rename(self.folder(part))
        except OSError as e:
            raise os_problem(self.folder(part), e) from None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return sum(windows.spans["records"])

    def _save(self):
        content = {
            "format": FORMAT, "version": VERSION, "window_bp": self.window_bp, "contigs": self.contigs, "next_part": self.next_part,
            "parts": [vars(p) for p in self.parts],
        }  # fmt: skip
        with AtomicOutput(self.path / _LIST) as out:
            out.write(json.dumps(content, indent=1).encode())
            _to_disk(out.handle)


def _to_disk(handle):
    handle.flush()
    os.fsync(handle.fileno())


class _WindowWriter:
    """Writes windows into an Arrow stream. spans: what the index has of each. templates: of the records so far. numbers: room for those
    of a block, known from the first window on."""

    def __init__(self, path):
        self.path, self.spans, self.templates, self.numbers = path, {name: [] for name in _SPANS.names}, Templates(), MOST_NUMBERS
        self._writer = None

    def __enter__(self):
        self._handle = open(self.path, "w+b")  # noqa: SIM115 closed in __exit__
        return self

    def __exit__(self, *_):
        with self._handle:
            if self._writer is not None:
                self._writer.close()
            _to_disk(self._handle)

    def write(self, rows):
        """A record batch of the rows of one window, of the columns of `_table`."""
        if self._writer is None:
            self.numbers = self.templates.numbers
            schema = _columns(self.numbers)
            options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=3), use_threads=False)
            self._writer = pa.ipc.new_stream(pa.PythonFile(self._handle, mode="w"), schema, options=options)
            self._at = len(schema.serialize())  # the writer puts it before the first batch
        start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
        values = rows["values"].chunk(0).flatten().to_numpy().reshape(len(rows), -1)[:, : self.numbers]
        columns = [pa.array(start - np.append(0, end[:-1]).astype(np.int32)), pa.array(end - start), rows["kind"].chunk(0),
                   rows["ref"].chunk(0), pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), self.numbers),
                   rows["line"].chunk(0)]  # fmt: skip
        self._writer.write_batch(pa.record_batch(columns, schema=_columns(self.numbers)))
        self._handle.flush()
        after = self._handle.tell()
        written = os.pread(self._handle.fileno(), after - self._at, self._at)
        size = 2 * start.nbytes + len(rows) * 6 + values.nbytes + rows["line"].nbytes
        for name, value in (("ref_id", rows["ref_id"][0].as_py()), ("start", start[0]), ("end", end.max()), ("records", len(rows)),
                            ("bytes", size), ("offset", self._at), ("size", len(written)), ("crc32", zlib.crc32(written))):  # fmt: skip
            self.spans[name].append(value)
        self._at = after


@contextlib.contextmanager
def changing(path, make: bool = False):
    """A store that nobody else changes meanwhile; what interrupted runs left behind is swept away. make: a new store if there is none.

    Raises
    ------
    InputError: as `Cohort.open`; another process changes the store; the folder cannot be made.
    """
    path = Path(path)
    new = make and not (path / _LIST).exists()
    try:
        if new:
            if path.is_dir() and any(p.name not in (_PARTS, ".lock") for p in path.iterdir()):
                raise InputError(path, "is a folder with other things in it, expected a cohort store or a new name")
            (path / _PARTS).mkdir(parents=True, exist_ok=True)
        store = Cohort(path) if new else Cohort.open(path)
        lock = open(path / ".lock", "a")  # noqa: SIM115 held until the end
    except OSError as e:
        raise os_problem(path, e) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(path, "is being changed by another process") from None
        store = Cohort(path) if new and not (path / _LIST).exists() else Cohort.open(path)
        known = {p.name for p in store.parts}
        for stray in (path / _PARTS).iterdir():
            if stray.name not in known:
                shutil.rmtree(stray)
        try:
            yield store
        finally:
            if not (path / _LIST).exists():  # nothing came of a new store
                (path / ".lock").unlink()
                (path / _PARTS).rmdir()
                path.rmdir()


def _table(records, templates, numbers):
    """VariantRecords as rows: contig, span, and what `io.stored_records` has of each. numbers: of a block with a new template, at most."""
    kind, ref, values = templates.encode(records, numbers)
    starts = records.columns[:, 0]
    rows = np.flatnonzero(kind < kernel.FIRST_TEMPLATE)
    length = np.zeros(len(records), np.int64)
    length[rows] = records.ends[rows] - starts[rows]
    offset = np.append(0, np.cumsum(length)).astype(np.int32)
    text = np.empty(int(offset[-1]), np.uint8)
    run_chunks(compact, len(rows), 1, records.data, starts[rows], text, np.append(offset[:-1][rows], offset[-1]).astype(np.int64))
    lines = pa.Array.from_buffers(pa.binary(), len(records), [None, pa.py_buffer(offset), pa.py_buffer(text)])
    values = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), MOST_NUMBERS)
    columns = {"ref_id": records.ref_id, "start": records.start, "end": records.end, "kind": kind, "ref": ref}
    return pa.table({**{name: pa.array(c) for name, c in columns.items()}, "values": values, "line": lines})


def _window_edges(table, window_bp):
    """Rows where a window begins, and the number of rows."""
    window = table["ref_id"].to_numpy().astype(np.int64) << 32 | table["start"].to_numpy() // window_bp
    return [0, *(np.flatnonzero(np.diff(window)) + 1).tolist(), len(window)]


class StoredVariants(VariantFile):
    """A part of a store, read as a `VariantFile` is, or as StoredRecords, in pieces of about piece_bytes.

    contigs: names in the order of the contigs' numbers. intervals: int64[k, 3] (ref_id, start, end); only windows that overlap one are
    read. None: everything.

    Raises
    ------
    InputError: not a part of a store, or damaged.
    """

    def __init__(self, folder, contigs, threads: int = 1, piece_bytes: int = PIECE_BYTES, intervals: np.ndarray | None = None):
        self.path, self.threads, self._piece_bytes = str(folder), threads, piece_bytes
        try:
            index = pq.read_table(Path(folder) / _INDEX, page_checksum_verification=True, partitioning=None)
            header = index.schema.metadata[_HEADER]
            templates = Templates([t.encode("latin-1") for t in json.loads(index.schema.metadata[_TEMPLATES])])
            self._templates, self._room = templates.arrays, templates.room
            self._index = {name: index[name].to_numpy() for name in _SPANS.names}
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as e:
            raise InputError(Path(folder) / _INDEX, f"is damaged: {e}") from None
        self.header = VariantHeader.parse(self.path, header)
        self._start_reading(contigs, np.empty(0, np.uint8))
        self._names, self._schema = list(contigs), None
        ref_id, start, end = (self._index[name] for name in ("ref_id", "start", "end"))
        needed = np.ones(len(start), bool)
        if intervals is not None:
            needed[:] = False
            for contig, begin, stop in intervals.tolist():  # a pass for each interval, over windows
                needed |= (ref_id == contig) & (start < stop) & (np.maximum(end, start + 1) > begin)
        self.windows = np.flatnonzero(needed)
        self._lines = self._texts()

    def _reads(self):
        """(first, last) of windows that are read together: of one contig, side by side, as many as make up a piece."""
        ref_id, size = self._index["ref_id"], self._index["bytes"]
        first, last, total = -1, -1, 0
        for w in self.windows.tolist():
            if first >= 0 and (w != last + 1 or ref_id[w] != ref_id[first] or total + size[w] > self._piece_bytes):
                yield first, last
                first = -1
            if first < 0:
                first, total = w, 0
            last = w
            total += size[w]
        if first >= 0:
            yield first, last

    def _batches(self, first, last):
        """The Arrow table of some windows."""
        offset, size, crc = (self._index[name][first : last + 1] for name in ("offset", "size", "crc32"))
        path = f"{self.path}/{_RECORDS}"
        try:
            handle = os.open(path, os.O_RDONLY)
            try:
                if self._schema is None:
                    self._schema = os.pread(handle, int(self._index["offset"][0]), 0)
                data = os.pread(handle, int(offset[-1] + size[-1] - offset[0]), int(offset[0]))
            finally:
                os.close(handle)
            for w, a, n, wanted in zip(range(first, last + 1), (offset - offset[0]).tolist(), size.tolist(), crc.tolist()):
                if zlib.crc32(memoryview(data)[a : a + n]) != wanted:
                    raise InputError(path, f"window {w + 1} is damaged or missing")
            with pa.ipc.open_stream(pa.py_buffer(self._schema + data), options=pa.ipc.IpcReadOptions(use_threads=False)) as reader:
                return reader.read_all().combine_chunks()
        except (OSError, pa.ArrowException) as e:
            raise InputError(path, f"a window of {first + 1} to {last + 1} is damaged or missing: {e}") from None

    def stored(self, bases_of=None):
        """Iterator of StoredRecords, each of one contig. bases_of(ref_id): uint8, the reference, if it is to be checked.

        Raises
        ------
        InputError: records of another reference, a damaged file.
        """
        for first, last in self._reads():
            table = self._batches(first, last)
            gap, length, kind, ref, values, lines = (c.chunk(0) for c in table.columns)
            gap, length, kind, ref = (c.to_numpy() for c in (gap, length, kind, ref))
            values = values.values.to_numpy().reshape(len(gap), -1)
            _, offset, text = lines.buffers()
            offset = np.frombuffer(offset, np.int32, len(gap) + 1)
            text = np.empty(0, np.uint8) if text is None else np.frombuffer(text, np.uint8)
            ref_id = int(self._index["ref_id"][first])
            firsts = np.append(0, np.cumsum(self._index["records"][first:last]))
            start, end = np.empty(len(gap), np.int32), np.empty(len(gap), np.int32)
            bases = np.empty(0, np.uint8) if bases_of is None else bases_of(ref_id)
            bad = kernel.decode(gap, length, firsts, kind, ref, offset, text, bases, start, end)
            found = StoredRecords(
                self.header, self._names[ref_id], np.broadcast_to(np.int32(ref_id), len(gap)), start, end, kind == kernel.VARIANT_LINE,
                np.arange(len(gap), dtype=np.int32), kind, ref, values, offset, text, self._templates,
                self._room,
            )  # fmt: skip
            if bad >= 0 and bases_of is not None:
                raise found.problem(int(bad), OTHER_REFERENCE)
            yield found

    def _texts(self):
        most = max(1, self._piece_bytes // _TEXT_BYTES)
        for found in self.stored():
            for at in range(0, len(found), most):
                yield found.text(np.arange(at, min(at + most, len(found))))
