"""Adaptive pruning: which chains of a read-threading graph look like errors beside the chains around them.

A chain is a stretch of edges without branches. `edges` int32 lists the edges of one chain after the other; `chain` int32 has where those
of each chain end.

Source: GATK AdaptiveChainPruner, Mutect2Engine.logLikelihoodRatio (behaviour; specification chapter "assembly", section 6).
"""

import math

import numpy as np

from gpugenome.kernels.assembly_graph_cpu import (
    DST,
    IN_FIRST,
    IN_N,
    IN_NEXT,
    LAST_BASE,
    MADE_V,
    MARK,
    MULT,
    OUT_FIRST,
    OUT_N,
    OUT_NEXT,
    PRUNE,
    REF,
    SRC,
    TEXT,
    new_stamp,
    queue_sources,
)
from gpugenome.kernels.assembly_threading_cpu import walk_chain
from gpugenome.kernels.launch import jit

ERROR_RATE, LOG_ODDS, SEEDING_LOG_ODDS, MOST_VARIANTS = 0, 1, 2, 3
"""Slots of `adaptive` float64[4]. ERROR_RATE: the first guess, 0 for the fixed threshold. Log odds are natural logarithms."""
_DIGAMMA_FROM = 49.0  # where the asymptotic series is used
_LOG_10 = math.log(10.0)


@jit
def _list_chains(v, e, g, queue, edges, chain):
    """List the chains that sources reach, in the order of the walk; returns how many."""
    seen = new_stamp(g)
    tail = queue_sources(v, g, seen, queue)
    head, n, chains = 0, 0, 0
    while head < tail:
        x = v[queue[head], OUT_FIRST]
        head += 1
        while x >= 0:
            last, n, _ = walk_chain(v, e, x, 0, edges, n)
            chain[chains] = n
            chains += 1
            if v[last, MARK] != seen:
                v[last, MARK] = seen
                queue[tail] = last
                tail += 1
            x = e[x, OUT_NEXT]
    return chains


@jit
def _begin(c, chain):
    """Where the edges of a chain begin."""
    return np.int64(chain[c - 1]) if c > 0 else np.int64(0)


@jit
def _digamma(x):
    """Derivative of the logarithm of the gamma function, x > 0."""
    below = 0.0
    while x < _DIGAMMA_FROM:
        below += 1.0 / x
        x += 1.0
    inverse = 1.0 / (x * x)
    return math.log(x) - 0.5 / x - inverse * (1.0 / 12.0 + inverse * (1.0 / 120.0 - inverse / 252.0)) - below


@jit
def _log_odds(n_ref, n_alt, error_rate):
    """Log odds of n_alt passes beside n_ref others being a variant and not errors."""
    qual = 93.0
    if error_rate > 0.0:
        qual = max(1.0, min(93.0, math.floor(-10.0 * math.log10(error_rate) + 0.5)))
    epsilon, log_epsilon = 10.0 ** (qual / -10.0), -qual * _LOG_10 / 10.0
    ratio = math.exp(_digamma(n_ref + 1.0) - _digamma(n_alt + 1.0))
    alt = (1.0 - epsilon) / (1.0 - epsilon + epsilon * ratio)
    product = alt * (1.0 - alt)
    read = alt * (math.log1p(-epsilon) - log_epsilon) + product * (11.0 + 33.0 * product) / (2.0 + 20.0 * product)
    n = float(n_ref + n_alt)
    choose = math.lgamma(n + 1.0) - math.lgamma(n_alt + 1.0) - math.lgamma(n_ref + 1.0)
    return -math.log(n + 1.0) - choose + read * n_alt


@jit
def _compare(a, b, k, v, e, text, edges, chain):
    """Below 0, 0 or above: the order of two chains by the k-mers that they begin with, then by their bases."""
    begin_a, begin_b = _begin(a, chain), _begin(b, chain)
    at_a, at_b = v[e[edges[begin_a], SRC], TEXT], v[e[edges[begin_b], SRC], TEXT]
    for i in range(k):
        if text[at_a + i] != text[at_b + i]:
            return np.int64(text[at_a + i]) - np.int64(text[at_b + i])
    n_a, n_b = chain[a] - begin_a, chain[b] - begin_b
    for i in range(min(n_a, n_b)):
        x, y = e[edges[begin_a + i], LAST_BASE], e[edges[begin_b + i], LAST_BASE]
        if x != y:
            return np.int64(x) - np.int64(y)
    return np.int64(n_a) - np.int64(n_b)


@jit
def _heaviest(n, k, v, e, text, edges, chain):
    """The chain with the edge passed most often, of those the longest, of those the one with the greatest first k-mer."""
    best, best_mult, best_length, begin = 0, -1, 0, 0
    for c in range(n):
        stop = np.int64(chain[c])
        mult = np.int32(0)
        for i in range(begin, stop):
            mult = max(mult, e[edges[i], MULT])
        length = stop - begin
        greater = mult > best_mult or (mult == best_mult and length > best_length)
        if mult == best_mult and length == best_length:
            a, b = v[e[edges[begin], SRC], TEXT], v[e[edges[_begin(best, chain)], SRC], TEXT]
            i = 0
            while i < k and text[a + i] == text[b + i]:
                i += 1
            greater = i < k and text[a + i] > text[b + i]
        if greater:
            best, best_mult, best_length = c, mult, length
        begin = stop
    return best


@jit
def _good_chains(n, k, v, e, g, text, edges, chain, error_rate, adaptive, good):
    """good[c] = 1 for the chains that grow from the surest ones along chains with good log odds at this error rate."""
    vertices = g[MADE_V]
    odds = np.empty((n, 2), np.float64)  # at the left and at the right end
    into, next_into = np.full(vertices, -1, np.int32), np.empty(n, np.int32)
    out_of, next_out = np.full(vertices, -1, np.int32), np.empty(n, np.int32)
    seeds, done, has_good = np.zeros(vertices, np.int32), np.zeros(vertices, np.uint8), np.zeros(vertices, np.uint8)
    begin = 0
    for c in range(n):
        good[c] = 0
        stop = np.int64(chain[c])
        x, y = edges[begin], edges[stop - 1]
        first, last = e[x, SRC], e[y, DST]
        odds[c, 0] = odds[c, 1] = 0.0
        if v[first, IN_N] > 0:
            total, i = 0, v[first, OUT_FIRST]
            while i >= 0:
                total += e[i, MULT]
                i = e[i, OUT_NEXT]
            odds[c, 0] = _log_odds(total - e[x, MULT], e[x, MULT], error_rate)
        if v[last, OUT_N] > 0:
            total, i = 0, v[last, IN_FIRST]
            while i >= 0:
                total += e[i, MULT]
                i = e[i, IN_NEXT]
            odds[c, 1] = _log_odds(total - e[y, MULT], e[y, MULT], error_rate)
        if odds[c, 1] >= adaptive[LOG_ODDS] or e[x, REF]:
            next_into[c] = into[last]
            into[last] = c
        if odds[c, 0] >= adaptive[LOG_ODDS] or e[x, REF]:
            next_out[c] = out_of[first]
            out_of[first] = c
        if odds[c, 0] >= adaptive[SEEDING_LOG_ODDS] and odds[c, 1] >= adaptive[SEEDING_LOG_ODDS]:
            seeds[first] += 1
            seeds[last] += 1
        begin = stop
    queue, priority, queued = np.empty(2 * n + 1, np.int32), np.empty(2 * n + 1, np.float64), 1
    queue[0], priority[0] = _heaviest(n, k, v, e, text, edges, chain), np.inf
    for vertex in range(vertices):
        if seeds[vertex] > 2:
            queued = _enqueue(vertex, out_of, next_out, into, next_into, odds, queue, priority, queued)
            done[vertex] = 1
    variants = 0
    while queued > 0 and variants <= adaptive[MOST_VARIANTS]:
        top = 0
        for i in range(1, queued):
            if priority[i] > priority[top] or (
                priority[i] == priority[top] and _compare(queue[i], queue[top], k, v, e, text, edges, chain) < 0
            ):
                top = i
        c = queue[top]
        queued -= 1
        queue[top], priority[top] = queue[queued], priority[queued]
        if good[c]:
            continue
        good[c] = 1
        first, last = e[edges[_begin(c, chain)], SRC], e[edges[chain[c] - 1], DST]
        if has_good[first]:
            variants += 1
            if variants > adaptive[MOST_VARIANTS]:
                continue
        has_good[first] = 1
        for vertex in (first, last):
            if not done[vertex]:
                queued = _enqueue(vertex, out_of, next_out, into, next_into, odds, queue, priority, queued)
                done[vertex] = 1


@jit
def _enqueue(vertex, out_of, next_out, into, next_into, odds, queue, priority, queued):
    """Add the good chains at a vertex, each with the log odds of its end there; the queue's new length."""
    c = out_of[vertex]
    while c >= 0:
        queue[queued], priority[queued] = c, odds[c, 0]
        queued += 1
        c = next_out[c]
    c = into[vertex]
    while c >= 0:
        queue[queued], priority[queued] = c, odds[c, 1]
        queued += 1
        c = next_into[c]
    return queued


@jit
def weigh_adaptively(v, e, g, adaptive, k, text, queue, edges, chain):
    """Set PRUNE of every edge to 1 in the chains that adaptive pruning leaves and to 0 in the others.

    Good chains at the error rate that the first guess of good chains gives stay. adaptive: float64[4]; text: where the bases of the
    vertices are. queue: int32[vertices]; edges, chain: int32[edges] scratch. Chains that no source reaches are left as they are.
    """
    n = _list_chains(v, e, g, queue, edges, chain)
    if n == 0:
        return
    good = np.empty(n, np.uint8)
    _good_chains(n, k, v, e, g, text, edges, chain, adaptive[ERROR_RATE], adaptive, good)
    errors, total = np.int64(0), np.int64(0)
    for c in range(n):
        for i in range(_begin(c, chain), chain[c]):
            total += e[edges[i], MULT]
        if not good[c]:
            errors += e[edges[chain[c] - 1], MULT]
    _good_chains(n, k, v, e, g, text, edges, chain, errors / total, adaptive, good)
    for c in range(n):
        for i in range(_begin(c, chain), chain[c]):
            e[edges[i], PRUNE] = good[c]
