"""From reads in any order to recalibrated, duplicate-marked, coordinate-sorted batches: what `germline` does before the caller."""

from dataclasses import dataclass

import numpy as np

from gpugenome.batch import Header
from gpugenome.columns import overlapping, take
from gpugenome.pipeline import ahead
from gpugenome.steps.applybqsr import ApplyOptions, Recalibrator
from gpugenome.steps.bqsr import TableBuilder, TableOptions
from gpugenome.steps.markdup import DuplicateOptions, SortedReads, find_duplicates, sort_and_mark


class _InOrder:
    """Adapter: records that are in coordinate order already, under the interface of `sorted_records`."""

    def __init__(self, reads):
        self._reads = reads

    def batches(self, max_reads):
        return self._reads.batches(max_reads)


def marked_reads(reads, header: Header, *, in_order: bool, memory_bytes: int, spill, threads: int, source: str,
                 card=None) -> SortedReads:  # fmt: skip
    """Sort where needed and mark duplicates, as SortSam and MarkDuplicates with their defaults.

    reads: an object with `batches()`; header: what the results shall have. in_order: the reads are coordinate-sorted and can be read again
    (`io.bam.Replay`); they keep their order, as in MarkDuplicates. spill: `io.spill.SpillFolder`. source: name for messages.
    card: `gpu_records.Card`, if a GPU is to sort and keep what is sorted here.
    """
    options = DuplicateOptions()
    if not in_order:
        return sort_and_mark(reads.batches(), header, options, memory_bytes=memory_bytes, spill=spill, threads=threads, card=card)
    marks = find_duplicates(
        reads.batches(), header, options, by_name=False, spill=spill, memory_bytes=memory_bytes, threads=threads, source=source
    )
    return SortedReads(marks.header, marks, _InOrder(reads), options, threads, spill)


@dataclass
class Recalibration:
    """The table of BaseRecalibrator over marked reads, and the batches that it recalibrates."""

    marked: SortedReads
    recalibrator: Recalibrator
    threads: int
    whole_records: bool

    def batches(self):
        """Iterator of ReadBatch with new qualities. whole_records: as ApplyBQSR writes them, else only the qualities change."""
        try:
            for batch in ahead(self.marked.batches(), self.threads):
                yield (self.recalibrator.apply if self.whole_records else self.recalibrator.qualities)(batch, self.threads)
        finally:
            self.recalibrator.close()


def recalibration_table(marked: SortedReads, bases_of, known_sites, arguments, threads: int, intervals=None):
    """The `RecalTable` of BaseRecalibrator with its defaults. Arguments as in `steps.bqsr.TableBuilder`."""
    builder = TableBuilder(marked.header, bases_of, known_sites, TableOptions(), arguments, threads, intervals)
    for batch in ahead(marked.batches(with_tags=False), threads):
        builder.add(batch)
        batch.drop()
    return builder.finish()


def recalibrated(marked: SortedReads, table, threads: int, whole_records: bool) -> Recalibration:
    """The reads with qualities of `table`, as ApplyBQSR with its defaults."""
    return Recalibration(marked, Recalibrator(table, marked.header, ApplyOptions()), threads, whole_records)


def within(batches, intervals: np.ndarray, threads: int):
    """The records of the batches that overlap any of the intervals int64[k, 3]."""
    for batch in batches:
        keep = overlapping(batch, intervals, threads)
        if keep.any():
            yield batch if keep.all() else take(batch, np.flatnonzero(keep), threads)
