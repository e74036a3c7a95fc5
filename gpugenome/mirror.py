"""Copies of batches in the GPU's memory, which stay there from stage to stage.

Records that were sorted in memory are gone through several times: for read ends, for the recalibration table, and to be recalibrated.
Each time the host gathers them anew, with the same records at the same places, so one copy on the GPU does for all of them: a batch is
uploaded once, by the first kernel that asks, and kernels run where it is. What has no mirror is done on the CPU, with the same bits.
"""

from gpugenome.backend import Backend, Twin
from gpugenome.batch import ReadBatch
from gpugenome.progress import log

_CHANGED = "flag"  # by `Marker`: it goes up for each stage


class Mirror:
    """The arrays of one batch on the GPU: as they were at their first use, but for the FLAGs. Tags may differ from the host's since.

    Arrays are put there and given back inside `Twin.alone`.
    """

    def __init__(self, backend: Backend):
        self.backend, self._there = backend, {}

    def columns(self, twin: Twin, batch: ReadBatch, names) -> tuple:
        """Columns of the batch by name, those uploaded that are not there."""
        new = [n for n in names if n not in self._there or n == _CHANGED]
        self._there.update(zip(new, twin.put(*(getattr(batch, n) for n in new))))
        return tuple(self._there[n] for n in names)

    def drop(self) -> None:
        """Give the memory back; used again, the batch is uploaded again."""
        self._there.clear()


class Mirrors:
    """The mirrors of the batches of one pass after another, by the number of their first record. None where the GPU's memory is short."""

    def __init__(self, backend: Backend):
        self.backend, self._made = backend, {}
        twin = backend.kernels("read_ends")
        with twin.alone():
            self._left = twin.free_bytes() / 2  # the other half is for what kernels write, and for other stages

    def of(self, first: int, batch: ReadBatch) -> Mirror | None:
        """The mirror of a batch."""
        if first not in self._made:
            fits = batch.nbytes <= self._left
            if not fits and None not in self._made.values():
                log("the GPU's memory is full of reads: the others are marked and recalibrated on the CPU")
            self._left -= fits * batch.nbytes
            self._made[first] = Mirror(self.backend) if fits else None
        return self._made[first]

    def close(self) -> None:
        """Give all memory back; no more batches come."""
        with self.backend.kernels("read_ends").alone():
            for mirror in filter(None, self._made.values()):
                mirror.drop()


def where(batch: ReadBatch, stem: str, threads: int) -> Twin:
    """The kernels of a stem where the batch is: on the GPU, if it has a mirror there."""
    return (batch.mirror.backend if batch.mirror else Backend("cpu", threads)).kernels(stem)


def columns(twin: Twin, batch: ReadBatch, names) -> tuple:
    """Columns of the batch by name, as the kernels of `where` take them."""
    return batch.mirror.columns(twin, batch, names) if twin.on_gpu else tuple(getattr(batch, n) for n in names)
