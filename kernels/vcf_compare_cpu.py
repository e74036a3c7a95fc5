"""Field-by-field comparison of VCF text as columns of 64-bit hashes. One nogil pass over the bytes of each record.

A hash stands for the exact bytes of a field; 0 stands for "absent". Two fields are called equal when their hashes are
(FNV-1a with a final mix, 64 bits: the chance of one false match in 10^9 fields is below 10^-10).
"""

import numpy as np

from gpugenome.kernels.launch import jit

TAB, NEWLINE, SEMICOLON, COLON, EQUALS = 9, 10, 59, 58, 61


@jit
def hash_bytes(s):
    """64-bit hash of uint8[...]; never 0."""
    h = np.uint64(14695981039346656037)
    for i in range(len(s)):
        h = (h ^ np.uint64(s[i])) * np.uint64(1099511628211)
    h ^= h >> np.uint64(32)
    h *= np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(29)
    return h if h != np.uint64(0) else np.uint64(1)


@jit
def find_lines(data):
    """Starts of the record lines (those not beginning with '#') of VCF text, int64[n], and their ends (before the newline)."""
    n = 0
    size = len(data)
    begin = 0
    count = 0
    for i in range(size):
        if data[i] == NEWLINE:
            count += 1
    starts = np.empty(count + 1, np.int64)
    ends = np.empty(count + 1, np.int64)
    for i in range(size + 1):
        if i == size or data[i] == NEWLINE:
            if i > begin and data[begin] != 35:
                starts[n] = begin
                ends[n] = i
                n += 1
            begin = i + 1
    return starts[:n], ends[:n]


@jit
def find_columns(begin, end, data, starts, ends, columns):
    """Field borders of records begin..end: columns int64[n, c+1], field j of record i is data[columns[i,j]:columns[i,j+1]-1].

    Returns the first record whose number of fields is not c, or -1.
    """
    c = columns.shape[1] - 1
    for i in range(begin, end):
        line = data[starts[i] : ends[i]]
        columns[i, 0] = starts[i]
        k = 1
        for j in range(len(line)):
            if line[j] == TAB:
                if k >= c:
                    return i
                columns[i, k] = starts[i] + j + 1
                k += 1
        columns[i, k] = ends[i] + 1
        if k != c:
            return i
    return -1


@jit
def hash_columns(begin, end, data, columns, out):
    """out uint64[n, c]: the hash of each field of records begin..end."""
    for i in range(begin, end):
        for j in range(out.shape[1]):
            out[i, j] = hash_bytes(data[columns[i, j] : columns[i, j + 1] - 1])


@jit
def parse_sites(begin, end, data, columns, pos, kind, end_pos):
    """Per record: pos int32 (1-based POS, -1 if not a number); end_pos int32 (INFO END, or POS + len(REF) - 1).

    kind uint8: 0 SNP (all alleles one base), 1 indel or mixed, 2 no variant allele (ALT "." or only <NON_REF>), 3 MNP (equal lengths > 1).
    A symbolic <NON_REF> beside other alleles and "*" do not count.
    """
    for i in range(begin, end):
        value = 0
        s = data[columns[i, 1] : columns[i, 2] - 1]
        for k in range(len(s)):
            if s[k] < 48 or s[k] > 57:
                value = -1
                break
            value = value * 10 + (s[k] - 48)
        pos[i] = value if len(s) else -1
        ref_length = columns[i, 4] - 1 - columns[i, 3]
        alt = data[columns[i, 4] : columns[i, 5] - 1]
        variant = False
        same = True
        length = 0
        for k in range(len(alt) + 1):
            if k == len(alt) or alt[k] == 44:
                first = alt[k - length] if length else 46
                if not (first == 60 or first == 42 or first == 46):
                    variant = True
                    if length != ref_length:
                        same = False
                length = 0
            else:
                length += 1
        if not variant:
            kind[i] = 2
        elif not same:
            kind[i] = 1
        else:
            kind[i] = 0 if ref_length == 1 else 3
        end_pos[i] = pos[i] + ref_length - 1
        info = data[columns[i, 7] : columns[i, 8] - 1]
        for at in range(len(info) - 4):
            begins = at == 0 or info[at - 1] == SEMICOLON
            if begins and info[at] == 69 and info[at + 1] == 78 and info[at + 2] == 68 and info[at + 3] == EQUALS:
                value = 0
                for k in range(at + 4, len(info)):
                    if info[k] < 48 or info[k] > 57:
                        break
                    value = value * 10 + (info[k] - 48)
                end_pos[i] = value
                break


@jit
def hash_info(begin, end, data, columns, rows, key_hash, out, unknown):
    """out uint64[n, k]: hash of the value of each INFO key (flags: of the empty string) of records rows[begin:end], 0 where absent.

    key_hash uint64[k], hashes of the keys' names. unknown uint64[n]: order-free mix of keys not listed.
    """
    for r in range(begin, end):
        i = rows[r]
        info = data[columns[i, 7] : columns[i, 8] - 1]
        at = 0
        n = len(info)
        while at < n:
            stop = at
            equals = -1
            while stop < n and info[stop] != SEMICOLON:
                if info[stop] == EQUALS and equals < 0:
                    equals = stop
                stop += 1
            name_end = equals if equals >= 0 else stop
            name = hash_bytes(info[at:name_end])
            value = hash_bytes(info[name_end + 1 : stop]) if equals >= 0 else hash_bytes(info[stop:stop])
            found = False
            for k in range(len(key_hash)):
                if key_hash[k] == name:
                    out[r, k] = value
                    found = True
                    break
            if not found and not (name_end - at == 1 and info[at] == 46):
                unknown[r] += name * np.uint64(31) + value
            at = stop + 1


@jit
def hash_format(begin, end, data, columns, rows, sample_column, key_hash, out):
    """out uint64[n, k]: hash of each FORMAT key's value of one sample (column index sample_column), 0 where absent; missing trailing
    values count as ".". rows as in `hash_info`."""
    for r in range(begin, end):
        i = rows[r]
        keys = data[columns[i, 8] : columns[i, 9] - 1]
        values = data[columns[i, sample_column] : columns[i, sample_column + 1] - 1]
        a = 0
        b = 0
        while a < len(keys):
            stop = a
            while stop < len(keys) and keys[stop] != COLON:
                stop += 1
            name = hash_bytes(keys[a:stop])
            value_end = b
            while value_end < len(values) and values[value_end] != COLON:
                value_end += 1
            if b <= len(values) and value_end > b:
                value = hash_bytes(values[b:value_end])
            else:
                value = hash_bytes(np.array([46], np.uint8))
            for k in range(len(key_hash)):
                if key_hash[k] == name:
                    out[r, k] = value
                    break
            a = stop + 1
            b = value_end + 1


@jit
def parse_genotypes(begin, end, data, columns, rows, sample_column, alleles, phased):
    """The GT of one sample (it is FORMAT's first key where present): alleles int16[n, p] sorted ascending, -1 missing, -2 unused;
    phased uint8[n], 1 where "|" separates them; ordered hash lies in FORMAT's hash. Returns the largest ploidy seen."""
    most = 0
    for r in range(begin, end):
        i = rows[r]
        alleles[r, :] = -2
        keys = data[columns[i, 8] : columns[i, 9] - 1]
        if len(keys) < 2 or keys[0] != 71 or keys[1] != 84 or (len(keys) > 2 and keys[2] != COLON):
            continue
        s = data[columns[i, sample_column] : columns[i, sample_column + 1] - 1]
        k = 0
        value = -1
        for j in range(len(s) + 1):
            ch = s[j] if j < len(s) else COLON
            if ch == 124 or ch == 47 or ch == COLON:
                if ch == 124:
                    phased[r] = 1
                if k < alleles.shape[1]:
                    at = k
                    while at > 0 and alleles[r, at - 1] > value:
                        alleles[r, at] = alleles[r, at - 1]
                        at -= 1
                    alleles[r, at] = value
                k += 1
                value = -1
                if ch == COLON:
                    break
            elif ch != 46:
                value = (value if value > 0 else 0) * 10 + (ch - 48)
        most = max(most, k)
    return most
