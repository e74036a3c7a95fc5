"""Float operations with a fixed rounding for CUDA kernels: what simd.py is for the CPU.

numba and nvJitLink fuse `a * b + c` where they like. These are single PTX instructions, so they are fused exactly where the name says
so, and round as the CPU twins' vectors do. float32: results below the normal range become 0, as the CPU's flush mode makes them.
float64 has no such mode on a GPU: there a comparison and a selection after each operation do the same.
"""

from llvmlite import ir
from numba.cuda.extending import intrinsic

_LEAST_NORMAL_F64 = 2.0**-1022
_REAL = {32: (ir.FloatType(), "f", "ftz.f32"), 64: (ir.DoubleType(), "d", "f64")}


def _instruction(builder, name, values, bits):
    kind, letter, suffix = _REAL[bits]
    places = ", ".join(f"${i}" for i in range(len(values) + 1))
    constraints = ",".join([f"={letter}"] + [letter] * len(values))
    asm = ir.InlineAsm(ir.FunctionType(kind, [kind] * len(values)), f"{name}.{suffix} {places};", constraints)
    result = builder.call(asm, values)
    if bits == 32:
        return result
    tiny = builder.and_(
        builder.fcmp_ordered("<", result, ir.Constant(kind, _LEAST_NORMAL_F64)),
        builder.fcmp_ordered(">", result, ir.Constant(kind, -_LEAST_NORMAL_F64)),
    )
    return builder.select(tiny, ir.Constant(kind, 0.0), result)


@intrinsic
def add(typingctx, a, b):
    """a + b, rounded once; too small for the normal range: 0. Two float32 or two float64."""

    def codegen(context, builder, sig, args):
        return _instruction(builder, "add.rn", args, a.bitwidth)

    return a(a, b), codegen


@intrinsic
def mul(typingctx, a, b):
    """a * b, as `add`."""

    def codegen(context, builder, sig, args):
        return _instruction(builder, "mul.rn", args, a.bitwidth)

    return a(a, b), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, rounded once, as `add`."""

    def codegen(context, builder, sig, args):
        return _instruction(builder, "fma.rn", args, a.bitwidth)

    return a(a, b, c), codegen
