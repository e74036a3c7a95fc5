"""Read-threading graphs: the CUDA twin gives the CPU's rows of vertices and edges, in the simulator and where there is a device."""

import numpy as np
import pytest
from simulator import in_simulator, on_device

LETTERS = np.frombuffer(b"ACGT", np.uint8)


def made_regions(regions, reads, length, read, samples):
    """(arguments from region_offset to contig, as of clean_graphs): reads of changed copies of references, some of which have repeats."""
    rng = np.random.default_rng(regions)
    contig = rng.choice(LETTERS, (regions, length))
    for r in range(0, regions, 3):
        at, n = length // 3, 28 if length > 100 and r % 2 else 14
        contig[r, at + 30 : at + 30 + n] = contig[r, at : at + n]  # a repeat within a read's reach
    contig[1::4, -9:] = contig[1::4, :9]
    base, qual, cigar, sizes, words = [], [], [], [], []
    for r in range(regions):
        alleles = [contig[r]]
        for _ in range(3):
            other = contig[r].copy()
            other[rng.integers(0, length, 2)] = rng.choice(LETTERS, 2)
            at = int(rng.integers(5, length - 20))
            kind = int(rng.integers(3))
            other = [np.delete(other, slice(at, at + 3)), np.insert(other, at, other[at : at + 6]), other][kind]
            alleles.append(other)
        for _ in range(reads):
            allele = alleles[rng.integers(len(alleles))]
            at = int(rng.integers(0, max(1, len(allele) - read)))
            text = allele[at : at + read].copy()
            changed = rng.random(len(text)) < 0.01
            text[changed] = rng.choice(np.frombuffer(b"ACGTN", np.uint8), int(changed.sum()))
            base.append(text)
            qual.append(rng.choice(np.array([30, 35, 6], np.uint8), len(text), p=[0.6, 0.38, 0.02]))
            clip = int(rng.integers(0, 4))
            row = [clip << 4 | 4] * (clip > 0) + [(len(text) - 2 * clip) << 4] + [clip << 4 | 4] * (clip > 0)
            cigar += row
            words.append(len(row))
            sizes.append(len(text))
    offset = lambda rows: np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)  # noqa: E731
    low = (np.arange(regions) * length).astype(np.int32)
    return (
        np.arange(regions + 1, dtype=np.int64) * reads, np.concatenate(base), np.concatenate(qual), offset(sizes),
        np.array(cigar, np.uint32), offset(words), rng.integers(0, samples, len(sizes)).astype(np.int32), low,
        (low + length).astype(np.int32), contig.ravel(),
    )  # fmt: skip


def cpu_graphs(columns, wanted, k, shortest, settings, scratch):
    """[(status, v, e, g)] of the regions."""
    from gpugenome.kernels.assembly_graph_cpu import MADE_E, MADE_V
    from gpugenome.kernels.assembly_graphs_cpu import threaded_graph

    region_offset, *reads, low, high, contig = columns
    v, e, g = scratch[:3]
    repeats = np.ones(len(reads[2]) - 1, np.uint8)
    found = []
    for r in np.flatnonzero(wanted):
        status, _ = threaded_graph(
            region_offset[r], region_offset[r + 1], *reads, repeats, contig[low[r] : high[r]], k, shortest, settings, np.zeros(4), scratch
        )
        found.append((status, v[: g[MADE_V]].copy(), e[: g[MADE_E]].copy(), g.copy()))
    return found


def check(regions, reads, length, read, samples, k, pruning_samples, any_repeats, warps):
    from gpugenome.kernels import assembly_graphs_cuda
    from gpugenome.kernels.assembly_graph_cpu import ENTRIES, ENTRY, TABLE_STAMP
    from gpugenome.kernels.assembly_graphs_cpu import GRAPH, UNUSABLE, threading_scratch

    columns = made_regions(regions, reads, length, read, samples)
    total, longest = length + int(np.diff(columns[3][columns[0]]).max()), max(length, int(np.diff(columns[3]).max()))
    settings = np.array([2, pruning_samples, 4, 0, 10, 0, any_repeats])
    wanted = np.arange(regions) % 7 != 5
    expected = cpu_graphs(columns, wanted, k, 10, settings, threading_scratch(total, longest, 10, samples, pruning_samples))
    rows = [sum(len(x[i]) for x in expected if x[0] == GRAPH) for i in (1, 2)]
    outputs = (np.full(regions, 9, np.int8), np.zeros((regions, 16), np.int64), np.zeros((regions, 2), np.int64),
               np.zeros((rows[0], 16), np.int32), np.zeros((rows[1], 12), np.int32), np.zeros(2, np.int64))  # fmt: skip
    device = on_device(outputs)
    scratch = assembly_graphs_cuda.scratch_for(warps, total, longest, 10, samples, pruning_samples)
    assembly_graphs_cuda.threaded_graphs(0, regions, *on_device((wanted, *columns)), k, 10, on_device(settings), *device, scratch)
    status, counters, place, vertices, edges, used = (x.copy_to_host() for x in device)
    assert (status[~wanted] == 9).all() and used.tolist() == rows
    counts = np.zeros(4, int)
    for r, (state, v, e, g) in zip(np.flatnonzero(wanted), expected):
        assert status[r] == state
        counts[state] += 1
        if state == GRAPH:
            theirs = vertices[place[r, 0] : place[r, 0] + len(v)]
            for slot in (TABLE_STAMP, ENTRIES):  # the twins search other k-mers, so they have other numbers
                g[slot] = counters[r, slot]
            v[:, ENTRY] = theirs[:, ENTRY]
            np.testing.assert_array_equal(counters[r], g)
            np.testing.assert_array_equal(theirs, v)
            np.testing.assert_array_equal(edges[place[r, 1] : place[r, 1] + len(e)], e)
            assert (v[:, 15] == 0).any() and (e[:, 6] > 1).any()  # some were pruned, some were passed again
    assert counts[GRAPH] and (any_repeats or counts[UNUSABLE])


@pytest.mark.simulator
def test_simulated():
    in_simulator("test_cuda_assembly_graphs", "check(4, 7, 90, 48, 2, 10, 1, 0, 4)", "check(1, 33, 70, 40, 3, 12, 2, 1, 4)")


@pytest.mark.cuda
@pytest.mark.parametrize(("samples", "k", "pruning_samples", "any_repeats"), [(1, 10, 1, 0), (3, 25, 2, 0), (1, 12, 1, 1)])
def test_device(samples, k, pruning_samples, any_repeats):
    check(400, 60, 350, 151, samples, k, pruning_samples, any_repeats, 256)
