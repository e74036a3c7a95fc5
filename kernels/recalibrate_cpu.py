"""New base qualities by table look-up. Source: GATK BQSRReadTransformer."""

import numpy as np

from gpugenome.kernels.bam_records_cpu import _find_tag
from gpugenome.kernels.covariates_cpu import CODE
from gpugenome.kernels.covariates_scalar import context_of, cycle_of
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import load_u8


@jit
def recalibrate(begin, end, batch, row, settings, base, delta_context, delta_cycle, final, missing):
    """Write the new qualities of records begin..end into the arena.

    batch: (data, offset, flag, name_length, n_cigar, seq_length, read_group). row: int32 by read group, -1: not in the table.
    settings: int64[5]: context size, maximum cycle, low-quality tail, lowest quality changed, 1 to start from OQ.
    base: int16[rows, 94]. delta_context: int8[rows, 94, 4^k + 1], the last the empty context. delta_cycle: int8[rows, 94, 2 max + 1].
    final: uint8[94], the quantisation. missing: uint8[94], for reads whose group is not in the table.

    Returns
    -------
    -1, or 2 * record for a cycle beyond the maximum.
    """
    data, offset, flag, name_length, n_cigar, seq_length, read_group = batch
    k, most, tail, lowest, use_oq = settings[0], settings[1], settings[2], settings[3], settings[4]
    address = np.int64(data.ctypes.data)
    room = np.int64(1024)
    code = np.empty(room, np.int8)
    for i in range(begin, end):
        n = np.int64(seq_length[i])
        seq = offset[i] + 36 + name_length[i] + 4 * np.int64(n_cigar[i])
        start = seq + (n + 1) // 2
        qual = data[start : start + n]
        if n == 0 or qual[0] == 255:
            continue
        if use_oq:
            at = _find_tag(address + start + n, address + offset[i + 1], 79, 81)
            if at >= 0 and load_u8(at + 3) != 0:
                for j in range(n):
                    v = load_u8(at + 3 + j)
                    if v == 0:
                        break
                    qual[j] = v - 33
        r = row[read_group[i]] if read_group[i] >= 0 else -1
        if r < 0:
            for j in range(n):
                qual[j] = missing[min(qual[j], 93)]
            continue
        if n > most:
            return 2 * i
        if n > room:
            room = 2 * n
            code = np.empty(room, np.int8)
        for j in range(n):
            packed = np.int64(data[seq + (j >> 1)])
            code[j] = CODE[packed & 15 if j & 1 else packed >> 4]
        low, high = np.int64(0), n
        while low < n and qual[low] <= tail:
            low += 1
        while high > low and qual[high - 1] <= tail:
            high -= 1
        f = np.int64(flag[i])
        for j in range(n):
            q = np.int64(qual[j])
            if q < lowest or q > 93:
                continue
            context = np.int64(delta_context.shape[2] - 1) if low == n else context_of(code, low, high, j, k, f & 16 != 0)
            v = np.int64(base[r, q]) + delta_cycle[r, q, most + cycle_of(j, n, f)]
            if context >= 0:
                v += delta_context[r, q, context]
            qual[j] = final[min(max(v, 1), 93)]
    return np.int64(-1)
