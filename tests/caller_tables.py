"""Small tables for tests of the caller: reads written as text, regions around them, and regions of a BAM file."""

import re

import numpy as np

from gpugenome.gatk.java import JavaRandom
from gpugenome.io.bam import open_reads
from gpugenome.io.fasta import Reference
from gpugenome.steps.haplotypecaller.columns import CallerReads, Haplotypes, RegionBatch
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import offsets
from gpugenome.steps.haplotypecaller.regions import ContigFeed, RegionMaker

OPS = "MIDNSHP=X"


def words(text):
    """A CIGAR's text as BAM words."""
    return np.array([int(n) << 4 | OPS.index(op) for n, op in re.findall(r"(\d+)([MIDNSHP=X])", text)], np.uint32)


def text(cigar):
    """BAM words as a CIGAR's text."""
    return "".join(f"{w >> 4}{OPS[w & 15]}" for w in np.asarray(cigar).tolist())


def ragged(rows, dtype):
    """Rows as (flat values, offsets)."""
    return np.concatenate([np.empty(0, dtype), *(np.asarray(r, dtype) for r in rows)]), offsets([len(r) for r in rows])


def caller_reads(*rows, ref_id=0):
    """CallerReads of dicts: start (0-based), cigar; optional base (text), qual (list or one value), name, flag, mapq, mate (0-based start),
    mate_ref, tlen, sample."""
    usual = {"flag": 0, "mapq": 60, "mate": -1, "tlen": 0, "sample": 0, "qual": 30}
    rows = [{**usual, "name": f"r{i}", "mate_ref": ref_id if "mate" in r else -1, **r} for i, r in enumerate(rows)]
    cigars = [words(r["cigar"]) for r in rows]
    sizes = [sum(int(n) for n, op in re.findall(r"(\d+)([MIS=X])", r["cigar"])) for r in rows]
    base, base_offset = ragged([np.frombuffer(r.get("base", "A" * n).encode(), np.uint8) for r, n in zip(rows, sizes)], np.uint8)
    qual, _ = ragged([np.broadcast_to(np.asarray(r["qual"], np.uint8), n) for r, n in zip(rows, sizes)], np.uint8)
    name, name_offset = ragged([np.frombuffer(r["name"].encode(), np.uint8) for r in rows], np.uint8)
    cigar, cigar_offset = ragged(cigars, np.uint32)
    end = [r["start"] + sum(int(n) for n, op in re.findall(r"(\d+)([MDN=X])", r["cigar"])) for r in rows]

    def column(key, dtype):
        return np.array([r[key] for r in rows], dtype)

    return CallerReads(
        ref_id, column("start", np.int32), np.array(end, np.int32), column("flag", np.uint16), column("mapq", np.uint8),
        column("mate_ref", np.int32), column("mate", np.int32), column("tlen", np.int32), column("sample", np.int32),
        np.zeros(len(rows), np.int32), base, qual, base_offset, cigar, cigar_offset, name, name_offset,
    )  # fmt: skip


def one_region(reads, start, end, padding=100, length=10**6):
    """A RegionBatch of one active region that holds all reads."""
    i32 = np.int32
    return RegionBatch(reads.ref_id, np.array([start], i32), np.array([end], i32), np.array([max(0, start - padding)], i32),
                       np.array([min(length, end + padding)], i32), np.ones(1, bool), np.array([0, len(reads)], np.int64),
                       np.arange(len(reads), dtype=i32))  # fmt: skip


def row(reads, table, i):
    """Row i of RegionReads: (name, flag, start, CIGAR, bases, qualities)."""
    r = table.source[i]
    b, c, n = table.base_offset, table.cigar_offset, reads.name_offset
    return (bytes(reads.name[n[r] : n[r + 1]]).decode(), int(reads.flag[r]), int(table.start[i]), text(table.cigar[c[i] : c[i + 1]]),
            bytes(table.base[b[i] : b[i + 1]]).decode(), table.qual[b[i] : b[i + 1]].tolist())  # fmt: skip


def regions_of(bam, fasta, options=None, intervals=None, threads=1):
    """(header, bases of the contig, CallerReads, RegionBatch) of a BAM file, window by window; intervals: (contig index, start, end)."""
    reader, reference = open_reads(bam, threads=threads), Reference(fasta)
    header = reader.header
    maker = RegionMaker(header, reference.bases_upper_acgtn, options or CallerOptions(), JavaRandom(), threads)
    feed = ContigFeed(reader.batches())
    wanted = intervals or [(i, 0, int(n)) for i, n in enumerate(header.contig_lengths)]
    for contig in sorted({c for c, _, _ in wanted}):
        spans = [(a, b) for c, a, b in wanted if c == contig]
        for reads, regions in maker.contig(contig, feed.of(contig), spans):
            yield header, reference.bases_upper_acgtn(contig), reads, regions


def haplotypes(per_region, span_start):
    """Haplotypes of regions: lists of (bases, CIGAR text, is_reference, k, score), and where each region's haplotypes begin."""
    flat = [h for region in per_region for h in region]
    base, base_offset = ragged([np.frombuffer(h[0].encode(), np.uint8) for h in flat], np.uint8)
    cigar, cigar_offset = ragged([words(h[1]) for h in flat], np.uint32)
    return Haplotypes(offsets([len(r) for r in per_region]), np.asarray(span_start, np.int32), base, base_offset, cigar, cigar_offset,
                      np.array([h[2] for h in flat], np.uint8), np.array([h[3] for h in flat], np.int32),
                      np.array([h[4] for h in flat], np.float64))  # fmt: skip


def event_list(events, contig, h):
    """Events of haplotype h: (start, REF, ALT)."""
    rows = range(events.offset[h], events.offset[h + 1])
    return [(int(events.start[i]), bytes(contig[events.start[i] : events.start[i] + events.ref_length[i]]).decode(),
             bytes(events.alt[events.alt_offset[i] : events.alt_offset[i + 1]]).decode()) for i in rows]  # fmt: skip
