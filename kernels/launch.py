"""How kernels are compiled and spread over threads. Imports nothing else of gpugenome.

Every CPU kernel is a numba function compiled with `jit` (nogil, cached, IEEE arithmetic: no fastmath, no contraction),
so Python threads run chunks of a batch side by side without a numba threading layer.
"""

import gc
import hashlib
import os
import pickle
import re
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _cache_folder() -> Path:
    """Where compiled kernels are kept: the user's cache folder, or one of our own among the temporary files, or nowhere.

    Compiled code is run: a folder that somebody else made among the temporary files is not for us.
    """
    import platformdirs

    try:
        from gpugenome._version import __version__ as version
    except ImportError:  # kernels used on their own
        version = "0"
    try:
        usual = Path(platformdirs.user_cache_dir("gpugenome"), version)
        if usual.is_absolute():  # a user without a home has none, or platformdirs raises RuntimeError
            usual.mkdir(parents=True, exist_ok=True)
            if os.access(usual, os.W_OK) or any(usual.iterdir()):  # one that was filled and is read-only now is of use
                return usual
    except (OSError, RuntimeError):
        pass
    try:
        own = Path(tempfile.gettempdir(), f"gpugenome-{os.getuid()}")
        own.mkdir(mode=0o700, exist_ok=True)
        if own.stat(follow_symlinks=False).st_uid == os.getuid():
            return own / version
    except OSError:
        pass
    return Path(os.devnull, "none")


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder())


@lru_cache
def keeps_code() -> bool:
    """Whether compiled kernels can be kept: makes their folder where it is not there."""
    try:
        os.makedirs(os.environ["NUMBA_CACHE_DIR"], exist_ok=True)
        return os.access(os.environ["NUMBA_CACHE_DIR"], os.W_OK)
    except OSError:
        return False


@lru_cache
def _tell_once(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# The 100,000 objects that numba makes are there to stay: to look among them for garbage, again and again, takes 30 ms.
_collects = gc.isenabled()
gc.disable()

import llvmlite.binding as llvm  # noqa: E402
import numba  # noqa: E402
from llvmlite import ir  # noqa: E402
from numba.core import serialize  # noqa: E402
from numba.core.codegen import JITCodeLibrary  # noqa: E402
from numba.core.compiler import CompileResult  # noqa: E402
from numba.core.compiler_lock import global_compiler_lock  # noqa: E402
from numba.core.errors import NumbaError  # noqa: E402
from numba.core.registry import CPUDispatcher  # noqa: E402
from numba.core.runtime import _nrt_python, nrtdynmod  # noqa: E402

gc.freeze()
if _collects:
    gc.enable()

_IMPORT = re.compile(r"^from gpugenome\.kernels(?:\.(\w+))? import ([^#]*?)(?:\)|$)", re.M | re.S)


@lru_cache
def _source(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """(digest of a kernel file, the kernel files that it imports); no digest where there is no such file."""
    if not path.is_file():
        return b"", ()
    text = path.read_bytes()
    found = []
    for module, names in _IMPORT.findall(text.decode()):
        words = [module] if module else [w.split(" as ")[0].strip(" (\n") for w in names.split(",")]
        found += [_HERE / f"{w}.py" for w in words]
    return hashlib.sha256(text).digest(), tuple(found)


@lru_cache
def stamp(path: Path) -> str:
    """Digest of what the compiled functions of a kernel file depend on: it and all kernel files that it imports, directly or not."""
    found, todo = {}, [path]
    while todo:
        p = todo.pop()
        if p not in found:
            found[p], more = _source(p)
            todo += more
    return hashlib.sha256(b"".join(found[p] for p in sorted(found))).hexdigest()


@lru_cache
def _machine(codegen) -> str:
    """Digest of what compiled code depends on besides its source: Python, numba, the CPU."""
    return hashlib.sha256(repr((sys.version, numba.__version__, codegen.magic_tuple())).encode()).hexdigest()[:12]


@lru_cache
def _bind_runtime() -> None:
    """Tell LLVM where numba's functions for arrays are. (`rtsys.initialize` does it too, and compiles some for the compiler's use.)"""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


_RUNTIME, _COUNTING = "nrt", ("NRT_incref", "NRT_decref", "NRT_MemInfo_data_fast")
"""numba's library of functions for arrays, and those of them that it compiles."""


@lru_cache
def _counting() -> str:
    """numba's functions that count references, as LLVM's text, with plain additions that are compiled into their callers."""
    module, word = ir.Module(), nrtdynmod._word_type
    counts = []
    for operation in ("add", "sub"):
        function = ir.Function(module, ir.FunctionType(word, [word.as_pointer()]), f"count_{operation}")
        function.linkage = "internal"
        builder = ir.IRBuilder(function.append_basic_block())
        value = getattr(builder, operation)(builder.load(function.args[0]), ir.Constant(word, 1))
        builder.store(value, function.args[0])
        builder.ret(value)
        counts.append(function)
    nrtdynmod._define_nrt_incref(module, counts[0])
    nrtdynmod._define_nrt_decref(module, counts[1])
    nrtdynmod._define_nrt_meminfo_data(module)
    return re.sub(r"fence .*", "", str(module)).replace("noinline", "alwaysinline")


class _Library(JITCodeLibrary):
    """Compiled code of a kernel whose counts of references are plain numbers.

    A call makes counts of its own for the arrays that it is given, and other threads see none of those that it makes. numba's are atomic
    operations in functions of their own; ours become part of the code once LLVM has dropped those that cancel out, also for a kernel that
    this one is compiled into: it gets the code as it was before.
    """

    def add_linking_library(self, library):
        if library.name != _RUNTIME:
            super().add_linking_library(library)

    def _optimize_final_module(self):
        module = self._final_module
        passes, builder = self._codegen._module_pass_manager(
            loop_vectorize=self._codegen._loopvect, slp_vectorize=False, opt=self._codegen._opt_level, cost="cheap"
        )
        passes.run(module, builder)
        self._shared_module = module.clone()
        for function in self._shared_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        module.link_in(llvm.parse_assembly(_counting()))
        for name in _COUNTING:
            module.get_function(name).linkage = "internal"
        passes, builder = self._codegen._module_pass_manager()
        passes.run(module, builder)


@contextmanager
def _own_libraries(codegen):
    """Let numba make `_Library`s, but for its runtime's."""
    before = codegen._library_class
    codegen._library_class = lambda codegen, name: (before if name == _RUNTIME else _Library)(codegen, name)
    try:
        yield
    finally:
        codegen._library_class = before


class _LoadedLibrary(JITCodeLibrary):
    """Compiled code from the cache. Its intermediate code is looked at only where a kernel that is not in the cache calls it."""

    def __init__(self, codegen, state):
        name, _, (machine_code, self._bitcode) = state
        super().__init__(codegen, name)
        engine = codegen._engine._ee
        engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
        engine.finalize_object()
        self._finalized = True

    def get_pointer_to_function(self, name):
        return self._codegen._engine.get_function_address(name)

    def _get_module_for_linking(self):
        if self._shared_module is None:
            self._shared_module = llvm.parse_bitcode(self._bitcode)
        return self._shared_module


class _Cache:
    """Compiled code of a function on disk, a file for each list of types: what numba asks of a cache, without what makes its own slow.

    numba's looks at a function's own file only and would keep a caller whose inlined callee in another file has changed; here the
    folder's name is a digest of all kernel files that the function's file imports. It also sets up the compiler, parses
    intermediate code and walks through its symbols before the first call (3 ms a kernel and 100 ms once); here machine code is
    linked and nothing else. Code that cannot be written (full disk, folder gone) is used all the same.
    """

    def __init__(self, function):
        file = Path(function.__code__.co_filename).resolve()
        # functions that are no kernels (tests make some) are compiled at each run
        self.cache_path = Path(os.environ["NUMBA_CACHE_DIR"], stamp(file)[:20]) if file.parent == _HERE else None
        self._name = f"{file.stem}.{function.__qualname__}-{function.__code__.co_firstlineno}"

    def _path(self, signature, codegen):
        types = hashlib.sha256(repr(signature).encode()).hexdigest()[:12]
        return self.cache_path / f"{self._name}.{types}.{_machine(codegen)}"

    def load_overload(self, signature, target_context):
        """The compiled function for a tuple of types, or None."""
        if self.cache_path is None:
            return None
        codegen = target_context.codegen()
        try:
            code, described, environment, kept, reload_init, environments = pickle.loads(self._path(signature, codegen).read_bytes())
        except Exception:  # not there, not readable, or cut off by a machine that went down: compiled anew
            return None
        _bind_runtime()
        for call in reload_init:
            call()
        library = _LoadedLibrary(codegen, code)
        result = CompileResult(
            target_context=target_context, typing_context=target_context.typing_context, library=library, environment=environment,
            entry_point=target_context.get_executable(library, described, environment), fndesc=described, type_annotation=None,
            signature=kept, objectmode=False, lifted=(), typing_error=None, call_helper=None, metadata=None, reload_init=reload_init,
            referenced_envs=environments,
        )  # fmt: skip
        for e in environments:
            codegen.set_env(e.env_name, e)
        return result

    def save_overload(self, signature, result):
        """Keep what was compiled."""
        if self.cache_path is None:
            return
        code, described, environment, kept, _, _, _, reload_init, environments = result._reduce()
        # Addresses of this process, and calls that numba binds when it links, mean nothing to another process.
        if result.library.has_dynamic_globals or b".numba.unresolved$" in code[2][0]:
            return
        # Those of numba's own functions have no constants, and to load them is to import their modules.
        environments = [e for e in environments if e.consts]
        data = serialize.dumps((code, described, environment, kept, reload_init, environments))
        path = self._path(signature, result.library.codegen)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            self.cache_path.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(data)
            unfinished.replace(path)
        except OSError as e:
            _tell_once(f"gpugenome: {self.cache_path.parent}: cannot be written ({e.strerror}), kernels are compiled in every run")
            with suppress(OSError):
                unfinished.unlink()


# names by which kernels make arrays
_MAKERS = frozenset((
    "empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like", "array", "arange", "frombuffer", "concatenate",
    "append", "repeat", "cumsum", "where", "unique", "flatnonzero", "nonzero", "bincount", "sort", "argsort", "copy", "astype", "reshape",
    "view", "carray", "any", "sum",
))  # fmt: skip


def _callees(function) -> list:
    """The kernels that a function calls."""
    return [c for c in map(function.__globals__.get, function.__code__.co_names) if isinstance(c, CPUDispatcher)]


def _makes_arrays(function) -> bool:
    """Whether a function, or a kernel that it calls, seems to make arrays, by the names that it uses."""
    found, todo = set(), [function]
    while todo:
        f = todo.pop()
        if f not in found:
            found.add(f)
            if not _MAKERS.isdisjoint(f.__code__.co_names):
                return True
            todo += [c.py_func for c in _callees(f)]
    return False


def _holds_array(kind) -> bool:
    if isinstance(kind, numba.types.BaseTuple):
        return any(_holds_array(k) for k in kind)
    return isinstance(kind, numba.types.Array)


class _Uncounted(Exception):
    """A kernel has to count references after all."""


class _Compiled(CPUDispatcher):
    """A kernel that is in use.

    Kernels that make no arrays count no references to them, unless they cannot be compiled otherwise: where they or kernels that they
    call return (a part of) an array, or copy one into a part of another, which takes memory where the two overlap.
    """

    def __init__(self, function):
        options = {"nopython": True, "nogil": True, "error_model": "numpy", "boundscheck": False, "no_cfunc_wrapper": True}
        super().__init__(function, targetoptions=options)
        self._cache = _Cache(function)

    def _compilation_chain_init_hook(self):
        """numba looks for extensions of other packages here: kernels use none."""

    def add_overload(self, result):
        if not self.targetoptions.get("_nrt", True):
            # One that is given arrays by another has to count them, too: else it never gives them back. (Callees of compiled code from
            # the cache are not in use.)
            used = [f for f in _callees(self.py_func) if type(f) is not _Kernel]
            if any(_holds_array(s.return_type) for s in (result.signature, *(s for f in used for s in f.nopython_signatures))):
                raise _Uncounted
        super().add_overload(result)

    def compile(self, signature):
        with global_compiler_lock, _own_libraries(self.targetctx.codegen()):
            self.targetoptions.setdefault("_nrt", _makes_arrays(self.py_func))
            try:
                return super().compile(signature)
            except (_Uncounted, NumbaError):
                if self.targetoptions["_nrt"]:
                    raise
                self.targetoptions["_nrt"] = True
                self._compiler._failed_cache.clear()
                return super().compile(signature)


class _Kernel(_Compiled):
    """A kernel that nobody has used yet: numba's part of it (0.3 ms) is made when it is called, or compiled into another one.

    A command imports hundreds of kernels and calls some dozens, whose compiled code has the others in it.
    """

    def __init__(self, function):
        self.py_func, self._begun = function, False

    def _prepare(self):
        with global_compiler_lock:
            if type(self) is _Kernel and not self._begun:
                self._begun = True
                _Compiled.__init__(self, self.py_func)
                self.__class__ = _Compiled

    def __call__(self, *args):
        _Kernel._prepare(self)  # by its class: another thread may have made it another one by now
        return self(*args)

    def __getattr__(self, name):
        _Kernel._prepare(self)
        return object.__getattribute__(self, name)


def jit(function):
    """Decorator of all CPU kernels: nogil, cached on disk, numpy error model, no fastmath.

    Kernels that make no arrays count no references to them (others do, see `_Library`). In a small function that is called for every read
    the counts can be more than its work. So let a kernel make its arrays first and leave the loops to functions that make none.
    """
    return function if numba.config.DISABLE_JIT else _Kernel(function)


_pools: dict[int, ThreadPoolExecutor] = {}


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="gpugenome")
    return _pools[threads]


def chunk_bounds(n: int, chunks: int) -> list[tuple[int, int]]:
    """Split range(n) into at most `chunks` runs of nearly equal length, in order."""
    chunks = max(1, min(chunks, n))
    return [(n * i // chunks, n * (i + 1) // chunks) for i in range(chunks)] if n else []


WORTH_A_THREAD = 200e-6
"""Seconds of work for which one more thread is woken."""


class _Chunks:
    """Runs of range(n) that threads take one after another, long ones first, so that few are handed out and all threads end together."""

    def __init__(self, function, n, threads, args):
        self._function, self._args, self._threads = function, args, threads
        self._n, self._least, self._at = n, max(1, n // (8 * threads)), 0
        self._lock, self._done, self._helpers, self._shares = threading.Lock(), {}, [], 2 * threads

    def _take(self, most):
        with self._lock:
            begin = self._at
            left = self._n - begin
            self._at += min(left, most or max(self._least, left // self._shares))
            return begin, self._at

    def run(self, most=None) -> bool:
        """Do the next run, of `most` items at most, in this thread; False if there was none."""
        begin, end = self._take(most)
        if begin == end:
            return False
        self._done[begin] = self._function(begin, end, *self._args)
        return True

    def run_all(self, wakes):
        """Do what is left; with `wakes`, let another thread join first."""
        if wakes and self._at < self._n:
            self.wake(1, True)
        while self.run():
            pass

    def wake(self, count, wakes=False):
        """Let `count` more threads join, as far as there are so many."""
        with self._lock:
            for _ in range(min(count, self._threads - 1 - len(self._helpers))):
                self._helpers.append(_pool(self._threads).submit(self.run_all, wakes))
            if not wakes:
                self._shares = 2 + 2 * len(self._helpers)

    def results(self) -> list:
        """What the runs returned, in order, once all threads are through; or the first error of a helper."""
        errors = [f.exception() for f in self._helpers if not f.cancel()]
        for error in filter(None, errors):
            raise error
        return [self._done[begin] for begin in sorted(self._done)]


def run_chunks(function, n: int, threads: int, *args) -> list:
    """Call `function(begin, end, *args)` (a nogil kernel) over chunks of range(n) on up to `threads` threads, the caller's among them.

    Results come back in the order of the chunks, and kernels must only write to positions that they own (indexed by begin..end), so nothing
    depends on scheduling. How many threads are woken depends on how long the first items took: handing out work that is done at once
    takes longer than the work.
    """
    if n < 1:
        return []
    if threads <= 1 or n == 1:
        return [function(0, n, *args)]
    chunks = _Chunks(function, n, threads, args)
    few = n <= 8 * threads
    try:
        if not few:
            begun, first = time.perf_counter(), max(1, n // (32 * threads))
            chunks.run(first)
            chunks.wake(int((time.perf_counter() - begun) * n / first / WORTH_A_THREAD))
        chunks.run_all(few)
    finally:
        results = chunks.results()
    return results


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
