"""Read batches and rows of numbers as Arrow IPC files, which `io.spill` makes. Source: Apache Arrow IPC format."""

import numpy as np
import pyarrow as pa

from gpugenome.batch import ReadBatch
from gpugenome.columns import FIXED

_TYPES = {np.int32: pa.int32(), np.uint8: pa.uint8(), np.uint16: pa.uint16()}
_SCHEMA = pa.schema([("record", pa.large_binary()), *((k, _TYPES[v]) for k, v in FIXED.items()), ("read_group", pa.int32())])


def write_batches(name, batches) -> "SpilledRun":
    """Write an iterable of ReadBatch to a file."""
    _write(name, _SCHEMA, map(_to_arrow, batches))
    return SpilledRun(name)


def write_rows(name, parts: list[np.ndarray]) -> "SpilledRows":
    """Write structured arrays of one dtype to a file."""
    dtype = parts[0].dtype
    schema = pa.schema([("row", pa.binary(dtype.itemsize))])
    arrays = (pa.FixedSizeBinaryArray.from_buffers(schema.field(0).type, len(p), [None, pa.py_buffer(p)]) for p in parts)
    _write(name, schema, (pa.RecordBatch.from_arrays([a], schema=schema) for a in arrays))
    return SpilledRows(name, dtype, sum(map(len, parts)))


def _write(name, schema, batches):
    with pa.OSFile(name, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _to_arrow(batch):
    begin, end = int(batch.offset[0]), int(batch.offset[-1])
    offset = np.ascontiguousarray(batch.offset - begin)
    data = np.ascontiguousarray(batch.data[begin:end])
    records = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(batch), [None, pa.py_buffer(offset), pa.py_buffer(data)])
    columns = [pa.array(np.ascontiguousarray(getattr(batch, k))) for k in [*FIXED, "read_group"]]
    return pa.RecordBatch.from_arrays([records, *columns], schema=_SCHEMA)


class SpilledRun:
    """The batches of one spill file, in order; iterate as often as needed."""

    def __init__(self, name):
        self.name = name

    def __iter__(self):
        # Read, not mapped: mapped pages would count as resident beyond the memory budget.
        with pa.OSFile(self.name, "rb") as source, pa.ipc.open_file(source) as reader:
            for i in range(reader.num_record_batches):
                yield _from_arrow(reader.get_batch(i))


def _from_arrow(record_batch):
    n = record_batch.num_rows
    _, offset, data = record_batch.column(0).buffers()
    # Copied, all of it: Arrow's buffers are read-only, later steps write flags and qualities into the arena, and a view of one column
    # would keep the bytes of the whole batch, the records once more.
    columns = {k: record_batch.column(i + 1).to_numpy().copy() for i, k in enumerate([*FIXED, "read_group"])}
    offset = np.frombuffer(offset, np.int64)[: n + 1].copy() if n else np.zeros(1, np.int64)
    return ReadBatch(np.frombuffer(data, np.uint8)[: offset[-1]].copy(), offset, **columns)


class SpilledRows:
    """The structured arrays of one spill file, by number; not to be written to. rows: how many in all."""

    def __init__(self, name, dtype, rows):
        self.rows, self._dtype = rows, dtype
        self._reader = pa.ipc.open_file(pa.OSFile(name, "rb"))

    def part(self, i: int) -> np.ndarray:
        """Array number i."""
        rows = self._reader.get_batch(i)
        return np.frombuffer(rows.column(0).buffers()[1], self._dtype, rows.num_rows) if rows.num_rows else np.empty(0, self._dtype)
