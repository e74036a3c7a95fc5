"""Genotypes, QUAL and phasing: GATK's own records from their PLs, and made regions against plain models."""

import gzip
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from test_likelihoods import ascii_rows, caller_reads, ragged, words

from gpugenome.gatk.activity_priors import pseudocounts
from gpugenome.gatk.genotype_likelihoods import genotype_count, genotype_table, practical_allele_count
from gpugenome.kernels import allele_frequency_cpu
from gpugenome.kernels.allele_frequency_cpu import log10_one_minus_pow10
from gpugenome.kernels.allele_frequency_scalar import whole_count
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, HaplotypeEvents, Haplotypes, LikelihoodBatch, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.genotyping import GenotypingState, call_sites, emit, site_models
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

GVCF = replace(CallerOptions(), emit_ref_confidence="GVCF", samples=("x",))
VCF = replace(CallerOptions(), samples=("x",))
CONTIG = np.frombuffer(b"GATTACAGGCTCTTTTTTTCAGACCATGTCAATTGCGTACCGGATTAGCATCCAGTCATTGACCTGAA" * 4, np.uint8)


def test_genotype_table():
    t = genotype_table(2, 4)
    assert [tuple(g) for g in t.allele.tolist()][:6] == [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]
    for ploidy, alleles in ((1, 5), (2, 4), (3, 4), (5, 3)):
        t = genotype_table(ploidy, alleles)
        assert len(t.allele) == genotype_count(ploidy, alleles) == math.comb(ploidy + alleles - 1, ploidy)
        index = [sum(int(t.choose[a, k + 1]) for k, a in enumerate(g)) for g in t.allele.tolist()]
        assert index == list(range(len(index)))
        orderings = [len(set(itertools.permutations(g))) for g in t.allele.tolist()]
        assert np.allclose(10**t.combinations, orderings)
    assert practical_allele_count(2, 1024) == 44 and practical_allele_count(1, 1024) == 1024


def golden_records(path):
    """Records of a golden file whose alleles are all those of the model: (alleles, PL, QUAL text, MLEAC, GT, GQ)."""
    for line in gzip.open(path, "rt"):
        if line.startswith("#"):
            continue
        f = line.rstrip().split("\t")
        sample = dict(zip(f[8].split(":"), f[9].split(":")))
        info = dict(x.split("=", 1) for x in f[7].split(";") if "=" in x)
        alleles = [f[3], *f[4].split(",")]
        if "MLEAC" in info and "PL" in sample:
            yield alleles, [int(x) for x in sample["PL"].split(",")], f[5], info["MLEAC"], sample


def model(alleles, pl, options):
    """(log10 P(no variant), MLE counts of the ALTs) of one site with one sample."""
    length = np.array([0 if a == "<NON_REF>" else len(a) for a in alleles], np.int32)
    star = np.array([alleles.index("*") if "*" in alleles else -1], np.int32)
    t = genotype_table(2, len(alleles))
    no_variant, absent = np.empty(1), np.empty(len(alleles))
    mle, used = np.empty(len(alleles), np.int32), np.empty(len(alleles), np.uint8)
    allele_frequency_cpu.allele_frequency(
        0, 1, np.array([0, len(alleles)]), length, star, int("<NON_REF>" in alleles), np.array(pl, np.int32), np.array([0, len(pl)]), 1,
        options.max_alternate_alleles,
        *pseudocounts(options.heterozygosity, options.heterozygosity_stdev, options.indel_heterozygosity),
        t.allele, t.distinct, t.count, t.n_distinct, t.combinations, t.choose, t.log10_of, no_variant, absent, mle, used,
    )  # fmt: skip
    return no_variant[0], mle[1:].tolist()


def test_quality_of_gatks_gvcf_records_from_their_likelihoods(demo):
    records = [r for r in golden_records(demo / "golden" / "calls.g.vcf.gz") if r[4]["PL"].strip("0,")]
    assert len(records) > 200
    for alleles, pl, qual, mleac, _ in records:
        no_variant, mle = model(alleles, pl, GVCF)
        text = f"{-10.0 * no_variant + 0.0:.2f}"
        assert (text.removesuffix(".00"), ",".join(map(str, mle))) == (qual, mleac), (alleles, pl)


def test_counts_are_rounded_as_java_rounds():
    below = math.nextafter(0.5, 0.0)
    assert below + 0.5 == 1.0  # so that floor(x + 0.5) is 1
    assert [whole_count(x) for x in (0.0, below, 0.5, 1.0, 1.5, math.nextafter(2.5, 0.0), 2.5)] == [0, 0, 1, 1, 2, 2, 3]


def test_log10_one_minus():
    for p in (1e-12, 0.3, 0.5, 0.9999999):
        assert log10_one_minus_pow10(math.log10(p)) == pytest.approx(math.log10(1 - p), rel=1e-9)


def region(haps, likelihood, reads=None, span=(20, 100), cigars=None, filtered=None, score=None):
    """One region over CONTIG[10:120].

    haps: for each haplotype its events [(start, REF length, ALT)]; the first is the reference. likelihood: reads x haplotypes.
    reads: (start, CIGAR) of each row.
    """
    n, m = len(haps), len(likelihood)
    flat = [e for h in haps for e in h]
    alt, alt_offset = ascii_rows([e[2] for e in flat])
    events = HaplotypeEvents(offsets([len(h) for h in haps]), np.array([e[0] for e in flat], np.int32),
                             np.array([e[1] for e in flat], np.int32), alt, alt_offset)  # fmt: skip
    u8, zero = np.empty(0, np.uint8), np.zeros(n + 1, np.int64)
    table = Haplotypes(np.array([0, n]), np.array([10], np.int32), u8, zero, np.empty(0, np.uint32), zero,
                       np.array([1] + [0] * (n - 1), np.uint8), np.zeros(n, np.int32),
                       np.array(score or [np.nan] * n, float))  # fmt: skip
    reads = reads or [(20, "80M")] * m
    cigar, cigar_offset = ragged([words(c) for _, c in reads], np.uint32)
    rows = RegionReads(np.array([0, m]), np.arange(m, dtype=np.int32), np.array([s for s, _ in reads], np.int32), u8, u8,
                       np.zeros(m + 1, np.int64), cigar, cigar_offset, np.array(filtered or [0] * m, np.uint8))  # fmt: skip
    low, high = np.array([span[0]], np.int32), np.array([span[1]], np.int32)
    trimmed = np.array([10], np.int32), np.array([120], np.int32)
    assembly = AssemblyBatch(np.array([2], np.uint8), low, high, *trimmed, rows, rows, table, events)
    regions = RegionBatch(0, low, high, low, high, np.ones(1, bool), np.zeros(2, np.int64), np.empty(0, np.int32))
    matrix = np.array(likelihood, float).ravel()
    return regions, assembly, LikelihoodBatch(rows, matrix, np.array([0, len(matrix)]), np.zeros(m, np.int32))


def call(made, options=VCF, state=None, samples=None, threads=1, given=None):
    regions, assembly, likelihoods = made
    reads = caller_reads(len(likelihoods.reads), samples=samples)
    models = site_models(reads, regions, assembly, likelihoods, CONTIG, options, threads, given)
    emitted = emit(models, regions.ref_id, options, state or GenotypingState())
    return call_sites(models, emitted, regions, assembly, likelihoods, CONTIG, options, threads)


def alleles_of(calls, i):
    rows = range(calls.allele_offset[i], calls.allele_offset[i + 1])
    return [bytes(calls.allele_base[calls.allele_base_offset[k] : calls.allele_base_offset[k + 1]]).decode() for k in rows]


def pl_of(calls, i, samples=1, s=0):
    return calls.pl[calls.pl_offset[i * samples + s] : calls.pl_offset[i * samples + s + 1]].tolist()


def ad_of(calls, i, samples=1, s=0):
    return calls.ad[calls.ad_offset[i * samples + s] : calls.ad_offset[i * samples + s + 1]].tolist()


def random_matrix(rng, reads, haps, support):
    """Likelihoods of reads that each come from one of the haplotypes `support`, capped like the real ones."""
    m = -rng.uniform(2, 4.4, (reads, haps))
    m[np.arange(reads), rng.choice(support, reads)] = -rng.uniform(0.1, 0.5, reads)
    return m


def plain_pl(columns, ploidy):
    """PLs by exact sums. columns: one array of read likelihoods per allele."""
    n = len(columns)
    gls = []
    for g in sorted(itertools.combinations_with_replacement(range(n), ploidy), key=lambda g: g[::-1]):
        gls.append(sum(math.log10(sum(10.0 ** x[a] for a in g) / ploidy) for x in zip(*columns)))
    return [math.floor(-10 * (x - max(gls)) + 0.5) for x in gls]




def snp(at):
    """A SNP at a position of CONTIG."""
    return at, 1, "C" if CONTIG[at] == ord("A") else "A"


SNP, DELETION, INSERTION = snp(50), (40, 4, chr(CONTIG[40])), (60, 1, chr(CONTIG[60]) + "TTG")


@pytest.mark.parametrize("ploidy", [2, 3, 4, 7])
def test_likelihoods_of_any_ploidy(ploidy):
    rng = np.random.default_rng(ploidy)
    haps = [[], [(50, 1, "A")], [(50, 1, "G")], [(50, 1, "A"), INSERTION]]
    m = random_matrix(rng, 24, 4, [1, 2, 3])
    calls = call(region(haps, m), replace(VCF, sample_ploidy=ploidy))
    assert calls.start.tolist()[0] == 50
    assert alleles_of(calls, 0)[1:] == ["A", "G"]
    want = plain_pl([m[:, 0], m[:, [1, 3]].max(1), m[:, 2]], ploidy)
    assert np.abs(np.array(pl_of(calls, 0)) - want).max() <= 1  # the tool's sum of two logarithms is a table of steps
    best = genotype_table(ploidy, 3).allele[int(np.argmin(want))]
    assert calls.gt[0, 0].tolist() == best.tolist()
    assert sum(ad_of(calls, 0)) == calls.dp[0, 0] == 24


def test_haploid():
    m = random_matrix(np.random.default_rng(1), 20, 2, [1])
    calls = call(region([[], [SNP]], m), replace(VCF, sample_ploidy=1))
    assert calls.gt.tolist() == [[[1]]] and calls.mleac.tolist() == [1] and calls.mleaf.tolist() == [1.0]
    assert pl_of(calls, 0) == plain_pl([m[:, 0], m[:, 1]], 1) and calls.gq[0, 0] == pl_of(calls, 0)[0]


def test_merged_alleles_and_their_order():
    # a deletion of 3, a deletion of 1 and a SNP at one base; the order is that of the haplotypes
    ref = bytes(CONTIG[40:44]).decode()
    alt = snp(40)[2]
    haps = [[], [snp(40)], [(40, 4, ref[0])], [(40, 2, ref[0])]]
    m = random_matrix(np.random.default_rng(1), 60, 4, [1, 2, 3])
    calls = call(region(haps, m), replace(VCF, sample_ploidy=3))
    assert alleles_of(calls, 0) == [ref, alt + ref[1:], ref[0], ref[0] + ref[2:]]
    assert calls.end[0] == 44 and len(calls) == 1


def test_spanning_deletion_needs_an_emitted_one():
    haps = [[], [DELETION], [snp(42)]]
    m = random_matrix(np.random.default_rng(2), 40, 3, [1, 2])
    calls = call(region(haps, m))
    assert [alleles_of(calls, i)[1:] for i in range(2)] == [[DELETION[2]], ["*", haps[2][0][2]]]
    # the deletion before the active span is no locus, so its "*" is spurious
    calls = call(region(haps, m, span=(41, 100)))
    assert [alleles_of(calls, i)[1:] for i in range(len(calls))] == [[haps[2][0][2]]]
    assert calls.column_allele.tolist() == [0, -1, 1]
    # but one emitted by an earlier batch covers it, on the same contig only
    for ref_id, n in ((0, 2), (1, 1)):
        state = GenotypingState(ref_id, np.array([[40, 43]]))
        assert len(alleles_of(call(region(haps, m, span=(41, 100)), state=state), 0)) - 1 == n


def test_state_carries_deletions_to_the_next_batch():
    state = GenotypingState()
    m = random_matrix(np.random.default_rng(2), 40, 2, [0, 1])
    call(region([[], [DELETION]], m), state=state)
    assert state.ref_id == 0 and state.deletions.tolist() == [[40, 43]]
    call(region([[], [INSERTION]], m), state=state)
    assert state.deletions.tolist() == []


def test_insertion_hides_a_deletion_that_ends_there():
    haps = [[], [(57, 4, chr(CONTIG[57]))], [INSERTION], [(57, 4, chr(CONTIG[57])), INSERTION]]
    m = random_matrix(np.random.default_rng(3), 60, 4, [1, 3])
    calls = call(region(haps, m))
    assert [calls.start.tolist(), alleles_of(calls, 1)[1:]] == [[57, 60], ["*", INSERTION[2]]]
    assert calls.gt[1, 0].tolist() == [1, 2]  # the last haplotype is not "*", although its deletion reaches the base


def test_only_overlapping_reads_count():
    m = random_matrix(np.random.default_rng(4), 30, 2, [0, 1])
    reads = [(20, "80M")] * 26 + [(20, "29M"), (20, "28M"), (52, "20M"), (53, "20M")]
    calls = call(region([[], [SNP]], m, reads, filtered=[0] * 25 + [1] + [0] * 4))
    rows = calls.evidence_read[calls.evidence_offset[0] : calls.evidence_offset[1]].tolist()
    assert rows == [*range(26), 26, 28]
    block = calls.evidence_matrix[: len(rows) * 2].reshape(-1, 2)
    assert block[rows.index(25)].tolist() == [0, 0]
    assert calls.dp[0, 0] == len(rows) - 1


def test_non_ref_likelihood_and_genotype():
    haps = [[], [(50, 1, "A")], [(50, 1, "G")]]
    m = np.array([[-3.0, -1.0, -4.0]] * 30)
    calls = call(region(haps, m), GVCF)
    assert alleles_of(calls, 0)[1:] == ["A", "G", "<NON_REF>"]
    assert calls.evidence_matrix[:4].tolist() == [-3.0, -1.0, -4.0, -3.5]
    assert calls.gt[0, 0].tolist() == [1, 1] and ad_of(calls, 0) == [0, 30, 0, 0] and calls.low_qual[0] == 0
    # over the alleles that stay, where one is dropped
    calls = call(region(haps, m), replace(GVCF, max_alternate_alleles=1))
    assert alleles_of(calls, 0)[1:] == ["A", "<NON_REF>"] and calls.evidence_matrix[:4].tolist() == [-3.0, -1.0, -4.0, -3.0]


def test_max_alternate_alleles():
    haps = [[], [(50, 1, "A")], [(50, 1, "G")], [(50, 1, "C")]]
    assert CONTIG[50] == ord("T")
    m = random_matrix(np.random.default_rng(6), 40, 4, [2])
    calls = call(region(haps, m), replace(VCF, max_alternate_alleles=1))
    assert alleles_of(calls, 0) == ["T", "G"] and calls.column_allele.tolist() == [0, -1, 1, -1]
    assert calls.mleac.tolist() == [2] and calls.mleaf.tolist() == [1.0]


def test_max_genotype_count_keeps_alleles_of_the_best_haplotypes():
    haps = [[], [(50, 1, "A")], [(50, 1, "G")], [(50, 1, "C")]]
    m = random_matrix(np.random.default_rng(6), 40, 4, [1, 2])
    calls = call(region(haps, m, score=[math.nan, -3.0, -1.0, -2.0]), replace(VCF, max_genotype_count=6))
    assert alleles_of(calls, 0) == ["T", "G"]
    assert calls.column_allele.tolist() == [0, 1, -1]  # A is not even in the matrix


def test_output_modes():
    haps, m = [[], [SNP]], np.array([[-0.5, -4.0]] * 20)
    assert len(call(region(haps, m))) == 0
    confident = call(region(haps, m), replace(VCF, output_mode="EMIT_ALL_CONFIDENT_SITES"))
    strict = replace(VCF, standard_min_confidence_threshold_for_calling=1e4)
    assert len(confident) == 1 and confident.low_qual[0] == 0
    assert len(call(region(haps, m), replace(strict, output_mode="EMIT_ALL_CONFIDENT_SITES"))) == 0
    active = call(region(haps, m), replace(strict, output_mode="EMIT_ALL_ACTIVE_SITES"))
    assert alleles_of(active, 0) == ["T"] and active.low_qual[0] == 1 and active.gt[0, 0].tolist() == [0, 0]
    assert pl_of(active, 0) == [] and active.gq[0, 0] == -1 and ad_of(active, 0) == [20]


def test_phasing():
    rng = np.random.default_rng(7)
    # two SNPs on one haplotype, an insertion on the other
    haps = [[], [snp(30), snp(70)], [INSERTION]]
    m = random_matrix(rng, 60, 3, [1, 2])
    calls = call(region(haps, m), GVCF)
    assert calls.start.tolist() == [30, 60, 70]
    assert calls.phase_group_start.tolist() == [30] * 3 and calls.phase_group_call.tolist() == [0] * 3
    assert calls.phase_alt_first.tolist() == [0, 1, 0]
    assert calls.gt[:, 0].tolist() == [[0, 1], [1, 0], [0, 1]] and calls.phased.all()
    assert not call(region(haps, m)).phased.any()
    assert not call(region(haps, m), replace(GVCF, do_not_run_physical_phasing=True)).phased.any()
    # three haplotypes: nothing is always together or always apart
    haps = [[], [snp(30), snp(70)], [snp(30)], [snp(70)], [INSERTION]]
    calls = call(region(haps, random_matrix(rng, 60, 5, [1, 2, 3, 4])), GVCF)
    assert (calls.phase_group_call == -1).all()


def test_called_haplotypes_and_samples():
    haps = [[], [SNP], [INSERTION]]
    m = random_matrix(np.random.default_rng(8), 60, 3, [1])
    m[30:] = random_matrix(np.random.default_rng(9), 30, 3, [0])
    options = replace(VCF, samples=("a", "b", "c"))
    calls = call(region(haps, m), options, samples=[0] * 30 + [1] * 30)
    assert calls.start.tolist() == [50] and (calls.hap_called > 0).all() and sorted(calls.hap_called) == [1, 2, 3]
    assert calls.gt[0].tolist() == [[1, 1], [0, 0], [-1, -1]]
    assert [ad_of(calls, 0, 3, s) for s in range(3)] == [[0, 30], [30, 0], []]
    assert pl_of(calls, 0, 3, 2) == [0, 0, 0] and calls.dp[0].tolist() == [30, 30, -1]
    assert calls.mleaf.tolist() == [0.5]


def test_threads_do_not_matter():
    haps = [[], [SNP, INSERTION], [DELETION, INSERTION], [(50, 1, "G")]]
    made = region(haps, random_matrix(np.random.default_rng(10), 50, 4, [1, 2]))
    one, three = call(made, GVCF), call(made, GVCF, threads=3)
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(three, name), equal_nan=value.dtype.kind == "f"), name


def test_given_alleles_are_called_without_evidence():
    alt = "ACG".replace(chr(CONTIG[50]), "")
    haps, m = [[], [(50, 1, alt[0])]], np.array([[-0.5, -4.0]] * 20)
    made = region(haps, m)

    def given(start, ref_length, text):
        bases, offset = ascii_rows([text])
        return HaplotypeEvents(np.array([0, 1]), np.array([start], np.int32), np.array([ref_length], np.int32), bases, offset)

    def called(alleles):
        return call(made, given=alleles)

    calls = called(given(50, 1, alt[0]))
    assert alleles_of(calls, 0)[1:] == [alt[0]] and calls.gt[0, 0].tolist() == [0, 0] and calls.mleac.tolist() == [0]
    assert len(called(given(60, 1, alt[0]))) == 1  # positions are not compared
    assert len(called(given(50, 1, alt[1]))) == len(called(given(19, 1, alt[0]))) == len(called(None)) == 0
