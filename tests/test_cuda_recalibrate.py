"""Recalibration's CUDA twin writes the CPU's qualities, in the simulator and where there is a device."""

from pathlib import Path

import numpy as np
import pytest
from simulator import demo_records, in_simulator

GOLDEN = Path(__file__).resolve().parent.parent / "data" / "golden"


def recalibrator(header, **options):
    from gpugenome.io.recal_table import read_report
    from gpugenome.steps.applybqsr import ApplyOptions, Recalibrator

    return Recalibrator(read_report(GOLDEN / "recal.table.gz"), header, ApplyOptions(**options))


def demo_header():
    from gpugenome.io.bam import open_reads

    return open_reads(GOLDEN / "recalibrated.bam", threads=1).header


def long_contexts(batch, settings):
    """A hash table of made deltas of all contexts of the reads."""
    from gpugenome.kernels.covariates_cpu import WIDE_BITS, count_bases
    from gpugenome.kernels.recalibrate_cpu import fill_hash
    from gpugenome.steps.bqsr import _COLUMNS

    keys = np.zeros(1 + int(batch.seq_length.sum()), np.int64)
    groups, chosen = int(batch.read_group.max()) + 1, np.flatnonzero(batch.ref_id == batch.ref_id[0])
    settings = np.array([9, 500, settings[2], 6, 0])
    contig = np.zeros(1, np.uint8), batch.ref_id[0], np.empty((0, 2), np.int64), np.zeros(1, np.int64)
    counts = np.zeros(groups * 94 * 1001, np.int64)
    count_bases(0, len(chosen), batch.columns(_COLUMNS), chosen, np.arange(groups, dtype=np.int32), *contig, settings, counts, keys)
    keys = np.unique(keys[1 : 1 + keys[0]] >> 1)
    assert len(keys) > 50 and (keys >> WIDE_BITS).any()
    table = np.full(1 << (2 * len(keys)).bit_length(), -1, np.int64), np.zeros(1 << (2 * len(keys)).bit_length(), np.int8)
    fill_hash(keys, np.random.default_rng(2).integers(-5, 6, len(keys)).astype(np.int8), *table)
    return table


def check(reads):
    """The golden table on the demo's reads; then from their OQ tags; with long contexts; with a maximum cycle that is too short."""
    from numba import cuda

    from gpugenome.kernels import recalibrate_cpu, recalibrate_cuda

    header = demo_header()
    batch = recalibrator(header, emit_original_quals=True).apply(demo_records(reads), 1)
    n = len(batch)
    columns = batch.offset, batch.flag, batch.name_length, batch.n_cigar, batch.seq_length, batch.read_group
    results = []
    for size, use_oq, longest in (2, False, None), (2, True, None), (9, False, None), (2, False, int(batch.seq_length.max()) - 1):
        tool = recalibrator(header, use_original_qualities=use_oq)
        settings = tool._settings.copy()
        settings[2] = 20  # longer low-quality tails than the demo's table asks for
        settings[1] = longest or settings[1]
        delta = tool._tables[2]
        half = delta.shape[2] // 2
        settings[0], wide = size, tool._wide
        if size == 9:
            wide = long_contexts(batch, settings)
        tables = tool._tables[0], tool._tables[1], np.ascontiguousarray(delta[:, :, half - settings[1] : half + settings[1] + 1])
        for known in (True, False):
            row = tool._row if known else np.full_like(tool._row, -1)
            data = batch.data.copy()
            inputs = row, settings, *tables, tool._final, tool._missing, *wide
            bad = recalibrate_cpu.recalibrate(0, n, (data, *columns), *inputs)
            mine, fault = cuda.to_device(batch.data), cuda.to_device(np.array([1 << 62]))
            put = [cuda.to_device(a) for a in (*columns, *inputs)]
            recalibrate_cuda.recalibrate(0, n, (mine, *put[:6]), *put[6:], fault)
            fault = int(fault.copy_to_host()[0])
            assert fault == (bad if bad >= 0 else 1 << 62)
            if bad < 0:
                assert (data != batch.data).any() == (known or use_oq)
                np.testing.assert_array_equal(mine.copy_to_host(), data)
            results.append(bad >= 0)
    assert sorted(results) == [False] * 7 + [True]


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_recalibrate", "check(6)")


@pytest.mark.cuda
def test_device():
    check(20000)
