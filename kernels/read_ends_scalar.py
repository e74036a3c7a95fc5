"""What duplicate marking needs of one record: its unclipped 5' end, score, location and barcodes. Shared by CPU and CUDA.

Records are given by the arena and offsets into it (see ReadBatch). Nothing here allocates, so that a GPU thread can run it.
"""

import numpy as np

from gpugenome.kernels.launch import jit

END = np.dtype(
    [
        ("hash_high", np.uint64),
        ("hash_low", np.uint64),
        ("index", np.int64),
        ("ref_id", np.int32),
        ("five_prime", np.int32),
        ("mate_ref_id", np.int32),
        ("barcode", np.int32),
        ("barcode_1", np.int32),
        ("barcode_2", np.int32),
        ("score", np.int16),
        ("tile", np.int16),
        ("x", np.int16),
        ("y", np.int16),
        ("library", np.int16),
        ("group", np.int16),
        ("flag", np.uint16),
        ("kind", np.uint8),
        ("problem", np.uint8),
    ]
)
"""One read's end, 64 bytes. five_prime: 0-based unclipped 5' base. mate_ref_id: -1 unless the mate is mapped by the flags.
hash: of read group and name. group: read group for optical duplicates. kind: SKIPPED, SINGLE or MATED. problem: see PROBLEMS."""

SKIPPED, SINGLE, MATED = 0, 1, 2
PROBLEMS = {
    1: "a mapped read of a pair has no read group that the header knows",
    2: "the barcode (UMI) has letters other than ACGTN and '-'",
    3: "a duplex barcode (UMI) must be of the form X-Y",
    4: "a duplex barcode needs a paired read with an MC tag (the mate's CIGAR)",
}
SUM_OF_BASE_QUALITIES, TOTAL_MAPPED_REFERENCE_LENGTH, RANDOM = 0, 1, 2
VENDOR_FAIL_PENALTY = 16384
CONSUMES_REFERENCE = 0b110001101  # M, D, N, =, X


@jit
def load_u32(data, at):
    """A little-endian uint32 as int64."""
    return (
        np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24
    )


@jit
def find_tag(data, at, end, first, second):
    """Where the type byte of a tag stands in data[at:end], or -1. The last one counts where a tag is repeated."""
    found = np.int64(-1)
    while at + 3 < end:
        kind = data[at + 2]
        if data[at] == first and data[at + 1] == second:
            found = at + 2
        at += 3
        if kind == 90 or kind == 72:
            while at < end and data[at] != 0:
                at += 1
            at += 1
        elif kind == 66:
            sub = data[at]
            width = 1 if sub == 99 or sub == 67 else 2 if sub == 115 or sub == 83 else 4
            at += 5 + width * load_u32(data, at + 1)
        elif kind == 65 or kind == 99 or kind == 67:
            at += 1
        elif kind == 115 or kind == 83:
            at += 2
        else:
            at += 4
    return found


@jit
def real_cigar(data, cigar_start, n_cigar, seq_length, tag_start, end):
    """(start, operations) of a record's CIGAR: in the CG tag where it has more than 65,535 operations (SAM spec 4.2.2)."""
    if n_cigar == 2:
        first = load_u32(data, cigar_start)
        if first & 15 == 4 and first >> 4 == seq_length and load_u32(data, cigar_start + 4) & 15 == 3:
            at = find_tag(data, tag_start, end, 67, 71)
            if at >= 0 and data[at] == 66 and data[at + 1] == 73:
                return at + 6, load_u32(data, at + 2)
    return cigar_start, np.int64(n_cigar)


@jit
def reference_length(data, cigar_start, n_cigar):
    """Reference bases under a CIGAR (M, D, N, =, X)."""
    total = np.int64(0)
    for i in range(n_cigar):
        op = load_u32(data, cigar_start + 4 * i)
        if (CONSUMES_REFERENCE >> (op & 15)) & 1:
            total += op >> 4
    return total


@jit
def five_prime(data, cigar_start, n_cigar, pos, reverse):
    """The 0-based reference position of a read's 5' base as if nothing were clipped; soft and hard clips count."""
    if reverse:
        at = np.int64(pos) + reference_length(data, cigar_start, n_cigar) - 1
        for i in range(n_cigar):
            op = load_u32(data, cigar_start + 4 * (n_cigar - 1 - i))
            if op & 15 != 4 and op & 15 != 5:
                break
            at += op >> 4
        return at
    at = np.int64(pos)
    for i in range(n_cigar):
        op = load_u32(data, cigar_start + 4 * i)
        if op & 15 != 4 and op & 15 != 5:
            break
        at -= op >> 4
    return at


@jit
def _rotate(x, k):
    return ((x << np.uint32(k)) | (x >> np.uint32(32 - k))) & np.uint32(0xFFFFFFFF)


@jit
def _murmur_block(k):
    k = np.uint32(k * np.uint32(0xCC9E2D51))
    return np.uint32(_rotate(k, 15) * np.uint32(0x1B873593))


@jit
def murmur3(data, start, length):
    """Murmur3 (32 bit, seed 1) of a name over its UTF-16 units. Source: htsjdk Murmur3.hashUnencodedChars."""
    h = np.uint32(1)
    for i in range(1, length, 2):
        k = np.uint32(data[start + i - 1]) | np.uint32(data[start + i]) << np.uint32(16)
        h = np.uint32(_rotate(np.uint32(h ^ _murmur_block(k)), 13) * np.uint32(5) + np.uint32(0xE6546B64))
    if length & 1:
        h ^= _murmur_block(np.uint32(data[start + length - 1]))
    h ^= np.uint32(2 * length)
    h ^= h >> np.uint32(16)
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h ^= h >> np.uint32(13)
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    return h ^ (h >> np.uint32(16))


@jit
def quality_sum(data, start, length):
    """Sum of base qualities of at least 15, at most 16383; 0 where qualities are missing (0xFF)."""
    if length == 0 or data[start] == 255:
        return np.int64(0)
    total = np.int64(0)
    q = data[start : start + length]
    for i in range(length):
        v = np.int64(q[i])
        # Java's bytes are signed: 128 and above count as negative.
        total += v if 15 <= v < 128 else 0
    return min(total, np.int64(16383))


@jit
def duplicate_score(strategy, data, name_start, name_length, cigar_start, n_cigar, qual_start, seq_length, flag):
    """A read's score under a DUPLICATE_SCORING_STRATEGY, as int16. Source: htsjdk DuplicateScoringStrategy."""
    if strategy == SUM_OF_BASE_QUALITIES:
        score = quality_sum(data, qual_start, seq_length)
    elif strategy == TOTAL_MAPPED_REFERENCE_LENGTH:
        score = min(reference_length(data, cigar_start, n_cigar), np.int64(16383))
    else:
        score = np.int64(murmur3(data, name_start, name_length) & np.uint32(0x3FFF)) + 8192
    if flag & 512:
        score -= VENDOR_FAIL_PENALTY
    return np.int16(score)


@jit
def leading_int(data, start, end):
    """(found, int32 with wrap-around) of an optional '-' and digits at the start of data[start:end]."""
    negative = start < end and data[start] == 45
    if negative:
        start += 1
    if start >= end or data[start] < 48 or data[start] > 57:
        return False, np.int32(0)
    value = np.uint32(0)
    while start < end and 48 <= data[start] <= 57:
        value = np.uint32(value * np.uint32(10) + np.uint32(data[start] - 48))
        start += 1
    if negative:
        value = np.uint32(np.uint32(0) - value)
    return True, np.int32(value)


@jit
def location(data, start, length):
    """(found, tile, x, y), int16 with wrap-around, from a name of 5 or 7 fields between colons (its last three).

    Source: Picard ReadNameParser with the default READ_NAME_REGEX.
    """
    fields = 0
    end = length
    x = np.int32(0)
    y = np.int32(0)
    tile = np.int32(0)
    for back in range(length):
        i = length - 1 - back
        if data[start + i] != 58 and i != 0:
            continue
        fields += 1
        if fields <= 3:
            found, v = leading_int(data, start + (i + 1 if i else 0), start + end)
            if not found:
                return False, np.int16(-1), np.int16(-1), np.int16(-1)
            if fields == 1:
                y = v
            elif fields == 2:
                x = v
            else:
                tile = v
            end = i
    if fields != 5 and fields != 7:
        return False, np.int16(-1), np.int16(-1), np.int16(-1)
    return True, np.int16(tile), np.int16(x), np.int16(y)


@jit
def mix(h, word):
    """One step of a 64-bit hash (multiply and fold)."""
    h = (h ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(29))


@jit
def finish(h):
    """The last mixing of a 64-bit hash."""
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return h ^ (h >> np.uint64(32))


@jit
def name_hash(data, start, length, seed):
    """A 128-bit hash (two uint64) of a name and a seed (the read group)."""
    a = np.uint64(seed) + np.uint64(0x243F6A8885A308D3)
    b = np.uint64(length) ^ np.uint64(0x13198A2E03707344)
    i = 0
    while i < length:
        word = np.uint64(0)
        for j in range(min(8, length - i)):
            word |= np.uint64(data[start + i + j]) << np.uint64(8 * j)
        a = mix(a, word)
        b = mix(b, word * np.uint64(0xC2B2AE3D27D4EB4F) + a)
        i += 8
    return finish(a ^ np.uint64(length)), finish(b + np.uint64(seed))


@jit
def java_hash(data, start, end, h):
    """Java's String.hashCode of data[start:end], going on from h, as a wrapping uint32."""
    for i in range(start, end):
        h = np.uint32(np.uint32(31) * h + np.uint32(data[i]))
    return h


@jit
def text_end(data, at, end):
    """The end (the NUL) of the text that begins at data[at]."""
    while at < end and data[at] != 0:
        at += 1
    return at


@jit
def text_tag_hash(data, at, end, first, second):
    """Java's hash of a text tag's value, 0 where the read has none (as int32)."""
    if first == 0:
        return np.int32(0)
    tag = find_tag(data, at, end, first, second)
    if tag < 0:
        return np.int32(0)
    if data[tag] == 65:
        return np.int32(data[tag + 1])
    return np.int32(java_hash(data, tag + 1, text_end(data, tag + 1, end), np.uint32(0)))


@jit
def mate_five_prime(data, at, end, mate_pos, mate_reverse):
    """The mate's 0-based unclipped 5' position from its CIGAR as text (the MC tag's value) at data[at:end]."""
    start = np.int64(mate_pos)
    stop = start
    number = np.int64(0)
    lead, tail = True, np.int64(0)
    for i in range(at, end):
        c = data[i]
        if 48 <= c <= 57:
            number = number * 10 + np.int64(c) - 48
            continue
        if c == 83 or c == 72:  # S, H
            if lead:
                start -= number
            tail += number
        else:
            lead = False
            tail = 0
            if c == 77 or c == 68 or c == 78 or c == 61 or c == 88:  # M, D, N, =, X
                stop += number
        number = 0
    return stop - 1 + tail if mate_reverse else start


@jit
def duplex_strand(data, tag_start, end, own_five_prime, ref_id, flag, mate_ref_id, mate_pos):
    """Which strand of the duplex a read comes from: 0 unknown, 1 top, 2 bottom, -1 not to be told (no pair or no MC tag).

    Source: Picard UmiUtil.getStrand.
    """
    if flag & 4:
        return 0
    if not flag & 1:
        return -1
    if flag & 8:
        return 0
    first = (flag & 64) != 0
    if ref_id != mate_ref_id:
        return 1 if first == (ref_id < mate_ref_id) else 2
    tag = find_tag(data, tag_start, end, 77, 67)
    if tag < 0:
        return -1
    mate = mate_five_prime(data, tag + 1, text_end(data, tag + 1, end), mate_pos, (flag & 32) != 0)
    return 1 if first == (own_five_prime <= mate) else 2


@jit
def umi_hash(data, at, end, strand):
    """(problem, Java hash as int32) of a barcode, its halves exchanged for the bottom strand (2); strand -1: not duplex.

    Source: Picard UmiUtil.getTopStrandNormalizedUmi.
    """
    dash = np.int64(-1)
    dashes = 0
    last = end
    while last > at and data[last - 1] == 45:
        last -= 1
    for i in range(at, end):
        c = data[i] & 0xDF if data[i] != 45 else 45
        if c == 45:
            if i < last:
                dashes += 1
                dash = i
        elif c != 65 and c != 67 and c != 71 and c != 84 and c != 78:
            return 2, np.int32(0)
    if strand < 0 and strand == -1:
        return 0, np.int32(java_hash(data, at, end, np.uint32(0)))
    if dashes != 1:
        return 3, np.int32(0)
    if strand != 2:
        return 0, np.int32(java_hash(data, at, end, np.uint32(0)))
    h = java_hash(data, dash + 1, last, np.uint32(0))
    h = np.uint32(np.uint32(31) * h + np.uint32(45))
    return 0, np.int32(java_hash(data, at, dash, h))
