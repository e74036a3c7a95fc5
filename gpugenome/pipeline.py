"""Overlap of stages: a bounded, ordered map over threads."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext


def usable_threads() -> int:
    """Cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


class Pool(ThreadPoolExecutor):
    """Threads for generators: one that is closed before its end does not wait for what is under way.

    A generator that an error left behind is closed by a collection of garbage, on any thread and in the middle of anything, be it while
    that thread starts and holds the lock that is needed to join another: to wait there may be to wait for ever.
    """

    def __exit__(self, kind, value, traceback):
        self.shutdown(wait=kind is not GeneratorExit)


def thread_pool(threads: int) -> Pool:
    """A pool for several `ordered_map`s."""
    return Pool(threads, thread_name_prefix="gpugenome-map")


def ahead(iterator, threads: int = 2):
    """The items of an iterator, the next one made on a thread of its own while the last one is used (where there are several threads)."""
    return _ahead(iter(iterator)) if threads > 1 else iter(iterator)


def _ahead(iterator):
    with Pool(1, thread_name_prefix="gpugenome-ahead") as worker:
        end = object()
        future = worker.submit(next, iterator, end)
        while (item := future.result()) is not end:
            future = worker.submit(next, iterator, end)
            yield item


def ordered_map(function, items, threads: int, ahead: int = 2, pool: ThreadPoolExecutor | None = None):
    """Iterator of function(item) in the order of the items, up to `threads + ahead` of them under way.

    The functions spend their time in kernels that release the GIL. With one thread everything runs in the caller's. An error ends the
    iteration where its item comes; items are taken by the caller's thread only. pool: threads shared with other maps, whose results may be
    this one's items; by default a pool of its own.
    """
    if threads <= 1:
        yield from map(function, items)
        return
    waiting = deque()
    with nullcontext(pool) if pool else thread_pool(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= threads + ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
