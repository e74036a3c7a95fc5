"""What annotations ask about calls of GenotypeGVCFs: genotypes with their depths, strand counts of the samples, sums over the GVCFs."""

from functools import cached_property

import numpy as np

from gpugenome.gatk.annotations.strand_bias import FISHER_MIN_READS
from gpugenome.steps.call_evidence import CallEvidence, row_sums


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
