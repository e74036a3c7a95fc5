"""CombineGVCFs: the records of several GVCFs as lines of one.

Source: GATK CombineGVCFs (behaviour; specification chapter "GVCF and joint genotyping", 9).
"""

import numpy as np

from gpugenome.gatk.annotations.depths import COVERAGE
from gpugenome.gatk.vcf_lines import DB, header_text
from gpugenome.io.variant_records import VariantFile, VariantHeader
from gpugenome.kernels.joint_merge_cpu import COMBINE
from gpugenome.steps.gvcf_inputs import GvcfInput
from gpugenome.steps.haplotypecaller.blocks import RecordLines
from gpugenome.steps.joint_allele_data import raw_fields
from gpugenome.steps.joint_calls import compacted
from gpugenome.steps.joint_records import MAX_PRINTED_GQ, RAW_MQ, InputKeys, merge, offsets
from gpugenome.steps.joint_sweep import GvcfSweep, Swept
from gpugenome.variant_fields import (
    DOUBLE,
    INT,
    Field,
    TextColumn,
    format_lines,
    render,
    render_genotypes,
    repeated_text,
    scalar_field,
)


def header_lines(inputs: list[VariantHeader], annotations, extra=(), dbsnp: bool = False) -> list[str]:
    """The header lines of the output, in no order and without "##". annotations: of `gatk.annotations.joint_annotations`."""
    lines = [line for h in inputs for line in h.lines if not line.startswith("fileformat=")]
    for a in annotations:
        lines += a.lines
    return [*lines, *COVERAGE.lines, *extra, *([DB] if dbsnp else [])]


class GvcfCombiner:
    """Combined record lines of some GVCFs.

    samples: names in the order of the columns. contigs: names. bases_of(ref_id): uint8, upper-case bases. band: blocks are cut before
    multiples of it (0: nowhere; 1: a record for each position). intervals: int64[k, 3] or None. annotations: those of the run. by_sample,
    write_all: as of `GvcfSweep`; with by_sample a sample without a record has one missing allele.
    """

    def __init__(self, inputs: list[GvcfInput], samples, contigs, bases_of, annotations, intervals=None, band: int = 0, threads: int = 1,
                 by_sample: bool = False, write_all: bool = False):  # fmt: skip
        self._inputs, self._samples, self._contigs, self._bases_of = inputs, list(samples), contigs, bases_of
        self._intervals, self._band, self._threads, self._annotations = intervals, band, threads, annotations
        self._by_sample, self._write_all = by_sample, write_all
        self._keys = InputKeys.of([i.file.header for i in inputs], annotations)

    @property
    def samples(self) -> list[str]:
        """Names of the output's sample columns."""
        return sorted(self._samples)

    def lines(self):
        """Iterator of RecordLines in the order of the genome."""
        sweep = GvcfSweep(self._inputs, self._keys, self._bases_of, self._intervals, self._band, threads=self._threads,
                          by_sample=self._by_sample, write_all=self._write_all)  # fmt: skip
        for swept in sweep:
            yield self._format(swept)

    def as_input(self) -> GvcfInput:
        """The combined GVCF as an input of its own, combined while it is read."""
        headers = [i.file.header for i in self._inputs]

        def pieces():
            yield np.frombuffer(header_text(header_lines(headers, self._annotations), self.samples), np.uint8)
            for found in self.lines():
                yield found.text[found.offset[0] : found.offset[-1]]

        file = VariantFile(" + ".join(h.path for h in headers), self._contigs, self._threads, pieces=pieces())
        return GvcfInput(file, np.arange(len(self._samples), dtype=np.int32), self._bases_of)

    def _format(self, swept: Swept) -> RecordLines:
        r = merge(swept.rows, swept.entries, len(self._samples), COMBINE, self._threads, self._by_sample)
        n, is_block, threads = len(r), swept.is_block, self._threads
        ref_length = np.diff(r.allele_base_offset)[r.allele_offset[:-1]].astype(np.int32)
        end = np.where(is_block, swept.end, r.start + ref_length).astype(np.int32)
        shows_end = is_block & (end - r.start > 1) & (self._band != 1)
        info = {"END": render(scalar_field("END", INT, end.astype(np.int64), shows_end), threads),
                "DP": render(scalar_field("DP", INT, r.depth, ~is_block & (r.depth >= 0)), threads)}  # fmt: skip
        for key, (value, present) in r.numeric.items():
            kind = INT if self._keys.numeric[key] else DOUBLE
            info[key] = render(scalar_field(key, kind, value, present & ~is_block), threads)
        has_raw = ~is_block & (r.raw_mq[:, 0] >= 0)
        info[RAW_MQ] = render(Field(RAW_MQ, INT, r.raw_mq[has_raw].reshape(-1), offsets(2 * has_raw)), threads)
        for f in raw_fields(r.allele_data, threads):
            column = render(f, threads)
            info[f.key] = TextColumn(column.data, column.start, np.where(is_block, -1, column.length).astype(np.int32))
        ids = TextColumn(r.ids.data, r.ids.start, np.where(is_block, -1, r.ids.length).astype(np.int32))
        nothing = repeated_text("", np.zeros(n, bool))
        text, offset = format_lines(
            self._contigs[swept.ref_id], r.start, r.allele_offset, r.allele_base, r.allele_base_offset, ids, nothing, nothing, info,
            len(self._samples), self._formats(r), threads,
        )  # fmt: skip
        return RecordLines(swept.ref_id, r.start, end, text, offset)

    def _formats(self, r):
        gt, gq, dp, min_dp = r.gt.reshape(len(r) * len(self._samples), r.gt.shape[2]), r.gq.ravel(), r.dp.ravel(), r.min_dp.ravel()
        missing = gt[:, 0] == -2
        if missing.any():  # a sample without record has as many missing alleles as the record's largest ploidy
            most = np.repeat(np.ones(len(r), np.int64) if self._by_sample else (r.gt != -2).sum(2).max(1), len(self._samples))
            gt[missing] = np.where(np.arange(gt.shape[1]) < most[missing, None], -1, -2)
        columns = {
            "GT": render_genotypes(gt, r.phased.ravel(), self._threads), "AD": render(Field("AD", INT, r.ad, r.ad_offset), self._threads),
            "DP": render(scalar_field("DP", INT, dp, dp >= 0), self._threads),
            "GQ": render(scalar_field("GQ", INT, np.minimum(gq, MAX_PRINTED_GQ), gq >= 0), self._threads),
            "MIN_DP": render(scalar_field("MIN_DP", INT, min_dp, min_dp >= 0), self._threads),
            "PL": render(Field("PL", INT, r.pl, r.pl_offset), self._threads),
        }  # fmt: skip
        rows = np.arange(len(gt))
        columns.update({k: compacted(c, rows, self._threads) for k, c in r.texts.items()})
        return columns
