"""Reference confidence of every position of spans: pileups as sums over reads, no pileup object. CPU twin.

Likelihoods are added read by read in the order of the pileup, so each position's sums have GATK's order of additions.
Everywhere `clipped` = (source, start, base, qual, base_offset, cigar, cigar_offset), columns of RegionReads, and
`reads` = (flag, mapq, mate_ref_id, mate_start, tlen), columns of CallerReads that `source` points into.
"""

import numpy as np

from gpugenome.kernels.activity_scalar import deletion_beyond, kept_range
from gpugenome.kernels.bits import bytes_equal, equal_bytes, leading_zeros
from gpugenome.kernels.launch import jit
from gpugenome.kernels.reference_confidence_scalar import (
    MAX_INFORMATIVE,
    MAX_USELESS_QUALITY,
    N_BASE,
    informative_limit,
    mismatch_cost,
    reference_pl,
)

DELETION, SOFT_CLIP, GAP = 2, 4, 45
INDEL_MASK, ALIGNED_MASK, READ_MASK = 6, 385, 403  # I D; M = X; what consumes read bases


@jit
def nonpassing_rows(begin, end, clipped, reads, ref_id, min_mapq, min_length, drop):
    """drop[i] = 1 for rows begin..end that the reference model leaves out: short without soft clips, low MAPQ, mate on another contig."""
    source, start, base, qual, base_offset, cigar, cigar_offset = clipped
    flag, mapq, mate_ref_id, mate_start, tlen = reads
    for i in range(begin, end):
        s = source[i]
        length = base_offset[i + 1] - base_offset[i]
        for k in range(cigar_offset[i], cigar_offset[i + 1]):
            if cigar[k] & 15 == SOFT_CLIP:
                length -= np.int64(cigar[k] >> 4)
        mate_is_mapped = flag[s] & 9 == 1 and mate_ref_id[s] >= 0 and mate_start[s] >= 0
        drop[i] = length < min_length or mapq[s] < min_mapq or (mate_is_mapped and mate_ref_id[s] != ref_id)


@jit
def _laid_on_reference(base, qual, cigar, out_base, out_qual):
    """A read with indels base by base along the reference: deleted bases are gaps, inserted and clipped bases vanish.

    Length of the result; soft clips leave as many zeros at its end. Source: AlignmentUtils.getBasesAndBaseQualitiesAlignedOneToOne.
    """
    n = at = r = 0
    for w in cigar:
        op, length = np.int64(w & 15), np.int64(w >> 4)
        if (ALIGNED_MASK >> op) & 1:
            for j in range(length):
                out_base[at + j], out_qual[at + j] = base[r + j], qual[r + j]
            at += length
            n += length
        elif op == DELETION:
            for j in range(length):
                out_base[at + j], out_qual[at + j] = GAP, 0
            at += length
            n += length
        elif op == SOFT_CLIP:
            n += length
        if (READ_MASK >> op) & 1:
            r += length
    for j in range(at, n):
        out_base[j], out_qual[j] = 0, 0
    return n


@jit
def _costs_more(base, base_at, qual, ref, ref_at, n, most):
    """Whether the mismatches among n pairs of bases, from base[base_at] and ref[ref_at] on, are seen to cost more than `most`.

    Only the last 64 pairs are looked at, and False is the answer where the arrays begin less than 64 bases before the last pair.
    """
    base_at += n - 64
    ref_at += n - 64
    if n <= 0 or base_at < 0 or ref_at < 0:
        return False
    unknown = bytes_equal(base, base_at, np.uint8(N_BASE)) | bytes_equal(ref, ref_at, np.uint8(N_BASE))
    mismatch, total = ~(equal_bytes(base, base_at, ref, ref_at) | unknown), np.int64(0)
    if n < 64:
        mismatch &= ~((np.uint64(1) << np.uint64(64 - n)) - np.uint64(1))
    while mismatch:
        j = 63 - leading_zeros(mismatch)
        total += np.int64(qual[base_at + j])
        if total > most:
            return True
        mismatch ^= np.uint64(1) << np.uint64(j)
    return False


@jit
def _mark_one(base, qual, first, ref, shift, stop, limit, own, plausible):
    """`mark_plausible` of one indel: base[t] lies on ref[t + shift] from t = stop - 1 down."""
    if _costs_more(base, limit, qual, ref, limit + shift, stop - limit, own[first]):
        return
    total = 0
    for t in range(stop - 1, first - 1, -1):
        total += mismatch_cost(base[t], ref[t + shift], qual[t])
        if total > own[first]:
            break
        if t < limit and total <= own[t]:
            plausible[t] = 1


@jit
def _own_costs(base, qual, first, ref, shift, own):
    """own[t] = cost of the mismatches of base[t] and all after it, for t from `first` on."""
    stop, total = min(len(base), len(ref) - shift), np.int64(0)
    while stop > first:
        n = min(np.int64(64), stop - first)
        same = False
        if stop >= 64 and stop + shift >= 64:
            same = ~equal_bytes(base, stop - 64, ref, stop - 64 + shift) >> np.uint64(64 - n) == 0
        if same:
            for t in range(stop - n, stop):
                own[t] = total
        else:
            for t in range(stop - 1, stop - n - 1, -1):
                total += mismatch_cost(base[t], ref[t + shift], qual[t])
                own[t] = total
        stop -= n


@jit
def _mark_plausible(base, qual, first, ref, shift, size, limit, own, plausible):
    """As `mark_plausible`; most indels are seen in one step to cost more than the read's own alignment before any offset is decided."""
    _own_costs(base, qual, first, ref, shift, own)
    for t in range(first, limit):
        plausible[t] = 0
    for d in range(1, size + 1):
        _mark_one(base, qual, first, ref, shift + d, min(len(base), len(ref) - shift - d), limit, own, plausible)
        _mark_one(base[d:], qual[d:], first, ref, shift, min(len(base) - d, len(ref) - shift), limit, own, plausible)


@jit
def _informative_offsets(base, qual, cigar, first, at, ref, size, scratch):
    """Offsets from `first` to the one returned are informative where scratch[3] is 0.

    first: offset of the first element asked, which lies on ref[at]. scratch: of the length of the read's CIGAR: bases and qualities laid
    on the reference, own suffix sums, marks of plausible indels.
    """
    out_base, out_qual, own, plausible = scratch
    indel = False
    for w in cigar:
        indel |= (INDEL_MASK >> np.int64(w & 15)) & 1 == 1
    n = len(base)
    if indel:
        n = _laid_on_reference(base, qual, cigar, out_base, out_qual)
        limit = informative_limit(n, len(base), first, at, len(ref), size)
        if limit > first:
            _mark_plausible(out_base[:n], out_qual[:n], first, ref, at - first, size, limit, own, plausible)
            for t in range(first, limit):  # with a soft clip in front, offsets of aligned bases may fall on deleted ones
                if out_base[t] == GAP:
                    plausible[t] = 0
    else:
        limit = informative_limit(n, n, first, at, len(ref), size)
        if limit > first:
            _mark_plausible(base, qual, first, ref, at - first, size, limit, own, plausible)
    return limit


@jit
def _add_bases(base, qual, ref, element, gl, depth):
    """Add aligned bases to gl and depth, which begin at the first of them."""
    m = gl.shape[1]
    for j in range(len(base)):
        if qual[j] > MAX_USELESS_QUALITY:
            alt = 1 if base[j] != ref[j] else 0
            add, row = element[min(qual[j], 93), alt], gl[j]
            row[0] += add[0]
            row[1] += add[1]
            if m == 3:
                row[2] += add[2]
            else:
                for g in range(2, m):
                    row[g] += add[g]
            depth[j, alt] += 1


@jit
def _add_read(i, clipped, reads, at, to, ref_start, ref, element, deletion_quality, size, gl, depth, informative, scratch):
    """Add row i to positions at..to (gl, depth[:, 0 ref, 1 alt], informative are indexed from `at`)."""
    source, start, base, qual, base_offset, cigar, cigar_offset = clipped
    flag, mapq, mate_ref_id, mate_start, tlen = reads
    c0, c1, s = cigar_offset[i], cigar_offset[i + 1], source[i]
    stop = np.int64(start[i])
    for k in range(c0, c1):
        op = cigar[k] & 15
        if op == 0 or op == 2 or op == 3 or op == 7 or op == 8:
            stop += np.int64(cigar[k] >> 4)
    first, last = kept_range(np.int64(start[i]), stop, np.int64(flag[s]), mate_ref_id[s], np.int64(mate_start[s]), np.int64(tlen[s]))
    first, last = max(first, at), min(last, to)
    if first >= last:
        return
    b, q = base[base_offset[i] : base_offset[i + 1]], qual[base_offset[i] : base_offset[i + 1]]
    m = gl.shape[1]
    limit = np.int64(-1)  # not asked yet
    p, r, offset = np.int64(start[i]), np.int64(0), np.int64(0)
    for k in range(c0, c1):
        op, length = np.int64(cigar[k] & 15), np.int64(cigar[k] >> 4)
        lo, hi = max(p, first), min(p + length, last)
        if (ALIGNED_MASK >> op) & 1:
            if lo < hi:
                bases, quals, refs = b[r + lo - p : r + hi - p], q[r + lo - p : r + hi - p], ref[lo - ref_start : hi - ref_start]
                _add_bases(bases, quals, refs, element, gl[lo - at : hi - at], depth[lo - at : hi - at])
                before_insertion = k + 1 < c1 and cigar[k + 1] & 15 == 1
                if hi == p + length and (before_insertion or deletion_beyond(cigar, c0, c1, k, 1)):
                    hi -= 1
                if limit < 0 and lo < hi:
                    limit = _informative_offsets(b, q, cigar[c0:c1], offset + lo - p, lo - ref_start, ref, size, scratch)
                shift = offset - p
                plausible = scratch[3]
                for x in range(lo, min(hi, limit - shift)):
                    informative[x - at] += 1 - plausible[x + shift]
            p += length
            r += length
            offset += length
        elif op == DELETION:
            for x in range(lo, hi):
                add = element[deletion_quality, 1]
                for g in range(m):
                    gl[x - at, g] += add[g]
                depth[x - at, 1] += 1
            p += length
            offset += length
        elif op == 3:
            p += length
            offset += length
        elif op == SOFT_CLIP:
            r += length
            offset += length
        elif op == 1:
            r += length


@jit
def reference_confidence(
    begin, end, span_start, span_end, ref_start, ref_end, row_offset, row, clipped, reads, contig_bases, element, log_ploidy,
    indel_margin, indel_pl, deletion_quality, size, out_offset, ref_depth, alt_depth, pl, gq,
):  # fmt: skip
    """Reference confidence of the positions of spans begin..end; position x of span s is written to out_offset[s] + x - span_start[s].

    ref_start, ref_end: int32, the reference haplotype of each span. row[row_offset[s]:row_offset[s+1]]: its reads, rows of `clipped` in
    the order of the pileup. contig_bases: uint8 ASCII. element: gatk.activity_priors.element_likelihoods(ploidy).
    indel_margin: float64[41], indel_pl: int32[41, ploidy+1], by number of informative reads. size: largest indel to rule out, bp.
    Results: ref_depth, alt_depth, gq (uncapped): int32[n]; pl: int32[n, ploidy+1].
    """
    m = pl.shape[1] - 1
    width = np.int64(0)
    for s in range(begin, end):
        width = max(width, np.int64(span_end[s]) - span_start[s])
    all_gl, all_depth, all_informative = np.empty((width, m + 1)), np.empty((width, 2), np.int32), np.empty(width, np.int32)
    room = np.int64(0)  # for the longest read, with its deletions and clips
    for k in range(row_offset[begin], row_offset[end]):
        length = np.int64(0)
        for w in range(clipped[6][row[k]], clipped[6][row[k] + 1]):
            length += np.int64(clipped[5][w] >> 4)
        room = max(room, length)
    scratch = np.empty(room, np.uint8), np.empty(room, np.uint8), np.empty(room, np.int32), np.empty(room, np.uint8)
    for s in range(begin, end):
        at, to = np.int64(span_start[s]), np.int64(span_end[s])
        gl, depth, informative = all_gl[: to - at], all_depth[: to - at], all_informative[: to - at]
        for d in range(to - at):
            informative[d] = depth[d, 0] = depth[d, 1] = 0
            for g in range(m + 1):
                gl[d, g] = 0.0
        ref = contig_bases[ref_start[s] : ref_end[s]]
        for k in range(row_offset[s], row_offset[s + 1]):
            _add_read(row[k], clipped, reads, at, to, np.int64(ref_start[s]), ref, element, deletion_quality, size, gl, depth, informative,
                      scratch)  # fmt: skip
        for d in range(to - at):
            out = out_offset[s] + d
            count = depth[d, 0] + depth[d, 1]
            ref_depth[out], alt_depth[out] = depth[d, 0], depth[d, 1]
            n = min(informative[d], MAX_INFORMATIVE)
            gq[out] = reference_pl(gl[d], m, count, log_ploidy, indel_margin[n], indel_pl[n], pl[out])
