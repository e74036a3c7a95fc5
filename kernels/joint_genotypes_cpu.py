"""Genotyping of merged GVCF records: the allele frequency model over samples of any ploidy, and genotypes over the alleles that stay.

Genotypes of ploidy p are rows table_row[p].. of the stacked genotype tables (`gatk.genotype_likelihoods.stacked_tables`), in VCF order.
Source: GATK AlleleFrequencyCalculator, GenotypeUtils, AlleleSubsettingUtils, GATKVariantContextUtils.makeGenotypeCall (behaviour; chapter
"GVCF and joint genotyping", 8.2 and 8.5).
"""

import math

import numpy as np

from gpugenome.kernels.allele_frequency_cpu import CONVERGED, add_counts, first_smallest, posteriors, sum_ref_spanning, sum_without
from gpugenome.kernels.joint_merge_cpu import SPANNING, mapped_index
from gpugenome.kernels.launch import jit
from gpugenome.kernels.log10_scalar import log10

HOM_VAR_SCALE = 10  # a reference genotype with GQ but no PL has GQ and this times GQ as the PLs of genotypes with and without REF
NO_INFORMATION = -0.1  # log10; likelihoods whose sum is not below say nothing


@jit
def _scores(pl, pl_offset, ploidy, first, samples, name_order, table_row, table_allele, score):
    """Add to each ALT the log10 distance to 0/0 of the best genotypes that contain it. Rows first.. are the site's samples."""
    for s in range(samples):
        row = first + name_order[s]
        mine = pl[pl_offset[row] : pl_offset[row + 1]]
        if len(mine) == 0:
            continue
        best = first_smallest(mine)
        weight = abs(mine[best] / -10.0 - mine[0] / -10.0)
        last = -1
        for k in range(ploidy[row]):
            a = table_allele[table_row[ploidy[row]] + best, k]
            if a != last:
                score[a] += weight
            last = a


@jit
def _choose(n_alleles, most_alt, score, used):
    """The REF and the `most_alt` ALTs that score best, in order, in `used`; their number."""
    used[0] = 0
    n = 1
    for a in range(1, n_alleles):
        before = 0
        for b in range(1, n_alleles):
            before += score[b] > score[a] or (score[b] == score[a] and b < a)
        if before < most_alt:
            used[n] = a
            n += 1
    return n


@jit
def _likelihoods(pl, gq, ploidy, has_values, subset, used, table, row, genotypes, choose, work, out):
    """log10 likelihoods of one sample's genotypes over the alleles `used`."""
    smallest = 2147483647 if subset else 0
    for g in range(genotypes):
        genotype = table[row + g]
        if has_values:
            value = np.int64(pl[mapped_index(genotype, ploidy, used, choose, work)])
        else:
            value = 0 if g == 0 else np.int64(gq) * (1 if genotype[0] == 0 else HOM_VAR_SCALE)
        out[g] = value
        smallest = min(smallest, value)
    if not has_values or not subset:
        smallest = 0
    for g in range(genotypes):
        out[g] = (out[g] - smallest) / -10.0


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
    likelihood, usable = np.empty((samples, most_genotypes)), np.empty(samples, np.uint8)
    posterior, work, order = np.empty(most_genotypes), np.empty(most_genotypes), np.empty(choose.shape[1] + 1, np.int64)
    for i in range(begin, end):
        a0, n_alleles, first = allele_offset[i], allele_offset[i + 1] - allele_offset[i], i * samples
        used[a0 : a0 + n_alleles] = 0
        no_variant[i] = 0.0
        if skip[i]:
            continue
        n = n_alleles
        for a in range(n_alleles):
            chosen[a] = a
        if n_alleles - 1 > most_alt:
            score[:n_alleles] = 0.0
            _scores(pl, pl_offset, ploidy, first, samples, name_order, table_row, table_allele, score)
            n = _choose(n_alleles, most_alt, score, chosen)
        star = -1
        for k in range(n):
            length = allele_length[a0 + chosen[k]]
            prior[k] = ref_prior if k == 0 else (snp_prior if length == allele_length[a0] else indel_prior)
            if code[a0 + chosen[k]] == SPANNING:
                star = k
        for s in range(samples):
            d = first + s
            has_values = pl_offset[d + 1] > pl_offset[d]
            empty = (hom_ref[d] or no_call[d]) and gq[d] == 0
            if has_values:
                usable[s] = not (n < n_alleles and empty and dp[d] == 0)
            else:
                usable[s] = hom_ref[d] and gq[d] >= 0 and ploidy[d] == 2 and not (n < n_alleles and empty)
            if usable[s]:
                _likelihoods(pl[pl_offset[d] : pl_offset[d + 1]], gq[d], ploidy[d], has_values, n < n_alleles, chosen, table_allele,
                             table_row[ploidy[d]], choose[n, ploidy[d]], choose, order, likelihood[s])  # fmt: skip
        for a in range(n):
            af[a] = -log10(float(n))
            ac[a] = 0.0
        while True:
            sums[:n] = -np.inf
            for s in range(samples):
                if usable[s]:
                    p = ploidy[first + s]
                    row, g = table_row[p], choose[n, p]
                    posteriors(likelihood[s], af, g, distinct[row:], count[row:], n_distinct[row:], combinations[row:], posterior)
                    add_counts(posterior, g, distinct[row:], count[row:], n_distinct[row:], log10_of, sums)
            change, total = 0.0, 0.0
            for a in range(n):
                new = math.pow(10.0, sums[a])
                change = max(change, abs(ac[a] - new))
                ac[a] = new
                total += prior[a] + new
            for a in range(n):
                af[a] = log10((prior[a] + ac[a]) / total)
            if not change > CONVERGED:
                break
        total = 0.0
        for k in range(n):
            a = a0 + chosen[k]
            used[a] = 1
            absent[a] = 0.0
            mle_count[a] = int(math.floor(ac[k] + 0.5))
        for s in range(samples):
            if not usable[s]:
                continue
            p = ploidy[first + s]
            row, g = table_row[p], choose[n, p]
            posteriors(likelihood[s], af, g, distinct[row:], count[row:], n_distinct[row:], combinations[row:], posterior)
            if star < 0:
                total += posterior[0]
            else:
                total += sum_ref_spanning(posterior, g, distinct[row:], n_distinct[row:], star, work)
            if n > 2 or star >= 0:
                for k in range(1, n):
                    absent[a0 + chosen[k]] += sum_without(posterior, g, distinct[row:], n_distinct[row:], k, work)
        if n == 2 and star < 0:
            absent[a0 + chosen[1]] = total
        no_variant[i] = total


@jit
def _to_kept(allele, kept):
    """The index of an allele among those that stay, 0 where it goes, -1 for a no-call."""
    if allele < 0:
        return -1
    for k in range(len(kept)):
        if kept[k] == allele:
            return k
    return 0


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
    most = 1
    for d in range(begin * samples, end * samples):
        most = max(most, out_pl_offset[d + 1] - out_pl_offset[d])
    likelihood, work = np.empty(most), np.empty(choose.shape[1] + 1, np.int64)
    for c in range(begin, end):
        mine = kept[kept_offset[c] : kept_offset[c + 1]]
        for s in range(samples):
            d, o = site[c] * samples + s, c * samples + s
            p = ploidy[d]
            out_gt[o, :] = -2
            out_gq[o] = gq[d]
            cleared[o] = 0
            values = pl[pl_offset[d] : pl_offset[d + 1]]
            n = out_pl_offset[o + 1] - out_pl_offset[o]
            best, second, top, total = 0, -np.inf, -np.inf, 0.0
            for g in range(n):
                x = mapped_index(table_allele[table_row[p] + g], p, mine, choose, work)
                likelihood[g] = values[x] / -10.0
                top = max(top, likelihood[g])
            for g in range(n):
                likelihood[g] -= top
                total += likelihood[g]
                if likelihood[g] > likelihood[best]:
                    best = g
            for g in range(n):
                if g != best:
                    second = max(second, likelihood[g])
                out_pl[out_pl_offset[o] + g] = int(math.floor(-10.0 * likelihood[g] + 0.5))
            log10_gq = -(likelihood[best] - second) if n > 0 else 0.0
            if n > 0 and gq[d] >= 0:
                out_gq[o] = int(math.floor(log10_gq * -10.0 + 0.5))
            if (hom_ref[d] or no_call[d]) and gq[d] == 0 and dp[d] == 0:
                out_gt[o, :p] = -1
                cleared[o] = 1
                continue
            if n == 0 or not total < NO_INFORMATION:
                for k in range(p):
                    out_gt[o, k] = _to_kept(gt[d, k], mine)
            else:
                for k in range(p):
                    x = table_allele[table_row[p] + best, k]
                    out_gt[o, k] = -1 if best == 0 and log10_gq > NO_INFORMATION else x
                out_gq[o] = int(math.floor(log10_gq * -10.0 + 0.5))
            for k in range(out_ad_offset[o + 1] - out_ad_offset[o]):
                out_ad[out_ad_offset[o] + k] = ad[ad_offset[d] + mine[k]]


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
