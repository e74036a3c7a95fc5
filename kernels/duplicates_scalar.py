"""Duplicate sets: which entries belong together, who is kept, and which are optical. Shared by the CPU and the CUDA twin.

An entry (ENTRY of read_ends_cpu) is a pair or a single end. `paired` below says which of the two a list holds.
"""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.read_ends_scalar import finish, mix

FR, RF = 3, 5
DUPLICATE, OPTICAL, IN_SET = 1, 2, 4


@jit
def entry_hash(e, paired):
    """A 64-bit hash of what entries of one duplicate set share."""
    h = np.uint64(np.int64(e.library)) ^ np.uint64(0xA4093822299F31D0)
    h = mix(h, np.uint64(np.uint32(e.ref_1)) << np.uint64(32) | np.uint64(np.uint32(e.pos_1)))
    h = mix(h, np.uint64(np.uint32(e.barcode)) << np.uint64(32) | np.uint64(np.uint32(e.barcode_1)))
    h = mix(h, np.uint64(np.uint32(e.barcode_2)) << np.uint64(32) | np.uint64(np.int64(e.orientation) & 255))
    if paired:
        h = mix(h, np.uint64(np.uint32(e.ref_2)) << np.uint64(32) | np.uint64(np.uint32(e.pos_2)))
    return finish(h)


@jit
def compare_sets(a, b, paired):
    """Three-way comparison of what entries of one set share: 0 says that a and b are of one set."""
    c = np.int64(a.library) - np.int64(b.library)
    if c == 0:
        c = np.int64(a.barcode) - np.int64(b.barcode)
    if c == 0:
        c = np.int64(a.barcode_1) - np.int64(b.barcode_1)
    if c == 0:
        c = np.int64(a.barcode_2) - np.int64(b.barcode_2)
    if c == 0:
        c = np.int64(a.ref_1) - np.int64(b.ref_1)
    if c == 0:
        c = np.int64(a.pos_1) - np.int64(b.pos_1)
    if c == 0:
        c = np.int64(a.orientation) - np.int64(b.orientation)
    if paired:
        if c == 0:
            c = np.int64(a.ref_2) - np.int64(b.ref_2)
        if c == 0:
            c = np.int64(a.pos_2) - np.int64(b.pos_2)
    return c


@jit
def compare_entries(a, b, paired):
    """The total order of entries: by set, then (mate's place,) tile, x, y and file index. Source: ReadEndsMDComparator."""
    c = compare_sets(a, b, paired)
    if c == 0 and not paired:
        c = np.int64(a.ref_2) - np.int64(b.ref_2)
    if c == 0:
        c = np.int64(a.tile) - np.int64(b.tile)
    if c == 0:
        c = np.int64(a.x) - np.int64(b.x)
    if c == 0:
        c = np.int64(a.y) - np.int64(b.y)
    if c == 0:
        c = a.index_1 - b.index_1
    if c == 0:
        c = a.index_2 - b.index_2
    return c


@jit
def mark_singles(entries, order, a, b, state):
    """Mark one set of single ends, entries[order[a:b]]: state |= DUPLICATE.

    Beside an end whose mate is mapped (ref_2 != -1) every other end is a duplicate; among ends without mapped mates all but
    the first of the best scores. Source: MarkDuplicates.markDuplicateFragments.
    """
    best = np.int64(-1)
    best_score = 0
    mated = False
    for i in range(a, b):
        e = entries[order[i]]
        if e.ref_2 != -1:
            mated = True
        elif best < 0 or e.score > best_score:
            best, best_score = order[i], e.score
    for i in range(a, b):
        k = order[i]
        if entries[k].ref_2 == -1 and (mated or k != best):
            state[k] |= DUPLICATE


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def _mark_optical(entries, order, a, b, kind, keeper, distance, parent, state):
    """Optical duplicates in the members of a set with optical_orientation `kind` (-1: all); returns how many.

    Neighbours have the same read group and tile, and x and y at most `distance` apart; of each connected component the
    keeper stays, or where it holds none the first. The set is sorted by tile, x, y. parent: int64, for positions a..b.
    """
    for i in range(a, b):
        parent[i] = i
    for i in range(a, b):
        p = entries[order[i]]
        if p.tile == -1 or p.group == -1 or (kind >= 0 and p.optical_orientation != kind):
            continue
        for j in range(i + 1, b):
            q = entries[order[j]]
            if q.tile != p.tile or np.int32(q.x) - np.int32(p.x) > distance:
                break
            if q.group != p.group or (kind >= 0 and q.optical_orientation != kind):
                continue
            if abs(np.int32(q.y) - np.int32(p.y)) <= distance:
                x, y = _root(parent, i), _root(parent, j)
                # The smaller position is the root, so that a root is the first of its component.
                if x < y:
                    parent[y] = x
                elif y < x:
                    parent[x] = y
    keeper_root = np.int64(-1)
    for i in range(a, b):
        if order[i] == keeper and (kind < 0 or entries[keeper].optical_orientation == kind) and entries[keeper].tile != -1:
            keeper_root = _root(parent, i)
    n = 0
    for i in range(a, b):
        if kind >= 0 and entries[order[i]].optical_orientation != kind:
            continue
        root = _root(parent, i)
        stays = order[i] == keeper if root == keeper_root else root == i
        if not stays:
            state[order[i]] |= OPTICAL
            n += 1
    return n


@jit
def mark_pairs(entries, order, a, b, optical, distance, largest, parent, state):
    """Mark one set of pairs, entries[order[a:b]] (sorted, two or more), in state; returns (the kept one, optical duplicates).

    optical: whether to look for optical duplicates; in lists longer than `largest` there are none. parent: int64 scratch.
    Source: MarkDuplicates.markDuplicatePairs, AbstractMarkDuplicatesCommandLineProgram.trackOpticalDuplicates.
    """
    best = order[a]
    fr, rf = 0, 0
    for i in range(a, b):
        e = entries[order[i]]
        if e.score > entries[best].score:
            best = order[i]
        fr += e.optical_orientation == FR
        rf += e.optical_orientation == RF
    n = 0
    if optical:
        if fr and rf:
            if 2 <= fr <= largest:
                n += _mark_optical(entries, order, a, b, FR, best, distance, parent, state)
            if 2 <= rf <= largest:
                n += _mark_optical(entries, order, a, b, RF, best, distance, parent, state)
        elif b - a <= largest:
            n += _mark_optical(entries, order, a, b, -1, best, distance, parent, state)
    for i in range(a, b):
        k = order[i]
        state[k] |= IN_SET if k == best else IN_SET | DUPLICATE
    return best, n
