"""The list of kernels that commands compile ahead is about kernels that exist, and compiling from it fills the cache."""

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import types
from numba.np.numpy_support import from_dtype

import gpugenome
from gpugenome import precompile

LISTED = json.loads(precompile.LIST.read_text())


@pytest.mark.parametrize("command", LISTED)
def test_listed_kernels_take_what_is_listed(command):
    assert len(LISTED[command]) > 20
    for name, functions in LISTED[command].items():
        module = importlib.import_module(f"gpugenome.kernels.{name}")
        for function, signatures in functions.items():
            parameters = len(inspect.signature(getattr(module, function).py_func).parameters)
            for signature in signatures:
                assert len(precompile.parse(signature)) == parameters, (name, function)


def test_types_survive_their_text():
    array = types.Array(types.int32, 2, "C", readonly=True)
    for t in (array, types.Tuple((array, types.int64)), types.UniTuple(types.float32, 3), types.none, types.boolean, types.Omitted(None),
              types.Array(from_dtype(np.dtype([("a", "i8"), ("b", "i2")])), 1, "C")):  # fmt: skip
        assert precompile.parse(precompile._text(t)) == t


def test_compiled_ahead_is_not_compiled_again(tmp_path):
    (name, functions), *_ = [(n, f) for n, f in LISTED["germline"].items() if n == "sort_keys_cpu"]
    code = (
        "import sys, json; from gpugenome.precompile import compile_module; from gpugenome.kernels import sort_keys_cpu as k\n"
        f"functions = json.loads({json.dumps(functions)!r}); compile_module({name!r}, functions)\n"
        "stats = [getattr(k, f).stats for f in functions]\n"
        "print(sum(sum(s.cache_misses.values()) for s in stats), sum(sum(s.cache_hits.values()) for s in stats))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "not" / "there")}

    def run():
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.stderr == ""
        return list(map(int, done.stdout.split()))

    (missed, _), (missed_again, hits) = run(), run()
    assert missed > 0 and missed_again == 0 and hits == missed
    small = min((tmp_path / "not" / "there").glob("*/*.coordinates_broken-*"))
    small.write_bytes(small.read_bytes()[:1000])  # as where the machine went down
    assert run() == [1, hits - 1]
    assert run() == [0, hits]


FOLDER = "import os; from gpugenome.kernels import launch; print(os.environ['NUMBA_CACHE_DIR'], launch.keeps_code())"


def folder_of(code="", **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run([sys.executable, "-c", code + FOLDER], env={**kept, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_where_compiled_kernels_are_kept(tmp_path):
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir(), temporary.mkdir()
    own = temporary / f"gpugenome-{os.getuid()}" / gpugenome.__version__
    assert folder_of(HOME=str(home)) == [str(home / ".cache" / "gpugenome" / gpugenome.__version__), "True"]
    assert folder_of(HOME="/dev/null", TMPDIR=str(temporary)) == [str(own), "True"]
    nobody = "import os; os.path.expanduser = lambda path: path\n"
    assert folder_of(nobody, TMPDIR=str(temporary)) == [str(own), "True"]
    own.parent.rename(temporary / "gpugenome-12345")  # made by another user
    nobody += "os.getuid = lambda: 12345\n"
    assert folder_of(nobody, TMPDIR=str(temporary)) == ["/dev/null/none", "False"]
    assert not any(p.name == "~" for p in Path.cwd().iterdir())


def test_kernels_run_where_nothing_can_be_kept():
    code = (
        "import numpy as np; from gpugenome.kernels import bam_records_cpu as k\n"
        "for kind in (np.int64, np.int32):\n"
        "    print(k.scan_records(np.zeros(4, np.uint8), 0, 4, np.zeros(2, kind), 1))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": "/dev/null/none"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "(0, 1)\n" * 2, done.stderr
    assert done.stderr == "gpugenome: /dev/null/none: cannot be written (Not a directory), kernels are compiled in every run\n"
