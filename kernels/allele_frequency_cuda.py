"""The allele frequency model on a GPU; see allele_frequency_cpu, to whose bits it comes.

Counts of an allele are added up sample by sample, genotype by genotype, as GATK does it: a chain of logarithms of sums that no tree
replaces without other roundings. So each round of the iteration is three launches over a part of the sites: posteriors, a thread a sample;
counts, a thread an allele, which goes through the chain; frequencies, a thread a site. The rounds go on until no site is left. 10^x and
log10 are Java's (java_math_scalar) and products are not fused (kernels.rounded), so the bits are the CPU's.

Likelihoods and posteriors of a part lie in cells: those of sample s of its j-th site from cell_offset[j] + s * stride on.
Occupancy (benchmarks/cuda_sass.py), registers on sm_90: `posterior_rows` 72, `count_alleles` 49, so 7 and 9 blocks of 4 warps, 28 and 36 of
64 warps of a multiprocessor. Both wait for float64 arithmetic, of which several independent chains are in flight. An H100 needed 70 ms for
4,000 sites of 500 samples when 10^x and log10 took more operations.
"""

import numpy as np
from numba import cuda

from gpugenome.kernels.activity_cuda import first_above
from gpugenome.kernels.allele_frequency_scalar import (
    choose_alleles,
    genotypes_of,
    log10_sum_pair,
    next_frequencies,
    posteriors,
    row_likelihoods,
    sample_part,
    site_priors,
    start_frequencies,
    whole_count,
)
from gpugenome.kernels.launch_cuda import kernel

CELLS = 1 << 26
"""Genotypes of a part of the sites at most (more where one site has more): 1 GB."""


@cuda.jit(device=True)
def cell_of(r, samples, cell_offset):
    """Where the cells of row r (a site's sample) of a part begin."""
    j = r // samples
    return cell_offset[j] + r % samples * ((cell_offset[j + 1] - cell_offset[j]) // samples)


@kernel()
def posterior_rows(
    begin, end, first, samples, allele_offset, active, af, table_row, n_genotypes, cell_offset, distinct, count, n_distinct, combinations,
    likelihood, posterior,
):  # fmt: skip
    """Posteriors of rows begin..end of the part that begins at site `first`, where the site is active. Thread: a row."""
    r = begin + cuda.grid(1)
    if r >= end or n_genotypes[r] == 0 or not active[first + r // samples]:
        return
    at, row = cell_of(r, samples, cell_offset), table_row[r]
    posteriors(likelihood[at:], af[allele_offset[first + r // samples] :], n_genotypes[r], distinct[row:], count[row:], n_distinct[row:],
               combinations[row:], posterior[at:])  # fmt: skip


@kernel()
def count_alleles(
    begin, end, first, last, samples, allele_offset, active, n_alleles, table_row, n_genotypes, cell_offset, distinct, count, n_distinct,
    log10_of, posterior, log10_count,
):  # fmt: skip
    """log10 of the expected counts of alleles begin..end, rows of allele_offset of sites first..last. Thread: an allele."""
    t = begin + cuda.grid(1)
    if t >= end:
        return
    i = first_above(allele_offset, first, last + 1, t) - 1
    a = t - allele_offset[i]
    if not active[i] or a >= n_alleles[i]:
        return
    total = -np.inf
    for r in range((i - first) * samples, (i - first + 1) * samples):
        at, row = cell_of(r, samples, cell_offset), table_row[r]
        for g in range(n_genotypes[r]):
            for k in range(n_distinct[row + g]):
                if distinct[row + g, k] == a:
                    total = log10_sum_pair(total, posterior[at + g] + log10_of[count[row + g, k]])
    log10_count[t] = total


@kernel()
def frequencies(begin, end, allele_offset, n_alleles, prior, log10_count, af, ac, active, left):
    """New frequencies of sites begin..end that are active; `active` ends where they have converged. left: the others. Thread: a site."""
    i = begin + cuda.grid(1)
    if i < end and active[i]:
        a = allele_offset[i]
        if next_frequencies(n_alleles[i], log10_count[a:], prior[a:], af[a:], ac[a:]):
            active[i] = 0
        else:
            cuda.atomic.add(left, 0, 1)


@kernel()
def sample_parts(
    begin, end, first, samples, allele_offset, n_alleles, star, af, table_row, n_genotypes, cell_offset, distinct, count, n_distinct,
    combinations, likelihood, posterior,
):  # fmt: skip
    """What each row adds to P(no variant) and P(allele absent), into its first cells of `likelihood`. Thread: a row."""
    r = begin + cuda.grid(1)
    if r >= end or n_genotypes[r] == 0:
        return
    i = first + r // samples
    at, row, g = cell_of(r, samples, cell_offset), table_row[r], n_genotypes[r]
    posteriors(likelihood[at:], af[allele_offset[i] :], g, distinct[row:], count[row:], n_distinct[row:], combinations[row:],
               posterior[at:])  # fmt: skip
    for k in range(n_alleles[i] if n_alleles[i] > 2 or star[i] >= 0 else 1):
        likelihood[at + k] = sample_part(posterior[at:], g, distinct[row:], n_distinct[row:], star[i], k)


@kernel()
def site_results(
    begin, end, first, last, samples, allele_offset, n_alleles, star, chosen, ac, n_genotypes, cell_offset, likelihood, no_variant, absent,
    mle_count, used,
):  # fmt: skip
    """Outputs of alleles begin..end of sites first..last: sums of `sample_parts`. Thread: an allele."""
    t = begin + cuda.grid(1)
    if t >= end:
        return
    i = first_above(allele_offset, first, last + 1, t) - 1
    k = t - allele_offset[i]
    if k >= n_alleles[i]:
        return
    part = k if n_alleles[i] > 2 or star[i] >= 0 else 0
    total = 0.0
    for r in range((i - first) * samples, (i - first + 1) * samples):
        if n_genotypes[r]:
            total += likelihood[cell_of(r, samples, cell_offset) + part]
    a = allele_offset[i] + chosen[t]
    used[a] = 1
    mle_count[a] = whole_count(ac[t])
    absent[a] = total if k > 0 else 0.0
    if k == 0:
        no_variant[i] = total


def parts(cells):
    """(first, last) of runs of sites with at most CELLS cells. cells: int64 by site."""
    total, first = np.cumsum(cells), 0
    while first < len(cells):
        before = total[first] - cells[first]
        last = max(first + 1, int(np.searchsorted(total, before + CELLS, "right")))
        yield first, last
        first = last


class Model:
    """Device arrays of the models of some sites, and what is done with them part by part.

    allele_offset: int64[n + 1] on the host, and `on_device`. cells: int64[n], those that each site needs. By allele: chosen int64, the
    n_alleles[i] (int32, 0 for a site to leave out) alleles of the model of site i from row allele_offset[i] on; with them prior, af, ac,
    log10_count float64. star: int32, place of "*" among them or -1. active: uint8.
    """

    def __init__(self, allele_offset, on_device, cells, samples):
        n, m = len(cells), int(allele_offset[-1])
        self.offset, self.on_device, self.cells, self.samples = allele_offset, on_device, cells, samples
        self.chosen = cuda.device_array(m, np.int64)
        self.prior, self.af, self.ac, self.log10_count = (cuda.device_array(m, np.float64) for _ in range(4))
        self.n_alleles, self.star, self.active = (cuda.device_array(n, t) for t in (np.int32, np.int32, np.uint8))

    def run(self, begin, end, make_rows, distinct, count, n_distinct, combinations, log10_of, no_variant, absent, mle_count, used):
        """The models of sites begin..end, whose arrays are filled.

        make_rows(rows, first, cell_offset, table_row, n_genotypes, likelihood) fills these of the rows from site `first` on.
        """
        if begin == end:
            return
        room = [(first + begin, last + begin) for first, last in parts(self.cells[begin:end])]
        most_rows = max(last - first for first, last in room) * self.samples
        most_cells = int(max(self.cells[first:last].sum() for first, last in room))
        likelihood, posterior = cuda.device_array(most_cells, np.float64), cuda.device_array(most_cells, np.float64)
        table_row, n_genotypes = cuda.device_array(most_rows, np.int32), cuda.device_array(most_rows, np.int32)
        none, left = np.zeros(1, np.int32), cuda.device_array(1, np.int32)
        for first, last in room:
            rows, alleles = (last - first) * self.samples, (int(self.offset[first]), int(self.offset[last]))
            cell_offset = np.zeros(last - first + 1, np.int64)
            np.cumsum(self.cells[first:last], out=cell_offset[1:])
            cell_offset = cuda.to_device(cell_offset)
            make_rows(rows, first, cell_offset, table_row, n_genotypes, likelihood)
            of_row = table_row, n_genotypes, cell_offset
            waiting = True
            while waiting:
                posterior_rows(0, rows, first, self.samples, self.on_device, self.active, self.af, *of_row, distinct, count, n_distinct,
                               combinations, likelihood, posterior)  # fmt: skip
                count_alleles(*alleles, first, last, self.samples, self.on_device, self.active, self.n_alleles, *of_row, distinct, count,
                              n_distinct, log10_of, posterior, self.log10_count)  # fmt: skip
                left.copy_to_device(none)
                frequencies(first, last, self.on_device, self.n_alleles, self.prior, self.log10_count, self.af, self.ac, self.active, left)
                waiting = left.copy_to_host()[0] > 0
            sample_parts(0, rows, first, self.samples, self.on_device, self.n_alleles, self.star, self.af, *of_row, distinct, count,
                         n_distinct, combinations, likelihood, posterior)  # fmt: skip
            site_results(*alleles, first, last, self.samples, self.on_device, self.n_alleles, self.star, self.chosen, self.ac, n_genotypes,
                         cell_offset, likelihood, no_variant, absent, mle_count, used)  # fmt: skip


@kernel()
def sites(
    begin, end, allele_offset, allele_length, spanning, with_non_ref, pl, pl_offset, samples, most_alt, ref_prior, snp_prior, indel_prior,
    genotype_allele, chosen, prior, af, ac, score, n_alleles, star, active, used,
):  # fmt: skip
    """The alleles of the models of sites begin..end, as `Model` holds them. Thread: a site."""
    i = begin + cuda.grid(1)
    if i >= end:
        return
    a0, here = allele_offset[i], allele_offset[i + 1] - allele_offset[i]
    mine = chosen[a0 : a0 + here]
    n = choose_alleles(i * samples, here, samples, with_non_ref, most_alt, pl, pl_offset, genotype_allele, score[a0:], mine)
    site_priors(a0, n, allele_length, mine, ref_prior, snp_prior, indel_prior, prior[a0:])
    start_frequencies(n, af[a0:], ac[a0:])
    star[i] = -1
    for k in range(n):
        if mine[k] == spanning[i]:
            star[i] = k
    for a in range(here):
        used[a0 + a] = 0
    n_alleles[i] = n
    active[i] = 1


@kernel()
def rows(begin, end, first, samples, allele_offset, n_alleles, chosen, pl, pl_offset, genotype_allele, choose, cell_offset, table_row,
         n_genotypes, likelihood):  # fmt: skip
    """Likelihoods of rows begin..end of the part that begins at site `first`. Thread: a row."""
    r = begin + cuda.grid(1)
    if r >= end:
        return
    i, row = first + r // samples, first * samples + r
    table_row[r] = 0
    n_genotypes[r] = genotypes_of(n_alleles[i], genotype_allele.shape[1])
    row_likelihoods(pl[pl_offset[row] : pl_offset[row + 1]], n_genotypes[r], genotype_allele, chosen[allele_offset[i] :], choose,
                    likelihood[cell_of(r, samples, cell_offset) :])  # fmt: skip


def allele_frequency(
    begin, end, allele_offset, allele_length, spanning, with_non_ref, pl, pl_offset, samples, most_alt, ref_prior, snp_prior, indel_prior,
    genotype_allele, distinct, count, n_distinct, combinations, choose, log10_of, no_variant, absent, mle_count, used,
):  # fmt: skip
    """The model of sites begin..end; arguments as in allele_frequency_cpu, arrays on the device."""
    offset = allele_offset.copy_to_host()
    cells = np.diff(pl_offset.copy_to_host()[::samples])
    m = Model(offset, allele_offset, cells, samples)
    sites(begin, end, allele_offset, allele_length, spanning, with_non_ref, pl, pl_offset, samples, most_alt, ref_prior, snp_prior,
          indel_prior, genotype_allele, m.chosen, m.prior, m.af, m.ac, m.log10_count, m.n_alleles, m.star, m.active, used)  # fmt: skip

    def make_rows(n, first, cell_offset, table_row, n_genotypes, likelihood):
        rows(0, n, first, samples, allele_offset, m.n_alleles, m.chosen, pl, pl_offset, genotype_allele, choose, cell_offset, table_row,
             n_genotypes, likelihood)  # fmt: skip

    m.run(begin, end, make_rows, distinct, count, n_distinct, combinations, log10_of, no_variant, absent, mle_count, used)


_TABLE = "i2[:, ::1], i2[:, ::1], i2[::1]"
_ROWS = "i4[::1], i4[::1], i8[::1]"
SIGNATURES = {
    "posterior_rows": f"(i8, i8, i8, i8, i8[::1], u1[::1], f8[::1], {_ROWS}, {_TABLE}, f8[::1], f8[::1], f8[::1])",
    "count_alleles": f"(i8, i8, i8, i8, i8, i8[::1], u1[::1], i4[::1], {_ROWS}, {_TABLE}, f8[::1], f8[::1], f8[::1])",
    "frequencies": "(i8, i8, i8[::1], i4[::1], f8[::1], f8[::1], f8[::1], f8[::1], u1[::1], i4[::1])",
    "sample_parts": f"(i8, i8, i8, i8, i8[::1], i4[::1], i4[::1], f8[::1], {_ROWS}, {_TABLE}, f8[::1], f8[::1], f8[::1])",
    "site_results": "(i8, i8, i8, i8, i8, i8[::1], i4[::1], i4[::1], i8[::1], f8[::1], i4[::1], i8[::1], f8[::1], f8[::1], f8[::1],"
    " i4[::1], u1[::1])",
    "sites": "(i8, i8, i8[::1], i4[::1], i4[::1], i8, i4[::1], i8[::1], i8, i8, f8, f8, f8, i2[:, ::1], i8[::1], f8[::1], f8[::1],"
    " f8[::1], f8[::1], i4[::1], i4[::1], u1[::1], u1[::1])",
    "rows": "(i8, i8, i8, i8, i8[::1], i4[::1], i8[::1], i4[::1], i8[::1], i2[:, ::1], i8[:, ::1], i8[::1], i4[::1], i4[::1], f8[::1])",
}
