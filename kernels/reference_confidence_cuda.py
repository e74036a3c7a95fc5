"""Reference confidence of every position of spans on a GPU; see reference_confidence_cpu, to whose bits it comes.

A block of 4 warps does a span. First its warps go through the span's reads, a warp a read: which positions count, and at which of them
the read can rule out indels. There the lanes are sizes and directions of indels, each with a running sum over the read from its end;
the positions' counts are integers, added by atomics. Then threads are positions: each goes through the reads in pileup order and adds
those over it, so the likelihoods' sums have the CPU's order of additions; products are rounded on their own (kernels.rounded).

Occupancy (benchmarks/cuda_sass.py): bounded to 128 registers (24 bytes of spills on sm_90), so 4 blocks, 16 of 64 warps of a
multiprocessor; 528 blocks fill an H100.
"""

import numba
import numpy as np
from numba import cuda

from gpugenome.kernels.activity_scalar import consumes_read, consumes_reference, deletion_beyond, kept_range
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.reference_confidence_cpu import ALIGNED_MASK, DELETION, GAP, INDEL_MASK, SOFT_CLIP
from gpugenome.kernels.reference_confidence_scalar import (
    MAX_INFORMATIVE,
    MAX_USELESS_QUALITY,
    informative_limit,
    mismatch_cost,
    reference_pl,
)

WARPS = 4
"""Warps of a block; a span has a block."""
_ALL = 0xFFFFFFFF


@cuda.jit(device=True)
def _lay_on_reference(lane, base, qual, cigar, out_base, out_qual):
    """As reference_confidence_cpu._laid_on_reference: each lane writes every 32nd place of an element."""
    n, at, r = np.int64(0), np.int64(0), np.int64(0)
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        if (ALIGNED_MASK >> op) & 1:
            for j in range(lane, length, 32):
                out_base[at + j], out_qual[at + j] = base[r + j], qual[r + j]
            at += length
        elif op == DELETION:
            for j in range(lane, length, 32):
                out_base[at + j], out_qual[at + j] = GAP, 0
            at += length
        elif op == SOFT_CLIP:
            n += length
        if consumes_read(op):
            r += length
    for j in range(at + lane, at + n, 32):
        out_base[j], out_qual[j] = 0, 0
    return at + n


@cuda.jit(device=True)
def _sum_own(lane, base, qual, first, ref, shift, stop, own):
    """own[t] = cost of the read's alignment from offset t on, for first..stop."""
    carry = np.int32(0)
    for done in range(0, stop - first, 32):
        t = stop - 1 - done - lane
        total = np.int32(0)
        if t >= first:
            total = np.int32(mismatch_cost(base[t], ref[t + shift], qual[t]))
        for step in (1, 2, 4, 8, 16):
            before = cuda.shfl_up_sync(_ALL, total, step)
            if lane >= step:
                total += before
        total += carry
        if t >= first:
            own[t] = total
        carry = cuda.shfl_sync(_ALL, total, 31)


@cuda.jit(device=True)
def _mark(lane, base, qual, n, first, ref, shift, size, limit, own, plausible):
    """As reference_confidence_scalar.mark_plausible for a read of n bases: each lane does every 32nd of the 2 * size sums."""
    _sum_own(lane, base, qual, first, ref, shift, min(n, len(ref) - shift), own)
    for t in range(first + lane, limit, 32):
        plausible[t] = 0
    cuda.syncwarp()
    most = own[first]
    for which in range(lane, 2 * size, 32):
        d = which // 2 + 1
        on_read, on_ref = (d, shift) if which & 1 else (0, shift + d)
        total = np.int32(0)
        for t in range(min(n - on_read, len(ref) - on_ref) - 1, first - 1, -1):
            total += np.int32(mismatch_cost(base[t + on_read], ref[t + on_ref], qual[t + on_read]))
            if total > most:
                break
            if t < limit and total <= own[t]:
                plausible[t] = 1
    cuda.syncwarp()


@cuda.jit(device=True)
def _informative_offsets(lane, base, qual, cigar, first, at, ref, size, own, laid):
    """As in reference_confidence_cpu: the limit; laid[2] are the marks. own: int32, laid: uint8[3] rows of the room for a read."""
    indel = False
    for w in cigar:
        indel |= (INDEL_MASK >> np.int64(w & 15)) & 1 == 1
    bases = n = np.int64(len(base))
    if indel:
        n = _lay_on_reference(lane, base, qual, cigar, laid[0], laid[1])
        base, qual = laid[0], laid[1]
        cuda.syncwarp()
    limit = informative_limit(n, bases, first, at, np.int64(len(ref)), size)
    if limit > first:
        _mark(lane, base, qual, n, first, ref, at - first, size, limit, own, laid[2])
        if indel:
            for t in range(first + lane, limit, 32):
                if base[t] == GAP:
                    laid[2, t] = 0
            cuda.syncwarp()
    return limit


@cuda.jit(device=True)
def _count_informative(lane, i, clipped, reads, at, to, ref_start, ref, size, own, laid, kept, informative):
    """kept = the positions of at..to that row i counts at; adds 1 to informative (indexed from `at`) where it can rule out indels."""
    source, start, base, qual, base_offset, cigar, cigar_offset = clipped
    flag, mapq, mate_ref_id, mate_start, tlen = reads
    c0, c1, s = cigar_offset[i], cigar_offset[i + 1], source[i]
    p = stop = np.int64(start[i])
    for k in range(c0, c1):
        if consumes_reference(cigar[k] & 15):
            stop += np.int64(cigar[k] >> 4)
    first, last = kept_range(p, stop, np.int64(flag[s]), mate_ref_id[s], np.int64(mate_start[s]), np.int64(tlen[s]))
    first, last = max(first, at), min(last, to)
    if lane == 0:
        kept[0], kept[1] = first, last
    if first >= last:
        return
    b, q = base[base_offset[i] : base_offset[i + 1]], qual[base_offset[i] : base_offset[i + 1]]
    limit, offset = np.int64(-1), np.int64(0)  # limit: not asked yet
    for k in range(c0, c1):
        op, length = np.int64(cigar[k] & 15), np.int64(cigar[k] >> 4)
        if (ALIGNED_MASK >> op) & 1:
            lo, hi = max(p, first), min(p + length, last)
            before_insertion = k + 1 < c1 and cigar[k + 1] & 15 == 1
            if lo < hi and hi == p + length and (before_insertion or deletion_beyond(cigar, c0, c1, k, 1)):
                hi -= 1
            if limit < 0 and lo < hi:
                limit = _informative_offsets(lane, b, q, cigar[c0:c1], offset + lo - p, lo - ref_start, ref, size, own, laid)
            shift = offset - p
            for x in range(lo + lane, min(hi, limit - shift), 32):
                if laid[2, x + shift] == 0:
                    cuda.atomic.add(informative, x - at, 1)
        if consumes_reference(op):
            p += length
            offset += length
        elif op == SOFT_CLIP:
            offset += length


@cuda.jit(device=True)
def _element_at(i, x, clipped, ref_base, deletion_quality):
    """(quality, 0 reference or 1 alternate) of row i's element over position x; quality -1 where none counts."""
    source, start, base, qual, base_offset, cigar, cigar_offset = clipped
    p, r = np.int64(start[i]), base_offset[i]
    for k in range(cigar_offset[i], cigar_offset[i + 1]):
        op, length = np.int64(cigar[k] & 15), np.int64(cigar[k] >> 4)
        if consumes_reference(op):
            if x < p + length:
                if op == DELETION:
                    return deletion_quality, 1
                r += x - p
                if op == 3 or qual[r] <= MAX_USELESS_QUALITY:
                    break
                return np.int64(min(qual[r], 93)), 1 if base[r] != ref_base else 0
            p += length
        if consumes_read(op):
            r += length
    return np.int64(-1), 0


@kernel(block=32 * WARPS, per_item=32 * WARPS, blocks_per_sm=4)
def spans(
    begin, end, first_span, last_span, span_start, span_end, ref_start, ref_end, row_offset, row, clipped, reads, contig_bases, element,
    log_ploidy, indel_margin, indel_pl, deletion_quality, size, out_offset, ref_depth, alt_depth, pl, gq, gl, kept, own, laid,
):  # fmt: skip
    """`reference_confidence`. An item is a block, which does every (end)th span from first_span on. Thread: see above."""
    slot = begin + cuda.blockIdx.x
    thread, warp, lane = cuda.threadIdx.x, slot * WARPS + cuda.threadIdx.x // 32, cuda.threadIdx.x & 31
    m = pl.shape[1] - 1
    for s in range(first_span + slot, last_span, end):
        at, to = np.int64(span_start[s]), np.int64(span_end[s])
        first_row, last_row, out = row_offset[s], row_offset[s + 1], out_offset[s]
        informative = gq[out : out + to - at]  # until the end
        for d in range(thread, to - at, 32 * WARPS):
            informative[d] = 0
        cuda.syncthreads()
        ref = contig_bases[ref_start[s] : ref_end[s]]
        for k in range(first_row + thread // 32, last_row, WARPS):
            _count_informative(lane, row[k], clipped, reads, at, to, np.int64(ref_start[s]), ref, size, own[warp], laid[warp], kept[k],
                               informative)  # fmt: skip
            cuda.syncwarp()
        cuda.syncthreads()
        for x in range(at + thread, to, 32 * WARPS):
            d = out + x - at
            sums, depth, alternate = gl[d], 0, 0
            for g in range(m + 1):
                sums[g] = 0.0
            for k in range(first_row, last_row):
                if kept[k, 0] <= x < kept[k, 1]:
                    quality, alt = _element_at(row[k], x, clipped, contig_bases[x], deletion_quality)
                    if quality >= 0:
                        for g in range(m + 1):
                            sums[g] += element[quality, alt, g]
                        depth += 1
                        alternate += alt
            ref_depth[d], alt_depth[d] = depth - alternate, alternate
            n = min(gq[d], MAX_INFORMATIVE)
            gq[d] = reference_pl(sums, m, depth, log_ploidy, indel_margin[n], indel_pl[n], pl[d])
        cuda.syncthreads()


def reference_confidence(
    begin, end, span_start, span_end, ref_start, ref_end, row_offset, row, clipped, reads, contig_bases, element, log_ploidy,
    indel_margin, indel_pl, deletion_quality, size, out_offset, ref_depth, alt_depth, pl, gq, gl, kept, own, laid,
):  # fmt: skip
    """Reference confidence of spans begin..end; arguments as in reference_confidence_cpu, arrays on the device, and scratch.

    gl: float64[n, ploidy + 1] for the n positions of the results. kept: int32[rows, 2]. own: int32[warps, room], laid: uint8[warps, 3,
    room] for as many blocks of WARPS warps as they hold, room for the longest read with its deletions.
    """
    spans(
        0, min(end - begin, own.shape[0] // WARPS), begin, end, span_start, span_end, ref_start, ref_end, row_offset, row, clipped, reads,
        contig_bases, element, log_ploidy, indel_margin, indel_pl, deletion_quality, size, out_offset, ref_depth, alt_depth, pl, gq, gl,
        kept, own, laid,
    )  # fmt: skip


_I4, _I8, _U1 = numba.i4[::1], numba.i8[::1], numba.u1[::1]
_CLIPPED = numba.types.Tuple([_I4, _I4, _U1, _U1, _I8, numba.u4[::1], _I8])
_READS = numba.types.Tuple([numba.u2[::1], _U1, _I4, _I4, _I4])
SIGNATURES = {
    "spans": (numba.i8, numba.i8, numba.i8, numba.i8, _I4, _I4, _I4, _I4, _I8, _I8, _CLIPPED, _READS, _U1, numba.f8[:, :, ::1], numba.f8,
              numba.f8[::1], numba.i4[:, ::1], numba.i8, numba.i8, _I8, _I4, _I4, numba.i4[:, ::1], _I4, numba.f8[:, ::1],
              numba.i4[:, ::1], numba.i4[:, ::1], numba.u1[:, :, ::1]),
}  # fmt: skip
