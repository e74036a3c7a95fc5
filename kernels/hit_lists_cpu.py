"""Lists of hits: the same hit found twice, neighbours joined to one, and which hit of a read shadows which.

A hit is a row of int64[n, HIT_COLUMNS] (`aligner_fields`); its positions are on the doubled text.
Source: specification chapter "bwa_mem", sections 7, 8, 9 and 10.
"""

import math

import numpy as np

from gpugenome.kernels.aligner_fields import (
    ALT,
    ALT_SCORE,
    BAND,
    HASH,
    HIT_COLUMNS,
    LENGTH,
    LOCAL_SUB,
    MASK,
    MATCH,
    MAX_CHAIN_GAP,
    MIN_SCORE,
    MIN_SEED,
    MISMATCH,
    QB,
    QE,
    RB,
    RE,
    REDUNDANT,
    REPEATS,
    RID,
    SCORE,
    SECONDARY,
    SECONDARY_ALL,
    SUB,
    SUB_COUNT,
    TIE,
    TRUE_SCORE,
    WIDTH,
)  # fmt: skip
from gpugenome.kernels.bits import trailing_zeros, turned_bytes
from gpugenome.kernels.chaining_cpu import contig_at
from gpugenome.kernels.extension_cpu import global_align, global_band
from gpugenome.kernels.introsort_cpu import introsort
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, load_u64, store_u64
from gpugenome.kernels.seeding_cpu import eight_unpacked, window

ALT_SHADOWED = (1 << 31) - 1
"""SECONDARY of a hit on an ALT contig that any other hit shadows."""
MAPQ_CAP = 60
_JOIN_SCORE, _JOIN_SKEW = float(np.float32(0.9)), float(np.float32(0.05))


@jit
def unpack(words, begin, end, out, reverse):
    """Bases begin..end of the doubled text as codes in out[: end - begin], backwards if `reverse`."""
    n = end - begin
    to, i = address_of(out), np.int64(0)
    while i < n:
        x = window(words, begin + i)
        stop = min(n, i + 32)
        while i + 8 <= stop:
            eight = eight_unpacked(x >> np.uint64(48))
            store_u64(to + (n - 8 - i if reverse else i), eight if reverse else turned_bytes(eight))
            x = x << np.uint64(16)
            i += 8
        while i < stop:
            out[n - 1 - i if reverse else i] = x >> np.uint64(62)
            x = x << np.uint64(2)
            i += 1


@jit
def next_difference(a, b, i, n):
    """The first place from i on where codes a and b (uint8) differ, n if there is none."""
    while i + 8 <= n:
        x = load_u64(address_of(a) + i) ^ load_u64(address_of(b) + i)
        if x != 0:
            return i + (trailing_zeros(x) >> 3)
        i += 8
    while i < n and a[i] == b[i]:
        i += 1
    return i


@jit
def clamp(offsets, lengths, length, begin, mid, end):
    """(begin, end, contig): a span of the doubled text cut to the contig and strand that hold `mid`."""
    contig = contig_at(offsets, length, mid)
    b, e = offsets[contig], offsets[contig] + lengths[contig]
    if mid >= length:
        b, e = 2 * length - e, 2 * length - b
    return max(begin, b), min(end, e), contig


@jit
def align_span(words, query, qb, qe, rb, re, opt, band, part, text, profile, h, e, back):
    """Global alignment of query[qb:qe] with the text rb..re; on the reverse strand both backwards, so that gaps stand leftmost.

    Returns (score, band, text, back): band 0 where bases are just paired, else what `global_align` left in back needs. part and
    text get the sequences as aligned; text and back are replaced where they are too small.
    """
    n, rows = qe - qb, re - rb
    flip = rb >= opt[LENGTH]
    if rows > text.size:
        text = np.empty(rows, np.uint8)
    unpack(words, rb, re, text, flip)
    for j in range(n):
        part[j] = query[qe - 1 - j] if flip else query[qb + j]
    if n == rows and band == 0:
        score = n * opt[MATCH]
        j = next_difference(part, text, np.int64(0), n)
        while j < n:
            score -= opt[MATCH] + (opt[MISMATCH] if part[j] < 4 else 1)
            j = next_difference(part, text, j + 1, n)
        return score, np.int64(0), text, back
    band = global_band(n, rows, opt, band)
    if rows * (2 * band + 1) > back.size:
        back = np.empty(rows * (2 * band + 1), np.uint8)
    return global_align(part, text, n, rows, opt, band, profile, h, e, back), band, text, back


@jit
def _may_join(a, b, opt):
    """Whether hits a and b (rows, a first) may be parts of one alignment; then the band it needs, else -1."""
    if (a[RB] < opt[LENGTH] <= b[RB]) or a[QB] >= b[QB] or a[QE] >= b[QE] or a[RE] >= b[RE]:
        return np.int64(-1)
    band = abs((a[RE] - b[RB]) - (a[QE] - b[QB]))
    skew = abs((a[RE] - b[RB]) / np.float64(b[RE] - a[RB]) - (a[QE] - b[QB]) / np.float64(b[QE] - a[QB]))
    if a[RE] < b[RB] or a[QE] < b[QB]:
        if band > opt[BAND] << 1 or skew >= _JOIN_SKEW:
            return np.int64(-1)
    elif band > opt[BAND] << 2 or skew >= _JOIN_SKEW * 2:
        return np.int64(-1)
    return min(band + a[WIDTH] + b[WIDTH], opt[BAND] << 2)


@jit
def _join(a, b, score, band):
    """Make hit b (row) the alignment over both, and a empty, if its score is near what both together promise."""
    both = np.float64(b[SCORE] + a[SCORE])
    by_query = np.int64((b[QE] - a[QB]) / np.float64((b[QE] - b[QB]) + (a[QE] - a[QB])) * both + 0.499)
    by_text = np.int64((b[RE] - a[RB]) / np.float64((b[RE] - b[RB]) + (a[RE] - a[RB])) * both + 0.499)
    if score <= 0 or score / np.float64(max(by_query, by_text)) < _JOIN_SCORE:
        return
    b[SUB], b[LOCAL_SUB] = max(a[SUB], b[SUB]), max(a[LOCAL_SUB], b[LOCAL_SUB])
    b[QB], b[RB], b[SCORE], b[TRUE_SCORE], b[WIDTH] = a[QB], a[RB], score, score, band
    a[QB] = a[QE]


@jit
def _drop_empty(hits, n):
    m = 0
    for i in range(n):
        if hits[i, QE] > hits[i, QB]:
            if m < i:
                hits[m] = hits[i]
            m += 1
    return m


@jit
def sort_hits(hits, n, order, major, minor, spare):
    """Put hits[:n] into the order that bwa's sort by (major, minor) gives. spare: as `hits`."""
    for i in range(n):
        order[i] = i
    introsort(order, n, major, minor)
    spare[:n] = hits[:n]
    for i in range(n):
        hits[i] = spare[order[i]]


@jit
def remove_repeats(words, query, joining, opt, ratios, hits, n, spare, order, major, minor, part, text, profile, h, e, back):
    """Drop hits that are parts of others, join neighbours (if `joining`), and sort: best score first. Returns (n, back)."""
    if n <= 1:
        return n, back
    for i in range(n):
        major[i], minor[i] = hits[i, RE], 0
    sort_hits(hits, n, order, major, minor, spare)
    gap, share = opt[MAX_CHAIN_GAP], ratios[REDUNDANT]
    for i in range(1, n):
        p = hits[i]
        if p[RID] != hits[i - 1, RID] or p[RB] >= hits[i - 1, RE] + gap:
            continue
        for j in range(i - 1, -1, -1):
            q = hits[j]
            if p[RID] != q[RID] or p[RB] >= q[RE] + gap:
                break
            if q[QE] == q[QB]:
                continue
            text_overlap = q[RE] - p[RB]
            overlap = q[QE] - p[QB] if q[QB] < p[QB] else p[QE] - q[QB]
            shorter_text, shorter = min(q[RE] - q[RB], p[RE] - p[RB]), min(q[QE] - q[QB], p[QE] - p[QB])
            same = np.float32(text_overlap) > share * np.float32(shorter_text) and np.float32(overlap) > share * np.float32(shorter)
            if same:
                if p[SCORE] < q[SCORE]:
                    p[QE] = p[QB]
                    break
                q[QE] = q[QB]
            elif joining and q[RB] < p[RB]:
                band = _may_join(q, p, opt)
                if band >= 0:
                    score, _, text, back = align_span(
                        words, query, q[QB], p[QE], q[RB], p[RE], opt, band, part, text, profile, h, e, back
                    )  # fmt: skip
                    _join(q, p, score, band)
    n = _drop_empty(hits, n)
    for i in range(n):
        major[i], minor[i] = -hits[i, SCORE], hits[i, RB] << 20 | hits[i, QB]
    sort_hits(hits, n, order, major, minor, spare)
    for i in range(1, n):
        if hits[i, SCORE] == hits[i - 1, SCORE] and hits[i, RB] == hits[i - 1, RB] and hits[i, QB] == hits[i - 1, QB]:
            hits[i, QE] = hits[i, QB]
    return _drop_empty(hits, n), back


@jit
def hash64(x):
    """bwa's mixing of 64 bits (uint64)."""
    x += ~(x << np.uint64(32))
    x ^= x >> np.uint64(22)
    x += ~(x << np.uint64(13))
    x ^= x >> np.uint64(8)
    x += x << np.uint64(3)
    x ^= x >> np.uint64(15)
    x += ~(x << np.uint64(27))
    x ^= x >> np.uint64(31)
    return x


@jit
def _shadow(hits, n, opt, mask, lead):
    """SUB, SUB_COUNT and SECONDARY of hits[:n], best first."""
    lead[0] = 0
    leads = 1
    for i in range(1, n):
        p = hits[i]
        found = False
        for k in range(leads):
            o = hits[lead[k]]
            overlap = min(o[QE], p[QE]) - max(o[QB], p[QB])
            if overlap > 0 and np.float32(overlap) >= np.float32(min(p[QE] - p[QB], o[QE] - o[QB])) * mask:
                if o[SUB] == 0:
                    o[SUB] = p[SCORE]
                if o[SCORE] - p[SCORE] <= opt[TIE] and (o[ALT] or not p[ALT]):
                    o[SUB_COUNT] += 1
                p[SECONDARY] = lead[k]
                found = True
                break
        if not found:
            lead[leads] = i
            leads += 1


@jit
def mark_primary(hits, n, number, opt, ratios, spare, order, major, minor):
    """Sort a read's hits, best first, and say which shadows which. number: of the read in the input.

    Returns the number of hits that are not on ALT contigs; these come first.
    """
    if n == 0:
        return 0
    n_pri = 0
    for i in range(n):
        hits[i, SUB], hits[i, ALT_SCORE], hits[i, SECONDARY], hits[i, SECONDARY_ALL] = 0, 0, -1, -1
        # Hashes are compared as unsigned numbers; the flipped highest bit keeps their order in int64.
        hits[i, HASH] = np.int64(hash64(np.uint64(number + i)) ^ np.uint64(1 << 63))
        major[i], minor[i] = -2 * hits[i, SCORE] + hits[i, ALT], hits[i, HASH]
        n_pri += 1 - hits[i, ALT]
    sort_hits(hits, n, order, major, minor, spare)
    mask = ratios[MASK]
    _shadow(hits, n, opt, mask, order)
    if n_pri == n:
        for i in range(n):
            hits[i, SECONDARY_ALL] = hits[i, SECONDARY]
        return n_pri
    for i in range(n):
        p = hits[i]
        p[SECONDARY_ALL] = i
        if not p[ALT] and p[SECONDARY] >= 0 and hits[p[SECONDARY], ALT]:
            p[ALT_SCORE] = hits[p[SECONDARY], SCORE]
    if n_pri > 0:
        for i in range(n):
            major[i], minor[i] = (hits[i, ALT] << 40) - hits[i, SCORE], hits[i, HASH]
        sort_hits(hits, n, order, major, minor, spare)
    for i in range(n):
        major[hits[i, SECONDARY_ALL]] = i
    for i in range(n):
        p = hits[i]
        if p[SECONDARY] >= 0:
            p[SECONDARY_ALL] = major[p[SECONDARY]]
            if p[ALT]:
                p[SECONDARY] = ALT_SHADOWED
        else:
            p[SECONDARY_ALL] = -1
    if n_pri > 0:
        for i in range(n_pri):
            hits[i, SUB], hits[i, SECONDARY] = 0, -1
        _shadow(hits, n_pri, opt, mask, order)
    return n_pri


@jit
def five_prime_first(hits, n, opt):
    """Make the primary hit that begins earliest on the read the first one (option -5)."""
    best, count = np.int64(-1), 0
    for i in range(n):
        if hits[i, SECONDARY] < 0 and not hits[i, ALT] and hits[i, SCORE] >= opt[MIN_SCORE]:
            count += 1
            if best < 0 or hits[i, QB] < hits[best, QB]:
                best = np.int64(i)
    if count < 2 or best == 0:
        return
    for c in range(HIT_COLUMNS):
        hits[0, c], hits[best, c] = hits[best, c], hits[0, c]
    for i in range(1, n):
        for c in (SECONDARY, SECONDARY_ALL):
            if hits[i, c] == 0:
                hits[i, c] = best
            elif hits[i, c] == best:
                hits[i, c] = 0


@jit
def repeat_share(hit, length):
    """Share of the read under repetitive seeds, rounded to float32 as bwa does."""
    return np.float32(hit[REPEATS]) / np.float32(length)


@jit
def near_ties(count):
    """What hits about as good as the best take from a mapping quality."""
    return np.int64(4.343 * math.log(np.float64(count + 1)) + 0.499) if count > 0 else np.int64(0)


@jit
def mapping_quality(hit, length, opt):
    """Mapping quality of a hit (row) of a read on its own."""
    sub = max(hit[LOCAL_SUB], hit[SUB] if hit[SUB] != 0 else opt[MIN_SEED] * opt[MATCH])
    score = hit[SCORE]
    if sub >= score:
        return np.int64(0)
    n = max(hit[QE] - hit[QB], hit[RE] - hit[RB])
    identity = 1.0 - np.float64(n * opt[MATCH] - score) / (opt[MATCH] + opt[MISMATCH]) / n
    quality = np.int64(0)
    if score != 0:
        x = 1.0 if n < 50 else 3 / math.log(np.float64(n))
        x *= identity * identity
        quality = np.int64(6.02 * (score - sub) / opt[MATCH] * x * x + 0.499)
    quality = min(max(quality - near_ties(hit[SUB_COUNT]), 0), MAPQ_CAP)
    return np.int64(quality * (1.0 - np.float64(repeat_share(hit, length))) + 0.499)
