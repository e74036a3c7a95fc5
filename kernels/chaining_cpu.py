"""Seeds to chains: seeds in reach of each other on one diagonal band, weighed and filtered.

A chain's seeds are a linked list. Chains lie in a B-tree by the position of their first seed; of equal positions the tree's shape
decides, so it is bwa's: at most 9 keys a node. Source: specification chapter "bwa_mem", sections 4 and 5.
"""

import numpy as np

from gpugenome.kernels.aligner_fields import (
    BAND,
    CHAIN_ALT,
    CHAIN_COLUMNS,
    CONTIG,
    COUNT,
    DROP,
    FIRST,
    KEPT,
    LAST,
    LEN,
    LENGTH,
    MASK,
    MAX_CHAIN_GAP,
    MAX_OCCURRENCES,
    MIN_CHAIN_WEIGHT,
    MIN_SEED,
    NEXT,
    POS,
    QBEG,
    RBEG,
    SEED_COLUMNS,
    SEED_SCORE,
    SHADOWED,
    WEIGHT,
)  # fmt: skip
from gpugenome.kernels.introsort_cpu import introsort_with
from gpugenome.kernels.launch import jit
from gpugenome.kernels.seeding_cpu import row_place

_MOST = 9  # keys of a node
_HALF = 4  # the key that moves up when a full node is split
_KIDS = 1 + _MOST
NODE_COLUMNS = _KIDS + _MOST + 1
"""Tree nodes, int64: number of keys, keys (numbers of chains), children (the first one -1 in a leaf)."""
NEW_NODES = 16
"""Room that the tree needs for one more chain: a node a level and one more."""
MOST_WEIGHT = (1 << 30) - 1


@jit
def contig_at(offsets, length, p):
    """The contig of a position on the doubled text."""
    if p >= length:
        p = 2 * length - 1 - p
    lo, hi = 0, offsets.size
    while hi - lo > 1:
        mid = (lo + hi) >> 1
        if offsets[mid] <= p:
            lo = mid
        else:
            hi = mid
    return lo


@jit
def _slot(tree, chains, node, pos):
    """(first key of the node that is equal, True) or (last one that is smaller, or -1, False)."""
    n = tree[node, 0]
    i = 0
    while i < n and chains[tree[node, 1 + i], POS] < pos:
        i += 1
    if i < n and chains[tree[node, 1 + i], POS] == pos:
        return i, True
    return i - 1, False


@jit
def _lower(tree, chains, root, pos):
    """The chain with the largest key <= pos, -1 for none."""
    best = np.int64(-1)
    node = root
    while node >= 0:
        i, equal = _slot(tree, chains, node, pos)
        if i >= 0:
            best = tree[node, 1 + i]
        if equal:
            break
        node = tree[node, _KIDS + i + 1] if tree[node, _KIDS] >= 0 else np.int64(-1)
    return best


@jit
def _split(tree, parent, i, new):
    """Split child i of `parent`, which is full, moving its upper keys to the node `new`."""
    node = tree[parent, _KIDS + i]
    tree[new, 0] = _MOST - _HALF - 1
    for k in range(_MOST - _HALF - 1):
        tree[new, 1 + k] = tree[node, 1 + _HALF + 1 + k]
    if tree[node, _KIDS] < 0:
        tree[new, _KIDS] = -1
    else:
        for k in range(_MOST - _HALF):
            tree[new, _KIDS + k] = tree[node, _KIDS + _HALF + 1 + k]
    tree[node, 0] = _HALF
    n = tree[parent, 0]
    for k in range(n, i, -1):
        tree[parent, 1 + k] = tree[parent, k]
        tree[parent, _KIDS + k + 1] = tree[parent, _KIDS + k]
    tree[parent, 1 + i] = tree[node, 1 + _HALF]
    tree[parent, _KIDS + i + 1] = new
    tree[parent, 0] = n + 1


@jit
def _insert(tree, nodes, root, chains, chain):
    """Put a chain into the tree. Returns (root, number of nodes)."""
    pos = chains[chain, POS]
    if tree[root, 0] == _MOST:
        tree[nodes, 0] = 0
        tree[nodes, _KIDS] = root
        _split(tree, nodes, 0, nodes + 1)
        root = nodes
        nodes += 2
    node = root
    while tree[node, _KIDS] >= 0:
        i = _slot(tree, chains, node, pos)[0] + 1
        if tree[tree[node, _KIDS + i], 0] == _MOST:
            _split(tree, node, i, nodes)
            nodes += 1
            if pos > chains[tree[node, 1 + i], POS]:
                i += 1
        node = tree[node, _KIDS + i]
    i = _slot(tree, chains, node, pos)[0] + 1
    for k in range(tree[node, 0], i, -1):
        tree[node, 1 + k] = tree[node, k]
    tree[node, 1 + i] = chain
    tree[node, 0] += 1
    return root, nodes


@jit
def in_order(tree, root, order, waiting):
    """The chains of the tree from left to right. Returns their number. waiting: int64[WAITING, 3], scratch."""
    waiting[0, 0], waiting[0, 1] = root, 0
    top, n = 1, 0
    while top > 0:
        node, i = waiting[top - 1, 0], waiting[top - 1, 1]
        if i > 0 and i <= tree[node, 0]:
            order[n] = tree[node, i]
            n += 1
        if i > tree[node, 0]:
            top -= 1
            continue
        waiting[top - 1, 1] = i + 1
        if tree[node, _KIDS] >= 0:
            waiting[top, 0], waiting[top, 1] = tree[node, _KIDS + i], 0
            top += 1
    return n


@jit
def _absorbs(seeds, chains, chain, new, contig, opt):
    """Whether a chain takes the seed `new`: 0 no, 1 yes, 2 yes and it lies within the chain already."""
    if contig != chains[chain, CONTIG]:
        return 0
    first, last = chains[chain, FIRST], chains[chain, LAST]
    r, q, n = seeds[new, RBEG], seeds[new, QBEG], seeds[new, LEN]
    last_q, last_r, last_n = seeds[last, QBEG], seeds[last, RBEG], seeds[last, LEN]
    if q >= seeds[first, QBEG] and q + n <= last_q + last_n and r >= seeds[first, RBEG] and r + n <= last_r + last_n:
        return 2
    length = opt[LENGTH]
    if (last_r < length or seeds[first, RBEG] < length) and r >= length:
        return 0
    x, y = q - last_q, r - last_r
    gap = opt[MAX_CHAIN_GAP]
    return 1 if y >= 0 and abs(x - y) <= opt[BAND] and x - last_n < gap and y - last_n < gap else 0


@jit
def grown(table, columns):
    """A table with room for twice as many rows."""
    more = np.empty((2 * table.shape[0], columns), np.int64)
    more[: table.shape[0]] = table
    return more


@jit
def repetitive_bases(intervals, count, opt):
    """Bases of the read under intervals with more than MAX_OCCURRENCES rows."""
    b, e, covered = np.int64(0), np.int64(0), np.int64(0)
    for i in range(count):
        if intervals[i, 3] > opt[MAX_OCCURRENCES]:
            if intervals[i, 0] > e:
                covered += e - b
                b, e = intervals[i, 0], intervals[i, 1]
            else:
                e = max(e, intervals[i, 1])
    return covered + e - b


@jit
def occurrences(rows, most):
    """(rows from one seed of an interval to the next, number of seeds) of an interval with so many rows."""
    if rows <= most:
        return np.int64(1), rows
    step = rows // most
    return step, min(most, (rows + step - 1) // step)


@jit
def seed_contig(offsets, length, r, size):
    """The contig of a seed, -1 where it lies on two or on both strands. r: position on the doubled text."""
    if r < length and r + size > length:
        return np.int64(-1)
    contig = contig_at(offsets, length, r)
    return np.int64(contig) if contig_at(offsets, length, r + size - 1) == contig else np.int64(-1)


@jit
def start_tree(tree):
    """Make the tree an empty one. Returns (root, number of nodes)."""
    tree[0, 0] = 0
    tree[0, _KIDS] = -1
    return np.int64(0), np.int64(1)


@jit
def add_seed(r, q, size, contig, is_alt, opt, seeds, used, chains, n, tree, root, nodes):
    """Give a seed to the chain that takes it or make one of it. There is room for one more seed, chain, and NEW_NODES nodes.

    Returns (seeds, chains, root of the tree, its nodes): numbers.
    """
    seeds[used, RBEG], seeds[used, QBEG], seeds[used, LEN], seeds[used, NEXT] = r, q, size, -1
    seeds[used, SEED_SCORE] = size
    low = _lower(tree, chains, root, r) if n > 0 else np.int64(-1)
    how = _absorbs(seeds, chains, low, used, contig, opt) if low >= 0 else 0
    if how == 2:
        return used, n, root, nodes
    if how == 1:
        seeds[chains[low, LAST], NEXT] = used
        chains[low, LAST] = used
        chains[low, COUNT] += 1
        return used + 1, n, root, nodes
    chains[n, POS], chains[n, CONTIG], chains[n, FIRST], chains[n, LAST], chains[n, COUNT] = r, contig, used, used, 1
    chains[n, CHAIN_ALT] = is_alt
    root, nodes = _insert(tree, nodes, root, chains, n)
    return used + 1, n + 1, root, nodes


@jit
def build_chains(intervals, count, sa, offsets, alt, opt, seeds, chains, tree, order, waiting):
    """Chains of the seeds of a read's intervals, in order[:n].

    seeds, chains, tree: int64 tables of *_COLUMNS, order: int64; all replaced when full. waiting: int64[WAITING, 3], scratch.
    Returns (n, seeds, chains, tree, order).
    """
    root, nodes = start_tree(tree)
    used, n = np.int64(0), np.int64(0)
    for i in range(count):
        q, size = intervals[i, 0], intervals[i, 1] - intervals[i, 0]
        step, times = occurrences(intervals[i, 3], opt[MAX_OCCURRENCES])
        for t in range(times):
            row = intervals[i, 2] + t * step
            r = row_place(sa, row) if row >= 0 else -1 - row
            contig = seed_contig(offsets, opt[LENGTH], r, size)
            if contig < 0:
                continue
            if used == seeds.shape[0]:
                seeds = grown(seeds, SEED_COLUMNS)
            if n == chains.shape[0]:
                chains = grown(chains, CHAIN_COLUMNS)
                order = np.empty(chains.shape[0], np.int64)
            if nodes + NEW_NODES > tree.shape[0]:
                tree = grown(tree, NODE_COLUMNS)
            used, n, root, nodes = add_seed(r, q, size, contig, alt[contig], opt, seeds, used, chains, n, tree, root, nodes)
    return in_order(tree, root, order, waiting), seeds, chains, tree, order


@jit
def _coverage(seeds, first, column):
    """Bases under a chain's seeds on the text or the read, in the order of the chain."""
    total, end = np.int64(0), np.int64(0)
    s = first
    while s >= 0:
        b, n = seeds[s, column], seeds[s, LEN]
        if b >= end:
            total += n
        elif b + n > end:
            total += b + n - end
        end = max(end, b + n)
        s = seeds[s, NEXT]
    return total


@jit
def filter_chains(seeds, chains, order, n, opt, ratios, lead, major, minor, waiting):
    """Drop chains that better ones overshadow; what stays is order[:m], best first. Returns m.

    lead, major, minor: int64 scratch as long as `chains`; waiting: int64[WAITING, 3], scratch.
    """
    mask, drop = ratios[MASK], ratios[DROP]
    m = 0
    for i in range(n):
        c = order[i]
        first = chains[c, FIRST]
        weight = min(_coverage(seeds, first, QBEG), _coverage(seeds, first, RBEG), MOST_WEIGHT)
        chains[c, WEIGHT], chains[c, KEPT], chains[c, SHADOWED] = weight, 0, -1
        major[c], minor[c] = -weight, 0
        if weight >= opt[MIN_CHAIN_WEIGHT]:
            order[m] = c
            m += 1
    if m == 0:
        return 0
    introsort_with(waiting, order, m, major, minor)
    chains[order[0], KEPT] = 3
    lead[0] = order[0]
    leads = 1
    for i in range(1, m):
        c = order[i]
        b, e = seeds[chains[c, FIRST], QBEG], seeds[chains[c, LAST], QBEG] + seeds[chains[c, LAST], LEN]
        large, dropped = False, False
        for j in range(leads):
            o = lead[j]
            ob, oe = seeds[chains[o, FIRST], QBEG], seeds[chains[o, LAST], QBEG] + seeds[chains[o, LAST], LEN]
            overlap = min(e, oe) - max(b, ob)
            if overlap <= 0 or (chains[o, CHAIN_ALT] and not chains[c, CHAIN_ALT]):
                continue
            shorter = min(e - b, oe - ob)
            if np.float32(overlap) >= np.float32(shorter) * mask and shorter < opt[MAX_CHAIN_GAP]:
                large = True
                if chains[o, SHADOWED] < 0:
                    chains[o, SHADOWED] = c
                w, ow = chains[c, WEIGHT], chains[o, WEIGHT]
                if np.float32(w) < np.float32(ow) * drop and ow - w >= 2 * opt[MIN_SEED]:
                    dropped = True
                    break
        if not dropped:
            lead[leads] = c
            leads += 1
            chains[c, KEPT] = 2 if large else 3
    for j in range(leads):
        if chains[lead[j], SHADOWED] >= 0:
            chains[chains[lead[j], SHADOWED], KEPT] = 1
    kept = 0
    for i in range(m):
        if chains[order[i], KEPT] > 0:
            order[kept] = order[i]
            kept += 1
    return kept
