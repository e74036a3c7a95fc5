"""Local assembly: haplotypes of small made-up regions, and regions against the model of GATK's behaviour in ../shared."""

import random
import sys
from decimal import Context, Decimal

import numpy as np
import pytest
from caller_tables import caller_reads, ragged, regions_of, text

from gpugenome.errors import UserError
from gpugenome.kernels.assembly_alignment_cpu import align_ends
from gpugenome.kernels.smith_waterman_cpu import align_one, scratch
from gpugenome.kernels.smith_waterman_scalar import INDEL, SOFTCLIP
from gpugenome.steps.haplotypecaller.columns import RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.finalise import finalise_reads
from gpugenome.steps.haplotypecaller.graph import assemble
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

LENGTH = 300


def sequence(n, seed):
    return "".join(random.Random(seed).choices("ACGT", k=n))


def tables(regions):
    """(finalised, reads, regions, contig): contigs of regions (reference, [(bases, qualities, sample)]) one after the other."""
    rows = [r for _, mine in regions for r in mine]
    base, base_offset = ragged([np.frombuffer(r[0].encode(), np.uint8) for r in rows], np.uint8)
    qual, _ = ragged([np.broadcast_to(np.asarray(r[1], np.uint8), len(r[0])) for r in rows], np.uint8)
    reads = caller_reads(*({"start": 0, "cigar": f"{len(r[0])}M", "base": r[0], "sample": r[2]} for r in rows))
    finalised = RegionReads(
        offsets([len(mine) for _, mine in regions]), np.arange(len(rows), dtype=np.int32), reads.start, base, qual, base_offset,
        reads.cigar, reads.cigar_offset, np.zeros(len(rows), np.uint8),
    )  # fmt: skip
    edge = offsets([len(ref) for ref, _ in regions]).astype(np.int32)
    batch = RegionBatch(0, edge[:-1], edge[1:], edge[:-1], edge[1:], np.ones(len(regions), bool), finalised.region_offset, finalised.source)
    return finalised, reads, batch, np.frombuffer("".join(ref for ref, _ in regions).encode(), np.uint8)


def listed(h, region=0):
    """Haplotypes of a region: (bases, CIGAR, is reference, k, score)."""
    return [
        (bytes(h.base[h.base_offset[i] : h.base_offset[i + 1]]).decode(), text(h.cigar[h.cigar_offset[i] : h.cigar_offset[i + 1]]),
         bool(h.is_reference[i]), int(h.kmer[i]), float(h.score[i]))
        for i in range(h.offset[region], h.offset[region + 1])
    ]  # fmt: skip


def assembled(ref, rows, wanted=True, threads=1, **options):
    """Haplotypes of one region; rows: bases, or (bases, qualities, sample)."""
    rows = [(r, 30, 0) if isinstance(r, str) else r for r in rows]
    finalised, reads, regions, contig = tables([(ref, rows)])
    return listed(assemble(finalised, reads, regions, np.array([wanted]), contig, CallerOptions(**options), threads))


def changed(ref, at, base=None):
    """A reference with another base at one place."""
    return ref[:at] + (base or {"A": "C", "C": "G", "G": "T", "T": "A"}[ref[at]]) + ref[at + 1 :]


def log10(n):
    return float(Decimal(n).log10(Context(prec=40)))


def test_substitution_and_its_score():
    ref = sequence(LENGTH, 1)
    alt = changed(ref, 150)
    # 11 and 40 are numbers whose logarithm the C library rounds wrongly; the reference's own pass counts for scores.
    assert assembled(ref, [alt] * 11 + [ref] * 28) == [
        (alt, "300M", False, 10, log10(11) - log10(40)), (ref, "300M", True, 0, pytest.approx(np.nan, nan_ok=True)),
    ]  # fmt: skip
    assert log10(11) - log10(40) != np.log10(11 / 40)


def test_insertion_and_deletion_are_leftmost():
    ref = sequence(LENGTH, 2)
    ref = ref[:120] + "CATATATAG" + ref[129:200] + "GTCCCCA" + ref[207:]
    deleted, inserted = ref[:123] + ref[125:], ref[:204] + "CC" + ref[204:]
    found = assembled(ref, [deleted] * 5 + [inserted] * 5 + [ref] * 5)
    assert {(h[0], h[1]) for h in found} >= {(deleted, "121M2D177M"), (inserted, "202M2I98M"), (ref, "300M")}
    assert [h[2] for h in found].count(True) == 1


def test_errors_are_pruned_by_the_sample_with_most_reads():
    ref, alt = sequence(LENGTH, 3), changed(sequence(LENGTH, 3), 150)
    assert [h[0] for h in assembled(ref, [ref] * 5 + [alt])] == [ref]
    assert [h[0] for h in assembled(ref, [ref] * 5 + [alt], min_pruning=1)] == [alt, ref]
    two = [(alt, 30, 1), (alt, 30, 0), (ref, 30, 0)]
    assert [h[0] for h in assembled(ref, two)] == [ref]
    two += [(alt, 30, 1)]
    assert [h[0] for h in assembled(ref, two)] == [alt, ref]
    assert [h[0] for h in assembled(ref, two, num_pruning_samples=2)] == [ref]
    assert [h[0] for h in assembled(ref, [*two, (alt, 30, 0)], num_pruning_samples=2)] == [alt, ref]


def test_unusable_bases_break_reads():
    ref, alt = sequence(LENGTH, 4), changed(sequence(LENGTH, 4), 150)
    low = np.full(LENGTH, 30)
    low[150] = 9
    assert [h[0] for h in assembled(ref, [(alt, low, 0)] * 5)] == [ref]
    assert [h[0] for h in assembled(ref, [(alt, low, 0)] * 5, min_base_quality_score=9)] == [alt, ref]
    assert [h[0] for h in assembled(ref, [changed(ref, 150, "N")] * 5)] == [ref]


def test_dangling_ends():
    ref, alt = sequence(LENGTH, 5), changed(sequence(LENGTH, 5), 150)
    for read in (alt[50:156], alt[145:250]):
        assert [h[0] for h in assembled(ref, [read] * 4)] == [alt, ref]
        assert [h[0] for h in assembled(ref, [read] * 4, min_dangling_branch_length=40)] == [ref]
    # A tail must end in a match.
    assert [h[0] for h in assembled(ref, [alt[50:151]] * 4)] == [ref]


def test_repeats_ask_for_larger_kmers():
    ref, unit = sequence(LENGTH, 6), sequence(40, 7)
    ref = ref[:80] + unit + ref[120:180] + unit + ref[220:]
    alt = changed(ref, 150)
    found = assembled(ref, [alt] * 3 + [ref] * 3)
    assert [(h[0], h[3]) for h in found] == [(alt, 45), (ref, 0)]
    assert [h[0] for h in assembled(ref, [alt] * 3, dont_increase_kmer_sizes_for_cycles=True)] == [ref]
    unit = sequence(100, 8)
    ref = sequence(60, 9) + unit + sequence(60, 10) + unit + sequence(60, 11)
    alt = changed(ref, 190)
    # The last size takes repeats in the reference.
    assert [(h[0], h[3]) for h in assembled(ref, [alt] * 3)] == [(alt, 85), (ref, 0)]


def test_only_the_best_paths():
    ref = sequence(LENGTH, 12)
    rows = [ref] * 4
    for at in (60, 120, 180, 240):
        rows += [changed(ref, at)] * 3
    every = assembled(ref, rows)
    assert len(every) == 16 and sorted((h[4] for h in every[:-1]), reverse=True) == [h[4] for h in every[:-1]]
    # The reference is the best path of all.
    assert repr(assembled(ref, rows, max_num_haplotypes_in_population=5)) == repr([*every[:4], every[-1]])


def test_no_reads_short_references_and_unwanted_regions():
    ref = sequence(LENGTH, 13)
    assert [(h[0], h[1], h[2], h[3]) for h in assembled(ref, [])] == [(ref, "300M", True, 0)]
    assert [h[0] for h in assembled("ACGT", ["ACGTACGTACGT"])] == ["ACGT"]
    assert assembled(ref, [ref], wanted=False) == []
    with pytest.raises(UserError, match="--adaptive-pruning-initial-error-rate is 0"):
        assembled(ref, [ref], adaptive_pruning=True, adaptive_pruning_initial_error_rate=0)


def random_region(rng):
    """(reference, reads): low complexity, repeats, several haplotypes, errors, unusable bases, two samples."""
    ref = "".join(rng.choices("ACGT", k=rng.randint(240, 420)))
    for _ in range(rng.choice([0, 0, 1, 2])):
        at, unit = rng.randrange(len(ref) - 60), "".join(rng.choices("ACGT", k=rng.choice([1, 2, 3, 5, 30])))
        ref = ref[:at] + (unit * 40)[: rng.randint(12, 60)] + ref[at:]
    haps = [ref]
    for _ in range(rng.choice([1, 1, 2, 4])):
        out, rate = [], rng.choice([0.004, 0.01, 0.03])
        for base in rng.choice(haps):
            x = rng.random()
            if x < rate * 0.6:
                base = rng.choice("ACGT")
            elif x < rate * 0.8:
                base = ""
            elif x < rate:
                base += "".join(rng.choices("ACGT", k=rng.randint(1, 25)))
            out.append(base)
        haps.append("".join(out))
    rows = []
    for at in sorted(rng.randrange(len(ref)) for _ in range(rng.choice([15, 40, 90]))):
        read = list(rng.choice(haps)[max(0, at - 60) : at + rng.randint(40, 110)])
        qual = [rng.choice([2, 9, 10, 20]) if rng.random() < 0.02 else 35 for _ in read]
        read = [rng.choice("ACGTN") if rng.random() < 0.004 else b for b in read]
        if len(read) > 10:
            rows.append(("".join(read), qual, rng.choice([0, 0, 1])))
    return ref, rows


def test_rows_do_not_depend_on_threads_or_neighbours():
    rng = random.Random(1)
    made = [random_region(rng) for _ in range(12)]
    wanted = np.arange(12) != 5
    finalised, reads, regions, contig = tables(made)
    one, two = (assemble(finalised, reads, regions, wanted, contig, CallerOptions(), t) for t in (1, 2))
    assert len(one) > 24
    for r, (ref, rows) in enumerate(made):
        alone = assembled(ref, rows, wanted=bool(wanted[r]))
        assert repr(listed(one, r)) == repr(listed(two, r)) == repr(alone)
    assert one.span_start.tolist() == regions.padded_start.tolist()


@pytest.mark.parametrize("scores", [(200, -150, -260, -11), (10, -15, -30, -5), (25, -50, -110, -6)])
def test_banded_alignment_is_the_whole_matrix(scores):
    rng = random.Random(3)
    scores, kept = np.array(scores, np.int64), 0
    for _ in range(300):
        n = rng.randint(1, 90)
        ref = "".join(rng.choices("ACGT"[: rng.choice([2, 4])], k=n))
        alt = "".join(rng.choice(["", b, b + b, "ACGT"[rng.randrange(4)]]) if rng.random() < rng.choice([0.02, 0.2]) else b for b in ref)
        at = rng.randint(0, len(alt))
        alt = alt[:at] + alt[at + rng.choice([0, 0, 7, 30]) :] or "A"
        pair = [np.frombuffer(("N" * 10 + s + "N" * 10).encode(), np.uint8) for s in (ref, alt)]
        n, m = map(len, pair)
        for strategy in (SOFTCLIP, INDEL):
            whole = np.empty(2 * m + 3, np.uint32)
            count, at = align_one(*pair, *scores, strategy, *scratch(n, m), whole)
            theirs = text(whole[:count])
            if at > 0 or "S" in theirs:
                theirs = ""
            band = np.empty(2 * m + 3, np.uint32)
            count = align_ends(*pair, scores, strategy, np.empty(n + m + 2, np.int32), np.empty(n + m + 2, np.int32),
                               np.empty((n + 1) * (n + m + 1), np.uint8), np.empty(n + 1, np.int32), band)  # fmt: skip
            assert text(band[:count]) == theirs, (ref, alt, strategy)
            kept += bool(theirs)
    assert kept > 300


@pytest.fixture
def model(shared):
    sys.path.insert(0, str(shared / "spec" / "check"))
    import assembly_model

    return assembly_model


def modelled(model, ref, rows, **options):
    """The model's haplotypes of a region, as `listed`."""
    reads = [model.Read(f"r{i}", 0, 60, 1, [(len(b), "M")], b.encode(), list(q), -1, 0, 0, 0, s) for i, (b, q, s) in enumerate(rows)]
    haps, _ = model.assemble(ref.encode(), reads, **options)
    return [(h.bases.decode(), model.cigar_str(h.cigar), h.is_ref, 0 if h.is_ref else h.k, h.score) for h in haps]


@pytest.mark.shared
def test_random_regions(model):
    rng = random.Random(2)
    made = [random_region(rng) for _ in range(25)]
    finalised, reads, regions, contig = tables(made)
    found = assemble(finalised, reads, regions, np.ones(len(made), bool), contig, CallerOptions())
    for r, (ref, rows) in enumerate(made):
        assert repr(listed(found, r)) == repr(modelled(model, ref, rows)), r


@pytest.mark.shared
def test_regions_of_real_reads(model, demo):
    some = 0
    for _, contig, reads, regions in regions_of(demo / "golden" / "recalibrated.bam", demo / "reference.fa.gz", intervals=[(0, 0, 30000)]):
        active = regions.is_active & (np.diff(regions.read_offset) > 0)
        finalised = finalise_reads(reads, regions, active, CallerOptions())
        found = assemble(finalised, reads, regions, active, contig, CallerOptions())
        for r in np.flatnonzero(active)[::3]:
            a, b = finalised.base_offset, finalised.region_offset
            rows = [(bytes(finalised.base[a[i] : a[i + 1]]).decode(), finalised.qual[a[i] : a[i + 1]], 0) for i in range(b[r], b[r + 1])]
            ref = bytes(contig[regions.padded_start[r] : regions.padded_end[r]]).decode()
            assert repr(listed(found, r)) == repr(modelled(model, ref, rows))
            some += len(listed(found, r)) > 1
    assert some > 3
