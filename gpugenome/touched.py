"""Memory that is touched before it is used: while modules are imported, which keeps one core busy, another one fetches memory.

To touch memory for the first time takes half a second a GB on a virtual machine, a sixth of the time of a sort. Nothing here needs numpy.
"""

import ctypes
import mmap
import threading

PIECE_BYTES = 68 << 20
"""Bytes that are touched in one call: four inflated chunks of a BGZF file, as `gpugenome.io.bgzf` has them."""
MOST_BYTES = 5 * PIECE_BYTES
"""What is worth touching: as much as is done by the time that the modules are there."""


class Stock:
    """Pieces of memory that have been touched, of which parts are taken until they are used up."""

    def __init__(self):
        self._pieces, self._lock, self._missing = [], threading.Lock(), 0

    def fill(self, size: int) -> threading.Thread:
        """Begin to touch so many bytes, whole pieces and `MOST_BYTES` at most, in a thread of its own until some are taken."""
        self._missing = min(size, MOST_BYTES) // PIECE_BYTES
        thread = threading.Thread(target=self._touch, name="gpugenome-touch", daemon=True)
        thread.start()
        return thread

    def _touch(self):
        while self._missing > 0:
            self._missing -= 1
            try:
                piece = mmap.mmap(-1, PIECE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            except OSError:
                return  # a limit on memory: the command may do with less
            ctypes.memset((ctypes.c_char * PIECE_BYTES).from_buffer(piece), 0, PIECE_BYTES)
            with self._lock:
                self._pieces.append([piece, 0])

    def take(self, size: int):
        """(a piece, the first byte of `size` bytes in it) that nobody else has, or None. Nothing more is touched from now on.

        A piece that has no room for as much again is not kept: its memory goes with the last part that was taken.
        """
        self._missing = 0
        with self._lock:
            for piece in self._pieces:
                begin = piece[1]
                if begin + size <= PIECE_BYTES:
                    piece[1] += size
                    if piece[1] + size > PIECE_BYTES:
                        self._pieces.remove(piece)
                    return piece[0], begin
        return None


stock = Stock()
