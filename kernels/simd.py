"""Explicit SIMD vectors for numba kernels: float32/float64/int32/int64 lanes of one register's width, 16 uint8 or 8 int16 lanes.

`VECTOR_BYTES` is 64 with AVX-512, 32 with AVX2 + FMA, 16 elsewhere (NEON; without hardware FMA LLVM calls the C library's
correctly rounded fmaf). It follows the CPU that numba compiles for (NUMBA_CPU_NAME/NUMBA_CPU_FEATURES included), which is also
part of numba's cache key. Every operation is one IEEE operation without fast-math flags, so LLVM never fuses or reorders:
`fma` is the only fused one. Values therefore do not depend on the width.

Vector values live only inside a kernel; arrays are indexed by element, unchecked.
"""

from llvmlite import binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic, models, register_model


def vector_bytes() -> int:
    """Register width in bytes of the CPU that numba compiles for."""
    if config.CPU_NAME or config.CPU_FEATURES:
        named, text = config.CPU_NAME or "", config.CPU_FEATURES or ""
        has = {f[1:] for f in text.split(",") if f.startswith("+")}
        if named in ("skylake-avx512", "icelake-server", "sapphirerapids", "znver4", "x86-64-v4"):
            has |= {"avx512f", "avx2", "fma"}
        elif named in ("haswell", "broadwell", "skylake", "znver1", "znver2", "znver3", "x86-64-v3"):
            has |= {"avx2", "fma"}
        has -= {f[1:] for f in text.split(",") if f.startswith("-")}
    else:
        has = {name for name, on in llvm.get_host_cpu_features().items() if on}
    if "avx512f" in has:
        return 64
    return 32 if {"avx2", "fma"} <= has else 16


VECTOR_BYTES = vector_bytes()
LANES_F32 = VECTOR_BYTES // 4
LANES_F64 = VECTOR_BYTES // 8
_X86 = llvm.get_default_triple().split("-")[0] in ("x86_64", "i386", "i686", "amd64")
_I32 = ir.IntType(32)


class Vector(types.Type):
    """A register of `lanes` numbers of a scalar type (lane type i1: a mask)."""

    def __init__(self, lane, llvm_lane, lanes):
        self.lane, self.lanes = lane, lanes
        self.llvm_type = ir.VectorType(llvm_lane, lanes)
        super().__init__(name=f"vector({lane}x{lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, fe_type.llvm_type)


VF32 = Vector(types.float32, ir.FloatType(), LANES_F32)
VF64 = Vector(types.float64, ir.DoubleType(), LANES_F64)
VI32 = Vector(types.int32, _I32, LANES_F32)
VI64 = Vector(types.int64, ir.IntType(64), LANES_F64)
MASK32 = Vector(types.boolean, ir.IntType(1), LANES_F32)
MASK64 = Vector("mask", ir.IntType(1), LANES_F64)
VU8 = Vector(types.uint8, ir.IntType(8), 16)
VI16 = Vector(types.int16, ir.IntType(16), 8)
_BY_LANE = {types.float32: VF32, types.float64: VF64, types.int32: VI32, types.int64: VI64, types.uint8: VU8, types.int16: VI16}
_MASK_OF = {VF32: MASK32, VI32: MASK32, VF64: MASK64, VI64: MASK64}


def _address(context, builder, array_type, array, index_type, index, llvm_type):
    data = context.make_array(array_type)(context, builder, array).data
    at = builder.gep(data, [context.cast(builder, index, index_type, types.intp)])
    return builder.bitcast(at, llvm_type.as_pointer())


@intrinsic
def load(typingctx, array, index):
    """Vector of array[index : index + lanes]; the array's dtype decides the vector type."""
    vector = _BY_LANE[array.dtype]

    def codegen(context, builder, sig, args):
        value = builder.load(_address(context, builder, sig.args[0], args[0], sig.args[1], args[1], vector.llvm_type))
        value.align = vector.lane.bitwidth // 8
        return value

    return vector(array, index), codegen


@intrinsic
def lane_count(typingctx, array):
    """Lanes of the vector type that `load` gives for this array: a compile-time constant."""
    vector = _BY_LANE[array.dtype]

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, vector.lanes)

    return types.intp(array), codegen


@intrinsic
def load_bytes(typingctx, array, index, like):
    """uint8 array[index : index + lanes] widened to the integer vector type of `like`."""

    def codegen(context, builder, sig, args):
        narrow = ir.VectorType(ir.IntType(8), like.lanes)
        value = builder.load(_address(context, builder, sig.args[0], args[0], sig.args[1], args[1], narrow))
        value.align = 1
        return builder.zext(value, like.llvm_type)

    return like(array, index, like), codegen


@intrinsic
def store(typingctx, array, index, value):
    """array[index : index + lanes] = value."""

    def codegen(context, builder, sig, args):
        at = _address(context, builder, sig.args[0], args[0], sig.args[1], args[1], value.llvm_type)
        builder.store(args[2], at).align = value.lane.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


@intrinsic
def store_bytes(typingctx, array, index, value):
    """uint8 array[index : index + lanes] = the low bytes of an integer vector."""

    def codegen(context, builder, sig, args):
        narrow = ir.VectorType(ir.IntType(8), value.lanes)
        at = _address(context, builder, sig.args[0], args[0], sig.args[1], args[1], narrow)
        builder.store(builder.trunc(args[2], narrow), at).align = 1
        return context.get_dummy_value()

    return types.void(array, index, value), codegen


@intrinsic
def splat(typingctx, x):
    """Every lane = the scalar x, whose type decides the vector type."""
    vector = _BY_LANE[x]

    def codegen(context, builder, sig, args):
        undefined = ir.Constant(vector.llvm_type, ir.Undefined)
        one = builder.insert_element(undefined, args[0], ir.Constant(_I32, 0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, vector.lanes), [0] * vector.lanes))

    return vector(x), codegen


def _binary(of_floats, of_integers):
    @intrinsic
    def operation(typingctx, a, b):
        def codegen(context, builder, sig, args):
            instruction = of_integers if isinstance(a.lane, types.Integer) else of_floats
            return getattr(builder, instruction)(args[0], args[1])

        return a(a, b), codegen

    return operation


add, sub, mul = _binary("fadd", "add"), _binary("fsub", "sub"), _binary("fmul", "mul")
div, bits_or = _binary("fdiv", None), _binary(None, "or_")


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, rounded once."""

    def codegen(context, builder, sig, args):
        t = a.llvm_type
        name = f"llvm.fma.v{a.lanes}f{a.lane.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(t, [t] * 3), name), args)

    return a(a, b, c), codegen


@intrinsic
def shares_bits(typingctx, a, b):
    """Mask of the lanes where a & b != 0 (integer vectors)."""

    def codegen(context, builder, sig, args):
        return builder.icmp_signed("!=", builder.and_(args[0], args[1]), ir.Constant(a.llvm_type, [0] * a.lanes))

    return _MASK_OF[a](a, b), codegen


def _comparison(relation):
    @intrinsic
    def operation(typingctx, a, b):
        def codegen(context, builder, sig, args):
            return builder.icmp_signed(relation, args[0], args[1])

        return _MASK_OF[a](a, b), codegen

    return operation


# masks of the lanes where it holds (signed integer vectors)
less_equal, greater, equal = _comparison("<="), _comparison(">"), _comparison("==")


@intrinsic
def select(typingctx, mask, a, b):
    """a where the mask is set, else b."""

    def codegen(context, builder, sig, args):
        return builder.select(args[0], args[1], args[2])

    return a(mask, a, b), codegen


def _intrinsic_call(builder, name, vector, args):
    """Call llvm.<name> of the vector type, e.g. sadd.sat."""
    t = vector.llvm_type
    name = f"llvm.{name}.v{vector.lanes}i{vector.lane.bitwidth}"
    return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(t, [t] * len(args)), name), args)


@intrinsic
def add_saturated(typingctx, a, b):
    """a + b, no more than the lane type's largest number (VU8, VI16)."""

    def codegen(context, builder, sig, args):
        return _intrinsic_call(builder, "sadd.sat" if a.lane.signed else "uadd.sat", a, args)

    return a(a, b), codegen


@intrinsic
def sub_to_zero(typingctx, a, b):
    """a - b, no less than 0, of lanes that are not negative (VU8, VI16)."""

    def codegen(context, builder, sig, args):
        if not a.lane.signed:
            return _intrinsic_call(builder, "usub.sat", a, args)
        zero = ir.Constant(a.llvm_type, [0] * a.lanes)
        return _intrinsic_call(builder, "smax", a, [builder.sub(args[0], args[1]), zero])

    return a(a, b), codegen


@intrinsic
def greatest(typingctx, a, b):
    """The larger of a and b (integers)."""

    def codegen(context, builder, sig, args):
        return _intrinsic_call(builder, "smax" if a.lane.signed else "umax", a, args)

    return a(a, b), codegen


@intrinsic
def shift_in_zero(typingctx, a):
    """Lane k = a's lane k - 1, lane 0 = 0."""

    def codegen(context, builder, sig, args):
        zero = ir.Constant(a.llvm_type, [0] * a.lanes)
        order = [a.lanes, *range(a.lanes - 1)]
        return builder.shuffle_vector(args[0], zero, ir.Constant(ir.VectorType(_I32, a.lanes), order))

    return a(a), codegen


@intrinsic
def shift_in(typingctx, a, b):
    """Lane k = b's lane k - 1, lane 0 = a's last lane."""

    def codegen(context, builder, sig, args):
        order = range(a.lanes - 1, 2 * a.lanes - 1)
        return builder.shuffle_vector(*args, ir.Constant(ir.VectorType(_I32, a.lanes), list(order)))

    return a(a, b), codegen


@intrinsic
def last_lane(typingctx, a):
    """The last lane."""

    def codegen(context, builder, sig, args):
        return builder.extract_element(args[0], ir.Constant(_I32, a.lanes - 1))

    return a.lane(a), codegen


@intrinsic
def lane_numbers(typingctx, a):
    """Lane k = k, in a vector like a (VI32, VI64)."""

    def codegen(context, builder, sig, args):
        return ir.Constant(a.llvm_type, list(range(a.lanes)))

    return a(a), codegen


@intrinsic
def running_greatest(typingctx, a, step):
    """Lane k = the largest of 0 - step and a's lanes i <= k, less step * (k - i) (VI32). step: a vector, not negative."""

    def codegen(context, builder, sig, args):
        value, step = args
        zero, shift = ir.Constant(a.llvm_type, [0] * a.lanes), 1
        while shift < a.lanes:
            order = [a.lanes] * shift + list(range(a.lanes - shift))
            moved = builder.shuffle_vector(value, zero, ir.Constant(ir.VectorType(_I32, a.lanes), order))
            less = builder.mul(step, ir.Constant(a.llvm_type, [shift] * a.lanes))
            value = _intrinsic_call(builder, "smax", a, [value, builder.sub(moved, less)])
            shift *= 2
        return value

    return a(a, step), codegen


@intrinsic
def any_greater(typingctx, a, b):
    """Whether a > b in any lane (VU8, VI16)."""

    def codegen(context, builder, sig, args):
        more = builder.icmp_signed(">", *args) if a.lane.signed else builder.icmp_unsigned(">", *args)
        bits = builder.bitcast(more, ir.IntType(a.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(a.lanes), 0))

    return types.boolean(a, b), codegen


@intrinsic
def largest_lane(typingctx, a):
    """The largest number of all lanes, int64 (VU8, VI16, VI32)."""

    def codegen(context, builder, sig, args):
        name = f"llvm.vector.reduce.{'smax' if a.lane.signed else 'umax'}.v{a.lanes}i{a.lane.bitwidth}"
        lane = a.llvm_type.element
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(lane, [a.llvm_type]), name)
        value = builder.call(function, args)
        return (builder.sext if a.lane.signed else builder.zext)(value, ir.IntType(64))

    return types.int64(a), codegen


@intrinsic
def fma_scalar(typingctx, a, b, c):
    """a * b + c of three float32 or three float64 scalars, rounded once."""

    def codegen(context, builder, sig, args):
        t = args[0].type
        name = f"llvm.fma.f{a.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(t, [t] * 3), name), args)

    return a(a, b, c), codegen


@intrinsic
def bits_of_f32(typingctx, x):
    """The float32's bit pattern as int32."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], _I32)

    return types.int32(types.float32), codegen


@intrinsic
def f32_of_bits(typingctx, x):
    """The float32 with the bit pattern of an int32."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


def _mxcsr(builder, name, pointer):
    byte = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [byte]), f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(pointer, byte)])


@intrinsic
def flush_denormals(typingctx):
    """Make this thread write 0 for results below the normal range (x86: MXCSR.FTZ and DAZ); returns the old state.

    Denormal operands cost over 100 cycles each on x86. Pair with `restore_denormals`; elsewhere it does nothing.
    """

    def codegen(context, builder, sig, args):
        slot = cgutils.alloca_once(builder, _I32)
        builder.store(ir.Constant(_I32, 0), slot)
        if not _X86:
            return builder.load(slot)
        _mxcsr(builder, "stmxcsr", slot)
        old = builder.load(slot)
        builder.store(builder.or_(old, ir.Constant(_I32, 0x8040)), slot)
        _mxcsr(builder, "ldmxcsr", slot)
        return old

    return types.int32(), codegen


@intrinsic
def restore_denormals(typingctx, state):
    """Undo `flush_denormals`."""

    def codegen(context, builder, sig, args):
        if _X86:
            slot = cgutils.alloca_once(builder, _I32)
            builder.store(args[0], slot)
            _mxcsr(builder, "ldmxcsr", slot)
        return context.get_dummy_value()

    return types.void(types.int32), codegen
