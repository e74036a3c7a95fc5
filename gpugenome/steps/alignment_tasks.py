"""The aligner's dynamic programming on a GPU: what the reads or pairs of a chunk ask for is done in batches, round by round.

A round takes the next task of every read that has one (`kernels.replay_cpu`); the few that ask on and on are left to the CPU. Results are
the CPU's, so nothing depends on what is done where.
"""

import numpy as np

from gpugenome.backend import Backend
from gpugenome.kernels import extension_cpu
from gpugenome.kernels import extension_scalar as scalar
from gpugenome.kernels.aligner_fields import (
    EXTEND_DELETION,
    EXTEND_INSERTION,
    HIT_COLUMNS,
    MATCH,
    MIN_SEED,
    MISMATCH,
    OPEN_DELETION,
    OPEN_INSERTION,
)  # fmt: skip
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.pairing_cpu import RESCUE_SCORE_BYTE
from gpugenome.progress import log

LEAST_EXTENSIONS, LEAST_RESCUES = 1000, 100
"""Fewer tasks than this are no batch: the CPU does them where they come up."""


_SCRATCH = 1 << 30  # bytes of the GPU that tasks and results may take


class _Known:
    """Results of the tasks of n items: `columns`, known int32[t, RESULT_COLUMNS] item by item, and offset int64[n + 1]."""

    def __init__(self, n: int):
        self._n, self._items, self._results = n, [], []
        self.columns = np.empty((0, scalar.RESULT_COLUMNS), np.int32), np.zeros(n + 1, np.int64)

    def add(self, items, results):
        """The results of a round, one of each of these items."""
        self._items.append(items)
        self._results.append(results)
        item = np.concatenate(self._items)
        offset = np.zeros(self._n + 1, np.int64)
        np.cumsum(np.bincount(item, minlength=self._n), out=offset[1:])
        self.columns = np.concatenate(self._results)[np.argsort(item, kind="stable")], offset


def _joined(items, tasks, codes) -> tuple:
    """What several parts of a round ask for as one: tables of each."""
    first = np.cumsum([0, *(len(c) for c in codes)])
    for t, at in zip(tasks, first):
        t[:, scalar.T_QUERY] += at
    return np.concatenate(items), np.concatenate(tasks), np.concatenate(codes)


class AlignmentTasks:
    """Does the extensions and rescues of batches of reads ahead where a GPU does them; else nothing is done ahead.

    words: the packed doubled text; words_there: the same on the GPU, if it is there already. values: int64[OPTIONS]. ahead: whether to
    do anything ahead, by default where the backend's kernels run on a GPU. least: tasks of a batch of extensions and of one of rescues.
    """

    def __init__(
        self, words, values, backend: Backend, words_there=None, ahead: bool | None = None, least=(LEAST_EXTENSIONS, LEAST_RESCUES)
    ):
        self._words, self._values, self._threads, self._least = words, values, backend.threads, least
        self._twin = backend.kernels("extension")
        penalties = values[[MISMATCH, EXTEND_DELETION, EXTEND_INSERTION]], values[[OPEN_DELETION, OPEN_INSERTION]]
        possible = sum(int(p.max()) for p in penalties) <= scalar.MOST_PENALTY
        self._ahead = (self._twin.on_gpu if ahead is None else ahead) and possible
        self._there = words_there
        if self._ahead and self._twin.on_gpu and words_there is None:
            with self._twin.alone():
                need, free = words.nbytes + _SCRATCH, self._twin.free_bytes()
            if need > free:
                log(f"the text needs {need / 1e9:.1f} GB, the GPU has {free / 1e9:.1f} GB: reads are extended on the CPU")
                self._ahead = False

    def close(self):
        """Give the GPU's memory back; no more reads come."""
        with self._twin.alone():
            self._there = None

    def hits(self, count, extend) -> np.ndarray:
        """The hits of reads in order; count gets their number for each (int32[n]).

        extend(which, known, known_offset, asking, count): the parts of `extend_reads`.
        """
        which, known = np.arange(len(count)), _Known(len(count))
        hits, reads = [np.empty((0, HIT_COLUMNS), np.int64)], []
        while len(which):
            asking = self._ahead and len(which) >= self._least[0]
            found, *asked = zip(*extend(which, *known.columns, asking, count))
            hits += found
            reads.append(np.repeat(which, count[which]))
            if asking:
                which, tasks, codes = _joined(*asked)
                if len(which) >= self._least[0]:
                    known.add(which, self._extend(tasks, codes))
            else:
                which = which[:0]
        hits = np.concatenate(hits)
        return hits if len(reads) < 2 else hits[np.argsort(np.concatenate(reads), kind="stable")]

    def rescues(self, n: int, ask) -> tuple:
        """(known, known_offset) of n pairs for `make_records`. ask(which, known, known_offset): the parts of `ask_rescues`, or None."""
        which, known = np.arange(n), _Known(n)
        while self._ahead and ask and len(which) >= self._least[1]:
            which, tasks, codes = _joined(*zip(*ask(which, *known.columns)))
            if len(which) >= self._least[1]:
                known.add(which, self._rescue(tasks, codes))
        return known.columns

    def _extend(self, tasks, codes):
        size = tasks[:, scalar.T_SIZE]
        fits = (size <= scalar.MOST_SIZE) & (tasks[:, scalar.T_ROWS] <= scalar.MOST_ROWS)
        fits &= tasks[:, scalar.T_START] + size * self._values[MATCH] <= scalar.MOST_SCORE
        order = np.lexsort((tasks[:, scalar.T_ROWS], size))
        there = order[fits[order]]
        ends = [*np.searchsorted(size[there], scalar.SIZES, "right"), len(there)]
        groups = [there[a:b] for a, b in zip([0, *ends], ends)]
        return self._run("extend_tasks", tasks, codes, [(g, ()) for g in groups], (order[~fits[order]], ()))

    def _rescue(self, tasks, codes):
        size, rows, match = tasks[:, scalar.T_SIZE], tasks[:, scalar.T_ROWS], self._values[MATCH]
        least = self._values[MIN_SEED] * match
        narrow = size * match < RESCUE_SCORE_BYTE
        # the 8-bit code's scores do not reach their limit, the 16-bit code's neither; insertions whose opening costs nothing leave the code
        # out where they cross segments
        fits = (size * match < np.where(narrow, 255 - max(self._values[MISMATCH], 1), scalar.MOST_SCORE)) & (rows <= scalar.MOST_LOCAL_ROWS)
        fits &= (size <= np.where(narrow, scalar.LOCAL_SIZES[True][-1], scalar.LOCAL_SIZES[False][-1])) & (self._values[OPEN_INSERTION] > 0)
        order, groups, rest = np.lexsort((rows, size)), [], []

        def group(which, kind):
            return which, (int(rows[which].max(initial=0)), kind, least)

        for kind in (True, False):
            mine = order[(narrow == kind)[order]]
            there = mine[fits[mine]]
            ends = np.searchsorted(size[there], scalar.LOCAL_SIZES[kind], "right")
            groups += [group(there[a:b], kind) for a, b in zip([0, *ends], ends)]
            rest.append(group(mine[~fits[mine]], kind))
        return self._run("local_tasks", tasks, codes, groups, *rest)

    def _run(self, name, tasks, codes, groups, *rest):
        """Results of tasks. groups, rest: (which, arguments of the kernel), done where the twin runs, and on the CPU."""
        results = np.empty((len(tasks), scalar.RESULT_COLUMNS), np.int32)
        longest = lambda which: int(tasks[which, scalar.T_SIZE].max())  # noqa: E731
        for which, more in rest:
            if len(which):
                run_chunks(
                    getattr(extension_cpu, name), len(which), self._threads, which, tasks, codes, self._words, longest(which), *more,
                    self._values, results,
                )  # fmt: skip
        groups = [(which, longest(which), *more) for which, more in groups if len(which)]
        with self._twin.alone():  # the arrays of the device go inside, when the function that holds them returns
            made = self._run_there(name, tasks, codes, groups)
        for which, *_ in groups:
            results[which] = made[which]
        return results

    def _run_there(self, name, tasks, codes, groups):
        twin = self._twin
        if self._there is None:
            (self._there,) = twin.put(self._words)
        made = twin.empty((len(tasks), scalar.RESULT_COLUMNS), np.int32)
        tasks, codes, values = twin.put(tasks, codes, self._values)
        for which, longest, *more in groups:
            (which,) = twin.put(which)
            twin.run(name, len(which), which, tasks, codes, self._there, longest, *more, values, made)
        return twin.take(made)[0]
