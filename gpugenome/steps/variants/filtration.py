"""VariantFiltration: names of filters for records and genotypes by expressions, masks and clusters of SNPs.

Source: GATK VariantFiltration, GATKVariantContextUtils.setFilteredGenotypeToNocall, htsjdk VariantContextUtils.calculateChromosomeCounts.
"""

from dataclasses import dataclass

import numpy as np

from gpugenome.errors import UserError
from gpugenome.gatk.annotations.chromosome_counts import CHROMOSOME_COUNTS
from gpugenome.gatk.jexl import Expression, parse
from gpugenome.gatk.vcf_lines import field_line, filter_line
from gpugenome.io.variant_records import VariantFile, VariantHeader, VariantRecords
from gpugenome.kernels.variant_filter_cpu import SNP
from gpugenome.steps.variants.output import Lines, filter_column, format_columns, info_columns, samples_unsorted
from gpugenome.steps.variants.sites import GenotypeFields, SiteFields, Sites, combined_filters, offsets
from gpugenome.variant_fields import DOUBLE, INT, Field, scalar_field

CLUSTER = "SnpCluster"
FT_LINE = field_line("FORMAT", "FT", ".", "String", "Genotype-level filter")


@dataclass
class FiltrationOptions:
    """filters, genotype_filters: (name, expression text); a repeated name keeps its last expression."""

    filters: tuple[tuple[str, str], ...] = ()
    genotype_filters: tuple[tuple[str, str], ...] = ()
    mask_name: str = "Mask"
    mask_description: str | None = None
    mask_extension: int = 0
    filter_not_in_mask: bool = False
    cluster_size: int = 3
    cluster_window_size: int = 0
    missing_values_fail: bool = False
    invalidate_previous: bool = False
    invert: bool = False
    invert_genotype: bool = False
    filtered_to_no_call: bool = False

    def __post_init__(self):
        if self.cluster_size < 2:
            raise UserError("--cluster-size: values lower than 2 are not allowed")

    def parsed(self) -> tuple[dict[str, Expression], dict[str, Expression]]:
        """Site and genotype expressions by filter name."""
        return ({name: parse(text) for name, text in self.filters}, {name: parse(text) for name, text in self.genotype_filters})


def overlaps(spans: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """bool[n]: whether any of `spans` (int64[k, 2], half-open, sorted by start) overlaps start..end of each row."""
    if not len(spans):
        return np.zeros(len(start), bool)
    reach = np.maximum.accumulate(spans[:, 1])
    before = np.searchsorted(spans[:, 0], end, "left")  # spans that begin before the row's end
    return (before > 0) & (reach[np.maximum(before, 1) - 1] > start)


def overlap_sites(sites: list[np.ndarray], records: VariantRecords, extension: int = 0) -> np.ndarray:
    """bool[n]: records that overlap one of the sites (by contig, see `io.known_sites.read_sites`), or lie up to extension bp away."""
    out = np.zeros(len(records), bool)
    for ref_id in np.unique(records.ref_id).tolist():
        own = records.ref_id == ref_id
        start, end = records.start[own].astype(np.int64) - extension, records.end[own].astype(np.int64) + extension
        out[own] = overlaps(sites[ref_id], start, end)
    return out


def find_clusters(pos: np.ndarray, size: int, window: int) -> np.ndarray:
    """bool[n]: SNPs (sorted positions of one contig) near a run of `size` SNPs within fewer than `window` bases that begins no later."""
    n = len(pos)
    dense = np.zeros(n + 1, np.int64)
    if n >= size:
        dense[1 : n - size + 2] = pos[size - 1 :] - pos[: n - size + 1] < window
    total = np.cumsum(dense)
    first, last = np.searchsorted(pos, pos - window, "left"), np.searchsorted(pos, pos, "right")
    return total[last] > total[first]


def snp_positions(path: str, contigs, threads: int) -> dict[int, np.ndarray]:
    """Positions (0-based, sorted) of the SNPs of a VCF by contig."""
    found: dict[int, list[np.ndarray]] = {}
    for records in VariantFile(path, contigs, threads).records():
        snp = Sites(records).type == SNP
        for ref_id in np.unique(records.ref_id[snp]).tolist():
            found.setdefault(ref_id, []).append(records.start[snp & (records.ref_id == ref_id)])
    return {ref_id: np.concatenate(parts).astype(np.int64) for ref_id, parts in found.items()}


class Filtration:
    """Filters of one run.

    mask: spans by contig as `io.known_sites.read_sites` gives them, or None. snps: `snp_positions` where clusters are asked for.
    chosen: int64, sample columns in the order in which they are written; None: as they were read. written: the records count as if another
    tool had written them before, so QUAL has two decimals. sites_only: leave the genotypes out.
    """

    def __init__(self, options: FiltrationOptions, header: VariantHeader, mask=None, snps=None, chosen=None, written: bool = False,
                 sites_only: bool = False):  # fmt: skip
        self.options, self.header, self.mask, self.snps = options, header, mask, snps
        self.chosen, self.written, self.sites_only = chosen, written, sites_only
        self.filters, self.genotype_filters = options.parsed()

    def header_lines(self) -> list[str]:
        """The lines that the filters need."""
        o, out = self.options, []
        if o.filtered_to_no_call:
            out += CHROMOSOME_COUNTS.lines
        if o.cluster_window_size > 0:
            out.append(filter_line(CLUSTER, "SNPs found in clusters"))
        if self.genotype_filters:
            out.append(FT_LINE)
        inverse = "Inverse of: " if o.invert else ""
        out += [filter_line(name, inverse + e.text) for name, e in (*self.filters.items(), *self.genotype_filters.items())]
        if self.mask is not None:
            usual = "Doesn't overlap a user-input mask" if o.filter_not_in_mask else "Overlaps a user-input mask"
            out.append(filter_line(o.mask_name, o.mask_description or usual))
        return out

    def _masked(self, records):
        """bool[n]: records that get the mask's name."""
        return overlap_sites(self.mask, records, self.options.mask_extension) != self.options.filter_not_in_mask

    def _clustered(self, sites):
        out, records = np.zeros(sites.n, bool), sites.records
        for ref_id in np.unique(records.ref_id).tolist():
            own = np.flatnonzero((records.ref_id == ref_id) & (sites.type == SNP))
            pos = self.snps.get(ref_id, np.empty(0, np.int64))
            dense = find_clusters(pos, self.options.cluster_size, self.options.cluster_window_size)
            out[own] = dense[np.searchsorted(pos, records.start[own])]
        return out

    def lines(self, records: VariantRecords, wanted: np.ndarray):
        """(text, offset) of the records `wanted` (rows), with their filters.

        Raises
        ------
        UserError, InputError: a record that an expression cannot be evaluated for, or that cannot be written.
        """
        o = self.options
        records = records.take(wanted)
        sites = Sites(records, self.chosen, not o.invalidate_previous)
        if self.written:
            sites.round_qual()
        if self.mask is not None:
            hit = self._masked(records)
            sites.mask = (o.mask_name, hit)
        everything = np.ones(sites.n, bool)
        ft, samples = None, len(sites.chosen)
        anew = bool(samples) and bool(self.genotype_filters or o.filtered_to_no_call)
        if anew:
            ft = self._filter_genotypes(sites)
        names, matched = [], []
        if o.cluster_window_size > 0:
            names.append(CLUSTER)
            matched.append(self._clustered(sites))
        fields = SiteFields(sites)
        for name, expression in self.filters.items():
            names.append(name)
            matched.append(expression.match(fields, everything, True, o.missing_values_fail, records.place) != o.invert)
        if o.filtered_to_no_call and samples:
            set_no_calls(sites, ft)
        matched = np.array(matched, bool).reshape(len(names), sites.n)
        filters = filter_column(sites, names, matched, "." if o.invalidate_previous else "PASS", self.header.filters)
        decoded = (sites.decoded | anew | samples_unsorted(self.header)) & (samples > 0 and not self.sites_only)
        rows = np.arange(sites.n)
        formats = format_columns(sites, np.flatnonzero(decoded), ft) if decoded.any() else {}
        tail = np.where(decoded, 2, 1 if samples and not self.sites_only else 0).astype(np.uint8)
        return Lines(sites).write(rows, filters, info_columns(sites), tail, formats, samples)

    def _filter_genotypes(self, sites):
        """New FT texts."""
        o, g, records = self.options, sites.genotypes, sites.records
        fields = GenotypeFields(sites)

        def place(row):
            return f"{records.place(row // g.samples)}, sample {self.header.samples[sites.chosen[row % g.samples]]}"

        names, matched = list(self.genotype_filters), np.zeros((len(self.genotype_filters), fields.n), bool)
        for k, expression in enumerate(self.genotype_filters.values()):
            matched[k] = g.called & (expression.match(fields, g.called, True, o.missing_values_fail, place) != o.invert_genotype)
        return combined_filters(g.ft, names, matched)


def set_no_calls(sites: Sites, ft) -> None:
    """Called genotypes with filters (texts `ft`) become no-calls; AC, AF and AN of their records are counted anew without filtered ones."""
    g = sites.genotypes
    gone = g.called & (ft.length >= 0)
    g.allele[gone[:, None] & (g.allele >= 0)] = -1
    g.__dict__.pop("kind", None)
    changed = gone.reshape(-1, g.samples).any(1)
    g.ft, g.filtered = ft, ft.length >= 0
    count, number = g.allele_counts(sites.allele_offset)
    set_counts(sites, changed, count, number, ~changed | (number > 0))


def set_counts(sites: Sites, rows: np.ndarray, count: np.ndarray, number: np.ndarray, present: np.ndarray) -> None:
    """AC, AF and AN of records `rows` (bool[n]) from copies of alleles, by sites.allele_offset. present: bool[n], who has them."""
    offset = sites.allele_offset
    alt = np.ones(len(count), bool)
    alt[offset[:-1]] = False
    owner = np.repeat(np.arange(sites.n), np.diff(offset))
    use = alt & present[owner]
    per_record = offsets(np.bincount(owner[use], minlength=sites.n))
    total = np.maximum(number, 1)[owner[use]]
    sites.override(Field("AC", INT, count[use], per_record), rows)
    sites.override(Field("AF", DOUBLE, count[use] / total, per_record), rows)
    sites.override(scalar_field("AN", INT, number, present), rows)
