"""Unaligned loads, stores and copies at addresses, for kernels that walk packed byte records.

Indexing a uint8 array costs a wrap-around check an access and hinders merging four byte loads into one; these do not.
Addresses are int64 (`np.int64(array.ctypes.data)` plus an offset); bounds are the caller's to check.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.cpu import CPUContext
from numba.extending import intrinsic


def _load(kind, bits):
    @intrinsic
    def load(typing_context, address):
        def codegen(context, builder, signature, arguments):
            return builder.load(builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()), align=1)

        return kind(types.int64), codegen

    return load


def _store(kind, bits):
    @intrinsic
    def store(typing_context, address, value):
        def codegen(context, builder, signature, arguments):
            builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, kind), codegen

    return store


load_u8 = _load(types.uint8, 8)
load_i8 = _load(types.int8, 8)
load_u16 = _load(types.uint16, 16)
load_u32 = _load(types.uint32, 32)
load_i32 = _load(types.int32, 32)
load_u64 = _load(types.uint64, 64)
load_i64 = _load(types.int64, 64)
store_u8 = _store(types.uint8, 8)
store_u16 = _store(types.uint16, 16)
store_u32 = _store(types.uint32, 32)
store_u64 = _store(types.uint64, 64)
store_i32 = _store(types.int32, 32)
store_u64 = _store(types.uint64, 64)
store_i64 = _store(types.int64, 64)


@intrinsic
def address_of(typing_context, array):
    """Where an array's values begin, int64."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), codegen


@intrinsic
def prefetch(typing_context, address):
    """Ask for the cache line at an address (int64) that will be read soon; any address will do. Of a GPU nothing is asked."""

    def codegen(context, builder, signature, arguments):
        if not isinstance(context, CPUContext):
            return context.get_dummy_value()
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [builder.inttoptr(arguments[0], pointer), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def copy_bytes(typing_context, target, source, size):
    """memcpy(target, source, size): addresses and a number of bytes, int64."""

    def codegen(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        target_pointer = builder.inttoptr(arguments[0], pointer)
        source_pointer = builder.inttoptr(arguments[1], pointer)
        cgutils.raw_memcpy(builder, target_pointer, source_pointer, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen
