"""Compile every CUDA kernel to machine code without a GPU and print registers, spills, stack and shared memory.

    python benchmarks/cuda_sass.py [STEM ...]          exit code 1 if a kernel does not compile

Numba kernels are compiled from the SIGNATURES table of their module; `.cu` files by the toolkit's program compiler. Architectures:
sm_75, sm_80, sm_90, and sm_100 where the toolkit knows it. Needs gpugenome[cuda13] (or [cuda12]); no driver is asked.
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


def numba_kernels(stem):
    from numba import cuda

    module = importlib.import_module(f"gpugenome.kernels.{stem}")
    options = getattr(module, "COMPILE_OPTIONS", {})
    for name, signature in module.SIGNATURES.items():
        kernel = getattr(module, name)
        for cc in ARCHITECTURES:

            def compiled(kernel=kernel, signature=signature, cc=cc, options=options):
                from numba.core import sigutils

                args, _ = sigutils.normalize_signature(signature)
                with pretend_device(cc):
                    ptx, _ = cuda.compile_ptx(getattr(kernel, "py_func", kernel), args, cc=cc, **options)
                return link(ptx, cc)

            yield name, cc, compiled


def source_kernels(path):
    from cuda.core import Program, ProgramOptions

    for cc in ARCHITECTURES:

        def compiled(cc=cc):
            import io

            log = io.StringIO()
            options = ProgramOptions(std="c++17", arch=f"sm_{cc[0]}{cc[1]}", ptxas_options=["-v"], fma=False)
            Program(path.read_text(), code_type="c++", options=options).compile("cubin", logs=log)
            return log.getvalue()

        yield path.name, cc, compiled


def main(stems):
    failed = 0
    print(f"{'module':32} {'kernel':34} {'arch':>6} {'regs':>5} {'spill st':>8} {'spill ld':>8} {'stack':>6} {'smem':>6}")
    jobs = []
    for path in sorted(KERNELS.glob("*_cuda.py")):
        if not stems or path.stem in stems or path.stem.removesuffix("_cuda") in stems:
            jobs.append((path.stem, numba_kernels(path.stem)))
    for path in sorted(KERNELS.glob("*.cu")):
        if not stems or path.stem in stems:
            jobs.append((path.name, source_kernels(path)))
    for module, kernels in jobs:
        for name, cc, compiled in kernels:
            try:
                row = figures(compiled())
            except Exception as e:
                if cc >= (10, 0):
                    continue  # the toolkit of [cuda12] cannot compile some kernels for Blackwell
                failed += 1
                print(f"{module:32} {name:34} sm_{cc[0]}{cc[1]} FAILED {type(e).__name__}: {str(e).strip()[:300]}")
                continue
            print(f"{module:32} {name:34} {f'sm_{cc[0]}{cc[1]}':>6} {row[0]:>5} {row[1]:>8} {row[2]:>8} {row[3]:>6} {row[4]:>6}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
