"""Reference confidence: the CUDA twin gives the CPU's depths, PLs and GQs, in the simulator and where there is a device."""

import math

import numpy as np
import pytest
from simulator import in_simulator, on_device


def inputs(reads, length, width, ploidy):
    """Arguments of the kernel up to its outputs: spans of `width` bases that tile a made contig, each with the reads that overlap it."""
    from caller_tables import ragged
    from test_reference_confidence import made_contig, made_reads

    from gpugenome.gatk.activity_priors import element_likelihoods
    from gpugenome.gatk.indel_confidence import indel_likelihoods

    rng = np.random.default_rng(reads)
    contig = made_contig(rng, length)
    table = made_reads(rng, contig, reads, True)
    start = np.arange(0, length, width, dtype=np.int32)
    end = np.minimum(start + width, length).astype(np.int32)
    low, high = np.maximum(start - 40, 0).astype(np.int32), np.minimum(end + 40, length).astype(np.int32)
    inside = (table.start >= 0) & (table.end <= length)
    row, row_offset = ragged([np.flatnonzero(inside & (table.start >= a) & (table.end <= b)) for a, b in zip(low, high)], np.int64)
    clipped = (np.arange(len(table), dtype=np.int32), table.start, table.base, table.qual, table.base_offset, table.cigar,
               table.cigar_offset)  # fmt: skip
    columns = table.flag, table.mapq, table.mate_ref_id, table.mate_start, table.tlen
    bases = np.frombuffer(contig.encode(), np.uint8).copy()
    return (start, end, low, high, row_offset, row, clipped, columns, bases, element_likelihoods(ploidy), math.log10(ploidy),
            *indel_likelihoods(ploidy), 30, 10, start.astype(np.int64))  # fmt: skip


def check(reads, length, width, ploidy, blocks):
    from gpugenome.kernels import reference_confidence_cpu, reference_confidence_cuda

    columns = inputs(reads, length, width, ploidy)
    n, rows, clipped = len(columns[0]), len(columns[5]), columns[6]
    assert (np.diff(columns[4]) > 0).any()
    outputs = np.zeros(length, np.int32), np.zeros(length, np.int32), np.zeros((length, ploidy + 1), np.int32), np.zeros(length, np.int32)
    deleted = np.add.reduceat(np.where(clipped[5] & 15 == 2, clipped[5] >> 4, 0), clipped[6][:-1])
    room, warps = int((np.diff(clipped[4]) + deleted).max()), blocks * reference_confidence_cuda.WARPS
    scratch = (np.empty((length, ploidy + 1)), np.empty((rows, 2), np.int32), np.empty((warps, room), np.int32),
               np.empty((warps, 3, room), np.uint8))  # fmt: skip
    device = on_device(outputs)
    reference_confidence_cuda.reference_confidence(0, n, *on_device(columns), *device, *on_device(scratch))
    reference_confidence_cpu.reference_confidence(0, n, *columns, *outputs)
    for mine, expected in zip(device, outputs):
        np.testing.assert_array_equal(mine.copy_to_host(), expected)
    assert len(np.unique(outputs[3])) > 3 and outputs[1].any()


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_reference_confidence", "check(12, 130, 50, 2, 2)", "check(5, 130, 130, 3, 1)")


@pytest.mark.cuda
@pytest.mark.parametrize("ploidy", [1, 2, 5])
def test_device(ploidy):
    check(6000, 30000, 250, ploidy, 64)
