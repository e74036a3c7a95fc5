"""From the paths of a region's graphs to its haplotypes: new ones only, aligned to the reference, the reference among them.

Source: GATK ReadThreadingAssembler.findBestPaths (behaviour; specification chapter "assembly", section 10).
"""

import numpy as np

from gpugenome.kernels.assembly_alignment_cpu import PADDING, haplotype_cigar, pad
from gpugenome.kernels.cigar_cpu import ref_length
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_scalar import INDEL, SOFTCLIP

MIN_REFERENCE_LENGTH = 30  # of a haplotype's alignment
ALIGNED, MISALIGNED = 0, 1
"""Status of a region; MISALIGNED: GATK stops, because a haplotype's alignment does not reach from end to end of the reference."""
REFERENCE = -1
"""In place of a path's row: the reference haplotype."""


@jit
def _equal(a, b):
    if len(a) != len(b):
        return False
    for i in range(len(a)):
        if a[i] != b[i]:
            return False
    return True


@jit
def _with_room(words, need):
    """The array, or a longer copy where it has fewer than `need` words."""
    if need <= len(words):
        return words
    more = np.empty(need + len(words), np.uint32)
    more[: len(words)] = words
    return more


@jit
def _is_known(rows, n, base, base_offset, path):
    """Whether one of the first n rows (paths, or the reference, which does not count) has the bases of a path."""
    mine = base[base_offset[path] : base_offset[path + 1]]
    for r in rows[:n]:
        if r != REFERENCE and _equal(base[base_offset[r] : base_offset[r + 1]], mine):
            return True
    return False


@jit
def haplotypes(begin, end, wanted, path_offset, base, base_offset, kmer, low, high, contig, scores, status):
    """Choose and align the haplotypes of regions begin..end.

    wanted: bool[r]. Paths of region r: rows path_offset[r]:path_offset[r + 1] of base (uint8 by base_offset) and kmer (int32), by k, then
    best first. low, high: int32[r], reference span; contig: uint8. scores: int64[4]. Output: status int8[r].
    Returns (path of each haplotype int64[h], REFERENCE for the reference's own; CIGAR words uint32; elements of each int64[h]; haplotypes
    of each region int64[end - begin]).
    """
    n_max, m_max, paths = np.int64(0), np.int64(0), np.int64(0)
    for r in range(begin, end):
        n_max = max(n_max, np.int64(high[r] - low[r]) + 2 * PADDING)
        paths += path_offset[r + 1] - path_offset[r] + 1
        for p in range(path_offset[r], path_offset[r + 1]):
            m_max = max(m_max, base_offset[p + 1] - base_offset[p] + 2 * PADDING)
    h, f, column = np.empty(n_max + m_max + 2, np.int32), np.empty(n_max + m_max + 2, np.int32), np.empty(n_max + 1, np.int32)
    back = np.empty((n_max + 1) * (n_max + m_max + 1), np.uint8)
    room = 2 * (n_max + m_max) + 64
    first, second, work, st = np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(5 * room, np.uint32), np.zeros(5, np.int64)
    padded_ref, padded_alt = np.empty(n_max, np.uint8), np.empty(m_max, np.uint8)
    rows, elements, count = np.empty(paths, np.int64), np.empty(paths, np.int64), np.zeros(end - begin, np.int64)
    words, used, n = np.empty(4 * paths, np.uint32), 0, 0
    for r in range(begin, end):
        status[r] = ALIGNED
        if not wanted[r]:
            continue
        ref = contig[low[r] : high[r]]
        reference = pad(ref, padded_ref)
        from_, some, placed = n, False, False
        for p in range(path_offset[r], path_offset[r + 1] + 1):
            at_end = p == path_offset[r + 1]
            # The reference comes after the paths of the first graph that gave anything; with no graph it is alone.
            if not placed and (at_end or (some and p > path_offset[r] and kmer[p] != kmer[p - 1])):
                words = _with_room(words, used + 1)
                words[used] = len(ref) << 4
                rows[n], elements[n] = REFERENCE, 1
                used += 1
                n += 1
                placed = True
            if at_end:
                break
            alt = base[base_offset[p] : base_offset[p + 1]]
            if _equal(alt, ref):
                some = some or len(ref) >= MIN_REFERENCE_LENGTH
                continue
            if _is_known(rows[from_:], n - from_, base, base_offset, p):
                continue
            padded = pad(alt, padded_alt)
            m = haplotype_cigar(ref, alt, reference, padded, scores, SOFTCLIP, h, f, back, column, first, second, work, st)
            aligned = ref_length(first[:m])
            if aligned < MIN_REFERENCE_LENGTH:
                continue
            if aligned != len(ref):
                m = haplotype_cigar(ref, alt, reference, padded, scores, INDEL, h, f, back, column, first, second, work, st)
                if ref_length(first[:m]) != len(ref):
                    status[r] = MISALIGNED
                continue
            words = _with_room(words, used + m)
            words[used : used + m] = first[:m]
            rows[n], elements[n] = p, m
            used += m
            n += 1
            some = True
        count[r - begin] = n - from_
    return rows[:n].copy(), words[:used].copy(), elements[:n].copy(), count
