"""Events of haplotypes: every rule by itself, and random haplotypes against the model of GATK's behaviour in ../shared."""

import random
import sys

import numpy as np
import pytest
from caller_tables import event_list, haplotypes

from gpugenome.steps.haplotypecaller.events import haplotype_events

CONTIG = "ACGTTGCANGTACCATGGTC"


def events(bases, cigar, start=0, mnp=0):
    contig = np.frombuffer(CONTIG.encode(), np.uint8)
    return event_list(haplotype_events(haplotypes([[(bases, cigar, 0, 10, -1.0)]], [start]), contig, mnp), contig, 0)


def test_substitutions():
    assert events("ACGTTGCANGTA", "12M") == []
    assert events("ACGATGCANGTA", "12M") == [(3, "T", "A")]
    assert events("ACNTTGCACGTA", "12M") == []
    assert events("TTACGGCA", "8M") == [(0, "A", "T"), (1, "C", "T"), (2, "G", "A"), (3, "T", "C"), (4, "T", "G")]
    assert events("AAGAAGCA", "8M", mnp=1) == [(1, "C", "A"), (3, "TT", "AA")]
    assert events("AAGAAGCA", "8M", mnp=2) == [(1, "CGTT", "AGAA")]


def test_indels():
    assert events("GTACCACCTGG", "6M2I3M", 9) == [(14, "A", "ACC")]
    assert events("GTATGG", "3M3D3M", 9) == [(11, "ACCA", "A")]
    assert events("TTTA", "2I2M", 10) == [] and events("TATT", "2M2I", 10) == []  # not resolved within the haplotype
    assert events("CA", "2D2M", 11) == [(10, "TAC", "T")]  # a deletion at an end is an event
    assert events("GTTG", "2D4M", 0) == []  # but not one before the contig's first base
    assert events("CATA", "2M2D2M", 6) == [] and events("CATTNG", "2M2I2M", 6) == [(7, "A", "ATT")]
    assert events("CATNNG", "2M2I2M", 6) == []
    assert events("TACCAGGT", "5M2D1I2M", 10) == [(14, "ATG", "A"), (16, "G", "GG")]


def test_substitution_and_indel_at_one_base():
    assert events("GTACCTCCTGG", "6M2I3M", 9) == [(14, "A", "TCC")]
    assert events("GTCTGG", "3M3D3M", 9) == [(11, "ACCA", "C")]


@pytest.mark.shared
def test_random_haplotypes(shared):
    sys.path.insert(0, str(shared / "spec" / "check"))
    import assembly_model as model

    rng = random.Random(5)
    contig = "".join(rng.choice("AACCGGTTN") for _ in range(4000))
    cases = []
    for _ in range(300):
        start = position = rng.randrange(3900)
        bases, cigar = "", []
        for op in rng.choice(["M", "MIM", "MDM", "DM", "IM", "MDIM", "MIMDM", "MDMI", "MD"]):
            n = rng.randint(1, 9)
            cigar.append((n, op))
            if op == "I":
                bases += "".join(rng.choice("ACGTN") for _ in range(n))
                continue
            if op == "M":
                bases += "".join(b if rng.random() < 0.8 else rng.choice("ACGTN") for b in contig[position : position + n])
            position += n
        cases.append((start, bases, cigar))
    table = haplotypes([[(b, model.cigar_str(c), 0, 0, 0.0)] for _, b, c in cases], [s for s, _, _ in cases])
    array = np.frombuffer(contig.encode(), np.uint8)
    found = 0
    for mnp in (0, 2):
        mine = haplotype_events(table, array, mnp, threads=2)
        for h, (start, bases, cigar) in enumerate(cases):
            haplotype = model.Haplotype(bases.encode(), False, cigar)
            haplotype.offset = start
            theirs = [(p, r.decode(), a.decode()) for p, r, a in model.event_map(haplotype, contig.encode(), 0, mnp).values()]
            assert event_list(mine, contig.encode(), h) == theirs
            found += len(theirs)
    assert found > 500
