"""The folder of spill files: read batches and rows of numbers beyond a memory budget (`io.arrow`, imported when it is used)."""

import errno
import os
import shutil
import tempfile

from gpugenome.errors import InputError
from gpugenome.io.outputs import unfinished


class SpillFolder:
    """A temporary folder for spill files; removed by `close` (and on leaving a `with`).

    Raises
    ------
    InputError: the folder cannot be made, or the disk is full.
    """

    def __init__(self, parent=None):
        self._parent, self.path, self._count = parent, None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Remove the folder and its files."""
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
            unfinished.discard(self.path)
            self.path = None

    def write(self, batches):
        """Write an iterable of ReadBatch to one file; returns an `io.arrow.SpilledRun`."""
        from gpugenome.io.arrow import write_batches

        return self._write(write_batches, batches)

    def write_rows(self, parts):
        """Write a list of structured arrays of one dtype to one file; returns an `io.arrow.SpilledRows`."""
        from gpugenome.io.arrow import write_rows

        return self._write(write_rows, parts)

    def _write(self, write, what):
        try:
            if self.path is None:
                self.path = tempfile.mkdtemp(prefix="gpugenome-", dir=self._parent)
                unfinished.add(self.path)
            name = os.path.join(self.path, f"run{self._count:05d}.arrow")
            self._count += 1
            return write(name, what)
        except OSError as e:
            full = e.errno in (errno.ENOSPC, errno.EDQUOT) or "No space" in str(e)
            problem = "the disk is full, give another folder with --tmp-dir or more --memory" if full else e.strerror or str(e)
            raise InputError(self.path or self._parent or tempfile.gettempdir(), f"spill files cannot be written: {problem}") from e
