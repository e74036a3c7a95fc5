"""GVCFs as inputs of joint tools: their samples, and their records contig by contig in windows of some MB."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.fasta import Reference
from gpugenome.io.text_lines import PIECE_BYTES
from gpugenome.io.variant_records import VariantFile, VariantHeader, VariantRecords

STORE_SCHEME = "cohort://"
_NON_REF = np.frombuffer(b"<NON_REF>", np.uint8)
_ALL_PIECES_BYTES, _ALL_STORED_BYTES, _LEAST_PIECE_BYTES = 96 << 20, 128 << 20, 1 << 16
"""What is in memory at a time, about, of the text of several files (with the borders of its columns it takes three times as much) and of
records of stores, and of one of them at least."""


def check_contigs(header: VariantHeader, genome: Reference) -> None:
    """Refuse a file whose contigs are not those of the reference.

    Raises
    ------
    InputError: a contig that the reference lacks or has with another length.
    """
    lengths = dict(zip(genome.names, genome.lengths.tolist()))
    for name, length in header.contigs.items():
        if name not in lengths:
            raise InputError(header.path, f"its contig {name} is not in {genome.path}: made with another reference?", "header")
        if length >= 0 and length != lengths[name]:
            raise InputError(header.path, f"its contig {name} has {length} bp, in {genome.path} it has {lengths[name]}: "
                             "made with another reference?", "header")  # fmt: skip


def check_gvcf(file: VariantFile, genome: Reference) -> None:
    """Refuse a file whose header cannot be that of a GVCF made with the reference.

    Raises
    ------
    InputError: no samples, or as `check_contigs`.
    """
    check_contigs(file.header, genome)
    if not file.header.samples:
        raise InputError(file.path, "has no samples: not a GVCF", "#CHROM line")


@dataclass
class GvcfInput:
    """One GVCF: its file, for each of its samples the number of the output's column, and the reference (ref_id -> uint8)."""

    file: VariantFile
    columns: np.ndarray
    bases_of: Callable[[int], np.ndarray]

    def records(self, intervals: np.ndarray | None = None):
        """Iterator of VariantRecords, each of one contig: all, or those that overlap intervals (int64[k, 3], sorted and apart).

        Raises
        ------
        InputError: reference blocks that overlap, records of another reference, and what `VariantFile.records` raises.
        """
        last = (-1, -1)
        for records in self.file.records():
            last = _check_blocks(records, last)
            if intervals is not None:
                records = records.take(np.flatnonzero(overlapping(records, intervals)))
            edges = [0, *(np.flatnonzero(np.diff(records.ref_id)) + 1).tolist(), len(records)]
            for a, b in zip(edges[:-1], edges[1:]):  # a pass for each contig
                if b > a:
                    found = records.take(slice(a, b)) if b - a < len(records) else records
                    found.check_reference(self.bases_of(int(found.ref_id[0])))
                    yield found


    def rows(self, intervals: np.ndarray | None = None):
        """Iterator of what a sweep over several files takes: `records` without MNPs; of a store, whose records were checked when they
        were added, StoredRecords. Raises as `records`, and as `check_no_mnp`."""
        if not hasattr(self.file, "stored"):
            for records in self.records(intervals):
                check_no_mnp(records)
                yield records
            return
        for records in self.file.stored(self.bases_of):
            found = records if intervals is None else records.take(np.flatnonzero(overlapping(records, intervals)))
            if len(found):
                yield found


def open_inputs(paths, genome: Reference, threads: int, piece_bytes: int | None = None,
                intervals: np.ndarray | None = None) -> tuple[list[GvcfInput], list[str]]:  # fmt: skip
    """The inputs, and the samples in the order of the columns (of one file: its own; of several: by name).

    paths: GVCFs, or folders of cohort stores after STORE_SCHEME. intervals: int64[k, 3], what will be asked for; of stores, and of GVCFs
    with an index, the rest is not read.

    Raises
    ------
    InputError: a file without samples, a sample that is in two files, contigs of another reference; a damaged store.
    """
    openers, all_bytes = [], _ALL_STORED_BYTES
    for path in paths:
        if path.startswith(STORE_SCHEME):
            from gpugenome.io.cohort import Cohort, StoredVariants  # loads pyarrow

            folders = Cohort.open(path.removeprefix(STORE_SCHEME)).folders()
            openers += [partial(StoredVariants, folder, genome.names, intervals=intervals) for folder in folders]
        else:
            openers.append(partial(VariantFile, path, genome.names, intervals=intervals))
            all_bytes = _ALL_PIECES_BYTES
    size = piece_bytes or (PIECE_BYTES if len(openers) == 1 else max(_LEAST_PIECE_BYTES, all_bytes // len(openers)))
    each = threads if len(openers) == 1 else 1  # several are read side by side
    files = [opener(threads=each, piece_bytes=size) for opener in openers]
    owner: dict[str, str] = {}
    for file in files:
        check_gvcf(file, genome)
        for sample in file.header.samples:
            if sample in owner:
                raise InputError(file.path, f"has the sample {sample}, which {owner[sample]} has too", "#CHROM line")
            owner[sample] = file.path
    samples = list(owner) if len(files) == 1 else sorted(owner)
    place = {name: i for i, name in enumerate(samples)}
    columns = [np.array([place[s] for s in f.header.samples], np.int32) for f in files]
    return [GvcfInput(f, c, genome.bases_upper_acgtn) for f, c in zip(files, columns)], samples


def check_non_ref(records: VariantRecords) -> None:
    """Refuse records with an ALT of which none is <NON_REF>.

    Raises
    ------
    InputError: such a record.
    """
    rows = np.flatnonzero(records.has_variant())
    offset, start, length = records.take(rows).alleles()
    has = np.zeros(len(rows), bool)
    has[np.searchsorted(offset, np.flatnonzero(_are_non_ref(records.data, start, length)), "right") - 1] = True
    if not has.all():
        raise records.problem(int(rows[np.argmin(has)]), "has no <NON_REF> allele: not a GVCF of HaplotypeCaller")


def _are_non_ref(data, start, length):
    """bool[a]: alleles that are <NON_REF>."""
    out = length == len(_NON_REF)
    at = np.flatnonzero(out)
    out[at] = (data[start[at, None] + np.arange(len(_NON_REF))] == _NON_REF).all(axis=1)
    return out


def check_no_mnp(records: VariantRecords) -> None:
    """Refuse what CombineGVCFs and GenomicsDBImport take for MNPs: REF has two bases or more and each ALT as many, or is <NON_REF>.

    A record with such a REF and <NON_REF> alone is one, too. Source: GATKVariantContextUtils.isUnmixedMnpIgnoringNonRef (behaviour).

    Raises
    ------
    InputError: such a record.
    """
    rows = np.flatnonzero(records.columns[:, 4] - records.columns[:, 3] > 2)  # with the tab behind REF
    if not len(rows):
        return
    offset, start, length = records.take(rows).alleles()
    same = (length == np.repeat(length[offset[:-1]], np.diff(offset))) | _are_non_ref(records.data, start, length)
    for i in np.flatnonzero(np.logical_and.reduceat(same, offset[:-1])).tolist():  # ends at the first that is no symbolic allele by chance
        texts = [records.data[a : a + n].tobytes() for a, n in zip(*(x[offset[i] : offset[i + 1]].tolist() for x in (start, length)))]
        if not any(t != b"<NON_REF>" and any(c in t for c in b"<[].") for t in texts):
            raise records.problem(int(rows[i]), "is an MNP, which GVCFs that are combined must not have (HaplotypeCaller "
                                  "writes none with --max-mnp-distance 0)")  # fmt: skip


def overlapping(records: VariantRecords, intervals: np.ndarray) -> np.ndarray:
    """bool[n]: records that overlap any of the intervals int64[k, 3] (ref_id, start, end), sorted and apart."""
    if not len(intervals):
        return np.zeros(len(records), bool)
    low = records.ref_id.astype(np.int64) << 32 | records.start
    high = records.ref_id.astype(np.int64) << 32 | np.maximum(records.end, records.start + 1)
    first = np.searchsorted(intervals[:, 0] << 32 | intervals[:, 2], low, "right")
    begins = np.append(intervals[:, 0] << 32 | intervals[:, 1], np.int64(1) << 62)
    return begins[first] < high


def starting_in(ref_id: int, start: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """bool[n]: positions (0-based) of a contig inside the intervals int64[k, 3], sorted and apart."""
    mine = intervals[intervals[:, 0] == ref_id]
    at = np.searchsorted(mine[:, 1], start, "right") - 1
    return (at >= 0) & (start < np.append(mine[:, 2], -1)[at])


def _check_blocks(records, last):
    """Refuse reference blocks that overlap one another. last: (ref_id, end) of the block before."""
    blocks = np.flatnonzero(~records.has_variant())
    if not len(blocks):
        return last
    ref_id, start, end = records.ref_id[blocks], records.start[blocks], records.end[blocks]
    same = np.append(ref_id[0] == last[0], ref_id[1:] == ref_id[:-1])
    wrong = np.flatnonzero(same & (start < np.append(last[1], end[:-1])))
    if len(wrong):
        raise records.problem(int(blocks[wrong[0]]), "begins inside the reference block before it")
    return int(ref_id[-1]), int(end[-1])
