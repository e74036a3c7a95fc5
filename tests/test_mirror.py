"""Batches that stay on the GPU from read ends to recalibration: the CPU's records and table, and each byte is copied once."""

import numpy as np
import pytest
from simulator import in_simulator

BATCH = 12


def prepared(backend, records, batch_reads=BATCH, memory=None):
    """(marks, text of the table, bytes of the records, batches, mirrors) of demo reads in random order.

    memory: bytes that the GPU has for mirrors.
    """
    from conftest import ROOT
    from test_cuda_covariates import known_sites
    from test_cuda_recalibrate import demo_header

    from gpugenome.columns import take
    from gpugenome.io.fasta import Reference
    from gpugenome.io.recal_table import arguments_table, report_text
    from gpugenome.io.spill import SpillFolder
    from gpugenome.mirror import Mirrors
    from gpugenome.steps import germline, sort

    class Reads:
        def batches(self):
            yield take(records, np.random.default_rng(5).permutation(len(records)))

    header, genome = demo_header(), Reference(ROOT / "data" / "reference.fa.gz")
    mirrors = Mirrors(backend) if backend.on_gpu else None
    if memory:
        mirrors._left = memory
    for batches in sort.ResidentRun.batches, germline.SortedReads.batches:
        batches.__defaults__ = batch_reads, *batches.__defaults__[1:]
    options = {"context_size": 2, "indels_context_size": 3, "maximum_cycle": 500, "low_quality_tail": 2, "quantizing_levels": 16}
    with SpillFolder(None) as spill:
        marked = germline.marked_reads(Reads(), header, in_order=False, memory_bytes=1 << 30, spill=spill,
                                       threads=backend.threads, source="demo", mirrors=mirrors)  # fmt: skip
        table = germline.recalibration_table(marked, genome.bases_upper_acgtn, known_sites(header), arguments_table(**options),
                                             backend.threads)  # fmt: skip
        out = list(germline.recalibrated(marked, table, backend.threads, True).batches())
    left = sum(m is not None for m in mirrors._made.values()) if mirrors else 0
    return marked.marks.mark, report_text(table), b"".join(b.data.tobytes() for b in out), out, left


def check(reads, backend):
    """The same from CPU and GPU, and bytes copied."""
    from simulator import demo_records

    from gpugenome.backend import TRANSFERS, Backend

    TRANSFERS.clear()
    records = demo_records(reads)
    expected, found = prepared(Backend("cpu", 1), records), prepared(backend, records)
    assert found[0].tobytes() == expected[0].tobytes() and found[1] == expected[1] and found[2] == expected[2]
    batches = found[3]
    n, bases = sum(map(len, batches)), sum(int(b.seq_length.sum()) for b in batches)
    assert n == reads and found[4] == -(-n // BATCH)
    (ends_up, ends_down), (count_up, count_down), (new_up, new_down) = (TRANSFERS[k] for k in ("read_ends", "covariates", "recalibrate"))
    print({k: [round(b / n, 1) for b in v] for k, v in TRANSFERS.items()})
    assert ends_down == 64 * n and bases < new_down <= bases + 8 * len(batches)
    assert ends_up < 1.1 * sum(b.nbytes for b in batches) + 200 * len(batches)  # the records, once
    # then template lengths, FLAGs and the numbers of those counted; places of the qualities and FLAGs
    return count_up - 14 * n, count_down, new_up - 10 * n, n


def check_bytes(backend):
    """What reads do not share grows with their number as `check` says; a short memory leaves the rest to the CPU."""
    from simulator import demo_records

    from gpugenome.backend import Backend

    fixed = []
    for reads in (14, 26):
        *mine, n = check(reads, backend)
        fixed.append((mine[0] - 8 * -(-n // BATCH), mine[1] - 8 * -(-n // BATCH), mine[2] - 16 * -(-n // BATCH)))
    assert (np.diff(fixed, axis=0) <= 0).all(), fixed
    records = demo_records(24)
    expected, found = prepared(Backend("cpu", 1), records), prepared(backend, records, memory=6000.0)
    assert found[1:3] == expected[1:3] and found[4] == 1


@pytest.mark.simulator
def test_simulated():
    print(in_simulator("test_mirror", "from gpugenome.backend import Backend", "check_bytes(Backend('cuda', 1))"))


@pytest.mark.cuda
def test_device():
    from gpugenome.backend import Backend

    check(5000, Backend("cuda", 1))
