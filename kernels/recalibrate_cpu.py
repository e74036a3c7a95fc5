"""New base qualities by table look-up. Source: GATK BQSRReadTransformer."""

import numpy as np

from gpugenome.kernels.bam_records_cpu import _find_tag
from gpugenome.kernels.covariates_cpu import DENSE_CONTEXT, NO_BASE, unpack_codes, wide_key
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import address_of, load_i8, load_u8, load_u16, store_u8


@jit
def _slot(key, size):
    """Where a key's search in a hash table of `size` slots, a power of 2, begins."""
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & (size - 1)


@jit
def fill_hash(keys, values, hash_key, hash_value):
    """Put keys (int64, >= 0) and their values (int8) into a hash table whose keys are -1 and that has room."""
    for i in range(keys.size):
        s = _slot(keys[i], hash_key.size)
        while hash_key[s] >= 0:
            s = (s + 1) & (hash_key.size - 1)
        hash_key[s], hash_value[s] = keys[i], values[i]


@jit
def of_hash(key, hash_key, hash_value):
    """The value of a key, 0 where there is none."""
    s = _slot(key, hash_key.size)
    while hash_key[s] >= 0:
        if hash_key[s] == key:
            return np.int64(hash_value[s])
        s = (s + 1) & (hash_key.size - 1)
    return np.int64(0)


@jit
def _renew(code, qual, n, all_low, flag, k, most, lowest, base, delta_context, delta_cycle, final, row, hash_key, hash_value):
    """New qualities of a read, in sequencing order. code..final are addresses, those of tables where its group's (row's) begin."""
    contexts = np.int64(1) << (2 * k)
    cycles = 2 * most + 1
    flip, step = (3, -1) if flag & 16 else (0, 1)
    turn = -1 if flag & 0x81 == 0x81 else 1
    j = n - 1 if flag & 16 else np.int64(0)
    cycle = delta_cycle + most
    value, run = np.int64(0), np.int64(0)
    for _ in range(n):
        cycle += turn
        c = np.int64(load_u8(code + j))
        run = run + 1 if c < NO_BASE else 0
        value = ((value << 2) | (c ^ flip)) & (contexts - 1)
        q = np.int64(load_u8(qual + j))
        if lowest <= q <= 93:
            v = np.int64(load_u16(base + 2 * q)) + load_i8(cycle + q * cycles)
            if k > DENSE_CONTEXT:
                if run >= k or all_low:
                    v += of_hash(wide_key(row, q, value if run >= k else contexts), hash_key, hash_value)
            elif run >= k:
                v += load_i8(delta_context + q * (contexts + 1) + value)
            elif all_low:
                v += load_i8(delta_context + q * (contexts + 1) + contexts)
            store_u8(qual + j, load_u8(final + min(max(v, 1), 93)))
        j += step


@jit
def recalibrate(begin, end, batch, row, settings, base, delta_context, delta_cycle, final, missing, hash_key, hash_value):
    """Write the new qualities of records begin..end into the arena.

    batch: (data, offset, flag, name_length, n_cigar, seq_length, read_group). row: int32 by read group, -1: not in the table.
    settings: int64[5]: context size, maximum cycle, low-quality tail, lowest quality changed, 1 to start from OQ.
    base: int16[rows, 94]. delta_context: int8[rows, 94, 4^k + 1], the last the empty context. delta_cycle: int8[rows, 94, 2 max + 1].
    hash_key: int64, hash_value: int8: where k is above `DENSE_CONTEXT`, the deltas of contexts by `wide_key`, see `fill_hash`.
    final: uint8[94], the quantisation. missing: uint8[94], for reads whose group is not in the table.

    Returns
    -------
    -1, or 2 * record for a cycle beyond the maximum.
    """
    data, offset, flag, name_length, n_cigar, seq_length, read_group = batch
    k, most, tail, lowest, use_oq = settings[0], settings[1], settings[2], settings[3], settings[4]
    address = np.int64(data.ctypes.data)
    room = np.int64(1024)
    code = np.empty(room + 2, np.uint8)
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
        r = np.int64(row[read_group[i]]) if read_group[i] >= 0 else -1
        if r < 0:
            for j in range(n):
                qual[j] = missing[min(qual[j], 93)]
            continue
        if n > most:
            return 2 * i
        if n > room:
            room = 2 * n
            code = np.empty(room + 2, np.uint8)
        low, high = np.int64(0), n
        while low < n and qual[low] <= tail:
            low += 1
        while high > low and qual[high - 1] <= tail:
            high -= 1
        codes = unpack_codes(address + seq, np.int64(0), n, low, high, address_of(code))
        _renew(codes, address + start, n, low == n, np.int64(flag[i]), k, most, lowest, address_of(base) + 2 * 94 * r,
               address_of(delta_context) + 94 * delta_context.shape[2] * r, address_of(delta_cycle) + 94 * delta_cycle.shape[2] * r,
               address_of(final), r, hash_key, hash_value)  # fmt: skip
    return np.int64(-1)
