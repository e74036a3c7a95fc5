"""From BAM records to the caller's read columns: filters, unpacking, reservoir downsampling, gathering rows.

CPU only: integer work on bytes that come from the host and go to every later stage.
"""

import numpy as np

from gpugenome.kernels.launch import jit

# Bits of the filters, in GATK's order; bit set = the filter is on.
MAPPING_QUALITY, MAPPING_QUALITY_AVAILABLE, MAPPED, NOT_SECONDARY, NOT_DUPLICATE, PASSES_VENDOR = 1, 2, 4, 8, 16, 32
NON_ZERO_REFERENCE_LENGTH, GOOD_CIGAR, WELLFORMED = 64, 128, 256
NOT_SUPPLEMENTARY, PAIRED, PROPERLY_PAIRED, FIRST_OF_PAIR, SECOND_OF_PAIR, PRIMARY_LINE = 512, 1024, 2048, 4096, 8192, 16384

NUCLEOTIDE = np.frombuffer(b"=ANCNNNGNNNTNNNN"[:1] + b"ACNGNNNTNNNNNNN", np.uint8).copy()


@jit
def _word(data, p):
    """Little-endian uint32 at byte p."""
    return np.uint32(data[p]) | np.uint32(data[p + 1]) << 8 | np.uint32(data[p + 2]) << 16 | np.uint32(data[p + 3]) << 24


@jit
def _cigar_is_good(data, at, n_cigar):
    """htsjdk Cigar.isValid without findings, then CigarUtils.isGood: no neighbouring I/D, no D at the ends inside the clips."""
    if n_cigar == 0:
        return True
    real = False
    first_core, last_core = -1, -1
    previous = -1
    last_indel = -1  # I or D seen without M, =, X or P since
    for k in range(n_cigar):
        p = at + 4 * k
        op = data[p] & 15
        length = np.int64(_word(data, p)) >> 4
        if length == 0 or op > 8:
            return False
        if op == 5:
            if k != 0 and k != n_cigar - 1:
                return False
        elif op == 4:
            after_hard = k == 1 and (data[at] & 15) == 5
            before_hard = k == n_cigar - 2 and (data[at + 4 * (n_cigar - 1)] & 15) == 5
            if k != 0 and k != n_cigar - 1 and not after_hard and not before_hard:
                return False
        else:
            if op == 6:
                if first_core < 0 or k == n_cigar - 1:
                    return False
                nxt = data[p + 4] & 15
                if nxt == 4 or nxt == 5:
                    return False
            else:
                real = True
            if first_core < 0:
                first_core = op
            last_core = op
        if op == 1 or op == 2:
            if last_indel == op:
                return False
            last_indel = op
            if previous == 1 or previous == 2:
                return False
        elif op == 0 or op == 6 or op == 7 or op == 8 or op == 3:
            last_indel = -1
        previous = op
    return real and first_core != 2 and last_core != 2


@jit
def filter_reads(begin, end, data, offset, ref_id, pos, mapq, flag, name_length, n_cigar, seq_length, read_group, contig,
                 contig_length, filters, min_mapq, max_mapq, span_start, span_end, keep, read_end):
    """keep[i] = 1 for the records begin..end of contig `contig` that pass the filters and overlap a span; read_end[i]: exclusive end.

    span_start, span_end: int64, sorted disjoint spans (padded intervals). filters: bits as above.
    """
    for i in range(begin, end):
        keep[i] = 0
        read_end[i] = pos[i]
        f = flag[i]
        if ref_id[i] != contig or pos[i] < 0 or f & 4:
            continue
        q = mapq[i]
        if filters & 1 and (q < min_mapq or q > max_mapq):
            continue
        if filters & 2 and q == 255:
            continue
        if (filters & 8 and f & 256) or (filters & 16 and f & 1024) or (filters & 32 and f & 512) or (filters & 512 and f & 2048):
            continue
        if (filters & 1024 and not f & 1) or (filters & 2048 and f & 3 != 3):
            continue
        if (filters & 4096 and f & 65 != 65) or (filters & 8192 and f & 129 != 129) or (filters & 16384 and f & 2304):
            continue
        at = offset[i] + 36 + name_length[i]
        n = n_cigar[i]
        on_ref, on_read, skips = np.int64(0), np.int64(0), False
        for k in range(n):
            p = at + 4 * k
            op = data[p] & 15
            length = np.int64(_word(data, p)) >> 4
            if op == 0 or op == 2 or op == 3 or op == 7 or op == 8:
                on_ref += length
            if op == 0 or op == 1 or op == 4 or op == 7 or op == 8:
                on_read += length
            skips = skips or op == 3
        read_end[i] = pos[i] + on_ref
        if on_ref == 0 or (filters & 128 and not _cigar_is_good(data, at, n)):
            continue
        length = seq_length[i]
        quals = at + 4 * n + (length + 1) // 2
        if filters & 256:
            if pos[i] >= contig_length or read_group[i] == -1 or length == 0 or on_read != length or skips or data[quals] == 255:
                continue
        elif length == 0 or on_read != length or data[quals] == 255:
            continue
        # Overlap: the first span that ends after the read begins.
        lo, hi = 0, len(span_end)
        while lo < hi:
            mid = (lo + hi) // 2
            if span_end[mid] > pos[i]:
                hi = mid
            else:
                lo = mid + 1
        if lo < len(span_end) and span_start[lo] < pos[i] + on_ref:
            keep[i] = 1


@jit
def unpack_reads(begin, end, row, data, offset, name_length, n_cigar, seq_length, nucleotide, base, qual, base_offset, cigar, cigar_offset,
                 name, name_offset):
    """Copy bases (ASCII, IUPAC codes as N), qualities, CIGAR and name of records row[begin:end] to their places.

    Returns the first row whose sequence holds "=", or -1.
    """
    bad = -1
    for i in range(begin, end):
        r = row[i]
        at = offset[r] + 36
        n = name_length[r] - 1
        out = name[name_offset[i] : name_offset[i] + n]
        source = data[at : at + n]
        for k in range(n):
            out[k] = source[k]
        at += n + 1
        c = cigar_offset[i]
        for k in range(n_cigar[r]):
            cigar[c + k] = _word(data, at + 4 * k)
        at += 4 * n_cigar[r]
        length = seq_length[r]
        packed = data[at : at + (length + 1) // 2]
        bases = base[base_offset[i] : base_offset[i] + length]
        for k in range(length):
            pair = np.int64(packed[k >> 1])
            code = pair >> 4 if k & 1 == 0 else pair & 15
            if code == 0 and bad < 0:
                bad = r
            bases[k] = nucleotide[code]
        at += (length + 1) // 2
        quals = qual[base_offset[i] : base_offset[i] + length]
        source = data[at : at + length]
        for k in range(length):
            quals[k] = source[k]
    return bad


@jit
def gather_ragged(begin, end, row, source, source_offset, out, out_offset):
    """Copy rows row[begin:end] of a ragged column to their places in `out`."""
    for i in range(begin, end):
        n = out_offset[i + 1] - out_offset[i]
        a = source[source_offset[row[i]] : source_offset[row[i]] + n]
        b = out[out_offset[i] : out_offset[i] + n]
        for k in range(n):
            b[k] = a[k]


@jit
def reservoir(group_begin, group_end, target, state, row):
    """Reservoir of one group of reads: rows kept in slot order are written to row[:target]. Returns the generator's new 48-bit state.

    One draw of nextInt(count so far) for every read after the first `target`. state: int64. Source: ReservoirDownsampler, java.util.Random.
    """
    mask = (np.int64(1) << 48) - 1
    for k in range(target):
        row[k] = group_begin + k
    for i in range(group_begin + target, group_end):
        bound = np.int64(i - group_begin + 1)
        while True:
            state = (state * np.int64(0x5DEECE66D) + np.int64(11)) & mask
            r = state >> 17
            if bound & (bound - 1) == 0:
                slot = (bound * r) >> 31
                break
            slot = r % bound
            if r - slot + (bound - 1) < np.int64(1) << 31:
                break
        if slot < target:
            row[slot] = i
    return state
