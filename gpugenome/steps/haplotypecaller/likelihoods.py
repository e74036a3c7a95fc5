"""Read likelihoods: PairHMM of every read against every haplotype of its region, cap, filter, realignment."""

import math
from functools import lru_cache

import numpy as np

from gpugenome.backend import Backend, Twin
from gpugenome.kernels import pairhmm_cpu, pairhmm_scalar, realign_cpu
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import AssemblyBatch, CallerReads, LikelihoodBatch, RegionReads
from gpugenome.steps.haplotypecaller.options import CallerOptions
from gpugenome.steps.haplotypecaller.reads import gather, offsets

# A float32 sum that is too small is below -64 in log10, reads whose best is below -8 are dropped, values are raised to the best minus a
# tenth of the cap: up to this cap nobody sees the value, so the native library's repetition in float64 is left out.
_HIDING_CAP = 560
_RATES = {"HOSTILE": 1.0, "AGGRESSIVE": 2.0, "CONSERVATIVE": 3.0}


@lru_cache
def pcr_table(model: str) -> np.ndarray:
    """int64[21]: gap opening quality by repeat length under --pcr-indel-model; empty for NONE."""
    if model == "NONE":
        return np.empty(0, np.int64)
    rate = _RATES[model]
    return np.array([max(10, int(40.0 - math.exp(n / (rate * math.pi)) + 1.0 + 0.5)) for n in range(21)], np.int64)


@lru_cache
def _tables(double: bool):
    """(error, match, initial) of the PairHMM."""
    if double:
        return pairhmm_scalar.ERROR_F64, pairhmm_scalar.match_to_match_f64(True), np.float64(pairhmm_scalar.INITIAL_F64)
    return pairhmm_scalar.ERROR_F32, pairhmm_scalar.match_to_match_f32(), pairhmm_scalar.INITIAL_F32


def take_region_reads(reads: RegionReads, rows: np.ndarray, region_offset: np.ndarray, threads: int = 1) -> RegionReads:
    """Rows of RegionReads, with the region offsets they have afterwards."""
    base, base_offset = gather(reads.base, reads.base_offset, rows, threads)
    qual, _ = gather(reads.qual, reads.base_offset, rows, threads)
    cigar, cigar_offset = gather(reads.cigar, reads.cigar_offset, rows, threads)
    return RegionReads(region_offset, reads.source[rows], reads.start[rows], base, qual, base_offset, cigar, cigar_offset,
                       reads.filtered[rows])  # fmt: skip


def _in_matrix_order(reads: CallerReads, trimmed: RegionReads, threads) -> tuple[RegionReads, np.ndarray]:
    """Rows by region, sample, reads before set-aside ones; and the region of each row."""
    region = np.repeat(np.arange(len(trimmed.region_offset) - 1), np.diff(trimmed.region_offset))
    order = np.lexsort((trimmed.filtered, reads.sample[trimmed.source], region))
    if (order[1:] > order[:-1]).all():
        return trimmed, region
    return take_region_reads(trimmed, order, trimmed.region_offset, threads), region


def _totals(columns, order, backend: Backend, double) -> np.ndarray:
    """Forward sums of the pairs in `order`, in that order; columns: (base, base_qual, gap_qual, base_offset, ...) of `pair_hmm`."""
    hmm = backend.kernels("pairhmm")
    with hmm.alone():  # the arrays of the device go inside, when the function that holds them returns
        return _totals_of(hmm, columns, order, double)


def _totals_of(hmm: Twin, columns, order, double) -> np.ndarray:
    base, base_qual, gap_qual, base_offset, hap_base, hap_base_offset, pair_read, pair_hap = columns
    error, match, initial = _tables(double)
    group = hmm.module.GROUP_F64 if double else hmm.module.GROUP_F32
    n = len(order)
    out = hmm.empty(n, error.dtype)
    place, reads, haps, base, base_qual, gap_qual, base_offset, hap_base, hap_base_offset, error, match = hmm.put(
        np.arange(n), pair_read[order], pair_hap[order], base, base_qual, gap_qual, base_offset, hap_base, hap_base_offset, error, match
    )
    like = np.zeros(group, np.int64 if double else np.int32)
    hmm.run(
        "pair_totals", -(-n // group), place, reads, haps, base, base_qual, gap_qual, gap_qual, base_offset, hap_base, hap_base_offset,
        error, match, initial, like, None, out,
    )  # fmt: skip
    return hmm.take(out)[0]


def pair_hmm(
    base, base_qual, gap_qual, base_offset, hap_base, hap_base_offset, pair_read, pair_hap, double, backend: Backend
) -> np.ndarray:
    """float64[pairs]: log10 likelihoods. pair_read, pair_hap: int32, rows of the ragged columns."""
    n = len(pair_read)
    result = np.empty(n)
    if n == 0:
        return result
    columns = (base, base_qual, gap_qual, base_offset, hap_base, hap_base_offset, pair_read, pair_hap)
    rows = np.diff(base_offset)[pair_read]
    order = np.lexsort((np.diff(hap_base_offset)[pair_hap], rows))
    # reads that the GPU's registers do not hold go to the CPU
    most = getattr(backend.kernels("pairhmm").module, "MOST_ROWS", None)
    cut = n if most is None else int(np.searchsorted(rows[order], most, "right"))
    total = np.empty(n, np.float64 if double else np.float32)
    if cut:
        total[order[:cut]] = _totals(columns, order[:cut], backend, double)
    if cut < n:
        total[order[cut:]] = _totals(columns, order[cut:], Backend("cpu", backend.threads), double)
    if double:
        with np.errstate(divide="ignore"):
            return np.log10(total) - math.log10(pairhmm_scalar.INITIAL_F64)
    run_chunks(pairhmm_cpu.log10_of_totals_f32, n, backend.threads, total, result)
    return result


def _core(trimmed: RegionReads, threads):
    """(base, qual, base_offset) of reads without what is soft clipped: what the PairHMM and the realignment see."""
    soft = offsets(np.where(trimmed.cigar & 15 == 4, trimmed.cigar >> 4, 0))
    if not soft[-1]:
        return trimmed.base, trimmed.qual, trimmed.base_offset
    core_offset = offsets(np.diff(trimmed.base_offset) - np.diff(soft[trimmed.cigar_offset]))
    base, qual = (np.empty(int(core_offset[-1]), np.uint8) for _ in range(2))
    run_chunks(realign_cpu.without_soft_clips, len(trimmed), threads, trimmed.base, trimmed.qual, trimmed.base_offset, trimmed.cigar,
               trimmed.cigar_offset, base, qual, core_offset)  # fmt: skip
    return base, qual, core_offset


def likelihoods(
    reads: CallerReads, assembly: AssemblyBatch, options: CallerOptions, threads: int = 1, backend: Backend | None = None
) -> LikelihoodBatch:
    """Likelihoods of the trimmed reads of every region with variation, and the reads realigned to their best haplotypes.

    backend: where the PairHMM runs; by default the CPU, on `threads` threads.
    """
    backend = backend or Backend("cpu", threads)
    trimmed, region = _in_matrix_order(reads, assembly.trimmed, threads)
    n, row = len(trimmed), trimmed.region_offset
    base, qual, base_offset = _core(trimmed, threads)
    base_qual, gap_qual = np.empty_like(qual), np.empty_like(qual)
    run_chunks(
        realign_cpu.hmm_qualities, n, threads, base, qual, base_offset, reads.mapq[trimmed.source],
        not options.disable_cap_base_qualities_to_map_quality, options.base_quality_score_threshold, pcr_table(options.pcr_indel_model),
        base_qual, gap_qual,
    )  # fmt: skip
    table = assembly.haplotypes
    haps = np.diff(table.offset)
    matrix_offset = offsets(np.diff(row) * haps)
    # Pairs in matrix order: region by region, read by read, haplotype by haplotype.
    per_read = haps[region]
    pair_read = np.repeat(np.arange(n, dtype=np.int32), per_read)
    first = offsets(per_read)
    pair_hap = (np.arange(int(first[-1])) - first[pair_read] + table.offset[region][pair_read]).astype(np.int32)
    matrix = np.zeros(len(pair_read))
    wanted = np.flatnonzero(trimmed.filtered[pair_read] == 0)
    mismapping = options.phred_scaled_global_read_mismapping_rate
    sequences = base, base_qual, gap_qual, base_offset, table.base, table.base_offset
    double = options.native_pair_hmm_use_double_precision
    matrix[wanted] = pair_hmm(*sequences, pair_read[wanted], pair_hap[wanted], double, backend)
    if not 0 <= mismapping <= _HIDING_CAP or options.disable_symmetric_hmm_normalizing:
        lost = np.flatnonzero(np.isneginf(matrix))
        matrix[lost] = pair_hmm(*sequences, pair_read[lost], pair_hap[lost], True, backend)
    keep, best = np.empty(n, np.uint8), np.empty(n, np.int32)
    run_chunks(
        realign_cpu.cap_and_filter, n, threads, region, base_offset, trimmed.filtered, row, matrix, matrix_offset,
        table.offset, table.is_reference, table.cigar_offset, mismapping * -0.1 if mismapping >= 0 else -np.inf,
        options.disable_symmetric_hmm_normalizing, options.expected_mismatch_rate_for_read_disqualification, keep, best,
    )  # fmt: skip
    rows = np.flatnonzero(keep)
    kept_pairs = np.flatnonzero(keep[pair_read])
    sw = options.read_to_haplotype_smith_waterman
    start = np.empty(len(rows), np.int32)
    parts = run_chunks(
        realign_cpu.realign, len(rows), threads, rows, region, assembly.trimmed_start, trimmed.start, base, base_offset,
        trimmed.cigar, trimmed.cigar_offset, best, table.offset, table.base, table.base_offset,
        table.cigar, table.cigar_offset, table.is_reference,
        np.array([sw.match, sw.mismatch, sw.gap_open, sw.gap_extend], np.int64), start,
    )  # fmt: skip
    per_region = np.bincount(region[rows], minlength=len(row) - 1)
    new_row = offsets(per_region)
    out = take_region_reads(trimmed, rows, new_row, threads)
    out.start = start
    out.cigar = np.concatenate([np.empty(0, np.uint32), *(p[0] for p in parts)])
    out.cigar_offset = offsets(np.concatenate([np.empty(0, np.int64), *(p[1] for p in parts)]))
    return LikelihoodBatch(out, matrix[kept_pairs], offsets(per_region * haps), best[rows])
