"""SelectVariants: which records and samples stay, and what becomes of their alleles and counts.

Source: GATK SelectVariants, AlleleSubsettingUtils, GATKVariantContextUtils.trimAlleles; htsjdk VariantContext.subContextFromSamples.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from gpugenome.errors import UserError
from gpugenome.gatk.annotations.chromosome_counts import CHROMOSOME_COUNTS
from gpugenome.gatk.java import hash_order
from gpugenome.gatk.jexl import distinct, parse
from gpugenome.gatk.vcf_lines import contig_lines, field_line
from gpugenome.io.variant_records import VariantHeader, VariantRecords
from gpugenome.kernels import variant_filter_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_text_cpu import INT_WIDTH
from gpugenome.steps.variants.filtration import overlap_sites, set_counts, set_no_calls
from gpugenome.steps.variants.output import Lines, filter_column, format_columns, info_columns, samples_unsorted
from gpugenome.steps.variants.sites import TYPES, GenotypeFields, SiteFields, Sites, offsets, polymorphic
from gpugenome.variant_fields import INT, TEXT, Field, TextColumn, render, scalar_field

ALL, BIALLELIC, MULTIALLELIC = "ALL", "BIALLELIC", "MULTIALLELIC"
DP_LINE = field_line("INFO", "DP", "1", "Integer", "Approximate read depth; some reads may have been filtered")
ORIGINAL_LINES = {
    "AC_Orig": field_line("INFO", "AC_Orig", "A", "Integer", "Original AC"),
    "AF_Orig": field_line("INFO", "AF_Orig", "A", "Float", "Original AF"),
    "AN_Orig": field_line("INFO", "AN_Orig", "1", "Integer", "Original AN"),
    "DP_Orig": field_line("INFO", "DP_Orig", "1", "Integer", "Original DP"),
}


@dataclass
class SelectionOptions:
    """Names as GATK's arguments. select, select_genotype: expression texts, of which one must match."""

    samples: tuple[str, ...] = ()
    sample_expressions: tuple[str, ...] = ()
    excluded_samples: tuple[str, ...] = ()
    excluded_sample_expressions: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    select_genotype: tuple[str, ...] = ()
    invert_select: bool = False
    select_first: bool = False
    types: tuple[str, ...] = ()
    excluded_types: tuple[str, ...] = ()
    ignore_non_ref: bool = False
    exclude_filtered: bool = False
    exclude_non_variants: bool = False
    preserve_alleles: bool = False
    remove_unused_alternates: bool = False
    allele_restriction: str = ALL
    keep_original_counts: bool = False
    keep_original_depth: bool = False
    ids: tuple[str, ...] = ()
    excluded_ids: tuple[str, ...] = ()
    largest_indel: int | None = None
    smallest_indel: int = 0
    most_filtered: int | None = None
    least_filtered: int = 0
    most_no_calls: int | None = None
    most_no_call_fraction: float = 1.0
    filtered_to_no_call: bool = False
    dropped_info: tuple[str, ...] = ()
    dropped_formats: tuple[str, ...] = ()
    type_set: frozenset = field(init=False)

    def __post_init__(self):
        self.type_set = frozenset(self.types or TYPES) - frozenset(self.excluded_types) or frozenset(TYPES)


def choose_samples(options: SelectionOptions, header: VariantHeader) -> tuple[list[str], bool]:
    """(the samples to write, sorted by name; whether none were asked for).

    Raises
    ------
    UserError: a sample that the file lacks, a pattern that is none, or nothing left.
    """
    have = sorted(header.samples)

    def matching(patterns):
        try:
            return {s for p in patterns for s in have if re.search(p, s)}
        except re.error as e:
            raise UserError(f"a sample expression is not a regular expression: {e}") from None

    unknown = [s for s in options.samples if s not in header.samples]
    if unknown:
        raise UserError(f"--sample-name: the records have no sample {unknown[0]} (they have {', '.join(have[:5]) or 'none'})")
    chosen = set(options.samples) | matching(options.sample_expressions)
    none_named = not chosen
    if none_named:
        chosen = set(have)
    out = set(options.excluded_samples) | matching(options.excluded_sample_expressions)
    none_named = none_named and not options.excluded_samples and not matching(options.excluded_sample_expressions)
    chosen -= out
    if not chosen and not none_named:
        raise UserError("all samples that were asked for are also excluded")
    return sorted(chosen), none_named


def _in_hash_order(name, texts):
    """Parsed expressions in the order in which GATK tries them: that of a hash map of the names that it gives them."""
    parsed = [parse(text) for text in texts]
    return [parsed[k] for k in hash_order([f"{name}-{k}" for k in range(len(texts))])]


class Selection:
    """Which records of a run stay.

    sites_only: leave the genotypes out. concordance, discordance: sites of other files by contig, as `io.known_sites.read_sites` gives
    them; only records that overlap one, or none, stay.

    Raises
    ------
    UserError: as `choose_samples`; an expression; samples together with sites of other files.
    """

    def __init__(self, options: SelectionOptions, header: VariantHeader, sites_only: bool = False, concordance=None, discordance=None):
        self.options, self.header, self.sites_only = options, header, sites_only
        self.tracks = [(track, wanted) for track, wanted in ((concordance, True), (discordance, False)) if track is not None]
        self.samples, self.all_samples = choose_samples(options, header)
        if self.tracks and not self.all_samples:
            raise UserError("--concordance and --discordance together with samples (GATK then compares genotypes) are not supported")
        self.chosen = np.array([header.samples.index(s) for s in self.samples], np.int64)
        self.select = _in_hash_order("select", options.select)
        self.select_genotype = _in_hash_order("genotype-select", options.select_genotype)
        self.types = np.array([t in options.type_set for t in TYPES])

    def header_lines(self, names=None, lengths=None, assemblies=None, reference_uri=None) -> list[str]:
        """All lines of the file read and new ones, as SelectVariants has them, without fileformat. names, lengths, assemblies,
        reference_uri: of the reference, if one is given."""
        o, lines = self.options, self.header.lines[1:]
        renewed = [*CHROMOSOME_COUNTS.lines, DP_LINE]
        keys = {line.split("ID=")[1].split(",")[0] for line in renewed}
        gone = {f"INFO=<ID={key}," for key in (*keys, *o.dropped_info)} | {f"FORMAT=<ID={key}," for key in o.dropped_formats}
        out = [line for line in lines if line.partition(",")[0] + "," not in gone]
        if names is not None:
            out = [line for line in out if not line.startswith(("contig=", "reference="))]
            out += [*contig_lines(names, lengths, assemblies), f"reference={reference_uri}"]
        if o.keep_original_counts:
            out += [ORIGINAL_LINES[f"{key}_Orig"] for key in ("AC", "AF", "AN")]
        if o.keep_original_depth:
            out.append(ORIGINAL_LINES["DP_Orig"])
        return [*out, *(line for line in renewed if line.split("ID=")[1].split(",")[0] not in o.dropped_info)]

    def _first_round(self, sites):
        """bool[n]: records that pass what is asked before samples are taken away."""
        o, n = self.options, sites.n
        keep = self.types[sites.types(o.ignore_non_ref)]
        if o.ids or o.excluded_ids:
            column = sites.records.column(2)
            texts, which = distinct(np.ones(n, bool), column.data, column.start, np.abs(column.length))
            named, unnamed = set(o.ids), set(o.excluded_ids)
            if o.ids:
                keep &= np.array([not named.isdisjoint(t.split(";")) for t in texts], bool)[which]
            if o.excluded_ids:
                keep &= np.array([unnamed.isdisjoint(t.split(";")) for t in texts], bool)[which]
        for track, wanted in self.tracks:
            keep &= overlap_sites(track, sites.records) == wanted
        if o.exclude_filtered:
            keep &= ~sites.has_filter()
        if o.allele_restriction != ALL:
            keep &= (np.diff(sites.allele_offset) == 2) == (o.allele_restriction == BIALLELIC)
        if o.largest_indel is not None or o.smallest_indel > 0:
            smallest, largest = np.empty(n, np.int32), np.empty(n, np.int32)
            run_chunks(kernel.indel_sizes, n, sites.records.threads, sites.records.data, sites.allele_offset, sites.allele_start,
                       sites.allele_length, sites.type, smallest, largest)  # fmt: skip
            keep &= (largest < 0) | ((smallest >= o.smallest_indel) & (o.largest_indel is None or largest <= o.largest_indel))
        return keep

    def _matches(self, sites, active):
        """bool[n]: records for which one of the expressions holds."""
        found = np.zeros(sites.n, bool)
        if not self.select and not self.select_genotype:
            return active
        invert, place = self.options.invert_select, sites.records.place
        fields = SiteFields(sites)
        for expression in self.select:
            todo = active & ~found
            found |= todo & (expression.match(fields, todo, False, False, place) != invert)
        if self.select_genotype and len(sites.chosen):
            sites.decoded |= active & ~found
            g = GenotypeFields(sites)

            def genotype_place(row):
                return f"{place(row // g.samples)}, sample {self.samples[row % g.samples]}"

            for expression in self.select_genotype:
                todo = np.repeat(active & ~found, g.samples)
                one = todo & (expression.match(g, todo, False, False, genotype_place) != invert)
                found |= one.reshape(-1, g.samples).any(1)
        return found

    def _genotype_limits(self, sites, keep):
        """bool[n]: records with few or many enough filtered and uncalled genotypes."""
        o = self.options
        if o.most_filtered is not None or o.least_filtered > 0:
            sites.decoded |= keep
            count = sites.genotypes.filtered.reshape(sites.n, len(sites.chosen)).sum(1)
            keep = keep & (count >= o.least_filtered) & (o.most_filtered is None or count <= o.most_filtered)
        if o.most_no_calls is not None or o.most_no_call_fraction < 1.0:
            sites.decoded |= keep
            count = (sites.genotypes.kind == kernel.NO_CALL).reshape(sites.n, len(sites.chosen)).sum(1)
            keep = keep & (o.most_no_calls is None or count <= o.most_no_calls)
            keep &= count / max(1, len(sites.chosen)) <= o.most_no_call_fraction
        return keep

    def lines(self, records: VariantRecords, wanted: np.ndarray):
        """(text, offset, rows, start) of the records among `wanted` (rows) that stay: rows int64 of `records`, start int32 (0-based), which
        trimming of alleles may have moved.

        Raises
        ------
        UserError, InputError: a record that an expression cannot be evaluated for, or that cannot be written.
        """
        o = self.options
        whole = Sites(records.take(wanted))
        first = self._first_round(whole)
        if o.select_first:
            first &= self._matches(whole, first)
        rows = wanted[np.flatnonzero(first)]
        records = records.take(rows)
        sites = Sites(records, self.chosen, dropped=(o.dropped_info, o.dropped_formats))
        sites.decoded |= whole.decoded[first]
        keep = self._genotype_limits(sites, np.ones(sites.n, bool))
        self._subset(sites)
        if o.filtered_to_no_call and len(sites.chosen):
            sites.decoded[:] = True
            if sites.genotypes.ft is not None:
                set_no_calls(sites, sites.genotypes.ft)
        if o.exclude_non_variants:
            sites.decoded |= keep
            keep = keep & polymorphic(sites) & ~_only_star(sites)
        if not o.select_first:
            keep = keep & self._matches(sites, keep)
        if o.dropped_formats:
            sites.decoded[:] = True
        kept = np.flatnonzero(keep)
        kept = kept[np.lexsort((sites.start[kept], records.ref_id[kept]))]  # trimming moves records
        filters = filter_column(sites, [], np.zeros((0, sites.n), bool), None, self.header.filters)
        samples = len(sites.chosen)
        decoded = (sites.decoded | samples_unsorted(self.header)) & (samples > 0 and not self.sites_only)
        formats = format_columns(sites, kept, None, o.dropped_formats) if decoded.any() else {}
        tail = np.where(decoded, 2, 1 if samples and not self.sites_only else 0).astype(np.uint8)
        text, offset = Lines(sites).write(kept, filters, info_columns(sites, o.dropped_info), tail, formats, samples)
        return text, offset, rows[kept], sites.start[kept]

    def _subset(self, sites):
        """Take samples and alleles away."""
        o, n = self.options, sites.n
        if self.all_samples and not o.remove_unused_alternates:
            return
        sites.decoded[:] = True
        offset = sites.allele_offset
        fewer = len(sites.chosen) < sites.records.samples
        g = sites.genotypes
        keep = np.ones(int(offset[-1]), np.uint8)
        if o.remove_unused_alternates:
            unfiltered, g.filtered = g.filtered, np.zeros(len(g.allele), bool)  # alleles of filtered genotypes count here
            keep = (g.allele_counts(offset)[0] > 0).astype(np.uint8)
            g.filtered = unfiltered
            keep[offset[:-1]] = 1
        lost = np.zeros(n, bool)
        np.logical_or.at(lost, np.repeat(np.arange(n), np.diff(offset))[keep == 0], True)
        changed = lost | fewer
        if not changed.any():
            return
        self._original(sites, keep, changed)
        self._depth(sites, changed)
        if lost.any():
            bare = _drop_empty_calls(g, np.repeat(lost, g.samples))
            self._reduce_genotypes(sites, keep, np.repeat(lost, g.samples))
            for key in g.formats.keys() - {"GT", "FT"}:
                column = g.formats[key]
                g.formats[key] = TextColumn(column.data, column.start, np.where(bare, -1, column.length).astype(np.int32))
        kept_rows = np.flatnonzero(keep)
        new_offset = offsets(np.add.reduceat(keep, offset[:-1]).astype(np.int64)) if n else offset
        if lost.any():
            index = np.cumsum(keep) - 1
            called = g.allele >= 0
            first = np.repeat(offset[:-1], g.samples)[:, None]
            g.allele = np.where(called, index[np.where(called, first + g.allele, 0)] - np.repeat(new_offset[:-1], g.samples)[:, None],
                                g.allele).astype(np.int16)  # fmt: skip
            sites.__dict__.pop("type", None)
        sites.allele_offset = new_offset
        sites.allele_start, sites.allele_length = sites.allele_start[kept_rows], sites.allele_length[kept_rows]
        if g.samples:
            count, number = g.allele_counts(new_offset)
            set_counts(sites, changed, count, number, np.ones(n, bool))
        for key in ("MLEAC", "MLEAF"):
            sites.override(Field(key, INT, np.empty(0, np.int64), np.zeros(n + 1, np.int64)), changed)
        if not o.preserve_alleles:
            self._trim(sites, changed)

    def _original(self, sites, keep, changed):
        """Set AC_Orig, AF_Orig, AN_Orig and DP_Orig."""
        o = self.options
        if o.keep_original_counts:
            for key in ("AC", "AF", "AN"):
                column = sites.info.get(key)
                if column is None:
                    continue
                length = column.length
                if key != "AN" and (keep == 0).any():
                    column, length = _kept_values(sites, column, length, keep)
                sites.override(_text_field(f"{key}_Orig", column, length), changed)
        column = sites.info.get("DP")
        if o.keep_original_depth and column is not None:
            sites.override(_text_field("DP_Orig", column, column.length), changed)

    def _depth(self, sites, changed):
        """INFO DP is the sum over genotypes without filters that have one; where none has, it stays."""
        g, n = sites.genotypes, sites.n
        read = sites.info.get("DP") or TextColumn(sites.records.data, np.zeros(n, np.int64), np.full(n, -1, np.int32))
        depth = g.number("DP")
        use = (depth != -1) & ~g.filtered
        total = np.where(use, depth, 0).reshape(sites.n, len(sites.chosen)).sum(1)
        seen = use.reshape(sites.n, len(sites.chosen)).any(1)
        made = render(scalar_field("DP", INT, total, seen), sites.records.threads)
        start = np.where(seen, made.start + len(read.data), read.start)
        column = TextColumn(np.concatenate([read.data, made.data]), start, np.where(seen, made.length, read.length).astype(np.int32))
        sites.override(_text_field("DP", column, column.length), changed)

    def _reduce_genotypes(self, sites, keep, lost):
        """AD, PL and GQ of the alleles that stay in genotypes `lost` (bool), whose records lose some."""
        g, records = sites.genotypes, sites.records
        rows, threads = len(g.allele), records.threads
        ploidy = g.ploidy.astype(np.int64)
        non_ref = (sites.allele_length == 9) & (records.data[sites.allele_start] == ord("<"))
        non_ref &= records.data[np.where(non_ref, sites.allele_start + 1, 0)] == ord("N")
        had_pl = g.text("PL").length >= 0
        low = np.full((rows, 2), -1, np.int32)
        for key, likelihoods in (("AD", 0), ("PL", 1)):
            if key not in g.formats:
                continue
            column = g.formats[key]
            todo = np.where(lost, column.length, -1).astype(np.int32)
            room = np.where(todo >= 0, (todo.astype(np.int64) + 1) * 2 + INT_WIDTH, 0)
            start = np.cumsum(room) - room
            text, length, two = np.empty(int(room.sum()), np.uint8), np.empty(rows, np.int32), np.empty((rows, 2), np.int32)
            bad = run_chunks(kernel.put_reduced_lists, rows, threads, g.samples, column.data, column.start, todo, sites.allele_offset,
                             keep, non_ref, ploidy, likelihoods, text, start, length, two)  # fmt: skip
            bad = [r for r in bad if r >= 0]
            if bad:
                raise records.problem(min(bad) // g.samples, "AD has fewer values than there are alleles")
            if likelihoods:
                low = two
            data = np.concatenate([column.data, text])
            g.formats[key] = TextColumn(data, np.where(lost, start + len(column.data), column.start),
                                        np.where(lost, length, column.length).astype(np.int32))  # fmt: skip
        for key in ("PP", "GP", "PG"):
            if key in g.formats:
                column = g.formats[key]
                g.formats[key] = TextColumn(column.data, column.start, np.where(lost, -1, column.length).astype(np.int32))
        gq = g.number("GQ")
        several, alone = low[:, 1] >= 0, (low[:, 0] >= 0) & (low[:, 1] < 0)
        new = np.where(several, low[:, 1] - low[:, 0], np.where(alone | ~had_pl, gq, -1))
        gq = np.where(lost & (gq != -1), new, gq)
        if "GQ" in g.formats:
            g.formats["GQ"] = render(scalar_field("GQ", INT, gq, gq != -1), threads)

    def _trim(self, sites, changed):
        n = sites.n
        head, back = np.empty(n, np.int32), np.empty(n, np.int32)
        offset, start, length = sites.allele_offset, sites.allele_start, sites.allele_length
        run_chunks(kernel.trim_alleles, n, sites.records.threads, sites.records.data, offset, start, length, head, back)
        head[~changed], back[~changed] = 0, 0
        owner = np.repeat(np.arange(n), np.diff(offset))
        whole = np.zeros(len(start), np.uint8)
        run_chunks(kernel.takes_no_part, len(start), sites.records.threads, sites.records.data, start, length, whole)
        cut = whole == 0
        sites.allele_start = start + np.where(cut, head[owner], 0)
        sites.allele_length = (length - np.where(cut, (head + back)[owner], 0)).astype(np.int32)
        sites.start = (sites.start + head).astype(np.int32)


def _drop_empty_calls(g, lost):
    """In records that lose alleles (`lost`): hom-ref genotypes and no-calls of quality 0 become no-calls.

    Returns bool: those of depth 0, which lose all their values.
    """
    empty = lost & (g.number("GQ") == 0) & ((g.kind == kernel.HOM_REF) | (g.kind == kernel.NO_CALL))
    g.allele[empty[:, None] & (g.allele >= 0)] = -1
    g.__dict__.pop("kind", None)
    return empty & (g.number("DP") == 0)


def _only_star(sites):
    """bool[n]: records whose only ALT is "*"."""
    alt = np.minimum(sites.allele_offset[:-1] + 1, max(0, len(sites.allele_start) - 1))
    one = np.diff(sites.allele_offset) == 2
    return one & (sites.allele_length[alt] == 1) & (sites.records.data[sites.allele_start[alt]] == ord("*"))


def _text_field(key, column, length):
    """Rows of a text column as a field of their own."""
    offset = offsets(np.maximum(length, 0))
    index = np.repeat(column.start - offset[:-1], np.maximum(length, 0)) + np.arange(int(offset[-1]))
    return Field(key, TEXT, column.data[index], offset)


def _kept_values(sites, column, length, keep):
    """The values of an INFO key with one value an ALT, of the ALTs that stay, as a text column."""
    n = sites.n
    room = np.maximum(length, 0).astype(np.int64)
    start = np.cumsum(room) - room
    text, made = np.empty(int(room.sum()), np.uint8), np.empty(n, np.int32)
    bad = run_chunks(kernel.put_kept_values, n, sites.records.threads, column.data, column.start, length, sites.allele_offset, keep, text,
                     start, made)  # fmt: skip
    bad = [b for b in bad if b >= 0]
    if bad:
        raise sites.records.problem(min(bad), "AC or AF has not one value for each ALT")
    return TextColumn(text, start, made), made
