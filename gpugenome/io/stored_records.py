"""Records of a cohort store in memory: spans of all, and what makes their lines when they are asked for.

Blocks are numbers and templates; see `kernels.stored_records_cpu`.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.variant_records import VariantHeader, VariantRecords
from gpugenome.io.variant_records import compacted as compacted_text
from gpugenome.kernels import stored_records_cpu as kernel
from gpugenome.kernels import variant_records_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_compare_cpu import find_lines

MOST_TEMPLATES, MOST_NUMBERS = 64, 16
"""Kinds of blocks of one GVCF that are kept as numbers, and numbers of a block; others are kept as lines."""
_NUMBER = bytes([kernel.NUMBER])


@dataclass
class Templates:
    """What blocks of one GVCF have in common. texts: without CHROM to INFO. tried: rows that made one or could not."""

    texts: list[bytes] = field(default_factory=list)
    tried: int = 0

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """(uint8 texts, int64 offsets)."""
        offset = np.cumsum([0, *map(len, self.texts)], dtype=np.int64)
        return np.frombuffer(b"".join(self.texts) or b"\0", np.uint8), offset

    @property
    def room(self) -> np.ndarray:
        """int64 by kind of row: bytes of a line, with its newline, beside what is kept as text and CHROM, at most."""
        sizes = [len(t) + kernel.MOST_DIGITS * t.count(_NUMBER) + kernel.LONGEST_FIXED for t in self.texts]
        return np.array([1, 1, *sizes], np.int64)

    @property
    def numbers(self) -> int:
        """Numbers of a block at most; one at least."""
        return max([1, *(t.count(_NUMBER) for t in self.texts)])

    def learn(self, text: bytes, most_numbers: int) -> None:
        """Take up the template of a block's FORMAT and samples (GT stays as it is), if there can be one."""
        self.tried += 1
        head, colon, rest = text.partition(b"\t")[2].partition(b":")
        begin = len(text) - len(rest)
        values = re.findall(rb"\d+", text[begin:])
        if _NUMBER in text or any(len(v) > 5 or int(v) > kernel.MOST_VALUE or str(int(v)).encode() != v for v in values):
            return
        if len(values) <= most_numbers:
            self.texts.append(text[:begin] + re.sub(rb"\d+", _NUMBER, text[begin:]))

    def encode(self, records: VariantRecords, most_numbers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(kind uint8, ref uint8, values uint16[n, MOST_NUMBERS]) of records; new templates, of most_numbers at most, are learned."""
        n = len(records)
        kind, ref, values = np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty((n, MOST_NUMBERS), np.uint16)
        variant, at = records.has_variant().view(np.uint8), 0
        while at < n:  # a pass for each new template
            learns = self.tried < MOST_TEMPLATES
            at = kernel.encode(at, records.data, records.columns, records.ends, records.start, records.end, variant, *self.arrays, learns,
                               kind, ref, values)  # fmt: skip
            if at < n:
                before = len(self.texts)
                self.learn(records.data[records.columns[at, 8] : records.ends[at]].tobytes(), most_numbers)
                at += len(self.texts) == before
        return kind, ref, values


@dataclass
class StoredRecords:
    """n records of one contig.

    ref_id, start, end: int32[n], variant: bool[n], as of VariantRecords. row: int32[n], where the rest of each stands: kind, ref: uint8,
    values: uint16[rows, numbers], lines by line_offset int32[rows + 1] in `line` (uint8). templates: what `Templates.arrays` gives. room:
    int64 by kind, bytes of a line beside `line` and CHROM at most.
    """

    header: VariantHeader
    contig: str
    ref_id: np.ndarray
    start: np.ndarray
    end: np.ndarray
    variant: np.ndarray
    row: np.ndarray
    kind: np.ndarray
    ref: np.ndarray
    values: np.ndarray
    line_offset: np.ndarray
    line: np.ndarray
    templates: tuple[np.ndarray, np.ndarray]
    room: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def has_variant(self) -> np.ndarray:
        """bool[n]: records with an ALT other than <NON_REF>."""
        return self.variant

    def take(self, rows: np.ndarray | slice) -> "StoredRecords":
        """Some of the records, over the same store of lines."""
        return StoredRecords(
            self.header, self.contig, self.ref_id[rows], self.start[rows], self.end[rows], self.variant[rows], self.row[rows], self.kind,
            self.ref, self.values, self.line_offset, self.line, self.templates, self.room,
        )  # fmt: skip

    def problem(self, row: int, text: str) -> InputError:
        """The error that a record has this problem."""
        return InputError(self.header.path, text, f"{self.contig}:{int(self.start[row]) + 1}")

    def most_bytes(self, rows: np.ndarray) -> int:
        """Bytes of the lines of some records (int64 rows), at most."""
        row = self.row[rows]
        of_lines = self.line_offset[row + 1] - self.line_offset[row]
        return int(self.room[self.kind[row]].sum() + of_lines.sum()) + len(rows) * len(self.contig)

    def write(self, rows: np.ndarray, out: np.ndarray, at: int) -> int:
        """Write the lines of some records (int64 rows) to out[at:]; where they end."""
        contig = np.frombuffer(self.contig.encode("latin-1"), np.uint8)
        return kernel.write_lines(rows, self.row, self.start, self.end, self.kind, self.ref, self.values, self.line_offset, self.line,
                                  contig, *self.templates, out, at)  # fmt: skip

    def text(self, rows: np.ndarray) -> np.ndarray:
        """uint8: the lines of some records (int64 rows)."""
        out = np.empty(self.most_bytes(rows), np.uint8)
        return out[: self.write(rows, out, 0)]


def compacted(parts: list[VariantRecords | StoredRecords], rows: list[np.ndarray], threads: int = 1) -> list[VariantRecords]:
    """Some records (int64 rows) of each part, over texts that do not hold the parts' own."""
    stored = [k for k, p in enumerate(parts) if isinstance(p, StoredRecords)]
    texts = [k for k, p in enumerate(parts) if not isinstance(p, StoredRecords)]
    out: list = [None] * len(parts)
    if texts:
        for k, found in zip(texts, compacted_text([parts[k] for k in texts], [rows[k] for k in texts], threads)):
            out[k] = found
    if stored:
        data, at, edges = np.empty(sum(parts[k].most_bytes(rows[k]) for k in stored), np.uint8), 0, [0]
        for k in stored:
            at = parts[k].write(rows[k], data, at)
            edges.append(edges[-1] + len(rows[k]))
        data = data[:at].copy()
        starts, ends = find_lines(data)
        n = len(starts)
        columns, flags = np.empty((n, variant_records_cpu.FIXED_COLUMNS + 1), np.int64), np.empty((2, n), np.uint8)
        start, end = np.empty(n, np.int32), np.empty(n, np.int32)
        expected = variant_records_cpu.FIXED_COLUMNS + len(parts[stored[0]].header.samples)
        run_chunks(variant_records_cpu.parse_sites, n, threads, data, starts, ends, expected, columns, flags[0], start, end, flags[1])
        for k, a, b in zip(stored, edges[:-1], edges[1:]):
            p, r = parts[k], rows[k]
            out[k] = VariantRecords(p.header, data, columns[a:b], ends[a:b], p.ref_id[r], p.start[r], p.end[r], 0, threads, p.variant[r])
    return out
