"""Library size and return on investment from duplicate counts. Source: Picard DuplicationMetrics (Lander-Waterman)."""

import math


def estimate_library_size(read_pairs: int, unique_read_pairs: int) -> int | None:
    """Molecules in the library, from the pairs examined (without optical ones) and the unique ones; None if it cannot be told."""
    if read_pairs <= 0 or read_pairs - unique_read_pairs <= 0:
        return None
    if unique_read_pairs == 0:
        return 0  # as Java's bisection over 0 / 0 ends

    def excess(x):
        return unique_read_pairs / x - 1 + math.exp(-read_pairs / x)

    low, high = 1.0, 100.0
    while excess(high * unique_read_pairs) > 0:
        high *= 10.0
    for _ in range(40):
        middle = (low + high) / 2.0
        u = excess(middle * unique_read_pairs)
        if u == 0:
            break
        if u > 0:
            low = middle
        else:
            high = middle
    return int(unique_read_pairs * (low + high) / 2.0)


def return_on_investment(library_size: int, x: float, pairs: int, unique_pairs: int) -> float:
    """Unique pairs after sequencing x times as much, as a multiple of those there are now."""
    if unique_pairs == 0:
        return math.nan
    return library_size * (1 - math.exp(-(x * pairs) / library_size)) / unique_pairs
