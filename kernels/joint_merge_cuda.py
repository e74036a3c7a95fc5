"""Likelihoods, depths and genotypes of merged records on a GPU, a thread a sample; see joint_merge_cpu, to whose results it comes.

Whole numbers throughout; which alleles a record has is texts' business and stays on the CPU (count_alleles, fill_alleles).
Occupancy: benchmarks/cuda_sass.py; the kernels wait for memory, some 100 bytes a sample.
"""

import numpy as np
from numba import cuda

from gpugenome.kernels.joint_merge_scalar import merged_call, remap_sample
from gpugenome.kernels.launch_cuda import kernel

_NONE = 1 << 62


@kernel()
def _remap_values(
    begin, end, samples, pos, row_of, entry_of, row_start, data, allele_offset, allele_start, allele_length, out_offset, code, map_offset,
    source, many_stars, ploidy, genotype_of, pl, pl_offset, ad, ad_offset, choose, out_pl, out_pl_offset, out_ad, out_ad_offset, most, mine,
    genotype, bad,
):  # fmt: skip
    """PL and AD of rows begin..end, a record's samples side by side. mine: `most` numbers a row; bad: first bad record. Thread: a row."""
    d = begin + cuda.grid(1)
    if d >= end or genotype_of[d] < 0:
        return
    q, e, i, at = genotype_of[d], entry_of[d], d // samples, (d - begin) * most
    if not remap_sample(
        row_of[d], ploidy[q], pos[i], out_offset[i + 1] - out_offset[i], code[out_offset[i] : out_offset[i + 1]],
        source[map_offset[e] : map_offset[e + 1]], many_stars[e], row_start, data, allele_offset, allele_start, allele_length,
        pl[pl_offset[q] : pl_offset[q + 1]], ad[ad_offset[q] : ad_offset[q + 1]], choose, mine[at : at + most], genotype[d - begin],
        out_pl[out_pl_offset[d] : out_pl_offset[d + 1]], out_ad[out_ad_offset[d] : out_ad_offset[d + 1]],
    ):  # fmt: skip
        cuda.atomic.min(bad, 0, i)


def remap_values(
    begin, end, samples, pos, row_of, entry_of, row_start, data, allele_offset, allele_start, allele_length, out_offset, *args
):
    """PL and AD of output records begin..end; arguments and result as in joint_merge_cpu, arrays on the device."""
    choose, rows = args[10], (end - begin) * samples
    most = int(np.diff(out_offset.copy_to_host()).max(initial=1))
    mine = cuda.device_array(max(1, rows * most), np.int16)
    genotype = cuda.device_array((max(1, rows), choose.shape[1]), np.int16)
    bad = cuda.to_device(np.array([_NONE]))
    _remap_values(begin * samples, end * samples, samples, pos, row_of, entry_of, row_start, data, allele_offset, allele_start,
                  allele_length, out_offset, *args, most, mine, genotype, bad)  # fmt: skip
    return _first(bad)


@kernel()
def _merged_calls(
    begin, end, samples, pos, row_of, entry_of, genotype_of, row_start, data, allele_offset, allele_start, allele_length, out_offset, code,
    map_offset, source, allele, gq, dp, pl, pl_offset, out, cleared, bad,
):  # fmt: skip
    """Genotypes of rows begin..end, a record's samples side by side; bad: the first bad record. Thread: a row."""
    d = begin + cuda.grid(1)
    if d >= end:
        return
    q, e, i = genotype_of[d], entry_of[d], d // samples
    cleared[d] = 0
    for k in range(out.shape[1]):
        out[d, k] = -2
    if q < 0:
        return
    dropped = merged_call(
        row_of[d], pos[i], out_offset[i + 1] - out_offset[i], code[out_offset[i] : out_offset[i + 1]],
        source[map_offset[e] : map_offset[e + 1]], row_start, data, allele_offset, allele_start, allele_length, allele[q], gq[q], dp[q],
        pl[pl_offset[q] : pl_offset[q + 1]], out[d],
    )  # fmt: skip
    if dropped < 0:
        cuda.atomic.min(bad, 0, i)
    else:
        cleared[d] = dropped


def merged_calls(begin, end, samples, *args):
    """Genotypes that single-file records keep when they are merged; arguments and result as in joint_merge_cpu, arrays on the device."""
    bad = cuda.to_device(np.array([_NONE]))
    _merged_calls(begin * samples, end * samples, samples, *args, bad)
    return _first(bad)


def _first(bad):
    found = int(bad.copy_to_host()[0])
    return -1 if found == _NONE else found


_RECORD = "i4[::1], u1[::1], i8[::1], i8[::1], i4[::1], i8[::1], i8[::1], i8[::1], i2[::1]"
SIGNATURES = {
    "_remap_values": f"(i8, i8, i8, i4[::1], i8[::1], i8[::1], {_RECORD}, u1[::1], i4[::1], i8[::1], i4[::1], i8[::1], i4[::1], i8[::1],"
    " i8[:, ::1], i4[::1], i8[::1], i4[::1], i8[::1], i8, i2[::1], i2[:, ::1], i8[::1])",
    "_merged_calls": f"(i8, i8, i8, i4[::1], i8[::1], i8[::1], i8[::1], {_RECORD}, i2[:, ::1], i4[::1], i4[::1], i4[::1], i8[::1],"
    " i2[:, ::1], u1[::1], i8[::1])",
}
