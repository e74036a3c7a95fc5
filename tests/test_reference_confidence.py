"""Reference confidence: a position-by-position model of the rules on small made regions, and GATK's blocks where nothing was called."""

import gzip
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from caller_tables import caller_reads, ragged, regions_of

from gpugenome.gatk.indel_confidence import indel_likelihoods
from gpugenome.steps.haplotypecaller.blocks import RecordLines, reference_lines
from gpugenome.steps.haplotypecaller.columns import LikelihoodBatch, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.finalise import clip_to_spans, finalise_reads
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets
from gpugenome.steps.haplotypecaller.reference_confidence import reference_records

OPS = "MIDNSHP=X"


def approximate_sum(a, b):
    a, b = sorted((a, b))
    return b if a == -math.inf or b - a >= 8 else b + math.log10(1 + 10 ** (-int((b - a) * 10000 + 0.5) * 0.0001))


def log10(x):
    return math.log10(x) if x > 0 else -math.inf


def elements(reads, table, i):
    """Row i of RegionReads: ({position: (base, qual, aligned offset, asked for indels)}, bases and qualities laid out, read length)."""
    cigar = [(OPS[w & 15], int(w >> 4)) for w in table.cigar[table.cigar_offset[i] : table.cigar_offset[i + 1]]]
    cigar = [(op, n) for op, n in cigar if op != "H"]
    bases = bytes(table.base[table.base_offset[i] : table.base_offset[i + 1]]).decode()
    quals = table.qual[table.base_offset[i] : table.base_offset[i + 1]].tolist()
    at, laid, laid_qual, offset, p, r = {}, "", [], 0, int(table.start[i]), 0
    for k, (op, n) in enumerate(cigar):
        following = [o for o, _ in cigar[k + 1 :]]
        before = following[:1] == ["I"] or next((o for o in following if o in "MD"), "M") == "D"
        if op == "M":
            for j in range(n):
                at[p + j] = bases[r + j], quals[r + j], offset + j, not (before and j == n - 1)
            laid, laid_qual = laid + bases[r : r + n], laid_qual + quals[r : r + n]
        if op == "D":
            at.update({p + j: ("-", 30, offset + j, False) for j in range(n)})
            laid, laid_qual = laid + "-" * n, laid_qual + [0] * n
        p += n if op in "MD" else 0
        r += n if op in "MIS" else 0
        offset += n if op in "MDS" else 0
    if not any(op in "ID" for op, _ in cigar):
        laid, laid_qual = bases, quals
    laid, laid_qual = laid + "\0" * (offset - len(laid)), laid_qual + [0] * (offset - len(laid_qual))
    s = table.source[i]
    flag, mate, tlen, start = int(reads.flag[s]), int(reads.mate_start[s]), int(reads.tlen[s]), int(table.start[i])
    if flag & 1 and tlen and tlen <= 100 and (flag >> 4 & 1) != (flag >> 5 & 1):
        if flag & 16 and p - 1 > mate:
            at = {x: e for x, e in at.items() if x >= mate}
        elif not flag & 16 and start <= mate + tlen:
            at = {x: e for x, e in at.items() if x < start + abs(tlen)}
    return at, laid, laid_qual, len(bases)


def informative(laid, quals, length, ref, first, shift, k, size=10):
    """The rule for one aligned offset k by its definition: no indel of 1..size bases explains the rest as well."""
    room = len(ref) - (first + shift)
    if length - first < size or room < size or len(laid) - first <= size:
        return False
    short = not len(laid) < room + first + 1
    last = room + first - size + 1 if short else len(laid) - size
    second = length - size
    limit = (last - 1 if short else last) if last <= second else second + 1
    if k >= limit:
        return False
    if laid[k] == "-":  # the offset counts a soft clip in front, the bases laid out do not
        return True

    def cost(i, j):
        total = None
        while i < len(laid) and j < len(ref):
            differs = laid[i] != ref[j] and "N" not in (laid[i], ref[j]) and laid[i] != "-"
            total = (total or 0) + (quals[i] if differs else 0)
            i, j = i + 1, j + 1
        return math.inf if total is None else total

    own = cost(k, k + shift)
    return all(own < cost(k, k + shift + d) and own < cost(k + d, k + shift) for d in range(1, size + 1))


def model(reads, table, rows, contig, low, high, start, end, ploidy):
    """(ref depth, alt depth, GQ, PLs) of positions start..end from rows of `table` in pileup order."""
    ref, out = contig[low:high], []
    seen = [elements(reads, table, i) for i in rows]
    margin, indel_pl = indel_likelihoods(ploidy)
    firsts = [min(((e[2], p) for p, e in at.items() if start <= p < end and e[3]), default=None) for at, *_ in seen]
    for p in range(start, end):
        gl, depth, n = [0.0] * (ploidy + 1), [0, 0], 0
        for (at, laid, quals, length), first in zip(seen, firsts):
            if p not in at:
                continue
            base, qual, offset, asked = at[p]
            if asked:
                n += informative(laid, quals, length, ref, first[0], first[1] - low - first[0], offset)
            if qual <= 6:
                continue
            alt = base != contig[p]
            depth[alt] += 1
            right, wrong = math.log10(1 - 10 ** (qual / -10)), qual * -0.1 - math.log10(3)
            r, a = (wrong, right) if alt else (right, wrong)
            gl[0] += r + math.log10(ploidy)
            gl[ploidy] += a + math.log10(ploidy)
            for i in range(1, ploidy):
                gl[i] += approximate_sum(r + log10(ploidy - i), a + log10(i))
        gl = [g - sum(depth) * math.log10(ploidy) for g in gl]
        gl = [min(g, gl[0]) for g in gl]
        n = min(n, 40)
        pl = indel_pl[n].tolist() if margin[n] < gl[0] - max(gl[1:]) else [math.floor(-10 * (g - gl[0]) + 0.5) for g in gl]
        order = sorted(pl)
        out.append((depth[0], depth[1], order[1] - order[0], pl))
    return out


def made_reads(rng, contig, count, clips):
    """Reads of a made contig with errors, indels, low qualities, pairs and, where asked, soft clips."""
    rows = []
    for i in range(count):
        start, cigar, bases = int(rng.integers(0, len(contig) - 120)), "", ""
        p = start
        for op in rng.choice(["M", "MIM", "MDM", "MDMIM"], p=[0.5, 0.2, 0.2, 0.1]):
            n = int(rng.integers(8, 30)) if op == "M" else int(rng.integers(1, 6))
            if op == "M" and len(cigar) == 0:
                n += 15
            cigar += f"{n}{op}"
            bases += contig[p : p + n] if op == "M" else "".join(rng.choice(list("ACGT"), n)) if op == "I" else ""
            p += n if op in "MD" else 0
        if clips and rng.random() < 0.5:
            cigar, bases = f"3S{cigar}4S", "ACG" + bases + "TTTT"
        bases = "".join(b if rng.random() > 0.03 else rng.choice(list("ACGTN")) for b in bases)
        quals = rng.choice([3, 6, 7, 12, 25, 37, 40], len(bases))
        row = {"start": start, "cigar": cigar, "base": bases, "qual": quals, "name": f"r{i % 40}"}
        if rng.random() < 0.6:
            reverse = bool(rng.random() < 0.5)
            size = int(rng.integers(20, 140))
            mate = max(0, start - size // 2) if reverse else start + size // 2
            row |= {"flag": 1 + 2 + (16 if reverse else 32), "mate": mate, "tlen": -size if reverse else size}
        if rng.random() < 0.05:
            row |= {"flag": 1, "mate": 5, "mate_ref": 3, "tlen": 0}
        rows.append(row)
    rows.sort(key=lambda r: r["start"])
    return caller_reads(*rows)


def made_contig(rng, length):
    units = [u * int(rng.integers(1, 9)) for u in rng.choice(["A", "CA", "GTC", "ACGTTGCA", "TTAGCCAT"], length)]
    return "".join(units)[:length]


def made_regions(bounds, reads, length, padding=40):
    start, end = (np.array(b, np.int32) for b in zip(*bounds))
    low, high = np.maximum(start - padding, 0).astype(np.int32), np.minimum(end + padding, length).astype(np.int32)
    index = [np.flatnonzero((reads.start < h) & (reads.end > a)).astype(np.int32) for a, h in zip(low, high)]
    return RegionBatch(0, start, end, low, high, np.zeros(len(start), bool), offsets([len(i) for i in index]), np.concatenate(index))


def no_calls(ploidy=2):
    none = np.empty(0, np.int32)
    return SimpleNamespace(gt=np.empty((0, 1, ploidy), np.int16), region=none, start=none, allele_offset=np.zeros(1, np.int64),
                           allele_base=np.empty(0, np.uint8), allele_base_offset=np.zeros(1, np.int64), dp=np.empty((0, 1), np.int32),
                           gq=np.empty((0, 1), np.int32), pl=none, pl_offset=np.zeros(1, np.int64), qual=np.empty(0))  # fmt: skip


def rows_of(records, a, b):
    return [(int(records.ref_depth[k]), int(records.alt_depth[k]), int(records.gq[k]), records.pl[k].tolist()) for k in range(a, b)]


def passing(reads, table):
    """Rows of each region that the model uses: no mate on another contig, ten bases without soft clips."""
    def usable(i):
        clipped = sum(int(w >> 4) for w in table.cigar[table.cigar_offset[i] : table.cigar_offset[i + 1]] if w & 15 == 4)
        return reads.mate_ref_id[table.source[i]] <= 0 and table.base_offset[i + 1] - table.base_offset[i] - clipped >= 10
    return [[i for i in range(a, b) if usable(i)] for a, b in zip(table.region_offset[:-1], table.region_offset[1:])]


@pytest.mark.parametrize("ploidy", [1, 2, 5])
def test_regions_without_calls(ploidy):
    rng = np.random.default_rng(ploidy)
    contig = made_contig(rng, 500)
    contig = contig[:200] + "NNN" + contig[203:]
    reads = made_reads(rng, contig, 120, True)
    regions = made_regions([(0, 90), (90, 210), (210, 260), (400, 500)], reads, len(contig))
    options = CallerOptions(emit_ref_confidence="GVCF", sample_ploidy=ploidy)
    assembly = SimpleNamespace(finalised=finalise_reads(reads, regions, np.ones(4, bool), options))
    bases = np.frombuffer(contig.encode(), np.uint8)
    records = [reference_records(reads, regions, assembly, None, no_calls(ploidy), bases, options, threads) for threads in (1, 3)]
    assert rows_of(records[0], 0, 360) == rows_of(records[1], 0, 360)
    assert records[0].pos.tolist() == [*range(260), *range(400, 500)]
    assert (records[0].call == -1).all() and bytes(records[0].ref_base).decode() == contig[:260] + contig[400:]
    rows, at = passing(reads, assembly.finalised), 0
    for g in range(4):
        s, e = int(regions.start[g]), int(regions.end[g])
        expected = model(reads, assembly.finalised, rows[g], contig, regions.padded_start[g], regions.padded_end[g], s, e, ploidy)
        assert rows_of(records[0], at, at + e - s) == expected
        at += e - s
    assert len({tuple(p) for p in records[0].pl.tolist()}) > 20


def test_calls_flanks_and_realigned_reads():
    """Region 0 has a called genotype, region 1 only a no-call: it is treated as a whole and its call is thrown away."""
    rng = np.random.default_rng(7)
    contig = made_contig(rng, 400)
    bases = np.frombuffer(contig.encode(), np.uint8)
    reads = made_reads(rng, contig, 100, True)
    regions = made_regions([(60, 200), (200, 300)], reads, len(contig))
    options = CallerOptions(emit_ref_confidence="BP_RESOLUTION", assembly_region_padding=30)
    i32 = np.int32
    assembly = SimpleNamespace(
        finalised=finalise_reads(reads, regions, np.ones(2, bool), options), variant_start=np.array([100, 220], i32),
        variant_end=np.array([150, 250], i32), trimmed_start=np.array([70, 205], i32), trimmed_end=np.array([190, 290], i32),
    )  # fmt: skip
    inside = np.flatnonzero((reads.start >= 70) & (reads.end <= 190) & (reads.end - reads.start > 20))
    shuffled = rng.permutation(inside).astype(i32)
    part = [reads.base[reads.base_offset[i] : reads.base_offset[i + 1]] for i in shuffled]
    base, base_offset = ragged(part, np.uint8)
    qual, _ = ragged([reads.qual[reads.base_offset[i] : reads.base_offset[i + 1]] for i in shuffled], np.uint8)
    cigar, cigar_offset = ragged([reads.cigar[reads.cigar_offset[i] : reads.cigar_offset[i + 1]] for i in shuffled], np.uint32)
    filtered = np.zeros(len(shuffled), np.uint8)
    filtered[::9] = 1
    realigned = RegionReads(np.array([0, len(shuffled), len(shuffled)]), shuffled, reads.start[shuffled], base, qual, base_offset, cigar,
                            cigar_offset, filtered)  # fmt: skip
    calls = SimpleNamespace(**{**vars(no_calls()), "region": np.array([0, 0, 0, 1], i32), "start": np.array([110, 110, 130, 230], i32),
                               "gt": np.array([[[0, 1]], [[1, 1]], [[-1, -1]], [[-1, -1]]], np.int16)})  # fmt: skip
    calls.allele_offset = np.array([0, 2, 4, 6, 8])
    calls.allele_base, calls.allele_base_offset = np.frombuffer(b"AC" * 4, np.uint8), np.arange(9)
    calls.dp = calls.gq = np.zeros((4, 1), i32)
    calls.pl, calls.pl_offset, calls.qual = np.zeros(12, i32), np.arange(0, 13, 3), np.zeros(4)
    likelihoods = LikelihoodBatch(realigned, np.empty(0), np.empty(0, np.int64), np.empty(0, i32))
    records = reference_records(reads, regions, assembly, likelihoods, calls, bases, options)
    assert {int(p): int(c) for p, c in zip(records.pos, records.call) if c >= 0} == {110: 0, 130: 2}

    # The same calls with <NON_REF> as their only ALT: GVCF takes them for records of the reference, BP_RESOLUTION does not.
    calls.allele_base, calls.allele_base_offset = np.frombuffer(b"A<NON_REF>" * 4, np.uint8), np.arange(9) // 2 * 10 + np.arange(9) % 2
    calls.dp, calls.gq, calls.qual = np.array([[3], [-1], [5], [6]], i32), np.array([[7], [8], [9], [10]], i32), np.arange(4.0)
    calls.pl = np.arange(12, dtype=i32)
    folded = reference_records(reads, regions, assembly, likelihoods, calls, bases, replace(options, emit_ref_confidence="GVCF"))
    at = folded.with_qual
    assert folded.pos[at].tolist() == [110, 130] and folded.qual.tolist() == [0.0, 2.0] and (folded.call == -1).all()
    assert folded.ref_depth[at].tolist() == [3, 5] and folded.gq[at].tolist() == [7, 9] and folded.pl[at].tolist() == [[0, 1, 2], [6, 7, 8]]
    apart = reference_records(reads, regions, assembly, likelihoods, calls, bases, replace(options, emit_ref_confidence="BP_RESOLUTION"))
    assert (apart.call == records.call).all()

    def place(r):
        s = shuffled[r]
        name = bytes(reads.name[reads.name_offset[s] : reads.name_offset[s + 1]])
        return reads.start[s], reads.flag[s] & 16, name, reads.flag[s], reads.tlen[s]

    order = sorted(np.flatnonzero(filtered == 0), key=place)
    expected = model(reads, realigned, order, contig, 70, 190, 100, 150, 2)
    flanks = clip_to_spans(reads, assembly.finalised, np.array([0, 0]), np.array([30, 120], i32), np.array([130, 230], i32))
    rows = passing(reads, flanks)
    expected = model(reads, flanks, rows[0], contig, 30, 130, 60, 100, 2) + expected
    expected += model(reads, flanks, rows[1], contig, 120, 230, 150, 200, 2)
    whole = passing(reads, assembly.finalised)[1]
    expected += model(reads, assembly.finalised, whole, contig, int(regions.padded_start[1]), int(regions.padded_end[1]), 200, 300, 2)
    assert rows_of(records, 0, 240) == expected


def test_a_read_rules_out_indels_up_to_the_repeat_that_it_ends_in():
    contig = "ACGTTGCATCAGGCTAGATTCCAGTACCGTTAGACTTGGT" + "CA" * 16 + "GGTCATTGCACTGATTAGCCATGACCTA" * 3
    reads = caller_reads({"start": 10, "cigar": "60M", "base": contig[10:70], "qual": 30})
    regions = made_regions([(0, len(contig))], reads, len(contig))
    options = CallerOptions(emit_ref_confidence="GVCF")
    assembly = SimpleNamespace(finalised=finalise_reads(reads, regions, np.ones(1, bool), options))
    r = reference_records(reads, regions, assembly, None, no_calls(), np.frombuffer(contig.encode(), np.uint8), options)
    assert [int(p) for p, pl in zip(r.pos, r.pl.tolist()) if pl != [0, 0, 0]] == list(range(10, 40))
    assert r.pl[39].tolist() == [0, 3, 35] and r.ref_depth.tolist() == [0] * 10 + [1] * 60 + [0] * (len(contig) - 70)


def inside_uncalled(lines, regions, called):
    """The block lines that lie inside neighbouring regions without a call and touch neither end. called: positions of calls, ascending."""
    first = np.searchsorted(called, [regions.start, regions.end])
    kept = np.flatnonzero(first[0] == first[1])
    start, end = regions.start[kept], regions.end[kept]
    if not len(kept):
        return []
    begins = np.concatenate([[True], start[1:] != end[:-1]])
    start, end = start[begins], end[np.concatenate([begins[1:], [True]])]
    fields = [line.split("\t", 8) for line in lines]
    at = np.array([int(f[1]) - 1 for f in fields])
    stop = np.array([int(f[7][4:]) if f[4] == "<NON_REF>" else 1 << 40 for f in fields])
    run = np.searchsorted(start, at, "left") - 1  # starts after the run does
    return [lines[k] for k in np.flatnonzero((run >= 0) & (stop < end[run]))]


def compare_blocks(bam, fasta, gvcf):
    """Blocks that lie inside neighbouring regions without a call: (ours, GATK's)."""
    options = CallerOptions(emit_ref_confidence="GVCF")
    with gzip.open(gvcf, "rt") as f:
        golden = [line for line in f if line[0] != "#"]
    ours, theirs, where = [], [], {}
    for line in golden:
        where.setdefault(line.split("\t")[0], []).append(line)
    for header, bases, reads, regions in regions_of(bam, fasta, options):
        mine = where.get(header.contig_names[regions.ref_id], [])
        fields = [line.split("\t") for line in mine]
        assembly = SimpleNamespace(finalised=finalise_reads(reads, regions, np.ones(len(regions), bool), options))
        records = reference_records(reads, regions, assembly, None, no_calls(), bases, options)
        writer = reference_lines(options, header.contig_names)
        none = RecordLines(0, np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8), np.zeros(1, np.int64))
        text = b"".join(part.text.tobytes() for part in (*writer.add(records, none), *writer.finish()))
        lines = text.decode().splitlines(keepends=True)
        called = [int(f[1]) - 1 for f in fields if f[4] != "<NON_REF>"]
        ours += inside_uncalled(lines, regions, called)
        theirs += inside_uncalled(mine, regions, called)
    return ours, theirs


def test_blocks_of_the_demo_are_gatks(demo):
    golden = demo / "golden"
    ours, theirs = compare_blocks(golden / "recalibrated.bam", demo / "reference.fa.gz", golden / "calls.g.vcf.gz")
    assert len(theirs) > 100
    assert ours == theirs


@pytest.mark.shared
def test_blocks_of_real_reads_are_gatks(shared):
    sample = "na12878_chr21"
    golden = shared / "golden" / sample
    ours, theirs = compare_blocks(golden / "recalibrated.bam", shared / "data" / sample / "reference.fa.gz", golden / "calls.g.vcf.gz")
    assert len(theirs) > 10_000
    assert ours == theirs
