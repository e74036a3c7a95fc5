"""Seeding, suffix array lookup and chaining: the CUDA twin gives the CPU's tables (simulator: toy size)."""

import numpy as np
import pytest
from simulator import in_simulator


def made_index(bases, seed=5):
    """(SearchIndex, bool[contigs] ALT contigs) of a reference with scattered, tandem and turned repeats, in four contigs."""
    from gpugenome.steps.index import index_in_memory, pack_reference

    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)
    random = lambda n: rng.choice(letters, n)  # noqa: E731
    core, unit, piece = random(bases), random(7), random(60)
    turned = np.frombuffer(core[bases // 2 : bases // 2 + 300].tobytes().translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1], np.uint8)
    copies = [np.concatenate([piece, random(20)]) for _ in range(25)]
    parts = [core, np.concatenate([np.tile(unit, 40), random(50), *copies, turned]), core[: bases // 3].copy(), random(90)]
    parts[2][::97] = ord("A")
    packed = pack_reference([f"c{i}" for i in range(4)], [None] * 4, parts)
    return index_in_memory(packed), np.array([False, False, True, False])


def made_reads(index, reads, length, seed=6):
    """FastqBatch of reads of `length` and fewer bases, of every kind of place of the reference, with errors and N."""
    from gpugenome.batch import FastqBatch

    rng = np.random.default_rng(seed)
    shifts = np.uint64(62) - np.uint64(2) * np.arange(32, dtype=np.uint64)
    codes = ((index.words[:, None] >> shifts) & np.uint64(3)).astype(np.uint8).ravel()[: 2 * index.length]
    begin = rng.integers(0, len(codes) - length, reads)
    begin[::3] = index.offsets[1] + rng.integers(0, max(1, int(index.lengths[1]) - length), len(begin[::3]))  # where the repeats are
    text = np.frombuffer(b"ACGT", np.uint8)[codes[begin[:, None] + np.arange(length)]]
    wrong = rng.random(text.shape) < np.where(np.arange(reads) % 4, 0.01, 0.0)[:, None]
    text[wrong] = rng.choice(np.frombuffer(b"ACGTNacgt", np.uint8), int(wrong.sum()))
    size = np.full(reads, length)
    size[5::7] = rng.integers(1, length + 1, len(size[5::7]))
    data = np.concatenate([np.full(11, ord("#"), np.uint8), text.ravel()])  # bases do not begin where the text does
    start = 11 + length * np.arange(reads)
    zero = np.zeros(reads, np.int64)
    return FastqBatch(data, np.array([0, len(data)]), zero, zero, start, size, zero)


def check(genome, reads, length, options="", threads=1, **limits):
    """All tables are the same; how many reads the device did not take."""
    from gpugenome.backend import Backend
    from gpugenome.steps.aligner_options import AlignerOptions
    from gpugenome.steps.chained_reads import Chainer, Limits

    index, alt = made_index(genome)
    chosen = AlignerOptions.parse(options)
    arguments = index, alt, chosen.for_index(index.length, index.prefix), chosen.ratios
    batch = made_reads(index, reads, length)
    cpu = Chainer(*arguments, Backend("cpu", threads)).chains(batch)
    gpu = Chainer(*arguments, Backend("cuda", threads), Limits(**limits))
    with gpu._twin.alone():
        missing = int((gpu._on_gpu(gpu._twin, batch).chained[:, 0] < 0).sum())
    found = gpu.chains(batch)
    for name in ("chained", "kept", "kept_seeds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(cpu, name), name)
    assert (cpu.chained[:, :2].max(0) > [1, 3]).all() and missing < reads
    gpu.close()
    return missing


@pytest.mark.simulator
def test_simulated():
    # all reads on the device, in one go and in rounds; with other options; most reads too long or with too many intervals or seeds
    in_simulator(
        "test_cuda_chained_reads",
        "assert check(600, 20, 70) == 0",
        "assert check(600, 20, 70, '-k 11 -c 12 -r 1 -y 5 -s 30', slots=40) == 0",
        "assert check(600, 20, 70, bases=50) > 2",
        "assert check(600, 20, 70, intervals=2) > 2",
        "assert check(600, 20, 70, seeds=10) > 2",
    )


@pytest.mark.cuda
@pytest.mark.parametrize("options", ["", "-k 11 -c 12 -r 1 -y 5 -s 30"])
def test_device(options):
    check(200_000, 50_000, 150, options, 2)
    assert check(200_000, 20_000, 150, options, 2, intervals=8, seeds=40, slots=100_000) > 0
