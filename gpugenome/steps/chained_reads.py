"""Seeding of reads: from their bases to chains of seeds on the doubled text, the first phase of the aligner.

On a GPU the index is copied once and stays there. Reads that its bounded storage does not take (long ones, more than a few hundred
intervals or seeds) are done on the CPU, with the same result. Source: specification chapter "bwa_mem", sections 3 to 5.
"""

from dataclasses import dataclass, field

import numpy as np

from gpugenome.backend import Backend, Twin
from gpugenome.batch import FastqBatch
from gpugenome.kernels import chained_reads_cpu
from gpugenome.kernels.aligner_fields import CHAIN_COLUMNS, CHAINED_COLUMNS, CHAINS, KEPT_COLUMNS, SEED_COLUMNS, SEEDS
from gpugenome.kernels.chaining_cpu import NODE_COLUMNS
from gpugenome.kernels.launch import run_chunks
from gpugenome.progress import log
from gpugenome.steps.index import SearchIndex

SCRATCH_BYTES = 3 << 30
"""Memory of the GPU that is left for the reads: a batch of 50,000 of 1,000 bases with MOST_SLOTS takes 1.2 GB, the rest is for others."""


@dataclass
class ChainedReads:
    """Chains of n reads, see `aligner_fields`: chained int32[n, CHAINED_COLUMNS], kept int32[c, KEPT_COLUMNS], kept_seeds int64[s, 3]."""

    chained: np.ndarray
    kept: np.ndarray
    kept_seeds: np.ndarray

    @property
    def columns(self) -> tuple:
        """(chained, first row of kept of each read, first row of kept_seeds, kept, kept_seeds)."""
        return self.chained, *_first_rows(self.chained), self.kept, self.kept_seeds


def _first_rows(chained) -> np.ndarray:
    """int64[2, n + 1]: each read's first rows of the tables of chains and of seeds."""
    first = np.zeros((2, len(chained) + 1), np.int64)
    np.cumsum(chained[:, [CHAINS, SEEDS]].T, axis=1, out=first[:, 1:])
    return first


def _tables(chained, made) -> ChainedReads:
    """made: (kept, kept_seeds) of runs of reads, in order."""
    kept = np.concatenate([np.empty((0, KEPT_COLUMNS), np.int32), *(k for k, _ in made)])
    return ChainedReads(chained, kept, np.concatenate([np.empty((0, 3), np.int64), *(s for _, s in made)]))


@dataclass
class Limits:
    """What the GPU takes: bases of a read, its intervals, its seeds, and seeds of the reads that are chained at a time."""

    bases: int = 1023
    intervals: int = 64
    seeds: int = 1024
    slots: int = 1 << 22


@dataclass
class Chainer:
    """Finds the chains of batches of reads.

    alt: bool[contigs]. values: int64[OPTIONS], ratios: float32[RATIOS], as the kernels take them.
    """

    index: SearchIndex
    alt: np.ndarray
    values: np.ndarray
    ratios: np.ndarray
    backend: Backend
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self):
        x = self.index
        self._arrays = x.words, x.sa, x.first, x.unique, x.offsets, self.alt, self.values, self.ratios
        self._there = None  # the same on the GPU
        self._twin = self.backend.kernels("chained_reads")
        if self._twin.on_gpu:
            with self._twin.alone():
                need, free = sum(a.nbytes for a in self._arrays), self._twin.free_bytes()
                if need + SCRATCH_BYTES > free:
                    log(f"the index needs {need / 1e9:.1f} GB, the GPU has {free / 1e9:.1f} GB: seeds of reads are found on the CPU")
                    self._twin = Backend("cpu", self.backend.threads).kernels("chained_reads")
                else:
                    self._there = self._twin.put(*self._arrays)

    @property
    def words_there(self):
        """The packed text on the GPU; None where it is not there."""
        return None if self._there is None else self._there[0]

    def chains(self, reads: FastqBatch) -> ChainedReads:
        """The chains of a batch's reads."""
        if not self._twin.on_gpu or len(reads) == 0:
            return self._on_cpu(reads)
        with self._twin.alone():
            made = self._on_gpu(self._twin, reads)
        return self._completed(reads, made)

    def close(self):
        """Give the GPU's memory back; no more reads come."""
        with self._twin.alone():
            self._there = None

    def _on_cpu(self, reads) -> ChainedReads:
        chained = np.empty((len(reads), CHAINED_COLUMNS), np.int32)
        made = run_chunks(
            chained_reads_cpu.chain_reads, len(reads), self.backend.threads, reads.data, reads.seq_start, reads.seq_length, *self._arrays,
            chained,
        )  # fmt: skip
        return _tables(chained, made)

    def _completed(self, reads, made: ChainedReads) -> ChainedReads:
        """`made` with the chains of the reads that the GPU did not take."""
        missing = made.chained[:, CHAINS] < 0
        if not missing.any():
            return made
        more = self._on_cpu(reads.rows(np.flatnonzero(missing)))
        chained = made.chained
        chained[missing] = more.chained
        tables = []
        for column, mine, theirs in ((CHAINS, made.kept, more.kept), (SEEDS, made.kept_seeds, more.kept_seeds)):
            late = np.repeat(missing, chained[:, column])
            table = np.empty((len(late), mine.shape[1]), mine.dtype)
            table[~late], table[late] = mine, theirs
            tables.append(table)
        return ChainedReads(chained, *tables)

    def _on_gpu(self, twin: Twin, reads) -> ChainedReads:
        """Chains of the reads that fit; the others have CHAINS -1."""
        words, sa, first, unique, contig_offset, alt, values, ratios = self._there
        n, limits = len(reads), self.limits
        longest = min(int(reads.seq_length.max()), limits.bases)
        low, high = int(reads.seq_start.min()), int((reads.seq_start + reads.seq_length).max())
        data, start, length = twin.put(reads.data[low:high], reads.seq_start - low, reads.seq_length)
        forward, reverse = (twin.empty((longest // 32 + 4, n), np.uint64) for _ in range(2))
        limit, intervals = twin.empty((longest + 1, n), np.int32), twin.empty((limits.intervals, 4, n), np.int64)
        found = twin.empty((twin.module.FOUND_ROWS, n), np.int64)
        twin.run(
            "find_intervals", n, data, start, length, words, sa, first, unique, values, forward, reverse, limit, intervals, found
        )
        seeds = twin.take(found)[0][twin.module.ALL_SEEDS]
        slot = np.zeros(n + 1, np.int64)
        np.cumsum(np.where((seeds > 0) & (seeds <= limits.seeds), (seeds // 4 + 1) * 4, 0), out=slot[1:])
        (slot_there,) = twin.put(slot)
        chained = twin.empty((n, CHAINED_COLUMNS), np.int32)
        made, begin = [], 0
        while begin < n:
            end = max(begin + 1, int(np.searchsorted(slot, slot[begin] + limits.slots, "right")) - 1)
            slots = max(4, int(slot[end] - slot[begin]))
            work, order = twin.empty(slots, np.int64), twin.empty(slots, np.int64)
            seeds, chains = twin.empty((slots, SEED_COLUMNS), np.int64), twin.empty((slots, CHAIN_COLUMNS), np.int64)
            tree, tables = twin.empty((slots // 4, NODE_COLUMNS), np.int64), twin.empty((twin.module.TABLES, slots), np.int64)
            twin.run("list_seeds", end - begin, intervals, found, values, begin, slot_there, work)
            twin.run("look_up", int(slot[end] - slot[begin]), sa, contig_offset, values, work)
            twin.run(
                "make_chains", end - begin, intervals, found, alt, values, ratios, begin, slot_there, work, seeds, chains, tree, order,
                tables, chained,
            )  # fmt: skip
            made.append(self._kept(twin, begin, end, slot_there, seeds, chains, order, chained))
            begin = end
        return _tables(twin.take(chained)[0], made)

    @staticmethod
    def _kept(twin, begin, end, slot, seeds, chains, order, chained):
        """(kept, kept_seeds) of reads begin..end."""
        (counts,) = twin.take(chained[begin:end])
        first = _first_rows(np.maximum(counts, 0))
        total, total_seeds = (int(x) for x in first[:, -1])
        if total == 0:
            return np.empty((0, KEPT_COLUMNS), np.int32), np.empty((0, 3), np.int64)
        kept, kept_seeds = twin.empty((total, KEPT_COLUMNS), np.int32), twin.empty((total_seeds, 3), np.int64)
        twin.run("store_kept", end - begin, begin, slot, seeds, chains, order, chained, *twin.put(*first), kept, kept_seeds)
        return twin.take(kept, kept_seeds)
