"""Aligned reads as BAM records: which hits become records, mapping qualities of pairs, flags and tags.

Records are those that htslib makes of bwa's SAM lines. Source: specification chapter "bwa_mem", sections 11 and 12.
"""

import math

import numpy as np

from gpugenome.kernels.aligner_fields import (
    ALL_HITS,
    ALT,
    COMMENTS,
    DROP,
    FIVE_PRIME,
    HIT_COLUMNS,
    KEEP_MAPQ,
    LENGTH,
    LOCAL_SUB,
    MATCH,
    MIN_SCORE,
    NO_PAIRING,
    NO_RESCUE,
    RB,
    RE,
    SCORE,
    SECONDARY,
    SECONDARY_ALL,
    SHORTER_SPLITS_SECONDARY,
    SOFT_CLIP,
    SUB,
    UNPAIRED,
)  # fmt: skip
from gpugenome.kernels.alignments_cpu import (
    A_ALT,
    A_ALT_SCORE,
    A_CIGAR,
    A_FLAG,
    A_MAPQ,
    A_MD,
    A_MD_SIZE,
    A_NM,
    A_OPS,
    A_POS,
    A_REVERSE,
    A_RID,
    A_SCORE,
    A_SUB,
    A_XA,
    A_XA_SIZE,
    COLUMNS,
    D,
    H,
    M,
    S,
    align_hit,
    other_hits,
    put_cigar,
    put_name,
    unmapped,
)  # fmt: skip
from gpugenome.kernels.bits import turned_bytes
from gpugenome.kernels.hit_lists_cpu import (
    ALT_SHADOWED,
    MAPQ_CAP,
    five_prime_first,
    mapping_quality,
    mark_primary,
    near_ties,
    repeat_share,
)  # fmt: skip
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, copy_bytes, load_u64, store_i32, store_u8, store_u16, store_u32, store_u64
from gpugenome.kernels.pairing_cpu import HIGH, LOW, OUT, best_pair, orientation, rescue_both, scratch_sizes
from gpugenome.kernels.replay_cpu import new_memo, start_replay
from gpugenome.kernels.sam_tags_cpu import region_bin
from gpugenome.kernels.sam_text_cpu import encode_tags
from gpugenome.kernels.seeding_cpu import encode_read
from gpugenome.kernels.simd import bits_of_f32, fma_scalar
from gpugenome.kernels.vcf_text_cpu import put_int

SECONDARY_FLAG, SUPPLEMENTARY_FLAG, SPLIT_AS_SECONDARY = 0x100, 0x800, 0x10000
GOOD, BAD_COMMENT = range(2)
"""Status of `make_records`."""
_CHOSEN = -2  # SECONDARY of a shadowed hit that its pair made the read's first
_NIBBLES = np.array([1, 2, 4, 8, 15, 15], np.uint8)
_EACH_ONE, _QUALITY_ZERO = np.uint64(0x0101010101010101), np.uint64(0x2121212121212121)


@jit
def _put_tag(out, at, a, b, kind):
    out[at], out[at + 1], out[at + 2] = a, b, kind
    return at + 3


@jit
def _put_integer_tag(out, at, a, b, value):
    """An integer tag in the narrowest type, of a number that is not negative."""
    if value <= 255:
        at = _put_tag(out, at, a, b, 67)
        out[at] = value
        return at + 1
    if value <= 65535:
        at = _put_tag(out, at, a, b, 83)
        out[at], out[at + 1] = value & 255, value >> 8
        return at + 2
    at = _put_tag(out, at, a, b, 73)
    for k in range(4):
        out[at + k] = (value >> (8 * k)) & 255
    return at + 4


@jit
def _put_text_tag(out, at, a, b, texts, begin, size):
    at = _put_tag(out, at, a, b, 90)
    for k in range(size):
        out[at + k] = texts[begin + k]
    out[at + size] = 0
    return at + size + 1


@jit
def _three_decimals(a, b):
    """a / b as "%.3f" prints it and htslib reads it again."""
    value = a / np.float64(b)
    scaled = value * 1000.0
    lost = fma_scalar(value, 1000.0, -scaled)
    whole = math.floor(scaled)
    rest = scaled - whole
    up = rest > 0.5 or (rest == 0.5 and (lost > 0.0 or (lost == 0.0 and whole % 2.0 == 1.0)))
    return np.float32((whole + (1.0 if up else 0.0)) / 1000.0)


@jit
def _span(cigars, begin, count):
    """Bases of the reference under a CIGAR."""
    n = np.int64(0)
    for k in range(begin, begin + count):
        op = np.int64(cigars[k]) & 15
        if op == M or op == D:
            n += (np.int64(cigars[k]) >> 4)
    return n


@jit
def _eight_nibbles(codes):
    """Eight codes, the first in the lowest byte, as a record has them: four bytes, the first base in the upper half of the lowest."""
    low, high, none = codes & _EACH_ONE, (codes >> np.uint64(1)) & _EACH_ONE, (codes >> np.uint64(2)) & _EACH_ONE
    x = _EACH_ONE + low
    x ^= (x ^ (x << np.uint64(2))) & (high * np.uint64(15))
    x |= none * np.uint64(15)
    x = ((x << np.uint64(4)) | (x >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | (x >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return (x | (x >> np.uint64(16))) & np.uint64(0xFFFFFFFF)


@jit
def _put_bases(out, at, query, qual, b, e, reverse):
    """Bases b..e of a read (codes) and their qualities (ASCII, turned round if `reverse`). Returns where they end.

    query: of a read that is `reverse` its reverse complement, of which b..e are counted from the end.
    """
    n = e - b
    to = at + ((n + 1) >> 1)
    if n & 1:
        out[to - 1] = 0
    if reverse:
        query = query[qual.size - e :]
    else:
        query = query[b:]
    begun = np.int64(0)
    while begun + 8 <= n:
        codes = load_u64(address_of(query) + begun)
        store_u32(address_of(out) + at + (begun >> 1), np.uint32(_eight_nibbles(codes)))
        if reverse:
            eight = turned_bytes(load_u64(address_of(qual) + e - 8 - begun))
        else:
            eight = load_u64(address_of(qual) + b + begun)
        store_u64(address_of(out) + to + begun, eight - _QUALITY_ZERO)
        begun += 8
    for k in range(begun, n):
        code = _NIBBLES[query[k]]
        out[to + k] = qual[e - 1 - k if reverse else b + k] - 33
        if k & 1:
            out[at + (k >> 1)] |= code
        else:
            out[at + (k >> 1)] = code << 4
    return to + n


@jit
def _cigar_bytes(alignment):
    """At most so many bytes a CIGAR takes, as words and as text."""
    return 16 * alignment[A_OPS] + 16


@jit
def record_bound(alignments, first, count, mate, name_size, length, longest_name, fixed):
    """At most so many bytes that any record of alignments[first : first + count] takes. fixed: of read group and comment."""
    size = 400 + name_size + 2 * length + fixed + _cigar_bytes(mate)
    most = np.int64(0)
    for i in range(first, first + count):
        a = alignments[i]
        size += _cigar_bytes(a) + longest_name + 64  # in SA of the others
        most = max(most, a[A_MD_SIZE] + a[A_XA_SIZE] + _cigar_bytes(a))
    return size + most


@jit
def _template_length(p_pos, p_reverse, p_span, m_pos, m_reverse, m_span):
    p = p_pos + (p_span - 1 if p_reverse else 0)
    m = m_pos + (m_span - 1 if m_reverse else 0)
    return -(p - m + (1 if p > m else (-1 if p < m else 0)))


@jit
def _put_split_hits(out, at, alignments, first, count, which, cigars, names, name_offset):
    """The SA tag of a record, where other alignments of the read are no secondary ones. Returns where it ends."""
    begun = False
    for i in range(first, first + count):
        a = alignments[i]
        if i == which or a[A_FLAG] & SECONDARY_FLAG:
            continue
        if not begun:
            at = _put_tag(out, at, 83, 65, 90)
            begun = True
        at = put_name(out, at, names, name_offset, a[A_RID])
        out[at] = 44
        at = put_int(out, at + 1, a[A_POS] + 1)
        out[at], out[at + 1], out[at + 2] = 44, 45 if a[A_REVERSE] else 43, 44
        at = put_cigar(out, at + 3, cigars, a[A_CIGAR], a[A_OPS], False)
        out[at] = 44
        at = put_int(out, at + 1, a[A_MAPQ])
        out[at] = 44
        at = put_int(out, at + 1, a[A_NM])
        out[at] = 59
        at += 1
    if begun:
        out[at] = 0
        at += 1
    return at


@jit
def _put_tags(
    out, at, alignments, first, count, which, has_cigar, mate, mate_has_cigar, hard, cigars, texts, names, name_offset, read_group,
):  # fmt: skip
    """All tags but the comment. Returns where they end."""
    p = alignments[which]
    if has_cigar:
        at = _put_integer_tag(out, at, 78, 77, p[A_NM])
        at = _put_text_tag(out, at, 77, 68, texts, p[A_MD], p[A_MD_SIZE])
    if mate_has_cigar:
        at = put_cigar(out, _put_tag(out, at, 77, 67, 90), cigars, mate[A_CIGAR], mate[A_OPS], hard and not mate[A_ALT])
        out[at] = 0
        at += 1
    at = _put_integer_tag(out, at, 65, 83, p[A_SCORE])
    if p[A_SUB] >= 0:
        at = _put_integer_tag(out, at, 88, 83, p[A_SUB])
    if read_group.size > 0:
        at = _put_text_tag(out, at, 82, 71, read_group, 0, read_group.size)
    if not p[A_FLAG] & SECONDARY_FLAG:
        at = _put_split_hits(out, at, alignments, first, count, which, cigars, names, name_offset)
        if p[A_ALT_SCORE] > 0:
            at = _put_tag(out, at, 112, 97, 102)
            bits = bits_of_f32(_three_decimals(p[A_SCORE], p[A_ALT_SCORE]))
            for k in range(4):
                out[at + k] = (bits >> (8 * k)) & 255
            at += 4
    if p[A_XA_SIZE] > 0:
        at = _put_text_tag(out, at, 88, 65, texts, p[A_XA], p[A_XA_SIZE])
    return at


@jit
def put_record(
    out, at, alignments, first, count, which, mate, paired, data, name_at, name_size, qual_at, query, turned, length, opt, cigars, texts,
    names, name_offset, read_group, comment_at, comment_end,
):  # fmt: skip
    """Write the record of alignments[which], one of a read's alignments[first : first + count]. Returns where it ends, -1: bad comment.

    query, turned: codes of the read and of its reverse complement.
    mate: the alignment (row) that stands for the other end, if `paired`. comment_at, comment_end: tags as text, in data.
    """
    p = alignments[which]
    flag, rid, pos, reverse, ops = p[A_FLAG], p[A_RID], p[A_POS], p[A_REVERSE], p[A_OPS]
    mate_rid, mate_pos, mate_reverse, mate_ops = np.int64(-1), np.int64(-1), np.int64(0), np.int64(0)
    if rid < 0:
        flag |= 4
    if paired:
        mate_rid, mate_pos, mate_reverse, mate_ops = mate[A_RID], mate[A_POS], mate[A_REVERSE], mate[A_OPS]
        flag |= 1
        if mate_rid < 0:
            flag |= 8
        if rid < 0 and mate_rid >= 0:
            rid, pos, reverse, ops = mate_rid, mate_pos, mate_reverse, np.int64(0)
        elif mate_rid < 0 and rid >= 0:
            mate_rid, mate_pos, mate_reverse, mate_ops = rid, pos, reverse, np.int64(0)
        if mate_reverse:
            flag |= 32
    if reverse:
        flag |= 16
    span = _span(cigars, p[A_CIGAR], ops)
    template = np.int64(0)
    if ops > 0 and mate_ops > 0 and rid == mate_rid:
        template = _template_length(pos, reverse, span, mate_pos, mate_reverse, _span(cigars, mate[A_CIGAR], mate_ops))
    hard = which > first and not opt[SOFT_CLIP]
    base = np.int64(out.ctypes.data)
    begin = at
    at += 36
    copy_bytes(base + at, np.int64(data.ctypes.data) + name_at, name_size)
    out[at + name_size] = 0
    at += name_size + 1
    b, e = np.int64(0), length
    clipped = hard and not p[A_ALT]
    for k in range(ops):
        word = np.int64(cigars[p[A_CIGAR] + k])
        if clipped and word & 15 == S:
            n = word >> 4
            if (k == 0) != (reverse != 0):
                b += n
            else:
                e -= n
            word += H - S
        store_u32(base + at, np.uint32(word))
        at += 4
    if flag & SECONDARY_FLAG:
        b, e = np.int64(0), np.int64(0)
    at = _put_bases(out, at, turned if reverse else query, data[qual_at : qual_at + length], b, e, reverse)
    at = _put_tags(
        out, at, alignments, first, count, which, ops > 0, mate, mate_ops > 0, hard, cigars, texts, names, name_offset, read_group
    )  # fmt: skip
    if comment_at < comment_end:
        size = encode_tags(np.int64(data.ctypes.data) + comment_at, np.int64(data.ctypes.data) + comment_end, base + at)
        if size < 0:
            return np.int64(-1)
        at += size
    if flag & SPLIT_AS_SECONDARY:
        flag |= SECONDARY_FLAG
    to = base + begin
    store_u32(to, np.uint32(at - begin - 4))
    store_i32(to + 4, np.int32(rid))
    store_i32(to + 8, np.int32(pos))
    store_u8(to + 12, np.uint8(name_size + 1))
    store_u8(to + 13, np.uint8(p[A_MAPQ]))
    store_u16(to + 14, np.uint16(region_bin(pos, pos + (1 if flag & 4 or span == 0 else span))))
    store_u16(to + 16, np.uint16(ops))
    store_u16(to + 18, np.uint16(flag & 0xFFFF))
    store_i32(to + 20, np.int32(e - b))
    store_i32(to + 24, np.int32(mate_rid))
    store_i32(to + 28, np.int32(mate_pos))
    store_i32(to + 32, np.int32(template))
    return at


@jit
def _align_single(
    words, offsets, names, name_offset, query, length, hits, n, extra, opt, ratios, part, text, profile, h, e, back, alignments, first,
    cigars, texts, used,
):  # fmt: skip
    """Alignments of a read that is not paired up, from row `first` on. extra: flags. Returns (their number, text, back)."""
    count = 0
    for k in range(n):
        p = hits[k]
        if p[SCORE] < opt[MIN_SCORE] or (p[SECONDARY] >= 0 and (p[ALT] or not opt[ALL_HITS])):
            continue
        if 0 <= p[SECONDARY] < ALT_SHADOWED and np.float32(p[SCORE]) < np.float32(hits[p[SECONDARY], SCORE]) * ratios[DROP]:
            continue
        a = alignments[first + count]
        text, back = align_hit(words, offsets, query, length, p, opt, part, text, profile, h, e, back, a, cigars, texts, used)
        a[A_FLAG] = extra
        if p[SECONDARY] >= 0:
            a[A_FLAG] |= SECONDARY_FLAG
            a[A_SUB] = -1
        else:
            a[A_MAPQ] = mapping_quality(p, length, opt)
            if count > 0:
                a[A_FLAG] |= SPLIT_AS_SECONDARY if opt[SHORTER_SPLITS_SECONDARY] else SUPPLEMENTARY_FLAG
        if count > 0 and not opt[KEEP_MAPQ] and not p[ALT]:
            a[A_MAPQ] = min(a[A_MAPQ], alignments[first, A_MAPQ])
        if not opt[ALL_HITS]:
            text, back = other_hits(
                words, offsets, names, name_offset, query, length, hits, n, k, opt, part, text, profile, h, e, back, a,
                alignments[alignments.shape[0] - 1], cigars, texts, used,
            )  # fmt: skip
        count += 1
    if count == 0:
        unmapped(alignments[first])
        alignments[first, A_FLAG] |= extra
        count = 1
    return count, text, back


@jit
def _raw_quality(difference, opt):
    return np.int64(6.02 * difference / opt[MATCH] + 0.499)


@jit
def _has_splits(hits, n_pri, opt):
    for i in range(1, n_pri):
        if hits[i, SECONDARY] < 0 and hits[i, SCORE] >= opt[MIN_SCORE]:
            return True
    return False


@jit
def _choose(hits, n, n_pri, length, number, offsets, limits, spread, opt, chosen, quality):
    """Which hits of a pair become its records: chosen, quality (int64[2]). Returns the flag for a proper pair, -1 for no choice.

    The chosen hits are made the first of their reads.
    """
    if opt[NO_PAIRING] or n_pri[0] == 0 or n_pri[1] == 0:
        return -1
    score, sub, near = best_pair(hits, n_pri, number, offsets, limits, spread, opt, chosen)
    if score <= 0 or _has_splits(hits[0], n_pri[0], opt) or _has_splits(hits[1], n_pri[1], opt):
        return -1
    apart = hits[0, 0, SCORE] + hits[1, 0, SCORE] - opt[UNPAIRED]
    sub = max(sub, apart)
    pair_quality = min(max(_raw_quality(score - sub, opt) - near_ties(near), 0), MAPQ_CAP)
    repeats = np.float64(repeat_share(hits[0, 0], length[0]) + repeat_share(hits[1, 0], length[1]))
    pair_quality = np.int64(pair_quality * (1.0 - 0.5 * repeats) + 0.499)
    proper = score > apart
    for i in range(2):
        if not proper:
            chosen[i] = 0
        c = hits[i, chosen[i]]
        if proper and c[SECONDARY] >= 0:
            c[SUB], c[SECONDARY] = hits[i, c[SECONDARY], SCORE], _CHOSEN
        q = mapping_quality(c, length[i], opt)
        if proper:
            q = q if q > pair_quality else (pair_quality if pair_quality < q + 40 else q + 40)
            q = min(q, _raw_quality(c[SCORE] - c[LOCAL_SUB], opt))
        quality[i] = q
        k = c[SECONDARY_ALL]
        if 0 <= k < n_pri[i]:
            for j in range(n[i]):
                if hits[i, j, SECONDARY_ALL] == k or j == k:
                    hits[i, j, SECONDARY_ALL] = chosen[i]
            c[SECONDARY_ALL] = -1
    return 2 if proper else 0


@jit
def _mate_hit(hits, n, n_pri, opt):
    """The hit that stands for a read in its mate's record, -1 for none."""
    if n > 0 and hits[0, SCORE] >= opt[MIN_SCORE]:
        return np.int64(0)
    return n_pri if n_pri < n and hits[n_pri, SCORE] >= opt[MIN_SCORE] else np.int64(-1)


@jit
def _comment_span(data, at, end):
    """Where the comment of a FASTQ name line begins (its name ends at or after `at`)."""
    while at < end and data[at] > 32:
        at += 1
    return min(at + 1, end), end


@jit
def make_records(
    begin, end, number, paired, reads, mates, hits1, offset1, hits2, offset2, words, offsets, lengths, names, name_offset, read_group, opt,
    ratios, limits, spread, known, known_offset,
):  # fmt: skip
    """BAM records of pairs (or single reads) begin..end, in order.

    number: of the first of all these pairs (reads) in the input. reads, mates: columns (data, name_start, name_length, seq_start,
    seq_length, qual_start) as in `FastqBatch`; mates are the same as reads where reads are single. hits1, offset1: hits of read i are
    hits1[offset1[i] : offset1[i + 1]]; likewise those of the mates. known, known_offset: results of the rescues of pair i, from the first
    on (`replay_cpu`); others are made here. All else: as in `hits_cpu.extend_reads` and `pairing_cpu`.

    Returns
    -------
    (uint8 records back to back, int64 size of each, -1 or the first pair whose comment is no SAM tag)
    """
    ends = 2 if paired else 1
    longest, most, window = scratch_sizes(reads[4], mates[4], offset1, offset2, begin, end, limits, opt, paired)
    longest_name = 0
    for i in range(name_offset.size - 1):
        longest_name = max(longest_name, name_offset[i + 1] - name_offset[i])
    hits, near = np.empty((2, most, HIT_COLUMNS), np.int64), np.empty((2, most, HIT_COLUMNS), np.int64)
    spare, scratch = np.empty((most, HIT_COLUMNS), np.int64), np.empty((3, most), np.int64)
    codes = np.empty((3, 2, longest + 16), np.uint8)
    query, reverse, part = codes[0], codes[1], codes[2, 0]
    profile, rows = np.empty((4, longest + 16), np.int32), np.empty((2, longest + 32), np.int32)
    text, back = np.empty(4 * longest + window, np.uint8), np.empty(1 << 16, np.uint8)
    peaks, result = np.empty((longest + window + 1, 2), np.int64), np.empty(6, np.int64)
    memo = new_memo(known)
    alignments = np.empty((2 * most + 8, COLUMNS), np.int64)
    cigars, texts, used = np.empty(4096, np.uint32), np.empty(1 << 14, np.uint8), np.zeros(2, np.int64)
    n, n_pri, length = np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    chosen, quality, count = np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    out, at = np.empty(max(1 << 16, 500 * (end - begin) * ends), np.uint8), np.int64(0)
    size, records = np.empty(2 * ends * (end - begin) + 16, np.int64), 0
    mate_row = alignments.shape[0] - 4  # two rows for what the ends are to each other, and one that XA uses
    unmapped(alignments[mate_row + 1])  # single reads look at it in vain
    for i in range(begin, end):
        n[0], n[1] = offset1[i + 1] - offset1[i], offset2[i + 1] - offset2[i]
        hits[0, : n[0]] = hits1[offset1[i] : offset1[i + 1]]
        hits[1, : n[1]] = hits2[offset2[i] : offset2[i + 1]]
        for k in range(ends):
            columns = mates if k else reads
            length[k] = columns[4][i]
            encode_read(columns[0], columns[3][i], length[k], query[k], part, reverse[k])
        if paired and not opt[NO_RESCUE]:
            start_replay(memo, known_offset[i], known_offset[i + 1], False)
            _, back = rescue_both(
                words, offsets, lengths, query, reverse, length, limits, opt, ratios, hits, n, spare, near, scratch[0], scratch[1],
                scratch[2], memo, part, text, profile, rows[0], rows[1], peaks, back, result,
            )  # fmt: skip
        text_need, ops_need = np.int64(64), np.int64(64)
        for k in range(ends):
            n_pri[k] = mark_primary(
                hits[k], n[k], (number + i) * ends + k, opt, ratios, spare, scratch[0], scratch[1], scratch[2]
            )  # fmt: skip
            if opt[FIVE_PRIME]:
                five_prime_first(hits[k], n[k], opt)
            for j in range(n[k]):
                ops_need += 4 * length[k] + 16
                text_need += 12 * length[k] + 2 * (hits[k, j, RE] - hits[k, j, RB]) + longest_name + 128
        if ops_need > cigars.size:
            cigars = np.empty(2 * ops_need, np.uint32)
        if text_need > texts.size:
            texts = np.empty(2 * text_need, np.uint8)
        used[:] = 0
        extra = _choose(hits, n, n_pri, length, number + i, offsets, limits, spread, opt, chosen, quality) if paired else -1
        first = 0
        if extra >= 0:
            for k in range(2):
                count[k] = 0
                for step in range(2):
                    j = n_pri[k] if step else chosen[k]
                    if step and (j == n[k] or hits[k, j, SCORE] < opt[MIN_SCORE] or hits[k, j, SECONDARY] >= 0):
                        break
                    a = alignments[first + step]
                    text, back = align_hit(
                        words, offsets, query[k], length[k], hits[k, j], opt, part, text, profile, rows[0], rows[1], back, a, cigars,
                        texts, used,
                    )  # fmt: skip
                    a[A_FLAG] = 1 | 0x40 << k | extra | (SUPPLEMENTARY_FLAG if step else 0)
                    a[A_MAPQ] = mapping_quality(hits[k, j], length[k], opt) if step else quality[k]
                    if not opt[ALL_HITS]:
                        text, back = other_hits(
                            words, offsets, names, name_offset, query[k], length[k], hits[k], n[k], j, opt, part, text, profile, rows[0],
                            rows[1], back, a, alignments[alignments.shape[0] - 1], cigars, texts, used,
                        )  # fmt: skip
                    count[k] += 1
                alignments[mate_row + k] = alignments[first]
                first += count[k]
        else:
            extra = 0
            if paired:
                for k in range(2):
                    j = _mate_hit(hits[k], n[k], n_pri[k], opt)
                    a = alignments[mate_row + k]
                    if j < 0:
                        unmapped(a)
                    else:
                        text, back = align_hit(
                            words, offsets, query[k], length[k], hits[k, j], opt, part, text, profile, rows[0], rows[1], back, a, cigars,
                            texts, used,
                        )  # fmt: skip
                extra = 1
                rid = alignments[mate_row, A_RID]
                if not opt[NO_PAIRING] and rid >= 0 and rid == alignments[mate_row + 1, A_RID]:
                    way, d = orientation(opt[LENGTH], hits[0, 0, RB], hits[1, 0, RB])
                    if not limits[way, OUT] and limits[way, LOW] <= d <= limits[way, HIGH]:
                        extra |= 2
            for k in range(ends):
                count[k], text, back = _align_single(
                    words, offsets, names, name_offset, query[k], length[k], hits[k], n[k], extra | (0x40 << k if paired else 0), opt,
                    ratios, part, text, profile, rows[0], rows[1], back, alignments, first, cigars, texts, used,
                )  # fmt: skip
                first += count[k]
        first = 0
        for k in range(ends):
            columns = mates if k else reads
            data, name_at, name_size, qual_at = columns[0], columns[1][i], columns[2][i], columns[5][i]
            comment, comment_end = np.int64(0), np.int64(0)
            if opt[COMMENTS]:
                comment, comment_end = _comment_span(data, name_at + name_size, columns[3][i] - 1)
            mate = alignments[mate_row + 1 - k]
            fixed = read_group.size + 2 * (comment_end - comment) + 64
            bound = record_bound(alignments, first, count[k], mate, name_size, length[k], longest_name, fixed)
            for j in range(count[k]):
                if at + bound > out.size:
                    more = np.empty(2 * (at + bound), np.uint8)
                    more[:at] = out[:at]
                    out = more
                if records == size.size:
                    longer = np.empty(2 * records, np.int64)
                    longer[:records] = size
                    size = longer
                stop = put_record(
                    out, at, alignments, first, count[k], first + j, mate, paired, data, name_at, name_size, qual_at, query[k], reverse[k],
                    length[k], opt, cigars, texts, names, name_offset, read_group, comment, comment_end,
                )  # fmt: skip
                if stop < 0:
                    return out[:at], size[:records], np.int64(i)
                size[records] = stop - at
                records += 1
                at = stop
            first += count[k]
    return out[:at], size[:records], np.int64(-1)
