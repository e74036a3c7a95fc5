"""Fields of BAM records on a GPU; see bam_records_cpu, whose functions for one record a thread runs.

Threads read single fields of records of some 300 bytes, so that each costs a line of memory; the columns that they write are coalesced.
"""

import numba
from numba import cuda

from gpugenome.kernels import bam_records_cpu
from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.memory import address_of


@kernel()
def decode_fixed(begin, end, data, offset, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length):
    """The fixed fields of records begin..end as columns. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        bam_records_cpu.decode_fixed(
            i, i + 1, data, offset, ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen, name_length, n_cigar, seq_length
        )


@kernel()
def quality_spans(begin, end, offset, name_length, n_cigar, seq_length, origin, out):
    """Where the base qualities of records begin..end begin and end; arguments as on the CPU. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        bam_records_cpu.quality_spans(i, i + 1, offset, name_length, n_cigar, seq_length, origin, out)


@kernel()
def find_tag(begin, end, data, offset, tag_start, first, second, out):
    """out[i] (int64) = where a tag begins in data, or -1; arguments as on the CPU. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        base = address_of(data)
        at = bam_records_cpu._find_tag(base + tag_start[i], base + offset[i + 1], first, second)
        out[i] = at - base if at >= 0 else -1


@kernel()
def match_text_tag(begin, end, data, at, names, name_offset, out):
    """out[i] (int32) = which of the names the Z tag at at[i] has, or -1, -2; arguments as on the CPU. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        bam_records_cpu.match_text_tag(i, i + 1, data, at, names, name_offset, out)


@kernel()
def first_equal(begin, end, values, wanted, k, found):
    """Lower found[k] (int64) to the first place of values that is `wanted`. Thread: a place."""
    i = begin + cuda.grid(1)
    if i < end and values[i] == wanted:
        cuda.atomic.min(found, k, i)


@kernel()
def set_flags(begin, end, data, offset, flag):
    """Write flag[i] (uint16) into record i. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        bam_records_cpu.set_flags(i, i + 1, data, offset, flag)


_U1, _I4, _I8 = numba.u1[::1], numba.i4[::1], numba.i8[::1]
SIGNATURES = {
    "decode_fixed": (numba.i8, numba.i8, _U1, _I8, _I4, _I4, _U1, numba.u2[::1], _I4, _I4, _I4, _U1, numba.u2[::1], _I4),
    "quality_spans": (numba.i8, numba.i8, _I8, _U1, numba.u2[::1], _I4, numba.i8, numba.i8[:, ::1]),
    "find_tag": (numba.i8, numba.i8, _U1, _I8, _I8, numba.i8, numba.i8, _I8),
    "match_text_tag": (numba.i8, numba.i8, _U1, _I8, _U1, _I8, _I4),
    "first_equal": [(numba.i8, numba.i8, kind[::1], numba.i8, numba.i8, _I8) for kind in (numba.i4, numba.u1)],
    "set_flags": (numba.i8, numba.i8, _U1, _I8, numba.u2[::1]),
}
