"""GVCF blocks and BP_RESOLUTION lines against a record-by-record model of the rules."""

import statistics

import numpy as np
import pytest

from gpugenome.errors import UserError
from gpugenome.steps.haplotypecaller.blocks import RecordLines, band_edges, reference_lines
from gpugenome.steps.haplotypecaller.columns import ReferenceRecords
from gpugenome.steps.haplotypecaller.options import DEFAULT_GQ_BANDS, CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets

CONTIGS = ["chr1", "chrM"]


def made(seed, n, ploidy=2, calls=True):
    """Records of both contigs with gaps, runs of like depth, and calls: (contig, 0-based pos, base, AD, GQ, PL, length of REF or 0)."""
    rng = np.random.default_rng(seed)
    out = []
    for contig in range(2):
        pos, depth, level = int(rng.integers(0, 50)), 30, 20
        for _ in range(n):
            pos += 1 if rng.random() < 0.995 else int(rng.integers(2, 9))
            if rng.random() < 0.05:
                depth, level = int(rng.integers(0, 60)), int(rng.integers(0, 130))
            pl = [0, *(np.sort(rng.integers(level, level + 3, ploidy)) * np.arange(1, ploidy + 1)).tolist()]
            if rng.random() < 0.02:
                pl[0], pl[1] = pl[1], 0
            ad = (depth + int(rng.integers(0, 3)), int(rng.integers(0, 2)))
            order = sorted(pl)
            call = int(rng.choice([1, 1, 2, 12])) if calls and rng.random() < 0.02 else 0
            out.append((contig, pos, "ACGTN"[int(rng.integers(5))], ad, order[1] - order[0], pl, call))
    return out


def call_line(contig, pos, base, size):
    return f"{CONTIGS[contig]}\t{pos + 1}\t.\t{base * size}\tT,<NON_REF>\t40\t.\tDP=3\tGT:GQ\t0/1:20\n"


def model_blocks(records, bands, floor=False, ploidy=2):
    """Lines of a GVCF, one record after the other."""
    out, block, skip = [], None, (-1, -1)
    edges = [0, *bands, *([100] if bands[-1] < 100 else [])]

    def close(block):
        contig, pos, base, low, members = block
        depths = [sum(m[3]) for m in members]
        pl = [min(x) for x in zip(*(m[5] for m in members))]
        order = sorted(pl)
        median = int(statistics.median(depths) + 0.5)
        head = f"{CONTIGS[contig]}\t{pos + 1}\t.\t{base}\t<NON_REF>\t.\t.\tEND={members[-1][1] + 1}\t"
        gt = "/".join(["0"] * ploidy)
        if floor:
            return head + f"GT:DP:GQ\t{gt}:{median}:{low}\n"
        return head + f"GT:DP:GQ:MIN_DP:PL\t{gt}:{median}:{min(99, order[1] - order[0])}:{min(depths)}:{','.join(map(str, pl))}\n"

    for r in records:
        contig, pos, base, _, gq, _, call = r
        if block and not (block[0] == contig and pos == block[4][-1][1] + 1):
            out.append(close(block))
            block = None
        if call:
            if block:
                out.append(close(block))
            block, skip = None, (contig, pos + call - 1)
            out.append(call_line(contig, pos, base, call))
            continue
        if contig == skip[0] and pos <= skip[1]:
            continue
        skip = (-1, -1)
        low = max(e for e in edges if e <= min(gq, 99))
        if block and block[3] != low:
            out.append(close(block))
            block = None
        if block:
            block[4].append(r)
        else:
            block = (contig, pos, base, low, [r])
    return "".join([*out, close(block)] if block else out)


def model_positions(records, ploidy=2):
    out = []
    for contig, pos, base, ad, gq, pl, call in records:
        head = f"{CONTIGS[contig]}\t{pos + 1}\t.\t{base}\t<NON_REF>\t.\t.\t.\tGT:AD:DP:GQ:PL\t{'/'.join(['0'] * ploidy)}"
        line = f"{head}:{ad[0]},{ad[1]}:{sum(ad)}:{min(99, gq)}:{','.join(map(str, pl))}\n"
        out.append(call_line(contig, pos, base, call) if call else line)
    return "".join(out)


def batch(records):
    """ReferenceRecords of one contig and the lines of its calls, which stand in reverse order to tell rows from places."""
    i32, called = np.int32, [k for k, r in enumerate(records) if r[6]]
    call = np.full(len(records), -1, i32)
    call[called] = np.arange(len(called))[::-1]
    mine = [records[k] for k in called[::-1]]
    text = [call_line(r[0], r[1], r[2], r[6]).encode() for r in mine]
    start = np.array([r[1] for r in mine], i32)
    lines = RecordLines(0, start, start + np.array([r[6] for r in mine], i32), np.frombuffer(b"".join(text), np.uint8),
                        offsets([len(t) for t in text]))  # fmt: skip
    ad, pl = np.array([r[3] for r in records], i32), np.array([r[5] for r in records], i32)
    return ReferenceRecords(
        records[0][0], np.array([r[1] for r in records], i32), np.frombuffer("".join(r[2] for r in records).encode(), np.uint8), call,
        ad[:, 0].copy(), ad[:, 1].copy(), pl, np.array([r[4] for r in records], i32),
    ), lines  # fmt: skip


def written(records, size, threads=1, **options):
    """The text that comes out when the records come `size` at a time; spans and offsets are checked on the way."""
    writer = reference_lines(CallerOptions(**options), CONTIGS, threads)
    parts = []
    for contig in range(2):
        mine = [r for r in records if r[0] == contig]
        for a in range(0, len(mine), size):
            parts += writer.add(*batch(mine[a : a + size]))
    parts += writer.finish()
    assert writer.finish() == []
    for p in parts:
        for k, line in enumerate(p.text.tobytes().decode().splitlines(keepends=True)):
            f = line.split("\t")
            end = int(f[7][4:]) if f[7].startswith("END=") else int(f[1]) + len(f[3]) - 1
            assert (CONTIGS[p.ref_id], p.start[k] + 1, p.end[k], p.offset[k + 1] - p.offset[k]) == (f[0], int(f[1]), end, len(line))
        assert len(p) == p.text.tobytes().count(b"\n")
    return b"".join(p.text.tobytes() for p in parts).decode()


@pytest.mark.parametrize("size, threads", [(1, 1), (7, 1), (333, 3), (10**6, 2)])
def test_blocks_follow_the_rules_at_any_batch_size(size, threads):
    records = made(1, 700)
    expected = model_blocks(records, DEFAULT_GQ_BANDS)
    assert written(records, size, threads, emit_ref_confidence="GVCF") == expected
    assert expected.count("\n") > 100


@pytest.mark.parametrize("ploidy", [1, 2, 4])
def test_bands_floor_and_ploidy(ploidy):
    records, bands = made(2, 900, ploidy), (10, 20, 30, 50)
    options = {"emit_ref_confidence": "GVCF", "gvcf_gq_bands": bands, "sample_ploidy": ploidy}
    assert written(records, 100, **options) == model_blocks(records, bands, False, ploidy)
    assert written(records, 100, floor_blocks=True, **options) == model_blocks(records, bands, True, ploidy)


@pytest.mark.parametrize("mode, model", [("GVCF", lambda r: model_blocks(r, DEFAULT_GQ_BANDS)), ("BP_RESOLUTION", model_positions)])
def test_sites_only(mode, model):
    records = made(4, 200, calls=False)
    expected = "".join("\t".join(line.split("\t")[:8]) + "\n" for line in model(records).splitlines())
    assert written(records, 60, emit_ref_confidence=mode, sites_only_vcf_output=True) == expected


def test_a_call_inside_a_deletion_opens_the_rest_of_it_again():
    records = [(0, p, "A", (9, 0), 27, [0, 27, 270], {10: 8, 13: 1}.get(p, 0)) for p in range(30)]
    lines = written(records, 4, emit_ref_confidence="GVCF").splitlines()
    assert [(f[1], f[7]) for f in map(lambda x: x.split("\t"), lines)] == [
        ("1", "END=10"), ("11", "DP=3"), ("14", "DP=3"), ("15", "END=30")]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_block_has_the_qual_of_the_call_it_begins_with(size):
    """Calls without any ALT but <NON_REF> are in blocks; GATK keeps the first record's QUAL."""
    records = [(0, p, "A", (9, 0), 27 if p < 10 else 40, [0, 27 if p < 10 else 40, 270], 0) for p in range(20)]
    writer, parts = reference_lines(CallerOptions(emit_ref_confidence="GVCF"), CONTIGS, 1), []
    for a in range(0, 20, size):
        some, calls = batch(records[a : a + size])
        mine = [p for p in (0, 4, 10) if a <= p < a + size]
        some.with_qual, some.qual = np.array(mine, np.int64) - a, np.array([p + 0.504 for p in mine])
        parts += writer.add(some, calls)
    text = b"".join(p.text.tobytes() for p in parts + writer.finish()).decode()
    assert [line.split("\t")[5] for line in text.splitlines()] == ["0.50", "10.50"]


def test_one_line_a_position():
    records = made(3, 300, 3)
    options = {"emit_ref_confidence": "BP_RESOLUTION", "sample_ploidy": 3}
    assert written(records, 50, **options) == model_positions(records, 3) == written(records, 10**6, 2, **options)


@pytest.mark.parametrize("bands", [(), (0, 10), (20, 10), (10, 10), (50, 101)])
def test_bad_bands_are_refused(bands):
    with pytest.raises(UserError, match="-GQB"):
        band_edges(bands)
