"""Products with a fixed rounding in scalar functions that CPU and CUDA share.

The compilers of CUDA kernels fuse `a * b + c` where they like, those of the CPU kernels never do (launch.jit). Where a float product
is added to something, shared functions take `product` instead of `*`, which is the same instruction on the CPU.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def product(typing_context, a, b):
    """a * b of two float64, rounded before anything is added to it."""

    def codegen(context, builder, signature, arguments):
        if "nvptx" not in builder.module.triple:
            return builder.fmul(*arguments)
        real = ir.DoubleType()
        return builder.call(ir.InlineAsm(ir.FunctionType(real, [real, real]), "mul.rn.f64 $0, $1, $2;", "=d,d,d"), arguments)

    return types.float64(types.float64, types.float64), codegen
