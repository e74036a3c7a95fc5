"""Smith-Waterman's CUDA twin gives the CPU's CIGARs: at toy size in the simulator, at full size where there is a device."""

import numpy as np
import pytest
from simulator import in_simulator


def sequences(pairs, most_ref, most_alt):
    """(ref, ref_offset, pair_ref, alt, alt_offset): alternates that are references with changes, or unrelated, or a piece of them."""
    rng = np.random.default_rng(11)
    letters = np.frombuffer(b"ACGT", np.uint8)
    refs = [rng.choice(letters, rng.integers(most_ref // 2, most_ref + 1)) for _ in range(max(1, pairs // 3))]
    pair_ref = rng.integers(0, len(refs), pairs).astype(np.int32)
    alts = []
    for p in range(pairs):
        ref = refs[pair_ref[p]]
        alt = np.tile(ref, 1 + most_alt // len(ref))[: rng.integers(most_alt // 2, most_alt + 1)].copy()
        if p % 3:
            cut = len(alt) // 3
            alt = np.concatenate([alt[:cut], rng.choice(letters, p % 4), alt[cut + p % 5 :]])
            alt[rng.random(len(alt)) < 0.1] = ord("A")
        alts.append(alt[:most_alt])
    ends = lambda rows: np.concatenate([[0], np.cumsum([len(r) for r in rows])])  # noqa: E731
    return np.concatenate(refs), ends(refs), pair_ref, np.concatenate(alts), ends(alts)


def check(pairs, most_ref, most_alt, scores, strategy, warps):
    """Counts, CIGAR words and starts are the same."""
    from numba import cuda

    from gpugenome.kernels import smith_waterman_cpu, smith_waterman_cuda
    from gpugenome.kernels.smith_waterman_scalar import back_size

    columns = sequences(pairs, most_ref, most_alt)
    cigar_offset = np.concatenate([[0], np.cumsum(2 * np.diff(columns[4]) + 3)])
    host = np.zeros(cigar_offset[-1], np.uint32), np.zeros(pairs, np.int32), np.zeros(pairs, np.int32)
    device = [cuda.to_device(a) for a in host]
    smith_waterman_cpu.align_pairs(0, pairs, *columns, *scores, strategy, host[0], cigar_offset, *host[1:])
    back = cuda.device_array((warps, int(back_size(most_ref, most_alt))), np.uint8)
    edge = cuda.device_array((warps, 2 * most_ref + most_alt), np.int32)
    on_device = [cuda.to_device(a) for a in (*columns, cigar_offset)]
    smith_waterman_cuda.align_pairs(
        0, pairs, *on_device[:5], *scores, strategy, device[0], on_device[5], *device[1:], back, edge
    )
    for mine, expected in zip(device, host):
        np.testing.assert_array_equal(mine.copy_to_host(), expected)
    assert host[1].max() > 1


@pytest.mark.simulator
def test_simulated():
    # more pairs than warps; alternates of more than 32 bases cross a stripe
    in_simulator(
        "test_cuda_smith_waterman",
        "check(5, 14, 9, (25, -50, -110, -6), 0, 4)",
        "check(3, 9, 36, (200, -150, -260, -11), 1, 4)",
        "check(3, 9, 14, (10, -15, -30, -5), 2, 4)",
    )


@pytest.mark.cuda
@pytest.mark.parametrize("strategy", [0, 1, 2])
def test_device(strategy):
    for scores in (25, -50, -110, -6), (200, -150, -260, -11), (10, -15, -30, -5):
        check(300, 400, 350, scores, strategy, 256)
