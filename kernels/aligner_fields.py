"""Columns of the aligner's tables: what stands where in the options, seeds, chains and hits that its kernels share.

Source: specification chapter "bwa_mem". Options are named by bwa mem's letters where they have one.
"""

(
    MATCH, MISMATCH, OPEN_DELETION, EXTEND_DELETION, OPEN_INSERTION, EXTEND_INSERTION, CLIP_FIVE, CLIP_THREE, BAND, ZDROP, MIN_SCORE,
    UNPAIRED, MIN_SEED, SPLIT_LENGTH, SPLIT_WIDTH, MAX_OCCURRENCES, MAX_INTERVAL, MAX_CHAIN_GAP, MIN_CHAIN_WEIGHT, MAX_RESCUES,
    MAX_XA, MAX_XA_ALT, ALL_HITS, SHORTER_SPLITS_SECONDARY, SOFT_CLIP, NO_RESCUE, NO_PAIRING, COMMENTS, KEEP_MAPQ, FIVE_PRIME,
    TIE, LENGTH, PREFIX, SEARCH_PREFIX, OPTIONS,
) = range(35)  # fmt: skip
"""int64[OPTIONS]. TIE: scores no further apart count as equally good. LENGTH: bases of the forward strand. PREFIX: bases that the
index's table takes, SEARCH_PREFIX: those that the search uses of them (never more than MIN_SEED)."""

MASK, DROP, REDUNDANT, RATIOS = range(4)
"""float32[RATIOS]: overlap that shadows, weight of a chain that is dropped, overlap of hits that are the same."""

XA_RATIO = 0.800000011920929
"""Least score of a hit in XA, by that of its primary: bwa's 0.8f, compared in double precision."""

RBEG, QBEG, LEN, NEXT, SEED_SCORE, SEED_COLUMNS = range(6)
"""Seeds, int64: beginning on the doubled text and on the read, length, next seed of the chain, score."""

POS, CONTIG, FIRST, LAST, COUNT, WEIGHT, KEPT, SHADOWED, CHAIN_ALT, CHAIN_COLUMNS = range(10)
"""Chains, int64. POS: text position of the first seed, the key of the tree. SHADOWED: the first chain that this one shadows, or -1."""

CHAINS, SEEDS, REPEAT_BASES, CHAINED_COLUMNS = range(4)
"""Chained reads, int32: chains that a read keeps, seeds in them, bases of the read under repetitive seeds. The chains of all reads lie
one after the other in a table, best of a read first, int32: (KEPT_CONTIG, KEPT_SEEDS), contig and number of seeds; their seeds, in the
order of the chains, in one of int64: (RBEG, QBEG, LEN)."""
KEPT_CONTIG, KEPT_SEEDS, KEPT_COLUMNS = range(3)

(
    RB, RE, QB, QE, SCORE, TRUE_SCORE, SUB, LOCAL_SUB, ALT_SCORE, SUB_COUNT, WIDTH, SEED_LENGTH, SECONDARY, SECONDARY_ALL, RID, ALT, HASH,
    REPEATS, HIT_COLUMNS,
) = range(19)  # fmt: skip
"""Hits, int64: span on the doubled text and on the read, scores, next best score (SUB of other hits, LOCAL_SUB of rescue), hits near it,
band, length of the seed, the hit that shadows this one (-1: none), contig, hash for ties, and REPEATS: bases of the read under
repetitive seeds."""
