"""Counting observations and mismatches by covariate on a GPU; see covariates_cpu, whose clipping of a record a lane calls.

A warp does a record: one lane clips its CIGAR into scratch, then lane l does the bases l, l + 32, ... that are left. Counts are integers
added by atomics in the second-level cache, so their order does not matter. A base costs two of them; those of
reads of one platform meet in few cells (qualities in use times contexts), and that is what bounds the kernel: one addition a clock
and cell. Occupancy (benchmarks/cuda_sass.py): 90 registers, so 5 blocks of 4 warps, 20 of 64 warps of a multiprocessor.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels import covariates_cpu
from gpugenome.kernels.bam_records_cpu import _find_tag
from gpugenome.kernels.covariates_cpu import (
    CODE,
    DENSE_CONTEXT,
    EQ,
    D,
    M,
    X,
    prepare,
    read_index,
    reference_span,
    uses_read,
    uses_reference,
    wide_key,
)
from gpugenome.kernels.covariates_scalar import base_code, cycle_of
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.memory import address_of, load_u8
from gpugenome.kernels.recalibrate_cuda import packed_context

_WARP = 0xFFFFFFFF


@cuda.jit(device=True)
def _is_known(op, length, n, pos, stop, j, first, spans):
    """Whether base j lies at a known site; first: the first span that may reach the read."""
    for f in range(first, spans.shape[0]):
        if spans[f, 0] >= stop:
            return False
        if spans[f, 1] <= pos:
            continue
        i, o = read_index(op, length, n, pos, spans[f, 0])
        low = np.int64(0)
        if i >= 0:
            low = i - 1 if o == D else i
        high, o = read_index(op, length, n, pos, spans[f, 1] - 1)
        if low <= j and (high < 0 or j <= high):
            return True
    return False


@cuda.jit(device=True)
def _is_wrong(op, length, n, pos, j, code, reference):
    """1 where base j is aligned and not the reference's."""
    i, at = np.int64(0), pos
    for k in range(n):
        o, size = op[k], length[k]
        if uses_read(o):
            if j < i + size:
                if o == M or o == EQ or o == X:
                    at += j - i
                    return 1 if at >= reference.size or code != base_code(reference[at]) else 0
                return 0
            i += size
        if uses_reference(o):
            at += size
    return 0


@kernel(per_item=32)
def count(
    begin, end, first_place, last_place, batch, chosen, group, reference, contig_of, spans, bins, settings, counts, keys, scratch, fault
):
    """`count_bases`. An item is a warp, which does every (end)th of the chosen records from first_place on. Thread: every 32nd base."""
    slot = begin + cuda.grid(1) // 32
    if slot >= end:
        return
    lane = cuda.threadIdx.x & 31
    data, offset, ref_id, pos, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length, read_group = batch
    k, most, tail, lowest, use_oq = settings[0], settings[1], settings[2], settings[3], settings[4]
    contexts = np.int64(1) << (2 * k)
    wide = k > DENSE_CONTEXT
    columns = 2 * most + 1 if wide else contexts + 2 * most + 2
    op, length = scratch[slot, 0], scratch[slot, 1]
    for c in range(first_place + slot, last_place, end):
        i = chosen[c]
        if ref_id[i] != contig_of:
            continue
        operations, f = np.int64(n_cigar[i]), np.int64(flag[i])
        n, first, last, place = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        cuda.syncwarp()  # every lane is done with the scratch
        if lane == 0:
            n, first, last, place = prepare(data, offset, i, pos[i], f, mate_ref_id[i], mate_pos[i], tlen[i], np.int64(name_length[i]),
                                            operations, op, length, scratch[slot, 2], scratch[slot, 3])  # fmt: skip
        cuda.syncwarp()
        n, first = cuda.shfl_sync(_WARP, n, 0), cuda.shfl_sync(_WARP, first, 0)
        last, place = cuda.shfl_sync(_WARP, last, 0), cuda.shfl_sync(_WARP, place, 0)
        size = last - first
        if size <= 0:
            continue
        if size > most:
            if lane == 0:
                cuda.atomic.min(fault, 0, i)
            continue
        seq = offset[i] + 36 + name_length[i] + 4 * operations
        bases = np.int64(seq_length[i])
        stored = seq + (bases + 1) // 2
        qual, shift = data[stored + first : stored + last], np.int64(0)
        if use_oq:
            base_address = address_of(data)
            at = _find_tag(base_address + stored + bases, base_address + offset[i + 1], 79, 81)
            if at >= 0 and load_u8(at + 3 + bases) == 0 and load_u8(at + 3) != 0:
                at += 3 - base_address
                qual, shift = data[at + first : at + last], np.int64(33)
        low, high = np.int64(0), size
        while low < size and np.int64(qual[low]) - shift <= tail:
            low += 1
        while high > low and np.int64(qual[high - 1]) - shift <= tail:
            high -= 1
        stop = place + reference_span(op, length, n)
        span = bins[min(place >> 10, bins.size - 1)] if spans.shape[0] else np.int64(0)
        for j in range(lane, size, 32):
            packed = np.int64(data[seq + ((first + j) >> 1)])
            code = np.int64(CODE[packed & 15 if (first + j) & 1 else packed >> 4])
            q = np.int64(qual[j]) - shift
            if code < 0 or q < lowest or q > 93 or _is_known(op, length, n, place, stop, j, span, spans):
                continue
            wrong = np.int64(_is_wrong(op, length, n, place, j, code, reference))
            one = np.int64(1) + (wrong << np.int64(32))
            context = contexts if low == size else packed_context(data, seq, first + low, first + high, first + j, k, f & 16 != 0)
            row = np.int64(group[read_group[i]])
            at = (row * 94 + q) * columns
            if context >= 0 and wide:
                keys[1 + cuda.atomic.add(keys, 0, 1)] = wide_key(row, q, context) << 1 | wrong
            elif context >= 0:
                cuda.atomic.add(counts, at + context, one)
            cuda.atomic.add(counts, at + (most if wide else contexts + 1 + most) + cycle_of(j, size, f), one)


def count_bases(
    begin, end, batch, chosen, group, reference, contig_of, spans, bins, settings, counts, keys, scratch, fault
):
    """Add the bases of records chosen[begin:end]; arguments as in covariates_cpu, arrays on the device, and for what it returns `fault`.

    keys: as there, but to be set to 0 before, and in no order. scratch: int64[warps, 4, the most CIGAR elements of a record + 4], for as
    many warps as it has rows; 4,000 fill an H100. fault: int64[1], lowered to the first record whose cycle passes the maximum.
    """
    count(
        0, min(end - begin, scratch.shape[0]), begin, end, batch, chosen, group, reference, contig_of, spans, bins, settings, counts,
        keys, scratch, fault,
    )  # fmt: skip


@kernel()
def well_formed(begin, end, data, offset, ref_id, pos, flag, name_length, n_cigar, seq_length, read_group, contig_length, out):
    """out[i] (uint8) = GATK's WellformedReadFilter; arguments as on the CPU. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        covariates_cpu.well_formed(
            i, i + 1, data, offset, ref_id, pos, flag, name_length, n_cigar, seq_length, read_group, contig_length, out
        )


@kernel()
def drop_uncounted(begin, end, mapq, flag, ref_id, pos, out):
    """out[i] (uint8) = 0 for records that BaseRecalibrator's other filters leave out; arguments as on the CPU. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        covariates_cpu.drop_uncounted(i, i + 1, mapq, flag, ref_id, pos, out)


@kernel()
def as_counts(begin, end, keep, out):
    """out[i] (int64) = keep[i] (uint8), to be scanned. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        out[i] = keep[i]


@kernel()
def choose(begin, end, keep, place, ref_id, n_cigar, chosen, found):
    """Put the records that are kept side by side: chosen, int64. place: int64, their places. Thread: a record.

    found: int64[3], lowered to their lowest ref_id, raised to the highest and to the most elements of a CIGAR.
    """
    i = begin + cuda.grid(1)
    if i < end and keep[i]:
        chosen[place[i]] = i
        cuda.atomic.min(found, 0, np.int64(ref_id[i]))
        cuda.atomic.max(found, 1, np.int64(ref_id[i]))
        cuda.atomic.max(found, 2, np.int64(n_cigar[i]))


_BATCH = numba.types.Tuple([t[::1] for t in (
    numba.u1, numba.i8, numba.i4, numba.i4, numba.u2, numba.i4, numba.i4, numba.i4, numba.u1, numba.u2, numba.i4, numba.i4
)])  # fmt: skip
_U1, _U2, _I4, _I8 = numba.u1[::1], numba.u2[::1], numba.i4[::1], numba.i8[::1]
SIGNATURES = {
    "count": (numba.i8, numba.i8, numba.i8, numba.i8, _BATCH, _I8, _I4, _U1, numba.i8, numba.i8[:, ::1], _I8, _I8, _I8, _I8,
              numba.i8[:, :, ::1], _I8),
    "well_formed": (numba.i8, numba.i8, _U1, _I8, _I4, _I4, _U2, _U1, _U2, _I4, _I4, _I8, _U1),
    "drop_uncounted": (numba.i8, numba.i8, _U1, _U2, _I4, _I4, _U1),
    "as_counts": (numba.i8, numba.i8, _U1, _I8),
    "choose": (numba.i8, numba.i8, _U1, _I8, _I4, _U2, _I8, _I8),
}  # fmt: skip
