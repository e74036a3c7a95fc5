"""Sites and genotypes of VCF records as filters and selections judge them, and the records written again.

CPU only: a pass over text, in and out of a file. Source: htsjdk VariantContext, Genotype, VCFEncoder.
"""

from gpugenome.kernels.launch import jit
from gpugenome.kernels.vcf_text_cpu import COMMA, DOT, NEWLINE, TAB, copy, put_info, put_int, put_samples

NO_VARIATION, SNP, MNP, INDEL, SYMBOLIC, MIXED = 0, 1, 2, 3, 4, 5
UNAVAILABLE, NO_CALL, HOM_REF, HET, HOM_VAR, PARTLY_CALLED = 0, 1, 2, 3, 4, 5


@jit
def is_symbolic(allele):
    """<X>, breakends; not "*"."""
    n = len(allele)
    if n <= 1:
        return False
    if allele[0] == 60 or allele[n - 1] == 62 or allele[0] == DOT or allele[n - 1] == DOT:
        return True
    for c in allele:
        if c == 91 or c == 93:
            return True
    return False


@jit
def _is_non_ref(allele):
    """<NON_REF> or <*>."""
    if len(allele) == 3:
        return allele[0] == 60 and allele[1] == 42
    return len(allele) == 9 and allele[0] == 60 and allele[1] == 78 and allele[4] == 95 and allele[5] == 82 and allele[7] == 70


@jit
def site_types(begin, end, data, allele_offset, start, length, ignore_non_ref, kind):
    """kind uint8: the type of records begin..end from their allele texts (rows allele_offset[i]..allele_offset[i + 1], REF first)."""
    for i in range(begin, end):
        ref = allele_offset[i]
        found = -1
        for j in range(ref + 1, allele_offset[i + 1]):
            allele = data[start[j] : start[j] + length[j]]
            if ignore_non_ref and _is_non_ref(allele):
                continue
            if is_symbolic(allele):
                one = SYMBOLIC
            elif length[j] == length[ref]:
                one = SNP if length[j] == 1 else MNP
            else:
                one = INDEL
            found = one if found < 0 or found == one else MIXED
            if found == MIXED:
                break
        kind[i] = NO_VARIATION if found < 0 else found


@jit
def indel_sizes(begin, end, data, allele_offset, start, length, kind, smallest, largest):
    """Smallest and largest |length of ALT - length of REF| of indels and mixed records (int32), 0 and -1 for others."""
    for i in range(begin, end):
        smallest[i], largest[i] = 0, -1
        if kind[i] != INDEL and kind[i] != MIXED:
            continue
        ref = allele_offset[i]
        for j in range(ref + 1, allele_offset[i + 1]):
            own = 0 if is_symbolic(data[start[j] : start[j] + length[j]]) else length[j]
            size = abs(own - length[ref])
            smallest[i] = size if largest[i] < 0 else min(smallest[i], size)
            largest[i] = max(largest[i], size)


@jit
def genotype_types(begin, end, allele, kind):
    """kind uint8 of genotypes int16[rows, ploidy] (-1 no call, -2 beyond the ploidy)."""
    for r in range(begin, end):
        first = -1
        missing = False
        several = False
        any_allele = False
        for a in allele[r]:
            if a == -2:
                break
            any_allele = True
            if a < 0:
                missing = True
            elif first < 0:
                first = a
            elif a != first:
                several = True
        if not any_allele:
            kind[r] = UNAVAILABLE
        elif missing:
            kind[r] = NO_CALL if first < 0 else PARTLY_CALLED
        else:
            kind[r] = HET if several else HOM_REF if first == 0 else HOM_VAR


@jit
def count_types(begin, end, samples, kind, count):
    """count int32[n, 6]: genotypes of each type among the `samples` rows of each record."""
    for i in range(begin, end):
        for k in range(6):
            count[i, k] = 0
        for r in range(i * samples, (i + 1) * samples):
            count[i, kind[r]] += 1


@jit
def count_alleles(begin, end, samples, allele, counted, alleles_before, count, number):
    """count int64 by alleles_before (REF's row first): copies of each allele in genotypes where `counted`; number int64[n]: their sum.

    Returns the first record with an allele that it does not list, or -1.
    """
    for i in range(begin, end):
        a, b = alleles_before[i], alleles_before[i + 1]
        for j in range(a, b):
            count[j] = 0
        number[i] = 0
        for r in range(i * samples, (i + 1) * samples):
            for x in allele[r]:
                if x >= b - a:
                    return i
                if x >= 0 and counted[r]:
                    count[a + x] += 1
                    number[i] += 1
    return -1


@jit
def int_lists(begin, end, data, start, length):
    """Takes away (length -1) what is not a comma-separated list of whole numbers."""
    for r in range(begin, end):
        if length[r] < 0:
            continue
        digits = 0
        for k in range(start[r], start[r] + length[r] + 1):
            c = COMMA if k == start[r] + length[r] else data[k]
            if c == COMMA:
                if digits == 0:
                    length[r] = -1
                    break
                digits = 0
            elif 48 <= c <= 57:
                digits += 1
            elif not (digits == 0 and (c == 45 or c == 43)):
                length[r] = -1
                break


@jit
def _put_upper(out, at, allele):
    if is_symbolic(allele):
        return copy(out, at, allele)
    for c in allele:
        out[at] = c - 32 if 97 <= c <= 122 else c
        at += 1
    return at


@jit
def write_lines(begin, end, rows, data, columns, ends, pos, allele_offset, allele_start, allele_length, site_start, site_length, info_start,
                info_length, info_key, info_key_offset, tail, samples, format_start, format_length, format_key, format_key_offset,
                out, out_start, out_length):  # fmt: skip
    """Lines of records rows[begin:end] with their newlines at out[out_start[r]:], their lengths in out_length.

    columns int64[n, 10], ends int64[n]: the records read. pos: int32[n], 0-based. Alleles as in `site_types`. site_*[2, n]: QUAL and
    FILTER. info_*[k, n], keys sorted, a length of 0 is a flag. tail: uint8[n], 0 no genotypes, 1 FORMAT and samples as they were read, 2
    from format_*[f, n * samples]. All texts lie in `data`.
    """
    for r in range(begin, end):
        i = rows[r]
        at = copy(out, out_start[r], data[columns[i, 0] : columns[i, 1] - 1])
        out[at] = TAB
        at = put_int(out, at + 1, pos[i] + 1)
        out[at] = TAB
        at = copy(out, at + 1, data[columns[i, 2] : columns[i, 3] - 1])
        first = allele_offset[i]
        for j in range(first, allele_offset[i + 1]):
            out[at] = TAB if j < first + 2 else COMMA
            at = _put_upper(out, at + 1, data[allele_start[j] : allele_start[j] + allele_length[j]])
        if allele_offset[i + 1] == first + 1:
            out[at] = TAB
            out[at + 1] = DOT
            at += 2
        for column in range(2):
            out[at] = TAB
            at += 1
            n = site_length[column, i]
            if n < 0:
                out[at] = DOT
                at += 1
            else:
                at = copy(out, at, data[site_start[column, i] : site_start[column, i] + n])
        out[at] = TAB
        at = put_info(out, at + 1, i, data, info_start, info_length, info_key, info_key_offset)
        if tail[i] == 1:
            out[at] = TAB
            at = copy(out, at + 1, data[columns[i, 8] : ends[i]])
        elif tail[i] == 2:
            at = put_samples(out, at, i, samples, data, format_start, format_length, format_key, format_key_offset)
        out[at] = NEWLINE
        out_length[r] = at + 1 - out_start[r]


@jit
def put_reduced_lists(begin, end, samples, data, start, length, allele_offset, keep, non_ref, ploidy, likelihoods, out, out_start,
                      out_length, low):  # fmt: skip
    """Comma-separated numbers of genotypes without the values of alleles that are not kept, at out[out_start[r]:].

    keep: uint8 by allele_offset (REF's row first). non_ref: bool by allele_offset, alleles <NON_REF>, whose AD becomes 0. likelihoods: 0
    for a value an allele (AD), 1 for a value a genotype (PL), which are then taken from the smallest; ploidy: int64[rows], of each
    genotype. PL of another size than they should have are taken away (length -1).
    low: int32[rows, 2], the smallest two values that stay (PL), -1 where there is none. Returns the first row with too few AD, or -1.
    """
    short = -1
    for r in range(begin, end):
        out_length[r] = -1
        low[r, 0], low[r, 1] = -1, -1
        if length[r] < 0:
            continue
        a, b = allele_offset[r // samples], allele_offset[r // samples + 1]
        n = b - a
        expected = 1
        if likelihoods:  # (n + ploidy - 1) over ploidy
            for k in range(ploidy[r]):
                expected = expected * (n + k) // (k + 1)
        else:
            expected = n
        count = 1
        for c in data[start[r] : start[r] + length[r]]:
            count += c == COMMA
        if count != expected and likelihoods:
            continue
        for turn in range(2):  # the smallest values, then the text
            at = out_start[r]
            place = start[r]
            for index in range(expected):
                if index >= count:  # AD of too few values: well as long as none of these stays
                    if keep[a + index]:
                        short = r if short < 0 else short
                    continue
                value = 0
                negative = False
                while place < start[r] + length[r] and data[place] != COMMA:
                    if data[place] == 45:
                        negative = True
                    elif data[place] != 43:
                        value = value * 10 + (data[place] - 48)
                    place += 1
                place += 1
                value = -value if negative else value
                stays = True
                if likelihoods:  # genotypes are numbered by their alleles, the largest one first
                    rest = index
                    for copies in range(ploidy[r], 0, -1):
                        x = 0
                        below = 0
                        while True:
                            size = 1  # genotypes of `copies` alleles 0..x
                            for k in range(copies):
                                size = size * (x + 1 + k) // (k + 1)
                            if size > rest:
                                break
                            below = size
                            x += 1
                        rest -= below
                        stays = stays and keep[a + x] != 0
                else:
                    stays = keep[a + index] != 0
                    if non_ref[a + index]:
                        value = 0
                if not stays:
                    continue
                if turn == 0:
                    if low[r, 0] < 0 or value < low[r, 0]:
                        low[r, 1] = low[r, 0]
                        low[r, 0] = value
                    elif low[r, 1] < 0 or value < low[r, 1]:
                        low[r, 1] = value
                else:
                    if at > out_start[r]:
                        out[at] = COMMA
                        at += 1
                    at = put_int(out, at, value - low[r, 0] if likelihoods else value)
            if turn == 1:
                out_length[r] = at - out_start[r]
    return short


@jit
def trim_alleles(begin, end, data, allele_offset, start, length, head, back):
    """How many bases at the front (head int32) and back (int32) all alleles share and can lose, as GATK trims them.

    Nothing where there is no ALT or an allele of one base; symbolic alleles and "*" take no part.
    """
    for i in range(begin, end):
        head[i], back[i] = 0, 0
        a, b = allele_offset[i], allele_offset[i + 1]
        ref = data[start[a] : start[a] + length[a]]
        shortest = length[a]
        stop = b - a <= 1
        for j in range(a, b):
            allele = data[start[j] : start[j] + length[j]]
            star = length[j] == 1 and allele[0] == 42
            if star or is_symbolic(allele):
                continue
            stop |= length[j] == 1
            shortest = min(shortest, length[j])
        if stop:
            continue
        same = True
        tail = 0
        while same and tail < shortest:
            for j in range(a + 1, b):
                allele = data[start[j] : start[j] + length[j]]
                if length[j] == 1 or is_symbolic(allele):
                    continue
                same &= (allele[length[j] - 1 - tail] & 223) == (ref[length[a] - 1 - tail] & 223)
            tail += same
        same = True
        front = 0
        while same and front < shortest - tail:
            for j in range(a + 1, b):
                allele = data[start[j] : start[j] + length[j]]
                if length[j] == 1 or is_symbolic(allele):
                    continue
                same &= (allele[front] & 223) == (ref[front] & 223)
            front += same
        if front + tail == shortest:  # one base stays
            if front == 0:
                tail -= 1
            else:
                front -= 1
        head[i], back[i] = front, tail


@jit
def takes_no_part(begin, end, data, start, length, out):
    """out uint8: alleles that are symbolic or "*"."""
    for j in range(begin, end):
        allele = data[start[j] : start[j] + length[j]]
        out[j] = is_symbolic(allele) or (length[j] == 1 and allele[0] == 42)


@jit
def put_kept_values(begin, end, data, start, length, allele_offset, keep, out, out_start, out_length):
    """Comma-separated values, one an ALT, of those ALTs that `keep` (uint8 by allele_offset), at out[out_start[i]:].

    Rows of length -1 stay absent. Returns the first record with too few values, or -1.
    """
    for i in range(begin, end):
        out_length[i] = -1
        if length[i] < 0:
            continue
        at = out_start[i]
        place = start[i]
        last = start[i] + length[i]
        for j in range(allele_offset[i] + 1, allele_offset[i + 1]):
            if place > last:
                return i
            stop = place
            while stop < last and data[stop] != COMMA:
                stop += 1
            if keep[j]:
                if at > out_start[i]:
                    out[at] = COMMA
                    at += 1
                at = copy(out, at, data[place:stop])
            place = stop + 1
        if at == out_start[i]:  # an empty list is written as a missing value
            out[at] = DOT
            at += 1
        out_length[i] = at - out_start[i]
    return -1


@jit
def merge_sources(first, second, last, order):
    """Merge two sorted arrays of int64 keys as Picard MergeVcfs does: of equal keys, the source that was not read from last comes first.

    last: the source (0 or 1) of the entry before these, -1 at the very start. order: int64, indices into first and then second. Returns the
    source of the last entry.
    """
    i = 0
    j = 0
    for k in range(len(order)):
        if j == len(second):
            last = 0
        elif i == len(first):
            last = 1
        elif first[i] == second[j]:
            last = 0 if last != 0 else 1
        else:
            last = 0 if first[i] < second[j] else 1
        if last == 0:
            order[k] = i
            i += 1
        else:
            order[k] = len(first) + j
            j += 1
    return last


@jit
def genotype_texts(begin, end, samples, allele, phased, data, allele_offset, start, length, out, out_start, out_length):
    """Genotypes as the bases of their alleles, "A/G", at out[out_start[r]:]; "NA" where there are none, nothing for symbolic alleles."""
    for r in range(begin, end):
        at = out_start[r]
        for k in range(allele.shape[1]):
            x = allele[r, k]
            if x == -2:
                break
            if k > 0:
                out[at] = 124 if phased[r] else 47
                at += 1
            if x < 0:
                out[at] = DOT
                at += 1
            else:
                j = allele_offset[r // samples] + x
                bases = data[start[j] : start[j] + length[j]]
                if not is_symbolic(bases):
                    at = _put_upper(out, at, bases)
        if at == out_start[r]:
            out[at] = 78
            out[at + 1] = 65
            at += 2
        out_length[r] = at - out_start[r]
