"""Summaries of the reads of each allele: base quality histograms, distinct fragments.

Source: BaseQualityHistogram, UniqueAltReadCount of GATK. CPU only: optional annotations.
"""

import math

import numpy as np

from gpugenome.kernels.launch import jit

QUALITIES = 256


@jit
def quality_histograms(begin, end, evidence_offset, column_offset, column, quality, offset, fill, out, size):
    """BQHIST: for each base quality that occurs, ascending, the quality and its reads of each matrix column.

    column: int16 per evidence row, the matrix column it supports, -1 for none. quality: float64, NaN for none. With `fill` int64 values are
    written to out[offset[i]:], else size[i] (int64) becomes their number.
    """
    for i in range(begin, end):
        k = column_offset[i + 1] - column_offset[i]
        counts = np.zeros((QUALITIES, k), np.int64)
        seen = np.zeros(QUALITIES, np.uint8)
        for row in range(evidence_offset[i], evidence_offset[i + 1]):
            if column[row] >= 0 and not math.isnan(quality[row]):
                q = np.int64(quality[row])
                counts[q, column[row]] += 1
                seen[q] = 1
        n = 0
        for q in range(QUALITIES):
            if not seen[q]:
                continue
            if fill:
                out[offset[i] + n] = q
                for j in range(k):
                    out[offset[i] + n + 1 + j] = counts[q, j]
            n += k + 1
        size[i] = n


@jit
def distinct_fragments(begin, end, evidence_offset, allele_offset, allele, start, tlen, out):
    """out int64 by allele: distinct (start, TLEN) of its reads. start, tlen: int32 per evidence row."""
    for i in range(begin, end):
        a, b = evidence_offset[i], evidence_offset[i + 1]
        key = np.empty(b - a, np.int64)
        for row in range(allele_offset[i], allele_offset[i + 1]):
            n = 0
            for k in range(a, b):
                if allele[k] == row - allele_offset[i]:
                    key[n] = np.int64(start[k]) << 32 | (np.int64(tlen[k]) & 0xFFFFFFFF)
                    n += 1
            ordered = np.sort(key[:n])
            distinct = 1 if n > 0 else 0
            for k in range(1, n):
                distinct += ordered[k] != ordered[k - 1]
            out[row] = distinct
