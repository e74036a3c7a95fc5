"""Genotyping of merged GVCF records on a GPU; see joint_genotypes_cpu, to whose bits it comes.

The model (allele_frequency_cuda) over sites x samples of any ploidy; a record's likelihoods and new genotypes: a thread a sample.
A warp reads the PLs, which lie side by side, of 32 samples of one site or of two. Occupancy: benchmarks/cuda_sass.py.
"""

import numpy as np
from numba import cuda

from gpugenome.kernels.allele_frequency_cuda import Model, cell_of
from gpugenome.kernels.allele_frequency_scalar import site_priors, start_frequencies
from gpugenome.kernels.joint_genotypes_scalar import assign_sample, chosen_alleles, is_usable, likelihoods, place_of
from gpugenome.kernels.joint_merge_scalar import SPANNING
from gpugenome.kernels.launch_cuda import kernel


@kernel()
def sites(
    begin, end, samples, allele_offset, allele_length, code, ploidy, pl, pl_offset, name_order, most_alt, ref_prior, snp_prior,
    indel_prior, table_row, table_allele, skip, chosen, prior, af, ac, score, n_alleles, star, active, used, no_variant,
    absent, mle_count,
):  # fmt: skip
    """The alleles of the models of sites begin..end, as `allele_frequency_cuda.Model` holds them. Thread: a site."""
    i = begin + cuda.grid(1)
    if i >= end:
        return
    a0, here, n = allele_offset[i], allele_offset[i + 1] - allele_offset[i], 0
    for a in range(here):
        used[a0 + a] = 0
        absent[a0 + a] = 0.0
        mle_count[a0 + a] = 0
    no_variant[i] = 0.0
    star[i] = -1
    if not skip[i]:
        mine = chosen[a0 : a0 + here]
        n = chosen_alleles(i * samples, here, samples, most_alt, pl, pl_offset, ploidy, name_order, table_row, table_allele, score[a0:],
                           mine)  # fmt: skip
        site_priors(a0, n, allele_length, mine, ref_prior, snp_prior, indel_prior, prior[a0:])
        star[i] = place_of(SPANNING, a0, n, mine, code)
        start_frequencies(n, af[a0:], ac[a0:])
    n_alleles[i] = n
    active[i] = n > 0


@kernel()
def rows(
    begin, end, first, samples, allele_offset, n_alleles, chosen, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, table, table_allele,
    choose, cell_offset, table_row, n_genotypes, likelihood,
):  # fmt: skip
    """Likelihoods of rows begin..end of the part that begins at site `first`. table: int64 by ploidy, its first row. Thread: a row."""
    r = begin + cuda.grid(1)
    if r >= end:
        return
    i, d = first + r // samples, first * samples + r
    n, subset = n_alleles[i], n_alleles[i] < allele_offset[i + 1] - allele_offset[i]
    n_genotypes[r] = 0
    if n == 0:
        return
    values = pl[pl_offset[d] : pl_offset[d + 1]]
    if is_usable(len(values), ploidy[d], gq[d], dp[d], hom_ref[d], no_call[d], subset):
        table_row[r] = table[ploidy[d]]
        n_genotypes[r] = choose[n, ploidy[d]]
        likelihoods(values, gq[d], ploidy[d], subset, chosen[allele_offset[i] :], table_allele[table_row[r] :], n_genotypes[r], choose,
                    likelihood[cell_of(r, samples, cell_offset) :])  # fmt: skip


def site_models(
    begin, end, samples, allele_offset, allele_length, code, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, name_order, most_alt,
    ref_prior, snp_prior, indel_prior, table_row, table_allele, distinct, count, n_distinct, combinations, log10_of, choose, skip,
    no_variant, absent, mle_count, used,
):  # fmt: skip
    """The allele frequency model of sites begin..end; arguments as in joint_genotypes_cpu, arrays on the device."""
    offset, choices = allele_offset.copy_to_host(), choose.copy_to_host()
    cells = samples * choices[np.minimum(np.diff(offset), min(most_alt + 1, len(choices) - 1)), -1]
    m = Model(offset, allele_offset, cells, samples)
    sites(begin, end, samples, allele_offset, allele_length, code, ploidy, pl, pl_offset, name_order, most_alt, ref_prior, snp_prior,
          indel_prior, table_row, table_allele, skip, m.chosen, m.prior, m.af, m.ac, m.log10_count, m.n_alleles, m.star, m.active, used,
          no_variant, absent, mle_count)  # fmt: skip

    def make_rows(n, first, cell_offset, row_table, n_genotypes, likelihood):
        rows(0, n, first, samples, allele_offset, m.n_alleles, m.chosen, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, table_row,
             table_allele, choose, cell_offset, row_table, n_genotypes, likelihood)  # fmt: skip

    m.run(begin, end, make_rows, distinct, count, n_distinct, combinations, log10_of, no_variant, absent, mle_count, used)


@kernel()
def _assign(
    begin, end, samples, site, kept_offset, kept, gt, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, ad, ad_offset, table_row,
    table_allele, choose, out_gt, out_gq, out_pl, out_pl_offset, out_ad, out_ad_offset, cleared,
):  # fmt: skip
    """Genotypes of rows begin..end, a call's samples side by side. Thread: a row."""
    o = begin + cuda.grid(1)
    if o >= end:
        return
    c = o // samples
    d = site[c] * samples + o % samples
    out_gq[o], cleared[o] = assign_sample(
        kept[kept_offset[c] : kept_offset[c + 1]], gt[d], ploidy[d], gq[d], dp[d], hom_ref[d], no_call[d],
        pl[pl_offset[d] : pl_offset[d + 1]], ad[ad_offset[d] : ad_offset[d + 1]], table_allele[table_row[ploidy[d]] :], choose, out_gt[o],
        out_pl[out_pl_offset[o] : out_pl_offset[o + 1]], out_ad[out_ad_offset[o] : out_ad_offset[o + 1]],
    )  # fmt: skip


def assign(begin, end, samples, *args):
    """Genotypes of calls begin..end over the alleles that stay; arguments as in joint_genotypes_cpu, arrays on the device."""
    _assign(begin * samples, end * samples, samples, *args)


_SITE = "i8[::1], i4[::1], i8[::1]"
SIGNATURES = {
    "sites": f"(i8, i8, i8, {_SITE}, i4[::1], i4[::1], i8[::1], i8[::1], i8, f8, f8, f8, i8[::1], i2[:, ::1], b1[::1], i8[::1], f8[::1],"
    " f8[::1], f8[::1], f8[::1], i4[::1], i4[::1], u1[::1], u1[::1], f8[::1], f8[::1], i4[::1])",
    "rows": "(i8, i8, i8, i8, i8[::1], i4[::1], i8[::1], i4[::1], i4[::1], i4[::1], b1[::1], b1[::1], i4[::1], i8[::1], i8[::1],"
    " i2[:, ::1], i8[:, ::1], i8[::1], i4[::1], i4[::1], f8[::1])",
    "_assign": "(i8, i8, i8, i8[::1], i8[::1], i8[::1], i2[:, ::1], i4[::1], i4[::1], i4[::1], b1[::1], b1[::1], i4[::1], i8[::1],"
    " i4[::1], i8[::1], i8[::1], i2[:, ::1], i8[:, ::1], i2[:, ::1], i4[::1], i4[::1], i8[::1], i4[::1], i8[::1], u1[::1])",
}
