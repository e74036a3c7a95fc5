"""Haplotypes and realigned reads as BAM records (--bamout), and the texts of their tags.

Source: GATK HaplotypeBAMWriter, AssemblyBasedCallerUtils.annotateReadLikelihoodsWithSupportedAlleles, Arrays.hashCode of Java (behaviour).
CPU only: it copies some hundred bytes a read, and nothing else of a run waits for it.
"""

import numpy as np

from gpugenome.kernels.bam_records_cpu import BASES, _find_tag, _tag_value_bytes
from gpugenome.kernels.genotype_calls_cpu import INFORMATIVE
from gpugenome.kernels.launch import jit
from gpugenome.kernels.memory import copy_bytes, load_u8, store_u8, store_u16, store_u32
from gpugenome.kernels.vcf_text_cpu import put_int

CODE = np.full(256, 15, np.uint8)
CODE[BASES] = np.arange(16, dtype=np.uint8)
TEXT, COLON, DASH, EQUALS, COMMA, SPACE = 90, 58, 45, 61, 44, 32
MOST_DIGITS = 12


@jit
def hashes(begin, end, base, base_offset, out):
    """Java's hash of the bases of haplotypes begin..end, int64 in the range of a signed 32-bit number."""
    for h in range(begin, end):
        value = np.int64(1)
        for k in range(base_offset[h], base_offset[h + 1]):
            value = (value * 31 + base[k]) & 0xFFFFFFFF
        out[h] = value - (np.int64(1) << 32) if value >> 31 else value


@jit
def informative(begin, end, region, region_row, filtered, matrix, matrix_offset, haplotype_offset, out):
    """out: uint8 by read, 1 where its best haplotype is well ahead of its second best.

    region: int64 by read; region_row: first read of each region. The other columns are those of `LikelihoodBatch`.
    """
    for i in range(begin, end):
        r = region[i]
        n = haplotype_offset[r + 1] - haplotype_offset[r]
        at = matrix_offset[r] + (i - region_row[r]) * n
        best, second = -np.inf, -np.inf
        for value in matrix[at : at + n]:
            if value > best:
                best, second = value, best
            elif value > second:
                second = value
        out[i] = not filtered[i] and best - second > INFORMATIVE


@jit
def spans(begin, end, contig, start, stop, out, offset):
    """Z values "contig:start-end" of spans begin..end (int32, 0-based half-open) at out[offset[i]:offset[i+1]]. contig: uint8."""
    for i in range(begin, end):
        at = offset[i]
        out[offset[i + 1] - 1] = 0
        out[at] = TEXT
        at += 1
        out[at : at + len(contig)] = contig
        at += len(contig)
        out[at] = COLON
        at = put_int(out, at + 1, start[i] + 1)
        out[at] = DASH
        put_int(out, at + 1, stop[i])


@jit
def _supported(row, column_allele):
    """The allele of a call that a read supports well, or -1."""
    best, second, found = -np.inf, -np.inf, -1
    for x in range(len(row)):
        if column_allele[x] < 0:
            continue
        if row[x] > best:
            best, second, found = row[x], best, column_allele[x]
        elif row[x] > second:
            second = row[x]
    return found if best - second > INFORMATIVE else -1


@jit
def supported_alleles(begin, end, region_call_offset, contig, call_start, evidence_offset, evidence_read, matrix, matrix_offset,
                      column_offset, column_allele, tag, old, old_length, fill, size, out, offset):  # fmt: skip
    """Z values of XA of the reads of regions begin..end: what they had, then "contig:start=allele" of every call that they support.

    region_call_offset: int64[r+1], calls of each region; the others are columns of `CallBatch`. tag: uint8, where a read's old text is
    (old, old_length int64 by read; old -1: none). size: int64 by read, 0 at first: bytes of the value, 0 for a read that supports nothing.
    fill: write to out (uint8) by offset instead; `size` counts what is written.
    """
    word = np.empty(len(contig) + 2 * MOST_DIGITS, np.uint8)
    word[: len(contig)] = contig
    word[len(contig)] = COLON
    for g in range(begin, end):
        for c in range(region_call_offset[g], region_call_offset[g + 1]):
            alleles = column_allele[column_offset[c] : column_offset[c + 1]]
            n = len(alleles)
            stem = put_int(word, len(contig) + 1, call_start[c] + 1)
            word[stem] = EQUALS
            for k in range(evidence_offset[c + 1] - evidence_offset[c]):
                row = matrix[matrix_offset[c] + k * n : matrix_offset[c] + (k + 1) * n]
                allele = _supported(row, alleles)
                if allele < 0:
                    continue
                i = evidence_read[evidence_offset[c] + k]
                length = put_int(word, stem + 1, allele)
                if size[i] == 0:
                    if fill:
                        out[offset[i]] = TEXT
                        out[offset[i] + 1 : offset[i] + 1 + old_length[i]] = tag[old[i] : old[i] + old_length[i]]
                        out[offset[i + 1] - 1] = 0
                    size[i] = 2 + old_length[i]
                at = size[i] - 1
                if at > 1 or old[i] >= 0:
                    if fill:
                        out[offset[i] + at], out[offset[i] + at + 1] = COMMA, SPACE
                    at += 2
                if fill:
                    out[offset[i] + at : offset[i] + at + length] = word[:length]
                size[i] = at + length + 1


@jit
def old_text(begin, end, tag, tag_offset, start, length):
    """Where the text of the XA tag of reads begin..end is in `tag` (their tags as BAM has them), -1 for none; its length. int64 each."""
    base = np.int64(tag.ctypes.data)
    for i in range(begin, end):
        at = _find_tag(base + tag_offset[i], base + tag_offset[i + 1], 88, 65)
        start[i], length[i] = -1, 0
        if at >= 0:
            start[i] = at + 3 - base
            length[i] = _tag_value_bytes(at + 3, load_u8(at + 2), base + tag_offset[i + 1]) - 1


@jit
def names(begin, end, first, index, out, offset):
    """Names HC_<number of the haplotype in the run>_<index in its region> of haplotypes begin..end, padded with NUL; sizes are known."""
    for i in range(begin, end):
        at = offset[i]
        out[at], out[at + 1], out[at + 2] = 72, 67, 95
        at = put_int(out, at + 3, first + i)
        out[at] = 95
        put_int(out, at + 1, index[i])


@jit
def digits(begin, end, value, out):
    """Decimal digits of each value (int64, not negative)."""
    for i in range(begin, end):
        n, v = 1, value[i] // 10
        while v:
            n += 1
            v //= 10
        out[i] = n


@jit
def records(begin, end, fixed, name, name_offset, cigar, cigar_offset, base, qual, base_offset, tag, tag_offset, out, offset):
    """BAM records begin..end at out[offset[i]:offset[i+1]], their bin left 0.

    fixed: (ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen), int64 each. The ragged columns are uint8 (names without NUL, bases as
    ASCII, tags as BAM has them) and uint32 (CIGAR).
    """
    ref_id, pos, mapq, flag, mate_ref_id, mate_pos, tlen = fixed
    for i in range(begin, end):
        at = np.int64(out.ctypes.data) + offset[i]
        n_name, n_cigar = name_offset[i + 1] - name_offset[i], cigar_offset[i + 1] - cigar_offset[i]
        n, n_tag = base_offset[i + 1] - base_offset[i], tag_offset[i + 1] - tag_offset[i]
        store_u32(at, np.uint32(offset[i + 1] - offset[i] - 4))
        store_u32(at + 4, np.uint32(ref_id[i]))
        store_u32(at + 8, np.uint32(pos[i]))
        store_u8(at + 12, np.uint8(n_name + 1))
        store_u8(at + 13, np.uint8(mapq[i]))
        store_u16(at + 14, np.uint16(0))
        store_u16(at + 16, np.uint16(n_cigar))
        store_u16(at + 18, np.uint16(flag[i]))
        store_u32(at + 20, np.uint32(n))
        store_u32(at + 24, np.uint32(mate_ref_id[i]))
        store_u32(at + 28, np.uint32(mate_pos[i]))
        store_u32(at + 32, np.uint32(tlen[i]))
        at += 36
        copy_bytes(at, np.int64(name.ctypes.data) + name_offset[i], n_name)
        store_u8(at + n_name, np.uint8(0))
        at += n_name + 1
        copy_bytes(at, np.int64(cigar.ctypes.data) + 4 * cigar_offset[i], 4 * n_cigar)
        at += 4 * n_cigar
        mine = base[base_offset[i] : base_offset[i + 1]]
        for k in range(0, n, 2):
            low = CODE[mine[k + 1]] if k + 1 < n else np.uint8(0)
            store_u8(at + (k >> 1), np.uint8(CODE[mine[k]] << 4 | low))
        at += (n + 1) >> 1
        copy_bytes(at, np.int64(qual.ctypes.data) + base_offset[i], n)
        copy_bytes(at + n, np.int64(tag.ctypes.data) + tag_offset[i], n_tag)
