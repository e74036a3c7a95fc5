"""Activity of every position of a span: pileups as sums over reads, no pileup object. CPU twin.

Likelihoods are added read by read in stream order, so each position's sums have GATK's order of additions.
"""

import numpy as np

from gpugenome.kernels.activity_scalar import (
    edge_marks,
    joint_probability,
    kept_range,
    round_to_phred,
    single_sample_probability,
)
from gpugenome.kernels.launch import jit

DELETION = 2


@jit
def _clipped_bases(cigar, begin, end, qual):
    """Soft-clipped bases of a read with quality above 28, on both ends."""
    count, at = 0, 0
    for k in range(begin, end):
        op, length = cigar[k] & 15, np.int64(cigar[k] >> 4)
        if op == 4:
            for j in range(at, at + length):
                if qual[j] > 28:
                    count += 1
        if op == 0 or op == 1 or op == 4 or op == 7 or op == 8:
            at += length
    return count


@jit
def _add_bases(base, qual, reference, element, min_quality, gl, depth, present):
    """Add aligned bases, none of which stands at an indel or a clip, to sums that begin at the first of them."""
    m = gl.shape[1]
    for j in range(len(base)):
        present[j] = 1
        if qual[j] > min_quality:
            add, row = element[min(qual[j], 93), 1 if base[j] != reference[j] else 0], gl[j]
            row[0] += add[0]
            row[1] += add[1]
            if m == 3:
                row[2] += add[2]
            else:
                for g in range(2, m):
                    row[g] += add[g]
            depth[j] += 1


@jit
def add_read(i, at, to, reads, reference, element, min_quality, deletion_quality, gl, depth, present, mean, clips):
    """Add the elements of read i on positions at..to (gl and the rest are indexed from `at`)."""
    start, end, flag, mate_ref_id, mate_start, tlen, base, qual, base_offset, cigar, cigar_offset = reads
    first, last = kept_range(np.int64(start[i]), np.int64(end[i]), np.int64(flag[i]), mate_ref_id[i], np.int64(mate_start[i]),
                             np.int64(tlen[i]))  # fmt: skip
    first, last = max(first, at), min(last, to)
    if first >= last:
        return
    b = base[base_offset[i] : base_offset[i + 1]]
    q = qual[base_offset[i] : base_offset[i + 1]]
    c0, c1 = cigar_offset[i], cigar_offset[i + 1]
    m = gl.shape[1]
    soft = np.int64(-1)
    p, r = np.int64(start[i]), np.int64(0)
    for k in range(c0, c1):
        op, length = np.int64(cigar[k] & 15), np.int64(cigar[k] >> 4)
        if op == 0 or op == 7 or op == 8 or op == DELETION:
            lo, hi = max(p, first), min(p + length, last)
            if lo < hi:
                marks = edge_marks(cigar, c0, c1, k)
                plain = op != DELETION and (not marks or (lo > p and hi < p + length))
                if plain:
                    j, d = r + lo - p, lo - at
                    _add_bases(b[j : r + hi - p], q[j : r + hi - p], reference[lo:hi], element, min_quality, gl[d : hi - at],
                               depth[d : hi - at], present[d : hi - at])  # fmt: skip
                for x in range(lo, lo if plain else hi):
                    quality = deletion_quality
                    alt = True
                    if op != DELETION:
                        j = r + x - p
                        quality = np.int64(q[j])
                        alt = b[j] != reference[x]
                    d = x - at
                    present[d] = 1
                    if op != DELETION and quality <= min_quality:
                        continue
                    touches = False
                    if marks:
                        if x == p:
                            alt |= marks & 1 != 0
                            touches |= marks & 2 != 0
                        if x == p + length - 1:
                            alt |= marks & 4 != 0
                            touches |= marks & 8 != 0
                    add = element[min(quality, 93), 1 if alt else 0]
                    row = gl[d]
                    for g in range(m):
                        row[g] += add[g]
                    depth[d] += 1
                    if touches:
                        if soft < 0:
                            soft = _clipped_bases(cigar, c0, c1, q)
                        clips[d] += 1
                        mean[d] += (soft - mean[d]) / clips[d]
            p += length
            if op != DELETION:
                r += length
        elif op == 3:
            p += length
        elif op == 1 or op == 4:
            r += length


@jit
def likelihood_sums(
    begin, end, origin, reads, sample, rank, first_row, last_row, reference, element, min_quality, deletion_quality,
    gl, depth, present, soft_clip, clips,
):  # fmt: skip
    """Add the elements of all reads at positions origin + begin .. origin + end; see `activity`.

    Added to, by sample in GATK's order and by position from origin on: gl float64[samples, n, m + 1] (log10 likelihoods without the
    ploidy's constant), depth int32, present uint8; soft_clip float64[n] (means) with clips int32[n], what they are means of.
    """
    at, to = origin + begin, origin + end
    starts, ends = reads[0], reads[1]
    samples = len(rank)
    mean, count = soft_clip[begin:end], clips[begin:end]
    for s in range(samples):
        sums, reads_here, any_here = gl[s, begin:end], depth[s, begin:end], present[s, begin:end]
        for i in range(first_row, last_row):
            if starts[i] >= to:
                break
            if ends[i] > at and (samples == 1 or rank[sample[i]] == s):
                add_read(i, at, to, reads, reference, element, min_quality, deletion_quality, sums, reads_here, any_here, mean, count)


@jit
def probabilities(begin, end, gl, depth, present, log_ploidy, prior, coefficient, pseudocounts, probability):
    """Probability of variation at positions begin..end from the sums of `likelihood_sums`; see `activity`."""
    samples, m = gl.shape[0], gl.shape[2] - 1
    chosen, post = np.empty((samples, m + 1)), np.empty(m + 1)
    for d in range(begin, end):
        n = 0
        for s in range(samples):
            if present[s, d]:
                for g in range(m + 1):
                    chosen[n, g] = gl[s, d, g] - depth[s, d] * log_ploidy
                round_to_phred(chosen[n], m)
                n += 1
        p = 0.0
        if n == 1:
            p = single_sample_probability(chosen[0], m, prior)
        elif n > 1:
            p = joint_probability(chosen, n, m, coefficient, pseudocounts[0], pseudocounts[1], pseudocounts[2], post)
        probability[d] = p


@jit
def activity(
    begin, end, origin, reads, sample, rank, first_row, last_row, reference, element, log_ploidy, prior, coefficient, pseudocounts,
    min_quality, deletion_quality, probability, soft_clip,
):  # fmt: skip
    """Probability of variation at positions origin + begin .. origin + end.

    reads: (start, end, flag, mate_ref_id, mate_start, tlen, base, qual, base_offset, cigar, cigar_offset) of CallerReads.
    sample: int32 by read; rank: int32 by sample, its place in GATK's order. first_row, last_row: reads that can overlap.
    reference: uint8 bases of the contig. element: gatk.activity_priors.element_likelihoods. prior, coefficient: by alternate copies.
    pseudocounts: float64[3]: reference, alternate (several samples), threshold (phred).
    probability, soft_clip: float64[n], the results of position i (soft_clip: mean number of good soft-clipped bases).
    """
    width, samples = end - begin, len(rank)
    gl = np.zeros((samples, width, len(prior)))
    depth, present = np.zeros((samples, width), np.int32), np.zeros((samples, width), np.uint8)
    mean = np.zeros(width)
    likelihood_sums(
        0, width, origin + begin, reads, sample, rank, first_row, last_row, reference, element, min_quality, deletion_quality,
        gl, depth, present, mean, np.zeros(width, np.int32),
    )  # fmt: skip
    soft_clip[begin:end] = mean
    probabilities(0, width, gl, depth, present, log_ploidy, prior, coefficient, pseudocounts, probability[begin:end])
