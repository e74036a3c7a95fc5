"""How kernels are compiled and spread over threads. Imports nothing else of gpugenome.

Every CPU kernel is a numba function compiled with `jit` (nogil, cached, IEEE arithmetic: no fastmath, no contraction),
so Python threads run chunks of a batch side by side without a numba threading layer.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if "NUMBA_CACHE_DIR" not in os.environ:
    # An inlined callee in another file does not invalidate its caller's cache, so the folder is keyed by version,
    # and in a source tree by the newest kernel's time stamp.
    import platformdirs

    _here = Path(__file__).resolve().parent
    try:
        from gpugenome._version import __version__ as _version
    except ImportError:  # kernels used on their own
        _version = "0"
    _newest = max((int(p.stat().st_mtime) for p in _here.glob("*.py")), default=0)
    _dir = Path(platformdirs.user_cache_dir("gpugenome")) / f"{_version}-{_newest:x}"
    try:
        _dir.mkdir(parents=True, exist_ok=True)
    except OSError:
        _dir = Path(tempfile.gettempdir()) / f"gpugenome-{os.getuid()}" / f"{_version}-{_newest:x}"
        _dir.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(_dir)

import numba  # noqa: E402

jit = numba.njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)
"""Decorator of all CPU kernels: nogil, cached on disk, numpy error model, no fastmath."""

_pools: dict[int, ThreadPoolExecutor] = {}


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="gpugenome")
    return _pools[threads]


def chunk_bounds(n: int, chunks: int) -> list[tuple[int, int]]:
    """Split range(n) into at most `chunks` runs of nearly equal length, in order."""
    chunks = max(1, min(chunks, n))
    return [(n * i // chunks, n * (i + 1) // chunks) for i in range(chunks)] if n else []


def run_chunks(function, n: int, threads: int, *args, chunks_per_thread: int = 4) -> list:
    """Call `function(begin, end, *args)` (a nogil kernel) over chunks of range(n) on `threads` threads.

    Results come back in the order of the chunks, so nothing depends on scheduling. Kernels must only write to
    positions that they own (indexed by begin..end).
    """
    if threads <= 1 or n <= 1:
        return [function(a, b, *args) for a, b in chunk_bounds(n, 1)]
    futures = [_pool(threads).submit(function, a, b, *args) for a, b in chunk_bounds(n, threads * chunks_per_thread)]
    return [f.result() for f in futures]


def run_all(calls, threads: int) -> list:
    """Run zero-argument callables on `threads` threads, results in order."""
    if threads <= 1:
        return [c() for c in calls]
    return [f.result() for f in [_pool(threads).submit(c) for c in calls]]
