"""The allele frequency model and genotypes over sites x samples: the CUDA twins give the CPU's bits, simulated and on a device."""

import numpy as np
import pytest
from simulator import in_simulator, run_both

PRIORS = 10.0, 0.01, 0.00125


def offsets(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def made_likelihoods(rng, size):
    """PLs of rows of `size` genotypes each: int32 one after the other. Mostly REF's genotype is best, some rows say nothing."""
    rows, offset = len(size), offsets(size)
    pl = rng.integers(1, 900, int(offset[-1])).astype(np.int32)
    pl //= np.repeat(rng.choice([1, 10, 1000], rows, p=[0.6, 0.3, 0.1]), size)
    best = np.where(rng.random(rows) < 0.6, 0, rng.integers(0, np.maximum(size, 1)))
    pl[(offset[:-1] + best)[size > 0]] = 0
    return pl, offset


def made_records(sites, samples, ploidies, most_alleles, most_alt):
    """Merged records: the inputs of site_models."""
    from gpugenome.gatk.genotype_likelihoods import stacked_tables
    from gpugenome.kernels.joint_merge_scalar import SPANNING

    rng = np.random.default_rng(sites)
    n, rows = rng.integers(2, most_alleles + 1, sites), sites * samples
    table, of_row = stacked_tables(ploidies, most_alleles), np.repeat(n, samples)
    allele_offset = offsets(n)
    ploidy = np.where(rng.random(rows) < 0.1, 0, rng.choice(ploidies, rows)).astype(np.int32)
    size = np.where((ploidy > 0) & (rng.random(rows) < 0.85), table.choose[of_row, ploidy], 0)
    pl, pl_offset = made_likelihoods(rng, size)
    gq, dp = rng.choice([-1, 0, 3, 20, 99], rows).astype(np.int32), rng.choice([-1, 0, 8, 30], rows).astype(np.int32)
    kind = np.where(ploidy > 0, rng.integers(0, 3, rows), 2)
    code = np.where(rng.random(len(np.repeat(n, n))) < 0.1, SPANNING, 0)
    code[allele_offset[:-1]] = 0
    return (samples, allele_offset, rng.integers(1, 4, len(code)).astype(np.int32), code, ploidy, gq, dp, kind == 0, kind == 1, pl,
            pl_offset, rng.permutation(samples), most_alt, *PRIORS, table.row, table.allele, table.distinct, table.count, table.n_distinct,
            table.combinations, table.log10_of, table.choose, rng.random(sites) < 0.05)  # fmt: skip


def model_outputs(sites, alleles):
    return np.full(sites, 7.0), np.full(alleles, 7.0), np.full(alleles, 7, np.int32), np.full(alleles, 7, np.uint8)


def made_assignment(records):
    """(calls, inputs, outputs) of assign over records of `made_records`: their alleles without some ALTs, other sites left out."""
    samples, allele_offset, _, _, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset, *_ = records
    table_row, table_allele, choose = records[16], records[17], records[23]
    n, rng = np.diff(allele_offset), np.random.default_rng(len(pl))
    site = np.flatnonzero(rng.random(len(n)) < 0.8)
    allele = [[0, *(1 + np.flatnonzero(rng.random(n[i] - 1) < 0.7))] for i in site]
    kept_offset, kept = offsets([len(a) for a in allele]), np.concatenate(allele).astype(np.int64)
    at = (site[:, None] * samples + np.arange(samples)).ravel()
    n_kept, p = np.repeat(np.diff(kept_offset), samples), len(table_row) - 1
    gt = np.where(np.arange(p) < ploidy[:, None], rng.integers(-1, 2, (len(ploidy), p)), -2).astype(np.int16)
    out_pl_offset = offsets(np.where((np.diff(pl_offset)[at] > 0) & (n_kept > 1), choose[n_kept, ploidy[at]], 0))
    has_ad = rng.random(len(ploidy)) < 0.8
    ad_offset = offsets(np.where(has_ad, np.repeat(n, samples), 0))
    out_ad_offset = offsets(np.where(has_ad[at], n_kept, 0))
    inputs = (samples, site, kept_offset, kept, gt, ploidy, gq, dp, hom_ref, no_call, pl, pl_offset,
              rng.integers(0, 50, ad_offset[-1]).astype(np.int32), ad_offset, table_row, table_allele, choose)  # fmt: skip
    outputs = (np.full((len(at), p), 7, np.int16), np.full(len(at), 7, np.int32), np.full(out_pl_offset[-1], 7, np.int32), out_pl_offset,
               np.zeros(out_ad_offset[-1], np.int32), out_ad_offset, np.full(len(at), 7, np.uint8))  # fmt: skip
    return len(site), inputs, outputs


def check(sites, samples, ploidies, most_alleles, most_alt):
    records = made_records(sites, samples, ploidies, most_alleles, most_alt)
    n = np.diff(records[1])
    no_variant, absent, mle_count, used = run_both("joint_genotypes", "site_models", sites, records, *model_outputs(sites, n.sum()))
    assert (no_variant < -1).any() and len(np.unique(absent)) > sites / 3 and len(np.unique(mle_count)) > 2
    assert (used == 0).any() and used.max() == 1 and most_alt + 1 >= np.add.reduceat(used, records[1][:-1]).max()
    calls, inputs, outputs = made_assignment(records)
    gt, gq, pl, *_, cleared = run_both("joint_genotypes", "assign", calls, inputs, *outputs)
    assert set(np.unique(cleared)) == {0, 1} and {-2, -1, 0, 1} <= set(np.unique(gt)) and len(np.unique(pl)) > 20 and len(np.unique(gq)) > 5


def made_sites(sites, samples, ploidy, most_alleles, with_non_ref, most_alt):
    """The inputs of allele_frequency: sites without deletions of others before them but some with "*"."""
    from gpugenome.gatk.genotype_likelihoods import genotype_count, genotype_table

    rng = np.random.default_rng(sites)
    n = rng.integers(2 + with_non_ref, most_alleles + 1, sites)
    table = genotype_table(ploidy, most_alleles)
    pl, pl_offset = made_likelihoods(rng, np.repeat(genotype_count(ploidy, n), samples))
    spanning = np.where((n > 2 + with_non_ref) & (rng.random(sites) < 0.3), 1, -1).astype(np.int32)
    return (offsets(n), rng.integers(1, 4, n.sum()).astype(np.int32), spanning, with_non_ref, pl, pl_offset, samples, most_alt, *PRIORS,
            table.allele, table.distinct, table.count, table.n_distinct, table.combinations, table.choose, table.log10_of)  # fmt: skip


def check_sites(sites, samples, ploidy, most_alleles, with_non_ref, most_alt):
    inputs = made_sites(sites, samples, ploidy, most_alleles, with_non_ref, most_alt)
    no_variant, absent, _, used = run_both("allele_frequency", "allele_frequency", sites, inputs, *model_outputs(sites, inputs[0][-1]))
    assert (no_variant < -1).any() and (absent < 0).sum() > sites / 2 and (used == 0).any() == (np.diff(inputs[0]).max() > most_alt + 2)


def check_step(sites, samples):
    """The step's models are the same from both backends."""
    from types import SimpleNamespace

    from gpugenome.backend import Backend
    from gpugenome.gatk.genotype_likelihoods import stacked_tables
    from gpugenome.steps import joint_calls

    made = made_records(sites, samples, (1, 2), 4, 6)
    shape = sites, samples
    records = SimpleNamespace(allele_offset=made[1], code=made[3], ploidy=made[4].reshape(shape), gq=made[5].reshape(shape),
                              dp=made[6].reshape(shape), pl=made[9], pl_offset=made[10])  # fmt: skip

    joint_calls.GPU_GENOTYPES, joint_calls.GPU_SITES = sites * samples, sites
    cpu, gpu = (joint_calls._models(records, made[2], joint_calls.GenotypeOptions(), made[7], made[8], made[-1], made[11],
                                    stacked_tables((1, 2), 4), Backend(device, 1)) for device in ("cpu", "cuda"))  # fmt: skip
    assert [a.tobytes() for a in cpu] == [a.tobytes() for a in gpu] and (cpu[0] < 0).any()


@pytest.mark.simulator
def test_simulated():
    in_simulator(
        "test_cuda_joint_genotypes",
        "from gpugenome.kernels import allele_frequency_cuda",
        "check(30, 7, (1, 2, 4), 5, 2)",
        "allele_frequency_cuda.CELLS = 40",  # the sites in many parts
        "check_sites(10, 2, 2, 6, 1, 2)", "check_sites(10, 1, 3, 4, 0, 6)", "check(20, 5, (2,), 5, 2)",
        "check_step(6, 4)",
    )  # fmt: skip


@pytest.mark.cuda
@pytest.mark.parametrize(("samples", "ploidies", "most_alt"), [(3, (2,), 6), (100, (2,), 6), (40, (1, 2, 4), 3)])
def test_device(samples, ploidies, most_alt):
    check(1000, samples, ploidies, 7, most_alt)
    check_step(1000, samples)


@pytest.mark.cuda
@pytest.mark.parametrize(("samples", "ploidy", "with_non_ref"), [(1, 2, 1), (2, 2, 0), (3, 4, 1)])
def test_device_sites(samples, ploidy, with_non_ref):
    check_sites(5000, samples, ploidy, 7, with_non_ref, 4)
