"""What the kernel benchmarks share: timing on either device, the device's peak, and the row of a result."""

import json
import time

from harness import commit, cpu_model, gpu_name

# float32 or int32 lanes of a multiprocessor by compute capability
_LANES = {(7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 9): 128, (9, 0): 128, (10, 0): 128, (12, 0): 128}


def gpu_lane_rate():
    """32-bit instructions that the current device can issue to its lanes, 1/s."""
    from numba import cuda

    device = cuda.get_current_device()
    return device.MULTIPROCESSOR_COUNT * _LANES.get(device.compute_capability, 128) * device.CLOCK_RATE * 1e3


def seconds(call, runs, on_gpu):
    """The best of `runs` wall times of a call, after one that is not counted; on a GPU from device events."""
    call()
    best = float("inf")
    for _ in range(runs):
        if on_gpu:
            from numba import cuda

            begin, end = cuda.event(), cuda.event()
            begin.record()
            call()
            end.record()
            end.synchronize()
            best = min(best, cuda.event_elapsed_time(begin, end) / 1e3)
        else:
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
    return best


def report(kernel, where, cells, best, out=None, **more):
    """Print one JSON line: cell updates a second and what they are a share of. out: a file that gets it too."""
    device = gpu_name() if where == "cuda" else cpu_model()
    row = {"kernel": kernel, "device": device, "commit": commit(), "cells": int(cells), "seconds": round(best, 6),
           "giga_cells_per_s": round(cells / best / 1e9, 3), **more}  # fmt: skip
    print(json.dumps(row), flush=True)
    if out:
        with open(out, "a") as f:
            f.write(json.dumps(row) + "\n")
