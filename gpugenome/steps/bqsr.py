"""Building the recalibration table: BaseRecalibrator on column batches."""

from dataclasses import dataclass

import numpy as np

from gpugenome.backend import where
from gpugenome.batch import Header, ReadBatch
from gpugenome.columns import overlapping, take
from gpugenome.errors import UserError
from gpugenome.gatk.recal_table import QUALITIES, RecalTable, context_columns, finish_table, summed
from gpugenome.kernels import covariates_cpu as kernel
from gpugenome.kernels.launch import chunk_bounds, run_all

MOST_CONTEXT = 13
_MERGED = 1 << 24  # listed contexts that are merged at a time, at least
_MOST_BASES = 1 << 31  # that a thread may count before its table of 32 bits for bases and 31 for errors is emptied
_SCRATCH_BYTES = 1 << 28  # of the GPU, for CIGARs
_WARPS = 4096  # that fill a large GPU
NO_FAULT = 1 << 62
_COLUMNS = ("data", "offset", "ref_id", "pos", "flag", "mate_ref_id", "mate_pos", "tlen", "name_length", "n_cigar", "seq_length",
            "read_group")  # fmt: skip


@dataclass(frozen=True)
class TableOptions:
    """Arguments of BaseRecalibrator with GATK's defaults. context sizes 1-13; qualities phred."""

    context_size: int = 2
    indels_context_size: int = 3
    maximum_cycle: int = 500
    low_quality_tail: int = 2
    quantizing_levels: int = 16
    preserve_qscores_less_than: int = 6
    use_original_qualities: bool = False

    def __post_init__(self):
        if not 1 <= self.context_size <= MOST_CONTEXT:
            raise UserError(f"--mismatches-context-size: expected 1 to {MOST_CONTEXT}, got {self.context_size}")


def group_names(header: Header) -> list[str]:
    """The name of each read group in a table: its PU, or its ID."""
    return [g.get("PU", g.get("ID", "")) for g in header.read_groups]


def _well_formed(batch, contig_lengths, threads):
    """uint8[n], where the batch is: records that pass GATK's WellformedReadFilter."""
    twin, n = where(batch, "covariates", threads), len(batch)
    out = twin.empty(n, np.uint8)
    columns = batch.columns(("data", "offset", "ref_id", "pos", "flag", "name_length", "n_cigar", "seq_length", "read_group"))
    twin.run("well_formed", n, *columns, *twin.put(np.asarray(contig_lengths, np.int64)), out)
    return out


def well_formed(batch: ReadBatch, contig_lengths, threads: int) -> ReadBatch:
    """The records that pass GATK's WellformedReadFilter, where the batch is: itself, if all do."""
    if not batch.on_gpu:
        keep = _well_formed(batch, contig_lengths, threads).astype(bool)
        return batch if keep.all() else take(batch, np.flatnonzero(keep), threads)
    with where(batch, "covariates", threads).alone():  # the arrays of the device go inside
        kept, n, *_ = _chosen_there(batch, _well_formed(batch, contig_lengths, threads))
        out = batch if n == len(batch) else batch.rows(kept, n)
        del kept
    return out


def _chosen_there(batch, keep):
    """Records of a batch on a GPU that keep (uint8[n], there) chooses: (int64[k] there, k, lowest and highest ref_id, most of n_cigar)."""
    from gpugenome.kernels.scan_cuda import exclusive_scan

    n, twin = len(batch), where(batch, "covariates", 1)
    ones, place, chosen = twin.empty(n, np.int64), twin.empty(n + 1, np.int64), twin.empty(n, np.int64)
    twin.run("as_counts", n, keep, ones)
    exclusive_scan(ones, place)
    (found,) = twin.put(np.array([NO_FAULT, -1, 0]))
    twin.run("choose", n, keep, place, *batch.columns(("ref_id", "n_cigar")), chosen, found)
    k = int(twin.take(place[n:])[0][0])
    return chosen[:k], k, *twin.take(found)[0].tolist()


def first_span_by_bin(spans: np.ndarray, length: int) -> np.ndarray:
    """int64[length // 1024 + 1]: the first of the spans int64[k, 2] (sorted by start) that ends beyond the start of each 1024 bases."""
    reach = np.maximum.accumulate(spans[:, 1]) if len(spans) else np.empty(0, np.int64)
    return np.searchsorted(reach, np.arange(length // 1024 + 1, dtype=np.int64) << 10, "right").astype(np.int64)


class TableBuilder:
    """Counts batches into one histogram a thread; `finish` sums them, so nothing depends on threads or order.

    header: of the reads. bases_of(ref_id): uint8 ASCII bases of a contig. known_sites: int64[k, 2] by contig, sorted by start.
    arguments: the Arguments table to be written. intervals: int64[k, 3], count only reads that overlap one; None for all.
    """

    def __init__(self, header: Header, bases_of, known_sites, options: TableOptions, arguments, threads: int, intervals=None):
        self._header, self._bases_of, self._sites, self._threads = header, bases_of, known_sites, threads
        self._arguments, self._intervals = arguments, intervals
        names = group_names(header)
        self._groups = sorted(set(names))
        self._row = np.array([self._groups.index(n) for n in names], np.int32)
        self._no_platform = np.array(["PL" not in g for g in header.read_groups], bool)
        o = options
        self._settings = np.array(
            [o.context_size, o.maximum_cycle, o.low_quality_tail, o.preserve_qscores_less_than, o.use_original_qualities], np.int64
        )
        self._contexts, self._listed = context_columns(o.context_size), o.context_size > kernel.DENSE_CONTEXT
        # of long contexts those that occur are listed: parts (cell, observed, errors), the first one merged
        self._wide = [(np.empty(0, np.int64),) * 3]
        shape = (len(self._groups), QUALITIES, (not self._listed) * self._contexts + 2 * o.maximum_cycle + 1)
        self._observed, self._errors = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._counts, self._uncollected = np.zeros((threads, self._observed.size), np.int64), 0  # bases that may be in the counts
        self._contig = (-1, None, None)
        # on a GPU: its kernels; (counts, rows, settings); (ref_id, what kernels take of the contig)
        self._twin = self._there = self._contig_there = None

    def _bins(self, ref_id):
        if self._contig[0] != ref_id:
            length = int(self._header.contig_lengths[ref_id])
            self._contig = (ref_id, self._bases_of(ref_id), first_span_by_bin(self._sites[ref_id], length))
        return self._contig[1:]

    def add(self, batch: ReadBatch) -> None:
        """Count the bases of the batch's reads that pass BaseRecalibrator's filters.

        Raises
        ------
        UserError: a read group without PL, a read longer than the maximum cycle.
        """
        if batch.on_gpu:
            if self._intervals is None and not self._no_platform.any() and batch.there["data"].size <= _MOST_BASES:
                self._check_cycles(batch, self._count_there(batch))
                return
            batch = batch.on_host()
        keep = self._countable(batch).astype(bool)
        if self._intervals is not None:
            keep &= overlapping(batch, self._intervals, self._threads)
        chosen = np.flatnonzero(keep)
        if not len(chosen):
            return
        missing = np.flatnonzero(self._no_platform[batch.read_group[chosen]])
        if len(missing):
            group = self._header.read_groups[batch.read_group[chosen[missing[0]]]]["ID"]
            raise UserError(f"read group {group}: its @RG line has no PL (platform), expected e.g. PL:ILLUMINA")
        for part in np.array_split(chosen, 1 + int(batch.seq_length[chosen].sum(dtype=np.int64)) // _MOST_BASES):
            self._count(batch, part)

    def _countable(self, batch):
        """uint8[n], where the batch is: records that BaseRecalibrator's filters leave."""
        twin = where(batch, "covariates", self._threads)
        keep = _well_formed(batch, self._header.contig_lengths, self._threads)
        twin.run("drop_uncounted", len(batch), *batch.columns(("mapq", "flag", "ref_id", "pos")), keep)
        return keep

    def _expect(self, bases):
        """Make room for counts of so many bases."""
        if self._uncollected + bases > _MOST_BASES:
            self._collect()
        self._uncollected += bases

    def _count(self, batch, chosen):
        self._expect(int(batch.seq_length[chosen].sum(dtype=np.int64)))
        columns = tuple(getattr(batch, name) for name in _COLUMNS)
        free = list(self._counts)
        for ref_id in np.unique(batch.ref_id[chosen]):
            bases, bins = self._bins(int(ref_id))

            def count(bounds, ref_id=ref_id, bases=bases, bins=bins):
                counts = free.pop()  # of a thread
                keys = np.empty(1 + self._listed * int(batch.seq_length[chosen[slice(*bounds)]].sum(dtype=np.int64)), np.int64)
                bad = kernel.count_bases(*bounds, columns, chosen, self._row, bases, np.int32(ref_id), self._sites[ref_id], bins,
                                         self._settings, counts, keys)  # fmt: skip
                free.append(counts)
                if self._listed:
                    self._wide.append(_runs(keys[1 : 1 + keys[0]]))
                return bad

            found = run_all([lambda p=p: count(p) for p in chunk_bounds(len(chosen), 4 * self._threads)], self._threads)
            self._check_cycles(batch, min((r for r in found if r >= 0), default=-1))

        self._merge_many()

    def _count_there(self, batch):
        """Count where the batch is on a GPU. Returns the first record whose cycle passes the maximum, or -1."""
        twin = where(batch, "covariates", self._threads)
        with twin.alone():  # the arrays of the device go inside
            size = batch.there["data"].size
            self._expect(size)  # a record has more bytes than bases
            if self._there is None:
                self._twin, self._there = twin, twin.put(np.zeros(self._observed.size, np.int64), self._row, self._settings)
            counts, row, settings = self._there
            there = batch.columns(_COLUMNS)
            chosen, n, first, last, elements = _chosen_there(batch, self._countable(batch))
            fault, keys = twin.put(np.array([NO_FAULT]), np.zeros(1 + self._listed * size, np.int64))
            elements += 4
            scratch = twin.empty((max(1, min(_WARPS, _SCRATCH_BYTES // (32 * elements))), 4, elements), np.int64)
            for ref_id in range(first, last + 1):
                if self._contig_there is None or self._contig_there[0] != ref_id:
                    bases, bins = self._bins(ref_id)
                    self._contig_there = ref_id, twin.put(bases, self._sites[ref_id], bins)
                bases, sites, bins = self._contig_there[1]
                twin.run("count_bases", n, there, chosen, row, bases, ref_id, sites, bins, settings, counts, keys, scratch, fault)
            bad = int(twin.take(fault)[0][0])
            if self._listed:
                seen = int(twin.take(keys[:1])[0][0])
                self._wide.append(_runs(*twin.take(keys[1 : 1 + seen])))
                self._merge_many()
            del there, chosen, fault, keys, scratch
        return -1 if bad == NO_FAULT else bad

    def _check_cycles(self, batch, bad):
        if bad >= 0:
            raise UserError(f"read {batch.name(bad)}: is longer than the maximum cycle {self._settings[1]} (--maximum-cycle-value)")

    def _merge_many(self):
        """Merge the parts of listed contexts once there is much of them."""
        if sum(len(part[0]) for part in self._wide[1:]) > max(_MERGED, len(self._wide[0][0])):
            self._merge()

    def _merge(self):
        """Make one of the parts of listed contexts."""
        self._wide = [summed(*(np.concatenate(columns) for columns in zip(*self._wide)))]

    def _collect(self):
        """Move what the threads and the GPU counted into the whole counts."""
        for counts in [*self._counts, *self._taken()]:
            self._observed += (counts & 0xFFFFFFFF).reshape(self._observed.shape)
            self._errors += (counts >> 32).reshape(self._errors.shape)
            counts[:] = 0
        self._uncollected = 0

    def _taken(self):
        """The counts of the GPU, which it has no more."""
        if self._there is None:
            return ()
        twin = self._twin
        with twin.alone():
            counts = twin.take(self._there[0])
            self._there = self._contig_there = None
        return counts

    def finish(self) -> RecalTable:
        """The table of everything that was added."""
        self._collect()
        columns = self._contexts + 2 * int(self._settings[1]) + 1
        cell = np.flatnonzero(self._observed)
        parts = [(cell, self._observed.ravel()[cell], self._errors.ravel()[cell])]
        if self._listed:
            self._merge()
            row, cycle = np.divmod(cell, self._observed.shape[2])
            key, *counts = self._wide[0]
            parts = [(row * columns + self._contexts + cycle, *parts[0][1:]),
                     ((key >> kernel.WIDE_BITS) * columns + (key & ((1 << kernel.WIDE_BITS) - 1)), *counts)]  # fmt: skip
        return finish_table(self._groups, self._arguments, *summed(*(np.concatenate(c) for c in zip(*parts))))


def _runs(keys):
    """(cell, observed, errors) of the contexts that `count_bases` lists; keys is changed."""
    keys.sort()
    cell = keys >> 1
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    if not len(first):
        return (first,) * 3
    return cell[first], np.diff(first, append=len(cell)), np.add.reduceat(keys & 1, first)
