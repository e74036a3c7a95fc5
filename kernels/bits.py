"""Bit counts of 64-bit words, as one instruction each, inside kernels."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def leading_zeros(typing_context, word):
    """Zero bits above the highest set bit of a uint64, 64 for 0; int64."""

    def codegen(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def set_bits(typing_context, word):
    """Number of set bits of a uint64; int64."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), codegen
