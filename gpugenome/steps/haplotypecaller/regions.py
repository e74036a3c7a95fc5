"""From coordinate-sorted batches to assembly regions with their reads, window by window. Source: AssemblyRegionIterator of GATK."""


import numpy as np

from gpugenome.batch import Header
from gpugenome.errors import UserError
from gpugenome.gatk import activity_priors
from gpugenome.gatk.java import hash_order
from gpugenome.kernels import activity_cpu, regions_cpu
from gpugenome.kernels.java_math_scalar import log10
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import CallerReads, RegionBatch
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import ReadSelector, join, offsets, take

POSITIONS_PER_CHUNK = 1 << 14


class ContigFeed:
    """Hands the batches of a coordinate-sorted stream to one contig after the other."""

    def __init__(self, batches):
        self._batches, self._held, self._last = iter(batches), None, (-1, -1)

    def of(self, contig: int):
        """Iterator of the batches that hold records of the contig (other records may be among them)."""
        while True:
            if self._held is None:
                self._held = next(self._batches, None)
                if self._held is None:
                    return
                self._check(self._held)
            placed = self._held.ref_id[self._held.ref_id >= 0]
            if not len(placed) or placed[-1] < contig:
                self._held = None
                continue
            if placed[0] > contig:
                return
            yield self._held
            if placed[-1] > contig:
                return
            self._held = None

    def _check(self, batch):
        key = np.where(batch.ref_id >= 0, batch.ref_id.astype(np.int64), 1 << 31) << 32 | (batch.pos.astype(np.int64) + 1)
        key = np.concatenate([[self._last[0]], key]) if self._last[0] >= 0 else key
        bad = np.flatnonzero(np.diff(key) < 0)
        if len(bad):
            raise UserError("the reads are not in coordinate order, expected a coordinate-sorted input (gpugenome sort)")
        if len(key):
            self._last = (int(key[-1]), 0)


class RegionMaker:
    """Makes regions of one contig after another. Coordinates are 0-based half-open.

    bases_of(ref_id): uint8, upper-case ACGTN bases. forced: None, or forced(contig) -> bool[length] positions that are active by
    themselves (given alleles).
    """

    def __init__(self, header: Header, bases_of, options: CallerOptions, rng, threads: int, forced=None):
        self._header, self._bases_of, self._options, self._threads, self._forced = header, bases_of, options, threads, forced
        self._selector = ReadSelector(header, options, rng, threads)
        m = options.activity_ploidy
        ref, _, indel = activity_priors.pseudocounts(options.heterozygosity, options.heterozygosity_stdev, options.indel_heterozygosity)
        self._element = activity_priors.element_likelihoods(m)
        self._prior = activity_priors.alt_copy_priors(m, options.heterozygosity, options.heterozygosity_stdev)
        self._coefficient = activity_priors.genotype_coefficients(m)
        self._pseudocounts = np.array([ref, indel, min(4.0, options.calling_confidence_phred)])
        self._log_ploidy = log10(float(m))
        self._weights = activity_priors.band_pass_kernel()
        names = header.samples if options.sample_name is None else header.samples[:1]
        rank = np.empty(max(1, len(names)), np.int32)
        rank[hash_order(names) or [0]] = np.arange(len(rank))
        self._rank = rank

    def contig(self, ref_id: int, batches, intervals: list[tuple[int, int]]):
        """Iterator of (CallerReads, RegionBatch) over the contig's intervals; a region's reads are rows of the CallerReads beside it.

        batches: iterator of ReadBatch with the contig's records. intervals: sorted, apart, not touching. None among the items: more may
        only be asked for when the calls of all regions so far have made their random draws (downsampling draws come next).
        """
        length = int(self._header.contig_lengths[ref_id])
        window = _Window(self, ref_id, length, intervals)
        pad = self._options.assembly_region_padding
        spans = np.array([(max(0, a - pad), min(length, b + pad)) for a, b in intervals], np.int64)
        for batch in batches:
            mine = self._selector.select(batch, ref_id, spans)
            if len(mine):
                yield from window.take(self._selector.downsample(mine, False, window.may_call_before))
        yield from window.take(self._selector.downsample(take_none(ref_id), True, window.may_call_before))
        yield from window.finish()
        self._selector.finish(ref_id)


def take_none(ref_id: int) -> CallerReads:
    """CallerReads without rows."""
    i32, u8, zero = np.empty(0, np.int32), np.empty(0, np.uint8), np.zeros(1, np.int64)
    return CallerReads(ref_id, i32, i32, np.empty(0, np.uint16), u8, i32, i32, i32, i32, i32, u8, u8, zero, np.empty(0, np.uint32), zero,
                       u8, zero)  # fmt: skip


class _Window:
    """The part of a contig in memory: reads that later regions may need, the profile from the first uncut position on."""

    def __init__(self, maker, ref_id, length, intervals):
        self._m, self._ref_id, self._length = maker, ref_id, length
        self._reads = take_none(ref_id)
        self._todo = [(int(a), int(b)) for a, b in intervals]
        self._machine = np.zeros(4, np.int64)
        self._machine[regions_cpu.LAST] = -1
        self._v, self._origin = np.zeros(0), 0
        self._bases = None
        self._waiting = np.empty((0, 4), np.int64)
        self._forced = maker._forced(ref_id) if maker._forced else None
        # With reference confidence there is no QD, so nothing draws but the downsampler.
        self._interleaves = not maker._options.with_reference_confidence
        self._spans, self._ready = np.array(intervals, np.int64).reshape(-1, 2), -1

    def take(self, pieces):
        """Hand out regions while reads (and None, see `ReadSelector.downsample`) come."""
        for reads in pieces:
            if reads is None:
                yield None
            elif len(reads):
                self._reads = join([self._reads, reads])
                # Reads that begin at or after the last start may still come.
                yield from self._advance(int(reads.start[-1]), False)

    def finish(self):
        yield from self._advance(self._length, True)

    def may_call_before(self, start):
        """Whether a region may be called before reads that begin at `start` are taken."""
        if len(self._waiting):
            first = int(self._waiting[0, 0])
        elif self._machine[regions_cpu.LAST] >= 0:
            first = int(self._machine[regions_cpu.START])
        else:
            first = self._todo[0][0] if self._todo else start
        return self._interleaves and start > first + self._m._options.assembly_region_padding

    def _advance(self, safe, last):
        """Evaluate positions below `safe`, hand out the regions whose padded span ends there."""
        o = self._m._options
        found = [self._waiting]
        while self._todo and self._todo[0][0] < safe:
            a, b = self._todo[0]
            found.append(self._sites(a, min(b, safe), b <= safe))
            if b <= safe:
                self._todo.pop(0)
            else:
                self._todo[0] = (safe, b)
                break
        regions = np.concatenate(found)
        pad = o.assembly_region_padding
        ready = len(regions) if last else int(np.searchsorted(regions[:, 1] + pad, safe, "right"))
        if self._interleaves and not last:
            ready = min(ready, self._callable(regions))
        out, self._waiting = regions[:ready], regions[ready:]
        if len(out):
            yield self._reads, self._batch(out)
        if last:
            return
        if len(self._waiting):
            needed = int(self._waiting[0, 0]) - pad
        elif self._machine[regions_cpu.LAST] >= 0:
            needed = int(self._machine[regions_cpu.START]) - pad
        else:
            needed = (self._todo[0][0] if self._todo else safe) - pad
        needed = min(needed, safe - pad)
        keep = np.flatnonzero(self._reads.end > needed)
        if len(keep) < len(self._reads):
            self._reads = take(self._reads, keep, self._m._threads)

    def _sites(self, a, b, ends):
        """Regions that become certain when the sites a..b of one interval are added."""
        maker, o, machine = self._m, self._m._options, self._machine
        probability, soft_clip = self._activity(a, b)
        begin = int(machine[regions_cpu.START]) if machine[regions_cpu.LAST] >= 0 else a
        room = b - begin + len(maker._weights)
        v = np.zeros(room)
        if machine[regions_cpu.LAST] >= 0:
            old = self._v[begin - self._origin : int(machine[regions_cpu.STOP]) - self._origin]
            v[: len(old)] = old
        self._v, self._origin = v, begin
        most = b - begin + 2
        start, stop, active, cut = (np.empty(most, np.int64) for _ in range(4))
        machine[regions_cpu.COUNT] = 0
        shape = (o.active_probability_threshold, o.min_assembly_region_size, o.max_assembly_region_size, start, stop, active, cut)
        regions_cpu.add_sites(a, probability, soft_clip, self._length, maker._weights, o.max_prob_propagation_distance, v, begin, machine,
                              *shape)  # fmt: skip
        if ends:
            regions_cpu.flush(v, begin, machine, self._todo[1][0] if len(self._todo) > 1 else self._length, *shape)
        n = int(machine[regions_cpu.COUNT])
        if o.force_active:
            active[:n] = 1
        return np.stack([start[:n], stop[:n], active[:n], cut[:n]], 1)

    def _callable(self, regions):
        """How many of the regions GATK calls before it draws for reads that are not here yet."""
        reads, ready = self._reads, np.zeros(max(1, len(regions)), np.int64)
        if not len(reads) or not len(regions):
            return 0
        high = np.minimum(regions[:, 1] + self._m._options.assembly_region_padding, self._length)
        n = int(regions_cpu.callable_regions(
            high, np.ascontiguousarray(regions[:, 3]), self._ready, np.ascontiguousarray(self._spans[:, 0]),
            np.ascontiguousarray(self._spans[:, 1]), reads.start, np.maximum.accumulate(reads.end), reads.flag, reads.mate_ref_id,
            reads.mate_start, reads.tlen, reads.end, ready,
        ))  # fmt: skip
        if n:
            self._ready = int(ready[n - 1])
        return n

    def _activity(self, a, b):
        maker, o, reads = self._m, self._m._options, self._reads
        if self._bases is None:
            self._bases = maker._bases_of(self._ref_id)
        probability, soft_clip = np.zeros(b - a), np.zeros(b - a)
        if len(reads):
            reach = np.maximum.accumulate(reads.end)
            columns = (reads.start, reads.end, reads.flag, reads.mate_ref_id, reads.mate_start, reads.tlen, reads.base, reads.qual,
                       reads.base_offset, reads.cigar, reads.cigar_offset)  # fmt: skip

            def chunk(begin, end):
                for lo in range(begin, end, POSITIONS_PER_CHUNK):
                    hi = min(end, lo + POSITIONS_PER_CHUNK)
                    first = int(np.searchsorted(reach, a + lo, "right"))
                    activity_cpu.activity(
                        lo, hi, a, columns, reads.sample, maker._rank, first, len(reads), self._bases, maker._element, maker._log_ploidy,
                        maker._prior, maker._coefficient, maker._pseudocounts, o.min_base_quality_score,
                        o.reference_model_deletion_quality, probability, soft_clip,
                    )  # fmt: skip

            run_chunks(chunk, b - a, maker._threads)
        if self._forced is not None:
            here = self._forced[a:b]
            probability[here], soft_clip[here] = 1.0, 0.0
        return probability, soft_clip

    def _batch(self, regions):
        pad, reads, threads = self._m._options.assembly_region_padding, self._reads, self._m._threads
        start, end = regions[:, 0], regions[:, 1]
        low, high = np.maximum(start - pad, 0), np.minimum(end + pad, self._length)
        reach = np.maximum.accumulate(reads.end) if len(reads) else np.empty(0, np.int32)
        first = np.searchsorted(reach, low, "right").astype(np.int64)
        count = np.empty(len(regions), np.int64)
        run_chunks(regions_cpu.count_reads, len(regions), threads, low, high, first, reads.start, reads.end, count)
        offset = offsets(count)
        index = np.empty(int(offset[-1]), np.int32)
        run_chunks(regions_cpu.fill_reads, len(regions), threads, low, high, first, reads.start, reads.end, offset, index)
        i32 = np.int32
        return RegionBatch(self._ref_id, start.astype(i32), end.astype(i32), low.astype(i32), high.astype(i32), regions[:, 2] > 0, offset,
                           index)  # fmt: skip


def region_trace(contig: str, regions: RegionBatch) -> str:
    """Rows of --assembly-region-out for a batch."""
    return "".join(
        f"{contig}\t{s}\t{s + 1}\tend-marker\t0.00000\n{contig}\t{s}\t{e}\tsize={e - s}\t{1 if active else -1:.5f}\n"
        for s, e, active in zip(regions.start.tolist(), regions.end.tolist(), regions.is_active.tolist())
    )


TRACE_HEADER = "#track graphType=line\nChromosome\tStart\tEnd\tFeature\tAssemblyRegions\n"


def contig_intervals(header: Header, intervals) -> dict[int, list[tuple[int, int]]]:
    """Intervals by contig, touching ones joined; every contig whole where intervals is None."""
    if intervals is None:
        return {i: [(0, int(n))] for i, n in enumerate(header.contig_lengths)}
    out: dict[int, list[tuple[int, int]]] = {}
    for ref_id, start, end in intervals:
        mine = out.setdefault(ref_id, [])
        if mine and mine[-1][1] >= start:
            mine[-1] = (mine[-1][0], max(mine[-1][1], end))
        else:
            mine.append((start, end))
    return out
