"""Memory touched ahead: handed out once, whole pieces only, and not beyond what was asked for."""

import weakref

import numpy as np

from gpugenome import arenas, touched
from gpugenome.touched import MOST_BYTES, PIECE_BYTES, Stock


def taken(stock, size):
    found = stock.take(size)
    return None if found is None else np.frombuffer(found[0], np.uint8, size, found[1])


def test_parts_of_a_piece_are_apart_and_writable():
    stock = Stock()
    stock.fill(PIECE_BYTES + 1).join()
    parts = [taken(stock, PIECE_BYTES // 4) for _ in range(4)]
    for i, part in enumerate(parts):
        part[:] = i
    assert [set(p[:: 1 << 12].tolist()) for p in parts] == [{0}, {1}, {2}, {3}]
    assert taken(stock, 1) is None


def test_nothing_more_is_touched_once_some_was_taken(monkeypatch):
    stock, cleared = Stock(), []
    monkeypatch.setattr(touched.ctypes, "memset", lambda *a: (cleared.append(a), stock.take(1)))
    stock.fill(MOST_BYTES).join()
    assert len(cleared) == 1


def test_small_inputs_and_more_than_the_most(monkeypatch):
    cleared = []
    monkeypatch.setattr(touched.ctypes, "memset", lambda *a: cleared.append(a))
    Stock().fill(PIECE_BYTES - 1).join()
    assert not cleared
    Stock().fill(100 * MOST_BYTES).join()
    assert len(cleared) * PIECE_BYTES == MOST_BYTES


def test_arenas_take_what_was_touched(monkeypatch):
    stock = Stock()
    stock.fill(PIECE_BYTES).join()
    monkeypatch.setattr(arenas, "stock", stock)
    lender = arenas.Arenas()
    first, too_large = lender.take(1000), lender.take(PIECE_BYTES)
    assert stock.take(PIECE_BYTES // 2) is not None  # the rest of the piece
    assert stock.take(PIECE_BYTES // 2) is None
    first[:] = 1
    too_large[:] = 2
    assert first.all() and first.size == 1000


def test_a_piece_goes_with_the_last_of_its_parts():
    stock = Stock()
    stock.fill(PIECE_BYTES).join()
    kept = [stock.take(PIECE_BYTES // 4) for _ in range(4)]
    piece = weakref.ref(kept[0][0])
    del kept
    assert piece() is None


def test_a_limit_on_memory_ends_it_quietly(monkeypatch, capfd):
    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(touched.mmap, "mmap", refuse)
    stock = Stock()
    stock.fill(MOST_BYTES).join()
    assert stock.take(1) is None and capfd.readouterr().err == ""
