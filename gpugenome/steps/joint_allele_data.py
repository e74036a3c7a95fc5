"""Allele-specific raw annotations of merged records: sums and histograms by allele."""

from dataclasses import dataclass

import numpy as np

from gpugenome.kernels import joint_allele_data_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_text_cpu import compact
from gpugenome.variant_fields import FIXED, INT, TEXT, Field, render

STRANDS, APPROXIMATE_QUAL = "AS_SB_TABLE", "AS_QUALapprox"
SUMS = {"AS_RAW_MQ": 1, STRANDS: 2, APPROXIMATE_QUAL: 1}
"""Raw keys that are sums by allele, with how many numbers an allele has."""
HISTOGRAMS = ("AS_RAW_BaseQRankSum", "AS_RAW_MQRankSum", "AS_RAW_ReadPosRankSum")


@dataclass
class Histograms:
    """Histograms by allele: rows room[a] .. room[a] + size[a] of bins and counts (int64). present: uint8 by record."""

    present: np.ndarray
    room: np.ndarray
    bins: np.ndarray
    counts: np.ndarray
    size: np.ndarray


@dataclass
class AlleleData:
    """Raw values of n records: sums, key -> (float64[alleles, width], uint8[n] present, uint8[alleles] empty, whose text has no number);
    histograms by key. allele_offset: int64[n + 1]."""

    allele_offset: np.ndarray
    sums: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    histograms: dict[str, Histograms]

    def take(self, records: np.ndarray, alleles: np.ndarray, allele_offset: np.ndarray) -> "AlleleData":
        """Values of some records and of these of their alleles (int64 rows; allele_offset: of the new records)."""
        sums = {key: (values[alleles], present[records], empty[alleles]) for key, (values, present, empty) in self.sums.items()}
        return AlleleData(allele_offset, sums, {
            key: Histograms(h.present[records], h.room[alleles], h.bins, h.counts, h.size[alleles]) for key, h in self.histograms.items()
        })  # fmt: skip

    def present(self, keys) -> np.ndarray | None:
        """uint8[n]: records that have the raw key that is among `keys`; None where no record has."""
        for key in keys:
            if key in self.sums:
                return self.sums[key][1]
            if key in self.histograms:
                return self.histograms[key].present
        return None


def _offsets(lengths):
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def merge_allele_data(columns, allele_offset: np.ndarray, where, none_is_empty: bool, threads: int) -> AlleleData:
    """Raw values of merged records. columns: raw key -> TextColumn by source row. where: the kernels' arguments on entries and alleles.

    none_is_empty: sums of an allele that no row has are empty, as GenomicsDB gives them; CombineGVCFs gives 0.
    """
    out, n, alleles = AlleleData(allele_offset, {}, {}), len(allele_offset) - 1, int(allele_offset[-1])
    for key, column in columns.items():
        if key in SUMS:
            values, present, empty = np.zeros((alleles, SUMS[key])), np.empty(n, np.uint8), np.full(alleles, none_is_empty, np.uint8)
            run_chunks(kernel.sum_parts, n, threads, *where, column.start, column.length, SUMS[key], values, present, empty)
            out.sums[key] = values, present, empty
            continue
        none, present, size = np.zeros(1, np.int64), np.zeros(n, np.uint8), np.zeros(alleles, np.int64)
        most = max([0, *run_chunks(kernel.histograms, n, threads, *where, column.start, column.length, none, none, none, size, present)])
        room = np.arange(alleles + 1, dtype=np.int64) * most
        bins, counts = np.empty(int(room[-1]) + 1, np.int64), np.empty(int(room[-1]) + 1, np.int64)
        run_chunks(kernel.histograms, n, threads, *where, column.start, column.length, room, bins, counts, size, present)
        out.histograms[key] = Histograms(present, room, bins, counts, size)
    return out


def _text(n, threads, write):
    """A TEXT column's (values, offset): `write(fill, out, offset, length)` runs a kernel that counts or writes."""
    offset, out, length = np.zeros(n + 1, np.int64), np.empty(0, np.uint8), np.empty(n, np.int64)
    for fill in (False, True):
        write(fill, out, offset, length)
        if not fill:
            offset = _offsets(length)
            out = np.empty(int(offset[-1]), np.uint8)
    return out, offset


def raw_fields(data: AlleleData, threads: int) -> list[Field]:
    """The raw values as INFO fields of the records."""
    allele_offset = data.allele_offset
    n, count, fields = len(allele_offset) - 1, np.diff(allele_offset), []
    for key, (values, present, empty) in data.sums.items():
        given = np.repeat(present > 0, count)
        offset = _offsets(np.where(present > 0, count * SUMS[key], 0))
        kind, decimals = (FIXED, 2) if key == "AS_RAW_MQ" else (INT, 0)
        field = Field(key, kind, values[given].reshape(-1), offset, decimals, group=SUMS[key])
        fields.append(with_blanks(field, offset // SUMS[key], empty[given], "", threads) if key == STRANDS else field)
    for key, h in data.histograms.items():
        def write(*more, h=h):
            run_chunks(kernel.render_histograms, n, threads, allele_offset, h.present, h.room, h.bins, h.counts, h.size, *more)

        empty = (h.present > 0) & (count == 1)  # GATK writes an empty list where no ALT is left
        fields.append(Field(key, TEXT, *_text(n, threads, write), empty=empty, empty_text=""))
    return fields


def with_blanks(field: Field, offset: np.ndarray, blank: np.ndarray, mark: str, threads: int) -> Field:
    """A field with `mark` (a character at most) in place of some values.

    offset: int64[n + 1], the rows' values, or groups of them; blank: bool or uint8 by value or group.
    """
    if not blank.any():
        return field
    column, n = render(field, threads), len(offset) - 1
    length = column.length.copy()
    run_chunks(kernel.blank_parts, n, threads, column.data, column.start, length, ord("|" if field.group else ","), offset,
               blank.astype(np.uint8), ord(mark or "\0"))  # fmt: skip
    start = _offsets(np.maximum(length, 0))
    out = np.empty(int(start[-1]), np.uint8)
    run_chunks(compact, n, threads, column.data, column.start, out, start)
    return Field(field.key, TEXT, out, start)


def median_field(key: str, h: Histograms, present: np.ndarray, allele_offset: np.ndarray, allele_row: np.ndarray, threads: int) -> Field:
    """Medians of the ALTs' histograms of some calls. present: uint8 by call; allele_row: int64, the histogram of each allele."""
    n = len(allele_offset) - 1

    def write(*more):
        run_chunks(kernel.render_medians, n, threads, allele_offset, allele_row, present, h.room, h.bins, h.counts, h.size, *more)

    return Field(key, TEXT, *_text(n, threads, write))


def allele_inbreeding(calls, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """(float64 by allele, int64[c] samples it is made of). calls: `JointCalls`."""
    out, used = np.zeros(int(calls.allele_offset[-1])), np.empty(len(calls), np.int64)
    run_chunks(kernel.inbreeding, len(calls), threads, calls.allele_offset, calls.gt, calls.gq, calls.pl, calls.pl_offset, out, used)
    return out, used
