"""Reference records as lines of VCF text. CPU only: the text goes to a file.

Lines have rooms of equal width, then they and the lines of calls are copied to their places. Source: VCF 4.2, GATK's GVCFWriter.
"""

import numpy as np

from gpugenome.kernels.launch import jit
from gpugenome.kernels.reference_confidence_scalar import genotype_quality
from gpugenome.kernels.vcf_text_cpu import COLON, COMMA, DOT, NEWLINE, TAB, ZERO, put_int

SLASH, MAX_GQ = 47, 99
ALT, NO_QUAL = np.frombuffer(b"\t<NON_REF>\t", np.uint8).copy(), np.empty(0, np.uint8)
BLOCK_KEYS = np.frombuffer(b"\tGT:DP:GQ:MIN_DP:PL\t", np.uint8).copy()
FLOOR_KEYS = np.frombuffer(b"\tGT:DP:GQ\t", np.uint8).copy()
POSITION_KEYS = np.frombuffer(b"\tGT:AD:DP:GQ:PL\t", np.uint8).copy()


def line_width(name_length: int, ploidy: int) -> int:
    """Bytes that a line needs at most."""
    return name_length + 2 * ploidy + 12 * (ploidy + 1) + 160


@jit
def _put(out, at, text):
    for k in range(len(text)):
        out[at + k] = text[k]
    return at + len(text)


@jit
def _put_site(out, at, name, pos, ref_base, qual):
    """Up to and including the tab before INFO. qual: its text, empty for none."""
    at = _put(out, at, name)
    out[at] = TAB
    at = put_int(out, at + 1, pos + 1)
    out[at], out[at + 1], out[at + 2], out[at + 3] = TAB, DOT, TAB, ref_base
    at = _put(out, at + 4, ALT)
    if len(qual):
        at = _put(out, at, qual)
    else:
        out[at] = DOT
        at += 1
    out[at], out[at + 1], out[at + 2] = TAB, DOT, TAB
    return at + 3


@jit
def _put_genotype(out, at, ploidy):
    for _ in range(ploidy):
        out[at], out[at + 1] = ZERO, SLASH
        at += 2
    out[at - 1] = COLON
    return at


@jit
def _put_pl(out, at, pl):
    for g in range(len(pl)):
        at = put_int(out, at, pl[g])
        out[at] = COMMA
        at += 1
    return at - 1


@jit
def _put_block(out, at, median, min_depth, pl, floor):
    """FORMAT and the sample column of a block. floor: the GQ to print without PL and MIN_DP, -1 to print the block's own."""
    ploidy = len(pl) - 1
    at = _put(out, at, FLOOR_KEYS if floor >= 0 else BLOCK_KEYS)
    at = put_int(out, _put_genotype(out, at, ploidy), median)
    out[at] = COLON
    if floor >= 0:
        return put_int(out, at + 1, floor)
    at = put_int(out, at + 1, min(genotype_quality(pl, ploidy), MAX_GQ))
    out[at] = COLON
    at = put_int(out, at + 1, min_depth)
    out[at] = COLON
    return _put_pl(out, at + 1, pl)


@jit
def block_lines(begin, end, name, with_genotypes, start, stop, ref_base, qual, qual_start, qual_length, median, min_depth, pl, floor, width,
                out, length):  # fmt: skip
    """Lines of blocks begin..end at out[b * width:]. start, stop: int32, 0-based half-open.

    qual: uint8, QUAL of block b is qual_length[b] (int32, -1 for none) bytes from qual_start[b] (int64) on.
    floor: int32[blocks], see `_put_block`. with_genotypes: False for sites only.
    """
    for b in range(begin, end):
        own = qual[qual_start[b] : qual_start[b] + max(qual_length[b], 0)]
        at = _put_site(out, b * width, name, start[b], ref_base[b], own)
        out[at], out[at + 1], out[at + 2], out[at + 3] = 69, 78, 68, 61
        at = put_int(out, at + 4, stop[b])
        if with_genotypes:
            at = _put_block(out, at, median[b], min_depth[b], pl[b], floor[b])
        out[at] = NEWLINE
        length[b] = at + 1 - b * width


@jit
def _put_position(out, at, ref_depth, alt_depth, gq, pl):
    """FORMAT and the sample column of a position."""
    at = _put(out, at, POSITION_KEYS)
    at = put_int(out, _put_genotype(out, at, len(pl) - 1), ref_depth)
    out[at] = COMMA
    at = put_int(out, at + 1, alt_depth)
    out[at] = COLON
    at = put_int(out, at + 1, ref_depth + alt_depth)
    out[at] = COLON
    at = put_int(out, at + 1, min(gq, MAX_GQ))
    out[at] = COLON
    return _put_pl(out, at + 1, pl)


@jit
def position_lines(begin, end, name, with_genotypes, pos, ref_base, ref_depth, alt_depth, gq, pl, width, out, length):
    """Lines of single positions begin..end (-ERC BP_RESOLUTION) at out[k * width:]. with_genotypes: False for sites only."""
    for k in range(begin, end):
        at = _put_site(out, k * width, name, pos[k], ref_base[k], NO_QUAL)
        out[at] = DOT
        at += 1
        if with_genotypes:
            at = _put_position(out, at, ref_depth[k], alt_depth[k], gq[k], pl[k])
        out[at] = NEWLINE
        length[k] = at + 1 - k * width


@jit
def merge_lines(begin, end, item, text, width, call_text, call_offset, out, out_offset):
    """Copy lines to out[out_offset[i]:]: item b >= 0 is the line in room b of `text`, item -1 - c the line of call c."""
    for i in range(begin, end):
        n = out_offset[i + 1] - out_offset[i]
        if item[i] >= 0:
            source = text[item[i] * width : item[i] * width + n]
        else:
            source = call_text[call_offset[-1 - item[i]] : call_offset[-1 - item[i]] + n]
        target = out[out_offset[i] : out_offset[i] + n]
        for k in range(n):
            target[k] = source[k]
