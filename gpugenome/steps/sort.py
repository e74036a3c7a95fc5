"""Sorting alignment records: resident, or as sorted runs that are spilled and merged.

The result is that of one stable sort of the whole input, whatever the memory budget.
Source: htsjdk SortingCollection (its result, not its way).
"""

import ctypes
from dataclasses import dataclass, fields
from functools import lru_cache, partial

import numpy as np

from gpugenome.arenas import Arenas
from gpugenome.backend import where
from gpugenome.batch import ReadBatch
from gpugenome.columns import FIXED, concat
from gpugenome.kernels import sort_keys_cpu as kernel
from gpugenome.kernels.launch import run_all, run_chunks

COORDINATE, QUERYNAME, NATURAL_QUERYNAME = "coordinate", "queryname", "natural"
_RULE = {COORDINATE: 0, QUERYNAME: 1, NATURAL_QUERYNAME: 2}
BATCH_READS = 50_000
_PROGRAM_BYTES = 250 << 20
"""What Python with numba takes, and the pieces of a file that are read ahead."""


@dataclass
class Held:
    """What a sort keeps of a batch: its arena, and of each record address, size, key (coordinate), read group, length of name (natural).

    Nothing of the batch's columns, which share their memory with others.
    """

    data: np.ndarray
    address: np.ndarray
    size: np.ndarray
    key: np.ndarray
    read_group: np.ndarray
    name_length: np.ndarray

    def __len__(self):
        return len(self.address)

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, f.name).nbytes for f in fields(self))


def hold(batch: ReadBatch, order: str) -> Held:
    """A batch as a sort keeps it."""
    key = _keys(batch) if order == COORDINATE else np.empty(0, np.uint64)
    address = batch.offset[:-1] + batch.data.ctypes.data
    name_length = batch.name_length.copy() if order == NATURAL_QUERYNAME else np.empty(0, np.uint8)
    return Held(batch.data, address, np.diff(batch.offset).astype(np.int32), key, batch.read_group.copy(), name_length)


def _natural(address, name_length, threads):
    """Ragged natural names of the records (values, int64 offsets)."""
    n = len(address)
    offset = np.zeros(n + 1, np.int64)
    # A digit run grows by two bytes at most, so a name at most triples.
    np.cumsum(name_length.astype(np.int64) * 3 + 8, out=offset[1:])
    out = np.empty(int(offset[-1]), np.uint8)
    run_chunks(kernel.natural_names, n, threads, address, offset, out)
    return out, offset


class ResidentRun:
    """Sorted records held in memory: the arenas as they came and the order over them. Iterate as often as needed.

    held: batches, or what `hold` makes of them, taken one after another. picard_ties: settle equal coordinates by name, flag and so on as
    Picard; otherwise they keep their order, as in samtools.
    """

    def __init__(self, held, order, picard_ties=True, threads=1):
        held = [hold(h, order) if isinstance(h, ReadBatch) else h for h in held]
        self._threads, self._arenas = threads, [h.data for h in held]
        joined = [partial(np.concatenate, [getattr(h, c) for h in held]) for c in ("key", "address", "size", "read_group")]
        keys, self._address, self._size, self._read_group = run_all(joined, threads)
        self._order = self._sorted(held, keys, order, picard_ties)

    def _sorted(self, held, keys, order, picard_ties):
        """int64[n], the order of the records."""
        address, threads = self._address, self._threads
        n = len(address)
        if order == COORDINATE:
            keys, permutation = kernel.radix_sort(keys, threads)
            if picard_ties:
                run_chunks(kernel.settle_coordinate_ties, n, threads, keys, address, permutation)
            return permutation
        natural, offset = np.empty(0, np.uint8), np.empty(0, np.int64)
        if order == NATURAL_QUERYNAME:
            natural, offset = _natural(address, np.concatenate([h.name_length for h in held]), threads)
        permutation = np.arange(n, dtype=np.int64)
        kernel.order_names(address, permutation, _RULE[order], natural, offset, np.empty(n, np.int64))
        return permutation

    def __len__(self):
        return len(self._order)

    def batches(self, max_reads=BATCH_READS):
        """Iterator of sorted ReadBatch, each in an arena of its own, whose memory is used again once no array refers to it any more."""
        arenas = Arenas()
        for a in range(0, len(self._order), max_reads):
            chosen = self._order[a : a + max_reads]
            offset = np.empty(len(chosen) + 1, np.int64)
            kernel.gather_offsets(chosen, self._size, offset)
            data = arenas.take(int(offset[-1]))
            columns = {name: np.empty(len(chosen), dtype) for name, dtype in [*FIXED.items(), ("read_group", np.int32)]}
            records = self._address, self._read_group
            run_chunks(kernel.gather_decoded, len(chosen), self._threads, chosen, *records, offset, data, *columns.values())
            yield ReadBatch(data, offset, **columns)


class MergedRuns:
    """Sorted runs (spilled, in the order of the input), merged while iterating."""

    def __init__(self, runs, order, picard_ties, threads):
        self._runs, self._order, self._ties, self._threads = runs, order, picard_ties, threads

    def batches(self, max_reads=BATCH_READS):
        """Iterator of sorted ReadBatch."""
        sources = [iter(run) for run in self._runs]
        heads = [next(s, None) for s in sources]
        more = [h is not None for h in heads]
        while any(h is not None for h in heads):
            cuts, slowest = self._cuts(heads, more)
            if not any(cuts):
                # Everything that may come is equal to what would be cut: take more of the run that ends first.
                following = next(sources[slowest], None)
                more[slowest] = following is not None
                if following is not None:
                    heads[slowest] = concat([heads[slowest], following])
                continue
            pieces = [_slice(h, 0, c) for h, c in zip(heads, cuts) if c]
            yield from ResidentRun(pieces, self._order, self._ties, self._threads).batches(max_reads)
            for i, (head, cut) in enumerate(zip(heads, cuts)):
                if head is None:
                    continue
                heads[i] = _slice(head, cut, len(head)) if cut < len(head) else None
                if heads[i] is None and more[i]:
                    heads[i] = next(sources[i], None)
                    more[i] = heads[i] is not None
            _give_back()

    def _cuts(self, heads, more):
        """How many records of each head come before anything that is not loaded yet, and the run that limits it."""
        limited = [i for i, h in enumerate(heads) if h is not None and more[i]]
        if not limited:
            return [0 if h is None else len(h) for h in heads], None
        if self._order == COORDINATE:
            keys = [None if h is None else _keys(h) for h in heads]
            slowest = min(limited, key=lambda i: int(keys[i][-1]))
            limit = keys[slowest][-1]
            return [0 if k is None else int(np.searchsorted(k, limit, "left")) for k in keys], slowest
        natural = self._order == NATURAL_QUERYNAME
        names = [None if h is None else _name_keys(h, natural) for h in heads]
        slowest = min(limited, key=lambda i: names[i][-1])
        limit = names[slowest][-1]
        return [0 if n is None else _lower_bound(n, limit) for n in names], slowest


class _name_keys:
    """The names of a batch as comparable bytes, read one at a time (only where a binary search looks)."""

    def __init__(self, batch, natural):
        self._batch, self._natural = batch, natural

    def __len__(self):
        return len(self._batch)

    def __getitem__(self, i):
        b = self._batch
        i = i % len(b)
        a = int(b.offset[i]) + 36
        name = np.ascontiguousarray(b.data[a : a + int(b.name_length[i]) - 1])
        if self._natural:
            out = np.zeros(768, np.uint8)
            name = out[: kernel.natural_name(name, out)]
        return name.tobytes()


@lru_cache
def _trim():
    """glibc's `malloc_trim`, or what does nothing where there is none."""
    return getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: 0)


def _give_back() -> None:
    """Give what is free inside the allocator's heaps back to the system: arrays of many sizes come and go on several threads in a merge,
    and the holes between them would make its memory grow with the number of runs and their length."""
    _trim()(0)


def _lower_bound(names, limit):
    low, high = 0, len(names)
    while low < high:
        middle = (low + high) // 2
        if names[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low


def _keys(batch):
    out = np.empty(len(batch), np.uint64)
    kernel.coordinate_keys(0, len(batch), batch.ref_id, batch.pos, batch.flag, out)
    return out


def _slice(batch, a, b):
    """Records a..b of a batch, where they lie."""
    columns = {name: getattr(batch, name)[a:b] for name in [*FIXED, "read_group"]}
    return ReadBatch(batch.data, batch.offset[a : b + 1], **columns)


def sorted_records(batches, order=COORDINATE, *, spill, memory_bytes, picard_ties=True, threads=1, card=None, alone=False):
    """Sort all records of an iterator of ReadBatch.

    spill: `io.spill.SpillFolder`. memory_bytes: the budget; records beyond `resident_bytes` of it are spilled as sorted runs. alone: no
    other work needs memory.
    card: `gpu_records.Card` that sorts by coordinate and keeps the records, if they fit; batches are then `gpu_records.GpuBatch`.

    Returns
    -------
    An object with `batches(max_reads)`, which can be iterated again and again.
    """
    if card and order == COORDINATE:
        there, batches = card.sort(batches, picard_ties)
        if there:
            return there
    held, size, runs = [], 0, []
    for batch in batches:
        if len(batch):
            held.append(hold(batch, order))
            size += held[-1].nbytes
        if size > resident_bytes(memory_bytes, alone):
            runs.append(spill.write(ResidentRun(held, order, picard_ties, threads).batches(_spill_reads(memory_bytes))))
            held, size = [], 0
    if not runs:
        return ResidentRun(held, order, picard_ties, threads) if held else MergedRuns([], order, picard_ties, threads)
    if held:
        runs.append(spill.write(ResidentRun(held, order, picard_ties, threads).batches(_spill_reads(memory_bytes))))
    return MergedRuns(runs, order, picard_ties, threads)


def resident_bytes(memory_bytes: int, alone: bool = False) -> int:
    """Bytes of records to hold within a memory budget: the rest is for the program itself, its keys and what it gathers (a seventh of
    the records), and what else goes on unless they are `alone`."""
    free = memory_bytes - _PROGRAM_BYTES
    return max(memory_bytes // 8, free * 3 // 4 if alone else min(memory_bytes // 2, free * 2 // 3))


def _spill_reads(memory_bytes):
    """Records of one batch in a spill file: small, since a merge holds one of each run."""
    return int(min(BATCH_READS, max(1000, memory_bytes // 2**15)))


def write_bins(batch: ReadBatch, contig_lengths, threads: int = 1) -> None:
    """Recompute the bin field of every record in the arena, as htsjdk does when it writes."""
    twin = where(batch, "sam_tags", threads)
    with twin.alone():
        columns = batch.columns(("data", "offset", "pos", "flag", "name_length", "n_cigar", "ref_id"))
        twin.run("set_bins", len(batch), *columns, *twin.put(np.asarray(contig_lengths, np.int64)))
        batch.change()
