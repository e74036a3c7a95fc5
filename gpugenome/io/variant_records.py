"""VCF and GVCF records in pieces, as columns over their text: what joint genotyping, filters and selections read.

A `VariantFile` gives `VariantRecords`: the text of some MB of lines, the borders of their fixed columns and their spans. Everything else is
parsed when asked for, for some rows and some keys: `alleles`, `info`, `formats`, and numbers of these by `ints`, `int_lists`, `decimals`.
"""

import math
import os
from dataclasses import dataclass, field

import numpy as np

from gpugenome.columns import text_values
from gpugenome.errors import InputError
from gpugenome.io.bin_index import query
from gpugenome.io.text_lines import PIECE_BYTES, indexed_lines, is_bgzf, whole_lines
from gpugenome.kernels import variant_records_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_compare_cpu import find_lines
from gpugenome.variant_fields import TextColumn

MISSING = -1
OTHER_REFERENCE = "lies beyond the contig or its REF is not the reference's: made with another reference?"
_HEADER_PIECE_BYTES = 1 << 18


def _offsets(count):
    offset = np.zeros(len(count) + 1, np.int64)
    np.cumsum(count, out=offset[1:])
    return offset


def _attributes(line: str) -> dict[str, str]:
    """Attributes of a structured header line (KEY=<ID=..,Number=..,Description="..">)."""
    found, at, text = {}, 0, line[line.index("<") + 1 : line.rindex(">")]
    while at < len(text):
        key, _, _ = text[at:].partition("=")
        at += len(key) + 1
        if text[at : at + 1] == '"':
            stop = at + 1
            while stop < len(text) and text[stop] != '"':
                stop += 2 if text[stop] == "\\" else 1
            found[key], at = text[at + 1 : stop], stop + 1
        else:
            value = text[at:].partition(",")[0]
            found[key], at = value, at + len(value)
        at += 1
    return found


@dataclass
class VariantHeader:
    """The header of a VCF.

    lines: without "##", in order, the first is fileformat. title: the #CHROM line. samples: names in the order of the columns. contigs:
    length by name, -1 where the line has none. info, formats: (Number, Type) by key. filters: IDs of the FILTER lines.
    """

    path: str
    lines: list[str]
    title: str
    samples: list[str]
    contigs: dict[str, int] = field(default_factory=dict)
    info: dict[str, tuple[str, str]] = field(default_factory=dict)
    formats: dict[str, tuple[str, str]] = field(default_factory=dict)
    filters: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, path: str, text: bytes) -> "VariantHeader":
        """From the bytes up to and with the #CHROM line.

        Raises
        ------
        InputError: not a VCF, or a line that cannot be understood.
        """
        if not text.startswith(b"##fileformat=VCF"):
            raise InputError(path, "is not a VCF: it does not begin with ##fileformat=VCF")
        *meta, title = text.decode("latin-1").splitlines()
        names = title.split("\t")
        if not title.startswith("#CHROM") or len(names) < 8:
            raise InputError(path, "expected a #CHROM line with at least 8 columns after the ## lines", f"line {len(meta) + 1}")
        if len(set(names[9:])) < len(names[9:]):
            twice = next(n for n in names[9:] if names[9:].count(n) > 1)
            raise InputError(path, f"has the sample {twice} twice", "#CHROM line")
        header = cls(path, [line.removeprefix("##") for line in meta], title, names[9:])
        for number, line in enumerate(header.lines, 1):
            kind, _, rest = line.partition("=")
            if kind not in ("contig", "INFO", "FORMAT", "FILTER"):
                continue
            try:
                tags = _attributes(line)
                if kind == "contig":
                    header.contigs[tags["ID"]] = int(tags.get("length", -1))
                elif kind == "FILTER":
                    header.filters.append(tags["ID"])
                else:
                    (header.info if kind == "INFO" else header.formats)[tags["ID"]] = tags["Number"], tags["Type"]
            except (ValueError, KeyError):
                raise InputError(path, f"the {kind} line cannot be understood: ##{line}", f"line {number}") from None
        return header


@dataclass
class VariantRecords:
    """n records over the text that they stand in.

    data: uint8. columns: int64[n, 10], column j (CHROM to FORMAT) of record i is data[columns[i, j] : columns[i, j + 1] - 1]; the samples
    begin at columns[i, 9]. ends: int64[n], where each line ends (its newline). ref_id: int32[n]. start, end: int32[n], 0-based half-open
    span (INFO END where there is one). first: number of record 0 in the file, from 0. variant: what `has_variant` found, None before.
    """

    header: VariantHeader
    data: np.ndarray
    columns: np.ndarray
    ends: np.ndarray
    ref_id: np.ndarray
    start: np.ndarray
    end: np.ndarray
    first: int
    threads: int = 1
    variant: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.start)

    @property
    def samples(self) -> int:
        return len(self.header.samples)

    def place(self, row: int) -> str:
        """How messages name a record."""
        name = self.data[self.columns[row, 0] : self.columns[row, 1] - 1].tobytes().decode("latin-1")
        return f"{name}:{int(self.start[row]) + 1}"

    def problem(self, row: int, text: str) -> InputError:
        """The error that a record has this problem."""
        return InputError(self.header.path, text, self.place(row))

    def take(self, rows: np.ndarray | slice) -> "VariantRecords":
        """Some of the records, over the same text (of a slice: no copy). `first` loses its meaning."""
        return VariantRecords(self.header, self.data, self.columns[rows], self.ends[rows], self.ref_id[rows], self.start[rows],
                              self.end[rows], self.first, self.threads, None if self.variant is None else self.variant[rows])  # fmt: skip

    def compacted(self, rows: np.ndarray) -> "VariantRecords":
        """Some of the records, over text of their own."""
        return compacted([self], [rows], self.threads)[0]

    def column(self, j: int) -> TextColumn:
        """A fixed column as text (0 CHROM ... 8 FORMAT); '.' is absent in ID, QUAL, FILTER and INFO."""
        start, length = self.columns[:, j].copy(), (self.columns[:, j + 1] - 1 - self.columns[:, j]).astype(np.int32)
        if j in (2, 5, 6, 7) and len(start):
            length[(length == 1) & (self.data[start] == ord("."))] = MISSING
        return TextColumn(self.data, start, length)

    def alleles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(offset int64[n + 1], start int64, length int32): the allele texts of each record, REF first; an ALT of '.' is none."""
        n = len(self)
        count = np.empty(n, np.int64)
        run_chunks(kernel.count_alleles, n, self.threads, self.data, self.columns, count)
        offset = _offsets(count)
        start, length = np.empty(int(offset[-1]), np.int64), np.empty(int(offset[-1]), np.int32)
        run_chunks(kernel.fill_alleles, n, self.threads, self.data, self.columns, offset, start, length)
        return offset, start, length

    def has_variant(self) -> np.ndarray:
        """bool[n]: records with an ALT other than <NON_REF>."""
        if self.variant is None:
            out = np.empty(len(self), np.uint8)
            run_chunks(kernel.mark_variants, len(self), self.threads, self.data, self.columns, out)
            self.variant = out > 0
        return self.variant

    def check_reference(self, bases: np.ndarray) -> None:
        """Refuse records (of one contig) that are not of this reference. bases: uint8, upper case.

        Raises
        ------
        InputError: a record beyond the contig's end, or whose REF is not the reference's.
        """
        bad = run_chunks(kernel.find_other_reference, len(self), self.threads, self.data, self.columns, self.start, self.end, bases)
        self._check(bad, 1, OTHER_REFERENCE)

    def info(self, keys) -> tuple[dict[str, TextColumn], np.ndarray]:
        """INFO values by key (length 0: a flag), and int64[n]: where a key that is not asked for begins, -1 where there is none."""
        keys = list(keys)
        n, (text, offset) = len(self), text_values(keys)
        start, length, other = np.empty((len(keys), n), np.int64), np.empty((len(keys), n), np.int32), np.empty(n, np.int64)
        rows = np.arange(n)
        run_chunks(kernel.find_info, n, self.threads, self.data, self.columns, rows, text, offset, start, length, other)
        return {key: TextColumn(self.data, start[k], length[k]) for k, key in enumerate(keys)}, other

    def formats(self, keys) -> tuple[dict[str, TextColumn], np.ndarray]:
        """FORMAT values by key, rows record x sample ('.' is absent, but as GT), and the same int64[n] as `info` gives.

        Raises
        ------
        InputError: a sample with more values than FORMAT has keys.
        """
        keys = list(keys)
        n, rows, (text, offset) = len(self), len(self) * self.samples, text_values(keys)
        start, length, other = np.empty((len(keys), rows), np.int64), np.empty((len(keys), rows), np.int32), np.empty(n, np.int64)
        bad = run_chunks(kernel.find_format, n, self.threads, self.data, self.columns, self.ends, np.arange(n), self.samples, text, offset,
                         start, length, other)  # fmt: skip
        self._check(bad, 1, "a sample has more values than FORMAT has keys")
        return {key: TextColumn(self.data, start[k], length[k]) for k, key in enumerate(keys)}, other

    def key_at(self, position: int) -> str:
        """The name of the INFO or FORMAT key that begins at a place of the text, as `info` and `formats` give it."""
        text = self.data[position : position + 256].tobytes().decode("latin-1")
        for c in "=;:\t\n":
            text = text.partition(c)[0]
        return text

    def _check(self, bad, rows_per_record, text):
        bad = [b for b in bad if b >= 0]
        if bad:
            raise self.problem(min(bad) // rows_per_record, text)

    def _per_record(self, column):
        return max(1, len(column.start) // max(1, len(self)))

    def genotypes(self, gt: TextColumn) -> tuple[np.ndarray, np.ndarray]:
        """(int16[n, ploidy], uint8[n]) of GT texts: alleles (-1 no call, -2 beyond the ploidy or no GT), and whether any '|' parts them.

        Raises
        ------
        InputError: something that is not a genotype.
        """
        n = len(gt.start)
        ploidy = max(1, *run_chunks(kernel.largest_ploidy, n, self.threads, gt.data, gt.start, gt.length), 0)
        allele, phased = np.empty((n, ploidy), np.int16), np.empty(n, np.uint8)
        bad = run_chunks(kernel.parse_genotypes, n, self.threads, gt.data, gt.start, gt.length, allele, phased)
        self._check(bad, self._per_record(gt), "GT is not a genotype, expected allele numbers with / or | between")
        return allele, phased

    def ints(self, key: str, column: TextColumn) -> np.ndarray:
        """int32: a whole number a row, -1 where absent.

        Raises
        ------
        InputError: something else than a number; the message has `key`.
        """
        out = np.empty(len(column.start), np.int32)
        bad = run_chunks(kernel.parse_ints, len(out), self.threads, column.data, column.start, column.length, MISSING, out)
        self._check(bad, self._per_record(column), f"{key} is not a whole number")
        return out

    def int_lists(self, key: str, column: TextColumn) -> tuple[np.ndarray, np.ndarray]:
        """(int32 values, int64 offset) of comma-separated whole numbers; absent rows are empty. Raises as `ints`."""
        offset = self.value_offset(column)
        out = np.empty(int(offset[-1]), np.int32)
        bad = run_chunks(kernel.parse_int_lists, len(column.start), self.threads, column.data, column.start, column.length, offset, out)
        self._check(bad, self._per_record(column), f"{key} is not a list of whole numbers")
        return out, offset

    def value_offset(self, column: TextColumn) -> np.ndarray:
        """int64: how many comma-separated values each row has, as offsets."""
        count = np.empty(len(column.start), np.int64)
        run_chunks(kernel.count_values, len(count), self.threads, column.data, column.start, column.length, ord(","), count)
        return _offsets(count)

    def decimals(self, column: TextColumn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(float64 values, int64 offset, bool is_number) of comma-separated decimals, as Double.parseDouble; NaN where not a number."""
        offset, n = self.value_offset(column), len(column.start)
        out, exact = np.empty(int(offset[-1])), np.empty(int(offset[-1]), np.uint8)
        run_chunks(kernel.parse_decimal_lists, n, self.threads, column.data, column.start, column.length, offset, out, exact)
        number = exact > 0
        if not number.all():  # NaN, Infinity, more than 15 digits: rare
            start, length = np.empty(len(out), np.int64), np.empty(len(out), np.int32)
            run_chunks(kernel.value_spans, n, self.threads, column.data, column.start, column.length, offset, start, length)
            for k in np.flatnonzero(~number):
                text = column.data[start[k] : start[k] + length[k]].tobytes().decode("latin-1")
                try:
                    out[k], number[k] = float(text.replace("Infinity", "inf")), text.strip() == text and "_" not in text
                except ValueError:
                    out[k] = math.nan
        return out, offset, number


def compacted(parts: list[VariantRecords], rows: list[np.ndarray], threads: int = 1) -> list[VariantRecords]:
    """Some records (int64 rows) of each part, over one text of their own."""
    start = [p.columns[r, 0] for p, r in zip(parts, rows)]
    ends = [p.ends[r] for p, r in zip(parts, rows)]
    offset = _offsets(np.concatenate(ends) - np.concatenate(start) + 1)
    data, out, at = np.empty(int(offset[-1]), np.uint8), [], 0
    for p, r, s, e in zip(parts, rows, start, ends):
        begin = offset[at : at + len(r) + 1]
        run_chunks(kernel.copy_lines, len(r), threads if len(parts) == 1 else 1, p.data, s, data, begin)
        shift = begin[:-1] - s
        out.append(VariantRecords(p.header, data, p.columns[r] + shift[:, None], e + shift, p.ref_id[r], p.start[r], p.end[r], p.first,
                                  threads, None if p.variant is None else p.variant[r]))  # fmt: skip
        at += len(r)
    return out


class VariantFile:
    """A VCF (plain, gzip or BGZF) read in pieces.

    contigs: names of the contigs that records may lie on, in the order of their numbers (those of the reference); None: those of the
    header's contig lines. pieces: iterator of uint8 arrays of whole lines to read instead of the file (path: what messages call it).
    intervals: int64[k, 3] (ref_id, start, end), what will be asked for, or None: of a bgzipped file with a .tbi the rest is not read.

    Raises
    ------
    InputError: the file cannot be read, is no VCF, or has no #CHROM line.
    """

    def __init__(self, path: str, contigs=None, threads: int = 1, piece_bytes: int = PIECE_BYTES, pieces=None, intervals=None):
        self.path, self.threads = path, threads
        index = f"{path}.tbi"
        if intervals is None or pieces is not None or not is_bgzf(path) or not os.path.isfile(index):
            index = None
        self._lines = whole_lines(path, threads, _HEADER_PIECE_BYTES if index else piece_bytes) if pieces is None else pieces
        text, raw, at = np.empty(0, np.uint8), b"", -1
        for piece in self._lines:
            text = np.concatenate([text, piece]) if len(text) else piece
            raw = text.tobytes()
            at = raw.find(b"\n#CHROM")
            if at >= 0:
                break
        if at < 0:
            if not raw.startswith(b"##fileformat=VCF"):
                raise InputError(path, "is not a VCF: it does not begin with ##fileformat=VCF")
            raise InputError(path, "has no #CHROM line")
        stop = raw.find(b"\n", at + 1)
        stop = len(raw) if stop < 0 else stop
        self.header = VariantHeader.parse(path, raw[:stop])
        contigs = list(self.header.contigs if contigs is None else contigs)
        if index:
            self._lines.close()
            self._lines, text, stop = indexed_lines(path, query(index, intervals, contigs), threads, piece_bytes), text[:0], 0
        self._start_reading(contigs, text[stop:])

    def _start_reading(self, contigs, rest):
        """What `records` needs once the header is there. rest: text already read."""
        self._contigs = {name: i for i, name in enumerate(contigs)}
        self._rest = rest
        self._expected = 8 if not self.header.samples else 9 + len(self.header.samples)

    def records(self):
        """Iterator of VariantRecords in the order of the file; only once.

        Raises
        ------
        InputError: a line with another number of columns than #CHROM, a POS that is no number, an END before it, what cannot be alleles, a
        contig that is not among `contigs`, records out of order.
        """
        seen, last = 0, (-1, -1)
        for data in self._pieces():
            starts, ends = find_lines(data)
            n = len(starts)
            if n == 0:
                continue
            columns, same, problem = np.empty((n, kernel.FIXED_COLUMNS + 1), np.int64), np.empty(n, np.uint8), np.empty(n, np.uint8)
            start, end = np.empty(n, np.int32), np.empty(n, np.int32)
            run_chunks(kernel.parse_sites, n, self.threads, data, starts, ends, self._expected, columns, same, start, end, problem)
            if problem.any():
                row = int(np.argmax(problem > 0))
                raise self._site_problem(data, columns[row], int(problem[row]), seen + row + 1)
            ref_id = self._ref_ids(data, columns, same, seen)
            records = VariantRecords(self.header, data, columns, ends, ref_id, start, end, seen, self.threads)
            last = self._check_order(records, last)
            seen += n
            yield records

    def _site_problem(self, data, columns, problem, number):
        """The error of a record whose fixed columns have a problem. number: of the record, from 1."""
        fields = [data[a : b - 1].tobytes().decode("latin-1") for a, b in zip(columns[:-1], columns[1:])]
        if problem == kernel.FEW_COLUMNS:
            return InputError(self.path, f"expected {self._expected} tab-separated columns", f"record {number}")
        if problem == kernel.BAD_POS:
            return InputError(self.path, "expected numbers as POS and END", f"record {number}")
        text = {
            kernel.BAD_END: "INFO END is before POS", kernel.BAD_REF: f"REF {fields[3]!r}: expected bases out of A, C, G, T and N",
            kernel.BAD_ALT: f"ALT {fields[4]!r}: expected alleles of A, C, G, T and N, *, or symbolic ones",
            kernel.SAME_ALLELE: f"REF {fields[3]} and ALT {fields[4]} name an allele twice",
        }[problem]  # fmt: skip
        return InputError(self.path, text, f"{fields[0]}:{fields[1]}")

    def _pieces(self):
        if len(self._rest):
            rest, self._rest = self._rest, None
            yield rest
        yield from self._lines

    def _ref_ids(self, data, columns, same, seen):
        n = len(same)
        first = np.flatnonzero(same == 0)
        ids = np.empty(len(first), np.int32)
        for k, row in enumerate(first):  # a pass for each run of one contig
            name = data[columns[row, 0] : columns[row, 1] - 1].tobytes().decode("latin-1")
            if name not in self._contigs:
                raise InputError(self.path, f"the contig {name} is not one of the reference's", f"record {seen + row + 1}")
            ids[k] = self._contigs[name]
        return np.repeat(ids, np.diff(np.append(first, n)))

    def _check_order(self, records, last):
        key = records.ref_id.astype(np.int64) << 32 | records.start
        wrong = np.flatnonzero(np.diff(key) < 0)
        if len(wrong) or (last[0], last[1]) > (int(records.ref_id[0]), int(records.start[0])):
            row = int(wrong[0]) + 1 if len(wrong) else 0
            raise records.problem(row, "records are not sorted by position (in the reference's order of contigs)")
        return int(records.ref_id[-1]), int(records.start[-1])
