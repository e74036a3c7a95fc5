"""Smith-Waterman with affine gaps: parameters, where the backtrack starts, and the backtrack. Shared by CPU and CUDA.

The score matrix is filled by anti-diagonals d = i + j (i rows of the reference, j columns of the alternate sequence). The fill
leaves one byte a cell in `back`, at (d - 2) * (m + 1) + j:
bits 0-1: 0 diagonal, 1 insertion, 2 deletion; bit 2: the insertion ending here extends one; bit 3: the deletion does.
Ties: diagonal over insertion over deletion, extending over opening.

Source: GATK SmithWatermanJavaAligner / GKL (behaviour; specification chapter "assembly", section 11.1).
"""

import numpy as np

SOFTCLIP, INDEL, LEADING_INDEL = 0, 1, 2
# match, mismatch, gap open (cost of a gap of one base), gap extend
STANDARD_NGS = (25, -50, -110, -6)  # dangling ends
HAPLOTYPE_TO_REFERENCE = (200, -150, -260, -11)
READ_TO_HAPLOTYPE = (10, -15, -30, -5)
LOW = -(1 << 30)  # a gap that cannot be extended from
_M, _I, _D, _S = 0, 1, 2, 4


def last_occurrence(ref, n, alt, m):
    """The last index at which alt[:m] lies inside ref[:n], -1 if nowhere."""
    for start in range(n - m, -1, -1):
        j = 0
        while j < m and ref[start + j] == alt[j]:
            j += 1
        if j == m:
            return start
    return -1


def better_end(score, i, j, n, m, best, best_i, best_j, bottom):
    """Whether cell (i, j) of the last row (bottom) or column replaces the best end so far.

    Cells come by anti-diagonals, the last row's before the last column's.
    """
    if score != best:
        return score > best
    if bottom:
        return abs(n - j) < abs(best_i - best_j)
    return best_j == m or abs(i - m) <= abs(best_i - best_j)


def backtrack(back, n, m, i, j, strategy, cigar):
    """Walk back from cell (i, j); writes BAM words to `cigar` (2 * m + 3 at most). Returns (elements, offset on the reference)."""
    stride = m + 1
    count = 0
    run = 0
    last = -1
    state = 0
    if j < m:
        last = _S
        run = m - j
    while i > 0 and j > 0:
        b = back[(i + j - 2) * stride + j]
        if state == 4 or (state == 0 and (b & 3) == 1):
            op = _I
            j -= 1
            state = b & 4
        elif state == 8 or (state == 0 and (b & 3) == 2):
            op = _D
            i -= 1
            state = b & 8
        else:
            op = _M
            i -= 1
            j -= 1
            state = 0
        if op == last:
            run += 1
        else:
            if run > 0:
                cigar[count] = (run << 4) | last
                count += 1
            last = op
            run = 1
    offset = 0
    rest = 0
    op = last
    if strategy == SOFTCLIP:
        op = _S
        rest = j
        offset = i
    elif i > 0:
        op = _D
        rest = i
    elif j > 0:
        op = _I
        rest = j
    if rest > 0 and op == last:
        run += rest
        rest = 0
    if run > 0:
        cigar[count] = (run << 4) | last
        count += 1
    if rest > 0:
        cigar[count] = (rest << 4) | op
        count += 1
    for a in range(count // 2):
        swap = cigar[a]
        cigar[a] = cigar[count - 1 - a]
        cigar[count - 1 - a] = swap
    return count, offset


def back_size(n, m):
    """Bytes of `back` for a reference of n and an alternate of m bases."""
    return np.int64(n + m) * np.int64(m + 1)
