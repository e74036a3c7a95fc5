"""What annotations ask about a batch of calls: columns of reads, alleles, samples and sites, each computed once.

Source: specification chapter "annotations", sections 2 to 9.
"""

from functools import cached_property

import numpy as np

from gpugenome.gatk.annotations.strand_bias import FISHER_MIN_READS
from gpugenome.kernels import annotations_cpu as kernel
from gpugenome.kernels import assembly_complexity_cpu, rank_sum_cpu, read_summaries_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.call_evidence import CallEvidence, row_sums
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallBatch, CallerReads, LikelihoodBatch
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

REVERSE = 16


class Evidence(CallEvidence):
    """What annotations ask about a batch of calls. c calls, s samples, n evidence rows; columns are computed when first used.

    with_allele_depths: whether AD is among the annotations (QD asks).
    """

    def __init__(self, reads: CallerReads, likelihoods: LikelihoodBatch, calls: CallBatch, bases, options: CallerOptions,
                 with_allele_depths: bool, assembly: AssemblyBatch | None, threads: int):  # fmt: skip
        super().__init__(calls, bases, options.samples, threads)
        self.reads, self.likelihoods, self.assembly, self.with_allele_depths = reads, likelihoods, assembly, with_allele_depths
        self.depth = np.diff(calls.evidence_offset)
        self._source = likelihoods.reads.source[calls.evidence_read]
        self._call = np.repeat(np.arange(len(calls)), self.depth)
        self._mapq = reads.mapq[self._source]

    @cached_property
    def _best(self):
        c, n = self.calls, len(self.calls.evidence_read)
        column, full, subset, best = np.empty(n, np.int16), np.empty(n, np.int16), np.empty(n, np.int16), np.empty(n)
        self._run(kernel.best_alleles, c.evidence_matrix, c.evidence_matrix_offset, c.evidence_offset, c.column_offset, c.column_allele,
                  column, full, subset, best)  # fmt: skip
        return full, subset, best, column

    @cached_property
    def allele(self) -> np.ndarray:
        """int16[n]: the call's allele that each read supports by the full matrix, -1 for none."""
        return self._best[0]

    @cached_property
    def _is_usable(self):
        return (self._mapq != 0) & (self._mapq != 255)

    @cached_property
    def _usable_allele(self):
        """`allele`, without reads of MAPQ 0 or 255."""
        return np.where(self._is_usable, self.allele, -1).astype(np.int16)

    def _counts(self, allele):
        """int32, samples x alleles x strands of each call in C order."""
        c = self.calls
        out = np.zeros(int(c.allele_offset[-1]) * self.samples * 2, np.int32)
        reverse = (self.reads.flag[self._source] & REVERSE != 0).astype(np.uint8)
        sample = self.reads.sample[self._source]
        self._run(kernel.count_alleles, c.evidence_offset, allele, sample, reverse, c.allele_offset, self.samples, out)
        return out

    @cached_property
    def _full_counts(self):
        return self._counts(self.allele)

    # Depths and genotypes

    @cached_property
    def allele_depth(self) -> np.ndarray:
        """int64 by call, sample and allele: AD."""
        return self._counts(self._best[1]).reshape(-1, 2).sum(1, dtype=np.int64)

    @cached_property
    def sample_depth(self) -> np.ndarray:
        """int64[c * s]: informative reads over the call's alleles."""
        return row_sums(self.allele_depth, offsets(self.sample_alleles))

    @cached_property
    def variant_depth(self) -> np.ndarray:
        """int64[c]: the depth that QD divides by, 0 where there is none."""
        gt = self.calls.gt
        whole = ((gt >= 0) | (gt == -2)).all(2) & (gt[:, :, 0] >= 0)
        variant = whole & ((gt > 0).any(2)).reshape(whole.shape)
        n = self.samples
        evidence = np.bincount(self._call * n + self.reads.sample[self._source], minlength=variant.size).reshape(-1, n)
        if not self.with_allele_depths:
            return np.where(variant, evidence, 0).sum(1)
        total = self.sample_depth.reshape(-1, n)
        ref = self.allele_depth[offsets(self.sample_alleles)[:-1]].reshape(-1, n)
        depth = np.where(variant, np.where(total > 0, total, evidence), 0).sum(1)
        restricted = np.where(variant & (total - ref > 1), total, 0).sum(1)
        return np.where(restricted > 0, restricted, depth)

    # Strands

    @cached_property
    def strand_table(self) -> np.ndarray:
        """int64[c * s, 4]: ref+, ref-, alt+, alt- of informative reads."""
        rows = offsets(self.sample_alleles)
        forward, reverse = (self._full_counts.reshape(-1, 2)[:, k].astype(np.int64) for k in (0, 1))
        ref_forward, ref_reverse = forward[rows[:-1]], reverse[rows[:-1]]
        return np.stack([ref_forward, ref_reverse, row_sums(forward, rows) - ref_forward, row_sums(reverse, rows) - ref_reverse], 1)

    @property
    def has_strands(self) -> np.ndarray:
        """bool[c]: calls with a strand table (all)."""
        return np.ones(len(self.calls), bool)

    @cached_property
    def strand_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """FS and SOR, float64[c] each."""
        tables = self.strand_table.reshape(-1, self.samples, 4)
        enough = tables.sum(2, keepdims=True) > FISHER_MIN_READS
        return self.strand_tests(np.where(enough, tables, 0).sum(1), tables.sum(1))

    def allele_strands(self, enough: np.ndarray) -> np.ndarray:
        """int64, alleles x (forward, reverse) of each call, over the samples that are `enough` (bool[c, s])."""
        keep = np.repeat(enough.reshape(-1), self.sample_alleles)
        counts = np.where(keep[:, None], self._full_counts.reshape(-1, 2), 0)
        row = np.arange(len(counts)) - np.repeat(offsets(self.sample_alleles)[:-1], self.sample_alleles)
        row += np.repeat(np.repeat(self.calls.allele_offset[:-1], self.samples), self.sample_alleles)
        out = np.zeros((int(self.calls.allele_offset[-1]), 2), np.int64)
        np.add.at(out, row, counts)
        return out.reshape(-1)

    # Mapping quality

    @cached_property
    def mapping_quality_squares(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum of squares and number of the mapping qualities other than 255, int64[c] each."""
        known = self._mapq != 255
        squares = np.where(known, self._mapq.astype(np.int64) ** 2, 0)
        return row_sums(squares, self.calls.evidence_offset), row_sums(known, self.calls.evidence_offset)

    @cached_property
    def mapping_quality_zeros(self) -> np.ndarray:
        """int64[c]: reads of mapping quality 0."""
        return row_sums(self._mapq == 0, self.calls.evidence_offset)

    @cached_property
    def allele_mapping_quality_squares(self) -> np.ndarray:
        """float64 by allele: sum of squared mapping qualities of its reads."""
        used = np.flatnonzero((self.allele >= 0) & (self._mapq != 255))
        row = self.calls.allele_offset[self._call[used]] + self.allele[used]
        return np.bincount(row, self._mapq[used].astype(np.float64) ** 2, minlength=int(self.calls.allele_offset[-1]))

    @cached_property
    def mapping_quality(self) -> np.ndarray:
        """float64[n]."""
        return self._mapq.astype(np.float64)

    # Values of reads at the site

    @cached_property
    def _read_values(self):
        c, r, n = self.calls, self.likelihoods.reads, len(self.calls.evidence_read)
        quality, position = np.empty(n), np.empty(n)
        spans, clipped, is_n = np.empty(n, np.uint8), np.empty(n, np.int32), np.empty(n, np.uint8)
        self._run(kernel.read_values, c.start, c.start + c.untrimmed_ref_length, c.evidence_offset, c.evidence_read, r.start, r.cigar,
                  r.cigar_offset, r.base, r.qual, r.base_offset, quality, position, spans, clipped, is_n)  # fmt: skip
        return quality, position, spans, clipped, is_n

    @cached_property
    def base_quality(self) -> np.ndarray:
        """float64[n]: quality of the base at the site, NaN for none."""
        return self._read_values[0]

    @cached_property
    def position(self) -> np.ndarray:
        """float64[n]: distance of the site from the nearer end of the read, NaN for none."""
        return self._read_values[1]

    @cached_property
    def clipped(self) -> np.ndarray:
        """float64[n]: hard-clipped bases."""
        return self._read_values[3].astype(np.float64)

    @cached_property
    def best_likelihood(self) -> np.ndarray:
        """float64[n]: log10 likelihood of the best allele."""
        return self._best[2]

    @cached_property
    def spans(self) -> np.ndarray:
        """bool[n]: reads whose alignment covers the site."""
        return self._read_values[2] > 0

    @cached_property
    def n_bases(self) -> np.ndarray:
        """int64[c]: reads with the base N at the site."""
        return row_sums(self._read_values[4], self.calls.evidence_offset)

    @cached_property
    def fragment_length(self) -> np.ndarray:
        """float64[n]: size of TLEN."""
        return np.abs(self.reads.tlen[self._source].astype(np.float64))

    def medians(self, value: np.ndarray, without_reads: int) -> np.ndarray:
        """int64 by allele: median of its reads' values, halves up; `without_reads` where there is none."""
        out = np.empty(int(self.calls.allele_offset[-1]), np.int64)
        self._run(kernel.medians, self.calls.evidence_offset, self.calls.allele_offset, self._usable_allele, value, without_reads, out)
        return out

    def base_quality_histogram(self) -> tuple[np.ndarray, np.ndarray]:
        """(int64 values, offsets) by call: qualities, each with its reads of every matrix column."""
        c, offset = self.calls, np.zeros(len(self.calls) + 1, np.int64)
        column = np.where(self._is_usable, self._best[3], -1).astype(np.int16)
        size, out = np.empty(len(c), np.int64), np.empty(0, np.int64)
        for fill in (False, True):
            self._run(read_summaries_cpu.quality_histograms, c.evidence_offset, c.column_offset, column, self.base_quality, offset, fill,
                      out, size)  # fmt: skip
            if not fill:
                offset = offsets(size)
                out = np.empty(int(offset[-1]), np.int64)
        return out, offset

    def distinct_fragments(self) -> np.ndarray:
        """int64 by allele: different pairs of start and TLEN among its reads."""
        c, out = self.calls, np.empty(int(self.calls.allele_offset[-1]), np.int64)
        self._run(read_summaries_cpu.distinct_fragments, c.evidence_offset, c.allele_offset, self.allele,
                  self.likelihoods.reads.start[c.evidence_read], self.reads.tlen[self._source], out)  # fmt: skip
        return out

    def rank_sums(self, value: np.ndarray) -> np.ndarray:
        """float64[c]: z of ALT reads against REF reads, NaN for none."""
        out = np.empty(len(self.calls))
        self._run(rank_sum_cpu.rank_sums, self.calls.evidence_offset, self._usable_allele, value, out)
        return out

    def allele_rank_sums(self, value: np.ndarray) -> np.ndarray:
        """float64 by allele, see `kernels.rank_sum_cpu.allele_rank_sums`."""
        out = np.empty(int(self.calls.allele_offset[-1]))
        self._run(rank_sum_cpu.allele_rank_sums, self.calls.evidence_offset, self.calls.allele_offset, self._usable_allele, value, out)
        return out

    # Assembly

    def assembly_complexity(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """See `kernels.assembly_complexity_cpu.complexity`: (int64 group supports, offsets, int64 distances, float64 dominances by ALT)."""
        c, h, e, r = self.calls, self.assembly.haplotypes, self.assembly.events, self.likelihoods.reads
        support = np.zeros(len(h), np.int64)
        run_chunks(assembly_complexity_cpu.haplotype_support, len(h.offset) - 1, self._threads, r.region_offset, r.filtered,
                   self.likelihoods.matrix, self.likelihoods.matrix_offset, h.offset, h.is_reference, support)  # fmt: skip
        room = offsets(np.diff(h.offset)[c.region])
        group, groups = np.empty(int(room[-1]), np.int64), np.empty(len(c), np.int64)
        alts = int(c.allele_offset[-1]) - len(c)
        distance, dominance = np.empty(alts, np.int64), np.empty(alts)
        self._run(assembly_complexity_cpu.complexity, c.region, c.start, c.allele_offset, c.allele_base, c.allele_base_offset, h.offset,
                  h.base, h.base_offset, support, e.offset, e.start, e.ref_length, e.alt, e.alt_offset, room, group, groups, distance,
                  dominance)  # fmt: skip
        inside = np.arange(len(group)) - np.repeat(room[:-1], np.diff(room)) < np.repeat(groups, np.diff(room))
        return group[inside], offsets(groups), distance, dominance
