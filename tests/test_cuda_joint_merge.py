"""Likelihoods, depths and genotypes of merged records: the CUDA twins give the CPU's results, simulated and on a device."""

from importlib import import_module

import numpy as np
import pytest
from simulator import in_simulator, on_device, run_both
from test_cuda_joint_genotypes import made_likelihoods, offsets


def made_rows(records, samples, ploidies):
    """(SourceRows columns, Entries columns): one row a sample and record; a fifth starts before the record, some have '*' of their own."""
    rng = np.random.default_rng(records)
    texts, allele_offset, pos, row_start = [], [0], [], []
    for i in range(records):
        ref, common = rng.choice(list(b"ACGT"), 5).astype(np.uint8).tobytes(), int(rng.integers(1, 4))
        pool = [ref[:1] + b"GATTACA"[: int(rng.integers(0, 5))], b"*", ref[:common] + b"T", b"CT"[: int(rng.integers(1, 3))]]
        for _ in range(samples):
            spans = rng.random() < 0.2
            length = int(rng.integers(2, 4)) if spans or rng.random() < 1 / samples else common
            alts = [a for a in dict.fromkeys(pool) if a != ref[:length] and rng.random() < 0.35]
            texts += [ref[:length], *alts, b"<NON_REF>"]
            allele_offset.append(len(texts))
            row_start.append(10 * i - spans)
            pos.append(10 * i)
    length = np.array([len(t) for t in texts], np.int32)
    n = records * samples
    ploidy = rng.choice(ploidies, n).astype(np.int32)
    alleles = np.diff(allele_offset)
    gt = rng.integers(-1, np.repeat(alleles[:, None], max(ploidies), 1))
    gt[rng.random(n) < 0.4] = 0
    rows = {
        "start": np.array(row_start, np.int32), "data": np.frombuffer(b"".join(texts), np.uint8).copy(),
        "allele_offset": np.array(allele_offset),
        "allele_start": offsets(length)[:-1], "allele_length": length, "ploidy": ploidy,
        "allele": np.where(np.arange(max(ploidies)) < ploidy[:, None], gt, -2).astype(np.int16),
        "gq": rng.choice([-1, 0, 30], n).astype(np.int32), "dp": rng.choice([-1, 0, 9], n).astype(np.int32),
    }  # fmt: skip
    return rows, np.array(pos[::samples], np.int32)


def made_merge(records, samples, ploidies, times=1):
    """(n, inputs and outputs of remap_values, inputs and outputs of merged_calls): `records` records, `times` times."""
    from gpugenome.gatk.genotype_likelihoods import choose_table
    from gpugenome.kernels import joint_merge_cpu

    rows, pos = made_rows(records, samples, ploidies)
    texts = rows["start"], rows["data"], rows["allele_offset"], rows["allele_start"], rows["allele_length"]
    entry_offset, row = samples * np.arange(records + 1), np.arange(records * samples)
    count, size, problem = np.empty(records, np.int64), np.empty(records, np.int64), np.empty(records, np.uint8)
    where = entry_offset, row, pos, *texts, joint_merge_cpu.COMBINE
    joint_merge_cpu.count_alleles(0, records, *where, count, size, problem)
    assert not (problem == joint_merge_cpu.NO_NON_REF).any()
    out_offset, map_offset = offsets(count), offsets(np.repeat(count, samples))
    code, source, many = np.empty(out_offset[-1], np.int64), np.empty(map_offset[-1], np.int16), np.empty(len(row), np.uint8)
    joint_merge_cpu.fill_alleles(0, records, *where, np.zeros(records, np.uint8), out_offset, offsets(size), np.empty(size.sum(), np.uint8),
                                 np.empty(len(code) + 1, np.int64), code, map_offset, source, many)  # fmt: skip

    def again(a):  # an offset column, repeated
        return np.concatenate([a[:1], (a[1:] + a[-1] * np.arange(times)[:, None]).ravel()])

    rng, n = np.random.default_rng(1), records * times
    row = np.arange(n * samples)
    allele_offset = again(rows["allele_offset"])
    ploidy, alleles = np.tile(rows["ploidy"], times), np.diff(allele_offset)
    choose = choose_table(int(max(count.max(), alleles.max())), max(ploidies))
    pl, pl_offset = made_likelihoods(rng, np.where(rng.random(len(row)) < 0.9, choose[alleles, ploidy], 0))
    ad_offset = offsets(np.where(rng.random(len(row)) < 0.8, alleles, 0))
    ad = rng.integers(0, 60, ad_offset[-1]).astype(np.int32)
    genotype = np.where(rng.random(len(row)) < 0.9, row, -1)
    texts = (np.tile(rows["start"], times), rows["data"], allele_offset, np.tile(rows["allele_start"], times),
             np.tile(rows["allele_length"], times))  # fmt: skip
    merged = again(out_offset), np.tile(code, times), again(map_offset), np.tile(source, times)
    there, n_out = (genotype >= 0) & (np.diff(pl_offset) > 0), np.repeat(np.tile(count, times), samples)
    out_pl_offset = offsets(np.where(there, choose[n_out, ploidy], 0))
    out_ad_offset = offsets(np.where((genotype >= 0) & (np.diff(ad_offset) > 0), n_out, 0))
    pos = np.tile(pos, times)
    values = (samples, pos, row, row, *texts, *merged, np.tile(many, times), ploidy, genotype, pl, pl_offset, ad, ad_offset, choose)
    calls = (samples, pos, row, row, genotype, *texts, *merged, np.tile(rows["allele"], (times, 1)), np.tile(rows["gq"], times),
             np.tile(rows["dp"], times), pl, pl_offset)  # fmt: skip
    return (
        n, values, (np.full(out_pl_offset[-1], 7, np.int32), out_pl_offset, np.full(out_ad_offset[-1], 7, np.int32), out_ad_offset),
        calls, (np.full((len(row), max(ploidies)), 7, np.int16), np.full(len(row), 7, np.uint8)),
    )  # fmt: skip


def check(records, samples, ploidies):
    n, values, outputs, calls, called = made_merge(records, samples, ploidies)
    run_both("joint_merge", "remap_values", n, values, *outputs)
    assert values[13].max() == 1 and (outputs[0] > 10).any() and (outputs[2] > 10).any()
    gt, cleared = run_both("joint_merge", "merged_calls", n, calls, *called)
    assert set(np.unique(cleared)) == {0, 1} and {-2, -1, 0, 1, 2} <= set(np.unique(gt))
    row = np.flatnonzero(np.diff(outputs[1]) > 0)[3 * samples]
    ploidy, allele, gq = values[14].copy(), calls[14].copy(), calls[15].copy()
    ploidy[row] = 2 if ploidy[row] == 1 else 1  # PLs of another number than the alleles ask for
    allele[row] = np.where(allele[row] == -2, -2, 99)  # an allele that the row does not have
    gq[row] = 30
    for name, inputs, made in (
        ("remap_values", (*values[:14], ploidy, *values[15:]), outputs),
        ("merged_calls", (*calls[:14], allele, gq, *calls[16:]), called),
    ):
        bad = [getattr(import_module(f"gpugenome.kernels.joint_merge_{where}"), name)(0, n, *args, *out)
               for where, args, out in (("cpu", inputs, made), ("cuda", on_device(inputs), on_device(made)))]  # fmt: skip
        assert bad == [row // samples] * 2


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_joint_merge", "check(12, 5, (1, 2, 3))")


@pytest.mark.cuda
@pytest.mark.parametrize(("samples", "ploidies"), [(2, (2,)), (60, (2,)), (20, (1, 2, 4))])
def test_device(samples, ploidies):
    check(200, samples, ploidies)
