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


def check_radix_sort(n):
    """Keys that differ in some of their bytes only, with ties, and running sums over several pieces."""
    from numba import cuda

    from gpugenome.kernels import sort_keys_cpu, sort_keys_cuda
    from gpugenome.kernels.scan_cuda import exclusive_scan

    random = np.random.default_rng(1)
    for spread in (1 << 8) - 1, 0xFF0000000000FF00, 0:
        keys = random.integers(0, 1 << 63, n).astype(np.uint64) & np.uint64(spread) | np.uint64(1 << 63)
        there = cuda.to_device(keys)
        for mine, expected in zip(sort_keys_cuda.radix_sort(there), sort_keys_cpu.radix_sort(keys)):
            np.testing.assert_array_equal(mine.copy_to_host(), expected)
        np.testing.assert_array_equal(there.copy_to_host(), keys)
    values = random.integers(-9, 9, n)
    for more in 0, 1:
        out = cuda.device_array(n + more, np.int64)
        exclusive_scan(cuda.to_device(values), out)
        np.testing.assert_array_equal(out.copy_to_host(), np.concatenate([[0], np.cumsum(values)])[: n + more])


def check_read_ends(reads):
    from gpugenome.kernels.read_ends_scalar import END
    from gpugenome.steps.markdup import _COLUMNS, DuplicateOptions

    batch = demo_records(reads)
    n, groups = len(batch), int(batch.read_group.max()) + 3
    inputs = batch.columns(_COLUMNS), DuplicateOptions().settings(), np.arange(groups, dtype=np.int16), np.arange(groups, dtype=np.int16)
    (ends,) = run_both("read_ends", "read_ends", len(batch), inputs, np.zeros(len(batch), END))
    assert (ends["kind"] == 2).any() and (ends["score"] > 0).any()
    flag, library = batch.flag.copy(), np.arange(groups, dtype=np.int16)
    flag[:8] = [0x4, 0x900, 0x100, 0, 0x9, 0x5, 0x401, 0x1]
    (counts,) = run_both("read_ends", "count_kinds", n, (flag, batch.read_group, library), np.zeros((groups, 4), np.int64))
    assert counts.sum() == n and (counts.sum(axis=0) > 0).all()
    index = np.maximum.accumulate(np.where(np.arange(n) % 3, -1, np.arange(n)))
    index[:3] = -1
    (counts,) = run_both("read_ends", "count_examined", n, (flag, index), np.zeros((n, 2), np.uint8))
    assert counts.max() == 3
    ref_id = batch.ref_id.copy()
    for at in n, n - 3:
        flag[n - 3], ref_id[at:] = 4, -1
        (found,) = run_both("read_ends", "first_unplaced", n, (flag, ref_id), np.array([n]))
        ends["problem"][at:] = 1
        (again,) = run_both("read_ends", "first_problem", n, (ends,), np.array([n]))
        assert found[0] == at and again[0] == (n if at == n else at + np.flatnonzero(ends["kind"][at:])[0])


def check_duplicates(reads):
    """Pairs of reads that are all there twice: hashes, order, sets, marks and FLAGs."""
    from numba import cuda

    from gpugenome.kernels import duplicates_cpu, duplicates_cuda, read_ends_cpu
    from gpugenome.kernels.read_ends_scalar import END
    from gpugenome.steps.markdup import _COLUMNS, DuplicateOptions

    batch = demo_records(reads)
    ends, groups = np.zeros(len(batch), END), np.zeros(int(batch.read_group.max()) + 3, np.int16)
    read_ends_cpu.read_ends(0, len(batch), batch.columns(_COLUMNS), DuplicateOptions().settings(), groups, groups, ends)
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
    for mine, there in zip((expected, start), duplicates_cuda.sort_entries(on_device, True)):
        np.testing.assert_array_equal(there.copy_to_host(), mine)
    inputs = entries, True, expected, start, True, 2500, 300000
    outputs = np.zeros(n, np.uint8), np.zeros(len(start), np.int64), np.zeros(len(start), np.int32), np.zeros(n, np.int64)
    marks, *_ = run_both("duplicates", "mark_sets", len(start), inputs, *outputs)
    assert (marks & 1).sum() == n - len(np.unique(hashes))
    (flag,) = run_both("duplicates", "flag_duplicates", n, (marks,), np.arange(n, dtype=np.uint16) * 977)
    assert ((flag & 0x400 != 0) == (marks & 1 != 0)).all()


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_duplicates", "check_sort_keys(24)", "check_radix_sort(700)", "check_read_ends(40)", "check_duplicates(60)")


@pytest.mark.cuda
def test_device():
    check_sort_keys(20000)
    check_radix_sort(300_000)
    check_read_ends(20000)
    check_duplicates(20000)
