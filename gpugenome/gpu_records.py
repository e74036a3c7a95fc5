"""Alignment records in the GPU's memory, from when they were decoded to what is written.

`Card.sort` takes decoded batches up, each once, and sorts them there. The sorted batches (`GpuBatch`) are gathered there again for each
pass over them, and the kernels of a pass run where they are; what the host asks of a batch is copied down when it asks. Where the records
do not fit, or kernels do not cover a case, the host goes on with the same bits.
"""

from dataclasses import dataclass, fields
from itertools import chain

import numpy as np

from gpugenome.arenas import Arenas
from gpugenome.backend import Backend, Twin
from gpugenome.batch import ReadBatch
from gpugenome.columns import FIXED, decode
from gpugenome.kernels.sort_keys_cpu import sort_names
from gpugenome.progress import log

_COLUMN_BYTES = 28
"""Of a record on the GPU beside itself: key, address, size, read group."""


class GpuBatch(ReadBatch):
    """Sorted records on the GPU. Its columns are those of a `ReadBatch`; one that is read on the host is copied down, once.

    there: the columns on the GPU, by name. They are made, used and given back inside `Twin.alone`.
    """

    on_gpu = True

    def __init__(self, card: "Card", n: int, there: dict):
        self.card, self.there, self._n = card, there, n
        card.live.add(self)

    __hash__, __eq__ = object.__hash__, object.__eq__

    def __len__(self) -> int:
        return self._n

    def __getattr__(self, name):
        """A column that the host has not yet: data lies in memory that the GPU writes to directly."""
        if name not in _NAMES:
            raise AttributeError(name)
        twin = self.card.kernels("bam_records")
        with twin.alone():
            array = self.there[name]
            value = self.card.arenas.take(array.size) if name == "data" else np.empty(array.shape, array.dtype)
            twin.take_into(array, value)
        self.__dict__[name] = value
        return value

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self.there.values())

    def columns(self, names) -> tuple:
        return tuple(self.there[n] for n in names)

    def change(self, **there) -> None:
        """Put other columns in place of some; what the host has of them, and of the records, is out of date."""
        self.there.update(there)
        for name in ("data", *there):
            self.__dict__.pop(name, None)

    def bytes_of(self, i: int, start: int, stop: int | None = None) -> bytes:
        twin = self.card.kernels("bam_records")
        with twin.alone():
            at, end = twin.take(self.there["offset"][i : i + 2])[0].tolist()
            (found,) = twin.take(self.there["data"][at + start : end if stop is None else at + stop])
        return found.tobytes()

    def head(self, n: int) -> "GpuBatch":
        """The first n records in place of all."""
        with self.card.kernels("bam_records").alone():
            self.there = {k: a if k == "data" else a[: n + (k == "offset")] for k, a in self.there.items()}
        self.__dict__ = {k: v for k, v in self.__dict__.items() if k not in _NAMES}
        self._n = n
        return self

    def rows(self, order, n: int) -> "GpuBatch":
        """Records `order` (int64[n], on the GPU) of this batch, which is given back."""
        twin, m = self.card.kernels("sort_keys"), len(self)
        with twin.alone():
            _, address, size = made = twin.empty(m, np.uint64), twin.empty(m, np.int64), twin.empty(m, np.int64)
            twin.run("record_keys", m, self.there["data"], self.there["offset"], *made)
            out = self.card.gathered(address, order, n, self.card.places(size, order, n), self.there["read_group"])
            del address, size, made
            self.drop()
        return out

    def drop(self) -> None:
        with self.card.kernels("bam_records").alone():
            self.there.clear()
            self.card.live.discard(self)

    def on_host(self) -> ReadBatch:
        """The whole batch in host memory; the GPU's is given back."""
        batch = ReadBatch(**{name: getattr(self, name) for name in _NAMES})
        self.drop()
        return batch


_NAMES = tuple(f.name for f in fields(ReadBatch))


@dataclass
class _Held:
    """A batch as it came: records, and by record key (uint64), address, size (int64) and read group (int32), on the GPU."""

    data: object
    key: object
    address: object
    size: object
    read_group: object

    def on_host(self, twin, threads) -> ReadBatch:
        with twin.alone():
            data, size, read_group = twin.take(self.data, self.size, self.read_group)
            self.data = self.key = self.address = self.size = self.read_group = None
        return decode(data, np.concatenate([[0], np.cumsum(size)]), read_group, threads)


class Card:
    """The GPU's memory, for the records of one command at a time. arenas: host memory that the GPU writes to directly."""

    def __init__(self, backend: Backend):
        self.backend, self.live, self.arenas = backend, set(), _pinned(backend)
        twin = self.kernels("sort_keys")
        with twin.alone():
            self.left = twin.free_bytes() / 2  # the other half is for the sort, for batches and for other stages

    def kernels(self, stem: str) -> Twin:
        """The kernels of a stem, on the GPU."""
        return self.backend.kernels(stem)

    def close(self) -> None:
        """Give all memory back."""
        with self.kernels("bam_records").alone():
            for batch in list(self.live):
                batch.drop()

    def sort(self, batches, picard_ties: bool):
        """Take all records of an iterator of ReadBatch up and sort them by coordinate: (GpuRun, None).

        Where there are none, or the GPU's memory is too small: (None, an iterator of all batches, those that were there taken back).
        """
        held, batches = [], iter(batches)
        for batch in batches:
            if not len(batch):
                continue
            nbytes = batch.nbytes + _COLUMN_BYTES * len(batch)
            if nbytes > self.left:
                log("the reads do not fit the GPU's memory: the CPU sorts, marks and recalibrates them")
                twin, threads = self.kernels("sort_keys"), self.backend.threads
                return None, chain((h.on_host(twin, threads) for h in held), [batch], batches)
            self.left -= nbytes
            held.append(self._hold(batch))
        return (GpuRun(self, held, picard_ties), None) if held else (None, batches)

    def _hold(self, batch) -> _Held:
        twin, n = self.kernels("sort_keys"), len(batch)
        begin, end = int(batch.offset[0]), int(batch.offset[-1])
        with twin.alone():
            data, offset, read_group = twin.put(batch.data[begin:end], batch.offset - begin, batch.read_group)
            key, address, size = twin.empty(n, np.uint64), twin.empty(n, np.int64), twin.empty(n, np.int64)
            twin.run("record_keys", n, data, offset, key, address, size)
            held = _Held(data, key, address, size, read_group)
            del data, offset, read_group, key, address, size
        return held

    def joined(self, arrays):
        """Arrays of the GPU one after another (at least one)."""
        out, at = self.kernels("sort_keys").empty(sum(a.size for a in arrays), arrays[0].dtype), 0
        for a in arrays:
            out[at : at + a.size].copy_to_device(a)
            at += a.size
        return out

    def places(self, size, order, n: int):
        """int64[n + 1]: where records `order` begin when they lie side by side. size: int64, by record. All on the GPU."""
        from gpugenome.kernels.scan_cuda import exclusive_scan

        twin = self.kernels("sort_keys")
        sizes, out = twin.empty(n, np.int64), twin.empty(n + 1, np.int64)
        twin.run("take_values", n, size, order, sizes)
        exclusive_scan(sizes, out)
        return out

    def gathered(self, address, order, n: int, offset, read_group) -> GpuBatch:
        """The n records `order` in an arena of their own. offset: int64[n + 1] in it. read_group: int32, by record."""
        sort, records = self.kernels("sort_keys"), self.kernels("bam_records")
        with sort.alone():
            data, mine = sort.empty(int(sort.take(offset[n:])[0][0]), np.uint8), sort.empty(n, np.int64)
            sort.run("take_values", n, address, order, mine)
            sort.run("gather_records", n, mine, offset, data)
            columns = {name: records.empty(n, dtype) for name, dtype in FIXED.items()}
            records.run("decode_fixed", n, data, offset, *columns.values())
            groups = sort.empty(n, np.int32)
            sort.run("take_values", n, read_group, order, groups)
            batch = GpuBatch(self, n, {"data": data, "offset": offset, **columns, "read_group": groups})
            del data, mine, columns, groups
        return batch


class GpuRun:
    """All records on the GPU and their order. Iterate as often as needed, one pass at a time."""

    def __init__(self, card: Card, held: list[_Held], picard_ties: bool):
        self.card, twin = card, card.kernels("sort_keys")
        with twin.alone():
            key, self._address, size, self._read_group = (
                card.joined([getattr(h, c) for h in held]) for c in ("key", "address", "size", "read_group")
            )
            self._data, self._n = [h.data for h in held], key.size
            held.clear()
            key, self._order = twin.module.radix_sort(key)
            if picard_ties:
                self._settle(twin, key)
            self._offset = card.places(size, self._order, self._n)
            del key, size
        card.live.add(self)

    def _settle(self, twin, key):
        """Order what has equal keys: on the GPU, long runs on the host."""
        n = self._n
        (long,) = twin.put(np.zeros((n // twin.module.MOST_TIES + 2, 2), np.int64))
        scratch = twin.empty(n, np.int64)
        twin.run("settle_coordinate_ties", n, key, self._address, self._order, scratch, long)
        (found,) = twin.take(long)
        for a, b in found[1 : 1 + found[0, 0]].tolist():
            self._settle_on_host(twin, a, b)

    def _settle_on_host(self, twin, a, b):
        """Order places a..b, which have equal keys: the fixed fields and names of their records are sorted on the host."""
        from gpugenome.kernels.scan_cuda import exclusive_scan

        n, order = b - a, self._order[a:b]
        address, size, offset = twin.empty(n, np.int64), twin.empty(n, np.int64), twin.empty(n + 1, np.int64)
        twin.run("take_values", n, self._address, order, address)
        twin.run("head_sizes", n, address, size)
        exclusive_scan(size, offset)
        heads = twin.empty(int(twin.take(offset[n:])[0][0]), np.uint8)
        twin.run("gather_records", n, address, offset, heads)
        heads, place, now = twin.take(heads, offset, order)
        mine = np.arange(n)
        sort_names(place[:-1] + heads.ctypes.data, mine, 0, np.empty(n, np.int64))
        order.copy_to_device(twin.put(now[mine])[0])

    def __len__(self):
        return self._n

    def batches(self, max_reads: int):
        """Iterator of `GpuBatch`; who is done with one drops it."""
        twin = self.card.kernels("sort_keys")
        for a in range(0, self._n, max_reads):
            b = min(a + max_reads, self._n)
            with twin.alone():
                offset = twin.empty(b - a + 1, np.int64)
                twin.run("from_zero", b - a + 1, self._offset[a : b + 1], offset)
                batch = self.card.gathered(self._address, self._order[a:b], b - a, offset, self._read_group)
                del offset
            yield batch

    def drop(self) -> None:
        """Give the memory back."""
        with self.card.kernels("sort_keys").alone():
            self._data = self._address = self._order = self._offset = self._read_group = None
            self.card.live.discard(self)


_arenas: list[Arenas] = []


def _pinned(backend) -> Arenas:
    """Page-locked memory, of this process for good: to lock it costs more than to copy into it."""
    if not _arenas:
        from numba import cuda

        def pinned(size):
            with backend.kernels("bam_records").alone():
                return cuda.pinned_array(size, np.uint8)

        _arenas.append(Arenas(pinned))
    return _arenas[0]
