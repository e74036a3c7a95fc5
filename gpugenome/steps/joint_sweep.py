"""Records of several GVCFs in the order of the genome: which rows each combined record takes, window by window.

Only a window of each file is in memory; rows that are still open go with the sweep into the next window.
Source: specification chapter "GVCF and joint genotyping", 9.1 and 9.2.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from gpugenome.io.stored_records import compacted
from gpugenome.io.variant_records import VariantRecords
from gpugenome.kernels import joint_sweep_cpu as kernel
from gpugenome.pipeline import thread_pool
from gpugenome.steps.gvcf_inputs import GvcfInput, starting_in
from gpugenome.steps.joint_records import Entries, InputKeys, SourceRows, source_rows

_END = np.iinfo(np.int64).max
RECORDS, ENTRIES = 1 << 17, 1 << 18
"""Combined records, and rows that they take, of a batch of `GvcfSweep` at most (more where one place needs it)."""
POSITIONS = 1 << 16
"""Positions of a batch of `walk_positions`."""


@dataclass
class Swept:
    """Combined records of one contig, in order: what they are made of.

    rows: the source rows. entries: of n records; their `pos` is where alleles are taken. is_block: bool[n], only reference confidence. end:
    int32[n], of a block its last position plus one.
    """

    ref_id: int
    rows: SourceRows
    entries: Entries
    is_block: np.ndarray
    end: np.ndarray


class _Pending:
    """The rows of one file that were read and not yet swept: parts of at most one contig each."""

    def __init__(self, source: GvcfInput, intervals):
        self.source, self._records, self.parts, self.ended = source, source.rows(intervals), [], False
        self._enough = 1

    def load(self) -> None:
        """Read the next part."""
        part = next(self._records, None)
        if part is None:
            self.ended = True
            return
        part.has_variant()
        self.parts.append(part)
        self._enough = max(2, len(part) // 2)

    def is_short(self, ref_id) -> bool:
        """Whether more rows of a contig are wanted: half of a part, so that the next window is no sliver; two places at least."""
        if self.ended or (self.parts and int(self.parts[-1].ref_id[0]) != ref_id):
            return False
        return sum(len(p) for p in self.parts) < self._enough or _key(self.parts[0], 0) == _key(self.parts[-1], -1)

    def limit(self, ref_id) -> int:
        """The key below which all rows of a contig are in memory; _END where all of its rows are."""
        if self.ended or int(self.parts[-1].ref_id[0]) != ref_id:
            return _END
        return _key(self.parts[-1], -1)


def _key(part, row):
    return int(part.ref_id[row]) << 32 | int(part.start[row])


def _keys(part):
    return part.ref_id.astype(np.int64) << 32 | part.start


def _united(start, end):
    """(start, end) of the places that spans cover, sorted and apart; int64 all."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(np.maximum(end, start + 1)[order])
    first = np.flatnonzero(np.append(True, start[1:] > end[:-1])[: len(start)])
    return start[first], np.append(end[first[1:] - 1], end[-1:])


class GvcfSweep:
    """Sweeps over GVCFs.

    bases_of(ref_id): uint8. intervals: int64[k, 3] or None: records that overlap them are read, and (unless write_all) what is combined
    inside them comes out, so that a block that goes on behind an interval is lost, as in CombineGVCFs. band: blocks are cut before
    multiples of it (0: nowhere). blocks: also records of reference confidence only. by_sample: alleles are collected in the order of the
    samples' columns, as GenomicsDB does, not in that of CombineGVCFs.
    """

    def __init__(self, inputs: list[GvcfInput], keys: InputKeys, bases_of, intervals=None, band: int = 0, blocks: bool = True,
                 default_ploidy: int = 2, threads: int = 1, by_sample: bool = False, write_all: bool = False):  # fmt: skip
        self._pending = [_Pending(i, intervals) for i in inputs]
        self._keys, self._bases_of, self._intervals = keys, bases_of, None if write_all else intervals
        self._band, self._blocks, self._default_ploidy, self._threads = band, blocks, default_ploidy, threads
        self._column = np.array([i.columns[0] for i in inputs]) if by_sample else None
        self._thins_out = by_sample and not blocks and band == 0
        self._heap = np.zeros(len(inputs), np.int32)
        self._n_heap = 0
        self._in_open = np.zeros(len(inputs), np.uint8)
        self._open: list[tuple[int, VariantRecords]] = []  # (file, one record) in the order of arrival
        self._state = np.zeros(6, np.int64)
        self._state[kernel.PREVIOUS] = -1

    def __iter__(self):
        """Iterator of Swept."""
        with thread_pool(self._threads) as pool:
            self._start(pool)
            while self._n_heap:
                ref_id = int(self._pending[self._heap[0]].parts[0].ref_id[0])
                while short := [p for p in self._pending if p.is_short(ref_id)]:
                    list(pool.map(_Pending.load, short))
                yield from self._window(ref_id, min(p.limit(ref_id) for p in self._pending))

    def _start(self, pool):
        first = np.zeros(len(self._pending), np.int64)
        list(pool.map(_Pending.load, self._pending))
        for f, pending in enumerate(self._pending):
            if pending.parts:
                first[f] = _key(pending.parts[0], 0)
        for f, pending in enumerate(self._pending):
            if pending.parts:
                kernel.push(self._heap, self._n_heap, f, first)
                self._n_heap += 1

    def _window(self, ref_id, limit):
        last = limit == _END
        bound = (ref_id + 1) << 32 if last else limit
        inside = np.empty((0, 3), np.int64) if self._intervals is None else self._intervals[self._intervals[:, 0] == ref_id]
        inside = inside[:, 1].copy(), inside[:, 2].copy()
        if self._thins_out:
            self._thin_out(ref_id, bound - (ref_id << 32), inside)
        carried, self._open = self._open, []
        open_of = {}
        for f, record in carried:
            open_of.setdefault(f, []).append(record)
        parts, file_of_part, next_row, last_row, at = [], [], [], [], 0
        for f, pending in enumerate(self._pending):
            mine = open_of.get(f, [])
            parts += mine + pending.parts
            file_of_part += [f] * (len(mine) + len(pending.parts))
            next_row.append(at + len(mine))
            at += len(mine) + sum(len(p) for p in pending.parts)
            last_row.append(at)
        key, start, end, variant = self._columns(parts)
        size = [len(p) for p in parts]
        file = np.repeat(np.array(file_of_part, np.int32), size)
        next_row, last_row = np.array(next_row, np.int64), np.array(last_row, np.int64)
        rows = np.empty(len(key) + 1, np.int64)
        seen = dict.fromkeys(range(len(self._pending)), 0)
        begin = np.concatenate([[0], last_row[:-1]])
        for k, (f, _) in enumerate(carried):  # the open rows, some for each file
            rows[k] = begin[f] + seen[f]
            seen[f] += 1
        where = key, start, end, variant, file
        more = bound, last, self._band, self._bases_of(ref_id), *inside, self._blocks
        self._state[kernel.N_HEAP] = self._n_heap
        done, most_records, most_entries = False, RECORDS, ENTRIES
        while not done:
            kind, pos, first, base = (np.empty(most_records, t) for t in (np.uint8, np.int32, np.int32, np.uint8))
            offset, entry = np.zeros(most_records + 1, np.int64), np.empty(most_entries, np.int64)
            self._state[[kernel.N_OUT, kernel.N_ENTRIES]] = 0
            done = kernel.sweep(*where, next_row, last_row, self._heap, self._state, rows, self._in_open, *more, kind, pos, first, base,
                                offset, entry)  # fmt: skip
            n, m = int(self._state[kernel.N_OUT]), int(self._state[kernel.N_ENTRIES])
            if n:
                yield self._swept(ref_id, parts, file_of_part, size, kind[:n], pos[:n], first[:n], base[:n], offset[: n + 1], entry[:m])
            elif not done:
                most_records, most_entries = 2 * most_records, 2 * most_entries
        self._n_heap = int(self._state[kernel.N_HEAP])
        self._keep(parts, file_of_part, size, next_row, rows[: self._state[kernel.N_OPEN]])
        if last:
            self._state[kernel.PREVIOUS] = -1

    def _thin_out(self, ref_id, limit, inside):
        """Leave only rows of the contig that `kernels.joint_sweep_cpu.needed` asks for. limit: a position."""
        mine = [[p for p in pending.parts if int(p.ref_id[0]) == ref_id] for pending in self._pending]
        variants = [(p.start[v], p.end[v]) for p in [*chain(*mine), *(r for _, r in self._open)] for v in [np.flatnonzero(p.has_variant())]]
        spans = _united(*(np.concatenate(x).astype(np.int64) for x in zip(*variants)))
        for pending, parts in zip(self._pending, mine):
            for k, p in enumerate(parts):
                rows = np.empty(len(p), np.int64)
                n = kernel.needed(p.start, p.end, p.has_variant().view(np.uint8), limit, *spans, *inside, rows)
                if n < len(p):
                    parts[k] = p.take(rows[:n])
            pending.parts[: len(parts)] = parts

    def _columns(self, parts):
        join = np.concatenate
        return (join([_keys(p) for p in parts]), join([p.start for p in parts]), join([p.end for p in parts]),
                join([p.has_variant() for p in parts]).view(np.uint8))  # fmt: skip

    def _keep(self, parts, file_of_part, size, next_row, rows):
        """Hold back open rows and rows that were not swept."""
        edge = np.concatenate([[0], np.cumsum(size)])
        order = np.argsort(rows, kind="stable")
        part_of = np.searchsorted(edge, rows[order], "right") - 1
        held, first = np.unique(part_of, return_index=True)
        mine = np.split(rows[order] - edge[part_of], first[1:])
        records = compacted([parts[k] for k in held.tolist()], mine) if len(rows) else []
        each = [(file_of_part[k], r.take(slice(i, i + 1))) for k, r in zip(held.tolist(), records) for i in range(len(r))]
        self._open += [each[k] for k in np.argsort(order).tolist()]  # open rows, some for each file, as they arrived
        for pending in self._pending:
            pending.parts = []
        for k, part in enumerate(parts):
            done = int(np.clip(next_row[file_of_part[k]] - edge[k], 0, len(part)))
            if done < len(part):
                self._pending[file_of_part[k]].parts.append(part.take(slice(done, len(part))) if done else part)

    def _swept(self, ref_id, parts, file_of_part, size, kind, pos, first, base, offset, entry):
        used = np.unique(entry)
        edge = np.concatenate([[0], np.cumsum(size)])
        if self._column is not None:
            column = np.repeat(self._column[file_of_part], size)[entry]
            entry = entry[np.lexsort((column, np.repeat(np.arange(len(first)), np.diff(offset))))]
        at = np.searchsorted(used, edge)
        chosen, columns = [], []
        for k in np.flatnonzero(np.diff(at)).tolist():  # parts, some for each file
            chosen.append(used[at[k] : at[k + 1]] - edge[k])
            columns.append(self._pending[file_of_part[k]].source.columns)
        records = compacted([parts[k] for k in np.flatnonzero(np.diff(at))], chosen, self._threads)
        rows = source_rows(records, columns, self._keys, self._default_ploidy, self._threads)
        entries = Entries(first, offset, np.searchsorted(used, entry), base)
        return Swept(ref_id, rows, entries, kind == kernel.BLOCK, (pos + 1).astype(np.int32))


def walk_positions(source: GvcfInput, keys: InputKeys, bases_of, intervals=None, default_ploidy: int = 2, forced=None):
    """Iterator of (ref_id, SourceRows, Entries, sets of sample columns): positions that records of one file cover, in order.

    A position takes the record that starts there, else all that cover it; the k-th of these takes set k of the sample columns. forced:
    int64[k, 3], sorted and apart, or None. With it, positions are those inside, and those that a record with a variant covers; each takes
    all records that cover it.

    Raises
    ------
    InputError: without `forced`, two records that start at one position.
    """
    where = source, keys, bases_of, intervals, default_ploidy, forced
    held: VariantRecords | None = None
    reached = 0
    for part in source.records(intervals):
        if held is not None and int(held.ref_id[0]) != int(part.ref_id[0]):
            yield from _positions(held, reached, _END, *where)
            held, reached = None, 0
        held = part if held is None else _joined(held, part)
        limit = int(held.start[-1])
        yield from _positions(held, reached, limit, *where)
        held, reached = held.compacted(np.flatnonzero(held.end > limit)) if limit else held, limit
    if held is not None:
        yield from _positions(held, reached, _END, *where)


def _joined(a: VariantRecords, b: VariantRecords) -> VariantRecords:
    """Records of one file one after the other, over one text."""
    n = len(a.data)
    return VariantRecords(a.header, np.concatenate([a.data, b.data]), np.concatenate([a.columns, b.columns + n]),
                          np.concatenate([a.ends, b.ends + n]), np.concatenate([a.ref_id, b.ref_id]), np.concatenate([a.start, b.start]),
                          np.concatenate([a.end, b.end]), a.first, a.threads)  # fmt: skip


def _positions(records, at, limit, source, keys, bases_of, intervals, default_ploidy, forced):
    ref_id = int(records.ref_id[0])
    bases = bases_of(ref_id)
    limit = min(limit, len(bases))
    inside = np.empty((0, 3), np.int64) if intervals is None else intervals[intervals[:, 0] == ref_id]
    pos, offset, row = np.empty(POSITIONS, np.int32), np.zeros(POSITIONS + 1, np.int64), np.empty(2 * POSITIONS, np.int64)
    first = 0
    while at < limit:
        n, at, first, twice = kernel.walk(records.start, records.end, first, at, limit, POSITIONS, inside[:, 1].copy(), inside[:, 2].copy(),
                                          forced is not None, pos, offset, row)  # fmt: skip
        places, count, taken = pos[:n].copy(), np.diff(offset[: n + 1]), row[: offset[n]]
        if forced is not None and n:
            wanted = np.logical_or.reduceat(records.has_variant()[taken], offset[:n]) | starting_in(ref_id, places, forced)
            taken = taken[np.repeat(wanted, count)]
            places, count = places[wanted], count[wanted]
        if len(places):
            used = np.unique(taken)
            rows = source_rows([records.compacted(used)], [source.columns], keys, default_ploidy)
            new = np.concatenate([[0], np.cumsum(count)])
            slot = np.arange(len(taken)) - np.repeat(new[:-1], count)
            entries = Entries(places, new, np.searchsorted(used, taken), bases[places], slot.astype(np.int32))
            yield ref_id, rows, entries, int(count.max())
        if twice >= 0:
            raise records.problem(int(twice), "another record starts at the same position")
