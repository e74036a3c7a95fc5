"""What a long command says while it runs: lines on standard error with the seconds since its start."""

import sys
import time
from contextlib import contextmanager

from gpugenome import backend as backends

_started = time.monotonic()
_silent = False


def log(text: str) -> None:
    """One line on standard error, unless silenced."""
    if not _silent:
        print(f"gpugenome: [{time.monotonic() - _started:7.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def silence():
    """Leave all lines out inside of the `with`."""
    global _silent
    _silent = True
    try:
        yield
    finally:
        _silent = False


def log_transfers() -> None:
    """What was copied to and from the GPU, a line for each kind of kernels."""
    for stem, (up, down) in sorted(backends.TRANSFERS.items()):
        log(f"GPU, {stem}: {up / 1e6:.1f} MB up, {down / 1e6:.1f} MB down")


def announce(device: str, threads: int | None, command: str, gpu_gains: bool = False,
             stems: tuple[str, ...] = ()) -> backends.Backend:  # fmt: skip
    """Choose the device (as `backend.choose`) and say what it is; compile the command's kernels where this is their first run.

    stems: of the kernels that a GPU will run, in the order of their use; they are loaded beside (`backend.warm_up`).
    """
    from gpugenome.precompile import ensure_compiled

    chosen = backends.choose(device, threads, gpu_gains)
    log(chosen.description)
    if chosen.on_gpu:
        backends.warm_up(stems)
    ensure_compiled(command, chosen.threads, log)
    return chosen
