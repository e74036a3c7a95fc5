"""Hits to alignments: CIGAR, NM, MD, position, and the XA text.

An alignment is a row of int64[n, COLUMNS] of this file; its CIGAR (uint32 as in BAM, clips as S) and texts lie in pools.
Source: specification chapter "bwa_mem", sections 10 and 12.
"""

import numpy as np

from gpugenome.kernels.aligner_fields import (
    ALT,
    ALT_SCORE,
    BAND,
    EXTEND_DELETION,
    EXTEND_INSERTION,
    LENGTH,
    LOCAL_SUB,
    MATCH,
    MAX_XA,
    MAX_XA_ALT,
    OPEN_DELETION,
    OPEN_INSERTION,
    QB,
    QE,
    RB,
    RE,
    SCORE,
    SECONDARY_ALL,
    SUB,
    TRUE_SCORE,
    WIDTH,
    XA_RATIO,
)  # fmt: skip
from gpugenome.kernels.chaining_cpu import contig_at
from gpugenome.kernels.extension_cpu import LOWEST, global_cigar
from gpugenome.kernels.hit_lists_cpu import align_span, next_difference
from gpugenome.kernels.launch import jit
from gpugenome.kernels.vcf_text_cpu import put_int

(
    A_FLAG, A_RID, A_POS, A_REVERSE, A_ALT, A_MAPQ, A_NM, A_CIGAR, A_OPS, A_MD, A_MD_SIZE, A_XA, A_XA_SIZE, A_SCORE, A_SUB, A_ALT_SCORE,
    COLUMNS,
) = range(17)  # fmt: skip
M, I, D, S, H = 0, 1, 2, 4, 5
LETTERS = np.frombuffer(b"MIDNSHP=X", np.uint8)
BASES, COMPLEMENTS = np.frombuffer(b"ACGTN", np.uint8), np.frombuffer(b"TGCAN", np.uint8)
_TRIES = 3  # bands that the global alignment tries


@jit
def put_cigar(out, at, cigars, begin, count, hard):
    """Write a CIGAR as text, its clips as H if `hard`. Returns where it ends."""
    for k in range(begin, begin + count):
        at = put_int(out, at, (np.int64(cigars[k]) >> 4))
        op = np.int64(cigars[k]) & 15
        out[at] = LETTERS[H if hard and op == S else op]
        at += 1
    return at


@jit
def put_name(out, at, names, name_offset, i):
    """Write a contig's name. Returns where it ends."""
    for k in range(name_offset[i], name_offset[i + 1]):
        out[at] = names[k]
        at += 1
    return at


@jit
def _band(n, rows, score, match, opened, extended):
    """Band that an alignment of this score may need, for one kind of gap."""
    if n == rows and n * match - score < (opened + extended - match) << 1:
        return np.int64(0)
    return max(np.int64((np.float64(min(n, rows) * match - score) - opened) / extended + 2.0), abs(n - rows))


@jit
def _difference_text(part, text, flip, cigars, begin, count, texts, at):
    """Write MD for a CIGAR of part (read) and text, both as aligned. Returns (NM, where the text ends)."""
    letters = COMPLEMENTS if flip else BASES
    x, y, run, nm = 0, 0, 0, 0
    for k in range(begin, begin + count):
        n, op = (np.int64(cigars[k]) >> 4), np.int64(cigars[k]) & 15
        if op == M:
            a, b, i = part[x:], text[y:], np.int64(0)
            while True:
                j = next_difference(a, b, i, n)
                run += j - i
                if j == n:
                    break
                at = put_int(texts, at, run)
                texts[at] = letters[b[j]]
                at += 1
                run = 0
                nm += 1
                i = j + 1
            x += n
            y += n
        elif op == D:
            if begin < k < begin + count - 1:
                at = put_int(texts, at, run)
                texts[at] = 94
                at += 1
                for i in range(n):
                    texts[at] = letters[text[y + i]]
                    at += 1
                run = 0
                nm += n
            y += n
        else:
            x += n
            nm += n
    return nm, put_int(texts, at, run)


@jit
def unmapped(alignment):
    """Make a row the alignment of a read without hits."""
    alignment[:] = 0
    alignment[A_FLAG], alignment[A_RID], alignment[A_POS] = 4, -1, -1


@jit
def align_hit(
    words, offsets, query, length, hit, opt, part, text, profile, h, e, back, alignment, cigars, texts, used,
):  # fmt: skip
    """The alignment (a row) of a hit (a row), without its mapping quality. Returns (text, back): see `align_span`.

    used: int64[2], how much of the pools cigars (uint32) and texts (uint8) is taken; moves on.
    """
    qb, qe, rb, re = hit[QB], hit[QE], hit[RB], hit[RE]
    n, rows = qe - qb, re - rb
    band = max(
        _band(n, rows, hit[TRUE_SCORE], opt[MATCH], opt[OPEN_DELETION], opt[EXTEND_DELETION]),
        _band(n, rows, hit[TRUE_SCORE], opt[MATCH], opt[OPEN_INSERTION], opt[EXTEND_INSERTION]),
    )
    if band > opt[BAND]:
        band = min(band, hit[WIDTH])
    most = opt[BAND] << 2
    before, i, used_band = np.int64(LOWEST), 0, np.int64(0)
    while True:
        band = min(band, most)
        score, used_band, text, back = align_span(words, query, qb, qe, rb, re, opt, band, part, text, profile, h, e, back)
        i += 1
        if score == before or band == most or i == _TRIES or score >= hit[TRUE_SCORE] - opt[MATCH]:
            break
        before = score
        band <<= 1
    begin = used[0]
    ops = cigars[begin + 1 :]  # a clip may come before
    if used_band == 0:
        ops[0] = np.uint32(n << 4 | M)
        count = 1
    else:
        count = global_cigar(n, rows, used_band, back, ops)
    flip = rb >= opt[LENGTH]
    alignment[:] = 0
    alignment[A_MD] = used[1]
    nm, used[1] = _difference_text(part, text, flip, cigars, begin + 1, count, texts, used[1])
    alignment[A_NM], alignment[A_MD_SIZE] = nm, used[1] - alignment[A_MD]
    pos = 2 * opt[LENGTH] - re if flip else rb
    begin += 1
    if np.int64(cigars[begin]) & 15 == D:
        pos += (np.int64(cigars[begin]) >> 4)
        begin += 1
        count -= 1
    elif np.int64(cigars[begin + count - 1]) & 15 == D:
        count -= 1
    clip5, clip3 = (length - qe, qb) if flip else (qb, length - qe)
    if clip5 > 0:
        begin -= 1
        cigars[begin] = np.uint32(clip5 << 4 | S)
        count += 1
    if clip3 > 0:
        cigars[begin + count] = np.uint32(clip3 << 4 | S)
        count += 1
    used[0] = begin + count
    contig = contig_at(offsets, opt[LENGTH], pos)
    alignment[A_RID], alignment[A_POS], alignment[A_REVERSE], alignment[A_ALT] = contig, pos - offsets[contig], flip, hit[ALT]
    alignment[A_CIGAR], alignment[A_OPS] = begin, count
    alignment[A_SCORE], alignment[A_SUB], alignment[A_ALT_SCORE] = hit[SCORE], max(hit[SUB], hit[LOCAL_SUB]), hit[ALT_SCORE]
    return text, back


@jit
def _belongs(hits, i, primary):
    return hits[i, SECONDARY_ALL] == primary and hits[i, SCORE] >= hits[primary, SCORE] * XA_RATIO


@jit
def other_hits(
    words, offsets, names, name_offset, query, length, hits, n, primary, opt, part, text, profile, h, e, back, alignment, spare, cigars,
    texts, used,
):  # fmt: skip
    """Write the XA text of a primary hit and note it in its alignment (a row). spare: a row. Returns (text, back)."""
    count, any_alt = 0, False
    for i in range(n):
        if _belongs(hits, i, primary):
            count += 1
            any_alt |= hits[i, ALT] != 0
    if count == 0 or count > opt[MAX_XA_ALT] or (count > opt[MAX_XA] and not any_alt):
        return text, back
    alignment[A_XA] = used[1]
    for i in range(n):
        if not _belongs(hits, i, primary):
            continue
        ops, at = used[0], used[1]
        text, back = align_hit(
            words, offsets, query, length, hits[i], opt, part, text, profile, h, e, back, spare, cigars, texts, used
        )  # fmt: skip
        at = put_name(texts, at, names, name_offset, spare[A_RID])  # over the MD text, which XA does not have
        texts[at], texts[at + 1] = 44, 45 if spare[A_REVERSE] else 43
        at = put_int(texts, at + 2, spare[A_POS] + 1)
        texts[at] = 44
        at = put_cigar(texts, at + 1, cigars, spare[A_CIGAR], spare[A_OPS], False)
        texts[at] = 44
        at = put_int(texts, at + 1, spare[A_NM])
        texts[at] = 59
        used[0], used[1] = ops, at + 1
    alignment[A_XA_SIZE] = used[1] - alignment[A_XA]
    return text, back
