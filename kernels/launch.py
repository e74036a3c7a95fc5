"""How kernels are compiled and spread over threads. Imports nothing else of gpugenome.

Every CPU kernel is a numba function compiled with `jit` (nogil, cached, IEEE arithmetic: no fastmath, no contraction),
so Python threads run chunks of a batch side by side without a numba threading layer.
"""

import hashlib
import os
import re
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent

if "NUMBA_CACHE_DIR" not in os.environ:
    import platformdirs

    try:
        from gpugenome._version import __version__ as _version
    except ImportError:  # kernels used on their own
        _version = "0"
    _dir = Path(platformdirs.user_cache_dir("gpugenome")) / _version
    try:
        _dir.mkdir(parents=True, exist_ok=True)
    except OSError:
        _dir = Path(tempfile.gettempdir()) / f"gpugenome-{os.getuid()}" / _version
        _dir.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(_dir)

import numba  # noqa: E402
from numba.core.caching import IndexDataCacheFile  # noqa: E402
from numba.core.compiler_lock import global_compiler_lock  # noqa: E402
from numba.core.errors import NumbaError  # noqa: E402

_IMPORT = re.compile(r"^from gpugenome\.kernels(?:\.(\w+))? import ([^#]*?)(?:\)|$)", re.M | re.S)


@lru_cache
def _sources(path: Path) -> frozenset[Path]:
    """A kernel file and all kernel files that it imports, directly or not."""
    found, todo = set(), [path]
    while todo:
        p = todo.pop()
        if p in found or not p.is_file():
            continue
        found.add(p)
        for module, names in _IMPORT.findall(p.read_text()):
            words = [module] if module else [w.split(" as ")[0].strip(" (\n") for w in names.split(",")]
            todo += [_HERE / f"{w}.py" for w in words]
    return frozenset(found)


@lru_cache
def stamp(path: Path) -> str:
    """Digest of everything that the compiled functions of a kernel file depend on."""
    digest = hashlib.sha256()
    for p in sorted(_sources(path)):
        digest.update(p.read_bytes())
    return digest.hexdigest()


class _CacheFile(IndexDataCacheFile):
    """Compiled code of a function on disk. Code that cannot be written (full disk, folder gone) is used all the same."""

    def save(self, key, data):
        try:
            super().save(key, data)
        except OSError:
            pass


# names by which kernels make arrays
_MAKERS = frozenset((
    "empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like", "array", "arange", "frombuffer", "concatenate",
    "append", "repeat", "cumsum", "where", "unique", "flatnonzero", "nonzero", "bincount", "sort", "argsort", "copy", "astype", "reshape",
    "view", "carray", "any", "sum",
))  # fmt: skip


def _makes_arrays(function) -> bool:
    """Whether a function seems to make arrays, by the names that it uses, or calls kernels that do."""
    names = function.__code__.co_names
    callees = (function.__globals__.get(name) for name in names)
    return not _MAKERS.isdisjoint(names) or any(getattr(c, "targetoptions", {}).get("_nrt", False) for c in callees)


def _holds_array(kind) -> bool:
    if isinstance(kind, numba.types.BaseTuple):
        return any(_holds_array(k) for k in kind)
    return isinstance(kind, numba.types.Array)


class _Uncounted(Exception):
    """A kernel has to count references after all."""


def _count_where_needed(compiled) -> None:
    """Let a kernel that was to count no references count them where it cannot be compiled otherwise.

    It needs to if it returns (a part of) an array, or copies one into a part of another, which takes memory where the two overlap.
    """
    compile_, add = compiled.compile, compiled.add_overload

    def checked(result):
        if not compiled.targetoptions["_nrt"] and _holds_array(result.signature.return_type):
            raise _Uncounted
        add(result)

    def compile_either(signature):
        with global_compiler_lock:
            try:
                return compile_(signature)
            except (_Uncounted, NumbaError):
                if compiled.targetoptions["_nrt"]:
                    raise
                compiled.targetoptions["_nrt"] = True
                compiled._compiler._failed_cache.clear()
                return compile_(signature)

    compiled.add_overload, compiled.compile = checked, compile_either


def jit(function):
    """Decorator of all CPU kernels: nogil, cached on disk, numpy error model, no fastmath.

    Kernels that make no arrays count no references to them: the counts are atomic operations on memory that all threads share, often more
    than the work of a small function. So let a kernel make its arrays first and leave the loops to functions that make none.

    numba's cache looks at a function's own file only and would keep a caller whose inlined callee in another file has changed; here
    compiled code lies in a folder named after the contents of all kernel files that the function's file imports. So the same kernels
    are compiled once, wherever they are installed.
    """
    compiled = numba.njit(
        nogil=True, cache=True, error_model="numpy", boundscheck=False, _nrt=_makes_arrays(function), no_cfunc_wrapper=True
    )(function)
    _count_where_needed(compiled)
    file = Path(function.__code__.co_filename).resolve()
    if file.parent == _HERE:
        folder = Path(os.environ["NUMBA_CACHE_DIR"], stamp(file)[:20])
        folder.mkdir(exist_ok=True)
        cache = compiled._cache._cache_file
        compiled._cache._cache_file = _CacheFile(str(folder), cache._index_name.removesuffix(".nbi"), stamp(file))
    return compiled


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


def start(threads: int, function, *args) -> Future:
    """Begin `function(*args)` on the threads that `run_chunks` uses; with one thread it is done on return."""
    if threads > 1:
        return _pool(threads).submit(function, *args)
    done = Future()
    done.set_result(function(*args))
    return done


def run_all(calls, threads: int) -> list:
    """Run zero-argument callables on `threads` threads, results in order."""
    if threads <= 1:
        return [c() for c in calls]
    return [f.result() for f in [_pool(threads).submit(c) for c in calls]]
