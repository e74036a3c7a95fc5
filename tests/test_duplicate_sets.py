"""The order of pairs for duplicate marking: sets side by side, whatever the number of threads."""

import numpy as np
import pytest

from gpugenome.kernels.duplicates_cpu import sort_entries
from gpugenome.kernels.read_ends_cpu import ENTRY


@pytest.mark.parametrize("n, places", [(0, 1), (1, 1), (2, 1), (50, 3), (3000, 900), (3000, 1)])
def test_sets(n, places):
    """Against a plain sort of all that a set shares, then tile, x, y and index."""
    random = np.random.default_rng(n)
    entries = np.zeros(n, ENTRY)
    for column, most in (("pos_1", places), ("ref_2", 2), ("orientation", 2), ("library", 2), ("tile", 3), ("x", 5), ("y", 5)):
        entries[column] = random.integers(0, most, n)
    entries["index_1"] = random.permutation(n)
    key = ["library", "pos_1", "orientation", "ref_2"]
    rows = entries[np.argsort(entries[[*key, "tile", "x", "y", "index_1"]], kind="stable")]
    first = np.flatnonzero(np.r_[True, rows[key][1:] != rows[key][:-1]]) if n else np.empty(0, int)
    expected = [rows["index_1"][a:b].tolist() for a, b in zip(first, [*first[1:], n]) if b - a > 1]
    one, _ = sort_entries(entries, True, 1)
    for threads in (1, 2, 3):
        order, sets = sort_entries(entries, True, threads)
        np.testing.assert_array_equal(order, one)
        assert sorted(order.tolist()) == list(range(n))
        assert (sets[1:, 0] >= sets[:-1, 1]).all()
        assert sorted(entries["index_1"][order[a:b]].tolist() for a, b in sets) == sorted(expected)
