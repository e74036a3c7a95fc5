"""What numba.cuda's simulator lacks, for the processes that tests/simulator.py starts: `prepare()` before kernels are imported.

- Warp shuffles and ballots: a warp's threads meet at a barrier for each.
- Arrays inside kernels are numpy arrays (records: recarrays), so that shared scalar functions run as compiled for the CPU.
- The single float instructions of kernels.arithmetic_cuda, from the CPU's scalar ones, and loads at addresses.
"""

import sys
import threading
import types

import numba
import numpy as np
from numba import cuda
from numba.cuda.simulator import kernel, kernelapi

LEAST_NORMAL = {np.float32: np.float32(2.0**-126), np.float64: 2.0**-1022}


class Warp:
    """Where the 32 threads of a warp exchange values: two rows of places, used in turn, so that one barrier an exchange is enough."""

    def __init__(self):
        self.barrier = threading.Barrier(32, timeout=60)
        self.place = [[None] * 32, [None] * 32]


_guard = threading.Lock()


def exchanged(value):
    """The values that the lanes of the calling thread's warp bring to this exchange, to be read before the next one."""
    thread = threading.current_thread()
    with _guard:
        warp = thread._manager.__dict__.setdefault("warps", {}).setdefault(thread.thread_id // 32, Warp())
    thread.turn = 1 - getattr(thread, "turn", 1)
    row = warp.place[thread.turn]
    row[thread.thread_id % 32] = value
    warp.barrier.wait()
    return row


def exchange(value, source):
    """The value that lane `source` brings to this exchange."""
    return exchanged(value)[source]


def ballot(value):
    """The lanes that bring a true value, one bit each."""
    return sum(1 << i for i, x in enumerate(exchanged(value)) if x)


def lane():
    return threading.current_thread().thread_id % 32


def arithmetic():
    """The module gpugenome.kernels.arithmetic_cuda on the CPU."""
    from gpugenome.kernels.simd import fma_scalar

    compiled = numba.njit(lambda a, b, c: fma_scalar(a, b, c))
    for kind in LEAST_NORMAL:
        compiled(kind(0), kind(0), kind(0))  # else all threads of a simulated block would be the first at once, which functools cannot do

    def flushed(x):
        return type(x)(0) if abs(x) < LEAST_NORMAL[type(x)] else x

    module = types.ModuleType("gpugenome.kernels.arithmetic_cuda")
    module.add = lambda a, b: flushed(a + b)
    module.mul = lambda a, b: flushed(a * b)
    module.fma = lambda a, b, c: flushed(type(a)(compiled(a, b, c)))
    return module


def plain(a):
    """A kernel's argument as numpy arrays."""
    if isinstance(a, tuple):
        return tuple(map(plain, a))
    if isinstance(a, kernel.FakeWithinKernelCUDAArray):
        a = a._item
    if isinstance(a, kernel.FakeCUDAArray):
        a = a._ary.view(np.recarray) if a._ary.dtype.names else a._ary
    return a


def prepare():
    """Complete the simulator of this process."""
    sys.setswitchinterval(1e-5)  # the simulator's main thread polls, and would keep the others waiting 5 ms a turn
    run = kernel.BlockManager.run
    kernel.BlockManager.run = lambda self, place, *args: run(self, place, *map(plain, args))
    api = kernelapi.FakeCUDAModule
    api.shfl_up_sync = lambda self, mask, value, delta: exchange(value, max(lane() - delta, 0) if lane() >= delta else lane())
    api.shfl_xor_sync = lambda self, mask, value, bits: exchange(value, lane() ^ int(bits))
    api.shfl_sync = lambda self, mask, value, source: exchange(value, int(source) % 32)
    api.ballot_sync = lambda self, mask, value: ballot(value)
    api.syncwarp = lambda self, mask=0xFFFFFFFF: exchange(None, 0)
    jit = cuda.jit
    cuda.jit = lambda function=None, forceinline=False, launch_bounds=None, **options: jit(function, **options)
    sys.modules["gpugenome.kernels.arithmetic_cuda"] = arithmetic()
    from gpugenome.kernels import memory

    load_u8, address_of = memory.load_u8, memory.address_of
    memory.load_u8 = numba.njit(lambda address: load_u8(address))
    memory.address_of = numba.njit(lambda array: address_of(array))
