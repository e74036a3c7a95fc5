"""GenotypeGVCFs: from merged GVCF records to the lines of a VCF.

Source: GATK GenotypeGVCFs, GenotypeGVCFsEngine (behaviour; specification chapter "GVCF and joint genotyping", 7 and 8).
"""

import numpy as np

from gpugenome.backend import Backend
from gpugenome.errors import InputError, UserError
from gpugenome.gatk import vcf_lines
from gpugenome.gatk.annotations import joint_annotations
from gpugenome.gatk.annotations.annotation import ALLELE_SPECIFIC
from gpugenome.gatk.annotations.depths import COVERAGE
from gpugenome.gatk.annotations.mapping_quality import RMS_MAPPING_QUALITY
from gpugenome.gatk.annotations.quality_by_depth import AS_QUAL_BY_DEPTH, jittered
from gpugenome.gatk.java import JavaRandom
from gpugenome.io.variant_records import VariantHeader
from gpugenome.kernels import joint_genotypes_cpu as kernel
from gpugenome.kernels import variant_records_cpu
from gpugenome.kernels.joint_merge_cpu import COMBINE_AND_GENOTYPE, GENOTYPE
from gpugenome.kernels.launch import run_chunks
from gpugenome.known_variants import with_known_ids
from gpugenome.steps.combinegvcfs import GvcfCombiner
from gpugenome.steps.gvcf_inputs import GvcfInput, starting_in
from gpugenome.steps.haplotypecaller.blocks import RecordLines
from gpugenome.steps.joint_allele_data import APPROXIMATE_QUAL, raw_fields, with_blanks
from gpugenome.steps.joint_calls import GenotypeOptions, GenotypingState, JointCalls, call, ragged_rows, without_evidence
from gpugenome.steps.joint_evidence import JointEvidence
from gpugenome.steps.joint_records import MAX_PRINTED_GQ, RAW_MQ, Entries, InputKeys, JointRecords, merge, offsets, source_rows
from gpugenome.steps.joint_sweep import GvcfSweep, walk_positions
from gpugenome.variant_fields import (
    DOUBLE,
    INT,
    Field,
    TextColumn,
    flag_field,
    format_lines,
    render,
    render_genotypes,
    render_qual,
    repeated_text,
    scalar_field,
)

NEEDS_READS = ("UniqueAltReadCount",)
OLD_RAW_MQ = "RAW_MQ"
APPROXIMATIONS = ("QUALapprox", "VarDP", "RAW_GT_COUNT")
"""INFO keys of ReblockGVCF that genotyping leaves out."""
AS_QUAL = "AS_QUAL"
RAW_QUAL_LINES = (
    vcf_lines.field_line("INFO", AS_QUAL, "1", "Float", "Allele-specific Variant Qual Score"),
    vcf_lines.field_line("INFO", "AS_QUALapprox", "1", "String", "Allele-specific QUAL approximations"),
)
RGQ = vcf_lines.field_line(
    "FORMAT", "RGQ", "1", "Integer",
    "Unconditional reference genotype confidence, encoded as a phred quality -10*log10 p(genotype call is wrong)",
)  # fmt: skip


def annotations_of(options: GenotypeOptions):
    """The annotations of a run with these options.

    Raises
    ------
    UserError: see `gatk.annotations.chosen_annotations`; an annotation that GATK cannot work out without reads; one to keep that is not
    among them.
    """
    chosen = joint_annotations(
        annotation=options.annotation, annotation_group=options.annotation_group, annotations_to_exclude=options.annotations_to_exclude,
        disable_tool_default_annotations=options.disable_tool_default_annotations,
    )  # fmt: skip
    for a in chosen:
        if a.name in NEEDS_READS:
            raise UserError(f"--annotation {a.name}: needs reads, of which there are none (GATK ends in an exception)")
    for name in options.keep_specific_combined_raw_annotation:
        if all(a.name != name for a in chosen):
            raise UserError(f"--keep-specific-combined-raw-annotation {name}: expected one of the annotations of this run")
    return chosen


def header_lines(inputs: list[VariantHeader], options: GenotypeOptions, dbsnp: bool = False, extra=()) -> list[str]:
    """The header lines of the output, in no order and without "##": those of the inputs (GVCF blocks left out) and the tool's own."""
    lines = [line for h in inputs for line in h.lines if not line.startswith(("fileformat=", "GVCFBlock"))]
    for a in annotations_of(options):
        lines += a.lines
        if options.keep_combined_raw_annotations and a.raw_keys:
            lines += a.raw_lines or ()
    if options.keep_combined_raw_annotations:
        lines += RAW_QUAL_LINES
    lines += [vcf_lines.MLEAC, vcf_lines.MLEAF, RGQ, *COVERAGE.lines, vcf_lines.LOW_QUAL, *extra]
    return [*lines, vcf_lines.DB] if dbsnp else lines


class JointGenotyper:
    """Genotypes merged records, contig by contig in order.

    samples: names in the order of the records' columns. keys: of the inputs. contigs: names. bases_of(ref_id): uint8, upper-case bases.
    dbsnp: `known_variants.KnownVariants` or None. backend: as of `joint_calls.call`. by_sample: several files are merged as GenomicsDB
    does, else as CombineGVCFs: the order of ALTs is another, and the GT of a sample without a record is '.', not as many missing alleles
    as the others have. forced: int64[k, 3], sorted and apart, or None: places at which records come out even without a variant. As in GATK
    each place then takes all records that cover it, samples of several ones more than once.
    """

    def __init__(self, samples, keys: InputKeys, contigs, bases_of, options: GenotypeOptions, dbsnp=None, threads: int = 1,
                 backend: Backend | None = None, by_sample: bool = False, forced: np.ndarray | None = None):  # fmt: skip
        self._by_sample, self._forced = by_sample, forced
        self._names, self._keys, self._contigs, self._bases_of, self._options = list(samples), keys, contigs, bases_of, options
        self._dbsnp, self._threads, self._backend = dbsnp, threads, backend
        self._annotations = annotations_of(options)
        # AS_QD draws for sites that are left out afterwards, too
        self._draws_before = any(a.name == "AS_QualByDepth" for a in self._annotations)
        self._keep_strands = any(a.name == "StrandBiasBySample" for a in self._annotations)
        self._reads_raw_mq = any(a.name == "RMSMappingQuality" for a in self._annotations)
        self._old_raw_path = ""  # the first input that may have OLD_RAW_MQ
        self._rng, self._state = JavaRandom(), GenotypingState()
        self._name_order = np.array(sorted(range(len(self._names)), key=lambda i: self._names[i]), np.int64)

    @property
    def samples(self) -> list[str]:
        """Names of the output's sample columns."""
        return sorted(self._names)

    def records(self, inputs: list[GvcfInput], intervals: np.ndarray | None = None):
        """Iterator of (ref_id, JointRecords): the records to genotype, contig by contig; those of several files merged."""
        samples, ploidy, threads = len(self._names), self._options.sample_ploidy, self._threads
        self._old_raw_path = next((i.file.path for i in inputs if OLD_RAW_MQ in i.file.header.info), "")
        if self._options.include_non_variant_sites or self._forced is not None:
            if len(inputs) > 1:
                combiner = GvcfCombiner(inputs, self._names, self._contigs, self._bases_of, self._annotations, intervals, threads=threads,
                                        by_sample=self._by_sample, write_all=True)  # fmt: skip
                inputs = [combiner.as_input()]
            for ref_id, rows, entries, sets in walk_positions(inputs[0], self._keys, self._bases_of, intervals, ploidy, self._forced):
                yield ref_id, merge(rows, entries, sets * samples, GENOTYPE, threads)
            return
        if len(inputs) > 1:
            for s in GvcfSweep(inputs, self._keys, self._bases_of, intervals, blocks=False, default_ploidy=ploidy, threads=threads,
                               by_sample=self._by_sample):  # fmt: skip
                records = merge(s.rows, s.entries, samples, COMBINE_AND_GENOTYPE, threads, self._by_sample)
                records.numeric = {k: v if self._keys.numeric[k] else printed(*v) for k, v in records.numeric.items()}
                yield s.ref_id, records
            return
        for found in inputs[0].records(intervals):
            found = found.take(np.flatnonzero(found.has_variant()))
            if len(found):
                rows = source_rows([found], [inputs[0].columns], self._keys, ploidy)
                yield int(found.ref_id[0]), merge(rows, Entries.each(rows), samples, GENOTYPE, threads)

    def lines(self, records: JointRecords, ref_id: int) -> RecordLines:
        """Record lines of merged records of one contig."""
        samples = len(self._names)
        order = (np.arange(records.gt.shape[1] // samples)[:, None] * samples + self._name_order).ravel()
        if self._forced is None:
            forced = np.full(len(records), self._options.include_non_variant_sites)
        else:
            forced = starting_in(ref_id, records.start, self._forced)
        calls = call(records, ref_id, self._options, order, self._state, self._threads, self._backend, forced)
        self._check_raw_mq(calls, ref_id)
        variant = _is_polymorphic(calls) & (calls.depth > 0)
        written = variant | forced[calls.record]
        if not self._draws_before:
            calls, variant = calls.take(np.flatnonzero(written)), variant[written]
            written = np.ones(len(calls), bool)
        excluded = without_evidence(calls.gt, calls.gq, calls.dp) & variant[:, None]
        calls.gt[excluded] = np.where(calls.gt[excluded] == -2, -2, -1)
        info, formats = self._annotate(calls, variant, ref_id)
        formats = {**_clean(calls, variant, self._keep_strands, self._by_sample, self._threads), **formats}
        ids = calls.ids
        if self._dbsnp is not None:
            known = self._dbsnp.ids(ref_id, calls.start, calls.allele_offset, calls.allele_base, calls.allele_base_offset, self._threads)
            ids = with_known_ids(ids, known, self._threads)
            info["DB"] = render(flag_field("DB", np.diff(known.offset) > 0))
        formats = self._in_order(formats, calls)
        text, offset = format_lines(
            self._contigs[ref_id], calls.start, calls.allele_offset, calls.allele_base, calls.allele_base_offset, ids,
            render_qual(calls.qual, self._threads), repeated_text("LowQual", calls.low_qual > 0), info, len(self._names), formats,
            self._threads,
        )  # fmt: skip
        found = RecordLines(ref_id, calls.start, calls.end, text, offset)
        return found if written.all() else take_lines(found, np.flatnonzero(written))

    def _check_raw_mq(self, calls, ref_id):
        """Refuse calls whose mapping qualities are summed up in the key of older GATKs only, as GATK 4.6 does."""
        if OLD_RAW_MQ in calls.numeric and self._reads_raw_mq:
            old = np.flatnonzero(calls.numeric[OLD_RAW_MQ][1] & calls.genotyped & (calls.raw_mq[:, 0] < 0))
            if len(old):
                raise InputError(self._old_raw_path, f"has INFO {OLD_RAW_MQ} of an older GATK, expected {RAW_MQ}: call the GVCF anew",
                                 f"{self._contigs[ref_id]}:{int(calls.start[old[0]]) + 1}")  # fmt: skip

    def _strands(self, calls):
        """SB of the samples: int64[c, s, 4], -1 where absent."""
        shape = calls.gt.shape[:2]
        out = np.full((*shape, 4), -1, np.int64)
        column = calls.texts.get("SB")
        if column is None or not len(column.start):
            return out
        count = np.empty(len(column.start), np.int64)
        run_chunks(variant_records_cpu.count_values, len(count), self._threads, column.data, column.start, column.length, ord(","), count)
        offset = offsets(np.where(count == 4, 4, 0))
        values = np.empty(int(offset[-1]), np.int32)
        run_chunks(variant_records_cpu.parse_int_lists, len(count), self._threads, column.data, column.start, column.length, offset, values)
        out.reshape(-1, 4)[count == 4] = values.reshape(-1, 4)
        return out

    def _annotate(self, calls, variant, ref_id):
        """(INFO, FORMAT) text columns over all calls: sums of GVCFs are finished for genotyped calls, the rest is for `variant` ones."""
        n, width, kept = len(calls), calls.gt.shape[1], self._options.keep_specific_combined_raw_annotation
        raw = np.ones(n, bool) if self._options.keep_combined_raw_annotations else ~calls.genotyped
        info = {"DP": render(scalar_field("DP", INT, calls.depth, calls.depth >= 0), self._threads)}
        for key, (value, present) in calls.numeric.items():
            kind = INT if self._keys.numeric[key] else DOUBLE
            shown = present & raw if key in APPROXIMATIONS else present
            info[key] = render(scalar_field(key, kind, value, shown), self._threads)
        for key, kind, values in (("MLEAC", INT, calls.mleac), ("MLEAF", DOUBLE, calls.mleaf)):
            info[key] = _coalesce(render(Field(key, kind, values, calls.mle_offset), self._threads), repeated_text(".", calls.genotyped))
        summed = (raw | (RMS_MAPPING_QUALITY.name in kept)) & (calls.raw_mq[:, 0] >= 0)
        if summed.any():
            info[RAW_MQ] = render(Field(RAW_MQ, INT, calls.raw_mq[summed].reshape(-1), offsets(2 * summed)), self._threads)
        if raw.any():
            data = calls.allele_data.take(calls.record, calls.allele_row, calls.allele_offset)
            for f in raw_fields(data, self._threads):
                column = render(f, self._threads)
                info[f.key] = TextColumn(column.data, column.start, np.where(raw, column.length, -1).astype(np.int32))
        formats, fields = {}, []
        for reducible, chosen in ((True, calls.genotyped), (False, variant)):
            rows = np.flatnonzero(chosen)
            some = calls if len(rows) == n else calls.take(rows)
            evidence = JointEvidence(some, self._strands(some), self._bases_of(ref_id), self._names, self._threads)
            wide = (rows[:, None] * width + np.arange(width)).ravel()
            if reducible and self._options.keep_combined_raw_annotations and any(ALLELE_SPECIFIC in a.groups for a in self._annotations):
                quals = render(self._allele_quals(some), self._threads)
                info[AS_QUAL] = _scattered(quals, rows, n)
                if APPROXIMATE_QUAL in calls.allele_data.sums:
                    info[APPROXIMATE_QUAL] = self._approximate_quals(calls, rows, quals, evidence.variant_allele_depth[1])
            for a in self._annotations:
                for f in a.joint_values(evidence) if a.joint_values and bool(a.raw_keys) == reducible else ():
                    fields.append((a, rows if a.place == "INFO" else wide, f))
        self._draw([(rows, f) for _, rows, f in fields if f.key in ("AS_QD", "QD")], variant & self._options.keep_combined_raw_annotations)
        for a, rows, f in fields:
            column = _scattered(render(f, self._threads), rows, n if a.place == "INFO" else n * width)
            if a.place == "INFO":
                raw = calls.allele_data.present(a.raw_keys)
                if raw is not None and a is not AS_QUAL_BY_DEPTH:  # GATK writes an empty list where no ALT is left
                    column.length[(raw[calls.record] > 0) & calls.genotyped & (np.diff(calls.allele_offset) == 1)] = 0
                if f.key in info:
                    both = column, info[f.key]
                    keeps = a.raw_keys and a.name in kept  # GATK keeps what the input has under the finished key, not the raw one
                    column = _coalesce(*(both[::-1] if keeps else both))
                info[f.key] = column
            else:
                formats[f.key] = column
        return info, formats

    def _allele_quals(self, calls):
        """AS_QUAL: of each ALT; where none is left, of the site if that is what would have been the ALT's."""
        only_ref = np.diff(calls.allele_offset) == 1
        shown = np.ones(len(calls.allele_qual), bool)
        shown[calls.allele_offset[:-1]] = only_ref
        offset = offsets(np.diff(calls.allele_offset) - ~only_ref)
        field = Field(AS_QUAL, INT, calls.allele_qual[shown], offset)
        return with_blanks(field, offset, field.values < 0, ".", self._threads)

    def _approximate_quals(self, calls, rows, quals, finished):
        """AS_QUALapprox: as merged over all alleles of the record; of calls `rows`, the text `quals` where AS_QD is `finished`."""
        data = calls.allele_data
        merged = next(f for f in raw_fields(data, self._threads) if f.key == APPROXIMATE_QUAL)
        column = render(merged, self._threads)
        column = TextColumn(column.data, column.start[calls.record], column.length[calls.record])
        present = data.sums[APPROXIMATE_QUAL][1][calls.record[rows]] > 0
        own = TextColumn(quals.data, quals.start, np.where(present & finished, quals.length, -1).astype(np.int32))
        return _coalesce(_scattered(own, rows, len(calls)), column)

    def _draw(self, fields, again) -> None:
        """Put the jitter on AS_QD and QD: Gaussians in the order of the calls, AS_QD's first.

        fields: (rows int64 of the calls, Field). again: bool by call, AS_QD is drawn a second time, which counts (GATK works it out once
        more where its raw value is still there).
        """
        if not fields:
            return
        call = np.concatenate([np.repeat(rows, np.diff(f.offset)) for rows, f in fields])
        values = np.concatenate([f.values for _, f in fields])
        n_first = len(fields[0][1].values) if fields[0][1].key == "AS_QD" else 0
        twice = np.flatnonzero(again[call[:n_first]])
        at = np.concatenate([np.arange(n_first), twice, np.arange(n_first, len(call))])
        at = at[np.argsort(call[at], kind="stable")]
        values[at] = jittered(values[at], self._rng.next_gaussians)
        done = 0
        for _, f in fields:
            f.values = values[done : done + len(f.values)]
            done += len(f.values)

    def _in_order(self, formats, calls):
        """FORMAT columns of the output's samples, by name.

        A sample with several genotypes shows its last; keys that only others of the record have are '.' in it.
        """
        n, width = calls.gt.shape[:2]
        samples = len(self._names)
        if width == samples and (np.diff(self._name_order) > 0).all():
            return formats
        there = (calls.gt[:, :, 0] != -2).reshape(n, width // samples, samples)
        last = np.where(there.any(1), there.shape[1] - 1 - np.argmax(there[:, ::-1], 1), 0)
        at = (np.arange(n)[:, None] * width + last * samples + np.arange(samples))[:, self._name_order].ravel()
        out = {}
        for key, column in formats.items():
            start, length = column.start[at], column.length[at]
            listed = (column.length.reshape(n, width) >= 0).any(1)
            hidden = np.flatnonzero(listed & ~(length.reshape(n, samples) >= 0).any(1)) * samples
            start[hidden], length[hidden] = len(column.data), 1
            out[key] = TextColumn(np.append(column.data, np.uint8(ord("."))), start, length)
        return out


def printed(value, present) -> tuple[np.ndarray, np.ndarray]:
    """Decimals as they are read again from a combined GVCF: (float64, bool present)."""
    column = render(scalar_field("", DOUBLE, value, present))
    n = len(value)
    out, exact, offset = np.empty(int(present.sum())), np.empty(int(present.sum()), np.uint8), offsets(present)
    variant_records_cpu.parse_decimal_lists(0, n, column.data, column.start, column.length, offset, out, exact)
    again = value.copy()
    again[present] = np.where(exact > 0, out, value[present])
    return again, present


def _is_polymorphic(calls: JointCalls) -> np.ndarray:
    """bool[c]: there is an ALT, and not all called alleles are REF."""
    called, ref = (calls.gt >= 0).sum((1, 2)), (calls.gt == 0).sum((1, 2))
    return (np.diff(calls.allele_offset) > 1) & (called != ref)


def _scattered(column, rows, n):
    """A column whose rows become rows `rows` of n."""
    if len(rows) == n:
        return column
    start, length = np.zeros(n, np.int64), np.full(n, -1, np.int32)
    start[rows], length[rows] = column.start, column.length
    return TextColumn(column.data, start, length)


def _coalesce(column, otherwise):
    """The rows of a column, of another one where absent."""
    absent = column.length < 0
    if not absent.any():
        return column
    return TextColumn(np.concatenate([column.data, otherwise.data]), np.where(absent, otherwise.start + len(column.data), column.start),
                      np.where(absent, otherwise.length, column.length))  # fmt: skip


def _clean(calls: JointCalls, variant, keep_strands, by_sample, threads) -> dict[str, TextColumn]:
    """FORMAT columns of calls: MIN_DP becomes DP, AD is made from it where there is none; without `variant` genotypes are reference."""
    c, samples = calls.gt.shape[:2]
    depth = np.where(calls.min_dp >= 0, calls.min_dp, np.maximum(calls.dp, 0)).ravel()
    dp = np.where(calls.min_dp >= 0, calls.min_dp, calls.dp).ravel()
    gt, gq, n_alleles = calls.gt.copy(), calls.gq.ravel(), np.repeat(np.diff(calls.allele_offset), samples)
    has_ad = np.diff(calls.ad_offset) > 0
    makes_ad = ~has_ad & (n_alleles > 1) & (depth > 0)
    ad_offset = offsets(np.where(has_ad, np.diff(calls.ad_offset), np.where(makes_ad, n_alleles, 0)))
    ad = np.empty(int(ad_offset[-1]), np.int32)
    run_chunks(kernel.complete_depths, c, threads, n_alleles, samples, calls.ad, calls.ad_offset, depth.astype(np.int32), ad, ad_offset)
    reference = np.repeat(~variant, samples)
    known = reference & (depth > 0) & (gq >= 0)
    flat = gt.reshape(c * samples, gt.shape[2])
    flat[reference] = np.where(flat[reference] == -2, -2, -1)
    flat[known & (gq > 0)] = np.where(flat[known & (gq > 0)] == -2, -2, 0)
    dp = np.where(reference & ~known, -1, dp)
    missing = flat[:, 0] == -2
    if missing.any():  # a sample without genotype has as many missing alleles as the record's largest ploidy
        most = np.repeat(np.ones(c, np.int64) if by_sample else (gt != -2).sum(2).max(1), samples)
        most = np.where(most > 0, most, 2)
        flat[missing] = np.where(np.arange(flat.shape[1]) < most[missing, None], -1, -2)
    texts = {k: column for k, column in calls.texts.items() if k != "SB"}
    if keep_strands and "SB" in calls.texts:
        column = calls.texts["SB"]
        texts["SB"] = TextColumn(column.data, column.start, np.where(reference, -1, column.length).astype(np.int32))
    if "PGT" in texts:
        column = texts["PGT"]
        whole = ((calls.gt >= 0) | (calls.gt == -2)).all(2) & (calls.gt[:, :, 0] > 0)
        same = (calls.gt == calls.gt[:, :, :1]) | (calls.gt == -2)
        hom_var = (whole & same.all(2)).ravel() & (column.length >= 0)
        data = np.append(column.data, np.frombuffer(b"1|1", np.uint8))
        length = np.where(hom_var, 3, column.length).astype(np.int32)
        texts["PGT"] = TextColumn(data, np.where(hom_var, len(column.data), column.start), length)
    _, pl_at = ragged_rows(calls.pl_offset, np.flatnonzero(~reference))
    pl_offset = offsets(np.where(reference, 0, np.diff(calls.pl_offset)))
    out = {
        "GT": render_genotypes(flat, calls.phased.ravel(), threads), "AD": render(Field("AD", INT, ad, ad_offset), threads),
        "DP": render(scalar_field("DP", INT, dp, dp >= 0), threads),
        "GQ": render(scalar_field("GQ", INT, np.minimum(gq, MAX_PRINTED_GQ), (gq >= 0) & ~reference), threads),
        "PL": render(Field("PL", INT, calls.pl[pl_at], pl_offset), threads), **texts,
    }  # fmt: skip
    if known.any():
        out["RGQ"] = render(scalar_field("RGQ", INT, gq, known), threads)
    return out


def joint_lines(inputs: list[GvcfInput], genotyper: JointGenotyper, intervals: np.ndarray | None = None,
                starting_in_intervals: bool = False):  # fmt: skip
    """Iterator of RecordLines: the genotyped records of GVCFs.

    intervals: int64[k, 3], sorted and apart, or None: records that overlap them are read. starting_in_intervals: of the results those that
    start inside are written.
    """
    for ref_id, records in genotyper.records(inputs, intervals):
        found = genotyper.lines(records, ref_id)
        if starting_in_intervals and intervals is not None:
            found = take_lines(found, np.flatnonzero(starting_in(ref_id, found.start, intervals)))
        if len(found):
            yield found


def take_lines(lines: RecordLines, rows: np.ndarray) -> RecordLines:
    """Some of the lines, in order."""
    offset, at = ragged_rows(lines.offset, rows)
    return RecordLines(lines.ref_id, lines.start[rows], lines.end[rows], lines.text[at], offset)
