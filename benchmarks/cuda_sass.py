"""Compile every CUDA kernel to machine code without a GPU and print registers, spills, stack and shared memory.

    python benchmarks/cuda_sass.py [STEM ...]          exit code 1 if a kernel does not compile

Kernels are those of the SIGNATURES table of each kernels/*_cuda.py: name -> a signature (text or a tuple of types) or
a list of them. PTX is made once, for the
oldest architecture, and linked to machine code for sm_75, sm_80, sm_90, and sm_100 where the toolkit knows it.
Needs gpugenome[cuda13] (or [cuda12]); no driver is asked.
"""

import contextlib
import importlib
import re
import sys
from pathlib import Path

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
ARCHITECTURES = [(7, 5), (8, 0), (9, 0), (10, 0)]


@contextlib.contextmanager
def pretend_device(cc):
    """numba asks the current device when a kernel calls another function; answer for it. Compile-only, so a private name will do."""
    import numba.cuda.dispatcher as dispatcher

    device = type("Device", (), {"compute_capability": cc})
    real = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: device
    try:
        yield
    finally:
        dispatcher.get_current_device = real


def link(ptx, cc):
    """nvJitLink's verbose log of one PTX module: registers, spills, shared memory."""
    from cuda.bindings import nvjitlink as nj

    options = [f"-arch=sm_{cc[0]}{cc[1]}", "-verbose"]
    handle = nj.create(len(options), options)
    data = ptx.encode() + b"\0"
    nj.add_data(handle, nj.InputType.PTX, data, len(data), "kernel.ptx")
    nj.complete(handle)
    log = bytearray(nj.get_info_log_size(handle))
    if log:
        nj.get_info_log(handle, log)
    nj.destroy(handle)
    return log.decode(errors="replace")


def figures(log):
    text = " ".join(log.split())
    number = lambda pattern: (re.findall(pattern, text) or ["0"])[-1]  # noqa: E731
    return (number(r"Used (\d+) registers"), number(r"(\d+) bytes spill stores"), number(r"(\d+) bytes spill loads"),
            number(r"(\d+) bytes stack frame"), number(r"(\d+) bytes smem"))  # fmt: skip


def compiled_kernels(stem):
    """(name, PTX, None), or (name, None, the error), of a module's kernels and signatures."""
    from numba import cuda
    from numba.core import sigutils

    module = importlib.import_module(f"gpugenome.kernels.{stem}")
    for name, signatures in module.SIGNATURES.items():
        for signature in signatures if isinstance(signatures, list) else [signatures]:
            arguments = sigutils.normalize_signature(signature)[0] if isinstance(signature, str) else signature
            with pretend_device(ARCHITECTURES[0]):
                kernel, cc = getattr(module, name), ARCHITECTURES[0]
                try:
                    yield name, cuda.compile_ptx(kernel.function, arguments, cc=cc, launch_bounds=kernel.launch_bounds)[0], None
                except Exception as e:
                    yield name, None, e


def main(stems):
    failed = 0
    print(f"{'module':24} {'kernel':28} {'arch':>6} {'regs':>5} {'spill st':>8} {'spill ld':>8} {'stack':>6} {'smem':>6}")
    for path in sorted(KERNELS.glob("*_cuda.py")):
        if stems and path.stem not in stems and path.stem.removesuffix("_cuda") not in stems:
            continue
        if not hasattr(importlib.import_module(f"gpugenome.kernels.{path.stem}"), "SIGNATURES"):
            continue
        for name, ptx, error in compiled_kernels(path.stem):
            if error:
                failed += 1
                print(f"{path.stem:24} {name:28} FAILED {type(error).__name__}: {str(error).strip()[:1000]}")
                continue
            for cc in ARCHITECTURES:
                arch = f"sm_{cc[0]}{cc[1]}"
                try:
                    row = figures(link(ptx, cc))
                except Exception as e:
                    if cc >= (10, 0):
                        continue  # the toolkit of [cuda12] does not know Blackwell well
                    failed += 1
                    print(f"{path.stem:24} {name:28} {arch} FAILED {type(e).__name__}: {str(e).strip()[:300]}")
                    continue
                print(f"{path.stem:24} {name:28} {arch:>6} {row[0]:>5} {row[1]:>8} {row[2]:>8} {row[3]:>6} {row[4]:>6}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
