"""Finalised reads of assembly regions: every rule by itself, and whole regions against the model of GATK's behaviour in ../shared."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from caller_tables import caller_reads, one_region, regions_of, row

from gpugenome.steps.haplotypecaller.finalise import clip_to_spans, finalise_reads
from gpugenome.steps.haplotypecaller.options import CallerOptions

FORWARD, BACKWARD = 1 + 2 + 32 + 64, 1 + 2 + 16 + 128


def finalised(*rows, start=1000, end=1200, threads=1, **options):
    """(start, CIGAR, bases, qualities) of the finalised rows of one region, by name."""
    reads = caller_reads(*rows)
    out = finalise_reads(reads, one_region(reads, start, end), np.ones(1, bool), CallerOptions(**options), threads)
    return {(n, f): (s, c, b, q) for n, f, s, c, b, q in (row(reads, out, i) for i in range(len(out)))}, [
        row(reads, out, i)[0] for i in range(len(out))
    ]


def one(options=None, **read):
    """(start, CIGAR, number of bases) of one finalised read, None where it is dropped."""
    table, _ = finalised(read, **(options or {}))
    if not table:
        return None
    ((start, cigar, bases, quals),) = table.values()
    assert len(bases) == len(quals)
    return start, cigar, len(bases)


def test_soft_clips_are_cut_off_or_reverted():
    assert one(start=1000, cigar="5S40M6S") == (1000, "5H40M6H", 40)
    pair = {"flag": FORWARD, "mate": 1060, "tlen": 120}
    assert one(start=1000, cigar="5S40M6S", **pair) == (995, "51M", 51)
    assert one({"dont_use_soft_clipped_bases": True}, start=1000, cigar="5S40M6S", **pair) == (1000, "5H40M6H", 40)
    # Same strand, or a reverse read that ends before its mate: the fragment's ends are unknown.
    assert one(start=1000, cigar="5S40M", flag=FORWARD - 32, mate=1060, tlen=120) == (1000, "5H40M", 40)
    assert one(start=1000, cigar="40M5S", flag=BACKWARD, mate=1039, tlen=-40) == (1000, "40M5H", 40)


def test_soft_clip_before_the_contig():
    reads = caller_reads({"start": 3, "cigar": "10S40M", "flag": FORWARD, "mate": 60, "tlen": 120})
    out = finalise_reads(reads, one_region(reads, 0, 50), np.ones(1, bool), CallerOptions())
    assert row(reads, out, 0)[2:4] == (0, "7H43M")


def test_low_quality_ends():
    quals = [9] * 3 + [10] * 40 + [2] * 7
    assert one(start=1000, cigar="50M", qual=quals) == (1003, "3H40M7H", 40)
    assert one({"min_base_quality_score": 11}, start=1000, cigar="50M", qual=quals) is None
    assert one({"soft_clip_low_quality_ends": True}, start=1000, cigar="50M", qual=quals) == (1003, "3S40M7S", 50)
    # A deletion beside the cut goes too; an insertion stays.
    assert one(start=1000, cigar="3M4D47M", qual=quals) == (1007, "3H40M7H", 40)
    assert one(start=1000, cigar="3M4I43M", qual=quals) == (1003, "3H4I36M7H", 40)


def test_adaptor():
    assert one(start=1000, cigar="50M", flag=FORWARD, mate=990, tlen=40) == (1000, "40M10H", 40)
    assert one(start=1000, cigar="50M", flag=BACKWARD, mate=1010, tlen=-40) == (1010, "10H40M", 40)
    # A reverted 5' clip moves the boundary of a forward read with its start.
    assert one(start=1000, cigar="6S50M", flag=FORWARD, mate=990, tlen=40) == (994, "40M16H", 40)
    assert one(start=1000, cigar="30M20D20M", flag=FORWARD, mate=990, tlen=40) == (1000, "30M20H", 30)


def test_padded_span():
    assert one(start=880, cigar="50M") == (900, "20H30M", 30)
    assert one(start=1280, cigar="50M") == (1280, "20M30H", 20)
    assert one(start=895, cigar="410M") == (900, "5H400M5H", 400)
    assert one(start=890, cigar="5M10D5M10I20M") == (905, "5H5M10I20M", 35)
    assert one(start=850, cigar="50M") is None


def test_order():
    _, names = finalised(
        {"start": 1010, "cigar": "50M", "name": "late"},
        {"start": 1000, "cigar": "50M", "name": "b", "flag": 16},
        {"start": 1000, "cigar": "50M", "name": "c"},
        {"start": 1000, "cigar": "50M", "name": "b1"},
        {"start": 1000, "cigar": "50M", "name": "b"},
        {"start": 870, "cigar": "50M", "name": "cut to 900"},
    )
    assert names == ["cut to 900", "b", "b1", "c", "b", "late"]


def overlap(first, second, **options):
    table, _ = finalised({"name": "p", **first}, {"name": "p", **second}, **options)
    return [table["p", f][3] for f in (FORWARD, BACKWARD)]


def test_overlapping_mates():
    left = {"start": 1000, "cigar": "20M", "base": "A" * 15 + "C" * 5, "flag": FORWARD, "mate": 1010, "tlen": 30}
    right = {"start": 1010, "cigar": "20M", "base": "A" * 20, "flag": BACKWARD, "mate": 1000, "tlen": -30, "qual": [15] * 3 + [40] * 17}
    mates = left, right
    first, second = overlap(*mates)
    assert first == [30] * 10 + [20] * 5 + [0] * 5
    assert second == [15] * 3 + [20] * 2 + [0] * 5 + [40] * 10
    assert overlap(*mates, do_not_correct_overlapping_quality=True) == [[30] * 20, [15] * 3 + [40] * 17]
    # Bases are compared index by index, whatever the CIGAR says.
    indel = {**mates[0], "cigar": "12M2I6M", "tlen": 30}
    assert overlap(indel, mates[1])[0] == [30] * 10 + [20] * 5 + [0] * 5
    assert overlap({**mates[0], "sample": 1}, mates[1]) == [[30] * 20, [15] * 3 + [40] * 17]


def test_clip_to_spans():
    reads = caller_reads({"start": 1000, "cigar": "50M"}, {"start": 1020, "cigar": "20M3D30M"}, {"start": 1090, "cigar": "10M"})
    region_reads = finalise_reads(reads, one_region(reads, 1000, 1200), np.ones(1, bool), CallerOptions())
    out = clip_to_spans(reads, region_reads, [0, 0], np.array([1010, 1045], np.int32), np.array([1041, 1060], np.int32))
    assert out.region_offset.tolist() == [0, 2, 4]
    assert [row(reads, out, i)[:1] + row(reads, out, i)[2:4] for i in range(4)] == [
        ("r0", 1010, "10H31M9H"), ("r1", 1020, "20M30H"), ("r0", 1045, "45H5M"), ("r1", 1045, "22H15M13H")]  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize("threads", [1, 2])
def test_regions_of_real_reads(demo, shared, threads):
    sys.path.insert(0, str(shared / "spec" / "check"))
    import assembly_model as model

    compared = 0
    for _, _, reads, regions in regions_of(demo / "golden" / "recalibrated.bam", demo / "reference.fa.gz", intervals=[(0, 0, 8000)]):
        out = finalise_reads(reads, regions, np.diff(regions.read_offset) > 0, CallerOptions(), threads)
        for g in range(len(regions)):
            mine = [row(reads, out, i) for i in range(out.region_offset[g], out.region_offset[g + 1])]
            originals = [_model_read(model, reads, r) for r in regions.read_index[regions.read_offset[g] : regions.read_offset[g + 1]]]
            theirs = model.finalize_reads(originals, int(regions.padded_start[g]) + 1, int(regions.padded_end[g]))
            assert mine == [(x.name, x.flag, x.start - 1, model.cigar_str(x.cigar), x.seq.decode(), x.qual) for x in theirs]
            compared += len(mine)
    assert compared > 1000


def _model_read(model, reads, r):
    whole = SimpleNamespace(source=np.arange(r + 1), start=reads.start, base=reads.base, base_offset=reads.base_offset, qual=reads.qual,
                            cigar=reads.cigar, cigar_offset=reads.cigar_offset)  # fmt: skip
    name, flag, start, cigar, bases, quals = row(reads, whole, r)
    elements = [(int(n), op) for n, op in re.findall(r"(\d+)(\D)", cigar)]
    mate = 0 if flag & 8 or not flag & 1 else int(reads.mate_start[r]) + 1
    return model.Read(name, flag, int(reads.mapq[r]), start + 1, elements, bases.encode(), quals, int(reads.mate_ref_id[r]), mate,
                      int(reads.tlen[r]), reads.ref_id, int(reads.sample[r]))  # fmt: skip

