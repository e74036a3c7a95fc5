"""Chooses where kernels run, moves batches there, and says what it chose. The only place that does.

Kernels come as twins, `kernels/Y_cpu.py` and `kernels/Y_cuda.py`, with equal names and arguments: `kernel(begin, end, ...)` does the
items begin..end, on the CPU in the calling thread, on the GPU as one launch (kernels/launch_cuda.py), and gives the same bits.
A step asks for a stem and calls kernels by name:

    hmm = backend.kernels("pairhmm")
    with hmm.alone():
        out = hmm.empty(n, np.float32)
        hmm.run("pair_totals", n, *hmm.put(order, base, ...), out)
        (totals,) = hmm.take(out)
"""

import ctypes
import importlib
import os
import sys
import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from gpugenome.errors import DeviceError
from gpugenome.pipeline import usable_threads

# Stems whose CUDA twin the pipeline calls (of joint_genotypes: `site_models`, for batches of many samples). The other twins exist (tests,
# SASS checks, benchmarks/device.py); what each gains with its copies, and the pipeline as a whole, is in the README's section on the GPU.
# RECORD_STEMS are for records that stay on the GPU (gpugenome.gpu_records).
RECORD_STEMS = "sort_keys", "scan", "bam_records", "read_ends", "duplicates", "sam_tags", "covariates", "recalibrate"
ALIGNER_STEMS = "chained_reads", "extension"
CUDA_STEMS = frozenset({*RECORD_STEMS, *ALIGNER_STEMS, "joint_genotypes", "pairhmm"})
NO_DEVICE = "no CUDA device or no NVIDIA driver (libcuda.so.1) was found"

TRANSFERS: dict[str, list[int]] = {}
"""Bytes that `Twin` has copied, by stem: to the GPU, and from it."""


@dataclass(frozen=True)
class Twin:
    """The kernels of one stem where they run: `run` calls one, `put`, `take` and `empty` are about its arrays."""

    module: ModuleType
    threads: int
    on_gpu: bool

    def alone(self):
        """A context in which no other thread talks to the GPU: arrays are made, used and given back inside. On the CPU it does nothing."""
        if not self.on_gpu:
            return nullcontext()
        from gpugenome.kernels.launch_cuda import LOCK

        return LOCK

    def run(self, name: str, n: int, *args) -> list:
        """Run kernel `name` over range(n): in chunks over the threads, in whose order its results come; or as one launch (no results)."""
        from gpugenome.kernels.launch import run_chunks

        kernel = getattr(self.module, name)
        return [kernel(0, n, *args)] if self.on_gpu else run_chunks(kernel, n, self.threads, *args)

    def put(self, *arrays) -> tuple:
        """The arrays where the kernels want them: as they are, or copied to the GPU."""
        if not self.on_gpu:
            return arrays
        from numba import cuda

        self._count(0, arrays)
        return tuple(cuda.to_device(a) for a in arrays)

    def take(self, *arrays) -> tuple:
        """The arrays in host memory, once the kernels that write them are done."""
        if not self.on_gpu:
            return arrays
        self._count(1, arrays)
        return tuple(a.copy_to_host() for a in arrays)

    def take_into(self, array, out) -> None:
        """Copy one of the GPU's arrays to `out`, of the same shape and type."""
        self._count(1, (array,))
        array.copy_to_host(out)

    def _count(self, way, arrays):
        stem = self.module.__name__.rpartition(".")[2].removesuffix("_cuda")
        TRANSFERS.setdefault(stem, [0, 0])[way] += sum(a.nbytes for a in arrays)

    def empty(self, shape, dtype):
        """An output array for the kernels."""
        if not self.on_gpu:
            return np.empty(shape, dtype)
        from numba import cuda

        return cuda.device_array(shape, dtype)

    def free_bytes(self) -> float:
        """Memory of the GPU that nobody has."""
        from numba import cuda

        return cuda.current_context().get_memory_info().free


@dataclass(frozen=True)
class Backend:
    """device: "cpu" or "cuda". threads: Python threads over nogil kernels. description: one line for the log."""

    device: str
    threads: int
    description: str = ""

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    def kernels(self, stem: str) -> Twin:
        """The kernels `gpugenome.kernels.<stem>_cuda` of a stem of CUDA_STEMS on a GPU, else `<stem>_cpu`."""
        on_gpu = self.on_gpu and stem in CUDA_STEMS
        return Twin(importlib.import_module(f"gpugenome.kernels.{stem}_{'cuda' if on_gpu else 'cpu'}"), self.threads, on_gpu)


def warm_up(stems) -> threading.Thread:
    """On a thread of its own, while the host reads its first input: make the GPU's context, and load the kernels of stems in this order.

    Between two kernels others may talk to the GPU. What fails here fails again, and is told, where it is used.
    """

    def load():
        from gpugenome.kernels.launch_cuda import LOCK

        with suppress(Exception):
            for stem in stems:
                module = importlib.import_module(f"gpugenome.kernels.{stem}_cuda")
                for name, signatures in module.SIGNATURES.items():
                    for signature in signatures if isinstance(signatures, list) else [signatures]:
                        with LOCK:
                            getattr(module, name).load(signature)

    thread = threading.Thread(target=load, name="gpugenome-warm-up", daemon=True)
    thread.start()
    return thread


def where(batch, stem: str, threads: int) -> Twin:
    """The kernels of a stem where a `ReadBatch` is."""
    return (batch.card.backend if batch.on_gpu else Backend("cpu", threads)).kernels(stem)


def _has_driver() -> bool:
    """Whether the driver's library can be loaded, asked without numba.cuda, which takes 0.2 s to import."""
    if not sys.platform.startswith("linux") or os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        return True
    for name in (os.environ.get("NUMBA_CUDA_DRIVER"), "libcuda.so.1", "libcuda.so", "/usr/lib/libcuda.so", "/usr/lib64/libcuda.so"):
        if name:
            with suppress(OSError):
                ctypes.CDLL(name)
                return True
    return False


def _cuda_problem() -> str | None:
    """What is missing for CUDA, or None where a device is ready."""
    try:
        from numba import cuda
    except ImportError as e:
        return f"numba.cuda cannot be imported ({e}); install gpugenome[cuda12] or gpugenome[cuda13]"
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        return None
    try:
        if cuda.is_available():
            return None
        importlib.import_module("cuda.bindings")
    except ImportError:
        return "the CUDA bindings are not installed; install gpugenome[cuda12] or gpugenome[cuda13]"
    except Exception as e:  # a driver that is there but broken raises its own error types
        return f"the CUDA driver does not answer ({type(e).__name__}: {e})"
    return NO_DEVICE


def choose(device: str = "auto", threads: int | None = None, gpu_gains: bool = True) -> Backend:
    """Pick the device.

    device: "cpu", "cuda" or "auto": the GPU where one is ready and a GPU was measured to gain on what it is for (gpu_gains), else the CPU.
    threads: CPU threads, by default all usable cores.

    Raises
    ------
    DeviceError: "cuda" was asked for and something is missing; the message names it.
    """
    n = threads or usable_threads()
    if device == "cpu" or (device == "auto" and not gpu_gains):
        return Backend("cpu", n, f"CPU, {n} thread{'s' * (n != 1)}")
    problem = NO_DEVICE if device == "auto" and not _has_driver() else _cuda_problem()
    if problem is None:
        from numba import cuda

        gpu = cuda.get_current_device()
        name = gpu.name.decode() if isinstance(gpu.name, bytes) else str(gpu.name)
        return Backend("cuda", n, f"CUDA device {name}, and {n} CPU thread{'s' * (n != 1)}")
    if device == "cuda":
        raise DeviceError(f"--device cuda: {problem}")
    return Backend("cpu", n, f"CPU, {n} thread{'s' * (n != 1)} (no GPU: {problem})")
