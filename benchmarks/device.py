"""Every CUDA twin against its CPU twin on all cores, at realistic sizes: equal bits, seconds of the kernel, seconds with transfers.

    python benchmarks/device.py [KERNEL ...] [--runs 3] [--threads N] [--scale 1] [--out benchmarks/device.jsonl]

KERNEL: stems, e.g. `pairhmm activity`; all by default. Inputs are the demo's reads (data/), repeated, and made ones. CPU: the best wall
time of the runs, chunks over the threads. GPU: the best of the runs from device events; `+copies` copies all inputs and outputs to the
device, runs and copies the outputs back, from and to ordinary host memory, scratch being there. One JSON line a kernel; exit code 1
if bits differ or a kernel fails, 2 without a CUDA device.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # made inputs are those of the twins' tests

from harness import commit, cpu_model, gpu_name  # noqa: E402
from kernel_rate import seconds  # noqa: E402

from gpugenome.backend import _cuda_problem  # noqa: E402
from gpugenome.kernels.launch import chunk_bounds, run_all, run_chunks  # noqa: E402
from gpugenome.pipeline import usable_threads  # noqa: E402


@dataclass
class Case:
    """A kernel and its arguments. cpu(outputs) and gpu(inputs, outputs, scratch) run it; items: how many `unit`s it does.

    inputs, outputs: tuples of host arrays (inputs also numbers, and tuples of arrays). scratch(): a tuple of device arrays. same: whether
    the GPU's outputs are what the CPU's last run made, where the outputs are not to be compared byte by byte.
    """

    name: str
    items: int
    unit: str
    inputs: tuple
    outputs: tuple
    cpu: Callable
    gpu: Callable
    scratch: Callable = tuple
    same: Callable | None = None


def put(a):
    """An array, or a tuple's arrays, on the device; anything else as it is."""
    from numba import cuda

    return tuple(map(put, a)) if isinstance(a, tuple) else cuda.to_device(a) if isinstance(a, np.ndarray) else a


def size_of(a):
    return sum(map(size_of, a)) if isinstance(a, tuple) else getattr(a, "nbytes", 0)


def twins(stem):
    """(CPU module, CUDA module)."""
    from importlib import import_module

    return (import_module(f"gpugenome.kernels.{stem}_{where}") for where in ("cpu", "cuda"))


def plain(stem, kernel, items, unit, inputs, outputs, threads, scratch=tuple):
    """The case of a kernel whose twins take the same arguments, the CUDA twin then scratch."""
    cpu, cuda = twins(stem)
    on_cpu, on_gpu = getattr(cpu, kernel), getattr(cuda, kernel)
    return Case(
        f"{stem}.{kernel}", items, unit, inputs, outputs, lambda out: run_chunks(on_cpu, items, threads, *inputs, *out),
        lambda put_inputs, out, more: on_gpu(0, items, *put_inputs, *out, *more), scratch,
    )  # fmt: skip


def device_arrays(*shapes):
    """A function that makes arrays of (shape, dtype) on the device."""
    from numba import cuda

    return lambda: tuple(cuda.device_array(shape, dtype) for shape, dtype in shapes)


def tiled_offsets(offset, times):
    """Offsets of a table that is repeated."""
    return np.concatenate([offset[:1], (offset[1:] + offset[-1] * np.arange(times)[:, None]).ravel()]).astype(np.int64)


def shifted(values, step, times):
    """Values that are repeated, `step` more each time."""
    return (values + step * np.arange(times)[:, None]).ravel().astype(values.dtype)


def demo_batch(reads, threads):
    """(header, ReadBatch of the demo's reads, repeated)."""
    from gpugenome.columns import take
    from gpugenome.io.bam import open_reads

    source = open_reads(ROOT / "data" / "golden" / "recalibrated.bam", threads=threads)
    batch = next(iter(source.batches()))
    return source.header, take(batch, np.arange(reads) % len(batch), threads)


def record_cases(reads, threads):
    """Kernels that go through BAM records."""
    from gpugenome.io.fasta import Reference
    from gpugenome.io.known_sites import read_sites
    from gpugenome.io.recal_table import read_report
    from gpugenome.kernels.read_ends_scalar import END
    from gpugenome.steps import bqsr
    from gpugenome.steps.applybqsr import ApplyOptions, Recalibrator
    from gpugenome.steps.markdup import _COLUMNS, DuplicateOptions

    header, batch = demo_batch(reads, threads)
    n = len(batch)
    yield plain("sort_keys", "coordinate_keys", n, "record", (batch.ref_id, batch.pos, batch.flag), (np.empty(n, np.uint64),), threads)

    keys, made = np.random.default_rng(2).integers(0, 1 << 36, n).astype(np.uint64), {}
    sort_cpu, sort_cuda = twins("sort_keys")

    def radix_on(where, sort):
        def run(*arguments):
            made[where] = sort(arguments[0][0] if where == "gpu" else keys)

        return run

    yield Case(
        "sort_keys.radix_sort", n, "record", (keys,), (), radix_on("cpu", sort_cpu.radix_sort), radix_on("gpu", sort_cuda.radix_sort),
        same=lambda _: all(there.copy_to_host().tobytes() == mine.tobytes() for mine, there in zip(made["cpu"], made["gpu"])),
    )  # fmt: skip

    order = np.random.default_rng(3).permutation(n)
    offset = np.concatenate([[0], np.cumsum(np.diff(batch.offset)[order])])
    gather_cpu, gather_cuda = twins("sort_keys")

    def gather_on_gpu(inputs, out, _):
        data, offset, address = inputs
        gather_cuda.gather_records(0, n, address, offset, *out)

    # addresses on the device are known once the records are there, so this one's records are put there now
    data = put(batch.data)
    start = data.__cuda_array_interface__["data"][0] if hasattr(data, "__cuda_array_interface__") else data._ary.ctypes.data
    yield Case(
        "sort_keys.gather_records", n, "record", (batch.data, offset, start + batch.offset[:-1][order]), (np.empty(offset[-1], np.uint8),),
        lambda out: run_chunks(
            gather_cpu.gather_records, n, threads, batch.data.ctypes.data + batch.offset[:-1][order], offset, *out
        ),
        gather_on_gpu,
    )  # fmt: skip

    groups = np.zeros(int(batch.read_group.max()) + 3, np.int16)
    ends = np.zeros(n, END)
    inputs = batch.columns(_COLUMNS), DuplicateOptions().settings(), groups, groups
    yield plain("read_ends", "read_ends", n, "record", inputs, (ends,), threads)

    tool = Recalibrator(read_report(ROOT / "data" / "golden" / "recal.table.gz"), header, ApplyOptions())
    columns = batch.offset, batch.flag, batch.name_length, batch.n_cigar, batch.seq_length, batch.read_group
    tables = tool._row, tool._settings, *tool._tables, tool._final, tool._missing, *tool._wide
    recalibrate_cpu, recalibrate_cuda = twins("recalibrate")
    yield Case(
        "recalibrate.recalibrate", n, "record", (columns, tables), (batch.data, np.array([1 << 62])),
        lambda out: run_chunks(recalibrate_cpu.recalibrate, n, threads, (out[0], *columns), *tables),
        lambda inputs, out, _: recalibrate_cuda.recalibrate(0, n, (out[0], *inputs[0]), *inputs[1], out[1]),
    )  # fmt: skip

    genome = Reference(ROOT / "data" / "reference.fa.gz")
    chosen = np.flatnonzero(bqsr._well_formed(batch, header.contig_lengths, threads) & (batch.ref_id == 0))
    sites = read_sites([str(ROOT / "data" / "known_sites.vcf.gz")], header.contig_names, header.contig_lengths, threads)[0]
    settings = np.array([2, 500, 2, 6, 0])
    columns = tuple(getattr(batch, name) for name in bqsr._COLUMNS)
    group = np.arange(len(bqsr.group_names(header)), dtype=np.int32)
    inputs = (columns, chosen, group, genome.bases_upper_acgtn(0), 0, sites, bqsr.first_span_by_bin(sites, int(header.contig_lengths[0])),
              settings)  # fmt: skip
    cells = len(group) * 94 * (4**2 + 1 + 2 * 500 + 1)
    count_cpu, count_cuda = twins("covariates")
    counts = np.zeros((threads, cells), np.int64)

    def count_on_cpu(out):
        counts[:] = 0
        parts = zip(chunk_bounds(len(chosen), threads), counts)
        run_all([lambda p=p, c=c: count_cpu.count_bases(*p, *inputs, c, np.empty(1, np.int64)) for p, c in parts], threads)
        out[0][:] = counts.sum(axis=0)

    yield Case(
        "covariates.count_bases", len(chosen), "record", inputs,
        (np.zeros(cells, np.int64), np.array([1 << 62])), count_on_cpu,
        lambda inputs, out, scratch: count_cuda.count_bases(0, len(chosen), *inputs, out[0], *scratch, out[1]),
        device_arrays((1, np.int64), ((4096, 4, int(batch.n_cigar.max()) + 4), np.int64)),
    )  # fmt: skip
    yield from duplicate_cases(batch, threads)


def duplicate_cases(batch, threads):
    """Duplicate sets: pairs of the demo's reads, all of them many times."""
    from gpugenome.kernels import duplicates_cpu, read_ends_cpu
    from gpugenome.kernels.read_ends_scalar import END
    from gpugenome.steps.markdup import _COLUMNS, DuplicateOptions

    n = min(len(batch), 40000)
    ends, groups = np.zeros(n, END), np.zeros(int(batch.read_group.max()) + 3, np.int16)
    read_ends_cpu.read_ends(0, n, batch.columns(_COLUMNS), DuplicateOptions().settings(), groups, groups, ends)
    pairs, singles = np.empty(n, read_ends_cpu.ENTRY), np.empty(n, read_ends_cpu.ENTRY)
    slots, pool, free, state = read_ends_cpu.new_table(256)
    read_ends_cpu.join_mates(ends, 0, False, False, slots, pool, free, state, pairs, singles)
    copies = max(2, len(batch) // max(1, 2 * int(state[1])))
    entries = np.concatenate([pairs[: state[1]]] * copies)
    entries["library"] = np.arange(len(entries)) // state[1] // 2  # sets of twice the demo's size
    entries["index_1"] += 1000 * np.arange(len(entries))
    n = len(entries)
    yield plain("duplicates", "entry_hashes", n, "pair", (entries, True), (np.empty(n, np.uint64),), threads)
    order, start = duplicates_cpu.sort_entries(entries, True)
    yield plain(
        "duplicates", "mark_sets", len(start), "set", (entries, True, order, start, True, 2500, 300000),
        (np.zeros(n, np.uint8), np.zeros(len(start), np.int64), np.zeros(len(start), np.int32), np.zeros(n, np.int64)), threads,
    )  # fmt: skip
    made, duplicates_cuda = {}, list(twins("duplicates"))[1]

    def sort_on_cpu(_):
        made["cpu"] = duplicates_cpu.sort_entries(entries, True, threads)

    def sort_on_gpu(inputs, *_):
        made["gpu"] = duplicates_cuda.sort_entries(inputs[0], True)

    yield Case(
        "duplicates.sort_entries", n, "pair", (entries,), (), sort_on_cpu, sort_on_gpu,
        same=lambda _: all(there.copy_to_host().tobytes() == mine.tobytes() for mine, there in zip(made["cpu"], made["gpu"])),
    )  # fmt: skip


def activity_case(reads, threads):
    """Reads of 150 bases at 30x."""
    from test_cuda_activity import reads as made

    from gpugenome.gatk.activity_priors import element_likelihoods

    span = 5 * reads
    columns, sample, reference = made(reads, 150, span)
    inputs = 0, columns, np.zeros(reads, np.int32), np.zeros(1, np.int32), 0, reads, reference, element_likelihoods(2), 10, 30
    outputs = (np.zeros((1, span, 3)), np.zeros((1, span), np.int32), np.zeros((1, span), np.uint8), np.zeros(span),
               np.zeros(span, np.int32))  # fmt: skip
    reach = np.maximum.accumulate(columns[1])
    return plain("activity", "likelihood_sums", span, "position", inputs, outputs, threads, lambda: (put(reach),))


def pairhmm_case(n, real, threads, read=150, haplotype=300):
    """Reads against haplotypes."""
    from pairhmm import pairs

    from gpugenome.kernels import pairhmm_scalar

    tables = pairhmm_scalar.ERROR_F64, pairhmm_scalar.match_to_match_f64(True), np.float64(pairhmm_scalar.INITIAL_F64)
    if real is np.float32:
        tables = pairhmm_scalar.ERROR_F32, pairhmm_scalar.match_to_match_f32(), pairhmm_scalar.INITIAL_F32
    base, base_qual, gap_qual, base_offset, hap_base, hap_offset, pair_read, pair_hap = pairs(n, read, haplotype)
    cpu, cuda = twins("pairhmm")
    lanes = cpu.GROUP_F32 if real is np.float32 else cpu.GROUP_F64
    like = np.zeros(lanes, np.int32 if real is np.float32 else np.int64)
    inputs = (np.arange(n), pair_read, pair_hap, base, base_qual, gap_qual, gap_qual, base_offset, hap_base, hap_offset, *tables[:2])
    return Case(
        f"pairhmm.pair_totals {real.__name__}", n * read * haplotype, "cell", inputs, (np.empty(n, real),),
        lambda out: run_chunks(cpu.pair_totals, -(-n // lanes), threads, *inputs, tables[2], like, None, *out),
        lambda put_inputs, out, _: cuda.pair_totals(0, n, *put_inputs, tables[2], None, None, *out),
    )  # fmt: skip


def smith_waterman_case(n, threads, reference=400, alternate=380):
    """Haplotypes against references."""
    from smith_waterman import pairs

    from gpugenome.kernels.smith_waterman_scalar import HAPLOTYPE_TO_REFERENCE, INDEL, back_size

    inputs, cigar_offset, outputs = pairs(n, reference, alternate)
    cpu, cuda = twins("smith_waterman")
    fixed, warps = (*HAPLOTYPE_TO_REFERENCE, INDEL), min(n, 4096)
    return Case(
        "smith_waterman.align_pairs", n * reference * alternate, "cell", (*inputs, cigar_offset), outputs,
        lambda out: run_chunks(cpu.align_pairs, n, threads, *inputs, *fixed, out[0], cigar_offset, *out[1:]),
        lambda put_inputs, out, scratch: cuda.align_pairs(0, n, *put_inputs[:5], *fixed, out[0], put_inputs[5], *out[1:], *scratch),
        device_arrays(((warps, int(back_size(reference, alternate))), np.uint8), ((warps, 2 * reference + alternate), np.int32)),
    )  # fmt: skip


def reference_confidence_case(times, threads, reads=3000, length=15000):
    """Spans of 250 positions, ploidy 2."""
    from test_cuda_reference_confidence import inputs as made

    from gpugenome.kernels.reference_confidence_cuda import WARPS

    start, end, low, high, row_offset, row, clipped, columns, bases, *tables, _ = made(reads, length, 250, 2)
    source, read_start, base, qual, base_offset, cigar, cigar_offset = clipped
    n, room = times * length, int(np.diff(base_offset).max()) + 64
    clipped = (shifted(source, len(source), times), shifted(read_start, length, times), np.tile(base, times), np.tile(qual, times),
               tiled_offsets(base_offset, times), np.tile(cigar, times), tiled_offsets(cigar_offset, times))  # fmt: skip
    flag, mapq, mate_ref_id, mate_start, tlen = (np.tile(a, times) for a in columns)
    mate_start = mate_start + length * (np.arange(len(mate_start)) // len(source)).astype(np.int32)
    start, end, low, high = (shifted(a, length, times) for a in (start, end, low, high))
    inputs = (start, end, low, high, tiled_offsets(row_offset, times), shifted(row, len(source), times), clipped,
              (flag, mapq, mate_ref_id, mate_start, tlen), np.tile(bases, times), *tables, start.astype(np.int64))  # fmt: skip
    outputs = np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros((n, 3), np.int32), np.zeros(n, np.int32)
    warps = WARPS * min(len(start), 1056)
    scratch = device_arrays(((n, 3), np.float64), ((len(inputs[5]), 2), np.int32), ((warps, room), np.int32), ((warps, 3, room), np.uint8))
    return plain("reference_confidence", "reference_confidence", len(start), "span", inputs, outputs, threads, scratch)


def genotype_cases(sites, threads):
    """Sites of two to six alleles and <NON_REF>, some 25 reads each, one diploid sample."""
    from test_cuda_genotype_evidence import made_sites, offsets

    from gpugenome.gatk.genotype_likelihoods import genotype_count, genotype_table, log10_sum_table
    from gpugenome.kernels import genotype_evidence_cpu

    window, columns = made_sites(sites, 150, 7, 1)
    count = np.empty(sites, np.int64)
    yield plain("genotype_evidence", "count_rows", sites, "site", window, (count,), threads)
    genotype_evidence_cpu.count_rows(0, sites, *window, count)
    filtered, allele_offset = columns[0], columns[4]
    offset, block_offset = offsets(count), offsets(count * np.diff(allele_offset))
    cpu, cuda = twins("genotype_evidence")
    inputs = *window, *columns, 1, offset
    read, evidence = np.empty(offset[-1], np.int32), np.empty(block_offset[-1])
    yield Case(
        "genotype_evidence.fill_rows", sites, "site", (*inputs, block_offset), (read, evidence),
        lambda out: run_chunks(cpu.fill_rows, sites, threads, *inputs, *out, block_offset),
        lambda put_inputs, out, _: cuda.fill_rows(0, sites, *put_inputs[:-1], *out, put_inputs[-1]),
    )  # fmt: skip
    cpu.fill_rows(0, sites, *inputs, read, evidence, block_offset)
    table = genotype_table(2, 7)
    pl_offset = offsets(genotype_count(2, np.diff(allele_offset)))
    columns = (allele_offset, offset, read, evidence, block_offset, filtered, np.zeros(len(filtered), np.int32), 1, table.distinct,
               table.count, table.n_distinct, table.log10_of, log10_sum_table())  # fmt: skip
    yield Case(
        "genotype_evidence.genotype_likelihoods", sites, "site", (*columns, pl_offset), (np.empty(pl_offset[-1], np.int32),),
        lambda out: run_chunks(cpu.genotype_likelihoods, sites, threads, *columns, *out, pl_offset),
        lambda put_inputs, out, scratch: cuda.genotype_likelihoods(0, sites, *put_inputs[:-1], *out, put_inputs[-1], *scratch),
        device_arrays(((int(pl_offset[-1]),), np.float64)),
    )  # fmt: skip


def joint_cases(sites, threads, samples=500):
    """Joint genotyping of diploid samples: sites of two or three alleles; merging of 40 sites' records of as many samples, repeated."""
    from test_cuda_joint_genotypes import made_assignment, made_records, model_outputs
    from test_cuda_joint_merge import made_merge

    records = made_records(sites, samples, (2,), 3, 6)
    outputs = model_outputs(sites, int(records[1][-1]))
    yield plain("joint_genotypes", "site_models", sites, "site", records, outputs, threads)
    calls, inputs, outputs = made_assignment(records)
    yield plain("joint_genotypes", "assign", calls, "site", inputs, outputs, threads)
    n, values, outputs, calls, called = made_merge(40, samples, (2,), -(-sites // 160))
    yield plain("joint_merge", "remap_values", n, "record", values, outputs, threads)
    yield plain("joint_merge", "merged_calls", n, "record", calls, called, threads)


def allele_frequency_case(sites, threads):
    """Sites of one sample with one to three ALTs and <NON_REF>."""
    from test_cuda_joint_genotypes import made_sites, model_outputs

    inputs = made_sites(sites, 1, 2, 5, 1, 6)
    return plain("allele_frequency", "allele_frequency", sites, "site", inputs, model_outputs(sites, int(inputs[0][-1])), threads)


def assembly_case(times, threads, regions=400):
    """Regions of 350 bases with 60 reads of 151, 25-mers. The CPU's graphs are copied out of its scratch as the GPU's are."""
    from test_cuda_assembly_graphs import cpu_graphs, made_regions

    from gpugenome.kernels import assembly_graphs_cuda
    from gpugenome.kernels.assembly_graph_cpu import ENTRIES, ENTRY, TABLE_STAMP
    from gpugenome.kernels.assembly_graphs_cpu import GRAPH, threading_scratch

    region_offset, base, qual, base_offset, cigar, cigar_offset, sample, low, high, contig = one = made_regions(regions, 60, 350, 151, 1)
    columns = (tiled_offsets(region_offset, times), np.tile(base, times), np.tile(qual, times), tiled_offsets(base_offset, times),
               np.tile(cigar, times), tiled_offsets(cigar_offset, times), np.tile(sample, times), shifted(low, len(contig), times),
               shifted(high, len(contig), times), np.tile(contig, times))  # fmt: skip
    n, k, settings = regions * times, 25, np.array([2, 1, 4, 0, 10, 0, 0])
    total = 350 + int(np.diff(base_offset[region_offset]).max())
    own = [threading_scratch(total, 350, 10, 1, 1) for _ in range(threads)]
    found = [x for x in cpu_graphs(one, np.ones(regions, bool), k, 10, settings, own[0]) if x[0] == GRAPH]
    rows = [times * sum(len(x[i]) for x in found) for i in (1, 2)]
    graphs = []

    def on_cpu(_):
        parts = chunk_bounds(n, threads)

        def part(t):
            begin, end = parts[t]
            mine = columns[0][begin : end + 1], *columns[1:7], *(a[begin:end] for a in columns[7:9]), columns[9]
            return cpu_graphs(mine, np.ones(end - begin, bool), k, 10, settings, own[t])

        graphs[:] = [x for some in run_all([lambda t=t: part(t) for t in range(len(parts))], threads) for x in some]

    def on_gpu(inputs, out, scratch):
        out[5].copy_to_device(np.zeros(2, np.int64))  # the pool is empty
        assembly_graphs_cuda.threaded_graphs(0, n, *inputs[:11], k, 10, inputs[11], *out, scratch)

    def same(out):
        status, counters, place, vertices, edges, used = out
        equal = used.tolist() == rows
        for r, (state, v, e, g) in enumerate(graphs):
            equal &= status[r] == state
            if equal and state == GRAPH:
                (a, b) = place[r]
                theirs = vertices[a : a + len(v)]
                for slot in (TABLE_STAMP, ENTRIES):  # numbers of k-mers are the twins' own
                    g[slot] = counters[r, slot]
                v[:, ENTRY] = theirs[:, ENTRY]
                equal = (counters[r] == g).all() and (theirs == v).all() and (edges[b : b + len(e)] == e).all()
        return bool(equal)

    outputs = (np.zeros(n, np.int8), np.zeros((n, 16), np.int64), np.zeros((n, 2), np.int64), np.empty((rows[0], 16), np.int32),
               np.empty((rows[1], 12), np.int32), np.zeros(2, np.int64))  # fmt: skip
    return Case(
        "assembly_graphs.threaded_graphs", n, "region", (np.ones(n, bool), *columns, settings), outputs, on_cpu, on_gpu,
        lambda: assembly_graphs_cuda.scratch_for(min(n, 2112), total, 350, 10, 1, 1), same,
    )  # fmt: skip


def seeding_cases(sizes, threads, genome=4_000_000):
    """Reads of 150 bases of a reference with repeats: from their text on the host to their chains on the host, the index being there."""
    from test_cuda_chained_reads import made_index, made_reads

    from gpugenome.backend import Backend, Twin
    from gpugenome.steps.aligner_options import AlignerOptions
    from gpugenome.steps.chained_reads import Chainer

    class TimedTwin(Twin):
        """Notes the seconds of each kernel."""

        def run(self, name, n, *args):
            from numba import cuda

            cuda.synchronize()
            start = time.perf_counter()
            super().run(name, n, *args)
            cuda.synchronize()
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

    index, alt = made_index(genome)
    options, spent = AlignerOptions.parse(""), {}
    arguments = index, alt, options.for_index(index.length, index.prefix), options.ratios
    cpu, gpu = Chainer(*arguments, Backend("cpu", threads)), Chainer(*arguments, Backend("cuda", threads))
    for reads in sizes:
        batch, made = made_reads(index, reads, 150), {}

        def on_cpu(_, batch=batch, made=made):
            made["cpu"] = cpu.chains(batch)

        def on_gpu(*_, batch=batch, made=made):
            made["gpu"] = gpu.chains(batch)

        def same(_, batch=batch, made=made):
            plain = gpu._twin
            gpu._twin = TimedTwin(plain.module, threads, True)
            spent.clear()
            gpu.chains(batch)
            gpu._twin = plain
            missing = int((gpu._on_gpu(plain, batch).chained[:, 0] < 0).sum())
            print(f"  {', '.join(f'{k} {v * 1e3:.2f} ms' for k, v in spent.items())}; {missing} of {len(batch)} reads left to the CPU")
            return all(getattr(made["gpu"], k).tobytes() == getattr(made["cpu"], k).tobytes() for k in ("chained", "kept", "kept_seeds"))

        yield Case("chained_reads.chains", reads, "read", (), (), on_cpu, on_gpu, same=same)


def alignment_task_cases(tasks, threads, made=2000):
    """The aligner's extensions (up to 64 and up to 150 bases) and rescues (150 and 250 bases); tasks are some that are repeated."""
    from test_cuda_extension import OPTIONS, extensions, local, options

    opt, times = options(OPTIONS[0], 100), -(-tasks // made)

    def repeated(order, rows, *others):
        rows = np.tile(rows, (times, 1))
        return np.argsort(rows[:, 1], kind="stable"), rows, *others

    def case(name, inputs, unit, of_task):
        n = len(inputs[0])
        results = (np.full((n, 6), -7, np.int32),)
        case = plain("extension", name, n, unit, inputs, results, threads)
        case.items = int(of_task(inputs[1]))
        return case

    for longest, rows in (64, 130), (150, 220):
        inputs = *repeated(*extensions(made, longest, rows, opt)), longest, opt
        yield case("extend_tasks", inputs, "task", len)
    for least, longest, rows, narrow in (150, 150, 700, True), (250, 250, 900, False):
        inputs = *repeated(*local(made, least, longest, rows)), longest, rows, narrow, 19, opt
        yield case("local_tasks", inputs, "cell", lambda t: (t[:, 1] * t[:, 4]).sum())


def records_case(reads, threads):
    """Demo reads (copies under other names) sorted, marked and recalibrated: the host's part is in both times, copies in the GPU's."""
    from test_gpu_records import prepared, same

    from gpugenome.backend import TRANSFERS, Backend
    from gpugenome.kernels.launch_cuda import Kernel
    from gpugenome.steps.sort import BATCH_READS

    _, batch = demo_batch(reads, threads)
    # the first record that is the same as record 0 begins the second copy
    size = np.diff(batch.offset)
    alike = np.flatnonzero(size[1:] == size[0]) + 1
    first = [i for i in alike if (batch.data[batch.offset[i] :][: size[0]] == batch.data[: size[0]]).all()]
    copy = np.arange(reads) // int((first or [reads])[0])
    for place, digit in enumerate((copy % 10, copy // 10 % 10, copy // 100)):
        batch.data[batch.name_start + place] = 48 + digit
    made, launch, spent = {}, Kernel.__call__, {}

    def timed(kernel, *args):
        from numba import cuda

        cuda.synchronize()
        start = time.perf_counter()
        launch(kernel, *args)
        cuda.synchronize()
        spent[kernel.function.__name__] = spent.get(kernel.function.__name__, 0.0) + time.perf_counter() - start

    def on(device):
        made[device] = prepared(Backend(device, threads), batch, BATCH_READS)

    def equal(_):
        TRANSFERS.clear()
        Kernel.__call__ = timed
        again = prepared(Backend("cuda", threads), batch, BATCH_READS)
        Kernel.__call__ = launch
        print(f"  {', '.join(f'{k} {v * 1e3:.2f} ms' for k, v in spent.items())}")
        print(f"  bytes a read up and down: {', '.join(f'{k} {a / reads:.0f} {b / reads:.0f}' for k, (a, b) in TRANSFERS.items())}")
        return same(made["cpu"], made["cuda"]) and same(made["cpu"], again)

    return Case("gpu_records.chain", reads, "read", (), (), lambda _: on("cpu"), lambda *_: on("cuda"), same=equal)


def groups(scale, threads):
    """Functions that make the cases, at `scale` times the usual size: [(their kernels' stems, function)]."""

    def scaled(n):
        return max(1, round(n * scale))

    return [
        ("sort_keys read_ends recalibrate covariates duplicates", lambda: record_cases(scaled(400_000), threads)),
        ("activity", lambda: [activity_case(scaled(60_000), threads)]),
        ("pairhmm", lambda: [pairhmm_case(scaled(60_000), np.float32, threads), pairhmm_case(scaled(20_000), np.float64, threads)]),
        ("smith_waterman", lambda: [smith_waterman_case(scaled(20_000), threads)]),
        ("reference_confidence", lambda: [reference_confidence_case(scaled(30), threads)]),
        ("genotype_evidence", lambda: genotype_cases(scaled(40_000), threads)),
        ("joint_genotypes joint_merge", lambda: joint_cases(scaled(4_000), threads)),
        ("allele_frequency", lambda: [allele_frequency_case(scaled(200_000), threads)]),
        ("chained_reads", lambda: seeding_cases([scaled(50_000), scaled(200_000)], threads)),
        ("assembly_graphs", lambda: [assembly_case(scaled(10), threads)]),
        ("extension", lambda: alignment_task_cases(scaled(50_000), threads)),
        ("gpu_records", lambda: [records_case(scaled(400_000), threads)]),
    ]


def compare(case):
    """Run both twins once: whether their outputs have equal bytes."""
    expected = tuple(a.copy() for a in case.outputs)
    case.cpu(expected)
    outputs, scratch = put(case.outputs), case.scratch()
    case.gpu(put(case.inputs), outputs, scratch)
    outputs = tuple(a.copy_to_host() for a in outputs)
    return case.same(outputs) if case.same else all(a.tobytes() == b.tobytes() for a, b in zip(outputs, expected))


def measure(case, runs):
    """(CPU, GPU, GPU with transfers): best seconds."""
    from numba import cuda

    host = tuple(a.copy() for a in case.outputs)
    on_cpu = seconds(lambda: case.cpu(host), runs, False)
    inputs, outputs, scratch = put(case.inputs), put(case.outputs), case.scratch()
    on_gpu = seconds(lambda: case.gpu(inputs, outputs, scratch), runs, True)
    host = tuple(a.copy() for a in case.outputs)

    def whole():
        out = put(host)
        case.gpu(put(case.inputs), out, scratch)
        for mine, there in zip(host, out):
            there.copy_to_host(mine)
        cuda.synchronize()

    return on_cpu, on_gpu, seconds(whole, runs, False)


def report(case, args, about):
    """Measure a case, print and append its row: whether the bits are equal."""
    equal = compare(case)
    cpu, gpu, whole = measure(case, args.runs)
    moved = (size_of(case.inputs) + 2 * size_of(case.outputs)) / 1e6
    print(f"{case.name:40} {f'{case.items:,} {case.unit}s':>24} {cpu * 1e3:9.2f} {gpu * 1e3:9.3f} {cpu / gpu:7.1f} {whole * 1e3:9.2f} "
          f"{cpu / whole:7.1f} {moved:7.0f} {'equal' if equal else 'DIFFER'}", flush=True)  # fmt: skip
    row = {"kernel": case.name, "items": case.items, "unit": case.unit, "cpu_s": round(cpu, 6), "gpu_s": round(gpu, 6),
           "gpu_with_transfers_s": round(whole, 6), "moved_mb": round(moved, 1), "equal": equal, **about}  # fmt: skip
    with args.out.open("a") as f:
        f.write(json.dumps(row) + "\n")
    return equal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_threads())
    parser.add_argument("--scale", type=float, default=1.0, help="Times the usual sizes.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "device.jsonl")
    args = parser.parse_args()
    problem = _cuda_problem()
    if problem:
        print(f"device.py compares a GPU with the CPU: {problem}", file=sys.stderr)
        return 2
    about = {"device": gpu_name(), "cpu": cpu_model(), "threads": args.threads, "commit": commit()}
    print(f"{about['device']}; CPU: {about['cpu']}, {args.threads} threads; best of {args.runs}")
    print(f"{'kernel':40} {'items':>24} {'CPU ms':>9} {'GPU ms':>9} {'times':>7} {'+copies':>9} {'times':>7} {'MB':>7} bits")
    started, failed = time.perf_counter(), 0
    for stems, make in groups(args.scale, args.threads):
        if args.kernels and not set(args.kernels) & set(stems.split()):
            continue
        try:
            for case in make():
                if not args.kernels or case.name.split(".")[0] in args.kernels:
                    failed += not report(case, args, about)
        except Exception:  # a kernel that a device refuses: the others are still worth their time on it
            traceback.print_exc()
            failed += 1
    print(f"{time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
