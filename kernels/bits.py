"""Bits of 64-bit words and of float64, as one instruction each, and comparisons of 64 bytes at once, inside kernels."""

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
def trailing_zeros(typing_context, word):
    """Zero bits below the lowest set bit of a uint64, 64 for 0; int64."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def set_bits(typing_context, word):
    """Number of set bits of a uint64; int64."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), codegen


@intrinsic
def float_bits(typing_context, x):
    """The bits of a float64, as int64."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def bits_float(typing_context, bits):
    """The float64 that has the bits of an int64."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def turned_bytes(typing_context, word):
    """The eight bytes of a uint64 in the opposite order."""

    def codegen(context, builder, signature, arguments):
        return builder.bswap(arguments[0])

    return types.uint64(types.uint64), codegen


_BYTES = ir.VectorType(ir.IntType(8), 64)


def _load_bytes(context, builder, array_type, array, index_type, index):
    data = context.make_array(array_type)(context, builder, array).data
    at = builder.gep(data, [context.cast(builder, index, index_type, types.intp)])
    value = builder.load(builder.bitcast(at, _BYTES.as_pointer()))
    value.align = 1
    return value


@intrinsic
def equal_bytes(typing_context, a, i, b, j):
    """uint64, bit x set where a[i + x] == b[j + x], x < 64. a, b: uint8 arrays with 64 bytes from there on (not checked)."""

    def codegen(context, builder, signature, arguments):
        values = [_load_bytes(context, builder, *pair) for pair in zip(signature.args[::2], arguments[::2], signature.args[1::2],
                                                                       arguments[1::2])]  # fmt: skip
        return builder.bitcast(builder.icmp_unsigned("==", *values), ir.IntType(64))

    return types.uint64(a, i, b, j), codegen


@intrinsic
def equal_bytes_at(typing_context, a, b):
    """uint64, bit x set where the bytes at addresses (int64) a + x and b + x are equal, x < 64; all are read."""

    def codegen(context, builder, signature, arguments):
        values = [builder.load(builder.inttoptr(a, _BYTES.as_pointer()), align=1) for a in arguments]
        return builder.bitcast(builder.icmp_unsigned("==", *values), ir.IntType(64))

    return types.uint64(types.int64, types.int64), codegen


def _with_number(relation):
    @intrinsic
    def compare(typing_context, a, i, number):
        def codegen(context, builder, signature, arguments):
            value = _load_bytes(context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1])
            one = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0))
            every = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
            return builder.bitcast(builder.icmp_unsigned(relation, value, every), ir.IntType(64))

        return types.uint64(a, i, types.uint8), codegen

    return compare


# uint64, bit x set where a[i + x] == number, or < number, x < 64; a: uint8 array with 64 bytes from there on (not checked)
bytes_equal, bytes_below = _with_number("=="), _with_number("<")
