"""Reads of each site, their likelihood by allele, and genotype likelihoods on a GPU; see genotype_evidence_cpu, to whose bits it comes.

`fill_rows`: a warp a site, its lanes 32 reads at a time, whose places among the site's rows come from a sum over the lanes.
`genotype_likelihoods`: a thread a genotype of a site and sample, which adds up the reads in their order, so that the sum has the CPU's
roundings (products: kernels.rounded); the threads of a site read the same rows of a few alleles together. Then a thread a site and
sample scales them. Genotypes of three and more distinct alleles, which need 10^x and log10 of every read, have no part here:
sites of more than two alleles at a ploidy above two get PLs of -1 and are for the CPU.

Occupancy (benchmarks/cuda_sass.py): 56 registers (`genotypes`) on sm_90, so 9 blocks of 4 warps, 36 of 64 warps of a multiprocessor.
The table of the approximate sum (640 KB) stays in the second-level cache; a read of a heterozygous genotype is one look-up.
"""

import numpy as np
from numba import cuda

from gpugenome.kernels import genotype_evidence_cpu
from gpugenome.kernels.activity_cuda import first_above
from gpugenome.kernels.genotype_evidence_scalar import approximate_log10_sum, minus_product, to_pl
from gpugenome.kernels.launch_cuda import kernel

_WARP = 0xFFFFFFFF


@kernel()
def count_rows(begin, end, site_region, site_start, site_ref_length, margin, contig_length, read_offset, read_start, read_end, count):
    """Reads of sites begin..end; arguments as in genotype_evidence_cpu. Thread: a site."""
    i = begin + cuda.grid(1)
    if i < end:
        genotype_evidence_cpu.count_rows(
            i, i + 1, site_region, site_start, site_ref_length, margin, contig_length, read_offset, read_start, read_end, count
        )


@cuda.jit(device=True)
def _nth_below(row, n, top, place):
    """The value at a place of row[:n]'s values below `top`, in ascending order."""
    for a in range(n):
        if row[a] < top:
            before = 0
            for b in range(n):
                before += row[b] < row[a] or (row[b] == row[a] and b < a)
            if before == place:
                return row[a]
    return top


@cuda.jit(device=True)
def _non_ref_likelihood(row, n):
    """As genotype_evidence_cpu.non_ref_likelihood with all of row[:n] considered, without scratch. Halves are exact: fused or not."""
    top, below = -np.inf, 0
    for a in range(n):
        top = max(top, row[a])
    for a in range(n):
        below += row[a] < top
    if below == 0:
        return top
    upper = _nth_below(row, n, top, below // 2)
    if below % 2:
        return upper
    lower = _nth_below(row, n, top, below // 2 - 1)
    return lower + 0.5 * (upper - lower)


@kernel(per_item=32)
def fill_rows(
    begin, end, site_region, site_start, site_ref_length, margin, contig_length, read_offset, read_start, read_end, filtered, hap_offset,
    matrix, matrix_offset, allele_offset, hap_allele, hap_allele_offset, with_non_ref, evidence_offset, evidence_read, evidence,
    block_offset,
):  # fmt: skip
    """Rows and likelihoods of sites begin..end; arguments as in genotype_evidence_cpu. Warp: a site; thread: every 32nd read."""
    i = begin + cuda.grid(1) // 32
    if i >= end:
        return
    lane = cuda.threadIdx.x & 31
    low = max(0, site_start[i] - margin)
    high = min(contig_length, site_start[i] + site_ref_length[i] + margin)
    r = site_region[i]
    haps, n_haps = hap_allele_offset[i], hap_allele_offset[i + 1] - hap_allele_offset[i]
    n_alleles = allele_offset[i + 1] - allele_offset[i]
    concrete = n_alleles - with_non_ref
    done = np.int32(0)
    for first in range(read_offset[r], read_offset[r + 1], 32):
        k = first + lane
        inside = k < read_offset[r + 1] and low < read_end[k] and read_start[k] < high
        place = np.int32(1 if inside else 0)
        for step in (1, 2, 4, 8, 16):
            before = cuda.shfl_up_sync(_WARP, place, step)
            if lane >= step:
                place += before
        if inside:
            at = done + place - 1
            evidence_read[evidence_offset[i] + at] = k
            cell = block_offset[i] + at * n_alleles
            out = evidence[cell : cell + n_alleles]
            for a in range(n_alleles):
                out[a] = 0.0 if filtered[k] else -np.inf
            if not filtered[k]:
                cell = matrix_offset[r] + (k - read_offset[r]) * n_haps
                for h in range(n_haps):
                    a = hap_allele[haps + h]
                    if a >= 0 and matrix[cell + h] > out[a]:
                        out[a] = matrix[cell + h]
                if with_non_ref:
                    out[concrete] = _non_ref_likelihood(out, concrete)
        done += cuda.shfl_sync(_WARP, place, 31)


@kernel()
def genotypes(
    begin, end, first_site, last_site, allele_offset, evidence_offset, evidence_read, evidence, block_offset, filtered, read_sample,
    samples, distinct, count, n_distinct, log10_of, table, pl_offset, likelihood,
):  # fmt: skip
    """likelihood[t] of the genotypes t of sites first_site..last_site. Thread: a place begin..end of `likelihood`."""
    t = begin + cuda.grid(1)
    if t < pl_offset[first_site * samples] or t >= pl_offset[last_site * samples]:
        return
    row = first_above(pl_offset, first_site * samples, last_site * samples, t) - 1
    i, s, g = row // samples, row % samples, t - pl_offset[row]
    ploidy, n_alleles = distinct.shape[1], allele_offset[i + 1] - allele_offset[i]
    n, total = 0, 0.0
    if n_distinct[g] <= 2:
        one, other, copies = distinct[g, 0], distinct[g, 1 if n_distinct[g] == 2 else 0], count[g, 0]
        for k in range(evidence_offset[i], evidence_offset[i + 1]):
            read = evidence_read[k]
            if filtered[read] or read_sample[read] != s:
                continue
            cell = block_offset[i] + (k - evidence_offset[i]) * n_alleles
            n += 1
            if n_distinct[g] == 1:
                total += evidence[cell + one]
            else:
                total += approximate_log10_sum(
                    evidence[cell + one] + log10_of[copies], evidence[cell + other] + log10_of[ploidy - copies], table
                )
        if n_distinct[g] == 2:
            total = minus_product(total, n, log10_of[ploidy])
    likelihood[t] = total


@kernel()
def scale(begin, end, samples, ploidy, allele_offset, pl, pl_offset, likelihood):
    """PLs of rows begin..end of pl_offset from their likelihoods. Thread: a site and sample."""
    row = begin + cuda.grid(1)
    if row >= end:
        return
    out = pl[pl_offset[row] : pl_offset[row + 1]]
    if ploidy > 2 and allele_offset[row // samples + 1] - allele_offset[row // samples] > 2:
        for g in range(len(out)):
            out[g] = -1
    else:
        to_pl(likelihood[pl_offset[row] : pl_offset[row + 1]], out)


def genotype_likelihoods(
    begin, end, allele_offset, evidence_offset, evidence_read, evidence, block_offset, filtered, read_sample, samples, distinct, count,
    n_distinct, log10_of, table, pl, pl_offset, likelihood,
):  # fmt: skip
    """PL of every genotype of sites begin..end and every sample; arguments as in genotype_evidence_cpu, arrays on the device.

    pl: -1 for sites that are for the CPU (see above). likelihood: scratch, float64 by pl_offset.
    """
    genotypes(
        0, likelihood.shape[0], begin, end, allele_offset, evidence_offset, evidence_read, evidence, block_offset, filtered, read_sample,
        samples, distinct, count, n_distinct, log10_of, table, pl_offset, likelihood,
    )  # fmt: skip
    scale(begin * samples, end * samples, samples, distinct.shape[1], allele_offset, pl, pl_offset, likelihood)


_WINDOW = "i4[::1], i4[::1], i4[::1], i8, i8, i8[::1], i4[::1], i4[::1]"
SIGNATURES = {
    "count_rows": f"(i8, i8, {_WINDOW}, i8[::1])",
    "fill_rows": f"(i8, i8, {_WINDOW}, u1[::1], i8[::1], f8[::1], i8[::1], i8[::1], i2[::1], i8[::1], i8, i8[::1], i4[::1], f8[::1],"
    " i8[::1])",
    "genotypes": "(i8, i8, i8, i8, i8[::1], i8[::1], i4[::1], f8[::1], i8[::1], u1[::1], i4[::1], i8, i2[:, ::1], i2[:, ::1], i2[::1],"
    " f8[::1], f8[::1], i8[::1], f8[::1])",
    "scale": "(i8, i8, i8, i8, i8[::1], i4[::1], i8[::1], f8[::1])",
}
