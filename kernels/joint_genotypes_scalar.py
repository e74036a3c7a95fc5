"""What joint genotyping does for one site or sample, shared by CPU and CUDA.

Genotypes of ploidy p are rows table_row[p].. of the stacked genotype tables (`gatk.genotype_likelihoods.stacked_tables`), in VCF order.
Source: GATK AlleleFrequencyCalculator, GenotypeUtils, AlleleSubsettingUtils, GATKVariantContextUtils.makeGenotypeCall (behaviour; chapter
"GVCF and joint genotyping", 8.2 and 8.5).
"""

import math

import numpy as np

from gpugenome.kernels.allele_frequency_scalar import MOST_PL, add_scores, best_alleles
from gpugenome.kernels.joint_merge_scalar import mapped_index
from gpugenome.kernels.launch import jit
from gpugenome.kernels.rounded import product

HOM_VAR_SCALE = 10  # a reference genotype with GQ but no PL has GQ and this times GQ as the PLs of genotypes with and without REF
NO_INFORMATION = -0.1  # log10; likelihoods whose sum is not below say nothing


@jit
def chosen_alleles(first, n_alleles, samples, most_alt, pl, pl_offset, ploidy, name_order, table_row, table_allele, score, used):
    """Alleles that enter a site's model, in `used`; their number. Rows first.. of ploidy and pl_offset are the site's samples."""
    if n_alleles - 1 <= most_alt:
        for a in range(n_alleles):
            used[a] = a
        return n_alleles
    for a in range(n_alleles):
        score[a] = 0.0
    for s in range(samples):
        row = first + name_order[s]
        if pl_offset[row + 1] > pl_offset[row]:
            add_scores(pl[pl_offset[row] : pl_offset[row + 1]], table_allele[table_row[ploidy[row]] :], ploidy[row], score)
    return best_alleles(n_alleles, n_alleles - 1, most_alt, score, used)


@jit
def place_of(code, a0, n, chosen, codes):
    """Which of the alleles `chosen` (the last of them) has a code, -1 for none. codes: rows a0.. are the site's alleles."""
    at = -1
    for k in range(n):
        if codes[a0 + chosen[k]] == code:
            at = k
    return at


@jit
def is_usable(n_values, ploidy, gq, dp, hom_ref, no_call, subset):
    """Whether a sample enters the model. n_values: its PLs; subset: alleles were left out."""
    empty = (hom_ref or no_call) and gq == 0
    if n_values > 0:
        return not (subset and empty and dp == 0)
    return hom_ref and gq >= 0 and ploidy == 2 and not (subset and empty)


@jit
def likelihoods(pl, gq, ploidy, subset, used, table, genotypes, choose, out):
    """log10 likelihoods of one sample's genotypes, the first rows of `table`, over the alleles `used`. Without PLs: from GQ."""
    smallest = np.int64(MOST_PL if subset and len(pl) > 0 else 0)
    for g in range(genotypes):
        if len(pl) > 0:
            value = np.int64(pl[mapped_index(table[g], ploidy, used, choose)])
            if subset:
                smallest = min(smallest, value)
        else:
            value = np.int64(0) if g == 0 else np.int64(gq) * (1 if table[g, 0] == 0 else HOM_VAR_SCALE)
        out[g] = value
    for g in range(genotypes):
        out[g] = (out[g] - smallest) / -10.0


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
def assign_sample(kept, gt, ploidy, gq, dp, hom_ref, no_call, pl, ad, table, choose, out_gt, out_pl, out_ad):
    """The genotype of one sample over the alleles `kept` of its record: (GQ, whether nothing but the no-call stays).

    gt, pl, ad: of the record. table: genotypes of the ploidy. out_gt: int16[p]; out_pl, out_ad: int32, empty where there are none.
    """
    for k in range(len(out_gt)):
        out_gt[k] = -2
    n, smallest = len(out_pl), np.int64(MOST_PL)
    for g in range(n):
        out_pl[g] = pl[mapped_index(table[g], ploidy, kept, choose)]
        smallest = min(smallest, np.int64(out_pl[g]))
    top, best, most, second, total = smallest / -10.0, 0, -np.inf, -np.inf, 0.0
    for g in range(n):
        x = out_pl[g] / -10.0 - top
        total += x
        if x > most:
            second = most
            most = x
            best = g
        else:
            second = max(second, x)
        out_pl[g] = int(math.floor(product(-10.0, x) + 0.5))
    log10_gq = -(most - second) if n > 0 else 0.0
    if (hom_ref or no_call) and gq == 0 and dp == 0:
        for k in range(ploidy):
            out_gt[k] = -1
        called_gq = gq
        if n > 0 and gq >= 0:
            called_gq = int(math.floor(product(log10_gq, -10.0) + 0.5))
        return called_gq, True
    informative = n > 0 and total < NO_INFORMATION
    for k in range(ploidy):
        if not informative:
            out_gt[k] = _to_kept(gt[k], kept)
        else:
            out_gt[k] = -1 if best == 0 and log10_gq > NO_INFORMATION else table[best, k]
    for k in range(len(out_ad)):
        out_ad[k] = ad[kept[k]]
    return (int(math.floor(product(log10_gq, -10.0) + 0.5)) if informative or (n > 0 and gq >= 0) else gq), False
