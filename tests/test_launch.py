"""Kernels that count no references give back the arrays that they are given."""

import sys

import numpy as np

from gpugenome.kernels.launch import jit


@jit
def part(values, n):
    return values[:n]


@jit
def first_two(values):
    """Calls a kernel that returns a part of an array, which only shows once that is compiled."""
    few = part(values, 2)
    return few[0] + few[1]


@jit
def through(values):
    """Counts references, since it makes an array."""
    return first_two(values) + np.zeros(2)[1]


def test_a_part_that_another_kernel_returned_is_given_back():
    values = np.arange(5)
    for kernel in (first_two, through):
        assert kernel(values) == 1
        before = sys.getrefcount(values)
        for _ in range(10):
            kernel(values)
        assert sys.getrefcount(values) == before
    kept = part(values, 3)
    before = sys.getrefcount(values)
    del kept
    assert sys.getrefcount(values) == before - 1
