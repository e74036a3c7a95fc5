"""A store of GVCFs that grows sample by sample: a folder with a folder for each GVCF, and a list of them.

The folder of a GVCF is a Parquet dataset: its record lines, a row group for each genome window, some hundred row groups a file (the footer
of one file with all of a genome's would take tens of MB), and index.parquet with the span and size of each row group, so that what an
interval does not need is not read. Windows are small, for the memory of cohorts of thousands; where there are few samples as many
windows are read at once as the reader's pieces hold. The list (cohort.json) is replaced in one step after the new folders are complete:
whatever interrupts `add` or `remove`, the store is as before or as after.
"""

import contextlib
import fcntl
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpugenome.errors import InputError
from gpugenome.io.outputs import AtomicOutput, os_problem
from gpugenome.io.text_lines import PIECE_BYTES
from gpugenome.io.variant_records import VariantFile, VariantHeader

FORMAT, VERSION = "gpugenome cohort", 2
WINDOW_BP = 10_000
GROUPS_PER_FILE = 512
FOOTER_PIECE_BYTES = 1 << 17
"""Where pieces are smaller (with a thousand samples) footers, which take as much, are read again for each piece."""
_LIST, _PARTS, _INDEX, _HEADER = "cohort.json", "parts", "index.parquet", b"vcf_header"
_LINES = pa.schema([("line", pa.large_binary())])
_SPANS = pa.schema([("ref_id", pa.int32()), ("start", pa.int32()), ("end", pa.int32()), ("records", pa.int32()), ("bytes", pa.int64())])


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
        """The Parquet dataset of a part."""
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
            with _GroupWriter(unfinished) as groups:
                waiting = _table([])
                for records in pieces:
                    waiting = pa.concat_tables([waiting, _table([records])]).combine_chunks()
                    edges = _window_edges(waiting, self.window_bp)
                    for a, b in zip(edges[:-2], edges[1:-1]):  # a pass for each window; the last one may go on
                        groups.write(waiting.slice(a, b - a))
                    waiting = waiting.slice(edges[-2])
                if len(waiting):
                    groups.write(waiting)
            index = pa.table(groups.spans, schema=_SPANS.with_metadata({_HEADER: header.encode("latin-1")}))
            with open(unfinished / _INDEX, "wb") as f:
                pq.write_table(index, f, write_page_checksum=True)
                _to_disk(f)
            unfinished.rename(self.folder(part))
        except OSError as e:
            raise os_problem(self.folder(part), e) from None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return sum(groups.spans["records"])

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


class _GroupWriter:
    """Writes row groups into numbered Parquet files. spans: what the index has of each."""

    def __init__(self, folder):
        self.folder, self.spans = folder, {name: [] for name in _SPANS.names}
        self._handle = self._writer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()

    def _close(self):
        if self._writer is not None:
            self._writer.close()
            _to_disk(self._handle)
            self._handle.close()
            self._writer = None

    def write(self, rows):
        """One row group."""
        done = len(self.spans["start"])
        if done % GROUPS_PER_FILE == 0:
            self._close()
            self._handle = open(self.folder / _file_name(done), "wb")  # noqa: SIM115 closed in _close
            self._writer = pq.ParquetWriter(self._handle, _LINES, compression="zstd", compression_level=6, use_dictionary=False,
                                            write_statistics=False, write_page_checksum=True)  # fmt: skip
        self._writer.write_table(rows.select(["line"]), row_group_size=len(rows))
        self.spans["ref_id"].append(rows["ref_id"][0].as_py())
        self.spans["start"].append(rows["start"][0].as_py())
        self.spans["end"].append(int(rows["end"].to_numpy().max()))
        self.spans["records"].append(len(rows))
        self.spans["bytes"].append(rows["line"].nbytes)


def _file_name(group):
    return f"{group // GROUPS_PER_FILE:06d}.parquet"


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


def _table(pieces):
    """Records as rows: contig, span and line with its newline. pieces: none, or one VariantRecords."""
    schema = pa.schema([_SPANS.field(0), _SPANS.field(1), _SPANS.field(2), _LINES.field(0)])
    if not pieces:
        return schema.empty_table()
    (records,) = pieces
    offset = np.append(records.columns[:, 0], records.ends[-1] + 1)
    if (offset[1:] != records.ends + 1).any():
        raise records.problem(int(np.argmax(offset[1:] != records.ends + 1)), "is followed by a line that is no record")
    text = records.data
    if records.ends[-1] == len(text):  # the file's last line has no newline
        text = np.append(text, np.uint8(10))
    lines = pa.Array.from_buffers(pa.large_binary(), len(records), [None, pa.py_buffer(offset), pa.py_buffer(text)])
    return pa.table([pa.array(records.ref_id), pa.array(records.start), pa.array(records.end), lines], schema=schema)


def _window_edges(table, window_bp):
    """Rows where a window begins, and the number of rows."""
    window = table["ref_id"].to_numpy().astype(np.int64) << 32 | table["start"].to_numpy() // window_bp
    return [0, *(np.flatnonzero(np.diff(window)) + 1).tolist(), len(window)]


class StoredVariants(VariantFile):
    """A part of a store, read as a `VariantFile` is, in pieces of whole lines of about piece_bytes.

    contigs: names in the order of the contigs' numbers. intervals: int64[k, 3] (ref_id, start, end); only row groups that overlap one are
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
            ref_id, start, end, self._bytes = (index[name].to_numpy() for name in ("ref_id", "start", "end", "bytes"))
        except (OSError, pa.ArrowException, KeyError, TypeError) as e:
            raise InputError(Path(folder) / _INDEX, f"is damaged: {e}") from None
        self.header = VariantHeader.parse(self.path, header)
        self._start_reading(contigs, np.empty(0, np.uint8))
        needed = np.ones(len(start), bool)
        if intervals is not None:
            needed[:] = False
            for contig, begin, stop in intervals.tolist():  # a pass for each interval, over windows
                needed |= (ref_id == contig) & (start < stop) & (np.maximum(end, start + 1) > begin)
        self.groups = np.flatnonzero(needed)
        self._lines = self._texts()

    def _reads(self):
        """Lists of row groups of one file that are read together: as many as make up a piece."""
        some, size = [], 0
        for group in self.groups.tolist():
            if some and (size + self._bytes[group] > self._piece_bytes or group // GROUPS_PER_FILE != some[0] // GROUPS_PER_FILE):
                yield some
                some, size = [], 0
            some.append(group)
            size += self._bytes[group]
        if some:
            yield some

    def _texts(self):
        name, footer = None, None
        for groups in self._reads():
            path, numbers = Path(self.path) / _file_name(groups[0]), [g % GROUPS_PER_FILE for g in groups]
            try:
                if path.name != name:
                    name, footer = path.name, pq.read_metadata(path)
                with pq.ParquetFile(path, metadata=footer, page_checksum_verification=True) as f:
                    column = f.read_row_groups(numbers, columns=["line"]).column(0)
            except (OSError, pa.ArrowException) as e:
                raise InputError(path, f"a row group of {numbers[0] + 1} to {numbers[-1] + 1} is damaged or missing: {e}") from None
            if self._piece_bytes < FOOTER_PIECE_BYTES:
                name, footer = None, None
            chunk = pa.concat_arrays(column.chunks)
            del column
            offset = np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            text = np.frombuffer(chunk.buffers()[2], np.uint8)
            at = 0
            while at < len(chunk):  # a pass for each piece
                after = max(at + 1, int(np.searchsorted(offset, offset[at] + self._piece_bytes, "right")) - 1)
                yield text[offset[at] : offset[after]]
                at = after
