"""What a long command says while it runs: lines on standard error with the seconds since its start."""

import sys
import time

from gpugenome import backend as backends

_started = time.monotonic()


def log(text: str) -> None:
    """One line on standard error."""
    print(f"gpugenome: [{time.monotonic() - _started:7.1f} s] {text}", file=sys.stderr, flush=True)


def announce(device: str, threads: int | None, command: str, gpu_gains: bool = False) -> backends.Backend:
    """Choose the device (as `backend.choose`) and say what it is; compile the command's kernels where this is their first run."""
    from gpugenome.precompile import ensure_compiled

    chosen = backends.choose(device, threads, gpu_gains)
    log(chosen.description)
    ensure_compiled(command, chosen.threads, log)
    return chosen
