"""Genotypes in VCF order and the tables that genotype likelihoods need.

Source: GenotypeIndexCalculator, GenotypeAlleleCounts, GenotypeLikelihoodCalculator, MathUtils of GATK 4.6.2.0.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np

from gpugenome.kernels.java_math_scalar import log10, pow10

LOG10_E = log10(math.e)
"""What GATK multiplies natural logarithms with; not the same float64 as 1 / ln(10)."""
MOST_ALLELES = 50
"""Sites with more alleles, REF included, are not genotyped (htsjdk MAX_DIPLOID_ALT_ALLELES_THAT_CAN_BE_GENOTYPED)."""


def genotype_count(ploidy: int, alleles):
    """Number of genotypes; alleles: int or int array."""
    n = np.ones_like(np.asarray(alleles, np.int64))
    for k in range(1, ploidy + 1):
        n = n * (alleles + k - 1) // k
    return n


def practical_allele_count(ploidy: int, most_genotypes: int) -> int:
    """The largest number of alleles, REF included, with at most `most_genotypes` genotypes."""
    if ploidy == 1:
        return most_genotypes
    n = 1
    while genotype_count(ploidy, n + 1) <= most_genotypes:
        n += 1
    return n


def log_factorial(k: int) -> float:
    """ln(k!): up to 20! the logarithm of the product, beyond the sum of logarithms. Source: CombinatoricsUtils.factorialLog."""
    if k < 21:
        return math.log(math.factorial(k))
    total = 0.0
    for i in range(2, k + 1):
        total += math.log(i)
    return total


@dataclass(frozen=True)
class GenotypeTable:
    """All genotypes of one ploidy P over up to A alleles; those over fewer alleles are the first rows.

    allele: int16[G, P], allele indices ascending. distinct, count: int16[G, P], distinct alleles ascending and their copies, the first
    n_distinct[G] (int16) columns. combinations: float64[G], log10 of the number of orderings. choose: int64[A, P + 1]: the index of a
    genotype is the sum over k of choose[allele[k], k + 1]. log10_of: float64[P + 1], log10 of 0..P (0 for 0).
    """

    allele: np.ndarray
    distinct: np.ndarray
    count: np.ndarray
    n_distinct: np.ndarray
    combinations: np.ndarray
    choose: np.ndarray
    log10_of: np.ndarray


@lru_cache(32)
def genotype_table(ploidy: int, alleles: int) -> GenotypeTable:
    """The genotypes of a ploidy over `alleles` alleles."""
    rows = sorted(combinations_with_replacement(range(alleles), ploidy), key=lambda g: g[::-1])
    allele = np.array(rows, np.int16).reshape(len(rows), ploidy)
    copies = (allele[:, :, None] == np.arange(alleles)).sum(1)
    distinct, count = np.zeros_like(allele), np.zeros_like(allele)
    n_distinct = (copies > 0).sum(1).astype(np.int16)
    at, which = np.nonzero(copies)
    column = np.arange(len(at)) - np.concatenate([[0], np.cumsum(n_distinct)])[at]
    distinct[at, column] = which
    count[at, column] = copies[at, which]
    factorials = np.array([log_factorial(k) for k in range(ploidy + 1)])
    combinations = (factorials[ploidy] - np.add.accumulate(factorials[copies], 1)[:, -1]) * LOG10_E  # added up one by one
    choose = np.array([[math.comb(a + k - 1, k) if k else 0 for k in range(ploidy + 1)] for a in range(alleles)], np.int64)
    log10_of = np.array([0.0, *(log10(float(k)) for k in range(1, ploidy + 1))])
    return GenotypeTable(allele, distinct, count, n_distinct, combinations, choose, log10_of)


@dataclass(frozen=True)
class StackedTables:
    """The genotype tables of several ploidies one below the other; those of ploidy p are rows row[p] (int64, -1 for other ploidies) on.

    Columns as in GenotypeTable, padded to the largest ploidy P; choose: int64[A + 1, P + 1], C(a + k - 1, k).
    """

    row: np.ndarray
    allele: np.ndarray
    distinct: np.ndarray
    count: np.ndarray
    n_distinct: np.ndarray
    combinations: np.ndarray
    log10_of: np.ndarray
    choose: np.ndarray


@lru_cache(16)
def stacked_tables(ploidies: tuple[int, ...], alleles: int) -> StackedTables:
    """Tables of these ploidies (ascending, at least one) over `alleles` alleles."""
    tables, most = [genotype_table(p, alleles) for p in ploidies], max(ploidies)
    row, at = np.full(most + 1, -1, np.int64), 0
    for p, t in zip(ploidies, tables):
        row[p] = at
        at += len(t.allele)

    def stacked(name):
        return np.concatenate([np.pad(getattr(t, name), ((0, 0), (0, most - p))) for p, t in zip(ploidies, tables)])

    return StackedTables(
        row, stacked("allele"), stacked("distinct"), stacked("count"), np.concatenate([t.n_distinct for t in tables]),
        np.concatenate([t.combinations for t in tables]), genotype_table(most, 2).log10_of, choose_table(alleles, most),
    )  # fmt: skip


def choose_table(alleles: int, ploidy: int) -> np.ndarray:
    """int64[alleles + 1, ploidy + 1]: C(a + k - 1, k): genotypes of ploidy k over a alleles, and what allele a adds to a genotype's row."""
    return np.array([[math.comb(a + k - 1, k) if k else 1 for k in range(ploidy + 1)] for a in range(alleles + 1)], np.int64)


@lru_cache(1)
def log10_sum_table() -> np.ndarray:
    """float64[80001]: log10(1 + 10^(-k/10000)), what the approximate sum of two logarithms adds to the larger one."""
    return np.array([log10(1.0 + pow10(-k * 0.0001)) for k in range(80001)])
