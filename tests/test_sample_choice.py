"""--sample-name: regions of all reads, calls from one sample's."""

import numpy as np

from gpugenome.steps.haplotypecaller.columns import RegionBatch
from gpugenome.steps.haplotypecaller.engine import only_sample
from gpugenome.steps.haplotypecaller.regions import take_none


def test_regions_keep_the_reads_of_one_sample():
    reads = take_none(0)
    reads.sample = np.array([0, 2, 1, 2, -1, 0], np.int32)
    at = np.zeros(4, np.int32)
    regions = RegionBatch(0, at, at + 1, at, at + 1, np.ones(4, bool), np.array([0, 3, 4, 4, 7]), np.array([0, 1, 2, 4, 3, 1, 5], np.int32))
    chosen, mine = only_sample(reads, regions, 2)
    assert mine.read_offset.tolist() == [0, 1, 1, 1, 3] and mine.read_index.tolist() == [1, 3, 1]
    assert chosen.sample.tolist() == [0] * 6
    assert reads.sample.tolist() == [0, 2, 1, 2, -1, 0] and len(regions.read_index) == 7  # the window's own tables stay
