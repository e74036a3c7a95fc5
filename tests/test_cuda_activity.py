"""The activity model's CUDA twin gives the CPU's sums, in the simulator and where there is a device."""

import numpy as np
import pytest
from simulator import in_simulator, on_device


def reads(n, length, span):
    """Columns of CallerReads: pairs' reads with clips, insertions and deletions, in order of their starts."""
    rng = np.random.default_rng(5)
    shapes = [[("M", 1.0)], [("S", 0.2), ("M", 0.8)], [("M", 0.4), ("D", 3), ("M", 0.6)], [("M", 0.5), ("I", 0.1), ("M", 0.3), ("S", 0.1)]]
    start = np.sort(rng.integers(0, span, n)).astype(np.int32)
    cigars, ends, sizes = [], [], []
    for i in range(n):
        words = [(max(1, int(x * length)) if op != "D" else x, "MIDNSHP=X".index(op)) for op, x in shapes[rng.integers(len(shapes))]]
        cigars.append([length_ << 4 | op for length_, op in words])
        ends.append(start[i] + sum(k for k, op in words if op in (0, 2)))
        sizes.append(sum(k for k, op in words if op in (0, 1, 4)))
    offset = lambda rows: np.concatenate([[0], np.cumsum(rows)])  # noqa: E731
    total = sum(sizes)
    flag = rng.choice(np.array([99, 147, 83, 163, 0], np.uint16), n)
    mate = (start + rng.integers(-20, 20, n)).astype(np.int32)
    letters = np.frombuffer(b"ACGT", np.uint8)
    base, qual = rng.choice(letters, total), rng.integers(2, 42, total).astype(np.uint8)
    columns = (start, np.array(ends, np.int32), flag, np.zeros(n, np.int32), mate, rng.integers(-120, 120, n).astype(np.int32), base, qual,
               offset(sizes), np.concatenate(cigars).astype(np.uint32), offset([len(c) for c in cigars]))  # fmt: skip
    reference = rng.choice(letters, span + 2 * length)
    return columns, rng.integers(0, 2, n).astype(np.int32), reference


def check(n, length, span):
    from gpugenome.gatk.activity_priors import element_likelihoods
    from gpugenome.kernels import activity_cpu, activity_cuda

    columns, sample, reference = reads(n, length, span)
    for ranks in (np.array([1, 0], np.int32), np.array([0], np.int32)):
        shape = len(ranks), span
        outputs = (np.zeros((*shape, 3)), np.zeros(shape, np.int32), np.zeros(shape, np.uint8), np.zeros(span), np.zeros(span, np.int32))
        inputs = (columns, sample, ranks, 0, n, reference, element_likelihoods(2), 10, 30)
        device = on_device(outputs)
        activity_cuda.likelihood_sums(0, span, 0, *on_device(inputs), *device, on_device(np.maximum.accumulate(columns[1])))
        activity_cpu.likelihood_sums(0, span, 0, *inputs, *outputs)
        for mine, expected in zip(device, outputs):
            assert mine.copy_to_host().tobytes() == expected.tobytes()
        assert outputs[1].max() > 1 and outputs[4].max() > 0 and (outputs[0] != 0).any()


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_activity", "check(30, 20, 60)")


@pytest.mark.cuda
def test_device():
    check(20000, 150, 100000)
