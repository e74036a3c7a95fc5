"""How CUDA kernels are launched: called like their CPU twins, `kernel(begin, end, ...)`, with arrays on the device."""

import threading
from pathlib import Path

from gpugenome.kernels.launch import keeps_code, stamp  # before numba: it says where compiled kernels are cached

from numba import cuda  # isort: skip
from numba.core import sigutils  # isort: skip


LOCK = threading.RLock()
"""Held by whoever talks to the driver (`Twin.alone`): numba-cuda's modules and its memory manager are not made for several threads."""


class Kernel:
    """A CUDA kernel `function(begin, end, *args)` that is called with its CPU twin's arguments.

    An item is a thread's work, or that of `per_item` consecutive threads; a block has `block` threads. The call queues one launch
    over the items begin..end on the current stream and returns None: nothing is copied and nothing is waited for.
    blocks_per_sm: blocks that must fit a multiprocessor at a time, which bounds the registers.
    """

    def __init__(self, function, block=128, per_item=1, blocks_per_sm=1):
        self.function, self.block, self.per_item = function, block, per_item
        self.launch_bounds = (block, blocks_per_sm)
        self.compiled = cuda.jit(launch_bounds=self.launch_bounds, cache=keeps_code())(function)
        if keeps_code() and hasattr(self.compiled, "_cache"):  # not in the simulator
            self.compiled._cache._cache_file._source_stamp = stamp(Path(function.__code__.co_filename).resolve())

    def load(self, signature) -> None:
        """Load the code for a signature (as in a module's SIGNATURES), or compile it where it is not in the cache, before it is called."""
        if hasattr(self.compiled, "compile"):  # not in the simulator
            self.compiled.compile(sigutils.normalize_signature(signature)[0])

    def __call__(self, begin, end, *args):
        if end > begin:
            items = self.block // self.per_item
            self.compiled[-(-(end - begin) // items), self.block](begin, end, *args)


def kernel(**options):
    """Decorator that makes a `Kernel`."""
    return lambda function: Kernel(function, **options)
