"""The germline pipeline on column batches: sort and mark duplicates, recalibrate, call; nothing between them touches the disk.

What is composed here are the stages alone; opening inputs and outputs is the command's work.
"""

from dataclasses import dataclass, field

from gpugenome.steps.applybqsr import Recalibrator
from gpugenome.steps.bqsr import build_table
from gpugenome.steps.markdup import sort_and_mark


@dataclass
class Preparation:
    """Reads ready for the caller.

    reads: `steps.markdup.SortedReads`, coordinate-sorted with duplicates flagged (re-iterable, within the memory budget).
    recalibrator: applies the table on the fly, None where there were no known sites. table: the table, or None.
    """

    reads: object
    recalibrator: Recalibrator | None = None
    table: object = None
    log: list[str] = field(default_factory=list)


def prepare(batches, header, *, duplicate_options, bqsr_options, apply_options, reference, known_sites, memory_bytes, tmp_dir,
            threads, grouped_by_query) -> Preparation:  # fmt: skip
    """Sort, mark duplicates and build the recalibration table in one pass over `batches`.

    batches: iterator of ReadBatch in any order. known_sites: `io.known_sites` intervals, or None to leave recalibration out.
    memory_bytes: beyond it sorted runs are spilled to tmp_dir.

    Raises
    ------
    InputError: reads without a read group, or that contradict the header.
    """
    reads = sort_and_mark(batches, header, duplicate_options, memory_bytes=memory_bytes, tmp_dir=tmp_dir, threads=threads,
                          grouped_by_query=grouped_by_query)  # fmt: skip
    if known_sites is None:
        return Preparation(reads)
    table = build_table(reads.batches(), reads.header, reference, known_sites, bqsr_options, threads)
    return Preparation(reads, Recalibrator(table, reads.header, apply_options), table)


def recalibrated(preparation: Preparation, threads: int):
    """Iterator of ReadBatch with the qualities that the caller and `--out-bam` see."""
    for batch in preparation.reads.batches():
        yield preparation.recalibrator.apply(batch, threads) if preparation.recalibrator else batch
