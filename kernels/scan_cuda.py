"""Running sums on a GPU: places for what kernels write side by side. Integers, so they do not depend on the order of additions.

Pieces of 128 values are summed, the sums are scanned in the same way, and each piece is gone through again from where it begins: the
values are read twice and written once. A thread a piece, so neighbouring threads are 1 KB apart; a piece's lines stay in the cache.
"""

from numba import cuda

from gpugenome.kernels.launch_cuda import kernel

PIECE = 128


@kernel()
def piece_sums(begin, end, values, sums):
    """sums[p] = the sum of piece p of values (both int64). Thread: a piece."""
    p = begin + cuda.grid(1)
    if p < end:
        total = 0
        for i in range(p * PIECE, min((p + 1) * PIECE, values.size)):
            total += values[i]
        sums[p] = total


@kernel()
def piece_places(begin, end, values, before, out):
    """out[i] = the sum of values[:i], and of all at out[n] where there is such a place. before: int64, the sum before each piece.

    Thread: a piece. With a single piece `before` is not looked at.
    """
    p = begin + cuda.grid(1)
    if p < end:
        total = before[p] if end > 1 else 0
        for i in range(p * PIECE, min((p + 1) * PIECE, values.size)):
            here = values[i]
            out[i] = total
            total += here
        if p == end - 1 and out.size > values.size:
            out[values.size] = total


def exclusive_scan(values, out) -> None:
    """out[i] = the sum of values[:i]. values: int64[n] (n > 0). out: int64[n] or int64[n + 1], not the same array; both on the device."""
    pieces = -(-values.size // PIECE)
    before = cuda.device_array(pieces, "i8")
    if pieces > 1:
        sums = cuda.device_array(pieces, "i8")
        piece_sums(0, pieces, values, sums)
        exclusive_scan(sums, before)
    piece_places(0, pieces, values, before, out)


SIGNATURES = {
    "piece_sums": "(i8, i8, i8[::1], i8[::1])",
    "piece_places": "(i8, i8, i8[::1], i8[::1], i8[::1])",
}
