"""INFO and FORMAT values as typed columns, and columns of records as the bytes of VCF lines."""

from dataclasses import dataclass

import numpy as np

from gpugenome.kernels import vcf_text_cpu as kernel
from gpugenome.kernels.launch import run_chunks

INT, FIXED, DOUBLE, TEXT, FLAG, HISTOGRAM = "int", "fixed", "double", "text", "flag", "histogram"


@dataclass
class Field:
    """Values of one INFO key (a row a record) or FORMAT key (a row a record and sample, samples of a record side by side).

    kind: INT; FIXED, text with `decimals` digits after the point; DOUBLE, htsjdk's three formats by size; TEXT; FLAG;
    HISTOGRAM, GATK's raw rank sums by allele.
    values: int64, float64 or (TEXT) uint8 by offset int64[n+1]; a row without values is absent. FLAG has no values: a row is set where its
    offset grows. group: values of one allele where alleles are parted by '|' (0: commas everywhere). empty: bool[n], rows that are there
    without values, printed as `empty_text` (nothing: as a flag); None for no such row.
    """

    key: str
    kind: str
    values: np.ndarray
    offset: np.ndarray
    decimals: int = 0
    group: int = 0
    empty: np.ndarray | None = None
    empty_text: str = "."


def scalar_field(key: str, kind: str, values: np.ndarray, present: np.ndarray, decimals: int = 0) -> Field:
    """A field of at most one value a row. values: a value for every row; present: bool."""
    offset = np.zeros(len(present) + 1, np.int64)
    np.cumsum(present, out=offset[1:])
    return Field(key, kind, values[present], offset, decimals)


def flag_field(key: str, present: np.ndarray) -> Field:
    """A flag, set where `present`."""
    return scalar_field(key, FLAG, present, present)


@dataclass
class TextColumn:
    """Row i is data[start[i] : start[i] + length[i]]; length -1 is absent."""

    data: np.ndarray
    start: np.ndarray
    length: np.ndarray


def render(field: Field, threads: int = 1) -> TextColumn:
    """A field's rows as text."""
    column = _render(field, threads)
    if field.empty is None:
        return column
    empty, text = field.empty & (column.length < 0), np.frombuffer(field.empty_text.encode(), np.uint8)
    start = np.where(empty, len(column.data), column.start)
    return TextColumn(np.concatenate([column.data, text]), start, np.where(empty, len(text), column.length).astype(np.int32))


def _render(field, threads):
    n, offset = len(field.offset) - 1, field.offset
    if field.kind in (TEXT, FLAG):
        length = np.diff(offset).astype(np.int32)
        absent = length == 0
        if field.kind == FLAG:
            length[:] = 0
        length[absent] = -1
        return TextColumn(field.values if field.kind == TEXT else np.empty(0, np.uint8), offset[:-1], length)
    length = np.empty(n, np.int32)
    width = {INT: kernel.INT_WIDTH, FIXED: kernel.FIXED_WIDTH, DOUBLE: kernel.DOUBLE_WIDTH, HISTOGRAM: kernel.FIXED_WIDTH}[field.kind]
    values = np.ascontiguousarray(field.values, np.int64 if field.kind == INT else np.float64)
    out = np.empty(int(offset[-1]) * width, np.uint8)
    if field.kind == INT:
        run_chunks(kernel.render_ints, n, threads, values, offset, field.group, out, length)
    elif field.kind == FIXED:
        run_chunks(kernel.render_fixed, n, threads, values, offset, field.group, field.decimals, out, length)
    elif field.kind == DOUBLE:
        run_chunks(kernel.render_doubles, n, threads, values, offset, out, length)
    else:
        run_chunks(kernel.render_histograms, n, threads, values, offset, out, length)
    return TextColumn(out, offset[:-1] * width, length)


def render_qual(qual: np.ndarray, threads: int = 1) -> TextColumn:
    """The QUAL column of float64 phred values, NaN where missing."""
    n = len(qual)
    out, length = np.empty(n * kernel.FIXED_WIDTH, np.uint8), np.empty(n, np.int32)
    run_chunks(kernel.render_qual, n, threads, np.ascontiguousarray(qual, np.float64), out, length)
    return TextColumn(out, np.arange(n, dtype=np.int64) * kernel.FIXED_WIDTH, length)


def render_genotypes(allele: np.ndarray, phased: np.ndarray, threads: int = 1) -> TextColumn:
    """GT of rows int16[n, ploidy] (-1 no call, -2 beyond the sample's ploidy). phased: uint8[n]."""
    n, ploidy = allele.shape
    out, length = np.empty(n * 7 * ploidy, np.uint8), np.empty(n, np.int32)
    run_chunks(kernel.render_genotypes, n, threads, allele, phased, out, length)
    return TextColumn(out, np.arange(n, dtype=np.int64) * 7 * ploidy, length)


def repeated_text(text: str, present: np.ndarray) -> TextColumn:
    """The same text in every row where `present`."""
    data = np.frombuffer(text.encode(), np.uint8)
    return TextColumn(data, np.zeros(len(present), np.int64), np.where(present, len(data), -1).astype(np.int32))


def _stack(columns: list[TextColumn], n: int, base: int) -> tuple[np.ndarray, np.ndarray]:
    """start int64[k, n] and length int32[k, n] of columns that follow one another in the arena from `base` on."""
    start, length = np.empty((len(columns), n), np.int64), np.empty((len(columns), n), np.int32)
    for k, column in enumerate(columns):
        start[k], length[k] = column.start + base, column.length
        base += len(column.data)
    return start, length


def _key_text(keys):
    offset = np.zeros(len(keys) + 1, np.int64)
    np.cumsum([len(k) for k in keys], out=offset[1:])
    return np.frombuffer("".join(keys).encode() or b"\0", np.uint8), offset


def format_lines(contig: str, pos, allele_offset, allele_base, allele_base_offset, ids: TextColumn, qual: TextColumn, filters: TextColumn,
                 info: dict[str, TextColumn], samples: int, formats: dict[str, TextColumn], threads: int = 1):  # fmt: skip
    """Record lines of one contig: (uint8 text with newlines, int64 offsets).

    pos: int32[n], 0-based. Alleles of record i: rows allele_offset[i]..allele_offset[i+1] of the ragged allele_base, REF first.
    info: by key, in any order. formats: by key, rows record x sample; GT first, the others in any order. samples: 0 for sites only.
    """
    n = len(pos)
    info_keys = sorted(info)
    format_keys = sorted(formats, key=lambda k: (k != "GT", k)) if samples else []
    columns = [ids, qual, filters, *(info[k] for k in info_keys), *(formats[k] for k in format_keys)]
    arena = np.concatenate([c.data for c in columns])
    sizes = [len(c.data) for c in columns]
    site_start, site_length = _stack(columns[:3], n, 0)
    middle = 3 + len(info_keys)
    info_start, info_length = _stack(columns[3:middle], n, sum(sizes[:3]))
    format_start, format_length = _stack(columns[middle:], n * samples, sum(sizes[:middle]))
    info_key, info_key_offset = _key_text(info_keys)
    format_key, format_key_offset = _key_text(format_keys)
    name = np.frombuffer(contig.encode(), np.uint8)
    allele_bytes = allele_base_offset[allele_offset[1:]] - allele_base_offset[allele_offset[:-1]]
    # Every value with its separator, every key, the fixed columns: no line is longer.
    bound = allele_bytes + np.diff(allele_offset) + site_length.clip(1).sum(0) + info_length.clip(0).sum(0)
    bound += len(name) + 32 + info_key.size + 2 * len(info_keys) + format_key.size + len(format_keys) + 1
    if samples:
        bound += (format_length.clip(1) + 1).sum(0).reshape(n, samples).sum(1) + samples
    start = np.zeros(n + 1, np.int64)
    np.cumsum(bound, out=start[1:])
    text, length = np.empty(int(start[-1]), np.uint8), np.empty(n, np.int64)
    run_chunks(
        kernel.format_lines, n, threads, name, pos, allele_offset, allele_base, allele_base_offset, arena, site_start, site_length,
        info_start, info_length, info_key, info_key_offset, samples, format_start, format_length, format_key, format_key_offset,
        text, start, length,
    )  # fmt: skip
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(length, out=offset[1:])
    out = np.empty(int(offset[-1]), np.uint8)
    run_chunks(kernel.compact, n, threads, text, start, out, offset)
    return out, offset
