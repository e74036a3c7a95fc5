"""PairHMM values against a plain recurrence, qualities, cap and filter, realignment."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gpugenome.backend import Backend
from gpugenome.kernels import realign_cpu
from gpugenome.kernels.pairhmm_scalar import ERROR_F32, match_to_match_f32
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallerReads, HaplotypeEvents, Haplotypes, RegionReads
from gpugenome.steps.haplotypecaller.likelihoods import likelihoods, pair_hmm, pcr_table
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

OPS = "MIDNSHP=X"


def ragged(rows, dtype):
    """Rows as a ragged column: (values, offsets)."""
    return np.concatenate([np.empty(0, dtype), *(np.asarray(r, dtype) for r in rows)]).astype(dtype), offsets([len(r) for r in rows])


def ascii_rows(texts):
    return ragged([np.frombuffer(t.encode(), np.uint8) for t in texts], np.uint8)


def words(cigar):
    """CIGAR text as BAM words."""
    out, n = [], ""
    for c in cigar:
        if c.isdigit():
            n += c
        else:
            out.append(int(n) << 4 | OPS.index(c))
            n = ""
    return out


def text(cigar):
    return "".join(f"{w >> 4}{OPS[w & 15]}" for w in cigar)


def caller_reads(n, mapq=60, samples=None):
    """CallerReads of which the stage needs only MAPQ and sample."""
    i32, u8, zero = np.zeros(n, np.int32), np.empty(0, np.uint8), np.zeros(n + 1, np.int64)
    sample = i32 if samples is None else np.array(samples, np.int32)
    return CallerReads(0, i32, i32, i32.astype(np.uint16), np.full(n, mapq, np.uint8), i32, i32, i32, sample, i32, u8, u8, zero,
                       np.empty(0, np.uint32), zero, u8, zero)  # fmt: skip


def assembly_of(haps, reads, span_start=0, cigars=None, filtered=None, quality=30):
    """One region. haps: [(bases, CIGAR)], the first is the reference. reads: bases."""
    base, base_offset = ascii_rows([h for h, _ in haps])
    cigar, cigar_offset = ragged([words(c) for _, c in haps], np.uint32)
    n = len(haps)
    table = Haplotypes(np.array([0, n]), np.array([span_start], np.int32), base, base_offset, cigar, cigar_offset,
                       np.array([1] + [0] * (n - 1), np.uint8), np.zeros(n, np.int32), np.full(n, np.nan))  # fmt: skip
    events = HaplotypeEvents(np.zeros(n + 1, np.int64), *(np.empty(0, np.int32),) * 2, np.empty(0, np.uint8), np.zeros(1, np.int64))
    rbase, roffset = ascii_rows(reads)
    rcigar, rcigar_offset = ragged([words(c) for c in cigars or [f"{len(r)}M" for r in reads]], np.uint32)
    m = len(reads)
    region_reads = RegionReads(np.array([0, m]), np.arange(m, dtype=np.int32), np.full(m, span_start, np.int32), rbase,
                               np.full(len(rbase), quality, np.uint8), roffset, rcigar, rcigar_offset,
                               np.array(filtered or [0] * m, np.uint8))  # fmt: skip
    span = np.array([span_start], np.int32), np.array([span_start + len(haps[0][0])], np.int32)
    return AssemblyBatch(np.array([2], np.uint8), *span, *span, region_reads, region_reads, table, events)


def matrix(out, haps):
    return out.matrix.reshape(-1, haps)


def fma(a, b, c):
    # a product of float32 is exact in float64; the sum has 64 bits before it is rounded to 24
    return np.float32(np.longdouble(np.float64(a) * np.float64(b)) + np.longdouble(c))


def recurrence(read, base_qual, gap_qual, hap):
    """log10 likelihood by the native library's float32 operations, cell by cell."""
    f = np.float32
    error, match = ERROR_F32, match_to_match_f32()
    gap = error[10]
    g = f(1) - gap
    m, x, y = ([f(0)] * (len(hap) + 1) for _ in range(3))
    y = [f(2.0**120) / f(len(hap))] * (len(hap) + 1)
    for i, base in enumerate(read):
        mm, mx, my, e = match[gap_qual[i], gap_qual[i]], error[gap_qual[i]], error[gap_qual[i]], error[base_qual[i]]
        m1, x1, y1 = [f(0)], [f(0)], [f(0)]
        for j in range(1, len(hap) + 1):
            prior = f(1) - e if base == hap[j - 1] or "N" in (base, hap[j - 1]) else e / f(3)
            t = fma(y[j - 1], g, fma(x[j - 1], g, m[j - 1] * mm))
            m1.append(t * prior)
            x1.append(fma(x[j], gap, m[j] * mx))
            y1.append(fma(y1[j - 1], gap, m1[j - 1] * my))
        m, x, y = m1, x1, y1
    sum_m, sum_x = f(0), f(0)
    for j in range(1, len(hap) + 1):
        sum_m, sum_x = sum_m + m[j], sum_x + x[j]
    return math.log10(float(sum_x + sum_m)) - 120 * math.log10(2.0)


def random_case(rng, n_reads=5, n_haps=4):
    haps = ["".join(rng.choice(list("ACGT"), rng.integers(20, 34))) for _ in range(n_haps)]
    reads = []
    for _ in range(n_reads):
        h = haps[rng.integers(n_haps)]
        n = int(rng.integers(3, 18))
        at = int(rng.integers(0, len(h) - n))
        read = list(h[at : at + n])
        read[rng.integers(n)] = "ACGTN"[rng.integers(5)]
        reads.append("".join(read))
    return reads, haps


@pytest.mark.parametrize("double", [False, True])
def test_pair_hmm_is_the_plain_recurrence(double):
    rng = np.random.default_rng(5)
    reads, haps = random_case(rng)
    base, base_offset = ascii_rows(reads)
    hap, hap_offset = ascii_rows(haps)
    quality, gap = rng.integers(6, 40, len(base)).astype(np.uint8), rng.integers(20, 46, len(base)).astype(np.uint8)
    r, h = (a.ravel().astype(np.int32) for a in np.mgrid[: len(reads), : len(haps)])
    got = pair_hmm(base, quality, gap, base_offset, hap, hap_offset, r, h, double, Backend("cpu", 1))
    want = np.array([
        recurrence(reads[i], quality[base_offset[i] : base_offset[i + 1]], gap[base_offset[i] : base_offset[i + 1]], haps[j])
        for i, j in zip(r, h)
    ])  # fmt: skip
    # one step of the float32 grid of a log10 near 36 is 3.8e-6
    assert np.abs(got - want).max() < (2e-5 if double else 8e-6)
    assert (got == pair_hmm(base, quality, gap, base_offset, hap, hap_offset, r, h, double, Backend("cpu", 3))).all()


def test_pcr_tables():
    assert pcr_table("CONSERVATIVE").tolist() == [40] * 4 + [39] * 5 + [38] * 3 + [37] * 3 + [36] * 2 + [35, 34, 33, 33]
    assert pcr_table("HOSTILE").tolist() == [40, 40, 39, 38, 37, 36, 34, 32, 28, 23, 17] + [10] * 10
    assert len(pcr_table("NONE")) == 0


def test_cap_filter_and_set_aside_reads():
    reference = "ACGTACTGATCGATTGCATGCCATTGCA"
    other = reference[:14] + "A" + reference[15:]
    haps = [(reference, "28M"), (other, "28M")]
    reads = [reference[4:24], other[4:24], "GGGGGGGGGGGGGGGGGGGG", reference[4:24]]
    out = likelihoods(caller_reads(4), assembly_of(haps, reads, 100, filtered=[0, 0, 0, 1]), CallerOptions())
    assert out.reads.source.tolist() == [0, 1, 3]  # the third fits nothing
    m = matrix(out, 2)
    assert m[0, 0] > m[0, 1] and m[1, 1] > m[1, 0] and m[2].tolist() == [0, 0]
    assert out.best_haplotype.tolist() == [0, 1, -1]
    capped = replace(CallerOptions(), phred_scaled_global_read_mismapping_rate=10)
    m = matrix(likelihoods(caller_reads(4), assembly_of(haps, reads, 100, filtered=[0, 0, 0, 1]), capped), 2)
    assert m[0, 1] == m[0, 0] - 1.0


def test_base_quality_is_capped_by_mapq_and_floored():
    reference = "ACGTACTGATCGATTGCATGCCATTGCA"
    haps = [(reference, "28M"), (reference[:14] + "A" + reference[15:], "28M")]

    def difference(mapq, quality):
        options = replace(CallerOptions(), expected_mismatch_rate_for_read_disqualification=1.0)
        m = matrix(likelihoods(caller_reads(1, mapq), assembly_of(haps, [reference[10:18]], quality=quality), options), 2)
        return m[0, 0] - m[0, 1]

    assert difference(30, 40) == difference(60, 30)
    assert difference(60, 17) == difference(60, 6) == difference(17, 40)
    assert difference(60, 18) > difference(60, 17) + 1


REFERENCE = "GATTACAGGCTCTTTTTTTCAGACCATGTCAATTGCGTACCGGA"


def realigned(hap, cigar, read, read_cigar=None, reference=REFERENCE):
    haps = [(reference, f"{len(reference)}M")] + ([(hap, cigar)] if hap else [])
    options = replace(CallerOptions(), expected_mismatch_rate_for_read_disqualification=1.0)
    out = likelihoods(caller_reads(1), assembly_of(haps, [read], 1000, [read_cigar] if read_cigar else None), options)
    return int(out.reads.start[0]), text(out.reads.cigar)


def test_realignment():
    deletion = REFERENCE[:25] + REFERENCE[29:]  # CATG gone
    assert realigned(deletion, "25M4D15M", deletion[10:35]) == (1010, "15M4D10M")
    # read within one side of the deletion
    assert realigned(deletion, "25M4D15M", deletion[25:]) == (1029, "15M")
    insertion = REFERENCE[:20] + "GGATA" + REFERENCE[20:]
    assert realigned(insertion, "20M5I24M", insertion[5:40], "2H35M3H") == (1005, "2H15M5I15M3H")
    # a read's own insertion in a homopolymer moves to its left end
    read = REFERENCE[3:19] + "T" + REFERENCE[19:40]
    other = REFERENCE[:40] + "G" + REFERENCE[41:]
    assert realigned(other, f"{len(REFERENCE)}M", read) == (1003, "9M1I28M")


def test_a_deletion_beside_the_clip_of_an_alignment_vanishes():
    # GATK 4.6.2.0 -bamout of such a read (fuzz_caller.py, seed 27): the clipped bases at the haplotype's begin, 76M1D1M behind them
    front = "GCTTAGTTAAGATTTACCTGAGTGTCTTCTTCATCCGTGCGCAT"
    reference = "NNNNNNNN" + front + "ACGCAGTTGAGCGGACATAGGTGTAGCTGCCATCTCTCTCTCTCTCTCTTAGCCGTCACAGCGTAAAAGTTACTA"
    hap = "NNNNNNNN" + front + "TCGCAGTTGAGCGGACATAGGTGTGCTGCCATCTCTCTCTCTCTCTCTTAGCCGTCACAGCGTAAAAGTTACTA"
    read = "TCGGAGCCATC" + hap[8:85]
    assert realigned(hap, f"76M1D{len(hap) - 76}M", read, "37H88M", reference) == (1000, "37H11I76M1D1M")


def test_ties_go_to_the_reference_and_simple_haplotypes():
    far = REFERENCE[:40] + "G" + REFERENCE[41:]
    out = likelihoods(caller_reads(1), assembly_of([(REFERENCE, "44M"), (far, "44M")], [REFERENCE[:30]], 0), CallerOptions())
    m = matrix(out, 2)
    assert abs(m[0, 0] - m[0, 1]) < 0.2 and out.best_haplotype.tolist() == [0]


def test_rows_are_grouped_by_sample():
    haps = [(REFERENCE, "44M"), (REFERENCE[:40] + "G" + REFERENCE[41:], "44M")]
    reads = [REFERENCE[:20], REFERENCE[1:21], REFERENCE[2:22], REFERENCE[3:23]]
    out = likelihoods(caller_reads(4, samples=[1, 0, 1, 0]), assembly_of(haps, reads, filtered=[1, 0, 0, 0]), CallerOptions())
    assert out.reads.source.tolist() == [1, 3, 2, 0]


def test_cap_options():
    haps = [(REFERENCE, "44M"), (REFERENCE[:20] + "G" + REFERENCE[21:], "44M"), (REFERENCE[:20] + "GC" + REFERENCE[22:], "44M")]
    made = assembly_of(haps, [REFERENCE[10:35]])

    def row(**options):
        return matrix(likelihoods(caller_reads(1), made, replace(CallerOptions(), **options)), 3)[0]

    full = row(phred_scaled_global_read_mismapping_rate=-1)
    assert full[0] > full[1] > full[2] + 1
    assert row(phred_scaled_global_read_mismapping_rate=20).tolist() == [full[0], full[0] - 2.0, full[0] - 2.0]
    # only the reference is better than the best alternative, and it does not count
    assert row(phred_scaled_global_read_mismapping_rate=20, disable_symmetric_hmm_normalizing=True).tolist() == [*full[:2], full[1] - 2.0]


def test_values_below_the_range_of_float32_only_where_they_are_seen():
    rng = np.random.default_rng(1)
    read = "".join(rng.choice(list("ACGT"), 120))
    far = "".join(rng.choice(list("ACGT"), 130))
    made = assembly_of([(read, "120M"), (far, "120M")], [read])
    m = matrix(likelihoods(caller_reads(1), made, replace(CallerOptions(), phred_scaled_global_read_mismapping_rate=-1)), 2)
    double = replace(CallerOptions(), phred_scaled_global_read_mismapping_rate=-1, native_pair_hmm_use_double_precision=True)
    assert -200 < m[0, 1] < -64 and m[0, 1] == matrix(likelihoods(caller_reads(1), made, double), 2)[0, 1]
    assert matrix(likelihoods(caller_reads(1), made, CallerOptions()), 2)[0, 1] == m[0, 0] - 4.5


def plain_repeat_length(bases, i):
    """The rule by string operations: the shortest repeated unit on each side of the gap after base i."""
    left, right = bases[: i + 1], bases[i + 1 :]

    def copies(text, unit):
        n = 0
        while text.startswith(unit * (n + 1)):
            n += 1
        return n

    def unit_and_copies(text, flip):
        for u in range(1, min(8, len(text)) + 1):
            n = copies(text[::flip], (unit := text[-u:] if flip < 0 else text[:u])[::flip])
            if n > 1:
                return unit, n
        return (text[-1] if flip < 0 else text[0]), 1

    (back, n_back), (forward, n_forward) = unit_and_copies(left, -1), unit_and_copies(right, 1)
    return min(20, n_forward + (n_back if back == forward else copies(left[::-1], forward[::-1])))


def test_gap_qualities_follow_tandem_repeats():
    rng = np.random.default_rng(3)
    reads = ["A" * 30, "ACAT" * 9, "ACGTTGCA" * 5 + "G"]
    for _ in range(40):
        unit = "".join(rng.choice(list("ACGT"), rng.integers(1, 10)))
        reads.append("".join(rng.choice(list("AC"), 12)) + unit * int(rng.integers(1, 7)) + "".join(rng.choice(list("ACGT"), 9)))
    base, offset = ascii_rows(reads)
    qual, table = np.full(len(base), 30, np.uint8), pcr_table("HOSTILE")
    base_qual, gap_qual = np.empty_like(qual), np.empty_like(qual)
    realign_cpu.hmm_qualities(0, len(reads), base, qual, offset, np.full(len(reads), 60, np.uint8), True, 18, table, base_qual, gap_qual)
    want = [[min(45, table[plain_repeat_length(r, i)]) for i in range(len(r) - 1)] + [45] for r in reads]
    assert gap_qual.tolist() == [q for row in want for q in row]
