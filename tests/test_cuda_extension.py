"""The aligner's extensions and local alignments on a GPU: the CPU's results, at toy size in the simulator, at full size on a device."""

import numpy as np
import pytest
from simulator import in_simulator

from gpugenome.kernels.aligner_fields import MIN_SEED

OPTIONS = ((1, 4, 6, 1, 6, 1), (1, 3, 5, 2, 4, 1), (2, 5, 0, 3, 7, 2))
"""Match, mismatch, opening and extending a deletion and an insertion."""


def options(scores, zdrop):
    from gpugenome.kernels import aligner_fields as field

    opt = np.zeros(field.OPTIONS, np.int64)
    opt[: len(scores)] = scores
    opt[field.ZDROP] = zdrop
    return opt


def packed(codes):
    """Codes as the words of a packed text."""
    codes = np.concatenate([codes, np.zeros(-len(codes) % 32 + 64, np.uint8)]).astype(np.uint64)
    return (codes.reshape(-1, 32) << np.arange(62, -1, -2).astype(np.uint64)).sum(axis=1, dtype=np.uint64)


def mutated(rng, codes, errors):
    """Codes with substitutions, N, gaps and repeats, as many as before."""
    out = codes.copy()
    wrong = rng.random(len(out)) < errors
    out[wrong] = rng.integers(0, 4, wrong.sum())
    out[rng.random(len(out)) < errors / 10] = 4
    for _ in range(rng.integers(0, 4)):
        at, n = rng.integers(0, len(out) + 1), rng.integers(1, 6)
        out = np.concatenate([out[:at], rng.integers(0, 4, n).astype(np.uint8) if rng.random() < 0.5 else out[at - n : at], out[at:]])
        at = rng.integers(0, max(len(out) - n, 1))
        out = np.concatenate([out[:at], out[at + n :]])
    return np.concatenate([out, rng.integers(0, 4, len(codes)).astype(np.uint8)])[: len(codes)]


def made_text(rng, size):
    """A text with a tandem repeat."""
    text = rng.integers(0, 4, size).astype(np.uint8)
    text[size // 3 : size // 3 + 60] = np.tile(text[:6], 10)
    return text


def extensions(n, most, rows, opt, seed=1):
    """(order by size, tasks, query, words) of extensions to both sides."""
    from gpugenome.kernels.extension_cpu import band_limit
    from gpugenome.kernels.extension_scalar import TASK_COLUMNS

    rng = np.random.default_rng(seed)
    text = made_text(rng, 4 * rows + 400)
    tasks, queries, at = np.zeros((n, TASK_COLUMNS), np.int64), [], 0
    for k in range(n):
        size, step = int(rng.integers(1, most + 1)), 1 if k % 2 else -1
        first = int(rng.integers(2 * rows, len(text) - 2 * rows))
        part = text[first : first + 2 * size] if step == 1 else text[first - 2 * size + 1 : first + 1][::-1]
        query = mutated(rng, part, rng.choice([0.0, 0.03, 0.1, 0.4]))[:size]
        bonus = int(rng.choice([0, 5]))
        band = band_limit(size, opt, int(rng.choice([2, 20, 100])), bonus)
        tasks[k] = at, size, first, step, rng.integers(size // 2 + 1, rows + 1), rng.integers(1, 100), band, bonus
        queries.append(query)
        at += size
    return np.argsort(-tasks[:, 1], kind="stable"), tasks, np.concatenate(queries), packed(text)


def local(n, least, most, rows, seed=2):
    """(order by size, tasks, query, words) of local alignments: of a part of the window, of two, or of none."""
    from gpugenome.kernels.extension_scalar import TASK_COLUMNS

    rng = np.random.default_rng(seed)
    text = made_text(rng, 8 * rows + 200)
    tasks, queries, at = np.zeros((n, TASK_COLUMNS), np.int64), [], 0
    for k in range(n):
        size, first = int(rng.integers(least, most + 1)), int(rng.integers(0, len(text) - 2 * rows))
        shift = int(rng.integers(0, rows))
        query = mutated(rng, text[first + shift : first + shift + size], rng.choice([0.0, 0.03, 0.1]))
        half = size // 2
        if k % 3 == 0:  # one end of the query at either end of the window
            query = np.concatenate([text[first : first + half], text[first + rows - size + half : first + rows]])
        if k % 3 == 1:  # more bases in the middle: an insertion over several segments
            part = text[first + rows // 4 : first + rows // 4 + size]
            query = np.concatenate([part[:half], rng.integers(0, 4, size // 5).astype(np.uint8), part[half:]])[:size]
        if k % 7 == 6:
            query = rng.integers(0, 4, size).astype(np.uint8)
        tasks[k, :5] = at, size, first, 1, rows if k % 3 < 2 else rng.integers(rows // 2, rows + 1)
        queries.append(query)
        at += size
    return np.argsort(-tasks[:, 1], kind="stable"), tasks, np.concatenate(queries), packed(text)


def compare(name, inputs):
    """Results of both twins, which must be equal."""
    from simulator import run_both

    n = len(inputs[0])
    (results,) = run_both("extension", name, n, inputs, np.full((n, 6), -7, np.int32))
    return results


def check_extensions(n, most, rows, longest=None):
    """Equal results, which have scores, ends of queries and z-drops in them."""
    for k, scores in enumerate(OPTIONS):
        opt = options(scores, (100, 8, 0)[k])
        inputs = extensions(n, most, rows, opt, k)
        results = compare("extend_tasks", (*inputs, longest or most, opt))
        assert (results[:, 0] > inputs[1][:, 5]).any() and (results[:, 4] > 0).any()


def check_local(n, least, most, rows, narrow, which=0):
    """Equal results, some with a beginning, some with a second best score. which: of OPTIONS."""
    opt = options(OPTIONS[which], 100)
    floor = 10 * opt[0]
    results = compare("local_tasks", (*local(n, least, most, rows, which), most, rows, narrow, floor, opt))
    assert (results[:, 2] >= 0).any() and (results[:, 1] >= floor).any()


def check_steps():
    """The step's batches, put on the device, sorted, split and taken back, give what its CPU twin gives; some tasks are for the CPU."""
    from gpugenome.backend import Backend
    from gpugenome.kernels.extension_scalar import MOST_SCORE, T_ROWS, T_SIZE, T_START
    from gpugenome.steps.alignment_tasks import AlignmentTasks

    opt = options(OPTIONS[0], 100)
    opt[MIN_SEED] = 10
    _, tasks, query, words = extensions(8, 90, 60, opt)
    tasks[3, T_START] = MOST_SCORE
    _, local_tasks, local_query, local_words = local(4, 20, 28, 44)
    local_tasks[1, T_SIZE], local_tasks[1, T_ROWS] = 3, 1 << 13 | 1  # a text too long for the device; what lies there does not matter
    local_words = np.concatenate([local_words, np.zeros(300, np.uint64)])
    for name, its_words, *arguments in ("_extend", words, tasks, query), ("_rescue", local_words, local_tasks, local_query):
        mine, expected = (
            getattr(AlignmentTasks(its_words, opt, Backend(device, 1), ahead=True), name)(*arguments) for device in ("cuda", "cpu")
        )
        assert mine.tobytes() == expected.tobytes() and (mine[:, 0] > 0).any()


@pytest.mark.simulator
def test_simulated_steps():
    in_simulator("test_cuda_extension", "check_steps()")


@pytest.mark.simulator
def test_simulated_extensions():
    # queries of one base on, rows in shared memory (two kernels) and in device memory
    calls = "check_extensions(12, 20, 30)", "check_extensions(3, 20, 30, 100)", "check_extensions(3, 20, 30, 161)"
    in_simulator("test_cuda_extension", *calls)


@pytest.mark.simulator
def test_simulated_local():
    # a warp with a task missing; insertions across segments; 16 and 8 segments
    in_simulator("test_cuda_extension", "check_local(3, 28, 36, 50, True, 1)", "check_local(5, 20, 28, 44, False)")


@pytest.mark.cuda
def test_device():
    check_steps()
    for most in (60, 150, 300):
        check_extensions(3000, most, most + 100)
    for least, most, narrow in ((20, 160, True), (100, 249, True), (20, 320, False)):
        for which in range(3 if not narrow else 2):
            check_local(3000, least, most, 700, narrow, which)
