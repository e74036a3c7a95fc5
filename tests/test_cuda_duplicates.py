"""Sort keys, read ends and duplicate sets: the CUDA twins give the CPU's bytes, in the simulator and where there is a device."""

import numpy as np
import pytest
from simulator import demo_records, in_simulator, run_both


def check_sort_keys(reads):
    from numba import cuda

    from gpugenome.kernels import sort_keys_cpu, sort_keys_cuda

    batch = demo_records(reads)
    n = len(batch)
    (keys,) = run_both("sort_keys", "coordinate_keys", n, (batch.ref_id, batch.pos, batch.flag), np.empty(n, np.uint64))
    assert len(np.unique(keys)) > n // 2
    order = np.random.default_rng(3).permutation(n)
    offset = np.concatenate([[0], np.cumsum(np.diff(batch.offset)[order])])
    out = np.empty(offset[-1], np.uint8)
    sort_keys_cpu.gather_records(0, n, batch.data.ctypes.data + batch.offset[:-1][order], offset, out)
    data, mine = cuda.to_device(batch.data), cuda.device_array(len(out), np.uint8)
    address = data.__cuda_array_interface__["data"][0] if hasattr(data, "__cuda_array_interface__") else data._ary.ctypes.data
    sort_keys_cuda.gather_records(0, n, cuda.to_device(address + batch.offset[:-1][order]), cuda.to_device(offset), mine)
    np.testing.assert_array_equal(mine.copy_to_host(), out)


def check_read_ends(reads):
    from gpugenome.kernels.read_ends_scalar import END
    from gpugenome.steps.markdup import DuplicateOptions, _columns

    batch = demo_records(reads)
    groups = int(batch.read_group.max()) + 3
    inputs = _columns(batch), DuplicateOptions().settings(), np.arange(groups, dtype=np.int16), np.arange(groups, dtype=np.int16)
    (ends,) = run_both("read_ends", "read_ends", len(batch), inputs, np.zeros(len(batch), END))
    assert (ends["kind"] == 2).any() and (ends["score"] > 0).any()
    return ends


def check_duplicates(reads):
    """Pairs of reads that are all there twice: hashes, order, sets and marks."""
    from numba import cuda

    from gpugenome.kernels import duplicates_cpu, duplicates_cuda, read_ends_cpu
    from gpugenome.kernels.read_ends_scalar import END
    from gpugenome.steps.markdup import DuplicateOptions, _columns

    batch = demo_records(reads)
    ends, groups = np.zeros(len(batch), END), np.zeros(int(batch.read_group.max()) + 3, np.int16)
    read_ends_cpu.read_ends(0, len(batch), _columns(batch), DuplicateOptions().settings(), groups, groups, ends)
    pairs, singles = np.empty(len(batch), read_ends_cpu.ENTRY), np.empty(len(batch), read_ends_cpu.ENTRY)
    slots, pool, free, state = read_ends_cpu.new_table(256)
    read_ends_cpu.join_mates(ends, 0, False, False, slots, pool, free, state, pairs, singles)
    entries = np.concatenate([pairs[: state[1]]] * 3)
    n = len(entries)
    entries["index_1"] += 1000 * np.arange(n)
    (hashes,) = run_both("duplicates", "entry_hashes", n, (entries, True), np.empty(n, np.uint64))
    by_hash = np.lexsort((-np.arange(n), hashes))  # runs of equal hashes upside down, to be put in order
    order, scratch = cuda.to_device(by_hash), cuda.device_array(n, np.int64)
    on_device = cuda.to_device(entries)
    duplicates_cuda.sort_runs(0, n, cuda.to_device(hashes), on_device, True, order, scratch)
    expected, start = duplicates_cpu.sort_entries(entries, True)
    assert (order.copy_to_host() != by_hash).any()
    np.testing.assert_array_equal(order.copy_to_host(), expected)
    stop = cuda.device_array(n, np.int64)
    duplicates_cuda.set_ends(0, n, on_device, True, order, stop)
    first = np.flatnonzero(stop.copy_to_host())
    np.testing.assert_array_equal(np.stack([first, stop.copy_to_host()[first]], axis=1), start)
    inputs = entries, True, expected, start, True, 2500, 300000
    outputs = np.zeros(n, np.uint8), np.zeros(len(start), np.int64), np.zeros(len(start), np.int32), np.zeros(n, np.int64)
    marks, *_ = run_both("duplicates", "mark_sets", len(start), inputs, *outputs)
    assert (marks & 1).sum() == n - len(np.unique(hashes))


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_duplicates", "check_sort_keys(24)", "check_read_ends(40)", "check_duplicates(60)")


@pytest.mark.cuda
def test_device():
    check_sort_keys(20000)
    check_read_ends(20000)
    check_duplicates(20000)
