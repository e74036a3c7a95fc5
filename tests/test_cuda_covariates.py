"""Covariate counts: the CUDA twin gives the CPU's tables, in the simulator and where there is a device."""

import numpy as np
import pytest
from conftest import ROOT
from simulator import demo_records, in_simulator, on_device


def known_sites(header):
    """The demo's known sites by contig, and a long one that begins before its neighbours."""
    from gpugenome.io.known_sites import read_sites

    sites = read_sites([str(ROOT / "data" / "known_sites.vcf.gz")], header.contig_names, header.contig_lengths, 1)
    return [np.vstack([s[:1] - [[5, 0]], s[:1] + [[0, 40]], s]) if len(s) else s for s in sites]


def check(reads, warps, rows=None):
    """The demo's reads; then from their OQ tags with high qualities as the tails' bound; then with long contexts, which are listed; then
    with a maximum cycle that is too short.

    rows: of the reads, those to be counted.
    """
    from test_cuda_recalibrate import demo_header, recalibrator

    from gpugenome.io.fasta import Reference
    from gpugenome.kernels import covariates_cpu, covariates_cuda
    from gpugenome.steps.bqsr import _COLUMNS, TableOptions, _well_formed, first_span_by_bin, group_names

    header = demo_header()
    genome = Reference(ROOT / "data" / "reference.fa.gz")
    sites = known_sites(header)
    batch = recalibrator(header, emit_original_quals=True).apply(demo_records(reads), 1)
    chosen = np.flatnonzero(_well_formed(batch, header.contig_lengths, 1) & (batch.ref_id >= 0))
    chosen = chosen if rows is None else chosen[rows]
    ref_id = np.int32(batch.ref_id[chosen[0]])
    bins = first_span_by_bin(sites[ref_id], int(header.contig_lengths[ref_id]))
    group = np.arange(len(group_names(header)), dtype=np.int32)
    columns = tuple(getattr(batch, name) for name in _COLUMNS)
    longest = int(batch.seq_length.max())
    bad = []
    cases = (2, longest, 2, 0), (3, longest, 30, 1), (2, longest, 60, 0), (9, longest, 30, 0), (2, longest // 2, 2, 0)
    for size, most, tail, use_oq in cases:
        settings = np.array([size, most, tail, TableOptions().preserve_qscores_less_than, use_oq])
        listed = size > covariates_cpu.DENSE_CONTEXT
        counts = np.zeros(len(group) * 94 * ((not listed) * (4**size + 1) + 2 * most + 1), np.int64)
        keys = np.zeros(1 + listed * longest * len(chosen), np.int64)
        inputs = columns, chosen, group, genome.bases_upper_acgtn(int(ref_id)), ref_id, sites[ref_id], bins, settings
        device = on_device((counts, keys, np.zeros((warps, 4, int(batch.n_cigar.max()) + 4), np.int64), np.array([1 << 62])))
        covariates_cuda.count_bases(0, len(chosen), *on_device(inputs), *device)
        bad.append(int(covariates_cpu.count_bases(0, len(chosen), *inputs, counts, keys)))
        assert int(device[3].copy_to_host()[0]) == (bad[-1] if bad[-1] >= 0 else 1 << 62)
        if bad[-1] < 0:
            assert (counts & 0xFFFFFFFF).sum() > 60 * len(chosen) and (counts >> 32).any()
            np.testing.assert_array_equal(device[0].copy_to_host(), counts)
            mine = device[1].copy_to_host()
            assert mine[0] == keys[0] > 60 * len(chosen) * listed - 1
            np.testing.assert_array_equal(np.sort(mine[1 : 1 + keys[0]]), np.sort(keys[1 : 1 + keys[0]]))
    assert [b >= 0 for b in bad] == [False, False, False, False, True]


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_covariates", "check(140, 4, [6, 8, 61, 116, 137])")


@pytest.mark.cuda
def test_device():
    check(20000, 1024)
