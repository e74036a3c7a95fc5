"""Large byte arrays that are used again: touching fresh memory costs more than inflating into it."""

import weakref

import numpy as np

from gpugenome.touched import stock

_STEP = 1 << 20  # sizes are multiples of it, so that one that is nearly the last one fits


def _fresh(size):
    touched = stock.take(size)
    return np.frombuffer(touched[0], np.uint8, size, touched[1]) if touched else np.empty(size, np.uint8)


class Arenas:
    """Lends uint8 arrays. One whose views are all gone is lent again; the free ones go with this object.

    make: gives an array of so many bytes.
    """

    def __init__(self, make=_fresh):
        self._free: list[np.ndarray] = []
        self._make = make

    def take(self, size: int) -> np.ndarray:
        """An array of `size` bytes, their values undefined."""
        fits = next((i for i, a in enumerate(self._free) if a.size >= size), None)
        whole = self._make(-(-size // _STEP) * _STEP) if fits is None else self._free.pop(fits)
        lent = np.frombuffer(memoryview(whole), np.uint8, size)
        # Arrays made from this one refer to it; the last of them ends its base, a memoryview of its own.
        weakref.finalize(lent.base, self._free.append, whole).atexit = False
        return lent


class Columns:
    """Lends arrays out of large pieces of memory, which take few and large pages. A piece is used again once all its arrays are gone."""

    _PIECE_BYTES = 16 << 20

    def __init__(self):
        self._arenas, self._piece, self._at = Arenas(), np.empty(0, np.uint8), 0

    def empty(self, size: int, dtype) -> np.ndarray:
        """An array of `size` values, undefined."""
        used = size * np.dtype(dtype).itemsize
        taken = -(-used // 64) * 64
        if taken > self._piece.size - self._at:
            self._piece, self._at = self._arenas.take(max(taken, self._PIECE_BYTES)), 0
        out = self._piece[self._at : self._at + used].view(dtype)
        self._at += taken
        return out
