"""PairHMM's CUDA twin gives the CPU's bits: at toy size in the simulator, at full size where there is a device."""

import numpy as np
import pytest
from simulator import in_simulator


def pairs(read_lengths, hap_lengths, related=False):
    """(columns of pair_hmm): every read against every haplotype, bases of ACGTN."""
    rng = np.random.default_rng(7)
    letters = np.frombuffer(b"ACGT", np.uint8)
    haps = [rng.choice(letters, n) for n in hap_lengths]
    reads = []
    for i, n in enumerate(read_lengths):
        read = haps[i % len(haps)][:n].copy() if related else rng.choice(letters, n)
        read[rng.random(len(read)) < 0.05] = ord("N")
        reads.append(read)
    base_offset = np.concatenate([[0], np.cumsum([len(r) for r in reads])])
    hap_offset = np.concatenate([[0], np.cumsum(hap_lengths)])
    n = int(base_offset[-1])
    base_qual, gap_qual = rng.integers(6, 42, n).astype(np.uint8), rng.integers(10, 46, n).astype(np.uint8)
    pair_read = np.repeat(np.arange(len(reads), dtype=np.int32), len(haps))
    pair_hap = np.tile(np.arange(len(haps), dtype=np.int32), len(reads))
    return np.concatenate(reads), base_qual, gap_qual, base_offset, np.concatenate(haps), hap_offset, pair_read, pair_hap


def check_step(read_lengths, hap_lengths, double=False, related=False):
    """The step's log10 likelihoods are the same from both backends, also for reads that are too long for the GPU's registers."""
    from gpugenome.backend import Backend
    from gpugenome.steps.haplotypecaller.likelihoods import pair_hmm

    columns = pairs(read_lengths, hap_lengths, related)
    cpu = pair_hmm(*columns, double, Backend("cpu", 1))
    assert (cpu > -np.inf).any() and len(np.unique(cpu)) > len(cpu) // 2
    np.testing.assert_array_equal(pair_hmm(*columns, double, Backend("cuda", 1)).view(np.int64), cpu.view(np.int64))


def check_unfused(read_lengths, hap_lengths):
    """Java's order of operations: totals have the same bits."""
    from gpugenome.backend import Backend
    from gpugenome.kernels import pairhmm_scalar

    base, base_qual, gap_qual, base_offset, hap_base, hap_offset, pair_read, pair_hap = pairs(read_lengths, hap_lengths)
    n = len(pair_read)
    tables = pairhmm_scalar.ERROR_F64, pairhmm_scalar.match_to_match_f64(False), np.float64(pairhmm_scalar.INITIAL_F64)
    totals = []
    for device in "cpu", "cuda":
        hmm = Backend(device, 1).kernels("pairhmm")
        out = hmm.empty(n, np.float64)
        group = hmm.module.GROUP_F64
        args = hmm.put(
            np.arange(n), pair_read, pair_hap, base, base_qual, gap_qual, gap_qual, base_offset, hap_base, hap_offset, *tables[:2]
        )
        hmm.run("pair_totals", -(-n // group), *args, tables[2], np.zeros(group, np.int64), True, out)
        totals += hmm.take(out)
    assert (totals[0] > 0).all()
    np.testing.assert_array_equal(totals[1].view(np.int64), totals[0].view(np.int64))


@pytest.mark.simulator
def test_simulated():
    # 9 and 40 bases: one and two rows a lane; 300: two words of base bits; 321: left to the CPU
    in_simulator(
        "test_cuda_pairhmm",
        "check_step([9, 40], [9, 14], related=True)",
        "check_step([300, 321], [3], double=True)",
        "check_unfused([35], [4])",
    )


@pytest.mark.cuda
@pytest.mark.parametrize("double", [False, True])
def test_device(double):
    check_step([*range(1, 330, 3), 150, 151, 250], [40, 75, 300, 301, 512, 640], double, related=True)
    check_unfused([100, 151, 250], [300, 400])
