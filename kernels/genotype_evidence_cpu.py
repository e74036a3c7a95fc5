"""Reads of each site, their likelihood by allele, and genotype likelihoods.

Source: GATK AlleleLikelihoods (marginalize, updateNonRefAlleleLikelihoods), GenotypeLikelihoodCalculator, htsjdk GenotypeLikelihoods
(behaviour; specification chapter "likelihoods and genotyping", sections 7.5 to 8).
"""


import numpy as np

from gpugenome.kernels.genotype_evidence_scalar import approximate_log10_sum, minus_product, to_pl
from gpugenome.kernels.java_math_scalar import log10, pow10
from gpugenome.kernels.launch import jit


@jit
def count_rows(begin, end, site_region, site_start, site_ref_length, margin, contig_length, read_offset, read_start, read_end, count):
    """count[i] = reads of the region that overlap the site and its margin (set-aside reads included). read_end is exclusive."""
    for i in range(begin, end):
        low = max(0, site_start[i] - margin)
        high = min(contig_length, site_start[i] + site_ref_length[i] + margin)
        r = site_region[i]
        n = 0
        for k in range(read_offset[r], read_offset[r + 1]):
            n += low < read_end[k] and read_start[k] < high
        count[i] = n


@jit
def non_ref_likelihood(row, considered, n_considered, work):
    """Median of the considered values that are below the best of the row, the best itself where there is none.

    row: likelihoods of the concrete alleles. considered: indices into it. work: float64 scratch.
    """
    top = -np.inf
    for x in row:
        top = max(top, x)
    n = 0
    for k in range(n_considered):
        x = row[considered[k]]
        if x < top:
            at = n
            while at > 0 and work[at - 1] > x:
                work[at] = work[at - 1]
                at -= 1
            work[at] = x
            n += 1
    if n == 0:
        return top
    middle = n // 2
    if n % 2:
        return work[middle]
    return work[middle - 1] + 0.5 * (work[middle] - work[middle - 1])


@jit
def fill_rows(
    begin, end, site_region, site_start, site_ref_length, margin, contig_length, read_offset, read_start, read_end, filtered, hap_offset,
    matrix, matrix_offset, allele_offset, hap_allele, hap_allele_offset, with_non_ref, evidence_offset, evidence_read, evidence,
    block_offset,
):  # fmt: skip
    """Rows and likelihoods of sites begin..end.

    matrix: float64, read x haplotype blocks of the regions by matrix_offset. hap_allele: int16 by hap_allele_offset.
    Output: evidence_read int32 by evidence_offset; evidence: float64 rows x alleles blocks by block_offset: the largest likelihood of the
    allele's haplotypes (-inf without any), <NON_REF> last; 0 for reads that were set aside.
    """
    most = 1
    for i in range(begin, end):
        most = max(most, allele_offset[i + 1] - allele_offset[i])
    work, everyone = np.empty(most), np.arange(most)
    for i in range(begin, end):
        low = max(0, site_start[i] - margin)
        high = min(contig_length, site_start[i] + site_ref_length[i] + margin)
        r = site_region[i]
        haps = hap_allele[hap_allele_offset[i] : hap_allele_offset[i + 1]]
        n_alleles = allele_offset[i + 1] - allele_offset[i]
        concrete = n_alleles - with_non_ref
        at = evidence_offset[i]
        for k in range(read_offset[r], read_offset[r + 1]):
            if not (low < read_end[k] and read_start[k] < high):
                continue
            evidence_read[at] = k
            cell = block_offset[i] + (at - evidence_offset[i]) * n_alleles
            out = evidence[cell : cell + n_alleles]
            at += 1
            if filtered[k]:
                out[:] = 0.0
                continue
            out[:] = -np.inf
            cell = matrix_offset[r] + (k - read_offset[r]) * len(haps)
            row = matrix[cell : cell + len(haps)]
            for h in range(len(haps)):
                a = haps[h]
                if a >= 0 and row[h] > out[a]:
                    out[a] = row[h]
            if with_non_ref:
                out[concrete] = non_ref_likelihood(out[:concrete], everyone, concrete, work)


@jit
def _two_alleles(first, second, n, log_first, log_second, table):
    total = 0.0
    for r in range(n):
        total += approximate_log10_sum(first[r] + log_first, second[r] + log_second, table)
    return total


@jit
def _many_alleles(linear, n, distinct, count, n_distinct):
    total = 0.0
    for r in range(n):
        x = 0.0
        for k in range(n_distinct):
            x += count[k] * linear[distinct[k], r]
        total += log10(x)
    return total


@jit
def _rescale(column, n_alleles, n, linear):
    """linear[a, r] = 10^(column[a, r] - largest of r); returns the sum of the largest."""
    total = 0.0
    for r in range(n):
        top = -np.inf
        for a in range(n_alleles):
            top = max(top, column[a, r])
        for a in range(n_alleles):
            linear[a, r] = pow10(column[a, r] - top)
        total += top
    return total


@jit
def _genotype_likelihoods(column, n_alleles, n, distinct, count, n_distinct, log10_of, table, linear, out):
    """out[g] = log10 likelihood of genotype g; column[a, :n]: likelihoods of one sample's reads by allele."""
    ploidy = distinct.shape[1]
    shift = 0.0
    if n_alleles > 2 and ploidy > 2:
        shift = _rescale(column, n_alleles, n, linear)
    for g in range(len(out)):
        if n_distinct[g] == 1:
            total = 0.0
            for x in column[distinct[g, 0], :n]:
                total += x
            out[g] = total
        elif n_distinct[g] == 2:
            copies = count[g, 0]
            total = _two_alleles(
                column[distinct[g, 0], :n], column[distinct[g, 1], :n], n, log10_of[copies], log10_of[ploidy - copies], table
            )
            out[g] = minus_product(total, n, log10_of[ploidy])
        else:
            total = _many_alleles(linear, n, distinct[g], count[g], n_distinct[g])
            out[g] = minus_product(total, n, log10_of[ploidy]) + shift


@jit
def genotype_likelihoods(
    begin, end, allele_offset, evidence_offset, evidence_read, evidence, block_offset, filtered, read_sample, samples, distinct, count,
    n_distinct, log10_of, table, pl, pl_offset,
):  # fmt: skip
    """PL of every genotype of sites begin..end and every sample.

    filtered, read_sample: by read. distinct, count, n_distinct, log10_of: `gatk.genotype_likelihoods.GenotypeTable`;
    table: its log10_sum_table. Output: pl int32 by pl_offset int64[sites * samples + 1].
    """
    most_alleles, most_rows, most_genotypes = 1, 1, 1
    for i in range(begin, end):
        most_alleles = max(most_alleles, allele_offset[i + 1] - allele_offset[i])
        most_rows = max(most_rows, evidence_offset[i + 1] - evidence_offset[i])
        most_genotypes = max(most_genotypes, pl_offset[i * samples + 1] - pl_offset[i * samples])
    column, linear = np.empty((most_alleles, most_rows)), np.empty((most_alleles, most_rows))
    work = np.empty(most_genotypes)
    for i in range(begin, end):
        n_alleles = allele_offset[i + 1] - allele_offset[i]
        for s in range(samples):
            n = 0
            for k in range(evidence_offset[i], evidence_offset[i + 1]):
                read = evidence_read[k]
                if filtered[read] or read_sample[read] != s:
                    continue
                cell = block_offset[i] + (k - evidence_offset[i]) * n_alleles
                for a in range(n_alleles):
                    column[a, n] = evidence[cell + a]
                n += 1
            out = pl[pl_offset[i * samples + s] : pl_offset[i * samples + s + 1]]
            found = work[: len(out)]
            _genotype_likelihoods(column, n_alleles, n, distinct, count, n_distinct, log10_of, table, linear, found)
            to_pl(found, out)
