"""Cleaned read-threading graphs of regions, for one k-mer size: built, pruned, dangling ends tied back, only what lies between source and
sink of the reference kept.

Source: GATK ReadThreadingAssembler.createGraph (behaviour; specification chapter "assembly", sections 3 to 7).
"""

import numpy as np

from gpugenome.kernels.assembly_dangling_cpu import recover
from gpugenome.kernels.assembly_graph_cpu import (
    BASE,
    DST,
    EDGES,
    FIRST,
    IN_N,
    LIVE,
    MADE_E,
    MADE_V,
    MARK,
    MULT,
    NEXT,
    OUT_N,
    REF,
    SRC,
    VERTICES,
    grown,
    has_cycle,
    keep_between,
    ref_sink,
    ref_source,
)
from gpugenome.kernels.assembly_pruning_cpu import ERROR_RATE, weigh_adaptively
from gpugenome.kernels.assembly_threading_cpu import (
    SLACK,
    build,
    enter_reference,
    is_low_complexity,
    prune_chains,
    usable_runs,
)
from gpugenome.kernels.cigar_cpu import soft_clips
from gpugenome.kernels.launch import jit

MIN_PRUNING, PRUNING_SAMPLES, MIN_BRANCH, ALL_BRANCHES, MIN_QUALITY, ANY_COMPLEXITY, ANY_REPEATS = 0, 1, 2, 3, 4, 5, 6
"""Slots of `settings` int64[7]. ANY_COMPLEXITY: graphs with many k-mers that are not unique are used as well. ANY_REPEATS: k-mers may
repeat in the reference."""
UNUSABLE, NOTHING, JUST_REFERENCE, GRAPH = 0, 1, 2, 3
"""What came of a region: no usable graph; a k-mer size that ends the search without haplotypes; only the reference; a graph."""


@jit
def _power_of_two(n):
    p = np.int64(16)
    while p < n:
        p *= 2
    return p


@jit
def _load(first, last, base, qual, base_offset, cigar, cigar_offset, sample, ref, min_quality, shortest, text, text_qual, run):
    """The text of a region (reference, then reads) and its usable runs (soft clips left out): (bases, runs)."""
    n = np.int64(len(ref))
    text[:n] = ref
    from_ = base_offset[first]
    size = base_offset[last] - from_
    text[n : n + size] = base[from_ : from_ + size]
    text_qual[n : n + size] = qual[from_ : from_ + size]
    runs = 0
    for i in range(first, last):
        left, right = soft_clips(cigar[cigar_offset[i] : cigar_offset[i + 1]])
        a, b = n + base_offset[i] - from_ + left, n + base_offset[i + 1] - from_ - right
        runs = usable_runs(text, text_qual, a, b, sample[i], i, min_quality, shortest, run, runs)
    return n + size, runs


@jit
def _ends(v, g):
    """Vertices without edges on one side."""
    n = 0
    i = g[FIRST]
    while i >= 0:
        n += v[i, IN_N] == 0 or v[i, OUT_N] == 0
        i = np.int64(v[i, NEXT])
    return n


@jit
def _state(k, v, e, g, n_ref, all_branches, work):
    """Keep what lies between the reference's ends: what the graph is then."""
    source, sink = ref_source(v, g), ref_sink(v, g)
    if source < 0 or sink < 0:
        return NOTHING
    keep_between(v, e, g, source, sink, work)
    if all_branches and has_cycle(v, e, g, work):
        return UNUSABLE
    line = g[VERTICES] == n_ref - k + 1 and g[EDGES] == n_ref - k
    return JUST_REFERENCE if line else GRAPH


@jit
def _store(v, e, g, bases, edges, n, m):
    """Write the graph: last bases from bases[n] on; (from, to, multiplicity, of the reference) from edges[m] on, vertices numbered."""
    i, number = g[FIRST], 0
    while i >= 0:
        bases[n + number] = v[i, BASE]
        v[i, MARK] = number
        number += 1
        i = np.int64(v[i, NEXT])
    for x in range(g[MADE_E]):
        if e[x, LIVE]:
            row = edges[m]
            row[0], row[1], row[2], row[3] = v[e[x, SRC], MARK], v[e[x, DST], MARK], e[x, MULT], e[x, REF]
            m += 1


@jit
def threading_scratch(total, longest, shortest, samples, pruning_samples):
    """Scratch of `threaded_graph` for regions of up to `total` bases of reference and reads, none of which has more than `longest`.

    Its first arrays are v, e and g, the graph.
    """
    n = total + 64
    v, e, g = np.empty((n, 16), np.int32), np.empty((n, 12), np.int32), np.zeros(16, np.int64)
    text, text_qual = np.empty(total + SLACK, np.uint8), np.empty(total + SLACK, np.uint8)
    run, sample_seen = np.empty((total // shortest + 1, 5), np.int64), np.zeros(samples, np.int64)
    top, kmer, kmer_hash = np.empty((n, pruning_samples + 1), np.int32), np.empty((total + 1, 3), np.int32), np.empty(total + 1, np.uint64)
    slot, seen = np.zeros((_power_of_two(2 * total), 2), np.int32), np.zeros((_power_of_two(2 * longest), 2), np.int32)
    segment, passes = np.empty((16, 2), np.int64), np.zeros(n, np.int32)
    ahead, behind = np.empty(n + SLACK, np.uint8), np.empty(n + 2 * SLACK, np.uint8)
    path, work, chain = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    return v, e, g, text, text_qual, run, sample_seen, top, kmer, kmer_hash, slot, seen, segment, ahead, behind, passes, path, work, chain


@jit
def threaded_graph(
    first, last, base, qual, base_offset, cigar, cigar_offset, sample, repeats, ref, k, shortest, settings, adaptive, scratch
):
    """The pruned graph of a reference and reads first..last, in scratch (v, e, g): (GRAPH, UNUSABLE or NOTHING, bases of its text)."""
    (v, e, g, text, text_qual, run, sample_seen, top, kmer, kmer_hash, slot, seen, segment, ahead, behind, passes, path, work,
     chain) = scratch  # fmt: skip
    if len(ref) < k:
        return NOTHING, np.int64(0)
    used, runs = _load(
        first, last, base, qual, base_offset, cigar, cigar_offset, sample, ref, settings[MIN_QUALITY], shortest, text, text_qual, run
    )
    unique_reference = enter_reference(len(ref), k, text, g, kmer, kmer_hash, slot)
    if not unique_reference and not settings[ANY_REPEATS]:
        return UNUSABLE, used
    build(
        len(ref), k, text, run, runs, repeats, unique_reference, v, e, g, top, kmer, kmer_hash, slot, seen, sample_seen, segment, ahead,
        behind, passes,
    )  # fmt: skip
    min_pruning = settings[MIN_PRUNING]
    if adaptive[ERROR_RATE] > 0:
        weigh_adaptively(v, e, g, adaptive, k, text, work, path, chain)
        min_pruning = 1
    prune_chains(v, e, g, min_pruning, kmer, work, path)
    if has_cycle(v, e, g, work) or (not settings[ANY_COMPLEXITY] and is_low_complexity(g)):
        return UNUSABLE, used
    return GRAPH, used


@jit
def clean_graphs(
    begin, end, wanted, region_offset, base, qual, base_offset, cigar, cigar_offset, sample, samples, low, high, contig, k, shortest,
    settings, adaptive, scores, repeats, status,
):  # fmt: skip
    """Graphs of regions begin..end for k-mers of k bases.

    wanted: bool[r]. Reads of region r: rows region_offset[r]:region_offset[r + 1] of base, qual (uint8 by base_offset), cigar (uint32
    words by cigar_offset) and sample (int32, below `samples`). low, high: int32[r], reference span; contig: uint8. shortest: the smallest
    k-mer size in use. settings: int64[7]. adaptive: float64[4], see assembly_pruning_cpu. scores: int64[4] match, mismatch, gap open, gap
    extend of dangling ends. repeats: uint8 by read, 1 at first, passed on from smaller k-mers to larger ones. Output: status int8[r] (not
    written where not wanted).
    Returns (last base of each vertex uint8, edges int32[., 4], vertices and edges of each region int64[end - begin, 2]); the source is the
    only vertex that no edge leads to, its bases are the first k of the reference.
    """
    total, longest = np.int64(1), np.int64(1)
    for r in range(begin, end):
        if wanted[r]:
            n_ref = np.int64(high[r] - low[r])
            total = max(total, n_ref + base_offset[region_offset[r + 1]] - base_offset[region_offset[r]])
            longest = max(longest, n_ref)
            for i in range(region_offset[r], region_offset[r + 1]):
                longest = max(longest, base_offset[i + 1] - base_offset[i])
    scratch = threading_scratch(total, longest, shortest, samples, settings[PRUNING_SAMPLES])
    (v, e, g, text, text_qual, run, sample_seen, top, kmer, kmer_hash, slot, seen, segment, ahead, behind, passes, path, work,
     chain) = scratch  # fmt: skip
    n = len(path)
    ref_path, ref_text, alt_text = np.empty(n, np.int32), np.empty(n + k, np.uint8), np.empty(n + k, np.uint8)
    bases, edges = np.empty(1 << 16, np.uint8), np.empty((1 << 16, 4), np.int32)
    size, n_bases, n_edges = np.zeros((end - begin, 2), np.int64), 0, 0
    for r in range(begin, end):
        if not wanted[r]:
            continue
        ref = contig[low[r] : high[r]]
        scratch = (
            v, e, g, text, text_qual, run, sample_seen, top, kmer, kmer_hash, slot, seen, segment, ahead, behind, passes, path, work, chain
        )  # fmt: skip
        status[r], used = threaded_graph(
            region_offset[r], region_offset[r + 1], base, qual, base_offset, cigar, cigar_offset, sample, repeats, ref, k, shortest,
            settings, adaptive, scratch,
        )  # fmt: skip
        if status[r] != GRAPH:
            continue
        ends = _ends(v, g)
        text = grown(text, used + 2 * k * ends + SLACK)
        v, e = grown(v, g[MADE_V] + k * ends), grown(e, g[MADE_E] + (k + 1) * ends)
        if len(v) + k > len(path):
            n = len(v) + k
            path, ref_path, work = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
            ref_text, alt_text = np.empty(n + k, np.uint8), np.empty(n + k, np.uint8)
        all_branches = settings[ALL_BRANCHES] != 0
        recover(
            v, e, g, k, settings[MIN_PRUNING], settings[MIN_BRANCH], all_branches, text, used, scores, path, ref_path, ref_text, alt_text,
            work,
        )  # fmt: skip
        status[r] = _state(k, v, e, g, len(ref), all_branches, work)
        if status[r] == GRAPH:
            bases, edges = grown(bases, n_bases + g[VERTICES]), grown(edges, n_edges + g[EDGES])
            _store(v, e, g, bases, edges, n_bases, n_edges)
            n_bases += g[VERTICES]
            n_edges += g[EDGES]
            size[r - begin, 0], size[r - begin, 1] = g[VERTICES], g[EDGES]
    return bases[:n_bases].copy(), edges[:n_edges].copy(), size
