"""Records that stay on the GPU from decoding to what is written: the CPU's records, marks and table, and each byte is copied once."""

import numpy as np
import pytest
from simulator import in_simulator

BATCH = 12


def prepared(backend, records, batch_reads=BATCH, memory=None):
    """(marks, text of the table, bytes of the records, batches) of demo reads in random order.

    memory: bytes that the GPU has for records.
    """
    from conftest import ROOT
    from test_cuda_covariates import known_sites
    from test_cuda_recalibrate import demo_header

    from gpugenome.columns import take
    from gpugenome.gpu_records import Card
    from gpugenome.io.fasta import Reference
    from gpugenome.io.recal_table import arguments_table, report_text
    from gpugenome.io.spill import SpillFolder
    from gpugenome.steps import germline, markdup

    class Reads:
        def batches(self):
            mixed = take(records, np.random.default_rng(5).permutation(len(records)))
            yield from (take(mixed, part) for part in np.array_split(np.arange(len(mixed)), 3))

    header, genome = demo_header(), Reference(ROOT / "data" / "reference.fa.gz")
    card = Card(backend) if backend.on_gpu else None
    if memory:
        card.left = memory
    markdup.BATCH_READS = batch_reads
    germline.SortedReads.batches.__defaults__ = batch_reads, True
    options = {"context_size": 2, "indels_context_size": 3, "maximum_cycle": 500, "low_quality_tail": 2, "quantizing_levels": 16}
    with SpillFolder(None) as spill:
        marked = germline.marked_reads(Reads(), header, in_order=False, memory_bytes=1 << 30, spill=spill,
                                       threads=backend.threads, source="demo", card=card)  # fmt: skip
        table = germline.recalibration_table(marked, genome.bases_upper_acgtn, known_sites(header), arguments_table(**options),
                                             backend.threads)  # fmt: skip
        out = list(germline.recalibrated(marked, table, backend.threads, True).batches())
    if card:
        assert len(card.live) == (memory is None)  # the run: all batches were given back
        card.close()
    return marked.marks, report_text(table), b"".join(b.data.tobytes() for b in out), out


def same(a, b):
    """Whether two results of `prepared` are the same, and the columns of the batches those of their records."""
    from gpugenome.columns import decode

    for batch in b[3]:
        again = decode(batch.data, batch.offset, batch.read_group)
        assert all(getattr(again, k).tobytes() == getattr(batch, k).tobytes() for k in ("flag", "pos", "ref_id", "n_cigar", "seq_length"))
    return (a[0].mark.tobytes(), a[0].libraries, a[0].sets, *a[1:3]) == (b[0].mark.tobytes(), b[0].libraries, b[0].sets, *b[1:3])


def check(records, backend, twice=0):
    """The same from CPU and GPU; bytes copied up and down, by stem.

    twice: records in batches with unplaced reads, which come down once more for what is said of their programs.
    """
    from gpugenome.backend import TRANSFERS, Backend

    TRANSFERS.clear()
    assert same(prepared(Backend("cpu", 1), records), found := prepared(backend, records))
    n, moved = len(records), {k: tuple(v) for k, v in TRANSFERS.items()}
    print({k: [round(b / n, 1) for b in v] for k, v in moved.items()})
    written, size = sum(len(b.data) for b in found[3]), records.data.size
    assert size + 12 * n <= moved["sort_keys"][0] <= size + 13 * n + 200  # records, places and read groups, once
    assert moved["read_ends"][1] < 64 * n + 400 and moved["duplicates"][0] <= 65 * n + 100  # ends; pairs, marks in two passes
    assert moved["bam_records"][1] < written + 48 * n + 900 + 500 * twice  # what is written, and its columns
    return moved


def check_sort(backend):
    """Ties that are settled on the GPU and, as the longest ones, on the host; tags of all types, changed where the records are."""
    from simulator import demo_records

    from gpugenome.columns import concat, decode, edit_tags, find_tag, set_tag, take
    from gpugenome.gpu_records import Card
    from gpugenome.kernels import sort_keys_cuda
    from gpugenome.steps.sort import COORDINATE, ResidentRun

    if not backend.on_gpu or "simulator" in sort_keys_cuda.cuda.__name__:
        sort_keys_cuda.MOST_TIES = 3
    demo = demo_records(9)
    tied = take(demo, np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4, 4, 5]))
    tied.data[tied.name_start] += np.array([0, 5, 3, 3, 9, 1, 1, 7, 2, 0, 1, 0, 0], np.uint8)
    mixed = take(tied, np.random.default_rng(3).permutation(len(tied)))
    for ties in True, False:
        card = Card(backend)
        run, _ = card.sort(iter([take(mixed, np.arange(5)), take(mixed, np.arange(0)), take(mixed, np.arange(5, 13))]), ties)
        found = [b.on_host() for b in run.batches(6)]
        expected = next(ResidentRun([mixed], COORDINATE, ties).batches())
        assert concat(found).data.tobytes() == expected.data.tobytes() and [len(b) for b in found] == [6, 6, 1]
        run.drop()
        assert not card.live
    odd = demo
    values = b"i\x10\0\0\0", b"i\0\xff\xff\xff", b"I\xff\xff\xff\xff", b"H1AE301\0", b"BS\2\0\0\0\1\0\2\0", b"A!", b"f\0\0\0\0"
    for k, value in enumerate(values):
        has = np.arange(len(odd)) % 7 >= k
        text = np.frombuffer(value * int(has.sum()), np.uint8)
        odd = set_tag(odd, "Z" + chr(90 - k), text, np.concatenate([[0], np.cumsum(has * len(value))]))
    row = np.array([[-2], [0]], np.int32), np.array([np.arange(9) % 3 - 2, np.arange(9) % 4 - 2], np.int32)
    value, offset = np.frombuffer(b"Znew\0i\7\0\0\0", np.uint8), np.array([0, 5, 10])
    for rows in row:
        (batch,) = Card(backend).sort(iter([odd]), False)[0].batches(100)
        mine = edit_tags(batch, ["RG", "ZX"], rows, value, offset)
        assert mine.on_gpu
        expected = edit_tags(decode(odd.data.copy(), odd.offset, odd.read_group), ["RG", "ZX"], rows, value, offset)
        assert mine.data.tobytes() == expected.data.tobytes() != odd.data.tobytes()
    for k in range(70):  # more tags than kernels there take: the host does it
        odd = set_tag(odd, chr(65 + k // 10) + str(k % 10), np.frombuffer(b"c\1" * len(odd), np.uint8), np.arange(len(odd) + 1) * 2)
    (batch,) = Card(backend).sort(iter([odd]), False)[0].batches(100)
    mine, expected = edit_tags(batch, ["RG"], rows[:1], value, offset), edit_tags(odd, ["RG"], rows[:1], value, offset)
    assert not mine.on_gpu and mine.data.tobytes() == expected.data.tobytes() and (find_tag(expected, "RG") >= 0).sum() < 9


def unlisted_launches(run):
    """Launches of run() whose types are not in SIGNATURES, which are what is compiled to SASS and loaded ahead (`backend.warm_up`)."""
    from importlib import import_module

    from numba import typeof, types
    from numba.core.sigutils import normalize_signature

    from gpugenome.kernels.launch_cuda import Kernel

    def kind(a):
        # the simulator's arrays hold numpy's
        return types.Tuple([kind(x) for x in a]) if isinstance(a, tuple) else typeof(getattr(a, "_ary", a))

    def noted(kernel, *args):
        if args[1] > args[0]:
            seen.add((kernel.function.__module__, kernel.function.__name__, str(tuple(kind(a) for a in args))))
        launch(kernel, *args)

    seen, launch = set(), Kernel.__call__
    Kernel.__call__ = noted
    try:
        run()
    finally:
        Kernel.__call__ = launch
    listed = set()
    for module, name, _ in seen:
        signatures = import_module(module).SIGNATURES[name]
        for s in signatures if isinstance(signatures, list) else [signatures]:
            listed.add((module, name, str(tuple(normalize_signature(s)[0]))))
    assert len(seen) > 20
    return seen - listed


def check_all(backend):
    """Demo reads with copies under other names, unplaced ones and one without qualities; a short memory leaves all to the CPU."""
    from simulator import demo_records

    from gpugenome.backend import Backend
    from gpugenome.columns import concat, decode

    records = demo_records(18)
    copies = demo_records(12)
    copies.data[copies.name_start] += 1
    copies.data[copies.name_start[:3]] += 1
    for i in 1, 5:
        a = copies.offset[i]
        copies.data[a + 4 : a + 12], copies.data[a + 18] = 255, copies.data[a + 18] | 4
    copies.data[copies.qual_start[7]] = 255
    copies = decode(copies.data, copies.offset, copies.read_group)
    few, many = check(records, backend), check(concat([records, copies]), backend, 6)
    # what other stages take does not grow with the reads, but for some bytes a batch
    for stem in "covariates", "recalibrate":
        assert all(b - a <= 200 for a, b in zip(few[stem], many[stem])), stem
    assert same(prepared(Backend("cpu", 1), records), prepared(backend, records, memory=7000.0))
    unlisted = unlisted_launches(lambda: prepared(backend, demo_records(4)))
    assert not unlisted, unlisted


@pytest.mark.simulator
def test_simulated():
    calls = "from gpugenome.backend import Backend", "check_sort(Backend('cuda', 1))", "check_all(Backend('cuda', 1))"
    print(in_simulator("test_gpu_records", *calls))


@pytest.mark.cuda
def test_device():
    from simulator import demo_records

    from gpugenome.backend import Backend

    check_sort(Backend("cuda", 4))
    check(demo_records(5000), Backend("cuda", 4))
