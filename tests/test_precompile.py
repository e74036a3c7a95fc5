"""The list of kernels that commands compile ahead is about kernels that exist, and compiling from it fills the cache."""

import importlib
import inspect
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numba import types
from numba.np.numpy_support import from_dtype

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
    runs = [subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True) for _ in range(2)]
    (missed, _), (missed_again, hits) = (map(int, r.stdout.split()) for r in runs)
    assert missed > 0 and missed_again == 0 and hits == missed
