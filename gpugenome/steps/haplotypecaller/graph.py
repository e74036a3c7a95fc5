"""Local assembly: from finalised reads to the untrimmed haplotypes of every region. Source: ReadThreadingAssembler of GATK."""

import numpy as np

from gpugenome.errors import UserError
from gpugenome.kernels import assembly_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import CallerReads, Haplotypes, RegionBatch, RegionReads
from gpugenome.steps.haplotypecaller.options import CallerOptions, SmithWatermanParameters
from gpugenome.steps.haplotypecaller.reads import offsets


def _scores(p: SmithWatermanParameters) -> np.ndarray:
    return np.array([p.match, p.mismatch, p.gap_open, p.gap_extend], np.int64)


def _settings(options: CallerOptions) -> np.ndarray:
    """int64[8] of `kernels.assembly_cpu`.

    Raises
    ------
    UserError: adaptive pruning, or a value that makes no sense.
    """
    if options.adaptive_pruning:
        raise UserError("--adaptive-pruning is not supported, expected the fixed threshold of --min-pruning")
    for name in ("num_pruning_samples", "max_num_haplotypes_in_population"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}, expected 1 or more")
    if not options.kmer_size or min(options.kmer_size) < 1:
        raise UserError(f"--kmer-size is {', '.join(map(str, options.kmer_size)) or 'empty'}, expected 1 or more")
    out = np.empty(8, np.int64)
    out[assembly_cpu.MIN_PRUNING] = options.min_pruning
    out[assembly_cpu.PRUNING_SAMPLES] = options.num_pruning_samples
    out[assembly_cpu.MIN_BRANCH] = options.min_dangling_branch_length
    out[assembly_cpu.ALL_BRANCHES] = options.recover_all_dangling_branches
    out[assembly_cpu.MOST_PATHS] = options.max_num_haplotypes_in_population
    out[assembly_cpu.REPEATS_IN_REFERENCE] = options.allow_non_unique_kmers_in_ref
    out[assembly_cpu.FIXED_SIZES] = options.dont_increase_kmer_sizes_for_cycles
    out[assembly_cpu.MIN_QUALITY] = options.min_base_quality_score
    return out


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
    n, sizes = len(regions), np.array(sorted(options.kmer_size), np.int64)
    sample = reads.sample[finalised.source]
    status = np.zeros(n, np.int8)
    parts = run_chunks(
        assembly_cpu.assemble, n, threads, np.asarray(wanted, bool), finalised.region_offset, finalised.base, finalised.qual,
        finalised.base_offset, sample, int(sample.max(initial=-1)) + 1, regions.padded_start, regions.padded_end, contig_bases, sizes,
        _settings(options), _scores(options.dangling_end_smith_waterman), _scores(options.haplotype_to_reference_smith_waterman), status,
    )  # fmt: skip
    bad = np.flatnonzero(status < 0)
    if len(bad):
        r = bad[0]
        why = {assembly_cpu.ENDLESS: "simplifying its graph does not end", assembly_cpu.MISALIGNED: "a haplotype cannot be aligned"}
        raise UserError(f"region at {int(regions.start[r]) + 1}-{int(regions.end[r])}: {why[int(status[r])]} (GATK stops here as well)")
    row = np.concatenate([np.empty((0, 5), np.int64), *(p[2] for p in parts)])
    return Haplotypes(
        offset=offsets(np.concatenate([np.empty(0, np.int64), *(p[4] for p in parts)])),
        span_start=regions.padded_start,
        base=np.concatenate([np.empty(0, np.uint8), *(p[0] for p in parts)]),
        base_offset=offsets(row[:, 0]),
        cigar=np.concatenate([np.empty(0, np.uint32), *(p[1] for p in parts)]),
        cigar_offset=offsets(row[:, 1]),
        is_reference=row[:, 3].astype(np.uint8),
        kmer=row[:, 2].astype(np.int32),
        score=np.concatenate([np.empty(0), *(p[3] for p in parts)]),
    )
