"""The bwa index as arrays: packed text, Burrows-Wheeler blocks, and the full suffix array with a table of prefixes.

The doubled text is the forward reference followed by its reverse complement, codes 0..3; row 0 of the matrix is the empty suffix.
Packed text: uint64 words of 32 bases, the first in the highest bits, zero padded, one more word at the end, so that words compare
as the bases do. Source: specification chapter "bwa_mem", section 2.
"""

import numpy as np

from gpugenome.kernels.bits import set_bits
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, prefetch
from gpugenome.kernels.seeding_cpu import LINE_ROWS, NOT_UNIQUE, common_prefix, row_place
from gpugenome.kernels.suffix_array_cpu import AHEAD, base_at, entry

BLOCK = 128  # symbols of one block of `.bwt`
SAMPLING = 32  # rows from one entry of `.sa` to the next
HOLE_SEED = 11


@jit
def fill_holes(codes, state):
    """Replace codes above 3 by the two bits that bwa draws for them (lrand48() & 3). Returns the generator's state."""
    for i in range(codes.size):
        if codes[i] > 3:
            state = (np.uint64(0x5DEECE66D) * state + np.uint64(0xB)) & np.uint64((1 << 48) - 1)
            codes[i] = (state >> np.uint64(17)) & np.uint64(3)
    return state


@jit
def find_holes(letters, codes, out):
    """Runs of one and the same letter with a code above 3: rows (begin, length, letter) in out (int64[k, 3]). Returns their number."""
    n = 0
    for i in range(letters.size):
        if codes[i] > 3:
            if i > 0 and codes[i - 1] > 3 and letters[i - 1] == letters[i]:
                if n <= out.shape[0]:
                    out[n - 1, 1] += 1
            else:
                if n < out.shape[0]:
                    out[n, 0], out[n, 1], out[n, 2] = i, 1, letters[i]
                n += 1
    return n


@jit
def pack_doubled(begin, end, codes, words):
    """Words begin..end of the packed doubled text of a forward strand's codes (uint8[L])."""
    length = codes.size
    for w in range(begin, end):
        value = np.uint64(0)
        for i in range(w * 32, w * 32 + 32):
            value = value << np.uint64(2)
            if i < length:
                value |= np.uint64(codes[i])
            elif i < 2 * length:
                value |= np.uint64(3 - codes[2 * length - 1 - i])
        words[w] = value


@jit
def unpack_pac(begin, end, pac, codes):
    """Codes begin..end (forward strand) of a `.pac` file's bytes."""
    for i in range(begin, end):
        codes[i] = (pac[i >> 2] >> ((~i & 3) << 1)) & 3


@jit
def first_row_of_text(low, high):
    """The row of the whole text, whose entry is 0."""
    for row in range(low.size):
        if low[row] == 0 and entry(low, high, row) == 0:
            return row
    return -1


@jit
def bwt_blocks(begin, end, low, high, text, primary, first, words):
    """Blocks first + begin .. first + end: how often each base comes in the block into its head (as uint64), and its packed symbols.

    low, high: the suffix array (`suffix_array_cpu`) of the packed text; primary: the row of the whole text, which has no symbol.
    words: uint64, 8 a block, those of block `first` first (4 counts, 4 words of symbols; two `.bwt` words in one, the earlier in the
    low half).
    """
    last = low.size - 1
    count = np.zeros(4, np.int64)
    for block in range(begin, end):
        count[:] = 0
        at = (first + block) * BLOCK
        for w in range(4):
            value = np.uint64(0)
            for j in range(min(32, max(0, last - at - w * 32))):
                i = at + w * 32 + j
                row = i + (i >= primary)
                prefetch(address_of(text) + (((entry(low, high, min(row + AHEAD, last)) - 1) >> 5) << 3))
                c = base_at(text, entry(low, high, row) - 1)
                count[c] += 1
                shift = ((j >> 4) << 5) + 30 - ((j & 15) << 1)
                value |= np.uint64(c) << np.uint64(shift)
            words[block * 8 + 4 + w] = value
        for c in range(4):
            words[block * 8 + c] = count[c]


@jit
def accumulate_blocks(words, blocks, total):
    """Turn the blocks' counts into counts before each block; total (uint64[4]) are those before the first, then before what follows."""
    for block in range(blocks):
        for c in range(4):
            here = words[block * 8 + c]
            words[block * 8 + c] = total[c]
            total[c] += here


@jit
def _step_back(blocks, start, primary, row):
    """Row of the suffix that is one base longer than that of `row` (not the primary row)."""
    i = row - 1 if row > primary else row
    block = (i >> 7) << 3
    within = i & 127
    word = blocks[block + 4 + (within >> 5)]
    at = within & 31
    c = (word >> np.uint64(((at >> 4) << 5) + 30 - ((at & 15) << 1))) & np.uint64(3)
    pattern = ~(c * np.uint64(0x5555555555555555))
    rank = np.int64(blocks[block + np.int64(c)])
    odd = np.uint64(0x5555555555555555)
    for w in range(within >> 5):
        x = blocks[block + 4 + w] ^ pattern
        rank += set_bits(x & (x >> np.uint64(1)) & odd)
    # Of the word that holds the symbol, only what comes before it: the low half first, in each half the high bits first.
    x = word ^ pattern
    x = x & (x >> np.uint64(1)) & odd
    if at < 16:
        keep = np.uint64(0xFFFFFFFF) ^ ((np.uint64(1) << np.uint64(32 - 2 * at)) - np.uint64(1))
    else:
        keep = np.uint64(0xFFFFFFFFFFFFFFFF) ^ ((np.uint64(1) << np.uint64(64 - 2 * (at - 16))) - np.uint64(1)) if at > 16 else np.uint64(0)
        keep |= np.uint64(0xFFFFFFFF)
    rank += set_bits(x & keep)
    return start[c] + rank + 1


WALKS = 8  # walks side by side, so that their cache misses overlap


@jit
def expand_suffix_array(begin, end, blocks, start, primary, length, sampled, sa, tops):
    """All rows of the suffix array from the sampled ones.

    Rows k * 32 for k in begin..end begin a walk each, towards longer suffixes, up to the next sampled row. blocks: uint64, the body
    of `.bwt`. start: int64[4], suffixes that begin with a smaller base. sampled: uint64, `.sa` (row 32 first).
    sa, tops: the output, bits 0 to 31 and those above, where tops is not empty.
    """
    row = np.full(WALKS, -1, np.int64)
    value = np.zeros(WALKS, np.int64)
    next_walk = begin
    running = 0
    while next_walk < end or running > 0:
        for k in range(WALKS):
            if row[k] < 0:
                if next_walk >= end:
                    continue
                row[k] = next_walk * SAMPLING
                value[k] = length if next_walk == 0 else np.int64(sampled[next_walk - 1])
                sa[row[k]] = value[k] & 0xFFFFFFFF
                if tops.size > 0:
                    tops[row[k]] = value[k] >> 32
                next_walk += 1
                running += 1
            if row[k] == primary:
                row[k] = -1
                running -= 1
                continue
            r = _step_back(blocks, start, primary, row[k])
            if r % SAMPLING == 0:
                row[k] = -1
                running -= 1
                continue
            value[k] -= 1
            sa[r] = value[k] & 0xFFFFFFFF
            if tops.size > 0:
                tops[r] = value[k] >> 32
            row[k] = r


@jit
def count_prefixes(words, n, k, first):
    """first[x + 1] += suffixes whose first k bases read as the number x (suffixes shorter than k: padded with A). Empty suffix included.

    words: the packed text of n bases.
    """
    mask = (np.int64(1) << (2 * k)) - 1
    x = np.int64(0)
    first[1] += 1
    for i in range(n - 1, -1, -1):
        x = (x >> 2) | (base_at(words, i) << (2 * (k - 1)))
        first[(x & mask) + 1] += 1


@jit
def _shared_bases(words, total, p, q):
    """Bases that two suffixes share, NOT_UNIQUE at most."""
    return common_prefix(words, p, total, words, q, min(total - q, NOT_UNIQUE), 0)


@jit
def unique_lengths(begin, end, words, total, sa, unique):
    """unique[place of row], rows begin + 1 .. end + 1: bases that its suffix needs to differ from its neighbours, NOT_UNIQUE at most.

    words: the packed text of `total` bases. sa: all rows, as a search has them. The suffix of a row whose neighbour begins with it
    needs more bases than it has.
    """
    before = row_place(sa, begin)
    here = row_place(sa, begin + 1)
    shared = _shared_bases(words, total, before, here)
    for row in range(begin + 1, end + 1):
        ahead = row_place(sa, min(row + AHEAD, total))
        prefetch(address_of(words) + ((ahead >> 5) << 3))
        prefetch(address_of(unique) + ahead)
        after = row_place(sa, row + 1) if row < total else total
        more = _shared_bases(words, total, here, after)
        unique[here] = min(max(shared, more) + 1, NOT_UNIQUE)
        here, shared = after, more


@jit
def line_rows(begin, end, low, high, lines):
    """Lines begin..end of the rows of a suffix array, as `seeding_cpu.row_place` reads them; lines: uint64[8 * lines]."""
    for line in range(begin, end):
        at = line * LINE_ROWS
        tops = np.uint64(0)
        for w in range(8):
            value = np.uint64(0)
            for j in range(2):
                k = 2 * w + j
                if k < LINE_ROWS and at + k < low.size:
                    p = entry(low, high, at + k)
                    value |= np.uint64(p & 0xFFFFFFFF) << np.uint64(32 * j)
                    tops |= np.uint64(p >> 32) << np.uint64(32 + k)
            lines[line * 8 + w] = value
        lines[line * 8 + 7] |= tops
