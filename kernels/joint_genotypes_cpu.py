"""Genotyping of merged GVCF records: the allele frequency model over samples of any ploidy, and genotypes over the alleles that stay.

Genotypes of ploidy p are rows table_row[p].. of the stacked genotype tables (`gatk.genotype_likelihoods.stacked_tables`), in VCF order.
Source: GATK AlleleFrequencyCalculator, GenotypeUtils, AlleleSubsettingUtils, GATKVariantContextUtils.makeGenotypeCall (behaviour; chapter
"GVCF and joint genotyping", 8.2 and 8.5).
"""

import numpy as np

from gpugenome.kernels.allele_frequency_cpu import site_model
from gpugenome.kernels.allele_frequency_scalar import site_priors
from gpugenome.kernels.joint_genotypes_scalar import assign_sample, chosen_alleles, is_usable, likelihoods, place_of
from gpugenome.kernels.joint_merge_scalar import SPANNING
from gpugenome.kernels.launch import jit


@jit
def site_models(
    begin, end, samples, allele_offset, allele_length, code, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, name_order, most_alt,
    ref_prior, snp_prior, indel_prior, table_row, table_allele, distinct, count, n_distinct, combinations, log10_of, choose, skip,
    no_variant, absent, mle_count, used,
):  # fmt: skip
    """The allele frequency model of sites begin..end.

    allele_length: int32, code int64 by allele. ploidy, gq, dp: int32, hom_ref, no_call: uint8 by site and sample. name_order:
    int64[samples], samples by name. skip: sites to leave out. most_alt, priors and tables: as in `allele_frequency_cpu`. Output:
    no_variant float64 by site; absent float64, mle_count int32, used uint8 by allele.
    """
    most, most_genotypes = 1, 1
    for i in range(begin, end):
        most = max(most, allele_offset[i + 1] - allele_offset[i])
    for d in range(begin * samples, end * samples):
        if ploidy[d] > 0:
            most_genotypes = max(most_genotypes, choose[most, ploidy[d]])
    chosen, score = np.empty(most, np.int64), np.empty(most)
    prior, af, ac, sums = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    likelihood, posterior = np.empty((samples, most_genotypes)), np.empty(most_genotypes)
    row, n_genotypes = np.empty(samples, np.int64), np.empty(samples, np.int64)
    for i in range(begin, end):
        a0, n_alleles, first = allele_offset[i], allele_offset[i + 1] - allele_offset[i], i * samples
        used[a0 : a0 + n_alleles] = 0
        absent[a0 : a0 + n_alleles] = 0.0
        mle_count[a0 : a0 + n_alleles] = 0
        no_variant[i] = 0.0
        if skip[i]:
            continue
        n = chosen_alleles(first, n_alleles, samples, most_alt, pl, pl_offset, ploidy, name_order, table_row, table_allele, score, chosen)
        site_priors(a0, n, allele_length, chosen, ref_prior, snp_prior, indel_prior, prior)
        star = place_of(SPANNING, a0, n, chosen, code)
        for s in range(samples):
            d = first + s
            values = pl[pl_offset[d] : pl_offset[d + 1]]
            n_genotypes[s] = 0
            if is_usable(len(values), ploidy[d], gq[d], dp[d], hom_ref[d], no_call[d], n < n_alleles):
                row[s], n_genotypes[s] = table_row[ploidy[d]], choose[n, ploidy[d]]
                likelihoods(values, gq[d], ploidy[d], n < n_alleles, chosen, table_allele[row[s] :], n_genotypes[s], choose, likelihood[s])
        no_variant[i] = site_model(n, star, a0, chosen, prior, likelihood, row, n_genotypes, distinct, count, n_distinct, combinations,
                                   log10_of, af, ac, sums, posterior, absent, mle_count, used)  # fmt: skip


@jit
def assign(
    begin, end, samples, site, kept_offset, kept, gt, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, ad, ad_offset, table_row,
    table_allele, choose, out_gt, out_gq, out_pl, out_pl_offset, out_ad, out_ad_offset, cleared,
):  # fmt: skip
    """Genotypes of calls begin..end over the alleles that stay: by PLs where they say something, else what the record says.

    site: int64, row of each call's record. kept: int64 by kept_offset, alleles of the record, REF first. gt: int16, the rest by record
    and sample. Output by call and sample: out_gt int16, out_gq int32 (-1 absent), out_pl and out_ad int32 by their offsets
    (empty rows stay so); cleared uint8, nothing but the no-call stays.
    """
    for c in range(begin, end):
        mine = kept[kept_offset[c] : kept_offset[c + 1]]
        for s in range(samples):
            d, o = site[c] * samples + s, c * samples + s
            out_gq[o], cleared[o] = assign_sample(
                mine, gt[d], ploidy[d], gq[d], dp[d], hom_ref[d], no_call[d], pl[pl_offset[d] : pl_offset[d + 1]],
                ad[ad_offset[d] : ad_offset[d + 1]], table_allele[table_row[ploidy[d]] :], choose, out_gt[o],
                out_pl[out_pl_offset[o] : out_pl_offset[o + 1]], out_ad[out_ad_offset[o] : out_ad_offset[o + 1]],
            )  # fmt: skip


@jit
def trim_lengths(begin, end, site, kept_offset, kept, allele_offset, code, base_offset, base, trim, length):
    """length int64 by kept_offset: bytes of the kept alleles of calls begin..end without the bases that all of them (but '*') end with.

    code, base by allele of the records; base_offset: int64 by allele. trim: uint8 by call.
    """
    for c in range(begin, end):
        a, b = kept_offset[c], kept_offset[c + 1]
        first = allele_offset[site[c]]
        shortest, single = np.int64(1 << 40), False
        for k in range(a, b):
            row = first + kept[k]
            length[k] = base_offset[row + 1] - base_offset[row]
            if code[row] != SPANNING and base[base_offset[row]] != 60:
                shortest = min(shortest, length[k])
                single = single or length[k] == 1
        if single or b - a < 2 or not trim[c]:
            continue
        cut, same = 0, True
        while same and cut < shortest - 1:
            last = base[base_offset[first + 1] - 1 - cut]
            for k in range(a + 1, b):
                row = first + kept[k]
                if code[row] != SPANNING and base[base_offset[row]] != 60:
                    same = same and base[base_offset[row + 1] - 1 - cut] == last
            cut += same
        for k in range(a, b):
            row = first + kept[k]
            if code[row] != SPANNING and base[base_offset[row]] != 60:
                length[k] -= cut


@jit
def complete_depths(begin, end, n_alleles, samples, ad, ad_offset, depth, out, out_offset):
    """AD of records begin..end: as given, or the depth as REF's where a sample has none but has a depth (its row in `out` is not empty)."""
    for d in range(begin * samples, end * samples):
        given = ad_offset[d + 1] - ad_offset[d]
        for k in range(out_offset[d + 1] - out_offset[d]):
            if given > 0:
                out[out_offset[d] + k] = ad[ad_offset[d] + k]
            else:
                out[out_offset[d] + k] = depth[d] if k == 0 else 0
