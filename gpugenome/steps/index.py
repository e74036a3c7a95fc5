"""Building the index of a reference: bwa's five files as arrays, and the full suffix array that our aligner searches.

Source: specification chapter "bwa_mem", section 2.
"""

from dataclasses import dataclass

import numpy as np

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

    codes: uint8[L], 0..3, letters other than ACGT drawn at random as bwa does. holes: int64[k, 3] (begin, length, letter).
    names, comments: one a contig (None where the header has no comment). offsets, lengths: int64.
    """

    codes: np.ndarray
    holes: np.ndarray
    names: list[str]
    comments: list[str | None]
    offsets: np.ndarray
    lengths: np.ndarray


def pack_reference(names, comments, sequences) -> PackedReference:
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
    return PackedReference(codes, np.concatenate(holes), list(names), list(comments), offsets, lengths)


def double(codes: np.ndarray) -> np.ndarray:
    """uint8[2L]: the forward strand, then its reverse complement."""
    return np.concatenate([codes, 3 - codes[::-1]])


def _sort_level(text, symbols, kind):
    """Suffix array of one level's text; `text` is overwritten with symbol * 2 + type."""
    n = text.size
    count = np.zeros(symbols, np.int64)
    m = sais.classify(text, count)
    sa = np.empty(n, kind)
    positions = np.empty(m, kind)
    sais.lms_positions(text, positions)
    sais.place(text, positions, count, sa)
    sais.induce(text, count, sa)
    name = np.empty((n + 1) // 2, kind)
    names = sais.name_substrings(text, sa, name)
    reduced = np.empty(m, kind)
    sais.compact(name, reduced)
    del name
    if names < m:
        order = _sort_level(reduced, names, kind)
    else:
        order = np.empty(m, kind)
        sais.invert(reduced, order)
    sais.place(text, positions[order], count, sa)
    sais.induce(text, count, sa)
    return sa


def suffix_array(codes: np.ndarray) -> np.ndarray:
    """Rows 0..n of the suffix array of codes (0..3) and a smaller sentinel: int32[n+1] or, beyond 2^30 bases, int64."""
    text = np.empty(codes.size + 1, np.uint8)
    np.add(codes, 1, out=text[:-1])
    text[-1] = 0
    return _sort_level(text, 5, np.int32 if text.size < 1 << 30 else np.int64)


def packed_words(codes: np.ndarray, threads: int = 1) -> np.ndarray:
    """uint64: codes packed 32 a word, two words of padding."""
    words = np.zeros(codes.size // 32 + 3, np.uint64)
    run_chunks(kernel.pack_words, (codes.size + 31) // 32, threads, codes, words)
    return words


def prefix_length(length: int) -> int:
    """Bases that the prefix table indexes, for a doubled text of this length: about one row an entry, at most LONGEST_PREFIX."""
    return int(min(LONGEST_PREFIX, max(4, np.log2(max(length, 1)) // 2)))


def prefix_table(doubled: np.ndarray, k: int) -> np.ndarray:
    """uint32 or int64[4^k + 1]: the first row of the suffix array whose suffix begins with each k bases."""
    first = np.zeros(4**k + 1, np.int64)
    kernel.count_prefixes(doubled, k, first)
    return np.cumsum(first, out=first).astype(np.uint32 if doubled.size < 2**32 - 1 else np.int64)


@dataclass
class Bwt:
    """bwa's Burrows-Wheeler transform.

    primary: row of the whole text. totals: uint64[4], cumulative base counts. body: uint32, the blocks as in `.bwt`.
    sampled: uint64, rows 32, 64, ... of the suffix array.
    """

    primary: int
    totals: np.ndarray
    body: np.ndarray
    sampled: np.ndarray


def burrows_wheeler(doubled: np.ndarray, sa: np.ndarray, threads: int = 1) -> Bwt:
    """The transform of a doubled text from its suffix array."""
    n = doubled.size
    symbols = np.empty(n + 1, np.uint8)
    run_chunks(kernel.bwt_symbols, n + 1, threads, sa, doubled, symbols)
    primary = int(np.flatnonzero(symbols == 4)[0])
    symbols = np.delete(symbols, primary)
    blocks = (n + kernel.BLOCK - 1) // kernel.BLOCK
    words = np.zeros(blocks * 8, np.uint64)
    run_chunks(kernel.bwt_blocks, blocks, threads, symbols, words)
    total = np.zeros(4, np.uint64)
    kernel.accumulate_blocks(words, blocks, total)
    used = 8 * blocks + (n + 15) // 16
    body = np.concatenate([words.view(np.uint32)[:used], total.view(np.uint32)])
    return Bwt(primary, np.cumsum(total), body, sa[kernel.SAMPLING :: kernel.SAMPLING].astype(np.uint64))


def expand(bwt: Bwt, threads: int = 1) -> np.ndarray:
    """The full suffix array from a transform and its sampled rows: uint32[2L+1], int64 from 2^32 on."""
    length = int(bwt.totals[3])
    sa = np.empty(length + 1, np.uint32 if length < 2**32 - 1 else np.int64)
    body = np.zeros((len(bwt.body) + 31) // 16 * 8, np.uint64)
    body.view(np.uint32)[: len(bwt.body)] = bwt.body
    start = np.array([0, *bwt.totals[:3]], np.int64)
    run_chunks(kernel.expand_suffix_array, length // kernel.SAMPLING + 1, threads, body, start, bwt.primary, length, bwt.sampled, sa)
    return sa


@dataclass
class SearchIndex:
    """What the aligner searches.

    names, comments, offsets, lengths: the contigs, as in `PackedReference`. length: L, bases of the forward strand.
    words: uint64, the packed doubled text. sa: uint32 or int64[2L+1], the full suffix array.
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


def unique_lengths(words: np.ndarray, sa: np.ndarray, threads: int = 1) -> np.ndarray:
    """`SearchIndex.unique` of a packed doubled text."""
    unique = np.empty(sa.size - 1, np.uint8)
    run_chunks(kernel.unique_lengths, unique.size, threads, words, sa, unique)
    return unique


def search_index(packed: PackedReference, sa: np.ndarray, threads: int = 1) -> SearchIndex:
    """The search structures of a packed reference whose doubled text has the suffix array `sa`."""
    doubled = double(packed.codes)
    k = prefix_length(doubled.size)
    if sa.dtype == np.int32:
        sa = sa.view(np.uint32)
    words = packed_words(doubled, threads)
    return SearchIndex(
        packed.names, packed.comments, packed.offsets, packed.lengths, len(packed.codes), words, sa, k, prefix_table(doubled, k),
        unique_lengths(words, sa, threads),
    )  # fmt: skip
