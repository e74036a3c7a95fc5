"""Rewriting of tags, and the bin field of BAM records, on a GPU; see sam_tags_cpu, whose functions for one record a thread runs.

A thread lists a record's tags in its local memory (1.5 KB). A record with MOST_TAGS of them or more is told to the caller, whose batch
the CPU does. What neighbours have in common, which spares the CPU the sorting of tags, is not looked for.
"""

import numba
from numba import cuda

from gpugenome.kernels.launch_cuda import kernel
from gpugenome.kernels.memory import address_of
from gpugenome.kernels.sam_tags_cpu import keeps_its_bytes, set_bin, tags_of, value_bytes, value_size, write_record

MOST_TAGS = 64


@kernel()
def reencoded_sizes(begin, end, data, offset, tag_start, edit_code, row, value, value_offset, size, found):
    """size[i] = bytes of record i after `reencode`. Thread: a record.

    Arguments as on the CPU; row may have one column for all records. found: int64[2], raised to 1 if a record changes, and if one has too
    many tags.
    """
    i = begin + cuda.grid(1)
    if i >= end:
        return
    r = i if row.shape[1] > 1 else 0
    at, stop = address_of(data) + tag_start[i], address_of(data) + offset[i + 1]
    if keeps_its_bytes(at, stop, r, edit_code, row):
        size[i] = offset[i + 1] - offset[i]
        return
    codes, places = cuda.local.array(MOST_TAGS, numba.int64), cuda.local.array(MOST_TAGS, numba.int64)
    sizes, values = cuda.local.array(MOST_TAGS, numba.int64), address_of(value)
    n = tags_of(at, stop, r, edit_code, row, values, value_offset, codes, places)
    value_bytes(n, places, stop, values, values + value.size, sizes)
    total = tag_start[i] - offset[i]
    for k in range(n):
        total += value_size(places[k], sizes[k])
    size[i] = total
    cuda.atomic.max(found, 0, 1)
    if n == MOST_TAGS:
        cuda.atomic.max(found, 1, 1)


@kernel()
def reencode(begin, end, data, offset, tag_start, edit_code, row, value, value_offset, out, out_offset):
    """Copies of records with edited tags; arguments as on the CPU, row as in `reencoded_sizes`. Thread: a record."""
    i = begin + cuda.grid(1)
    if i >= end:
        return
    r = i if row.shape[1] > 1 else 0
    base, to = address_of(data), address_of(out) + out_offset[i]
    at, stop = base + tag_start[i], base + offset[i + 1]
    codes, places = cuda.local.array(MOST_TAGS, numba.int64), cuda.local.array(MOST_TAGS, numba.int64)
    sizes, n, fixed = cuda.local.array(MOST_TAGS, numba.int64), numba.int64(0), offset[i + 1] - offset[i]
    if not keeps_its_bytes(at, stop, r, edit_code, row):
        fixed = tag_start[i] - offset[i]
        values = address_of(value)
        n = tags_of(at, stop, r, edit_code, row, values, value_offset, codes, places)
        value_bytes(n, places, stop, values, values + value.size, sizes)
    write_record(to, base + offset[i], fixed, out_offset[i + 1] - out_offset[i], n, codes, places, sizes)


@kernel()
def set_bins(begin, end, data, offset, pos, flag, name_length, n_cigar, ref_id, contig_length):
    """Write the bin field of records begin..end; arguments as on the CPU. Thread: a record."""
    i = begin + cuda.grid(1)
    if i < end:
        set_bin(address_of(data) + offset[i], pos[i], flag[i], name_length[i], n_cigar[i], ref_id[i], contig_length)


_U1, _U2, _I4, _I8 = numba.u1[::1], numba.u2[::1], numba.i4[::1], numba.i8[::1]
_EDIT = numba.i8, numba.i8, _U1, _I8, _I8, _I8, numba.i4[:, ::1], _U1, _I8
SIGNATURES = {
    "reencoded_sizes": (*_EDIT, _I8, _I8),
    "reencode": (*_EDIT, _U1, _I8),
    "set_bins": (numba.i8, numba.i8, _U1, _I8, _I4, _U2, _U1, _U2, _I4, _I8),
}
