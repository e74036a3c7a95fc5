"""What annotations ask about calls that does not need reads: genotypes, samples, sites.

Source: specification chapter "annotations", sections 3 to 9.
"""

import math
from functools import cached_property, lru_cache

import numpy as np

from gpugenome.columns import text_values
from gpugenome.kernels import annotations_cpu as kernel
from gpugenome.kernels import site_context_cpu
from gpugenome.kernels.annotations_scalar import FISHER_TABLE_LIMIT
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.reads import gather, offsets
from gpugenome.variant_fields import Field


@lru_cache
def _log_factorial():
    return np.array([math.lgamma(k + 1.0) for k in range(FISHER_TABLE_LIMIT + 1)])


def row_sums(values, offset):
    """Sums of the rows of a ragged column."""
    total = offsets(values)
    return total[offset[1:]] - total[offset[:-1]]


class CallEvidence:
    """Columns over c calls of s samples, computed when first used.

    calls: `CallBatch` or another table with its columns for alleles, genotypes and sites. bases: uint8, the contig.
    """

    def __init__(self, calls, bases, sample_names, threads: int):
        self.calls, self.bases, self._sample_names, self._threads = calls, bases, sample_names, threads
        self.samples = calls.gt.shape[1]
        self.n_alleles = np.diff(calls.allele_offset)
        self.sample_alleles = np.repeat(self.n_alleles, self.samples)

    def _run(self, function, *args):
        run_chunks(function, len(self.calls), self._threads, *args)

    @staticmethod
    def rows_where(key, kind, values, size, present) -> Field:
        """A ragged field whose rows (of `size` values each) are kept where `present`."""
        return Field(key, kind, values[np.repeat(present, size)], offsets(np.where(present, size, 0)))

    @cached_property
    def called(self) -> np.ndarray:
        """bool[c * s]: genotypes with a called allele."""
        return (self.calls.gt >= 0).any(2).reshape(-1)

    @property
    def has_allele_depth(self) -> np.ndarray:
        """bool[c * s]: genotypes whose depth by allele is known: with reads, all that are called."""
        return self.called

    @cached_property
    def allele_number(self) -> np.ndarray:
        """int64[c]: called alleles."""
        return (self.calls.gt >= 0).sum((1, 2))

    @cached_property
    def alt_count(self) -> np.ndarray:
        """int64 by ALT: how often it is called."""
        gt, first = self.calls.gt, self.calls.allele_offset[:-1, None, None]
        count = np.bincount((gt + first)[gt >= 0], minlength=int(self.calls.allele_offset[-1]))
        return np.delete(count, self.calls.allele_offset[:-1])

    def genotype_counts(self, rounded: bool) -> np.ndarray:
        """float64[c, 5], see `kernels.annotations_cpu.genotype_counts`."""
        c, out = self.calls, np.empty((len(self.calls), 5))
        self._run(kernel.genotype_counts, c.allele_offset, c.gt, c.gq, c.pl, c.pl_offset, rounded, out)
        return out

    def excess_het(self, counts: np.ndarray) -> np.ndarray:
        """float64[c]: phred p of the exact test for excess heterozygotes."""
        out = np.empty(len(self.calls))
        self._run(kernel.excess_het, counts, out)
        return out

    def strand_tests(self, fisher_tables: np.ndarray, odds_tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """FS and SOR, float64[c] each, of tables int64[c, 4] (ref+, ref-, alt+, alt-)."""
        fisher, odds = np.empty(len(fisher_tables)), np.empty(len(fisher_tables))
        run_chunks(kernel.strand_bias, len(fisher_tables), self._threads, fisher_tables, odds_tables, _log_factorial(), fisher, odds)
        return fisher, odds

    def tandem_repeats(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(bool[c], int64 copies of the unit by allele, uint8 units, int64 offsets): calls that change the copies of a repeat."""
        c, n = self.calls, len(self.calls)
        extra = (c.untrimmed_ref_length - (c.end - c.start)).astype(np.int32)
        start = offsets(c.allele_base_offset[c.allele_offset[1:]] - c.allele_base_offset[c.allele_offset[:-1]] + extra)
        present, length = np.empty(n, np.uint8), np.empty(n, np.int64)
        units, unit = np.zeros(int(c.allele_offset[-1]), np.int64), np.empty(int(start[-1]), np.uint8)
        self._run(site_context_cpu.tandem_repeats, c.start, c.end, extra, c.allele_offset, c.allele_base, c.allele_base_offset, self.bases,
                  present, units, unit, start, length)  # fmt: skip
        length[present == 0] = 0
        inside = np.arange(len(unit)) - np.repeat(start[:-1], np.diff(start)) < np.repeat(length, np.diff(start))
        return present > 0, units, unit[inside], offsets(length)

    def joined_sample_names(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(uint8 text, int64 offsets): the names of each call's `chosen` (bool[c, s]) samples with commas between them."""
        names, name_offset = text_values([name + "," for name in self._sample_names])
        call, sample = np.nonzero(chosen)
        text, offset = gather(names, name_offset, sample)
        per_call = offset[np.searchsorted(call, np.arange(len(chosen) + 1))]
        keep = np.ones(len(text), bool)
        keep[per_call[1:][np.diff(per_call) > 0] - 1] = False
        return text[keep], offsets(np.maximum(np.diff(per_call) - 1, 0))
