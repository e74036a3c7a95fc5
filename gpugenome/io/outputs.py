"""Output files that appear under their final name only when they are complete."""

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from gpugenome.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
STDOUT = ("-", "/dev/stdout")


unfinished: set[str] = set()
"""Temporary files and folders of this process."""


def remove_unfinished() -> None:
    """Remove the temporary files and folders of this process, where it has to end at once."""
    for path in list(unfinished):
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else Path(path).unlink(missing_ok=True)


_complete: list["AtomicOutput"] | None = None


@contextmanager
def all_or_none():
    """Outputs that are completed inside get their names together at its end, or none of them does. Within another one it is a part of it.

    Raises
    ------
    InputError: one cannot get its name.
    """
    global _complete
    if _complete is not None:
        yield
        return
    _complete = []
    try:
        yield
        _give_names(_complete)
    finally:
        for output in _complete:
            output.discard()
        _complete = None


def _give_names(outputs) -> None:
    """Give complete outputs their final names. A signal that is to end the program waits until all have them."""
    waiting, handlers = [], {}
    if threading.current_thread() is threading.main_thread():
        handlers = {n: h for n in (signal.SIGINT, signal.SIGTERM) if callable(h := signal.getsignal(n))}
    for number in handlers:
        signal.signal(number, lambda n, _: waiting.append(n))
    try:
        for output in outputs:
            output.rename()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)


def is_special(path) -> bool:
    """True for stdout, pipes and devices: written in place, since there is nothing to rename."""
    return path in STDOUT or (os.path.exists(path) and not os.path.isfile(path))


def os_problem(path, error: OSError) -> InputError:
    """An operating system error on an output as one line for the user."""
    return InputError(path, f"cannot be written: {error.strerror or error}")


def _as_it_is(path, flags):
    """Open a file, which is empty, without emptying it: ext4 waits for the disk when one that was emptied is closed."""
    return os.open(path, flags & ~os.O_TRUNC)


class AtomicOutput:
    """Context manager: a temporary file in the target's folder, renamed to `path` on success, removed on failure.

    Use `write`, `.handle` (binary, opened on first use) or write to the name `.path`. For "-", pipes and devices both are the
    target itself. `also` registers companion files (index, digest), which get their names after the main file does. Within `all_or_none`
    all of them wait for the other outputs.

    Raises
    ------
    InputError: the folder is missing or not writable, or the disk is full.
    """

    def __init__(self, path, suffix: str = ""):
        self.final = os.fspath(path)
        self.special = is_special(self.final)
        self.suffix = suffix
        self._handle = None
        self._companions: list[AtomicOutput] = []

    def __enter__(self) -> "AtomicOutput":
        self.open()
        return self

    def open(self) -> "AtomicOutput":
        """Make the temporary file; `with` does this."""
        if self.special:
            self.path = "/dev/stdout" if self.final in STDOUT else self.final
            return self
        if os.path.isdir(self.final):
            raise InputError(self.final, "is a folder, expected a file name")
        folder, name = os.path.split(os.path.abspath(self.final))
        try:
            number, self.path = tempfile.mkstemp(prefix=f".{name}.", suffix=self.suffix or ".part", dir=folder)
        except OSError as e:
            raise os_problem(self.final, e) from None
        unfinished.add(self.path)
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(number, 0o666 & ~mask)
        os.close(number)
        return self

    @property
    def handle(self):
        """The binary file object to write to."""
        if self._handle is None:
            if self.final in STDOUT:
                self._handle = sys.stdout.buffer
            else:
                self._handle = open(self.path, "wb", opener=_as_it_is)  # noqa: SIM115 closed in close()
        return self._handle

    def write(self, data) -> None:
        """Write bytes through to the file system, so that a full disk is told of this output and before any other gets its name.

        Raises
        ------
        InputError: they cannot be written. BrokenPipeError: nobody reads the pipe any more.
        """
        try:
            self.handle.write(data)
            self.handle.flush()
        except BrokenPipeError:
            raise
        except OSError as e:
            raise os_problem(self.final, e) from e

    def also(self, path) -> "AtomicOutput":
        """A companion output with the same fate as this one."""
        companion = AtomicOutput(path).open()
        self._companions.append(companion)
        return companion

    def __exit__(self, kind, error, trace):
        if kind is None:
            try:
                self.commit()
            except BaseException as e:
                self.discard()
                if isinstance(e, OSError):
                    raise os_problem(self.final, e) from e
                raise
            return
        self.discard()
        if isinstance(error, OSError) and error.errno in _FULL:
            raise os_problem(self.final, error) from error

    def _close(self):
        if self._handle is not None:
            handle, self._handle = self._handle, None
            if self.final in STDOUT:
                handle.flush()
            else:
                handle.close()

    def commit(self):
        """Close everything and give the files their final names."""
        for output in [self, *self._companions]:
            output._close()
        if _complete is None:
            _give_names([self])
        else:
            _complete.append(self)

    def rename(self):
        """Give the files, which are complete, their final names."""
        for output in [self, *self._companions]:
            if not output.special:
                try:
                    os.replace(output.path, output.final)
                except OSError as e:
                    raise os_problem(output.final, e) from e
                unfinished.discard(output.path)

    def discard(self):
        """Close everything and remove the temporary files."""
        for output in [self, *self._companions]:
            try:
                output._close()
            except OSError:
                pass  # a full disk shows again on closing; the first error is the one to report
            if not output.special:
                try:
                    os.unlink(output.path)
                except FileNotFoundError:
                    pass
                unfinished.discard(output.path)
