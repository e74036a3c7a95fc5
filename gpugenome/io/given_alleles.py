"""The VCF of --alleles: where regions are active and which alleles are called whatever their evidence."""

from dataclasses import dataclass

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.variant_text import VariantText, read_variant_text
from gpugenome.kernels import given_records_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.steps.haplotypecaller.columns import HaplotypeEvents
from gpugenome.steps.haplotypecaller.reads import offsets

_PROBLEMS = {
    kernel.BAD_BASES: "expected REF and ALT of the bases ACGTN, '*' or a symbolic ALT",
    kernel.OTHER_REFERENCE: "REF is not what the reference has there",
    kernel.NO_BASES: "one of REF and ALT is the end of the other, expected a base in common before what differs",
}


@dataclass
class GivenAlleles:
    """Alleles to call, by contig (a contig without any has no entry).

    events: by ref_id, HaplotypeEvents by start, one ALT a row (`offset` is not used). spans: by ref_id, int64[k, 2], 0-based half-open,
    what the records cover.
    """

    events: dict[int, HaplotypeEvents]
    spans: dict[int, np.ndarray]

    def mask(self, ref_id: int, length: int) -> np.ndarray | None:
        """bool[length]: positions of a contig that a record covers; None where there is none."""
        if ref_id not in self.spans:
            return None
        out = np.zeros(length, bool)
        spans = np.clip(self.spans[ref_id], 0, length)
        kernel.mark_spans(0, len(spans), np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]), out)
        return out


def read_given_alleles(path: str, names, bases_of, with_filtered: bool = False, threads: int = 1) -> GivenAlleles:
    """Alleles of a VCF (plain or compressed, no index needed). names: contigs in the order of their numbers; records elsewhere are left
    out. bases_of(ref_id): uint8, upper-case bases of a contig. with_filtered: also records that a filter has taken out.

    Raises
    ------
    InputError: not a VCF, not sorted, bases that are none, a REF that the reference has not.
    """
    vcf = read_variant_text(path, threads)
    n = len(vcf)
    out = GivenAlleles({}, {})
    if not n:
        return out
    wanted = np.ones(n, np.uint8)
    if not with_filtered:
        run_chunks(kernel.is_unfiltered, n, threads, vcf.data, vcf.columns, wanted)
    number = {name: i for i, name in enumerate(names)}
    edges = [0, *(np.flatnonzero(np.diff(vcf.hashes[:, 0])) + 1).tolist(), n]
    seen = set()
    for a, b in zip(edges[:-1], edges[1:]):  # a pass for each contig
        name = vcf.text(a, 0)
        falls = np.flatnonzero(np.diff(vcf.pos[a:b]) < 0)
        if name in seen or len(falls):
            row = a + int(falls[0]) + 1 if len(falls) else a
            raise InputError(path, "is not sorted by contig and position", f"record {row + 1}")
        seen.add(name)
        rows = a + np.flatnonzero(wanted[a:b])
        if name in number and len(rows):
            ref_id = number[name]
            out.spans[ref_id] = np.stack([vcf.pos[rows] - 1, vcf.end_pos[rows]], 1).astype(np.int64)
            out.events[ref_id] = _events(vcf, rows, bases_of(ref_id), threads)
    return out


def _events(vcf: VariantText, rows: np.ndarray, bases: np.ndarray, threads: int) -> HaplotypeEvents:
    """Events of records of one contig, by start."""
    count, problem = np.empty(len(rows), np.int64), np.empty(len(rows), np.uint8)
    run_chunks(kernel.count_events, len(rows), threads, vcf.data, vcf.columns, rows, count)
    offset = offsets(count)
    n = int(offset[-1])
    start, ref_length = np.empty(n, np.int32), np.empty(n, np.int32)
    alt_start, alt_length = np.empty(n, np.int64), np.empty(n, np.int64)
    run_chunks(kernel.fill_events, len(rows), threads, vcf.data, vcf.columns, rows, vcf.pos, offset, bases, start, ref_length, alt_start,
               alt_length, problem)  # fmt: skip
    if problem.any():
        i = int(np.flatnonzero(problem)[0])
        row = int(rows[i])
        what = f"{vcf.text(row, 0)}:{vcf.pos[row]} {vcf.text(row, 3)[:50]} {vcf.text(row, 4)[:50]}"
        raise InputError(vcf.path, f"{what}: {_PROBLEMS[int(problem[i])]}", f"record {row + 1}")
    alt_offset = offsets(alt_length)
    alt = np.empty(int(alt_offset[-1]), np.uint8)
    run_chunks(kernel.copy_alts, n, threads, vcf.data, alt_start, alt, alt_offset)
    return HaplotypeEvents(np.array([0, n], np.int64), start, ref_length, alt, alt_offset)
