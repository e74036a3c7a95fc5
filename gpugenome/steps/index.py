"""Building the index of a reference: bwa's five files as arrays, and the full suffix array that our aligner searches.

Source: specification chapter "bwa_mem", section 2.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gpugenome.errors import UserError
from gpugenome.kernels import index_cpu as kernel
from gpugenome.kernels import suffix_array_cpu as sais
from gpugenome.kernels.launch import run_chunks

CODES = np.full(256, 4, np.uint8)
for _i, _letter in enumerate(b"ACGT"):
    CODES[_letter] = CODES[_letter + 32] = _i
LONGEST_PREFIX = 12


@dataclass
class PackedReference:
    """A reference as bwa packs it.

    words: the packed doubled text (`kernels.index_cpu`), letters other than ACGT drawn at random as bwa does. length: L, bases of one
    strand. holes: int64[k, 3] (begin, length, letter). names, comments: one a contig (None where the header has no comment).
    offsets, lengths: int64.
    """

    words: np.ndarray
    length: int
    holes: np.ndarray
    names: list[str]
    comments: list[str | None]
    offsets: np.ndarray
    lengths: np.ndarray


def pack_reference(names, comments, sequences, threads: int = 1) -> PackedReference:
    """sequences: one uint8 array of letters a contig."""
    lengths = np.array([len(s) for s in sequences], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    codes = np.empty(int(lengths.sum()), np.uint8)
    holes, state = [], np.uint64(kernel.HOLE_SEED << 16 | 0x330E)
    for at, letters in zip(offsets, sequences):
        part = codes[at : at + len(letters)]
        np.take(CODES, letters, out=part)
        found = np.empty((kernel.find_holes(letters, part, np.empty((0, 3), np.int64)), 3), np.int64)
        kernel.find_holes(letters, part, found)
        found[:, 0] += at
        holes.append(found)
        state = np.uint64(kernel.fill_holes(part, state))
    words = doubled_words(codes, threads)
    return PackedReference(words, len(codes), np.concatenate(holes), list(names), list(comments), offsets, lengths)


@dataclass
class Rows:
    """A full suffix array: low: uint32[n + 1]; high: uint32, the bit above those of each entry, or uint8[0] where 32 bits are enough."""

    low: np.ndarray
    high: np.ndarray


def _sort_level(text, symbols, sa, spare):
    """Sort the suffixes of a text of symbols into `sa` (both uint32[n]); `text` is overwritten with symbol * 2 + type.

    spare: uint32, memory for counts; other memory is taken where it is too small.
    """
    if 2 * symbols > spare.size:
        spare = np.empty(2 * symbols, np.uint32)
    count, bound, spare = spare[:symbols], spare[symbols : 2 * symbols], spare[2 * symbols :]
    count[:] = 0
    m = sais.classify(text, count)
    sais.place_unsorted_symbols(text, count, bound, sa)
    sais.induce_symbols(text, count, bound, sa, True)
    names = sais.name_symbols(text, m, sa)
    sais.compact(sa, (text.size + 1) // 2)
    _sort_names(sa, m, names, spare)
    sais.lms_of_symbols(text, sa)
    sais.look_up_symbols(m, sa)
    sais.place_sorted_symbols(text, m, count, bound, sa)
    sais.induce_symbols(text, count, bound, sa, False)


def _sort_names(sa, m, names, spare):
    """Sort the suffixes of the m names at the end of `sa` into its beginning. spare: as for `_sort_level`."""
    text, order = sa[sa.size - m :], sa[:m]
    if names < m:
        _sort_level(text, names, order, spare)
    else:
        sais.invert(text, order)


def suffix_array(words: np.ndarray, n: int, wide: bool | None = None) -> Rows:
    """Rows 0..n of the suffix array of a packed text of n bases and an end that is smaller than all of them.

    Takes 4 bytes a base besides the text (with `wide`, which is for texts of 2^32 bases and more, 4.125).

    Raises
    ------
    UserError: a text of 2^33 bases or more, or so many names that they and their types do not fit 32 bits.
    """
    if n >= 2**33:
        raise UserError(f"the reference has {n // 2} bases, expected less than 2^32")
    wide = n >= 2**32 if wide is None else wide
    rows = Rows(np.empty(n + 1, np.uint32), np.zeros(n // 32 + 1, np.uint32) if wide else np.empty(0, np.uint8))
    if n == 0:
        rows.low[0] = 0
        return rows
    text = words, n
    count = np.zeros((3, 4), np.int64)
    m = sais.count_types(*text, count)
    sais.place_unsorted(*text, count, rows.low, rows.high)
    sais.induce_larger(*text, count, rows.low, rows.high)
    sais.induce_smaller(*text, count, rows.low, rows.high, True)
    names = sais.name_in_text(*text, m, rows.low, rows.high)
    if names > 2**31:
        raise UserError(f"the reference has {names} different substrings of its first level, expected 2^31 at most")
    sais.compact(rows.low, n // 2 + 1)
    _sort_names(rows.low, m, names, rows.low[m : n + 1 - m])
    sais.lms_of_text(*text, rows.low, rows.high, n + 1)
    sais.look_up(m, rows.low, rows.high, n + 1 - m)
    sais.place_sorted(n, m, count, rows.low, rows.high)
    sais.induce_larger(*text, count, rows.low, rows.high)
    sais.induce_smaller(*text, count, rows.low, rows.high, False)
    return rows


def doubled_words(codes: np.ndarray, threads: int = 1) -> np.ndarray:
    """uint64: the packed doubled text of a forward strand's codes (uint8[L]), two words of padding."""
    n = 2 * codes.size
    words = np.zeros(n // 32 + 3, np.uint64)
    run_chunks(kernel.pack_doubled, (n + 31) // 32, threads, codes, words)
    return words


def prefix_length(length: int) -> int:
    """Bases that the prefix table indexes, for a doubled text of this length: about one row an entry, at most LONGEST_PREFIX."""
    return int(min(LONGEST_PREFIX, max(4, np.log2(max(length, 1)) // 2)))


def prefix_table(words: np.ndarray, n: int, k: int) -> np.ndarray:
    """uint32 or int64[4^k + 1]: the first row of the suffix array whose suffix begins with each k bases. words: the packed n bases."""
    first = np.zeros(4**k + 1, np.int64)
    kernel.count_prefixes(words, n, k, first)
    return np.cumsum(first, out=first).astype(np.uint32 if n < 2**32 - 1 else np.int64)


def base_counts(words: np.ndarray, n: int) -> np.ndarray:
    """int64[4]: how often each base occurs in a packed text of n bases."""
    count = np.zeros((3, 4), np.int64)
    sais.count_types(words, n, count)
    return count[0]


@dataclass
class Bwt:
    """bwa's Burrows-Wheeler transform.

    primary: row of the whole text. totals: uint64[4], cumulative base counts. body: pieces of the blocks as in `.bwt`, one after the
    other (uint32). sampled: uint64, rows 32, 64, ... of the suffix array, in pieces too.
    """

    primary: int
    totals: np.ndarray
    body: Iterable[np.ndarray]
    sampled: Iterable[np.ndarray]


_PIECE = 1 << 17
"""Blocks of 128 rows that are made at a time where a large array goes to a file."""


def burrows_wheeler(words: np.ndarray, n: int, rows: Rows, threads: int = 1) -> Bwt:
    """The transform of a packed text of n bases from its suffix array; its pieces are made as they are taken."""
    primary = kernel.first_row_of_text(rows.low, rows.high)
    blocks = (n + kernel.BLOCK - 1) // kernel.BLOCK

    def body():
        total = np.zeros(4, np.uint64)
        for first in range(0, blocks, _PIECE):
            size = min(_PIECE, blocks - first)
            piece = np.zeros(size * 8, np.uint64)
            run_chunks(kernel.bwt_blocks, size, threads, rows.low, rows.high, words, primary, first, piece)
            kernel.accumulate_blocks(piece, size, total)
            symbols = min(size * kernel.BLOCK, n - first * kernel.BLOCK)
            yield piece.view(np.uint32)[: 8 * size + (symbols + 15) // 16]
        yield total.view(np.uint32)

    def sampled():
        step = kernel.SAMPLING * _PIECE
        for begin in range(kernel.SAMPLING, n + 1, step):
            which = np.arange(begin, min(begin + step, n + 1), kernel.SAMPLING)
            places = rows.low[which].astype(np.uint64)
            if rows.high.size:
                places |= (rows.high[which >> 5].astype(np.uint64) >> (which & 31).astype(np.uint64) & np.uint64(1)) << np.uint64(32)
            yield places

    return Bwt(primary, np.cumsum(base_counts(words, n)).astype(np.uint64), body(), sampled())


def expand(bwt: Bwt, threads: int = 1, wide: bool | None = None) -> np.ndarray:
    """The rows that a search reads from a transform and its sampled rows. wide: as for `suffix_array`."""
    length = int(bwt.totals[3])
    wide = length >= 2**32 if wide is None else wide
    low, tops = np.empty(length + 1, np.uint32), np.empty(length + 1 if wide else 0, np.uint8)
    whole, sampled = (np.concatenate([np.empty(0, kind), *pieces]) for kind, pieces in ((np.uint32, bwt.body), (np.uint64, bwt.sampled)))
    body = np.zeros((len(whole) + 31) // 16 * 8, np.uint64)
    body.view(np.uint32)[: len(whole)] = whole
    start = np.array([0, *bwt.totals[:3]], np.int64)
    run_chunks(kernel.expand_suffix_array, length // kernel.SAMPLING + 1, threads, body, start, bwt.primary, length, sampled, low, tops)
    if not tops.size:
        return low
    high = np.packbits(tops, bitorder="little")
    rows = Rows(low, np.concatenate([high, np.zeros(-high.size % 4, np.uint8)]).view(np.uint32))
    return np.concatenate(list(search_rows(rows, threads)))


def search_rows(rows: Rows, threads: int = 1) -> Iterable[np.ndarray]:
    """Pieces of the rows that a search reads (`kernels.seeding_cpu.row_place`)."""
    if not rows.high.size:
        yield rows.low
        return
    step = kernel.LINE_ROWS * _PIECE * 32  # begins with a word of `high`
    for begin in range(0, rows.low.size, step):
        low = rows.low[begin : begin + step]
        lines = np.empty(-(-low.size // kernel.LINE_ROWS) * 8, np.uint64)
        run_chunks(kernel.line_rows, len(lines) // 8, threads, low, rows.high[begin // 32 :], lines)
        yield lines


@dataclass
class SearchIndex:
    """What the aligner searches.

    names, comments, offsets, lengths: the contigs, as in `PackedReference`. length: L, bases of the forward strand.
    words: uint64, the packed doubled text. sa: the full suffix array: uint32[2L+1], or
    uint64 lines, see `kernels.seeding_cpu.row_place`.
    prefix: bases that the table takes. first: uint32 or int64[4^prefix+1], first row a prefix.
    unique: uint8[2L], bases from each position on that occur once in the doubled text; NOT_UNIQUE: as many or more, or none do.
    """

    names: list[str]
    comments: list[str | None]
    offsets: np.ndarray
    lengths: np.ndarray
    length: int
    words: np.ndarray
    sa: np.ndarray
    prefix: int
    first: np.ndarray
    unique: np.ndarray


def unique_lengths(words: np.ndarray, n: int, sa: np.ndarray, threads: int = 1) -> np.ndarray:
    """`SearchIndex.unique` of a packed doubled text of n bases."""
    unique = np.empty(n, np.uint8)
    run_chunks(kernel.unique_lengths, n, threads, words, n, sa, unique)
    return unique


def search_index(packed: PackedReference, sa: np.ndarray, threads: int = 1) -> SearchIndex:
    """The search structures of a packed reference whose doubled text has the suffix array `sa`, as a search reads it."""
    n = 2 * packed.length
    k = prefix_length(n)
    return SearchIndex(
        packed.names, packed.comments, packed.offsets, packed.lengths, packed.length, packed.words, sa, k,
        prefix_table(packed.words, n, k), unique_lengths(packed.words, n, sa, threads),
    )  # fmt: skip


def index_in_memory(packed: PackedReference, threads: int = 1) -> SearchIndex:
    """The search structures of a packed reference."""
    rows = suffix_array(packed.words, 2 * packed.length)
    pieces = list(search_rows(rows, threads))
    return search_index(packed, pieces[0] if len(pieces) == 1 else np.concatenate(pieces), threads)
