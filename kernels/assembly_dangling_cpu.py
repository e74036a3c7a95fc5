"""Dangling ends of the pruned read-threading graph: branches that leave or join the reference on one side only are tied back to it.

A branch is aligned to the reference path beside it; where the alignment is simple, one edge joins the two. Tails join where their end
matches the reference, heads (by the older rule, which HaplotypeCaller uses) one vertex above their last mismatch.

Source: GATK AbstractReadThreadingGraph (behaviour; specification chapter "assembly", section 7).
"""

import numpy as np

from gpugenome.kernels import smith_waterman_scalar as scalar
from gpugenome.kernels.assembly_graph_cpu import (
    BASE,
    DST,
    FIRST,
    IN_FIRST,
    IN_N,
    IN_NEXT,
    IN_REF,
    MARK,
    MULT,
    NEXT,
    OUT_FIRST,
    OUT_N,
    OUT_NEXT,
    PRUNE,
    REF,
    SRC,
    TEXT,
    add_edge,
    add_vertex,
    is_ref_sink,
    is_ref_source,
    is_reference,
    new_stamp,
    remove_edge,
)
from gpugenome.kernels.cigar_cpu import read_length, ref_length
from gpugenome.kernels.launch import jit
from gpugenome.kernels.smith_waterman_scalar import LEADING_INDEL, LOW

_M, _D = 0, 2
backtrack = jit(scalar.backtrack)
_MOST_ELEMENTS = 3


@jit
def _heaviest(e, x, step):
    """The edge of largest multiplicity in a list of edges (the first of equals); step: OUT_NEXT or IN_NEXT."""
    best = x
    while x >= 0:
        if e[x, MULT] > e[best, MULT]:
            best = x
        x = e[x, step]
    return best


@jit
def _reverse(a, n):
    for i in range(n // 2):
        t = a[i]
        a[i] = a[n - 1 - i]
        a[n - 1 - i] = t


@jit
def _walk(v, e, g, i, min_pruning, up, all_branches, path):
    """Follow a branch from its free end i to the first vertex where it ends or meets the reference; number of vertices in `path`.

    path begins with the vertex met; vertices before an edge that is too weak are forgotten. up: 1 for tails, 0 for heads.
    0 where the branch ends in nothing to align to.
    """
    n = 0
    stamp = new_stamp(g)
    while True:
        if up:
            done = (v[i, IN_REF] > 0 or v[i, IN_N] == 0) if all_branches else (v[i, IN_N] != 1 or v[i, OUT_N] >= 2)
        else:
            done = is_reference(v, g, i) or (v[i, OUT_N] == 0 if all_branches else v[i, OUT_N] != 1)
        if done:
            break
        v[i, MARK] = stamp
        x = _heaviest(e, v[i, IN_FIRST], IN_NEXT) if up else _heaviest(e, v[i, OUT_FIRST], OUT_NEXT)
        if e[x, PRUNE] < min_pruning:
            n = 0
        else:
            path[n] = i
            n += 1
        i = e[x, SRC] if up else e[x, DST]
        if v[i, MARK] == stamp:
            return 0
    path[n] = i
    n += 1
    if up:
        good = v[i, OUT_N] > 1 and (not all_branches or v[i, IN_REF] > 0)
    else:
        good = is_reference(v, g, i)
    _reverse(path, n)
    return n if good else 0


@jit
def _reference_below(v, e, i, banned, path):
    """The reference from vertex i down, or the only branch other than edge `banned`; number of vertices in `path`."""
    n = 0
    while i >= 0 and n < len(path):
        path[n] = i
        n += 1
        x = v[i, OUT_FIRST]
        only, others, target = np.int32(-1), 0, np.int32(-1)
        while x >= 0:
            if e[x, REF]:
                target = e[x, DST]
                break
            if x != banned:
                only = e[x, DST]
                others += 1
            x = e[x, OUT_NEXT]
        i = target if target >= 0 else (only if others == 1 else np.int32(-1))
    return n


@jit
def _reference_above(v, e, g, i, path):
    """The reference from vertex i up; number of vertices in `path`."""
    n = 0
    while i >= 0 and n < len(path):
        path[n] = i
        n += 1
        x = v[i, IN_FIRST]
        i = np.int32(-1)
        while x >= 0:
            if is_reference(v, g, e[x, SRC]):
                i = e[x, SRC]
                break
            x = e[x, IN_NEXT]
    return n


@jit
def _spell(v, path, n, k, text, whole_sources, out):
    """Last bases of the vertices of a path; of a vertex that nothing leads to the whole k-mer, backwards. Number of bases."""
    m = 0
    for p in path[:n]:
        if whole_sources and v[p, IN_N] == 0:
            at = v[p, TEXT]
            for j in range(k - 1, -1, -1):
                out[m] = text[at + j]
                m += 1
        else:
            out[m] = v[p, BASE]
            m += 1
    return m


@jit
def _branch_cigar(ref, alt, scores, h, f, back, cigar):
    """CIGAR of a branch against the reference from their common first base on, without a deletion at its end; its elements.

    The branch is aligned to its end, the reference as far as is best. h, f: int64[len(alt) + 1], back: uint8[(len(ref) + len(alt)) *
    (len(alt) + 1)], cigar: uint32[2 * len(alt) + 3] scratch. Branches are short, so plain loops over rows do.
    """
    n, m = len(ref), len(alt)
    match, mismatch, opened, extended = scores[0], scores[1], scores[2], scores[3]
    stride = m + 1
    h[0] = 0
    f[0] = LOW
    for j in range(1, m + 1):
        h[j] = opened + (j - 1) * extended
        f[j] = LOW
    best, best_i = np.int64(-(1 << 40)), 0
    for i in range(1, n + 1):
        diagonal = h[0]
        h[0] = opened + (i - 1) * extended
        e = np.int64(LOW)
        for j in range(1, m + 1):
            e_open, e_ext, f_open, f_ext = h[j - 1] + opened, e + extended, h[j] + opened, f[j] + extended
            score = diagonal + (match if ref[i - 1] == alt[j - 1] else mismatch)
            diagonal = h[j]
            e = max(e_open, e_ext)
            f[j] = max(f_open, f_ext)
            flags = (0 if e_open > e_ext else 4) | (0 if f_open > f_ext else 8)
            if e > score:
                score = e
                flags |= 1
            if f[j] > score:
                score = f[j]
                flags = (flags & 12) | 2
            h[j] = score
            back[(i + j - 2) * stride + j] = flags
        if h[m] >= best:  # the lowest row of equals
            best, best_i = h[m], i
    count, _ = backtrack(back, n, m, best_i, m, LEADING_INDEL, cigar)
    return count - 1 if cigar[count - 1] & 15 == _D else count


@jit
def _recover_tail(v, e, g, i, k, min_pruning, min_branch, all_branches, text, scores, path, ref_path, ref_text, alt_text):
    """Join the tail that ends in vertex i to the reference, if it can be."""
    n = _walk(v, e, g, i, min_pruning, 1, all_branches, path)
    if n < max(1, min_branch) + 1 or is_ref_source(v, g, path[0]):
        return
    banned = _heaviest(e, v[path[1], IN_FIRST], IN_NEXT)
    n_ref = _reference_below(v, e, path[0], banned, ref_path)
    ref = ref_text[: _spell(v, ref_path, n_ref, k, text, False, ref_text)]
    alt = alt_text[: _spell(v, path, n, k, text, False, alt_text)]
    h, f, cigar = np.empty(len(alt) + 1, np.int64), np.empty(len(alt) + 1, np.int64), np.empty(2 * len(alt) + 3, np.uint32)
    count = _branch_cigar(ref, alt, scores, h, f, np.empty((len(ref) + len(alt)) * (len(alt) + 1), np.uint8), cigar)
    if count < 1 or count > _MOST_ELEMENTS or cigar[count - 1] & 15 != _M:
        return
    last = ref_length(cigar[:count]) - 1
    match, most = 0, min(np.int64(cigar[count - 1] >> 4), last + 1, len(alt))
    while match < most and ref[last - match] == alt[len(alt) - 1 - match]:
        match += 1
    if match == 0:
        return
    alt_at = max(read_length(cigar[:count]) - match - 1, 0)
    first = np.int64(cigar[0] >> 4)
    ref_at = last - match + 1
    if cigar[0] & 15 == _D and first + match == last + 1:
        ref_at += 1
    if 0 < ref_at < n_ref:
        add_edge(v, e, g, path[alt_at], ref_path[ref_at], 1, 0)


@jit
def _last_mismatch(ref, alt, n, allowed):
    """Index of the last mismatch among n bases, -1 if there is none or more than `allowed`."""
    bad, index = 0, -1
    for j in range(n):
        if ref[j] != alt[j]:
            bad += 1
            if bad > allowed:
                return -1
            index = j
    return index


@jit
def _extend(v, e, g, path, n, k, extra, ref_vertex, text, text_end):
    """Replace the source of a head by `extra` vertices that go on upwards along the reference; (vertices in path, end of text)."""
    source = path[n - 1]
    at = text_end
    for j in range(extra):
        text[text_end + j] = text[v[ref_vertex, TEXT] + j]
    for j in range(k):
        text[text_end + extra + j] = text[v[source, TEXT] + j]
    text_end += extra + k
    x = _heaviest(e, v[source, OUT_FIRST], OUT_NEXT)
    below, mult = np.int64(e[x, DST]), e[x, MULT]
    remove_edge(v, e, g, x)
    n -= 1
    for j in range(extra, 0, -1):
        new = add_vertex(v, g, at + j, k)
        v[new, BASE] = text[at + j + k - 1]
        add_edge(v, e, g, new, below, mult, 0)
        path[n] = new
        n += 1
        below = new
    return n, text_end


@jit
def _recover_head(v, e, g, i, k, min_pruning, min_branch, all_branches, text, text_end, scores, path, ref_path, ref_text, alt_text):
    """Join the head that begins in vertex i to the reference, if it can be. Returns the end of text (new vertices lengthen it)."""
    n = _walk(v, e, g, i, min_pruning, 0, all_branches, path)
    if n < min_branch + 1 or is_ref_sink(v, g, path[0]):
        return text_end
    n_ref = _reference_above(v, e, g, path[0], ref_path)
    ref = ref_text[: _spell(v, ref_path, n_ref, k, text, True, ref_text)]
    alt = alt_text[: _spell(v, path, n, k, text, True, alt_text)]
    h, f, cigar = np.empty(len(alt) + 1, np.int64), np.empty(len(alt) + 1, np.int64), np.empty(2 * len(alt) + 3, np.uint32)
    count = _branch_cigar(ref, alt, scores, h, f, np.empty((len(ref) + len(alt)) * (len(alt) + 1), np.uint8), cigar)
    if count < 1 or count > _MOST_ELEMENTS or cigar[0] & 15 != _M:
        return text_end
    first = np.int64(cigar[0] >> 4)
    index = _last_mismatch(ref, alt, first, max(1, first // k))
    if index <= 0 or index >= n_ref - 1:
        return text_end
    if index >= n:
        extra = index - n + 2
        ref_at = n - 1 + ref_length(cigar[:count]) - read_length(cigar[:count]) + extra
        if ref_at >= n_ref:
            return text_end
        n, text_end = _extend(v, e, g, path, n, k, extra, ref_path[ref_at], text, text_end)
    add_edge(v, e, g, ref_path[index + 1], path[index], 1, 0)
    return text_end


@jit
def recover(v, e, g, k, min_pruning, min_branch, all_branches, text, text_end, scores, path, ref_path, ref_text, alt_text, heads):
    """Tie tails, then heads, back to the reference.

    scores: int64[4] match, mismatch, gap open, gap extend. path, ref_path, heads: int32[vertices + k]; ref_text, alt_text:
    uint8[vertices + k] scratch. A head may add k vertices and k + 1 edges, and 2 k bases to text, whose end is returned.
    """
    i = np.int64(g[FIRST])
    while i >= 0:
        if v[i, OUT_N] == 0 and not is_ref_sink(v, g, i):
            _recover_tail(v, e, g, i, k, min_pruning, min_branch, all_branches, text, scores, path, ref_path, ref_text, alt_text)
        i = np.int64(v[i, NEXT])
    n = 0
    i = np.int64(g[FIRST])
    while i >= 0:
        if v[i, IN_N] == 0 and not is_ref_source(v, g, i):
            heads[n] = i
            n += 1
        i = np.int64(v[i, NEXT])
    for j in range(n):
        text_end = _recover_head(
            v, e, g, np.int64(heads[j]), k, min_pruning, min_branch, all_branches, text, text_end, scores, path, ref_path, ref_text,
            alt_text,
        )  # fmt: skip
    return text_end
