"""Trimming of regions to their events: spans, haplotypes, reads for the likelihoods; random haplotypes against the model in ../shared."""

import random
import sys

import numpy as np
import pytest
from caller_tables import caller_reads, haplotypes, one_region, ragged, row, text

from gpugenome.steps.haplotypecaller.columns import HaplotypeEvents
from gpugenome.steps.haplotypecaller.finalise import finalise_reads
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.trimming import NO_VARIATION, VARIATION, trim_haplotypes, trim_regions

_rng = random.Random(3)
CONTIG = "".join(_rng.choice("ACGT") for _ in range(600))
CONTIG = CONTIG[:300] + "TCAGAGAGAGAGTT" + CONTIG[314:]
ARRAY = np.frombuffer(CONTIG.encode(), np.uint8)
PADDED = (150, 450)


def other(base):
    return "C" if base != "C" else "G"


def changed(*edits):
    """(bases, CIGAR) of a haplotype over PADDED: edits are (position, deleted bases, inserted bases), substitutions where both are 1."""
    bases, cigar, at, block = "", "", PADDED[0], 0
    for position, deleted, inserted in edits:
        bases += CONTIG[at:position] + inserted
        if deleted == len(inserted):
            block += position - at + deleted
        else:
            cigar += f"{block + position - at}M" + (f"{deleted}D" if deleted else f"{len(inserted)}I")
            block = 0
        at = position + deleted
    return bases + CONTIG[at : PADDED[1]], cigar + f"{block + PADDED[1] - at}M"


def trimmed(*haps, reads=({"start": 200, "cigar": "200M"},), **options):
    """AssemblyBatch of one active region 250-350 with these haplotypes (and the reference) and reads."""
    reads = caller_reads(*reads)
    region = one_region(reads, 250, 350, length=len(CONTIG))
    table = haplotypes([[(*h, 0, 10, -1.0 - i) for i, h in enumerate(haps)] + [(*changed(), 1, 0, np.nan)]], [PADDED[0]])
    active = np.ones(1, bool)
    finalised = finalise_reads(reads, region, active, CallerOptions())
    return reads, trim_regions(reads, region, active, finalised, table, ARRAY, CallerOptions(**options))


def spans(*haps, **options):
    _, out = trimmed(*haps, **options)
    return out.status[0], int(out.variant_start[0]), int(out.variant_end[0]), int(out.trimmed_start[0]), int(out.trimmed_end[0])


def snp(position):
    return position, 1, other(CONTIG[position])


def test_spans():
    assert spans(changed(snp(280))) == (VARIATION, 280, 281, 260, 301)
    assert spans(changed(snp(280)), changed(snp(290), snp(340))) == (VARIATION, 280, 341, 260, 361)
    assert spans(changed(snp(280)), padding_around_snps=5) == (VARIATION, 280, 281, 275, 286)
    # Outside the active span: no variation, and no say in the span of others.
    assert spans(changed(snp(249)))[0] == NO_VARIATION and spans(changed(snp(350)))[0] == NO_VARIATION
    assert spans(changed(snp(249), snp(280))) == (VARIATION, 280, 281, 260, 301)
    # A deletion that reaches into the active span counts; the variant span is cut to it, the trimmed one to the padded span.
    assert CONTIG[241] != CONTIG[251]
    assert spans(changed((241, 10, ""))) == (VARIATION, 250, 251, 165, 326)
    assert spans(changed(), changed())[0] == NO_VARIATION


def test_repeats_widen_the_span():
    start = CONTIG.index("CAGAGAGAGAG") + 1  # (AG)x5 behind the anchor C
    assert CONTIG[start : start + 11] == "AGAGAGAGAGT"
    assert spans(changed((start, 2, ""))) == (VARIATION, start - 1, start + 2, max(150, start - 1 - 85), min(450, start + 2 + 85))
    assert spans(changed((start, 0, "AGAG")), padding_around_strs=10) == (VARIATION, start - 1, start, start - 1 - 24, start + 24)
    assert spans(changed((start, 0, "AGT")), padding_around_indels=10) == (VARIATION, start - 1, start, start - 11, start + 10)


def names_and_cigars(t):
    rows = range(len(t))
    return [(bytes(t.base[t.base_offset[i] : t.base_offset[i + 1]]).decode(), text(t.cigar[t.cigar_offset[i] : t.cigar_offset[i + 1]]),
             int(t.is_reference[i]), int(t.kmer[i])) for i in rows]  # fmt: skip


def test_haplotypes_are_cut_merged_and_sorted():
    a, b = snp(280), (290, 1, "")
    _, out = trimmed(changed(a), changed(snp(200), a), changed(snp(400)), changed(b), padding_around_indels=20, padding_around_strs=20)
    low, high = int(out.trimmed_start[0]), int(out.trimmed_end[0])
    reference = CONTIG[low:high]
    found = names_and_cigars(out.haplotypes)
    with_snp = reference[: 280 - low] + a[2] + reference[281 - low :]
    n = high - low
    assert found[0] == (reference[: 290 - low] + reference[291 - low :], f"{290 - low}M1D{high - 291}M", 0, 10)
    # The second haplotype is equal to the first here, the third to the reference.
    assert found[1:] == sorted([(reference, f"{n}M", 1, 0), (with_snp, f"{n}M", 0, 10)])
    assert out.events.offset.tolist()[-1] == 2 and int(out.haplotypes.span_start[0]) == low


def test_haplotypes_with_a_deleted_end_go():
    _, out = trimmed(changed(snp(280)), changed((255, 10, ""), snp(280)), padding_around_indels=5, padding_around_strs=5)
    assert (out.trimmed_start[0], len(out.haplotypes)) == (249, 3)
    wanted, cut = np.ones(1, bool), np.array([[280, 281, 260, 301]], np.int32)
    haps = [(*changed((255, 10, "")), 0, 10, -1.0), (*changed((260, 0, "TT")), 0, 25, -2.0), (*changed(), 1, 0, np.nan)]
    table = haplotypes([haps], [150])
    rest = trim_haplotypes(table, wanted, cut)
    # The first begins in its deletion; the second's insertion is just outside, so it equals the reference.
    assert rest.is_reference.tolist() == [1] and text(rest.cigar) == "41M"


def test_reads_for_likelihoods():
    mate = {"flag": 1 + 32, "mate": 100, "tlen": 0}
    reads, out = trimmed(
        changed(snp(280)),
        reads=(
            {"start": 200, "cigar": "70M", "name": "ten left"},
            {"start": 200, "cigar": "69M", "name": "nine left"},
            {"start": 255, "cigar": "100M", "name": "far mate", "mate_ref": 3, **mate},
            {"start": 256, "cigar": "20M1I20M", "name": "near mate", **mate},
            {"start": 320, "cigar": "50M", "name": "outside"},
            {"start": 258, "cigar": "30M", "name": "weak", "mapq": 19},
        ),
    )
    kept = [row(reads, out.trimmed, i)[0] for i in range(len(out.trimmed))]
    assert list(zip(kept, out.trimmed.filtered.tolist())) == [("far mate", 1), ("near mate", 0), ("ten left", 0), ("weak", 1)]
    # Nothing but reads put aside: no variation.
    _, out = trimmed(changed(snp(280)), reads=({"start": 258, "cigar": "60M", "mapq": 19},))
    assert out.status.tolist() == [NO_VARIATION] and len(out.trimmed) == 0 and len(out.haplotypes) == 0


def given_table(*alleles):
    """HaplotypeEvents of (start, REF length, ALT)."""
    alt, alt_offset = ragged([np.frombuffer(a.encode(), np.uint8) for _, _, a in alleles], np.uint8)
    return HaplotypeEvents(np.array([0, len(alleles)]), np.array([s for s, _, _ in alleles], np.int32),
                           np.array([n for _, n, _ in alleles], np.int32), alt, alt_offset)  # fmt: skip


def test_given_alleles():
    reads = caller_reads({"start": 200, "cigar": "200M"})
    region, active = one_region(reads, 250, 350, length=len(CONTIG)), np.ones(1, bool)
    finalised = finalise_reads(reads, region, active, CallerOptions())

    def result(*given, haps=()):
        table = haplotypes([[(*h, 0, 10, -1.0 - i) for i, h in enumerate(haps)] + [(*changed(), 1, 0, np.nan)]], [PADDED[0]])
        out = trim_regions(reads, region, active, finalised, table, ARRAY, CallerOptions(), 2, given_table(*given))
        low, n = int(out.trimmed_start[0]), int(out.trimmed_end[0] - out.trimmed_start[0])
        edits = []
        for bases, cigar, is_reference, k in names_and_cigars(out.haplotypes):
            differs = [low + i for i in range(n) if bases[i] != CONTIG[low + i]] if len(bases) == n else len(bases) - n
            edits.append((differs, cigar, is_reference, k))
        return low, n, edits

    # An allele that assembly has not found makes variation by itself; it stands behind the assembled haplotypes.
    assert result((280, 1, snp(280)[2])) == (260, 41, [([], "41M", 1, 0), ([280], "41M", 0, 0)])
    assert result((240, 1, snp(240)[2]))[2] == []  # begins before the region
    assert result((360, 1, snp(360)[2]))[2] == []  # makes no variation in the region
    # It goes into every haplotype that has nothing there, the reference first; one that is known adds nothing.
    found = result((280, 1, snp(280)[2]), (290, 1, snp(290)[2]), haps=(changed(snp(280)), changed(snp(295))))
    assert sorted(e[0] for e in found[2][:3]) == [[], [280], [295]]
    assert [e[0] for e in found[2][3:]] == [[290], [280, 290], [290, 295]]
    low, n, edits = result((290, 4, CONTIG[290]), haps=(changed(snp(292)),))
    assert CONTIG[289:291] != CONTIG[292:294] and CONTIG[290] == CONTIG[293]  # so one base further left
    assert edits[2:] == [(-3, f"{290 - low}M3D{n - 293 + low}M", 0, 0)] and len(edits) == 3
    assert result((280, 1, CONTIG[280] + "ACGTACGT"))[2][1][0] == 8


@pytest.mark.shared
def test_random_haplotypes(shared):
    sys.path.insert(0, str(shared / "spec" / "check"))
    import assembly_model as model

    rng = random.Random(8)
    kept = 0
    for _ in range(60):
        haps = [changed()]
        for _ in range(rng.randint(1, 12)):
            edits, at = [], PADDED[0] + 1
            while (at := at + rng.randint(2, 60)) < PADDED[1] - 20:
                kind = rng.random()
                insertion = (at, 0, "AG" * rng.randint(1, 3)) if kind < 0.7 else (at, rng.randint(1, 12), "")
                edits.append(snp(at) if kind < 0.5 else insertion)
                at += edits[-1][1]
            haps.insert(rng.randrange(len(haps) + 1), changed(*sorted(rng.sample(edits, 2))))
        reference = haps.index(changed())
        table = haplotypes([[(*h, int(i == reference), 10 + i, -1.0) for i, h in enumerate(haps)]], [PADDED[0]])
        theirs = []
        for i, (bases, cigar) in enumerate(haps):
            h = model.Haplotype(bases.encode(), i == reference, [(int(n), op) for n, op in model_elements(cigar)])
            h.offset, h.k, h.score = PADDED[0], 10 + i, -1.0
            theirs.append(h)
        low = rng.randrange(PADDED[0], 280)
        high = rng.randrange(300, PADDED[1])
        wanted = np.ones(1, bool)
        mine = trim_haplotypes(table, wanted, np.array([[low, high, low, high]], np.int32))
        expected = model.trim_haplotypes(theirs, low - PADDED[0], high - 1 - PADDED[0])
        found = names_and_cigars(mine)
        assert found == [(h.bases.decode(), model.cigar_str(h.cigar), int(h.is_ref), 0 if h.is_ref else h.k) for h in expected]
        kept += len(found)
        inside = [e for h in theirs for e in model.event_map(h, CONTIG.encode(), 0).values()]
        region = one_region(caller_reads({"start": 200, "cigar": "200M"}), 250, 350, length=len(CONTIG))
        reads = caller_reads({"start": 200, "cigar": "200M"})
        out = trim_regions(reads, region, wanted, finalise_reads(reads, region, wanted, CallerOptions()), table, ARRAY, CallerOptions())
        want = model.trim_region((250, 349), (150, 449), inside, CONTIG.encode()[150:450])
        if want is not None and out.status[0] == VARIATION:
            assert (out.variant_start[0], out.variant_end[0] - 1, out.trimmed_start[0], out.trimmed_end[0] - 1) == (*want[0], *want[1])
        assert want is not None or out.status[0] == NO_VARIATION
    assert kept > 150


def model_elements(cigar):
    import re

    return re.findall(r"(\d+)(\D)", cigar)
