"""Compiles the kernels of a command on all cores, once for each machine and version.

numba compiles a kernel at its first call, in one process on one core: a minute or two before `germline` has all of its kernels. What it
will call is known: `kernels.json` lists the functions of each kernel module and the types that they are called with. Whatever the list
lacks is compiled when it is called, as ever. `python -m gpugenome.precompile COMMAND ARGUMENTS...` runs a command and puts what it
called into the list.
"""

import hashlib
import importlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

LIST = Path(__file__).with_name("kernels.json")
MOST_PROCESSES = 16  # of some 250 MB each


def _text(t) -> str:
    """A numba type as an expression for `parse`."""
    from numba import types
    from numba.np.numpy_support import as_dtype

    if isinstance(t, types.Record):
        return f"from_dtype(dtype({as_dtype(t).descr}))"
    if isinstance(t, types.Array):
        return f"Array({_text(t.dtype)}, {t.ndim}, {t.layout!r}, readonly={not t.mutable})"
    if isinstance(t, types.BaseTuple):
        return f"Tuple(({''.join(_text(x) + ', ' for x in t)}))"
    if isinstance(t, types.Omitted):
        return f"Omitted({t.value!r})"
    return str(t)


def parse(signature: str):
    """The numba types that a signature of the list stands for."""
    from numba import types
    from numba.np.numpy_support import from_dtype
    from numpy import dtype

    return eval(signature, {**vars(types), "from_dtype": from_dtype, "dtype": dtype})


def _signatures(module) -> dict[str, list[str]]:
    """The types that the functions of a kernel module have been called with from Python in this process."""
    from numba.core.dispatcher import Dispatcher

    found = {}
    for name, function in sorted(vars(module).items()):
        if isinstance(function, Dispatcher) and function.py_func.__module__ == module.__name__ and function.overloads:
            found[name] = sorted(f"({''.join(_text(t) + ', ' for t in types)})" for types in function.overloads)
    return found


def compile_module(name: str, functions: dict[str, list[str]]) -> int:
    """Compile functions of one kernel module into the cache; how many."""
    module, done = importlib.import_module(f"gpugenome.kernels.{name}"), 0
    for function, signatures in functions.items():
        for signature in signatures:
            getattr(module, function).compile(parse(signature))
            done += 1
    return done


def _marker(wanted) -> Path:
    """The file that says that these kernels lie in the cache, as compiled by this numba for this CPU."""
    import numba
    from llvmlite.binding import get_host_cpu_name

    from gpugenome.kernels import launch

    folder = Path(launch.__file__).parent
    digest = hashlib.sha256(json.dumps([numba.__version__, get_host_cpu_name(), sys.version, wanted]).encode())
    for name in sorted(wanted):
        digest.update(launch.stamp(folder / f"{name}.py").encode())
    return Path(os.environ["NUMBA_CACHE_DIR"], f"compiled-{digest.hexdigest()[:20]}")


def ensure_compiled(command: str, threads: int, log) -> None:
    """Compile the kernels of a command where they are not in the cache yet. log: called with a line where there is something to do."""
    import numba

    from gpugenome.kernels.launch import keeps_code

    wanted = json.loads(LIST.read_text()).get(command, {})
    marker = _marker(wanted)
    if threads < 2 or not wanted or numba.config.DISABLE_JIT or marker.exists() or not keeps_code():
        return
    processes = min(threads, MOST_PROCESSES, len(wanted))
    log(f"first run of this version on this machine: compiling its kernels in {processes} processes")
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        # large modules first: a proxy of their time that lets the processes end together
        size = {name: sum(map(len, functions.values())) * len(functions) for name, functions in wanted.items()}
        tasks = [pool.submit(compile_module, name, wanted[name]) for name in sorted(wanted, key=size.get, reverse=True)]
        failed = [t.exception() for t in as_completed(tasks) if t.exception()]
    if failed:  # the kernels in question compile when they are called
        log(f"{len(failed)} of {len(tasks)} kernel modules not compiled ahead: {failed[0]!r}")
    try:
        marker.touch()
    except OSError:  # a full disk
        pass


def _record() -> None:
    """Run a command, then put what it called into the list."""
    from gpugenome.cli import main

    try:
        main(sys.argv[1:])
    except SystemExit as e:
        if e.code:
            raise
    prefix, found = "gpugenome.kernels.", {}
    for name, module in list(sys.modules.items()):
        if name.startswith(prefix) and name.endswith(("_cpu", "_scalar")):
            if functions := _signatures(module):
                found[name.removeprefix(prefix)] = functions
    everything = json.loads(LIST.read_text()) if LIST.exists() else {}
    mine = everything.setdefault(sys.argv[1], {})
    for module, functions in found.items():
        for function, signatures in functions.items():
            kept = mine.setdefault(module, {}).setdefault(function, [])
            kept[:] = sorted({*kept, *signatures})
    LIST.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _record()
