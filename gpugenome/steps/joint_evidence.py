"""What annotations ask about calls of GenotypeGVCFs: genotypes with their depths, strand counts of the samples, sums over the GVCFs."""

from functools import cached_property

import numpy as np

from gpugenome.gatk.annotations.strand_bias import FISHER_MIN_READS
from gpugenome.steps.call_evidence import CallEvidence, row_sums
from gpugenome.steps.joint_allele_data import STRANDS, SUMS, allele_inbreeding, median_field, with_blanks
from gpugenome.steps.joint_records import offsets
from gpugenome.variant_fields import Field


class JointEvidence(CallEvidence):
    """c calls of s samples without reads.

    calls: `steps.joint_calls.JointCalls`. strands: int64[c, s, 4], SB (ref+, ref-, alt+, alt-), -1 where a sample has none.
    """

    def __init__(self, calls, strands: np.ndarray, bases, sample_names, threads: int):
        super().__init__(calls, bases, sample_names, threads)
        self._strands = strands

    @cached_property
    def _sample_sums(self):
        """(sum of AD, first AD): int64[c, s], 0 where a sample has no AD."""
        c = self.calls
        total = row_sums(c.ad.astype(np.int64), c.ad_offset)
        given = np.diff(c.ad_offset) > 0
        first = np.zeros(len(total), np.int64)
        first[given] = c.ad[c.ad_offset[:-1][given]]
        return total.reshape(-1, self.samples), first.reshape(-1, self.samples)

    @property
    def has_allele_depth(self) -> np.ndarray:
        """bool[c * s]: genotypes with AD."""
        return np.diff(self.calls.ad_offset) > 0

    @property
    def allele_depth(self) -> np.ndarray:
        """int64 by call, sample and allele: AD, 0 where a sample has none."""
        c = self.calls
        out = np.zeros(int(self.sample_alleles.sum()), np.int64)
        out[np.repeat(np.diff(c.ad_offset) > 0, self.sample_alleles)] = c.ad
        return out

    @cached_property
    def sample_depth(self) -> np.ndarray:
        """int64[c * s]: the sum of AD."""
        return self._sample_sums[0].reshape(-1)

    @cached_property
    def variant_depth(self) -> np.ndarray:
        """int64[c]: the depth that QD divides by, 0 where there is none."""
        gt = self.calls.gt
        whole = ((gt >= 0) | (gt == -2)).all(2) & (gt[:, :, 0] >= 0)
        variant = whole & (gt > 0).any(2)
        total, ref = self._sample_sums
        depth = np.where(variant, np.where(total > 0, total, np.maximum(self.calls.dp, 0)), 0).sum(1)
        restricted = np.where(variant & (total - ref > 1), total, 0).sum(1)
        return np.where(restricted > 0, restricted, depth)

    @cached_property
    def has_strands(self) -> np.ndarray:
        """bool[c]: calls with SB in some sample."""
        return (self._strands[:, :, 0] >= 0).any(1)

    @cached_property
    def strand_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """FS and SOR, float64[c] each, of the sums of SB; small tables do not count in FS."""
        tables = np.maximum(self._strands, 0)
        enough = tables.sum(2, keepdims=True) > FISHER_MIN_READS
        return self.strand_tests(np.where(enough, tables, 0).sum(1), tables.sum(1))

    @property
    def raw_mapping_quality(self) -> np.ndarray:
        """int64[c, 2]: sum of squares and number of mapping qualities, -1 where the GVCFs have none."""
        return self.calls.raw_mq

    # Allele-specific values

    def by_alt(self, key: str, kind: str, values: np.ndarray, present: np.ndarray, decimals: int,
               missing: np.ndarray | None = None) -> Field:  # fmt: skip
        """A field of the ALTs' values where `present` (bool[c]). values: by allele; missing: uint8 by allele, printed as '.'."""
        is_alt = np.ones(len(values), bool)
        is_alt[self.calls.allele_offset[:-1]] = False
        field = self.rows_where(key, kind, values[is_alt], self.n_alleles - 1, present)
        field.decimals = decimals
        if missing is None:
            return field
        return with_blanks(field, field.offset, missing[is_alt][np.repeat(present, self.n_alleles - 1)], ".", self._threads)

    def allele_sums(self, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(float64[alleles, width], bool[c] present, uint8[alleles] without a number) of a raw key."""
        found, rows = self.calls.allele_data.sums.get(key), self.calls.allele_row
        if found is None:
            return np.zeros((len(rows), SUMS[key])), np.zeros(len(self.calls), bool), np.zeros(len(rows), np.uint8)
        return found[0][rows], found[1][self.calls.record] > 0, found[2][rows]

    def allele_medians(self, key: str, raw: str) -> list[Field]:
        """Medians of the ALTs' histograms."""
        h, c = self.calls.allele_data.histograms.get(raw), self.calls
        return [] if h is None else [median_field(key, h, h.present[c.record], c.allele_offset, c.allele_row, self._threads)]

    @cached_property
    def allele_strand_bias(self) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
        """((FS, SOR) of each allele against REF, bool[c] present, uint8 by allele: there is no table)."""
        table, present, empty = self.allele_sums(STRANDS)
        ref = np.repeat(table[self.calls.allele_offset[:-1]], self.n_alleles, axis=0)
        tables = np.concatenate([ref, table], 1).astype(np.int64)
        return self.strand_tests(tables, tables), present, empty

    def _over_samples(self, chosen):
        """int64 by allele: the sum of AD over the samples chosen (bool[c, s])."""
        c = self.calls
        given = np.diff(c.ad_offset) > 0
        size = np.where(given, self.sample_alleles, 0)
        first = np.repeat(c.allele_offset[:-1], self.samples)
        row = np.arange(int(size.sum())) + np.repeat(first - offsets(size)[:-1], size)
        use = np.repeat(chosen.reshape(-1), size)
        return np.bincount(row[use], c.ad[use], int(c.allele_offset[-1])).astype(np.int64)

    @cached_property
    def summed_allele_depth(self) -> np.ndarray:
        """int64 by allele: AD of all samples."""
        return self._over_samples(np.ones(self.calls.gq.shape, bool))

    @cached_property
    def variant_allele_depth(self) -> tuple[np.ndarray, np.ndarray]:
        """(int64 by allele: AD of samples that show a variant in more than one read, bool[c]: any sample has AD)."""
        gt = self.calls.gt
        whole = ((gt >= 0) | (gt == -2)).all(2) & (gt[:, :, 0] >= 0)
        total, ref = self._sample_sums
        has_ad = (np.diff(self.calls.ad_offset) > 0).reshape(-1, self.samples)
        depth = self._over_samples(whole & (gt > 0).any(2) & (total - ref > 1))
        return depth, has_ad.any(1) & (self.n_alleles > 1)

    @cached_property
    def allele_inbreeding(self) -> tuple[np.ndarray, np.ndarray]:
        """(float64 by allele, int64[c] samples it is made of)."""
        return allele_inbreeding(self.calls, self._threads)
