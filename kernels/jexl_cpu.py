"""Texts of VCF fields as the numbers that Java reads in them, and compared with one another.

A text column is data[start[i] : start[i] + length[i]] (uint8); rows with use[i] == 0 are left alone.
"""

from gpugenome.kernels.launch import jit
from gpugenome.kernels.variant_records_cpu import parse_decimal
from gpugenome.kernels.vcf_compare_cpu import hash_bytes

READ, NOT_A_NUMBER, UNUSUAL = 0, 1, 2
"""Outcome of reading a number. UNUSUAL: more digits than a product or quotient of exact doubles holds, or words: left to Python."""


@jit
def parse_longs(begin, end, data, start, length, use, out, status):
    """Long.parseLong: a sign, digits, nothing else; at most 18 digits are READ."""
    for i in range(begin, end):
        if use[i] == 0:
            continue
        a, n = start[i], length[i]
        k = 1 if n > 0 and (data[a] == 43 or data[a] == 45) else 0
        status[i] = NOT_A_NUMBER if n == k else READ
        if n - k > 18:
            status[i] = UNUSUAL
            continue
        value = 0
        for j in range(a + k, a + n):
            c = data[j]
            if c < 48 or c > 57:
                status[i] = NOT_A_NUMBER
                break
            value = value * 10 + (c - 48)
        out[i] = -value if n > 0 and data[a] == 45 else value


@jit
def parse_doubles(begin, end, data, start, length, use, out, status):
    """Double.parseDouble; only plain decimals of up to 15 digits are READ, everything else is UNUSUAL."""
    for i in range(begin, end):
        if use[i]:
            out[i], exact = parse_decimal(data[start[i] : start[i] + length[i]])
            status[i] = READ if exact else UNUSUAL


@jit
def compare_texts(begin, end, a_data, a_start, a_length, b_data, b_start, b_length, use, out):
    """out int8: -1, 0 or 1 as text a sorts before, with or after text b, byte by byte."""
    for i in range(begin, end):
        if use[i] == 0:
            continue
        n, m = a_length[i], b_length[i]
        order = 0
        for k in range(min(n, m)):
            x, y = a_data[a_start[i] + k], b_data[b_start[i] + k]
            if x != y:
                order = -1 if x < y else 1
                break
        if order == 0 and n != m:
            order = -1 if n < m else 1
        out[i] = order


@jit
def looks_floating(begin, end, data, start, length, use, out):
    """out uint8: whether the text has a point or an exponent's letter (JEXL's arithmetic then uses doubles)."""
    for i in range(begin, end):
        if use[i]:
            out[i] = 0
            for k in range(start[i], start[i] + length[i]):
                if data[k] == 46 or data[k] == 101 or data[k] == 69:
                    out[i] = 1
                    break


@jit
def list_item(begin, end, data, start, length, use, index, item_start, item_length):
    """The index-th comma-separated item of each text; item_length -1 where there is none."""
    for i in range(begin, end):
        if use[i] == 0:
            continue
        at = 0
        first = start[i]
        item_length[i] = -1
        for k in range(start[i], start[i] + length[i] + 1):
            if k == start[i] + length[i] or data[k] == 44:
                if at == index:
                    item_start[i] = first
                    item_length[i] = k - first
                    break
                at += 1
                first = k + 1


@jit
def hash_texts(begin, end, data, start, length, use, out):
    """out uint64: a hash of each text, 0 where it is left alone."""
    for i in range(begin, end):
        if use[i]:
            out[i] = hash_bytes(data[start[i] : start[i] + length[i]])


@jit
def list_texts(begin, end, data, start, length, use, out, out_start, out_length):
    """Comma-separated texts as java.util.List prints them, "[a, b]", at out[out_start[i]:] (2 * length + 2 bytes suffice)."""
    for i in range(begin, end):
        if use[i] == 0:
            continue
        at = out_start[i]
        out[at] = 91
        at += 1
        for k in range(start[i], start[i] + length[i]):
            out[at] = data[k]
            at += 1
            if data[k] == 44:
                out[at] = 32
                at += 1
        out[at] = 93
        out_length[i] = at + 1 - out_start[i]
