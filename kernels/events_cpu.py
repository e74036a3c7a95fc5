"""Events (substitutions and indels) of haplotypes against the reference.

Source: GATK EventMap, Event (behaviour; specification chapter "assembly", section 12).
"""

import numpy as np

from gpugenome.kernels.cigar_cpu import OP_D, OP_I, OP_S
from gpugenome.kernels.launch import jit

REGULAR = np.zeros(256, np.uint8)  # 1 for A, C, G, T
REGULAR[[65, 67, 71, 84]] = 1


@jit
def all_regular(bases):
    """Whether all bases are A, C, G or T."""
    for b in bases:
        if not REGULAR[b]:
            return False
    return True


@jit
def _add(n, position, ref_length, bases, start, length, alt_end, alt):
    """Add an event whose ALT is `bases`; an indel on the base of the last event (a substitution) joins it. The number of events."""
    if n > 0 and start[n - 1] == position:
        # The last event's ALT stands for the indel's anchor base.
        length[n - 1] = max(length[n - 1], ref_length)
        bases = bases[1:]
    else:
        start[n] = position
        length[n] = ref_length
        alt_end[n] = alt_end[n - 1] if n > 0 else 0
        n += 1
    at = alt_end[n - 1]
    for k in range(len(bases)):
        alt[at + k] = bases[k]
    alt_end[n - 1] = at + len(bases)
    return n


@jit
def _mismatches(n, position, ref, bases, max_mnp_distance, start, length, alt_end, alt):
    """Add the substitutions of an aligned block that begins at `position`; near ones together. The number of events."""
    first, last = -1, -1
    for i in range(len(bases)):
        if ref[i] != bases[i] and REGULAR[ref[i]] and REGULAR[bases[i]]:
            if first >= 0 and i - last > max_mnp_distance:
                n = _add(n, position + first, last + 1 - first, bases[first : last + 1], start, length, alt_end, alt)
                first = i
            elif first < 0:
                first = i
            last = i
    if first >= 0:
        n = _add(n, position + first, last + 1 - first, bases[first : last + 1], start, length, alt_end, alt)
    return n


@jit
def events_of(bases, cigar, span_start, contig, max_mnp_distance, spare, start, length, alt_end, alt):
    """The events of one haplotype, in order of start; their number. Output: start, length, alt_end int64, alt uint8 and spare uint8,
    each with room for one entry a base and CIGAR element."""
    n, rp, ap = 0, np.int64(span_start), np.int64(0)
    for index in range(len(cigar)):
        op, size = np.int64(cigar[index] & 15), np.int64(cigar[index] >> 4)
        if op == OP_I:
            if rp > 0 and 0 < index < len(cigar) - 1 and REGULAR[contig[rp - 1]] and all_regular(bases[ap : ap + size]):
                spare[0] = contig[rp - 1]
                for k in range(size):
                    spare[k + 1] = bases[ap + k]
                n = _add(n, rp - 1, 1, spare[: size + 1], start, length, alt_end, alt)
            ap += size
        elif op == OP_S:
            ap += size
        elif op == OP_D:
            if rp > 0 and all_regular(contig[rp - 1 : rp + size]):
                spare[0] = contig[rp - 1]
                n = _add(n, rp - 1, size + 1, spare[:1], start, length, alt_end, alt)
            rp += size
        else:
            n = _mismatches(n, rp, contig[rp : rp + size], bases[ap : ap + size], max_mnp_distance, start, length, alt_end, alt)
            rp += size
            ap += size
    return n


@jit
def haplotype_events(begin, end, span_start, base, base_offset, cigar, cigar_offset, contig, max_mnp_distance, count):
    """Events of haplotypes [begin, end): (start int32, ref_length int32, alt_length int64, alt uint8), one haplotype after the other.

    span_start: int32 by haplotype. contig: uint8, the contig's bases. count: int64, filled with the number of events by
    haplotype.
    """
    room = np.int64(0)
    total = np.int64(0)
    for h in range(begin, end):
        size = base_offset[h + 1] - base_offset[h] + cigar_offset[h + 1] - cigar_offset[h] + 2
        room = max(room, size)
        total += size
    spare, alt = np.empty(room, np.uint8), np.empty(room, np.uint8)
    start, length, alt_end = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    all_start, all_length = np.empty(total, np.int32), np.empty(total, np.int32)
    all_alt_length, all_alt = np.empty(total, np.int64), np.empty(total, np.uint8)
    m, a = np.int64(0), np.int64(0)
    for h in range(begin, end):
        bases, words = base[base_offset[h] : base_offset[h + 1]], cigar[cigar_offset[h] : cigar_offset[h + 1]]
        n = events_of(bases, words, span_start[h], contig, max_mnp_distance, spare, start, length, alt_end, alt)
        for k in range(n):
            all_start[m + k] = start[k]
            all_length[m + k] = length[k]
            all_alt_length[m + k] = alt_end[k] - (alt_end[k - 1] if k > 0 else 0)
        size = alt_end[n - 1] if n > 0 else 0
        for k in range(size):
            all_alt[a + k] = alt[k]
        count[h] = n
        m += n
        a += size
    return all_start[:m].copy(), all_length[:m].copy(), all_alt_length[:m].copy(), all_alt[:a].copy()
