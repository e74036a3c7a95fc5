"""Overlap of stages: order, errors, and generators that are closed before their end."""

import threading

import pytest

from gpugenome.pipeline import ahead, ordered_map


def test_order_and_errors():
    def part(i):
        if i == 7:
            raise ValueError("seven")
        return i * i

    assert list(ordered_map(part, range(7), 3)) == [0, 1, 4, 9, 16, 25, 36]
    taken = []
    with pytest.raises(ValueError, match="seven"):
        taken.extend(iter(ordered_map(part, range(20), 3)))
    assert taken == [0, 1, 4, 9, 16, 25, 36]
    assert list(ahead(iter("abc"))) == ["a", "b", "c"]


def close(source):
    """Whether a generator is closed while what it has begun cannot end."""
    closing = threading.Thread(target=source.close, daemon=True)
    closing.start()
    closing.join(20)
    return not closing.is_alive()


def test_what_is_closed_early_does_not_wait():
    """To wait is to wait for ever where garbage is collected while a thread starts, which holds a lock that it takes to join another."""
    go_on = threading.Event()

    def items():
        yield 0
        go_on.wait()
        yield 1

    source = ahead(items())
    assert next(source) == 0
    assert close(source)
    source = ordered_map(lambda i: i and go_on.wait(), range(9), 2, ahead=1)
    assert next(source) == 0
    assert close(source)
    go_on.set()
