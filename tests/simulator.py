"""Run code with numba.cuda's simulator: it must be switched on before numba is imported, so in a process of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def run_in_simulator(code: str, timeout: float = 300) -> str:
    """Run Python source with NUMBA_ENABLE_CUDASIM=1, tests/ on the path; its standard output. Fails the test if it fails."""
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), env.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-8000:]
    return result.stdout
