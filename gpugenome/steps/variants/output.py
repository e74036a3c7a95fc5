"""Records written again as htsjdk writes them: header lines, INFO sorted, QUAL and FILTER renewed, genotypes copied or encoded anew.

Source: htsjdk VCFEncoder, VariantContext.calcVCFGenotypeKeys.
"""

import numpy as np

from gpugenome._version import __version__
from gpugenome.columns import text_values
from gpugenome.gatk.vcf_lines import command_line as command_line_header
from gpugenome.io.variant_records import VariantHeader
from gpugenome.kernels import variant_filter_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_text_cpu import compact
from gpugenome.provenance import command_line
from gpugenome.steps.variants.sites import Sites, offsets
from gpugenome.variant_fields import INT, TextColumn, render, render_genotypes, render_qual, scalar_field

MOST_GENOTYPE_QUALITY = 99


def tool_lines(tool: str) -> list[str]:
    """Header lines that say what was run."""
    return [f"source=gpugenome {__version__}", command_line_header("gpugenome", tool, command_line(), __version__)]


def filter_column(sites: Sites, names: list[str], matched: np.ndarray, unfiltered: str | None, declared) -> TextColumn:
    """FILTER with the filters read (unless invalidated), the mask and new ones, sorted.

    names, matched: new filters and bool[len(names), n]. unfiltered: what records without filters get; None: PASS, or '.' where the field
    was that. declared: names that the header has.

    Raises
    ------
    InputError: a record with a filter that the header lacks.
    """
    sets, index, applied = sites.filters
    if sites.mask is not None:
        names, matched = [*names, sites.mask[0]], np.concatenate([matched, sites.mask[1][None]])
    found, code = np.unique(index * 2 + applied, return_inverse=True)
    combinations = [(set(sets[f >> 1]), f & 1) for f in found.tolist()]
    for name, one in zip(names, matched):
        found, code = np.unique(code * 2 + one, return_inverse=True)
        combinations = [(combinations[f >> 1][0] | ({name} if f & 1 else set()), combinations[f >> 1][1]) for f in found.tolist()]
    declared = {*declared, *names}
    texts = []
    for k, (chosen, was_applied) in enumerate(combinations):
        for name in chosen - declared:
            raise sites.records.problem(int(np.argmax(code == k)), f"FILTER has {name}, which the header does not declare")
        texts.append(";".join(sorted(chosen)) if chosen else unfiltered or ("PASS" if was_applied else "."))
    text, offset = text_values(texts)
    return TextColumn(text, offset[:-1][code], np.diff(offset)[code].astype(np.int32))


def info_columns(sites: Sites, dropped=()) -> dict[str, TextColumn]:
    """The INFO values to write, by key."""
    out, header = {}, sites.records.header
    for key, column in sites.info.items():
        if key in dropped:
            continue
        length, data, start = column.length, column.data, column.start
        if header.info[key][1] == "Flag":
            zero = (length == 1) & (data[start] == ord("0"))
            length = np.where(zero, -1, np.minimum(length, 0)).astype(np.int32)
        elif (length == 0).any():  # a key without a value is written with one that is missing
            data = np.append(data, np.uint8(ord(".")))
            start, length = np.where(length == 0, len(data) - 1, start), np.where(length == 0, 1, length).astype(np.int32)
        out[key] = TextColumn(data, start, length)
    for key, (values, rows) in sites.overrides.items():
        if key in dropped:
            continue
        made = render(values, sites.records.threads)
        if key not in out:
            out[key] = TextColumn(made.data, made.start, np.where(rows, made.length, -1).astype(np.int32))
            continue
        read = out[key]
        start = np.where(rows, made.start + len(read.data), read.start)
        length = np.where(rows, made.length, read.length).astype(np.int32)
        out[key] = TextColumn(np.concatenate([read.data, made.data]), start, length)
    return out


def format_columns(sites: Sites, rows: np.ndarray, ft: TextColumn | None, dropped=()):
    """FORMAT values to write where genotypes are encoded anew, by key.

    rows: the records in question. ft: new FT texts, length -1 for unfiltered genotypes; None: those that there are.

    Raises
    ------
    InputError: a FORMAT key that the header lacks; GL without PL.
    """
    g, records, threads = sites.genotypes, sites.records, sites.records.threads
    bad = rows[g.other[rows] >= 0]
    if len(bad):
        key = records.key_at(int(g.other[bad[0]]))
        raise records.problem(int(bad[0]), f"FORMAT has {key}, which the header does not declare")
    out = {key: column for key, column in g.formats.items() if key not in ("GT", "FT", "GL")}
    if "GL" in g.formats:
        alone = (g.text("GL").length >= 0) & (g.text("PL").length < 0)
        alone = alone.reshape(-1, g.samples).any(1)[rows]
        if alone.any():
            raise records.problem(int(rows[np.argmax(alone)]), "GL without PL: not supported where genotypes have to be written anew")
    if "GQ" in out:
        gq = g.number("GQ")
        out["GQ"] = render(scalar_field("GQ", INT, np.minimum(gq, MOST_GENOTYPE_QUALITY), gq != -1), threads)
    out = {key: column for key, column in out.items() if key not in dropped}
    if "GT" in g.formats:
        gt = render_genotypes(np.ascontiguousarray(g.allele), g.phased, threads)
        gt.length[g.allele[:, 0] == -2] = -1
        out["GT"] = gt
    ft = g.ft if ft is None else ft
    if ft is not None:
        some = np.repeat((ft.length >= 0).reshape(-1, g.samples).any(1), g.samples)
        passing = some & (ft.length < 0)
        data = np.concatenate([ft.data, np.frombuffer(b"PASS", np.uint8)])
        out["FT"] = TextColumn(data, np.where(passing, len(ft.data), ft.start), np.where(passing, 4, ft.length).astype(np.int32))
    return out


def _qual_column(sites):
    """The QUAL column: two decimals; a QUAL that reads NaN stays that."""
    column = render_qual(sites.qual * -10 + 0.0, sites.records.threads)
    odd = np.isnan(sites.qual)
    start = np.where(odd, len(column.data), column.start)
    length = np.where(sites.no_qual, -1, np.where(odd, 3, column.length)).astype(np.int32)
    return TextColumn(np.concatenate([column.data, np.frombuffer(b"NaN", np.uint8)]), start, length)


class Lines:
    """Collects texts in one arena and writes records of it."""

    def __init__(self, sites: Sites):
        self.sites, self.parts, self.size = sites, [sites.records.data], len(sites.records.data)
        self._places = {id(sites.records.data): 0}

    def add(self, column: TextColumn) -> tuple[np.ndarray, np.ndarray]:
        """start int64 and length int32 of a column in the arena."""
        if id(column.data) not in self._places:
            self._places[id(column.data)] = self.size
            self.parts.append(column.data)
            self.size += len(column.data)
        return column.start + self._places[id(column.data)], column.length

    def stack(self, columns: dict[str, TextColumn], keys, n) -> tuple[np.ndarray, np.ndarray]:
        """int64[k, n] and int32[k, n] of several columns."""
        start, length = np.empty((len(keys), n), np.int64), np.empty((len(keys), n), np.int32)
        for k, key in enumerate(keys):
            start[k], length[k] = self.add(columns[key])
        return start, length

    def write(self, rows: np.ndarray, filters: TextColumn, info: dict[str, TextColumn], tail: np.ndarray, formats: dict[str, TextColumn],
              samples: int):  # fmt: skip
        """(uint8 text, int64 offsets) of records `rows`, in that order.

        tail: uint8[n], see `kernels.variant_filter_cpu.write_lines`. formats: rows record x `samples`.

        Raises
        ------
        InputError: an INFO key that the header lacks.
        """
        s, records = self.sites, self.sites.records
        bad = rows[s.undeclared[rows] >= 0] if s.info is not None else rows[:0]
        if len(bad):
            key = records.key_at(int(s.undeclared[bad[0]]))
            raise records.problem(int(bad[0]), f"INFO has {key}, which the header does not declare")
        n, threads = s.n, records.threads
        site_start, site_length = self.stack({"QUAL": _qual_column(s), "FILTER": filters}, ("QUAL", "FILTER"), n)
        info_keys = sorted(info)
        format_keys = sorted(formats, key=lambda key: (key != "GT", key))
        info_start, info_length = self.stack(info, info_keys, n)
        format_start, format_length = self.stack(formats, format_keys, n * samples)
        info_key, info_key_offset = text_values(info_keys)
        format_key, format_key_offset = text_values(format_keys)
        # Every value with its separator, every key, the line read: no line is longer.
        bound = (records.ends - records.columns[:, 0]) + site_length.clip(1).sum(0) + info_length.clip(0).sum(0)
        bound += 64 + info_key.size + 2 * len(info_keys) + format_key.size + len(format_keys)
        if format_keys:
            bound += (format_length.clip(1) + 1).sum(0).reshape(n, samples).sum(1) + samples
        start = offsets(bound[rows])
        text, length = np.empty(int(start[-1]), np.uint8), np.empty(len(rows), np.int64)
        run_chunks(
            kernel.write_lines, len(rows), threads, rows, np.concatenate(self.parts), records.columns, records.ends,
            s.start, s.allele_offset, s.allele_start, s.allele_length, site_start, site_length, info_start, info_length, info_key,
            info_key_offset, tail, samples, format_start, format_length, format_key, format_key_offset, text, start, length,
        )  # fmt: skip
        offset = offsets(length)
        out = np.empty(int(offset[-1]), np.uint8)
        run_chunks(compact, len(rows), threads, text, start, out, offset)
        return out, offset


def samples_unsorted(header: VariantHeader) -> bool:
    """Whether the sample columns are not in the order of their names; htsjdk then encodes all genotypes anew."""
    return header.samples != sorted(header.samples)


class OrderedWriter:
    """Hands lines of several contigs to a `io.vcf.VariantWriter`, in order; lines wait until nothing can come before them."""

    def __init__(self, writer):
        self.writer = writer
        self._last_source = -1
        self._waiting = (np.empty(0, np.uint8), np.zeros(1, np.int64), [np.empty(0, np.int32) for _ in range(4)])

    def finish(self) -> None:
        """Write what still waits."""
        self.write(np.empty(0, np.uint8), np.zeros(1, np.int64), *(np.empty(0, np.int32) for _ in range(3)))

    def write(self, text, offset, ref_id, start, end, read_to=None, source=None) -> None:
        """More lines.

        text, offset, start, end: see `VariantWriter.write`. ref_id: int32[n]. source: int32[n], which of two a line is of, 0 for all
        by default; lines of a source are in order. read_to: (ref_id, start) up to which all lines are there, later ones wait; None: nothing
        waits. Lines that have the same place stay in the order in which they came, and follow `kernels.variant_filter_cpu.merge_sources`
        where they are of two sources.
        """
        columns = [ref_id, start, end, np.zeros(len(start), np.int32) if source is None else source]
        old_text, old_offset, old = self._waiting
        text = np.concatenate([old_text, text])
        offset = np.concatenate([old_offset, offset[1:] + len(old_text)])
        columns = [np.concatenate(pair) for pair in zip(old, columns)]
        key, source = columns[0].astype(np.int64) << 32 | columns[1], columns[3]
        ready = np.ones(len(key), bool) if read_to is None else key <= (read_to[0] << 32 | read_to[1])
        runs = [np.flatnonzero(ready & (source == k)) for k in range(2)]
        runs = [rows[np.argsort(key[rows], kind="stable")] for rows in runs]
        merged = np.empty(int(ready.sum()), np.int64)
        self._last_source = kernel.merge_sources(key[runs[0]], key[runs[1]], self._last_source, merged)
        n = len(merged)
        order = np.concatenate([np.concatenate(runs)[merged], np.flatnonzero(~ready)])
        text, offset, columns = in_order(order, text, offset, columns)
        self._waiting = (text[offset[n] :], offset[n:] - offset[n], [c[n:] for c in columns])
        ref_id, start, end, _ = (c[:n] for c in columns)
        edges = [0, *(np.flatnonzero(np.diff(ref_id)) + 1).tolist(), n]
        for a, b in zip(edges[:-1], edges[1:]):  # a pass for each contig
            if b > a:
                self.writer.write(text, offset[a : b + 1], int(ref_id[a]), start[a:b], end[a:b])


def in_order(order, text, offset, columns):
    """Lines (text, offset) in another order, and arrays of a value a line in the same order."""
    source = offset[order]
    placed = offsets(offset[order + 1] - source)
    out = np.empty(len(text), np.uint8)
    compact(0, len(order), text, source, out, placed)
    return out, placed, [c[order] for c in columns]
