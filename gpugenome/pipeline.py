"""Overlap of stages: a bounded, ordered map over threads."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor


def ordered_map(function, items, threads: int, ahead: int = 2):
    """Iterator of function(item) in the order of the items, up to `threads + ahead` of them under way.

    The functions spend their time in kernels that release the GIL. With one thread everything runs in the caller's. An error ends the
    iteration where its item comes; items are taken by the caller's thread only.
    """
    if threads <= 1:
        yield from map(function, items)
        return
    waiting = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="gpugenome-map") as pool:
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
