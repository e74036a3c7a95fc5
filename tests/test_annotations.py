"""Annotations: the maths against plain definitions and GATK's outputs, and whole calls with reads made for the purpose."""

import gzip
import math
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest

from gpugenome.errors import UserError
from gpugenome.gatk.annotations import active_annotations
from gpugenome.gatk.annotations.quality_by_depth import jittered
from gpugenome.gatk.java import JavaRandom
from gpugenome.kernels import annotations_cpu, annotations_scalar, assembly_complexity_cpu
from gpugenome.kernels.rank_sum_cpu import rank_sum_z
from gpugenome.steps.haplotypecaller.annotation import annotate
from gpugenome.steps.haplotypecaller.columns import CallBatch, CallerReads, LikelihoodBatch, RegionReads
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.records import format_records

LOG_FACTORIAL = np.array([math.lgamma(k + 1.0) for k in range(annotations_scalar.FISHER_TABLE_LIMIT + 1)])


def fisher_by_definition(a, b, c, d):
    """Two-sided p: sum over the tables of equal margins that are not more probable, in exact integers."""
    m, n, k = a + b, c + d, a + c
    ways = {x: math.comb(m, x) * math.comb(n, k - x) for x in range(max(0, k - n), min(k, m) + 1)}
    return sum(w for w in ways.values() if w <= ways[a]) / math.comb(m + n, k)


def test_fisher_strand():
    rng = np.random.default_rng(1)
    for a, b, c, d in rng.integers(0, 40, (300, 4)).tolist():
        got = annotations_scalar.fisher_phred(a, b, c, d, LOG_FACTORIAL)
        assert got == pytest.approx(-10 * math.log10(fisher_by_definition(a, b, c, d)), abs=1e-4)
    assert annotations_scalar.fisher_phred(0, 0, 0, 0, LOG_FACTORIAL) == 0.0
    scaled = annotations_scalar.fisher_phred(500, 300, 100, 100, LOG_FACTORIAL)
    assert scaled == annotations_scalar.fisher_phred(100, 60, 20, 20, LOG_FACTORIAL)


def test_strand_odds_ratio():
    assert annotations_scalar.strand_odds_ratio(0, 0, 0, 0) == pytest.approx(math.log(2))
    got = annotations_scalar.strand_odds_ratio(9, 3, 1, 19)
    assert got == pytest.approx(math.log(10 / 4 * 20 / 2 + 4 / 10 * 2 / 20) + math.log(4 / 10) - math.log(2 / 20))


def z_by_definition(alt, ref):
    """Mann-Whitney by pairs; the exact p by every choice of alt among the pooled values."""

    def u_of(x, y):
        return sum((a > b) + (a == b) / 2 for a in x for b in y)

    n1, n2, pool = len(alt), len(ref), [*alt, *ref]
    u = u_of(alt, ref)
    if n1 >= 10 or n2 >= 10:
        n = n1 + n2
        ties = sum(c**3 - c for c in (pool.count(v) for v in set(pool)) if c != n)
        return (u - n1 * n2 / 2 + (0.5 if ties else 0)) / math.sqrt(n1 * n2 / 12 * (n + 1 - ties / (n * (n - 1))))
    less = equal = total = 0
    for chosen in combinations(range(n1 + n2), n1):
        other = u_of([pool[i] for i in chosen], [pool[i] for i in range(n1 + n2) if i not in chosen])
        less, equal, total = less + (other < u), equal + (other == u), total + 1
    return NormalDist().inv_cdf((less + equal / 2) / total)


def test_rank_sums():
    rng = np.random.default_rng(2)
    for n1, n2, spread in [(1, 1, 3), (2, 3, 2), (4, 3, 4), (5, 4, 30), (3, 9, 3), (1, 10, 5), (12, 7, 4), (10, 25, 1000), (30, 30, 8)]:
        for _ in range(4):
            alt, ref = np.sort(rng.integers(0, spread, n1)).astype(float), np.sort(rng.integers(0, spread, n2)).astype(float)
            assert rank_sum_z(alt, ref) == pytest.approx(z_by_definition(alt.tolist(), ref.tolist()), abs=1e-9)
    same = np.full(3, 60.0)
    assert math.copysign(1, rank_sum_z(same, same)) == 1 and rank_sum_z(same, same) == 0
    assert math.isnan(rank_sum_z(same[:0], same))


def test_excess_heterozygotes():
    phred = annotations_scalar.excess_het_phred
    assert phred(0, 1, 0) == phred(0, 0, 1) == phred(0, 0, 0) == 0.0
    assert phred(0, 2, 0) == pytest.approx(1.7609, abs=5e-5)
    # 4 of 6 heterozygous, 4 rare alleles: P(h) is proportional to 2^h / (hom! het! rare!)
    ways = {h: 2**h / (math.factorial((4 - h) // 2) * math.factorial(h) * math.factorial(6 - h - (4 - h) // 2)) for h in (0, 2, 4)}
    assert phred(2, 4, 0) == pytest.approx(-10 * math.log10(ways[4] / sum(ways.values())))
    assert phred(0, 1000, 0) == 160.0


def test_votes_of_a_genotype():
    votes = annotations_scalar.genotype_votes
    assert votes(np.array([30, 0, 60], np.int32), 2, True) == (0, 1, 0)
    assert votes(np.array([60, 20, 0], np.int32), 2, True) == (0, 0, 1)
    # 0/2 best: the second ALT stands for all; 1/2 best: no REF
    assert votes(np.array([30, 40, 60, 0, 50, 70], np.int32), 3, True) == (0, 1, 0)
    assert votes(np.array([30, 40, 60, 20, 0, 70], np.int32), 3, True) == (0, 0, 1)
    assert sum(votes(np.array([3, 0, 5], np.int32), 2, False)) == pytest.approx(1)


def test_gaussians_are_those_of_the_shared_generator():
    ours, theirs = JavaRandom(), JavaRandom()
    want = [theirs.next_gaussian() for _ in range(7)]
    out = np.empty(5)
    state, saved = annotations_cpu.gaussians(np.int64(ours.state), np.nan, out)
    more = np.empty(2)
    annotations_cpu.gaussians(state, saved, more)
    assert [*out, *more] == want
    assert [f"{30 + 3 * g:.2f}" for g in want[:4]] == ["25.36", "28.73", "30.97", "27.24"]  # GATK's first jittered values
    qd = jittered(np.array([34.9, 35.0, np.nan]), lambda n: np.arange(1.0, n + 1))
    assert qd.tolist() == [34.9, 33.0, 36.0]


def test_strand_bias_of_gatks_own_records(demo):
    """FS and SOR of GenotypeGVCFs from the SB that it was given, record by record."""
    lines = [line.split("\t") for line in gzip.open(demo / "golden" / "calls.g.vcf.gz", "rt") if not line.startswith("#")]
    tables = {(f[0], f[1]): f[9].strip().split(":")[-1] for f in lines if f[8].endswith(":SB")}
    seen = 0
    for line in gzip.open(demo / "golden" / "genotyped.vcf.gz", "rt"):
        f = line.split("\t")
        if line.startswith("#") or (f[0], f[1]) not in tables:
            continue
        info = dict(i.split("=") for i in f[7].split(";"))
        table = [int(x) for x in tables[f[0], f[1]].split(",")]
        for_fisher = table if sum(table) > 2 else [0, 0, 0, 0]
        assert float(info["FS"]) == pytest.approx(annotations_scalar.fisher_phred(*for_fisher, LOG_FACTORIAL), abs=5.1e-4)
        assert float(info["SOR"]) == pytest.approx(annotations_scalar.strand_odds_ratio(*table), abs=5.1e-4)
        seen += 1
    assert seen > 100


# Whole calls


class Read:
    """A realigned read: start, CIGAR as (length, BAM op) pairs, and what annotations look at."""

    def __init__(self, start, cigar, base="A", qual=30, mapq=60, flag=0, tlen=300, sample=0):
        self.start, self.cigar, self.mapq, self.flag, self.tlen, self.sample = start, cigar, mapq, flag, tlen, sample
        self.length = sum(n for n, op in cigar if op in (0, 1, 4, 7, 8))
        self.base, self.qual = base * self.length, [qual] * self.length


def ragged(rows, dtype):
    """(values, int64 offsets) of lists."""
    offset = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    return np.array([v for r in rows for v in r], dtype), offset


def batch_of(reads, matrix, alleles, gt, start, pl, columns=None, qual=300.0, untrimmed=None):
    """One call with all reads as evidence. gt: a row a sample. columns: the call's allele of each matrix column."""
    n = len(reads)
    base, base_offset = ragged([r.base.encode() for r in reads], np.uint8)
    quals, _ = ragged([r.qual for r in reads], np.uint8)
    cigar, cigar_offset = ragged([[length << 4 | op for length, op in r.cigar] for r in reads], np.uint32)
    column = {k: np.array([getattr(r, k) for r in reads]) for k in ("start", "flag", "mapq", "tlen", "sample")}
    none = np.full(n, -1, np.int32)
    start_of = column["start"].astype(np.int32)
    source = CallerReads(0, start_of, start_of, column["flag"].astype(np.uint16), column["mapq"].astype(np.uint8), none, none,
                         column["tlen"].astype(np.int32), column["sample"].astype(np.int32), none, base, quals, base_offset, cigar,
                         cigar_offset, np.empty(0, np.uint8), np.zeros(n + 1, np.int64))  # fmt: skip
    region = RegionReads(np.array([0, n]), np.arange(n, dtype=np.int32), start_of, base, quals, base_offset, cigar, cigar_offset,
                         np.zeros(n, np.uint8))  # fmt: skip
    likelihoods = LikelihoodBatch(region, np.empty(0), np.zeros(2, np.int64), np.zeros(n, np.int32))
    allele_base, allele_base_offset = ragged([a.encode() for a in alleles], np.uint8)
    samples, k = len(gt), len(alleles)
    columns = list(range(k)) if columns is None else columns
    values = np.array(matrix, float)
    pls, pl_offset = ragged(pl, np.int32)
    at = np.array([start], np.int32)
    ref = len(alleles[0])
    calls = CallBatch(
        np.zeros(1, np.int32), at, at + ref, np.array([0, k]), allele_base, allele_base_offset, np.array([qual]), np.zeros(1, np.uint8),
        np.ones(k - 1, np.int32), np.full(k - 1, 0.5), np.array([gt], np.int16), np.zeros((1, samples), np.uint8),
        np.full((1, samples), 120, np.int32), pls, pl_offset, np.empty(0, np.int32), np.zeros(samples + 1, np.int64),
        np.full((1, samples), -1, np.int32), np.full(1, -1, np.int32), np.zeros(1, np.int32), np.zeros(1, np.uint8),
        np.array([untrimmed or ref], np.int32), np.array([0, n]), np.arange(n, dtype=np.int32), values.reshape(-1),
        np.array([0, values.size]), np.array([0, len(columns)]), np.array(columns, np.int32), np.empty(0, np.uint8),
    )  # fmt: skip
    return source, likelihoods, calls


def line_of(batch, **options):
    """The call's fields and INFO, as printed."""
    o = CallerOptions(**options)
    reads, likelihoods, calls = batch
    annotated = annotate(reads, likelihoods, calls, np.frombuffer(b"ACGT" * 100, np.uint8), o)
    annotated.draw(JavaRandom())
    text, _ = format_records(calls, annotated, "chr1", o)
    fields = text.tobytes().decode().rstrip("\n").split("\t")
    return fields, dict(i.split("=") for i in fields[7].split(";") if "=" in i)


REF, ALT, NEITHER = [0.0, -5.0], [-5.0, 0.0], [-1.0, -1.1]


def test_a_heterozygous_call():
    reads = [Read(90, [(30, 0)], qual=20), Read(85, [(30, 0)], qual=22, flag=16), Read(95, [(30, 0)], qual=30),
             Read(80, [(5, 5), (30, 0)], qual=32, flag=16, mapq=50), Read(92, [(30, 0)], qual=10, mapq=20)]  # fmt: skip
    fields, info = line_of(batch_of(reads, [REF, REF, ALT, ALT, NEITHER], ["A", "C"], [[0, 1]], 100, [[40, 0, 50]], qual=60.0))
    assert fields[:7] == ["chr1", "101", ".", "A", "C", "60", "."]
    assert fields[8:] == ["GT:AD:DP:GQ:PL", "0/1:2,2:4:99:40,0,50"]
    assert info["DP"] == "5"  # the read that supports neither counts here, not in FORMAT
    assert info["QD"] == "15.00"
    assert info["MQ"] == f"{math.sqrt((3 * 3600 + 2500 + 400) / 5):.2f}"
    assert (info["FS"], info["SOR"]) == ("0.000", "0.693")
    assert info["BaseQRankSum"] == f"{NormalDist().inv_cdf(5.5 / 6):.3f}"
    # distances from the nearer end: REF 10, 14; ALT 5 and 9 (the hard clip is on the far side)
    assert info["ReadPosRankSum"] == f"{z_by_definition([5, 9], [10, 14]):.3f}"
    assert info["MQRankSum"] == f"{z_by_definition([60, 50], [60, 60]):.3f}"
    assert (info["AC"], info["AN"], info["AF"], info["MLEAF"], info["ExcessHet"]) == ("1", "2", "0.500", "0.500", "0.0000")


def test_a_dropped_allele_takes_part_in_strand_bias_but_not_in_depths():
    """Columns: REF, a dropped ALT, ALT. The last read fits the dropped allele a little better than the kept one."""
    reads = [Read(90, [(30, 0)]), Read(90, [(30, 0)], flag=16), Read(90, [(30, 0)])]
    matrix = [[0.0, -5.0, -5.0], [-5.0, -5.0, 0.0], [-5.0, 0.0, -0.1]]
    fields, info = line_of(batch_of(reads, matrix, ["A", "C"], [[0, 1]], 100, [[40, 0, 50]], columns=[0, -1, 1]),
                           annotation=("StrandBiasBySample",))  # fmt: skip
    assert dict(zip(fields[8].split(":"), fields[9].split(":"))) == {
        "GT": "0/1", "AD": "1,2", "DP": "3", "GQ": "99", "PL": "40,0,50", "SB": "1,0,0,1",
    }  # fmt: skip


def test_values_at_gaps_insertions_and_clips():
    """A deletion at 101-103 (REF CGTA): reads with it have no base after POS, but a place."""
    reads = [
        Read(90, [(11, 0), (3, 2), (10, 0)]),  # deletes after POS: base at POS
        Read(101 - 5, [(5, 0), (4, 2), (10, 0)]),  # POS itself deleted: no base, place of the next base
        Read(104, [(6, 4), (20, 0)]),  # POS in the soft clip
        Read(104, [(2, 5), (7, 1), (20, 0)]),  # begins right behind the site with an insertion
        Read(60, [(20, 0)]),  # elsewhere
    ]
    _, likelihoods, calls = batch_of(reads, [REF] * 5, ["CGTA", "C"], [[0, 1]], 100, [[40, 0, 50]])
    n, r = len(reads), likelihoods.reads
    quality, position, spans, clipped, is_n = np.empty(n), np.empty(n), np.empty(n, np.uint8), np.empty(n, np.int32), np.empty(n, np.uint8)
    annotations_cpu.read_values(0, 1, calls.start, calls.end, calls.evidence_offset, calls.evidence_read, r.start, r.cigar, r.cigar_offset,
                                r.base, r.qual, r.base_offset, quality, position, spans, clipped, is_n)  # fmt: skip
    assert np.isnan(quality).tolist() == [False, False, True, True, True]
    assert position[:4].tolist() == [10.0, 4.0, 2.0, 0.0] and np.isnan(position[4])
    assert spans.tolist() == [1, 1, 0, 0, 0]
    assert clipped.tolist() == [0, 0, 0, 2, 0]
    _, likelihoods, calls = batch_of(reads, [REF] * 5, ["CGTA", "C"], [[0, 1]], 101, [[40, 0, 50]])
    annotations_cpu.read_values(0, 1, calls.start, calls.end, calls.evidence_offset, calls.evidence_read, r.start, r.cigar, r.cigar_offset,
                                r.base, r.qual, r.base_offset, quality, position, spans, clipped, is_n)  # fmt: skip
    assert np.isnan(quality[:2]).tolist() == [True, True] and position[:2].tolist() == [9.0, 5.0]


def test_two_samples_and_reference_confidence():
    reads = [Read(90, [(30, 0)], sample=s, flag=f) for s in (0, 1) for f in (0, 16, 0)]
    matrix = [REF, REF, ALT, ALT, ALT, ALT]
    fields, info = line_of(batch_of(reads, matrix, ["A", "C"], [[0, 1], [-1, -1]], 100, [[40, 0, 50], [0, 0, 0]]))
    assert fields[8:] == ["GT:AD:DP:GQ:PL", "0/1:2,1:3:99:40,0,50", "./.:.:.:99:0,0,0"]
    assert (info["AN"], info["AC"]) == ("2", "1")
    matrix = [[*row, -6.0] for row in matrix[:3]]
    batch = batch_of(reads[:3], matrix, ["A", "C", "<NON_REF>"], [[0, 1]], 100, [[40, 0, 50, 60, 70, 80]])
    fields, info = line_of(batch, emit_ref_confidence="GVCF", annotation_group=("AS_StandardAnnotation",))
    assert fields[8] == "GT:AD:DP:GQ:PL:SB" and fields[9].endswith(":1,1,1,0")
    assert not {"AC", "FS", "SOR", "QD", "MQ"} & set(info)
    assert info["RAW_MQandDP"] == "10800,3"
    assert info["AS_RAW_MQ"] == "7200.00|3600.00|0.00" and info["AS_SB_TABLE"] == "1,1|1,0|0,0"
    assert info["AS_RAW_BaseQRankSum"] == "|0.0,1|NaN"


def test_choice_of_annotations():
    names = [a.name for a in active_annotations(annotation=("ClippingRankSumTest",), annotations_to_exclude=("Coverage",))]
    assert names == sorted(names) and "ClippingRankSumTest" in names and "Coverage" not in names and "StrandBiasBySample" not in names
    confident = [a.name for a in active_annotations(annotations_to_exclude=("StrandBiasBySample",), reference_confidence=True)]
    assert "StrandBiasBySample" in confident and "QualByDepth" not in confident
    for wrong in ({"annotation": ("NoSuchThing",)}, {"annotation": ("Coverage",), "annotations_to_exclude": ("Coverage",)},
                  {"annotation_group": ("AS_StandardAnnotation",)}):  # fmt: skip
        with pytest.raises(UserError):
            active_annotations(**wrong)


def test_annotations_on_request():
    """An insertion of a T into TTT, with reads of both alleles and one of an allele that genotyping dropped."""
    contig = b"ACGTTTGCA" + b"ACGT" * 10
    reads = [Read(0, [(9, 0)], qual=20, tlen=200), Read(1, [(8, 0)], qual=30, tlen=-203), Read(0, [(3, 0), (1, 1), (6, 0)], qual=25),
             Read(0, [(3, 0), (1, 1), (6, 0)], qual=28), Read(0, [(9, 0)], qual=33)]  # fmt: skip
    reads[1].base = "N" * 8
    no = -9.0
    matrix = [[0, no, no], [0, no, no], [no, no, 0], [no, no, 0], [no, 0, no]]
    source, likelihoods, calls = batch_of(reads, matrix, ["G", "GT"], [[0, 1]], 2, [[40, 0, 50]], columns=[0, -1, 1])
    options = CallerOptions(samples=("me",), annotation=(
        "BaseQuality", "MappingQuality", "FragmentLength", "ReadPosition", "BaseQualityHistogram", "UniqueAltReadCount", "CountNs",
        "ReferenceBases", "TandemRepeat", "GenotypeSummaries", "SampleList", "AlleleFraction", "ClippingRankSumTest",
    ))  # fmt: skip
    annotated = annotate(source, likelihoods, calls, np.frombuffer(contig, np.uint8), options)
    annotated.draw(JavaRandom())
    text, _ = format_records(calls, annotated, "c", options)
    fields = text.tobytes().decode().split("\t")
    info = dict(i.split("=") for i in fields[7].split(";") if "=" in i)
    assert {k: info[k] for k in ("MBQ", "MMQ", "MFRL", "MPOS", "NCount")} == {
        "MBQ": "25,27", "MMQ": "60,60", "MFRL": "202,300", "MPOS": "2", "NCount": "1",
    }  # fmt: skip
    assert info["BQHIST"] == "20,1,0,0,25,0,0,1,28,0,0,1,30,1,0,0,33,0,1,0"
    assert info["AS_UNIQ_ALT_READ_COUNT"] == "1"
    assert info["REF_BASES"] == contig[:21].decode()
    assert ("STR" in fields[7].split(";"), info["RU"], info["RPA"]) == (True, "T", "3,4")
    assert (info["NCC"], info["GQ_MEAN"], "GQ_STDDEV" in info, info["Samples"]) == ("0", "120.00", False, "me")
    assert info["ClippingRankSum"] == "0.000"
    assert fields[8].startswith("GT:AD:AF:DP") and fields[9].startswith("0/1:2,2:0.500:4")


def test_assembly_complexity():
    """Four haplotypes: the reference, the call's SNP at 10 alone, with a SNP at 20, and with a deletion at 30."""
    bases, base_offset = ragged([b"AAAA", b"CAAA", b"CGAA", b"CA"], np.uint8)
    events = [[], [(10, 1, b"C")], [(10, 1, b"C"), (20, 1, b"G")], [(10, 1, b"C"), (30, 3, b"A")]]
    flat = [e for row in events for e in row]
    event_offset = np.cumsum([0, *map(len, events)])
    alt, alt_offset = ragged([e[2] for e in flat], np.uint8)
    matrix = np.array([[0, -9, -9, -9], [-0.1, 0, -9, -9], [-9, 0, -9, -9], [-9, -9, 0, -9], [-9, -9, 0, -9], [-9, -9, 0, -9.0], [0] * 4])
    filtered = np.array([0, 0, 0, 0, 0, 0, 1], np.uint8)
    support, hap_offset = np.zeros(4, np.int64), np.array([0, 4])
    assembly_complexity_cpu.haplotype_support(0, 1, np.array([0, 7]), filtered, matrix.reshape(-1), np.array([0, 28]), hap_offset,
                                              np.array([1, 0, 0, 0], np.uint8), support)  # fmt: skip
    assert support.tolist() == [2, 1, 3, 0]  # the second read is as good as one of the reference
    group, groups, distance, dominance = np.empty(4, np.int64), np.empty(1, np.int64), np.empty(2, np.int64), np.empty(2)
    alleles, allele_base_offset = ragged([b"A", b"C", b"<NON_REF>"], np.uint8)
    assembly_complexity_cpu.complexity(
        0, 1, np.zeros(1, np.int32), np.array([10], np.int32), np.array([0, 3]), alleles, allele_base_offset, hap_offset, bases,
        base_offset,
        support, event_offset, np.array([e[0] for e in flat], np.int32), np.array([e[1] for e in flat], np.int32), alt, alt_offset,
        np.array([0, 4]), group, groups, distance, dominance,
    )  # fmt: skip
    # the reference and the lone SNP differ at the site only
    assert group[: groups[0]].tolist() == [3, 3, 0]
    assert distance.tolist() == [0, 0] and dominance.tolist() == [0.75, 0.0]
    support[:] = [9, 1, 2, 0]  # the germline haplotype is the reference now, and nothing else
    assembly_complexity_cpu.complexity(
        0, 1, np.zeros(1, np.int32), np.array([10], np.int32), np.array([0, 3]), alleles, allele_base_offset, hap_offset, bases,
        base_offset,
        support, event_offset, np.array([e[0] for e in flat], np.int32), np.array([e[1] for e in flat], np.int32), alt, alt_offset,
        np.array([0, 4]), group, groups, distance, dominance,
    )  # fmt: skip
    assert group[: groups[0]].tolist() == [10, 2, 0] and distance.tolist() == [1, 0]
