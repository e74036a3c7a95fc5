"""Reads of sites, likelihoods by allele and genotype likelihoods: the CUDA twin gives the CPU's bits, simulated and on a device."""

import numpy as np
import pytest
from simulator import in_simulator, on_device, run_both


def offsets(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def made_sites(sites, reads, most_alleles, with_non_ref):
    """(window, further arguments of fill_rows up to with_non_ref): regions of ten sites; without <NON_REF> some alleles lack haplotypes."""
    rng = np.random.default_rng(sites)
    regions = -(-sites // 10)
    region = (np.arange(sites) // 10).astype(np.int32)
    site_start = (1000 * region + rng.integers(100, 400, sites)).astype(np.int32)
    read_offset = offsets(rng.integers(reads // 2, reads + 1, regions))
    n_reads = int(read_offset[-1])
    read_start = (1000 * np.repeat(np.arange(regions), np.diff(read_offset)) + rng.integers(0, 400, n_reads)).astype(np.int32)
    read_end = read_start + rng.integers(20, 160, n_reads).astype(np.int32)
    filtered = (rng.random(n_reads) < 0.1).astype(np.uint8)
    haps = rng.integers(most_alleles, 20, regions)
    hap_offset, matrix_offset = offsets(haps), offsets(np.diff(read_offset) * haps)
    matrix = rng.choice([0.0, -0.125, -3.0], int(matrix_offset[-1])) - rng.exponential(4.0, int(matrix_offset[-1])).round()
    allele_offset = offsets(rng.integers(2, most_alleles + 1, sites))
    hap_allele_offset = offsets(haps[region])
    concrete = np.repeat(np.diff(allele_offset) - with_non_ref, haps[region])
    place = np.arange(len(concrete)) - np.repeat(hap_allele_offset[:-1], haps[region])
    hap_allele = (np.where(place < most_alleles, place, rng.integers(0, 1000, len(concrete))) % concrete).astype(np.int16)
    if with_non_ref:
        hap_allele[(place >= most_alleles) & (rng.random(len(place)) < 0.1)] = -1
    else:
        hap_allele[(place > 0) & (rng.random(len(place)) < 0.5)] = -1
    window = (region, site_start, rng.integers(1, 5, sites).astype(np.int32), 2, 1000 * regions, read_offset, read_start, read_end)
    return window, (filtered, hap_offset, matrix, matrix_offset, allele_offset, hap_allele, hap_allele_offset)


def check(sites, reads, most_alleles, ploidy, samples, with_non_ref):
    from gpugenome.gatk.genotype_likelihoods import genotype_count, genotype_table, log10_sum_table
    from gpugenome.kernels import genotype_evidence_cpu, genotype_evidence_cuda

    window, columns = made_sites(sites, reads, most_alleles, with_non_ref)
    filtered, allele_offset = columns[0], columns[4]
    (count,) = run_both("genotype_evidence", "count_rows", sites, window, np.empty(sites, np.int64))
    offset, block_offset = offsets(count), offsets(count * np.diff(allele_offset))
    inputs = *window, *columns, with_non_ref, offset
    device = on_device((np.empty(offset[-1], np.int32), np.empty(block_offset[-1])))
    read, evidence = np.empty(offset[-1], np.int32), np.empty(block_offset[-1])
    genotype_evidence_cuda.fill_rows(0, sites, *on_device(inputs), *device, on_device(block_offset))
    genotype_evidence_cpu.fill_rows(0, sites, *inputs, read, evidence, block_offset)
    assert device[0].copy_to_host().tobytes() == read.tobytes() and device[1].copy_to_host().tobytes() == evidence.tobytes()
    assert len(read) > sites and np.isinf(evidence).any() != with_non_ref and len(np.unique(evidence)) > 10

    filtered_cells = np.repeat(filtered[read] == 1, np.repeat(np.diff(allele_offset), count))
    evidence[filtered_cells] = -np.arange(filtered_cells.sum(), dtype=float)
    table = genotype_table(ploidy, most_alleles)
    pl_offset = offsets(np.repeat(genotype_count(ploidy, np.diff(allele_offset)), samples))
    read_sample = np.random.default_rng(1).integers(0, samples, len(filtered)).astype(np.int32)
    inputs = (allele_offset, offset, read, evidence, block_offset, filtered, read_sample, samples, table.distinct, table.count,
              table.n_distinct, table.log10_of, log10_sum_table())  # fmt: skip
    pl = np.full(pl_offset[-1], 7, np.int32)
    mine, scratch = on_device((pl, np.empty(pl_offset[-1])))
    genotype_evidence_cuda.genotype_likelihoods(0, sites, *on_device(inputs), mine, on_device(pl_offset), scratch)
    genotype_evidence_cpu.genotype_likelihoods(0, sites, *inputs, pl, pl_offset)
    left = np.repeat((ploidy > 2) & (np.diff(allele_offset) > 2), samples * genotype_count(ploidy, np.diff(allele_offset)))
    np.testing.assert_array_equal(mine.copy_to_host(), np.where(left, -1, pl))
    assert not left.all() and left.any() == (ploidy > 2) and len(np.unique(pl[~left])) > 6


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_genotype_evidence", "check(5, 45, 5, 2, 2, 1)", "check(8, 30, 3, 3, 1, 0)")


@pytest.mark.cuda
@pytest.mark.parametrize(("ploidy", "samples", "with_non_ref"), [(1, 1, 0), (2, 1, 1), (2, 3, 0), (4, 2, 0)])
def test_device(ploidy, samples, with_non_ref):
    check(3000, 120, 7, ploidy, samples, with_non_ref)
