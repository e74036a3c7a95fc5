"""GVCF records of one or several files as columns, and records of the same position merged into one.

`source_rows` parses what merging needs of chosen records; `merge` makes `JointRecords` of them, for GenotypeGVCFs (one record each, or
those of several files, without <NON_REF>) and for CombineGVCFs (with it).
Source: specification chapter "GVCF and joint genotyping", 8.1, 9.3.
"""

from dataclasses import dataclass

import numpy as np

from gpugenome.errors import InputError
from gpugenome.gatk.genotype_likelihoods import choose_table
from gpugenome.io.variant_records import VariantRecords
from gpugenome.kernels import joint_allele_data_cpu as raw_kernel
from gpugenome.kernels import joint_merge_cpu as kernel
from gpugenome.kernels import variant_records_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.joint_allele_data import HISTOGRAMS, STRANDS, SUMS, AlleleData, merge_allele_data
from gpugenome.variant_fields import TextColumn

PARSED_FORMATS = ("GT", "AD", "DP", "GQ", "PL", "MIN_DP")
RAW_MQ = "RAW_MQandDP"
MAX_PRINTED_GQ = 99
# TLOD goes to FORMAT for somatic inputs only, which are not supported; the others are dropped for all. Source:
# ReferenceConfidenceVariantContextMerger.addReferenceConfidenceAttributes, Mutect2FilteringEngine.
SOMATIC_INFO = ("TLOD", "POPAF", "MMQ", "MBQ", "MPOS", "MFRL")
STALE_INFO = ("AC", "AF", "AN", "MLEAC", "MLEAF", "END", "DP", "ECNTH", "ECNT")
"""INFO keys that merging drops or works out itself."""
SUMMED_BY_SAMPLE = ("MQ_DP", "QUALapprox", "RAW_GT_COUNT", "VarDP")
"""Numeric INFO keys of which GenomicsDB takes sums, as CombineGVCFs does not. Source: GATKGenomicsDBUtils."""


def offsets(lengths) -> np.ndarray:
    """int64[n + 1]: where rows of these lengths begin."""
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def concat_ragged(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Ragged columns (values, int64 offset) one after the other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([v for v, _ in parts]), offsets(np.concatenate([np.diff(o) for _, o in parts]))


@dataclass
class InputKeys:
    """What the headers of the inputs declare: numeric INFO keys (True: Integer), FORMAT keys that are carried as text, and which raw
    annotations are summed up."""

    numeric: dict[str, bool]
    texts: tuple[str, ...]
    raw: tuple[str, ...] = (RAW_MQ,)

    @classmethod
    def of(cls, headers, annotations) -> "InputKeys":
        """The keys of some `VariantHeader` (a key that is Float in one of them is Float) with the annotations of a run."""
        numeric, texts = {}, {}
        raw = {key for a in annotations for key in a.raw_keys if key == RAW_MQ or key in SUMS or key in HISTOGRAMS}
        for header in headers:
            for key, (_, kind) in header.info.items():
                if kind in ("Integer", "Float") and key not in STALE_INFO and key not in SOMATIC_INFO and key not in raw:
                    numeric[key] = kind == "Integer" and numeric.get(key, True)
            texts.update(dict.fromkeys(k for k in header.formats if k not in PARSED_FORMATS))
        return cls(numeric, tuple(texts), tuple(sorted(raw)))


@dataclass
class SourceRows:
    """n records of some files, sorted by file, with q genotypes in all (the samples of a record's file side by side).

    data: uint8 text. start, end: int32[n]. allele_offset int64[n + 1], allele_start, allele_length: allele texts, REF first.
    genotype_offset: int64[n + 1]. column: int32[q], the sample of the output. allele: int16[q, p]; phased: uint8[q]; ploidy: int32[q]; gq,
    dp, min_dp: int32[q], -1 absent. pl, ad: int32 by int64[q + 1]. texts: other FORMAT keys, rows q. depth: int64[n], INFO DP or what the
    samples have; has_depth: bool[n], INFO DP is there. ids: n rows. numeric: INFO key -> (float64, int64[n + 1], bool). raw_mq:
    int64[n, 2], -1 where absent. allele_raw: allele-specific raw INFO keys, rows n.
    """

    parts: list[VariantRecords]
    data: np.ndarray
    start: np.ndarray
    end: np.ndarray
    allele_offset: np.ndarray
    allele_start: np.ndarray
    allele_length: np.ndarray
    genotype_offset: np.ndarray
    column: np.ndarray
    allele: np.ndarray
    phased: np.ndarray
    ploidy: np.ndarray
    gq: np.ndarray
    dp: np.ndarray
    min_dp: np.ndarray
    pl: np.ndarray
    pl_offset: np.ndarray
    ad: np.ndarray
    ad_offset: np.ndarray
    texts: dict[str, TextColumn]
    depth: np.ndarray
    has_depth: np.ndarray
    ids: TextColumn
    numeric: dict[str, tuple]
    raw_mq: np.ndarray
    allele_raw: dict[str, TextColumn]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def alleles(self) -> tuple:
        return self.data, self.allele_offset, self.allele_start, self.allele_length

    def problem(self, row: int, text: str) -> InputError:
        """The error that a record has this problem."""
        for part in self.parts:
            if row < len(part):
                return part.problem(row, text)
            row -= len(part)
        raise IndexError(row)


def _raw_mq(records, column):
    values, offset, number = records.decimals(column)
    count = np.diff(offset)
    wrong = np.flatnonzero((count > 0) & (count != 2))
    if len(wrong) or not (number & (values == np.floor(values))).all():
        row = int(wrong[0]) if len(wrong) else int(np.searchsorted(offset, np.argmin(number), "right")) - 1
        raise records.problem(row, f"{RAW_MQ} is not two whole numbers")
    out = np.full((len(records), 2), -1, np.int64)
    out[count == 2] = values.reshape(-1, 2)
    return out


def _allele_raw(records, key, column, allele_offset):
    """An allele-specific raw value as it is; sums are checked."""
    if key in SUMS:
        count = np.empty(len(records), np.int64)
        some = (column.data, column.start, column.length)
        run_chunks(variant_records_cpu.count_values, len(records), records.threads, *some, ord("|"), count)
        alleles = np.diff(allele_offset)
        wrong = np.flatnonzero((column.length >= 0) & ((count > alleles) | ((count < alleles) & (key == STRANDS))))
        if len(wrong):
            raise records.problem(int(wrong[0]), f"{key} has not as many values as there are alleles")
        bad = [b for b in run_chunks(raw_kernel.find_bad_sums, len(records), records.threads, *some) if b >= 0]
        if bad:
            raise records.problem(min(bad), f"{key} is not a list of numbers")
    return column


def _numeric_values(records, column, whole):
    """Values of a numeric INFO key as `VariantRecords.decimals` gives them; of a list of Integers only the first.

    GATK cuts the list's text at commas and leaves the blank behind each, at which Integer.parseInt fails and Double.parseDouble does not.
    """
    values, offset, number = records.decimals(column)
    if whole:
        there = offset[1:] > offset[:-1]
        first = offset[:-1][there]
        values, offset, number = values[first], np.concatenate([[0], np.cumsum(there)]), number[first]
    return values, offset, number


def _parse(records: VariantRecords, keys: InputKeys, default_ploidy: int) -> dict:
    """Everything of some records but which columns their samples are."""
    n, samples = len(records), records.samples
    formats, _ = records.formats([*PARSED_FORMATS, *keys.texts])
    allele, phased = records.genotypes(formats["GT"])
    alleles = records.alleles()
    beyond = np.flatnonzero(allele.max(1).reshape(n, samples).max(1, initial=-1) >= np.diff(alleles[0]))
    if len(beyond):
        raise records.problem(int(beyond[0]), "GT names an allele that the record does not have")
    without = formats["GT"].length < 0
    if without.any():
        allele = np.pad(allele, ((0, 0), (0, max(0, default_ploidy - allele.shape[1]))), constant_values=-2)
        allele[without, :default_ploidy] = -1
    info, _ = records.info(["DP", *keys.raw, *keys.numeric])
    dp, min_dp = records.ints("DP", formats["DP"]), records.ints("MIN_DP", formats["MIN_DP"])
    sample_depth = np.where(min_dp >= 0, min_dp, np.maximum(dp, 0)).reshape(n, samples).sum(1, dtype=np.int64)
    depth = records.ints("INFO DP", info["DP"])
    return {
        "allele": allele, "phased": phased, "gq": records.ints("GQ", formats["GQ"]), "dp": dp, "min_dp": min_dp,
        "pl": records.int_lists("PL", formats["PL"]), "ad": records.int_lists("AD", formats["AD"]),
        "texts": {k: formats[k] for k in keys.texts}, "ids": records.column(2),
        "depth": np.where(depth >= 0, depth, sample_depth), "has_depth": depth >= 0,
        "numeric": {k: _numeric_values(records, info[k], whole) for k, whole in keys.numeric.items()},
        "allele_raw": {k: _allele_raw(records, k, info[k], alleles[0]) for k in keys.raw if k != RAW_MQ},
        "raw_mq": _raw_mq(records, info[RAW_MQ]) if RAW_MQ in keys.raw else np.full((n, 2), -1, np.int64),
        "genotypes": np.full(n, samples), "alleles": alleles,
    }  # fmt: skip


def _as_one(parts, data, base, threads):
    """Records of files with equally many samples as those of one. data: the texts of all; base: where that of each part begins."""
    at = np.repeat(np.array(base), [len(p) for p in parts])

    def join(name):
        return np.concatenate([getattr(p, name) for p in parts])

    return VariantRecords(parts[0].header, data, join("columns") + at[:, None], join("ends") + at, join("ref_id"), join("start"),
                          join("end"), 0, threads)  # fmt: skip


def source_rows(parts: list[VariantRecords], columns: list, keys: InputKeys, default_ploidy: int = 2, threads: int = 1) -> SourceRows:
    """Parse records. parts: of each file, in order (of one: on its threads). columns: for each part, the output's number of each of its
    samples.

    Raises
    ------
    InputError: values that are not what their key asks for.
    """
    # parts of one piece of text share it
    arenas, base, at = [], [], 0
    known: dict[int, int] = {}
    for p in parts:
        if id(p.data) not in known:
            known[id(p.data)] = at
            arenas.append(p.data)
            at += len(p.data)
        base.append(known[id(p.data)])
    data = arenas[0] if len(arenas) == 1 else np.concatenate(arenas)
    column = np.concatenate([np.tile(np.asarray(c, np.int32), len(p)) for p, c in zip(parts, columns)])
    files = parts
    if len(parts) > 1 and len({p.samples for p in parts}) == 1:  # of many files at once
        parts, base = [_as_one(parts, data, base, threads)], [0]
    try:
        found = [_parse(p, keys, default_ploidy) for p in parts]
    except InputError:
        for p in files:  # the first of them that has the problem names its file
            _parse(p, keys, default_ploidy)
        raise

    def joined(name):
        return np.concatenate([f[name] for f in found]) if len(found) > 1 else found[0][name]

    def text(columns):
        return TextColumn(data, np.concatenate([c.start + b for c, b in zip(columns, base)]), np.concatenate([c.length for c in columns]))

    ploidies = max(f["allele"].shape[1] for f in found)
    for f in found:
        f["allele"] = np.pad(f["allele"], ((0, 0), (0, ploidies - f["allele"].shape[1])), constant_values=-2)
    allele = joined("allele")
    allele_start = np.concatenate([f["alleles"][1] + b for f, b in zip(found, base)])
    allele_length, allele_offset = concat_ragged([(f["alleles"][2], f["alleles"][0]) for f in found])
    pl, pl_offset = concat_ragged([f["pl"] for f in found])
    ad, ad_offset = concat_ragged([f["ad"] for f in found])
    numeric = {}
    for key in keys.numeric:
        values, offset = concat_ragged([f["numeric"][key][:2] for f in found])
        if len(values):
            numeric[key] = values, offset, np.concatenate([f["numeric"][key][2] for f in found])
    texts = {k: text([f["texts"][k] for f in found]) for k in keys.texts}
    allele_raw = {k: text([f["allele_raw"][k] for f in found]) for k in keys.raw if k != RAW_MQ}
    return SourceRows(
        files, data, np.concatenate([p.start for p in parts]), np.concatenate([p.end for p in parts]), allele_offset, allele_start,
        allele_length, offsets(joined("genotypes")), column, allele, joined("phased"),
        (allele != -2).sum(1).astype(np.int32), joined("gq"), joined("dp"), joined("min_dp"), pl, pl_offset, ad, ad_offset,
        {k: c for k, c in texts.items() if (c.length >= 0).any()}, joined("depth"), joined("has_depth"),
        text([f["ids"] for f in found]), numeric, joined("raw_mq"),
        {k: c for k, c in allele_raw.items() if (c.length >= 0).any()},
    )  # fmt: skip


@dataclass
class Entries:
    """Which source rows each of n output records takes, in the order in which alleles are collected.

    pos: int32[n], 0-based position. offset: int64[n + 1]; row: int64[e]. ref_base: uint8[n], REF where no row starts at pos.
    slot: int32[e] or None: with several rows of the same sample, which set of sample columns each takes.
    """

    pos: np.ndarray
    offset: np.ndarray
    row: np.ndarray
    ref_base: np.ndarray
    slot: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pos)

    @classmethod
    def each(cls, rows: SourceRows) -> "Entries":
        """An output record for each row."""
        n = len(rows)
        return cls(rows.start, np.arange(n + 1), np.arange(n), np.zeros(n, np.uint8))


@dataclass(kw_only=True)
class JointColumns:
    """What n merged records or calls of s samples have in common.

    start: int32[n], 0-based. Alleles: allele_offset int64[n + 1]; texts allele_base by allele_base_offset. gt: int16[n, s, p], -2 beyond
    the ploidy or where there is no genotype; phased: uint8[n, s]; gq, dp, min_dp: int32[n, s], -1 absent. pl, ad: int32 by
    int64[n * s + 1]. texts: other FORMAT keys, rows n * s. depth: int64[n], -1 where INFO does not show one. numeric: INFO key ->
    (float64[n], bool[n] present). raw_mq: int64[n, 2], -1 absent. ids: n rows. allele_data: allele-specific raw annotations.
    """

    start: np.ndarray
    allele_offset: np.ndarray
    allele_base: np.ndarray
    allele_base_offset: np.ndarray
    gt: np.ndarray
    phased: np.ndarray
    gq: np.ndarray
    dp: np.ndarray
    min_dp: np.ndarray
    pl: np.ndarray
    pl_offset: np.ndarray
    ad: np.ndarray
    ad_offset: np.ndarray
    texts: dict[str, TextColumn]
    depth: np.ndarray
    numeric: dict[str, tuple[np.ndarray, np.ndarray]]
    raw_mq: np.ndarray
    ids: TextColumn
    allele_data: AlleleData

    def __len__(self) -> int:
        return len(self.start)


@dataclass(kw_only=True)
class JointRecords(JointColumns):
    """Records at one contig's positions, ascending.

    code: int64 by allele, 0, or `kernels.joint_merge_scalar`'s REFERENCE, SPANNING, NON_REF. ploidy: int32[n, s], 0 where the sample has no
    genotype.
    """

    code: np.ndarray
    ploidy: np.ndarray

    @property
    def n_alleles(self) -> np.ndarray:
        return np.diff(self.allele_offset)


def _sample_sources(rows: SourceRows, entries: Entries, samples: int):
    """(row_of, entry_of, genotype_of): int64[n * samples], -1 for a sample without a genotype."""
    n = len(entries)
    record = np.repeat(np.arange(n), np.diff(entries.offset))
    count = np.diff(rows.genotype_offset)[entries.row]
    entry = np.repeat(np.arange(len(entries.row)), count)
    genotype = np.arange(len(entry)) - np.repeat(offsets(count)[:-1] - rows.genotype_offset[entries.row], count)
    at = record[entry] * samples + rows.column[genotype]
    if entries.slot is not None:
        at += entries.slot[entry] * (samples // (int(entries.slot.max(initial=0)) + 1))
    out = [np.full(n * samples, -1, np.int64) for _ in range(3)]
    out[0][at], out[1][at], out[2][at] = entries.row[entry], entry, genotype
    return out


def _alleles(rows, entries, mode, threads):
    n = len(entries)
    where = entries.offset, entries.row, entries.pos, rows.start, *rows.alleles, mode
    count, size, problem = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.uint8)
    run_chunks(kernel.count_alleles, n, threads, *where, count, size, problem)
    if problem.any():
        i = int(np.argmax(problem > 0))
        text = "its REF is not that of another record at this position: GVCFs of different references"
        if problem[i] == kernel.NO_NON_REF:
            text = "has no <NON_REF> allele: not a GVCF of HaplotypeCaller"
        raise rows.problem(_culprit(rows, entries, i, int(problem[i])), text)
    allele_offset = offsets(count)
    byte_offset = offsets(size)
    map_offset = offsets(np.repeat(count, np.diff(entries.offset)))
    base, base_offset = np.empty(int(byte_offset[-1]), np.uint8), np.empty(int(allele_offset[-1]) + 1, np.int64)
    base_offset[-1] = byte_offset[-1]
    code, source = np.empty(int(allele_offset[-1]), np.int64), np.empty(int(map_offset[-1]), np.int16)
    many_stars = np.empty(len(entries.row), np.uint8)
    run_chunks(kernel.fill_alleles, n, threads, *where, entries.ref_base, allele_offset, byte_offset, base, base_offset, code, map_offset,
               source, many_stars)  # fmt: skip
    return allele_offset, base, base_offset, code, map_offset, source, many_stars


def _culprit(rows, entries, record, problem):
    """The source row that a problem of an output record is about."""
    mine = entries.row[entries.offset[record] : entries.offset[record + 1]]
    here = mine[rows.start[mine] == entries.pos[record]]
    if problem == kernel.OTHER_REF:
        return int(here[-1])
    for r in mine:
        alleles = range(int(rows.allele_offset[r]), int(rows.allele_offset[r + 1]))
        if b"<NON_REF>" not in [rows.data[rows.allele_start[a] : rows.allele_start[a] + rows.allele_length[a]].tobytes() for a in alleles]:
            return int(r)
    return int(mine[0])


def _taken(column, genotype, absent, cleared=None):
    """Values of the source genotypes that samples take."""
    out = column[np.maximum(genotype, 0)] if len(column) else np.full(len(genotype), absent, column.dtype)
    gone = genotype < 0 if cleared is None else (genotype < 0) | cleared
    out[gone] = absent
    return out


def _sums(values, entries, rows):
    """Sum of a row's values over the entries of each record that start there; with the number of rows that have them."""
    record = np.repeat(np.arange(len(entries)), np.diff(entries.offset))
    here = (rows.start[entries.row] == entries.pos[record]) & (values[entries.row, 0] >= 0)
    out = np.zeros((len(entries), values.shape[1]), np.int64)
    np.add.at(out, record[here], values[entries.row[here]])
    return out, np.bincount(record[here], minlength=len(entries))


def merge(rows: SourceRows, entries: Entries, samples: int, mode: int, threads: int = 1, by_sample: bool = False) -> JointRecords:
    """Output records of source rows.

    mode: GENOTYPE, COMBINE_AND_GENOTYPE or COMBINE of `kernels.joint_merge_cpu`. Genotypes of several files are no-calls, those of one
    file stay if they say something. by_sample: AS_SB_TABLE of an allele that only other positions have is empty, and some keys are sums, as
    GenomicsDB gives them.

    Raises
    ------
    InputError: a record without <NON_REF>, REFs that contradict each other, a PL of another length than its alleles ask for.
    """
    n, d = len(entries), len(entries) * samples
    allele_offset, base, base_offset, code, map_offset, source, many_stars = _alleles(rows, entries, mode, threads)
    row_of, entry_of, genotype = _sample_sources(rows, entries, samples)
    ploidy = _taken(rows.ploidy, genotype, 0)
    most = int(max(np.diff(allele_offset).max(initial=1), np.diff(rows.allele_offset).max(initial=1)))
    choose = choose_table(most, rows.allele.shape[1])
    where = samples, entries.pos, row_of, entry_of
    if mode == kernel.COMBINE:
        cleared = np.zeros(d, bool)
        gt = np.where(np.arange(rows.allele.shape[1]) < ploidy[:, None], -1, -2).astype(np.int16)
    else:
        called = rows.allele if mode == kernel.GENOTYPE else np.minimum(rows.allele, -1)
        gt, dropped = np.empty((d, rows.allele.shape[1]), np.int16), np.empty(d, np.uint8)
        bad = run_chunks(kernel.merged_calls, n, threads, *where, genotype, rows.start, *rows.alleles, allele_offset, code, map_offset,
                         source, called, rows.gq, rows.dp, rows.pl, rows.pl_offset, gt, dropped)  # fmt: skip
        _check(rows, entries, bad, "GT names an allele that the record does not have")
        cleared = dropped > 0
    kept = np.where(cleared, -1, genotype)
    alleles = np.repeat(np.diff(allele_offset), samples)
    pl_offset = offsets(np.where((kept >= 0) & (np.diff(rows.pl_offset)[kept] > 0), choose[alleles, ploidy], 0))
    ad_offset = offsets(np.where((kept >= 0) & (np.diff(rows.ad_offset)[kept] > 0), alleles, 0))
    pl, ad = np.empty(int(pl_offset[-1]), np.int32), np.empty(int(ad_offset[-1]), np.int32)
    bad = run_chunks(kernel.remap_values, n, threads, *where, rows.start, *rows.alleles, allele_offset, code, map_offset, source,
                     many_stars, rows.ploidy, kept, rows.pl, rows.pl_offset, rows.ad, rows.ad_offset, choose, pl, pl_offset, ad,
                     ad_offset)  # fmt: skip
    _check(rows, entries, bad, "PL has another number of values than its alleles and ploidy ask for")
    raw, some = _sums(rows.raw_mq, entries, rows)
    raw[some == 0] = -1
    shape = (n, samples)
    return JointRecords(
        start=entries.pos, allele_offset=allele_offset, allele_base=base, allele_base_offset=base_offset, code=code,
        gt=gt.reshape(*shape, gt.shape[1]), phased=_taken(rows.phased, genotype, 0).reshape(shape), ploidy=ploidy.reshape(shape),
        gq=_taken(rows.gq, kept, -1).reshape(shape), dp=_taken(rows.dp, kept, -1).reshape(shape),
        min_dp=_taken(rows.min_dp, kept, -1).reshape(shape), pl=pl, pl_offset=pl_offset, ad=ad, ad_offset=ad_offset,
        texts={k: TextColumn(c.data, _taken(c.start, kept, 0), _taken(c.length, kept, -1)) for k, c in rows.texts.items()},
        depth=_depths(rows, entries), numeric=_numeric(rows, entries, by_sample, threads), raw_mq=raw, ids=_ids(rows, entries, threads),
        allele_data=merge_allele_data(rows.allele_raw, allele_offset, (entries.offset, entries.row, entries.pos, rows.start, *rows.alleles,
                                                                       allele_offset, code, map_offset, source), by_sample, threads),
    )  # fmt: skip


def _depths(rows, entries):
    """Depth of each record: the sum over its entries, -1 where it is 0 and no row that starts there has an INFO DP."""
    record = np.repeat(np.arange(len(entries)), np.diff(entries.offset))
    out = np.bincount(record, rows.depth[entries.row], len(entries)).astype(np.int64)
    here = (rows.start[entries.row] == entries.pos[record]) & rows.has_depth[entries.row]
    shown = np.bincount(record[here], minlength=len(entries)) > 0
    return np.where((out > 0) | shown, out, -1)


def _check(rows, entries, bad, text):
    bad = [b for b in bad if b >= 0]
    if bad:
        raise rows.problem(int(entries.row[entries.offset[min(bad)]]), text)


def _numeric(rows, entries, by_sample, threads):
    out = {}
    for key, (values, offset, number) in rows.numeric.items():
        if by_sample and key in SUMMED_BY_SAMPLE:
            total, has = np.full((len(rows), 1), -1, np.int64), np.diff(offset) > 0
            total[has, 0] = values[offset[:-1][has]]
            total, some = _sums(total, entries, rows)
            out[key] = total[:, 0].astype(np.float64), some > 0
            continue
        value, present = np.empty(len(entries)), np.empty(len(entries), np.uint8)
        run_chunks(kernel.medians, len(entries), threads, entries.offset, entries.row, entries.pos, rows.start, values, offset, number,
                   value, present)  # fmt: skip
        if present.any():
            out[key] = value, present > 0
    return out


def _ids(rows, entries, threads):
    n, offset, out = len(entries), np.zeros(len(entries) + 1, np.int64), np.empty(0, np.uint8)
    size = np.empty(n, np.int64)
    for fill in (False, True):
        run_chunks(kernel.join_ids, n, threads, entries.offset, entries.row, entries.pos, rows.start, rows.data, rows.ids.start,
                   rows.ids.length, fill, offset, out, size)  # fmt: skip
        if not fill:
            offset = offsets(size)
            out = np.empty(int(offset[-1]), np.uint8)
    length = size.astype(np.int32)
    length[length == 0] = -1
    return TextColumn(out, offset[:-1], length)
