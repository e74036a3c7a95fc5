"""`ReadBatch`: alignment records as columns over one byte arena.

A batch is the BAM records themselves, back to back, plus decoded copies of the fixed fields. The variable fields (name,
CIGAR, bases, qualities, tags) are not copied: a record's offset and its fixed fields say where they lie, so sorting a
batch is one gather of records, writing it is one copy, and a spill file or a device gets it in one piece.
The arena is the truth; a step that changes a fixed field writes it to the arena (`kernels.bam_records_cpu`) and decodes again.
"""

from dataclasses import dataclass, field, fields

import numpy as np


@dataclass
class ReadBatch:
    """Structure of arrays over n alignment records. Coordinates are 0-based.

    data: uint8[total], BAM records back to back, each with its leading 4-byte block_size (SAM spec 4.2).
    offset: int64[n+1], record i is data[offset[i]:offset[i+1]].
    ref_id, pos: int32[n], -1 where unset. mapq: uint8[n]. flag: uint16[n].
    mate_ref_id, mate_pos, tlen: int32[n].
    name_length: uint8[n], with the final NUL. n_cigar: uint16[n] (as stored). seq_length: int32[n], bases.
    read_group: int32[n], index into the header's @RG lines, -1 without RG tag (-2: a name the header lacks).
    on_gpu: False; True for a `gpu_records.GpuBatch`.
    """

    data: np.ndarray
    offset: np.ndarray
    ref_id: np.ndarray
    pos: np.ndarray
    mapq: np.ndarray
    flag: np.ndarray
    mate_ref_id: np.ndarray
    mate_pos: np.ndarray
    tlen: np.ndarray
    name_length: np.ndarray
    n_cigar: np.ndarray
    seq_length: np.ndarray
    read_group: np.ndarray
    on_gpu = False

    def __len__(self) -> int:
        return len(self.offset) - 1

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, f.name).nbytes for f in fields(self))

    def name(self, i: int) -> str:
        """The name of record i, for messages."""
        return self.bytes_of(i, 36).split(b"\0")[0].decode("ascii", "replace")

    def bytes_of(self, i: int, start: int, stop: int | None = None) -> bytes:
        """Bytes start..stop of record i (to its end)."""
        at = int(self.offset[i])
        return bytes(self.data[at + start : self.offset[i + 1] if stop is None else at + stop])

    def columns(self, names) -> tuple:
        """Columns by name, as the kernels of `backend.where` take them."""
        return tuple(getattr(self, n) for n in names)

    def head(self, n: int) -> "ReadBatch":
        """The first n records, where they lie."""
        columns = {f.name: getattr(self, f.name)[:n] for f in fields(self)[2:]}
        return ReadBatch(self.data, self.offset[: n + 1], **columns)

    def change(self, **columns) -> None:
        """Put other columns in place of some."""
        for name, column in columns.items():
            setattr(self, name, column)

    def on_host(self) -> "ReadBatch":
        """The batch in host memory."""
        return self

    def drop(self) -> None:
        """Give the memory of a GPU back; the batch is not used any more."""

    # Where the variable fields of each record begin in `data`, int64[n].
    @property
    def name_start(self) -> np.ndarray:
        return self.offset[:-1] + 36

    @property
    def cigar_start(self) -> np.ndarray:
        return self.name_start + self.name_length

    @property
    def seq_start(self) -> np.ndarray:
        return self.cigar_start + 4 * self.n_cigar.astype(np.int64)

    @property
    def qual_start(self) -> np.ndarray:
        return self.seq_start + (self.seq_length.astype(np.int64) + 1) // 2

    @property
    def tag_start(self) -> np.ndarray:
        return self.qual_start + self.seq_length


@dataclass
class FastqBatch:
    """n FASTQ records over their text.

    data: uint8, FASTQ text. record_start: int64[n+1], record i is data[record_start[i]:record_start[i+1]], four lines.
    name_start, name_length: int64[n], the name up to white space, without a final "/" and digit.
    seq_start, seq_length, qual_start: int64[n], bases (ASCII) and qualities (ASCII, phred + 33) of equal length.
    """

    data: np.ndarray
    record_start: np.ndarray
    name_start: np.ndarray
    name_length: np.ndarray
    seq_start: np.ndarray
    seq_length: np.ndarray
    qual_start: np.ndarray

    def __len__(self) -> int:
        return len(self.name_start)

    @property
    def text(self) -> np.ndarray:
        """The text of all records."""
        return self.data[self.record_start[0] : self.record_start[-1]]

    def rows(self, which: slice) -> "FastqBatch":
        """Some of the records, over the same text; its `record_start` is the whole batch's."""
        columns = {f.name: np.ascontiguousarray(getattr(self, f.name)[which]) for f in fields(self)[2:]}
        return FastqBatch(self.data, self.record_start, **columns)


@dataclass
class Fragments:
    """Reads as the sequencer made them: `first`, and `second` with the mates row by row (None for single reads).

    text: the FASTQ text of the same reads as their files have it, one uint8 array a file (one for an interleaved file).
    """

    first: FastqBatch
    second: FastqBatch | None
    text: tuple[np.ndarray, ...]

    @property
    def reads(self) -> int:
        """Number of reads, mates counted."""
        return len(self.first) + (len(self.second) if self.second is not None else 0)


@dataclass
class Header:
    """A SAM header: its text and what the stages need of it.

    text: the header's lines, newline-terminated. contig_names/contig_lengths: the @SQ lines in order.
    read_groups: one dict a @RG line (ID, SM, LB, PL, PU, ...) in order.
    """

    text: str
    contig_names: list[str] = field(default_factory=list)
    contig_lengths: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    read_groups: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def from_text(cls, text: str) -> "Header":
        """Parse SAM header text."""
        names, lengths, groups = [], [], []
        for line in text.splitlines():
            tags = dict(f.split(":", 1) for f in line.split("\t")[1:] if ":" in f)
            if line.startswith("@SQ"):
                names.append(tags["SN"])
                lengths.append(int(tags["LN"]))
            elif line.startswith("@RG"):
                groups.append(tags)
        return cls(text if text.endswith("\n") or not text else text + "\n", names, np.array(lengths, np.int64), groups)

    @property
    def sort_order(self) -> str:
        """The SO field of @HD ("coordinate", "queryname", "unsorted", ...), "unknown" where there is none."""
        return self.hd("SO", "unknown")

    @property
    def group_order(self) -> str:
        """The GO field of @HD ("none", "query", "reference")."""
        return self.hd("GO", "none")

    def hd(self, tag: str, default: str) -> str:
        """A field of the @HD line."""
        if not self.text.startswith("@HD"):
            return default
        for f in self.text.split("\n", 1)[0].split("\t")[1:]:
            if f.startswith(tag + ":"):
                return f[3:]
        return default

    @property
    def assemblies(self) -> list[str | None]:
        """The AS field of each @SQ line, None where it has none."""
        lines = [line.split("\t") for line in self.text.splitlines() if line.startswith("@SQ")]
        return [next((f[3:] for f in fields if f.startswith("AS:")), None) for fields in lines]

    @property
    def samples(self) -> list[str]:
        """SM values, sorted as GATK does (Java String order), without repeats."""
        return sorted({g["SM"] for g in self.read_groups if "SM" in g})
