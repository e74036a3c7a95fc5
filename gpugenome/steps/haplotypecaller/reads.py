"""Reads for the caller: filters, unpacking, positional downsampling. Source: HaplotypeCallerEngine, PositionalDownsampler of GATK."""

from dataclasses import fields

import numpy as np

from gpugenome.batch import Header, ReadBatch
from gpugenome.errors import UserError
from gpugenome.kernels import caller_reads_cpu as kernel
from gpugenome.kernels.bam_records_cpu import copy_bytes_ragged
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import CallerReads
from gpugenome.steps.haplotypecaller.options import CallerOptions

FILTER_BITS = {
    "MappingQualityReadFilter": kernel.MAPPING_QUALITY, "MappingQualityAvailableReadFilter": kernel.MAPPING_QUALITY_AVAILABLE,
    "MappedReadFilter": kernel.MAPPED, "NotSecondaryAlignmentReadFilter": kernel.NOT_SECONDARY,
    "NotDuplicateReadFilter": kernel.NOT_DUPLICATE, "PassesVendorQualityCheckReadFilter": kernel.PASSES_VENDOR,
    "NonZeroReferenceLengthAlignmentReadFilter": kernel.NON_ZERO_REFERENCE_LENGTH, "GoodCigarReadFilter": kernel.GOOD_CIGAR,
    "WellformedReadFilter": kernel.WELLFORMED, "NotSupplementaryAlignmentReadFilter": kernel.NOT_SUPPLEMENTARY,
    "PairedReadFilter": kernel.PAIRED, "ProperlyPairedReadFilter": kernel.PROPERLY_PAIRED,
    "FirstOfPairReadFilter": kernel.FIRST_OF_PAIR, "SecondOfPairReadFilter": kernel.SECOND_OF_PAIR,
    "PrimaryLineReadFilter": kernel.PRIMARY_LINE,
}  # fmt: skip
DEFAULT_FILTERS = 511
_FIXED = ("start", "end", "flag", "mapq", "mate_ref_id", "mate_start", "tlen", "sample", "read_group")
_RAGGED = {"base": "base_offset", "qual": "base_offset", "cigar": "cigar_offset", "name": "name_offset", "tag": "tag_offset"}


def filter_bits(options: CallerOptions) -> int:
    """The filters in use, as bits of `kernels.caller_reads_cpu`.

    Raises
    ------
    UserError: a filter that is not known.
    """
    bits = 0 if options.disable_tool_default_read_filters else DEFAULT_FILTERS
    for name in (*options.read_filters, *options.disabled_read_filters):
        if name not in FILTER_BITS:
            raise UserError(f"read filter {name}: not supported, expected one of {', '.join(FILTER_BITS)}")
    for name in options.read_filters:
        bits |= FILTER_BITS[name]
    for name in options.disabled_read_filters:
        bits &= ~FILTER_BITS[name]
    return bits


def offsets(lengths) -> np.ndarray:
    """int64[n + 1]: where rows of these lengths begin."""
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def gather(values, offset, rows, threads=1):
    """Rows of a ragged column: (values, offset)."""
    new = offsets((offset[1:] - offset[:-1])[rows])
    out = np.empty(int(new[-1]), values.dtype)
    run_chunks(kernel.gather_ragged, len(rows), threads, rows, values, offset, out, new)
    return out, new


def take(reads: CallerReads, rows, threads: int = 1) -> CallerReads:
    """Rows of CallerReads, in that order."""
    rows = np.asarray(rows, np.int64)
    columns = {name: getattr(reads, name)[rows] for name in _FIXED}
    for name, offset in _RAGGED.items():
        columns[name], columns[offset] = gather(getattr(reads, name), getattr(reads, offset), rows, threads)
    return CallerReads(reads.ref_id, **columns)


def join(parts: list[CallerReads]) -> CallerReads:
    """CallerReads one after the other (at least one)."""
    if len(parts) == 1:
        return parts[0]
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(CallerReads)
               if f.name != "ref_id" and not f.name.endswith("_offset")}  # fmt: skip
    for offset in set(_RAGGED.values()):
        columns[offset] = offsets(np.concatenate([np.diff(getattr(p, offset)) for p in parts]))
    return CallerReads(parts[0].ref_id, **columns)


class ReadSelector:
    """Turns ReadBatch into CallerReads of one contig: filters, then reservoirs of reads that begin at the same position.

    rng: `gatk.java.JavaRandom`, shared with the rest of the run. A group is complete when a later start was seen or at `finish`.
    """

    def __init__(self, header: Header, options: CallerOptions, rng, threads: int):
        self._header, self._options, self._rng, self._threads = header, options, rng, threads
        self._bits = filter_bits(options)
        names = header.samples
        self._sample = np.array([names.index(g["SM"]) if "SM" in g else -1 for g in header.read_groups] or [-1], np.int32)
        self._pending: CallerReads | None = None

    def select(self, batch: ReadBatch, contig: int, spans: np.ndarray) -> CallerReads:
        """Reads of the contig that pass the filters and overlap a span (int64[k, 2], sorted), before downsampling."""
        o, n, threads = self._options, len(batch), self._threads
        keep, stop = np.empty(n, np.uint8), np.empty(n, np.int32)
        run_chunks(
            kernel.filter_reads, n, threads, batch.data, batch.offset, batch.ref_id, batch.pos, batch.mapq, batch.flag, batch.name_length,
            batch.n_cigar, batch.seq_length, batch.read_group, contig, int(self._header.contig_lengths[contig]), self._bits,
            o.minimum_mapping_quality, 255 if o.maximum_mapping_quality is None else o.maximum_mapping_quality,
            np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]), keep, stop,
        )  # fmt: skip
        rows = np.flatnonzero(keep)
        length = batch.seq_length[rows].astype(np.int64)
        base_offset, cigar_offset = offsets(length), offsets(batch.n_cigar[rows].astype(np.int64))
        name_offset = offsets(batch.name_length[rows].astype(np.int64) - 1)
        base, qual = np.empty(int(base_offset[-1]), np.uint8), np.empty(int(base_offset[-1]), np.uint8)
        cigar, name = np.empty(int(cigar_offset[-1]), np.uint32), np.empty(int(name_offset[-1]), np.uint8)
        bad = run_chunks(
            kernel.unpack_reads, len(rows), threads, rows, batch.data, batch.offset, batch.name_length, batch.n_cigar, batch.seq_length,
            kernel.NUCLEOTIDE, base, qual, base_offset, cigar, cigar_offset, name, name_offset,
        )  # fmt: skip
        if max(bad, default=-1) >= 0:
            raise UserError(f"read {batch.name(max(bad))}: its sequence holds '=', expected bases")
        group = batch.read_group[rows]
        tag, tag_offset = np.empty(0, np.uint8), np.zeros(len(rows) + 1, np.int64)
        if o.with_tags:
            start = batch.tag_start[rows]
            tag_offset = offsets(batch.offset[rows + 1] - start)
            tag = np.empty(int(tag_offset[-1]), np.uint8)
            run_chunks(copy_bytes_ragged, len(rows), threads, batch.data, start, np.diff(tag_offset), tag, tag_offset)
        return CallerReads(
            contig, batch.pos[rows], stop[rows], batch.flag[rows], batch.mapq[rows], batch.mate_ref_id[rows], batch.mate_pos[rows],
            batch.tlen[rows], self._sample[group], group, base, qual, base_offset, cigar, cigar_offset, name, name_offset, tag,
            tag_offset,
        )  # fmt: skip

    def downsample(self, reads: CallerReads, last: bool, interleaves):
        """Iterator over the reads whose groups are complete, at most max_reads_per_alignment_start of each, in GATK's order.

        interleaves(start): whether calls may come before the draws of a group that begins there; then the reads before it are handed out,
        and None, after which the iterator must only be asked for more when those calls have made their draws.
        """
        if self._pending is not None:
            reads, self._pending = join([self._pending, reads]), None
        target, n = self._options.max_reads_per_alignment_start, len(reads)
        if n == 0:
            return
        first = np.concatenate([[0], np.flatnonzero(np.diff(reads.start)) + 1, [n]])
        if not last:
            self._pending = take(reads, np.arange(first[-2], n))
            first = first[:-1]
        size = np.diff(first)
        deep = np.flatnonzero(size > target) if target > 0 else np.empty(0, np.int64)
        row = np.arange(int(first[-1]))
        keep = np.ones(len(row), bool)
        done = 0
        for g in deep:  # a pass over groups above the target: their draws follow one another
            a, b = int(first[g]), int(first[g + 1])
            if interleaves(int(reads.start[a])):
                if done < a:
                    yield take(reads, row[done:a][keep[done:a]], self._threads)
                    done = a
                yield None
            slots = np.empty(target, np.int64)
            self._rng.state = int(kernel.reservoir(a, b, target, np.int64(self._rng.state), slots))
            row[a : a + target] = slots
            keep[a + target : b] = False
        if done < len(row):
            yield take(reads, row[done:][keep[done:]], self._threads)

    def finish(self, contig: int) -> None:
        """Forget the contig."""
        self._pending = None
