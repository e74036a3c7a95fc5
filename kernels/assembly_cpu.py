"""Local assembly of regions: from finalised reads to the haplotypes of each region, one region after the other.

For each k-mer size in turn: read-threading graph, pruning, dangling ends, sequence graph, best paths, and the CIGAR of every new one.
Source: GATK ReadThreadingAssembler (behaviour; specification chapter "assembly", sections 3 to 11).
"""

from collections import namedtuple

import numpy as np

from gpugenome.kernels.assembly_alignment_cpu import alignment_scratch, haplotype_cigar, with_room
from gpugenome.kernels.assembly_dangling_cpu import recover
from gpugenome.kernels.assembly_graph_cpu import (
    EDGES,
    FIRST,
    IN_N,
    MADE_E,
    MADE_V,
    NEXT,
    OUT_N,
    TABLE_STAMP,
    VERTICES,
    has_cycle,
    keep_between,
    ref_sink,
    ref_source,
)
from gpugenome.kernels.assembly_paths_cpu import best_paths, grown, path_length, spell_path
from gpugenome.kernels.assembly_sequence_cpu import from_threading, simplify
from gpugenome.kernels.assembly_threading_cpu import (
    build,
    first_repeat,
    hash_power,
    hash_prefixes,
    is_low_complexity,
    prune_chains,
    usable_runs,
)
from gpugenome.kernels.cigar_cpu import ref_length
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_scalar import INDEL, SOFTCLIP

MIN_PRUNING, PRUNING_SAMPLES, MIN_BRANCH, ALL_BRANCHES, MOST_PATHS, REPEATS_IN_REFERENCE, FIXED_SIZES, MIN_QUALITY = 0, 1, 2, 3, 4, 5, 6, 7
"""Slots of `settings` int64[8]. REPEATS_IN_REFERENCE: k-mers may repeat in the reference. FIXED_SIZES: no other k-mer sizes are tried."""
STEP, TRIES = 10, 6  # k-mer sizes tried after the given ones
MIN_REFERENCE_LENGTH = 30  # of a haplotype's alignment
UNUSABLE, USABLE, ENDLESS, MISALIGNED = 0, 1, -1, -2
"""What came of a k-mer size; the negative ones are errors (the rewriting does not end; a haplotype has no alignment of full length)."""

Reads = namedtuple("Reads", "text qual prefix run sample_seen n")
"""text, qual: bases and qualities of the region; n: int64[4]: reference bases, all bases, runs, unused."""
Threading = namedtuple("Threading", "v e g top kmer kmer_hash slot seen path ref_path ref_text alt_text work")
Sequence = namedtuple("Sequence", "v e g pool group chain piece work")
Paths = namedtuple("Paths", "node score heap tail_a tail_b table result")
Found = namedtuple("Found", "base cigar row score n")
"""Haplotypes: base uint8, cigar uint32; row int64[., 5]: bases, CIGAR elements, k, is reference, where its bases begin; score float64;
n: int64[3]: bases, words, rows in use."""


@jit
def _power_of_two(n):
    p = np.int64(16)
    while p < n:
        p *= 2
    return p


@jit
def _reads_scratch(bases, shortest, samples):
    return Reads(
        np.empty(bases, np.uint8), np.empty(bases, np.uint8), np.empty(bases + 1, np.uint64),
        np.empty((bases // shortest + 1, 4), np.int64), np.zeros(samples, np.int64), np.zeros(4, np.int64),
    )  # fmt: skip


@jit
def _threading_scratch(bases, longest, pruning_samples):
    v = np.empty((bases + 64, 16), np.int32)
    e = np.empty((bases + 64, 12), np.int32)
    slot = np.zeros((_power_of_two(2 * bases), 2), np.int32)
    seen = np.zeros((_power_of_two(2 * longest), 2), np.int32)
    n = len(v) + 256
    return Threading(
        v, e, np.zeros(16, np.int64), np.empty((len(e), pruning_samples + 1), np.int32), np.empty((bases + 1, 3), np.int32),
        np.empty(bases + 1, np.uint64), slot, seen, np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint8),
        np.empty(n, np.uint8), np.empty(n, np.int32),
    )  # fmt: skip


@jit
def _sequence_scratch(bases, extra_edges):
    """Room for graphs whose vertices have so many bases at first, and so many more edges than vertices."""
    v = 2 * bases + 16
    return Sequence(
        np.empty((v, 16), np.int32), np.empty((2 * (v + extra_edges), 12), np.int32), np.zeros(16, np.int64),
        np.empty(4 * bases + 128, np.uint8), np.empty(v, np.int32), np.empty(v, np.int32), np.empty((v, 7), np.int64),
        np.empty(v, np.int32),
    )  # fmt: skip


@jit
def _paths_scratch(vertices, most):
    table = np.empty(4096)
    table[:] = np.nan
    return Paths(
        np.empty((4096, 2), np.int32), np.empty(4096), np.empty(4096, np.int32), np.empty(vertices, np.int32), np.empty(vertices, np.int32),
        table, np.empty(most, np.int32),
    )  # fmt: skip


@jit
def _room_for_ends(s, reads, k):
    """Scratch with room for what dangling heads add."""
    ends = 0
    i = s.g[FIRST]
    while i >= 0:
        ends += s.v[i, IN_N] == 0 or s.v[i, OUT_N] == 0
        i = np.int64(s.v[i, NEXT])
    text = grown(reads.text, reads.n[1] + 2 * k * ends)
    if len(text) > len(reads.text):
        reads = Reads(text, reads.qual, reads.prefix, reads.run, reads.sample_seen, reads.n)
    v, e = s.g[MADE_V] + k * ends, s.g[MADE_E] + (k + 1) * ends
    if v > len(s.v) or e > len(s.e):
        n = max(v, 2 * len(s.v)) + 256
        e_rows = grown(s.e, e)
        s = Threading(
            grown(s.v, v), e_rows, s.g, grown(s.top, len(e_rows)), s.kmer, s.kmer_hash, s.slot, s.seen, np.empty(n, np.int32),
            np.empty(n, np.int32), np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.int32),
        )  # fmt: skip
    return s, reads


@jit
def _clean_graph(k, lenient, settings, scores, reads, s, a):
    """Read-threading graph of one k-mer size, pruned and with its ends tied back: (whether it is usable, scratch)."""
    text, n = reads.text, reads.n
    build(n[0], k, text, reads.prefix, reads.run, n[2], s.v, s.e, s.g, s.top, s.kmer, s.kmer_hash, s.slot, s.seen, reads.sample_seen)
    prune_chains(s.v, s.e, s.g, settings[MIN_PRUNING], s.kmer, s.work, s.path)
    if has_cycle(s.v, s.e, s.g, s.work) or (not lenient and is_low_complexity(s.g)):
        return False, reads, s
    s, reads = _room_for_ends(s, reads, k)
    recover(s.v, s.e, s.g, k, settings[MIN_PRUNING], settings[MIN_BRANCH], settings[ALL_BRANCHES] != 0, reads.text, n[1], scores, s.path,
            s.ref_path, s.ref_text, s.alt_text, s.work, a)  # fmt: skip
    return True, reads, s


@jit
def _sequence_graph(k, settings, reads, s, q):
    """Sequence graph of a cleaned graph, simplified: (what `simplify` says, scratch)."""
    source, sink = ref_source(s.v, s.g), ref_sink(s.v, s.g)
    if source < 0 or sink < 0:
        return 0, q
    keep_between(s.v, s.e, s.g, source, sink, s.work)
    if settings[ALL_BRANCHES] and has_cycle(s.v, s.e, s.g, s.work):
        return 2, q
    bases, extra = s.g[VERTICES] + k, max(0, s.g[EDGES] - s.g[VERTICES])
    if 2 * bases + 16 > len(q.v) or 2 * (2 * bases + 16 + extra) > len(q.e):
        q = _sequence_scratch(2 * bases, 2 * extra)
    from_threading(s.v, s.e, s.g, k, reads.text, q.v, q.e, q.g, q.pool)
    return simplify(q.v, q.e, q.g, q.pool, q.group, q.chain, q.piece, q.work), q


@jit
def _room_for_haplotype(f, bases, words):
    """Found haplotypes with room for one more."""
    n = f.n
    if n[0] + bases <= len(f.base) and n[1] + words <= len(f.cigar) and n[2] < len(f.row):
        return f
    return Found(grown(f.base, n[0] + bases), grown(f.cigar, n[1] + words), grown(f.row, n[2] + 1), grown(f.score, n[2] + 1), n)


@jit
def _append_haplotype(f, bases, cigar, k, is_ref, score):
    """Take the haplotype whose bases lie at the end of f.base."""
    n = f.n
    f.cigar[n[1] : n[1] + len(cigar)] = cigar
    row = f.row[n[2]]
    row[0], row[1], row[2], row[3], row[4] = bases, len(cigar), k, is_ref, n[0]
    f.score[n[2]] = score
    n[0] += bases
    n[1] += len(cigar)
    n[2] += 1


@jit
def _equal(a, b):
    if len(a) != len(b):
        return False
    for i in range(len(a)):
        if a[i] != b[i]:
            return False
    return True


@jit
def _is_known(f, first_row, hap):
    """Whether a haplotype from `first_row` on, not marked as reference, has these bases."""
    for i in range(first_row, f.n[2]):
        at = f.row[i, 4]
        if not f.row[i, 3] and _equal(f.base[at : at + f.row[i, 0]], hap):
            return True
    return False


@jit
def _add_paths(k, count, ref, scores, q, p, f, first_row, a):
    """Append the haplotypes of the best paths, then the reference if it is not among them: (status, found, scratch)."""
    some = f.n[2] > first_row
    for j in range(count):
        node = np.int64(p.result[j])
        length = path_length(q.v, p.node, node)
        f = _room_for_haplotype(f, length, np.int64(0))
        hap = f.base[f.n[0] : f.n[0] + length]
        spell_path(q.v, q.pool, p.node, node, hap)
        if _equal(hap, ref):
            some = some or len(ref) >= MIN_REFERENCE_LENGTH
            continue
        if _is_known(f, first_row, hap):
            continue
        a = with_room(a, len(ref) + 20, length + 20)
        n = haplotype_cigar(ref, hap, scores, SOFTCLIP, a)
        aligned = ref_length(a.cigar[:n])
        if aligned < MIN_REFERENCE_LENGTH:
            continue
        if aligned != len(ref):
            n = haplotype_cigar(ref, hap, scores, INDEL, a)
            if ref_length(a.cigar[:n]) != len(ref):
                return MISALIGNED, f, a
            continue
        f = _room_for_haplotype(f, length, np.int64(n))
        _append_haplotype(f, length, a.cigar[:n], k, 0, p.score[node])
        some = True
    if some:
        f = _add_reference(ref, f, first_row)
    return USABLE, f, a


@jit
def _add_reference(ref, f, first_row):
    """Append the reference haplotype unless it is there."""
    for i in range(first_row, f.n[2]):
        if f.row[i, 3]:
            return f
    f = _room_for_haplotype(f, np.int64(len(ref)), np.int64(1))
    f.base[f.n[0] : f.n[0] + len(ref)] = ref
    word = np.empty(1, np.uint32)
    word[0] = len(ref) << 4
    _append_haplotype(f, np.int64(len(ref)), word, 0, 1, np.nan)
    return f


@jit
def _with_size(k, any_complexity, any_repeats, settings, branch_scores, hap_scores, ref, reads, s, q, p, f, first_row, a):
    """Assemble with one k-mer size: (status, scratch ...)."""
    if len(ref) < k:
        return USABLE, reads, s, q, p, f, a
    if not any_repeats:
        s.g[TABLE_STAMP] += 1
        if first_repeat(0, len(ref), k, hash_power(k), reads.text, reads.prefix, s.seen, s.g[TABLE_STAMP]) >= 0:
            return UNUSABLE, reads, s, q, p, f, a
    good, reads, s = _clean_graph(k, any_complexity, settings, branch_scores, reads, s, a)
    if not good:
        return UNUSABLE, reads, s, q, p, f, a
    state, q = _sequence_graph(k, settings, reads, s, q)
    if state == 2:
        return UNUSABLE, reads, s, q, p, f, a
    if state < 1:
        return (ENDLESS if state < 0 else USABLE), reads, s, q, p, f, a
    if len(p.tail_a) < len(q.v):
        p = Paths(p.node, p.score, p.heap, np.empty(len(q.v), np.int32), np.empty(len(q.v), np.int32), p.table, p.result)
    count, node, score = best_paths(
        q.v, q.e, q.g, q.pool, settings[MOST_PATHS], p.node, p.score, p.heap, p.tail_a, p.tail_b, p.table, p.result
    )
    if len(node) > len(p.node):
        p = Paths(node, score, np.empty(len(node), np.int32), p.tail_a, p.tail_b, p.table, p.result)
    status, f, a = _add_paths(k, count, ref, hap_scores, q, p, f, first_row, a)
    return status, reads, s, q, p, f, a


@jit
def _load(r, region_offset, base, qual, base_offset, sample, contig, low, high, min_quality, shortest, reads):
    """Text, hashes and runs of a region."""
    text, n = reads.text, reads.n
    n_ref = np.int64(high - low)
    text[:n_ref] = contig[low:high]
    first, last = region_offset[r], region_offset[r + 1]
    from_ = base_offset[first]
    size = base_offset[last] - from_
    text[n_ref : n_ref + size] = base[from_ : from_ + size]
    reads.qual[n_ref : n_ref + size] = qual[from_ : from_ + size]
    n[0], n[1], n[2] = n_ref, n_ref + size, 0
    hash_prefixes(text, n[1], reads.prefix)
    for i in range(first, last):
        a, b = n_ref + base_offset[i] - from_, n_ref + base_offset[i + 1] - from_
        n[2] = usable_runs(text, reads.qual, a, b, sample[i], min_quality, shortest, reads.run, n[2])


@jit
def assemble(begin, end, wanted, region_offset, base, qual, base_offset, sample, samples, low, high, contig, sizes, settings, branch_scores,
             hap_scores, status):  # fmt: skip
    """Haplotypes of regions begin..end.

    wanted: bool[r]; reads of region r: rows region_offset[r]:region_offset[r + 1] of base, qual (uint8 by base_offset) and sample (int32,
    below `samples`). low, high: int32[r], reference span. contig: uint8. sizes: int64, ascending k-mer sizes. settings: int64[8].
    branch_scores, hap_scores: int64[4] match, mismatch, gap open, gap extend. Output: status int8[r].
    Returns (bases, words, rows int64[h, 5], scores float64[h], haplotypes of each region int64[end - begin]).
    """
    bases, longest, reference = np.int64(1), np.int64(1), np.int64(1)
    for r in range(begin, end):
        if wanted[r]:
            n = np.int64(high[r] - low[r])
            bases = max(bases, n + base_offset[region_offset[r + 1]] - base_offset[region_offset[r]])
            reference = max(reference, n)
            longest = max(longest, n)
            for i in range(region_offset[r], region_offset[r + 1]):
                longest = max(longest, base_offset[i + 1] - base_offset[i])
    reads = _reads_scratch(bases, sizes[0], samples)
    s = _threading_scratch(bases, longest, settings[PRUNING_SAMPLES])
    q = _sequence_scratch(2 * reference + 512, reference)
    p = _paths_scratch(len(q.v), settings[MOST_PATHS])
    a = alignment_scratch(reference + 128, reference + 256)
    f = Found(np.empty(1 << 16, np.uint8), np.empty(1 << 12, np.uint32), np.empty((256, 5), np.int64), np.empty(256), np.zeros(3, np.int64))
    count = np.zeros(end - begin, np.int64)
    for r in range(begin, end):
        status[r] = USABLE
        if not wanted[r]:
            continue
        _load(r, region_offset, base, qual, base_offset, sample, contig, low[r], high[r], settings[MIN_QUALITY], sizes[0], reads)
        ref = contig[low[r] : high[r]]
        first_row, usable = f.n[2], False
        for t in range(len(sizes) + TRIES):
            more = t - len(sizes)
            if more >= 0 and (usable or settings[FIXED_SIZES]):
                break
            k = sizes[t] if more < 0 else sizes[-1] + STEP * (more + 1)
            any_complexity = settings[FIXED_SIZES] != 0 if more < 0 else more == TRIES - 1
            any_repeats = settings[REPEATS_IN_REFERENCE] != 0 if more < 0 else more == TRIES - 1
            state, reads, s, q, p, f, a = _with_size(k, any_complexity, any_repeats, settings, branch_scores, hap_scores, ref, reads, s, q,
                                                     p, f, first_row, a)  # fmt: skip
            usable = usable or state != UNUSABLE
            if state < 0:
                status[r] = state
                break
        f = _add_reference(ref, f, first_row)
        count[r - begin] = f.n[2] - first_row
    return f.base[: f.n[0]].copy(), f.cigar[: f.n[1]].copy(), f.row[: f.n[2]].copy(), f.score[: f.n[2]].copy(), count
