"""Run code with numba.cuda's simulator: it must be switched on before numba is imported, so in a process of its own.

A test of a twin has a function `check(...)` that compares the twins' outputs bit for bit. It is called at toy size in the
simulator, `in_simulator("test_cuda_x", "check(...)")`, and directly at full size where there is a device (marker `cuda`).
"""

import os
import subprocess
import sys
from pathlib import Path


def in_simulator(module: str, *calls: str, timeout: float = 300) -> str:
    """Run calls of functions of a test module with NUMBA_ENABLE_CUDASIM=1, completed by tests/simulated.py; their standard output.

    Fails the test if it fails.
    """
    code = "\n".join(["import simulated", "simulated.prepare()", f"from {module} import *", *calls])
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), env.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-8000:]
    return result.stdout
