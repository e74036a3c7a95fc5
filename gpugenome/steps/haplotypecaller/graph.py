"""Local assembly: from finalised reads to the untrimmed haplotypes of every region. Source: ReadThreadingAssembler of GATK."""

import numpy as np

from gpugenome.errors import UserError
from gpugenome.kernels import assembly_graphs_cpu, assembly_haplotypes_cpu, assembly_paths_cpu, assembly_pruning_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import CallerReads, Haplotypes, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.options import CallerOptions, SmithWatermanParameters
from gpugenome.steps.haplotypecaller.reads import gather, offsets

KMER_STEP, MORE_KMER_SIZES = 10, 6
"""Where none of the given k-mer sizes works, so many larger ones are tried, so far apart; the last one with fewer demands."""


def _check(options: CallerOptions) -> None:
    if options.adaptive_pruning and not 0 < (rate := options.adaptive_pruning_initial_error_rate) <= 1:
        raise UserError(f"--adaptive-pruning-initial-error-rate is {rate}, expected above 0 and at most 1")
    for name in ("num_pruning_samples", "max_num_haplotypes_in_population"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}, expected 1 or more")
    if not options.kmer_size or min(options.kmer_size) < 1:
        raise UserError(f"--kmer-size is {', '.join(map(str, options.kmer_size)) or 'empty'}, expected 1 or more")


def _settings(options: CallerOptions, any_complexity: bool, any_repeats: bool) -> np.ndarray:
    """int64[7] of `kernels.assembly_graphs_cpu`."""
    out = np.empty(7, np.int64)
    out[assembly_graphs_cpu.MIN_PRUNING] = 0 if options.adaptive_pruning else options.min_pruning
    out[assembly_graphs_cpu.PRUNING_SAMPLES] = options.num_pruning_samples
    out[assembly_graphs_cpu.MIN_BRANCH] = options.min_dangling_branch_length
    out[assembly_graphs_cpu.ALL_BRANCHES] = options.recover_all_dangling_branches
    out[assembly_graphs_cpu.MIN_QUALITY] = options.min_base_quality_score
    out[assembly_graphs_cpu.ANY_COMPLEXITY] = any_complexity
    out[assembly_graphs_cpu.ANY_REPEATS] = any_repeats
    return out


def _adaptive(options: CallerOptions) -> np.ndarray:
    """float64[4] of `kernels.assembly_pruning_cpu`."""
    out = np.zeros(4)
    if options.adaptive_pruning:
        out[assembly_pruning_cpu.ERROR_RATE] = options.adaptive_pruning_initial_error_rate
        out[assembly_pruning_cpu.LOG_ODDS] = options.pruning_lod_threshold
        out[assembly_pruning_cpu.SEEDING_LOG_ODDS] = options.pruning_seeding_lod_threshold
        out[assembly_pruning_cpu.MOST_VARIANTS] = options.max_unpruned_variants
    return out


def _scores(p: SmithWatermanParameters) -> np.ndarray:
    return np.array([p.match, p.mismatch, p.gap_open, p.gap_extend], np.int64)


def _stop_at(regions: RegionBatch, bad, why: str) -> None:
    """Raise the error of the first bad region, if there is one."""
    for r in np.flatnonzero(bad)[:1]:
        raise UserError(f"region at {int(regions.start[r]) + 1}-{int(regions.end[r])}: {why} (GATK stops here as well)")


class _Assembler:
    """The inputs of `assemble` and the paths found so far."""

    def __init__(self, finalised, reads, regions, contig_bases, options, threads):
        self._finalised, self._regions, self._contig, self._options, self._threads = finalised, regions, contig_bases, options, threads
        self._sample = reads.sample[finalised.source]
        self._repeats = np.ones(len(finalised), np.uint8)
        self._paths = []

    def try_size(self, k: int, wanted: np.ndarray, any_complexity: bool, any_repeats: bool) -> np.ndarray:
        """Paths of all wanted regions with k-mers of one size, larger than those before; bool[r], where that settled the region."""
        f, regions, o, n = self._finalised, self._regions, self._options, len(self._regions)
        span = (regions.padded_start, regions.padded_end, self._contig, k)
        status, endless = np.full(n, assembly_graphs_cpu.UNUSABLE, np.int8), np.empty(n, np.int8)
        graphs = run_chunks(
            assembly_graphs_cpu.clean_graphs, n, self._threads, wanted, f.region_offset, f.base, f.qual, f.base_offset, f.cigar,
            f.cigar_offset, self._sample, int(self._sample.max(initial=-1)) + 1, *span, min(o.kmer_size),
            _settings(o, any_complexity, any_repeats), _adaptive(o), _scores(o.dangling_end_smith_waterman),
            self._repeats, status,
        )  # fmt: skip
        size = np.concatenate([p[2] for p in graphs])
        parts = run_chunks(
            assembly_paths_cpu.best_paths, n, self._threads, status, *span, offsets(size[:, 0]), np.concatenate([p[0] for p in graphs]),
            offsets(size[:, 1]), np.concatenate([p[1] for p in graphs]), o.max_num_haplotypes_in_population, endless,
        )  # fmt: skip
        _stop_at(regions, endless, "the simplification of its graph does not end")
        base, length, score, count = (np.concatenate([p[i] for p in parts]) for i in range(4))
        self._paths.append((np.repeat(np.arange(n), count), np.full(len(length), k, np.int32), base, length, score))
        return status != assembly_graphs_cpu.UNUSABLE

    def haplotypes(self, wanted: np.ndarray) -> Haplotypes:
        """The haplotypes that the paths of all k-mer sizes spell."""
        regions, threads, n = self._regions, self._threads, len(self._regions)
        region, kmer, base, length, score = (np.concatenate([p[i] for p in self._paths]) for i in range(5))
        order = np.argsort(region, kind="stable")
        kmer, score = kmer[order], score[order]
        base, base_offset = gather(base, offsets(length), order, threads)
        status = np.empty(n, np.int8)
        parts = run_chunks(
            assembly_haplotypes_cpu.haplotypes, n, threads, wanted, offsets(np.bincount(region, minlength=n)), base, base_offset, kmer,
            regions.padded_start, regions.padded_end, self._contig, _scores(self._options.haplotype_to_reference_smith_waterman), status,
        )  # fmt: skip
        _stop_at(regions, status == assembly_haplotypes_cpu.MISALIGNED, "a haplotype cannot be aligned to the whole reference")
        path, cigar, elements, count = (np.concatenate([p[i] for p in parts]) for i in range(4))
        is_reference = path == assembly_haplotypes_cpu.REFERENCE
        # The reference's bases are one more row for each region.
        reference_offset = offsets(np.where(wanted, regions.padded_end - regions.padded_start, 0))
        every = np.concatenate([base, *(self._contig[a:b] for a, b in zip(regions.padded_start[wanted], regions.padded_end[wanted]))])
        every_offset = np.concatenate([base_offset, base_offset[-1] + reference_offset[1:]])
        row = np.where(is_reference, len(base_offset) - 1 + np.repeat(np.arange(n), count), path)
        base, base_offset = gather(every, every_offset, row, threads)
        kmer, score = np.append(kmer, np.int32(0))[path], np.append(score, np.nan)[path]
        return Haplotypes(
            offsets(count), regions.padded_start, base, base_offset, cigar, offsets(elements), is_reference.astype(np.uint8), kmer, score
        )


def assemble(
    finalised: RegionReads, reads: CallerReads, regions: RegionBatch, wanted: np.ndarray, contig_bases: np.ndarray, options: CallerOptions,
    threads: int = 1,
) -> Haplotypes:  # fmt: skip
    """Haplotypes over the padded span of every wanted region (bool[r]), in GATK's order; none of the others.

    finalised: the reads of each region in assembly order. contig_bases: uint8[length], upper-case ACGTN.

    Raises
    ------
    UserError: an option that is not supported; a region on which GATK stops too.
    """
    _check(options)
    wanted = np.asarray(wanted, bool)
    if not len(regions):
        zero, empty = np.zeros(1, np.int64), np.empty(0, np.uint8)
        return Haplotypes(zero, regions.padded_start, empty, zero, np.empty(0, np.uint32), zero, empty, np.empty(0, np.int32), np.empty(0))
    work = _Assembler(finalised, reads, regions, contig_bases, options, threads)
    fixed, settled = options.dont_increase_kmer_sizes_for_cycles, ~wanted
    for k in sorted(options.kmer_size):
        settled = settled | work.try_size(k, wanted, fixed, options.allow_non_unique_kmers_in_ref)
    for i in range(0 if fixed else MORE_KMER_SIZES):
        if settled.all():
            break
        last = i == MORE_KMER_SIZES - 1
        settled = settled | work.try_size(max(options.kmer_size) + KMER_STEP * (i + 1), ~settled, last, last)
    return work.haplotypes(wanted)
