"""The reads that calls come from, realigned, and the haplotypes, as sorted alignments (--bamout). Source: GATK HaplotypeBAMWriter."""

import numpy as np

from gpugenome.batch import Header, ReadBatch
from gpugenome.columns import concat, decode, take, text_values
from gpugenome.io.headers import htsjdk_header
from gpugenome.kernels import bamout_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.sam_tags_cpu import LEAVE, reencode, reencoded_sizes
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallBatch, CallerReads, LikelihoodBatch, RegionBatch
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import gather, offsets
from gpugenome.steps.sort import COORDINATE, ResidentRun, write_bins

_GROUP = "ArtificialHaplotypeRG"
_MAPPING_QUALITY, _REVERSE, _BASE_QUALITY = 60, 16, 33


def bamout_header(header: Header, options: CallerOptions) -> Header:
    """The header of --bamout for reads with this header."""
    kept = "".join(line + "\n" for line in header.text.splitlines() if not line.startswith(("@HD", "@CO")))
    group = "" if options.bam_writer_type == "NO_HAPLOTYPES" else f"@RG\tID:{_GROUP}\tSM:HC\tCN:BI\n"
    return htsjdk_header(Header.from_text(kept + group), "coordinate", None, "@PG\tID:HaplotypeBAMWriter\n")


def _spans(contig, start, stop):
    """Rows of Z values "contig:start-end"."""
    n = len(start)
    length = np.empty((2, n), np.int64)
    kernel.digits(0, n, start.astype(np.int64) + 1, length[0])
    kernel.digits(0, n, stop.astype(np.int64), length[1])
    offset = offsets(length.sum(0) + len(contig) + 4)
    out = np.empty(int(offset[-1]), np.uint8)
    kernel.spans(0, n, contig, start, stop, out, offset)
    return out, offset


def _hash_order(region: np.ndarray, hashes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The order in which java.util.HashSet lists the haplotypes of each region.

    region, hashes, found: int64 by haplotype; found: the order in which they came into GATK's set, of which another set is a copy.
    """
    spread = hashes & 0xFFFFFFFF
    spread = spread ^ (spread >> 16)
    n = np.bincount(region, minlength=1)[region]
    grown, copied = np.full(len(n), 16), np.full(len(n), 16)
    while (small := n > 0.75 * grown).any():
        grown[small] *= 2
    while (small := copied < (n / np.float32(0.75)).astype(np.int64) + 1).any():
        copied[small] *= 2
    return np.lexsort((found, spread & (grown - 1), spread & (copied - 1), region))


class HaplotypeReads:
    """Makes --bamout's records of batches of regions, in order, and hands them to `write` sorted.

    write(ReadBatch): called with records in their final order.
    """

    def __init__(self, header: Header, options: CallerOptions, write, threads: int = 1):
        self._header, self._options, self._write, self._threads = header, options, write, threads
        self._held: list[ReadBatch] = []
        self._haplotypes, self._ref_id = 0, -1

    def add(self, reads: CallerReads, regions: RegionBatch, assembly: AssemblyBatch, likelihoods: LikelihoodBatch, calls: CallBatch):
        """Take the records of some regions, which begin at or after those before."""
        if regions.ref_id != self._ref_id:
            self.finish()
            self._ref_id = regions.ref_id
        kind, has_variation = self._options.bam_writer_type, np.diff(assembly.haplotypes.offset) > 0
        if kind.startswith("CALLED"):
            has_variation = np.bincount(calls.region, minlength=len(regions)) > 0
        contig = np.frombuffer(self._header.contig_names[regions.ref_id].encode(), np.uint8)
        batches = []
        if kind != "NO_HAPLOTYPES":
            batches.append(self._of_haplotypes(assembly, calls, contig, kind))
        if kind != "CALLED_HAPLOTYPES_NO_READS":
            batches.append(self._of_reads(reads, has_variation, assembly, likelihoods, calls, contig))
        self._held += [b for b in batches if len(b)]
        # Nothing begins before the padding of a region that is still to come.
        self._hand_out(int(regions.end[-1]) - self._options.assembly_region_padding)

    def finish(self) -> None:
        """Hand out what is left."""
        self._hand_out(1 << 31)

    def _hand_out(self, below):
        if not self._held:
            return
        ordered = concat(list(ResidentRun(self._held, COORDINATE, True, self._threads).batches()))
        cut = int(np.searchsorted(ordered.pos, below))
        index = np.arange(len(ordered))
        if cut:
            self._write(take(ordered, index[:cut]))
        self._held = [take(ordered, index[cut:])] if cut < len(ordered) else []

    def _of_haplotypes(self, assembly: AssemblyBatch, calls: CallBatch, contig, kind) -> ReadBatch:
        table = assembly.haplotypes
        region = np.repeat(np.arange(len(table.offset) - 1), np.diff(table.offset))
        hashes = np.empty(len(table), np.int64)
        run_chunks(kernel.hashes, len(table), self._threads, table.base, table.base_offset, hashes)
        rows = np.arange(len(table))
        if kind != "ALL_POSSIBLE_HAPLOTYPES":
            rows = np.flatnonzero(calls.hap_called)
            rows = rows[_hash_order(region[rows], hashes[rows], calls.hap_called[rows])]
        n, region = len(rows), region[rows]
        index = np.arange(n) - np.searchsorted(region, region)
        length = np.empty((2, n), np.int64)
        kernel.digits(0, n, self._haplotypes + 1 + np.arange(n), length[0])
        kernel.digits(0, n, index, length[1])
        name_offset = offsets(length.sum(0) + 4)
        name = np.empty(int(name_offset[-1]), np.uint8)
        kernel.names(0, n, self._haplotypes + 1, index, name, name_offset)
        self._haplotypes += n
        base, base_offset = gather(table.base, table.base_offset, rows, self._threads)
        fixed = [np.full(n, v, np.int64) for v in (self._ref_id, 0, _MAPPING_QUALITY, _REVERSE, -1, -1, 0)]
        fixed[1] = table.span_start[region].astype(np.int64)
        qual = np.full(len(base), _BASE_QUALITY, np.uint8)
        cigar, cigar_offset = gather(table.cigar, table.cigar_offset, rows, self._threads)
        group, group_offset = text_values([f"Z{_GROUP}\0"])
        edits = {
            "HC": (*_integers(hashes[rows]), np.arange(n)),
            "CR": (*_spans(contig, assembly.variant_start, assembly.variant_end), region),
            "RG": (group, group_offset, np.zeros(n, np.int64)),
        }  # fmt: skip
        no_tags = np.empty(0, np.uint8), np.zeros(n + 1, np.int64)
        return self._records(fixed, (name, name_offset), (cigar, cigar_offset), base, qual, base_offset, no_tags, edits)

    def _of_reads(self, reads: CallerReads, wanted, assembly: AssemblyBatch, likelihoods: LikelihoodBatch, calls: CallBatch, contig):
        """Records of the reads of the regions `wanted` (bool[r])."""
        table, mine, threads = assembly.haplotypes, likelihoods.reads, self._threads
        region = np.repeat(np.arange(len(wanted)), np.diff(mine.region_offset))
        hashes, ahead = np.empty(len(table), np.int64), np.empty(len(mine), np.uint8)
        run_chunks(kernel.hashes, len(table), threads, table.base, table.base_offset, hashes)
        run_chunks(kernel.informative, len(mine), threads, region, mine.region_offset, mine.filtered, likelihoods.matrix,
                   likelihoods.matrix_offset, table.offset, ahead)  # fmt: skip
        rows = np.flatnonzero(wanted[region] & (mine.filtered == 0))
        source, region = mine.source[rows], region[rows]
        name, tag = (gather(getattr(reads, c), getattr(reads, f"{c}_offset"), source, threads) for c in ("name", "tag"))
        base, base_offset = gather(mine.base, mine.base_offset, rows, threads)
        qual, _ = gather(mine.qual, mine.base_offset, rows, threads)
        cigar = gather(mine.cigar, mine.cigar_offset, rows, threads)
        fixed = [c.astype(np.int64) for c in (np.full(len(rows), self._ref_id), mine.start[rows], reads.mapq[source], reads.flag[source],
                                              reads.mate_ref_id[source], reads.mate_start[source], reads.tlen[source])]  # fmt: skip
        best = table.offset[region] + likelihoods.best_haplotype[rows]
        texts, text_offset = self._supported(reads, likelihoods, calls, contig, len(wanted))
        edits = {
            "HC": (*_integers(hashes), np.where(ahead[rows], best, LEAVE)),
            "AR": (*_spans(contig, assembly.trimmed_start, assembly.trimmed_end), region),
            "CR": (*_spans(contig, assembly.variant_start, assembly.variant_end), region),
            "XA": (texts, text_offset, np.where(np.diff(text_offset)[rows] > 0, rows, LEAVE)),
        }  # fmt: skip
        return self._records(fixed, name, cigar, base, qual, base_offset, tag, edits)

    def _supported(self, reads: CallerReads, likelihoods: LikelihoodBatch, calls: CallBatch, contig, n_regions):
        """Ragged Z values of XA by read of the likelihoods; an empty row where it is not changed."""
        source = likelihoods.reads.source
        old, old_length = (np.empty(len(reads), np.int64) for _ in range(2))
        run_chunks(kernel.old_text, len(reads), self._threads, reads.tag, reads.tag_offset, old, old_length)
        old, old_length = old[source], old_length[source]
        region_call_offset = np.searchsorted(calls.region, np.arange(n_regions + 1))
        size, out = np.zeros(len(source), np.int64), np.empty(0, np.uint8)
        offset = np.zeros(len(source) + 1, np.int64)
        for fill in (False, True):
            size[:] = 0
            run_chunks(
                kernel.supported_alleles, n_regions, self._threads, region_call_offset, contig, calls.start, calls.evidence_offset,
                calls.evidence_read, calls.evidence_matrix, calls.evidence_matrix_offset, calls.column_offset, calls.column_allele,
                reads.tag, old, old_length, fill, size, out, offset,
            )  # fmt: skip
            if not fill:
                offset = offsets(size)
                out = np.empty(int(offset[-1]), np.uint8)
        return out, offset

    def _records(self, fixed, name, cigar, base, qual, base_offset, tag, edits) -> ReadBatch:
        """A batch of records. name, cigar, tag: ragged (values, offsets). edits: tag -> (values, offsets, row or LEAVE by record)."""
        n, threads = len(base_offset) - 1, self._threads
        n_base, n_name, n_cigar = np.diff(base_offset), np.diff(name[1]) + 1, np.diff(cigar[1])
        tag_at = 36 + n_name + 4 * n_cigar + (n_base + 1) // 2 + n_base
        offset = offsets(tag_at + np.diff(tag[1]))
        data = np.empty(int(offset[-1]), np.uint8)
        run_chunks(kernel.records, n, threads, tuple(fixed), *name, *cigar, base, qual, base_offset, *tag, data, offset)
        code = np.array([ord(t[1]) << 8 | ord(t[0]) for t in edits], np.int64)
        value, value_offset, rows = np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty((len(edits), n), np.int32)
        for k, (values, at, row) in enumerate(edits.values()):
            rows[k] = np.where(row == LEAVE, LEAVE, row + len(value_offset) - 1)
            value, value_offset = np.concatenate([value, values]), np.concatenate([value_offset, at[1:] + len(value)])
        size = np.empty(n, np.int64)
        start = offset[:-1] + tag_at
        run_chunks(reencoded_sizes, n, threads, data, offset, start, code, rows, value, value_offset, size)
        new_offset = offsets(size)
        out = np.empty(int(new_offset[-1]), np.uint8)
        run_chunks(reencode, n, threads, data, offset, start, code, rows, value, value_offset, out, new_offset)
        batch = decode(out, new_offset, np.full(n, -1, np.int32), threads)
        write_bins(batch, self._header.contig_lengths, threads)
        return batch


def _integers(values):
    """Ragged values of 32-bit integer tags."""
    out = np.empty((len(values), 5), np.uint8)
    out[:, 0] = ord("i")
    out[:, 1:] = values.astype("<i4").view(np.uint8).reshape(-1, 4)
    return out.ravel(), np.arange(len(values) + 1) * 5
