"""Seeding of reads: from their bases to chains of seeds on the doubled text, the first phase of the aligner.

Source: specification chapter "bwa_mem", sections 3 to 5.
"""

from dataclasses import dataclass

import numpy as np

from gpugenome.batch import FastqBatch
from gpugenome.kernels.aligner_fields import CHAINED_COLUMNS, CHAINS, KEPT_COLUMNS, SEEDS
from gpugenome.kernels.chained_reads_cpu import chain_reads
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.index import SearchIndex


@dataclass
class ChainedReads:
    """Chains of n reads, see `aligner_fields`: chained int32[n, CHAINED_COLUMNS], kept int32[c, KEPT_COLUMNS], kept_seeds int64[s, 3]."""

    chained: np.ndarray
    kept: np.ndarray
    kept_seeds: np.ndarray

    @property
    def columns(self) -> tuple:
        """(chained, first row of kept of each read, first row of kept_seeds, kept, kept_seeds)."""
        first = np.zeros((2, len(self.chained) + 1), np.int64)
        np.cumsum(self.chained[:, [CHAINS, SEEDS]].T, axis=1, out=first[:, 1:])
        return self.chained, *first, self.kept, self.kept_seeds


@dataclass
class Chainer:
    """Finds the chains of batches of reads.

    alt: bool[contigs]. values: int64[OPTIONS], ratios: float32[RATIOS], as the kernels take them.
    """

    index: SearchIndex
    alt: np.ndarray
    values: np.ndarray
    ratios: np.ndarray
    threads: int

    def chains(self, reads: FastqBatch) -> ChainedReads:
        """The chains of a batch's reads."""
        x = self.index
        chained = np.empty((len(reads), CHAINED_COLUMNS), np.int32)
        made = run_chunks(
            chain_reads, len(reads), self.threads, reads.data, reads.seq_start, reads.seq_length, x.words, x.sa, x.first, x.offsets,
            self.alt, self.values, self.ratios, chained,
        )  # fmt: skip
        kept = np.concatenate([np.empty((0, KEPT_COLUMNS), np.int32), *(k for k, _ in made)])
        return ChainedReads(chained, kept, np.concatenate([np.empty((0, 3), np.int64), *(s for _, s in made)]))
