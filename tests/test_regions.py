"""Assembly regions against GATK's --assembly-region-out, and their independence of batches, threads and deep groups."""

import gzip

import numpy as np
import pytest

from gpugenome.batch import Header
from gpugenome.columns import take
from gpugenome.gatk.java import JavaRandom
from gpugenome.io.bam import open_reads
from gpugenome.io.fasta import Reference
from gpugenome.kernels import regions_cpu
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.regions import TRACE_HEADER, ContigFeed, RegionMaker, contig_intervals, region_trace


def trace(bam, fasta, threads=2, batch_reads=200_000, intervals=None, options=None):
    reads, genome = open_reads(bam, threads=threads), Reference(fasta)
    header: Header = reads.header
    maker = RegionMaker(header, genome.bases_upper_acgtn, options or CallerOptions(), JavaRandom(), threads)
    feed, text, names = ContigFeed(reads.batches(batch_reads)), TRACE_HEADER, []
    for ref_id, spans in contig_intervals(header, intervals).items():
        for item in maker.contig(ref_id, feed.of(ref_id), spans):
            if item is not None:
                text += region_trace(header.contig_names[ref_id], item[1])
                names.append(np.concatenate([item[1].read_offset, item[0].start[item[1].read_index]]).tolist())
    return text, names


def expected(path):
    with gzip.open(path, "rt") as f:
        return f.read()


def test_demo_regions_are_gatks(demo):
    golden = demo / "golden"
    whole, _ = trace(golden / "recalibrated.bam", demo / "reference.fa.gz")
    assert whole == expected(golden / "assembly_regions.igv.gz")


@pytest.mark.parametrize("mode", ["NONE", "GVCF"])
def test_regions_do_not_depend_on_batches_or_threads(demo, mode):
    arguments = demo / "golden" / "recalibrated.bam", demo / "reference.fa.gz"
    options = CallerOptions(emit_ref_confidence=mode)
    assert trace(*arguments, threads=1, batch_reads=997, options=options)[0] == trace(*arguments, options=options)[0]


@pytest.mark.shared
@pytest.mark.parametrize("sample", ["hg002_chr20", "na12878_chr21", "na12878_chr21/multi_rg"])
def test_golden_regions_are_gatks(shared, sample):
    golden = shared / "golden" / sample
    whole, _ = trace(golden / "recalibrated.bam", shared / "data" / sample.split("/")[0] / "reference.fa.gz")
    assert whole == expected(golden / "assembly_regions.igv.gz")


def test_calls_wait_for_the_draws_that_gatk_makes_before_them():
    # Two regions cut at 400 and 700; reads of 100 bases, one group every 50 bases, two reads each.
    start = np.repeat(np.arange(0, 1200, 50), 2).astype(np.int32)
    end, n = start + 100, len(start)
    room, none, flag = np.zeros(2, np.int64), np.full(n, -1, np.int32), np.zeros(n, np.uint16)
    arguments = np.array([400, 700]), np.array([450, 700]), -1, np.array([0]), np.array([1200])

    def called(known, zero=none * 0):
        k = slice(0, known)
        return regions_cpu.callable_regions(*arguments, start[k], end[k], flag[k], none[k], none[k], zero[k], end[k], room)

    # Region 1 is ready at 700; the pileup after it is at 701, the group after that begins at 750 and must be complete.
    first = int(np.searchsorted(start, 750, "right"))
    assert called(first) == 1
    assert called(first - 2) == 0


def test_deep_groups_are_sampled_with_javas_draws(demo):
    reads, genome = open_reads(demo / "golden" / "recalibrated.bam", threads=1), Reference(demo / "reference.fa.gz")
    one = reads.read_all()
    copies = 60
    deep = int(np.flatnonzero((one.flag & 0x904 == 0) & (one.mapq >= 60))[500])
    order = np.sort(np.concatenate([np.arange(len(one)), np.full(copies, deep)]))
    batch = take(one, order)
    maker = RegionMaker(reads.header, genome.bases_upper_acgtn, CallerOptions(), rng := JavaRandom(), 1)
    pauses = kept = 0
    place = int(one.ref_id[deep]), int(one.pos[deep])
    for ref_id, spans in contig_intervals(reads.header, None).items():
        for item in maker.contig(ref_id, ContigFeed([batch]).of(ref_id), spans):
            pauses += item is None
            if item is not None and ref_id == place[0]:
                kept = max(kept, int((item[0].start == place[1]).sum()))
    assert kept == 50
    assert rng.get_state() != JavaRandom().get_state()
    assert pauses == 1
