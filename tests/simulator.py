"""Run code with numba.cuda's simulator: it must be switched on before numba is imported, so in a process of its own.

A test of a twin has a function `check(...)` that compares the twins' outputs bit for bit. It is called at toy size in the
simulator, `in_simulator("test_cuda_x", "check(...)")`, and directly at full size where there is a device (marker `cuda`).
"""

import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np


def in_simulator(module: str, *calls: str, timeout: float = 300) -> str:
    """Run calls of functions of a test module with NUMBA_ENABLE_CUDASIM=1, completed by tests/simulated.py; their standard output.

    Fails the test if it fails.
    """
    code = "\n".join(["import simulated", "simulated.prepare()", f"from {module} import *", *calls])
    # CPU kernels compiled here hold the stand-ins of tests/simulated.py: they must not get into the cache of the tool
    cache = Path(tempfile.gettempdir()) / f"gpugenome-simulator-{os.getuid()}"
    cache.mkdir(exist_ok=True)
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_CACHE_DIR": str(cache)}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), env.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-8000:]
    return result.stdout


def demo_records(reads):
    """A batch of the demo's first reads."""
    from gpugenome.columns import take
    from gpugenome.io.bam import open_reads

    source = open_reads(Path(__file__).resolve().parent.parent / "data" / "golden" / "recalibrated.bam", threads=1)
    batch = next(iter(source.batches(reads)))
    return take(batch, np.arange(min(reads, len(batch))))


def on_device(a):
    """An array, or a tuple's arrays, copied to the device; anything else as it is."""
    from numba import cuda

    return tuple(map(on_device, a)) if isinstance(a, tuple) else cuda.to_device(a) if isinstance(a, np.ndarray) else a


def run_both(stem, name, n, inputs, *outputs):
    """Run a kernel of both twins over copies of the outputs, which must end with equal bytes; those of the CPU.

    Arrays among the inputs, in tuples too, are copied to the device.
    """
    device = on_device(outputs)
    getattr(import_module(f"gpugenome.kernels.{stem}_cuda"), name)(0, n, *on_device(tuple(inputs)), *device)
    getattr(import_module(f"gpugenome.kernels.{stem}_cpu"), name)(0, n, *inputs, *outputs)
    for mine, expected in zip(device, outputs):
        mine = mine.copy_to_host()
        assert mine.tobytes() == expected.tobytes(), (mine[mine != expected], expected[mine != expected])
    return outputs
