"""Calls of merged GVCF records: the allele frequency model, emitted alleles, genotypes over them.

Everything but `kernels.genotype_calls_cpu.emit_sites` ("*" depends on deletions emitted before) is independent from site to site.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from gpugenome.backend import Backend, Twin
from gpugenome.gatk.activity_priors import pseudocounts
from gpugenome.gatk.genotype_likelihoods import MOST_ALLELES, stacked_tables
from gpugenome.kernels import genotype_calls_cpu as calls_kernel
from gpugenome.kernels import joint_genotypes_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_text_cpu import compact
from gpugenome.steps.joint_records import JointColumns, JointRecords, offsets
from gpugenome.variant_fields import TextColumn

GPU_GENOTYPES, GPU_SITES = 1 << 17, 1000
"""Genotypes and sites of a batch from which on its models run on the GPU: an H100 needs some 0.14 ms a sample however few the sites are,
as it adds up the counts of a site one sample after the other, and 16 cores 0.4 us a genotype."""


@dataclass(frozen=True)
class GenotypeOptions:
    """GenotypeGVCFs' arguments, under GATK's names with underscores; quality in phred."""

    standard_min_confidence_threshold_for_calling: float = 30.0
    max_alternate_alleles: int = 6
    sample_ploidy: int = 2
    heterozygosity: float = 0.001
    heterozygosity_stdev: float = 0.01
    indel_heterozygosity: float = 1.0 / 8000.0
    include_non_variant_sites: bool = False
    annotation: tuple[str, ...] = ()
    annotation_group: tuple[str, ...] = ()
    annotations_to_exclude: tuple[str, ...] = ()
    disable_tool_default_annotations: bool = False
    keep_combined_raw_annotations: bool = False
    keep_specific_combined_raw_annotation: tuple[str, ...] = ()


@dataclass
class GenotypingState:
    """What one batch leaves for the next: deletions emitted before on contig ref_id, int64[k, 2] (0-based start, last position covered).

    Those of sites that are written whatever they are, and those of others, are kept apart: GATK has an engine for each.
    """

    ref_id: int = -1
    deletions: dict[bool, np.ndarray] = field(default_factory=dict)


@dataclass(kw_only=True)
class JointCalls(JointColumns):
    """Calls: alleles as printed.

    record: int64[n], row of the JointRecords. end: int32[n], end of REF. qual: float64[n], phred, NaN for none. low_qual: uint8[n].
    genotyped: bool[n], the site went through the model. mleac: int32, mleaf: float64 by ALT (by mle_offset int64[n + 1], empty rows where
    there is none). By allele: allele_row: int64, the record's allele, as allele_data counts them; allele_qual: int64, phred of the allele's
    absence; for REF that of the site, -1 where more than two alleles were looked at.
    """

    record: np.ndarray
    end: np.ndarray
    qual: np.ndarray
    low_qual: np.ndarray
    genotyped: np.ndarray
    mleac: np.ndarray
    mleaf: np.ndarray
    mle_offset: np.ndarray
    allele_row: np.ndarray
    allele_qual: np.ndarray

    @property
    def untrimmed_ref_length(self) -> np.ndarray:
        """int32[c]: length of REF (annotations come after trimming)."""
        return self.end - self.start

    def take(self, rows: np.ndarray) -> "JointCalls":
        """Some of the calls (int64 rows)."""
        samples = self.gt.shape[1]
        wide = (rows[:, None] * samples + np.arange(samples)).ravel()
        new = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name in _BY_CALL}
        new["allele_offset"], alleles = ragged_rows(self.allele_offset, rows)
        new["allele_base_offset"], at = ragged_rows(self.allele_base_offset, alleles)
        new["allele_base"] = self.allele_base[at]
        new["allele_row"], new["allele_qual"] = self.allele_row[alleles], self.allele_qual[alleles]
        new["mle_offset"], at = ragged_rows(self.mle_offset, rows)
        new["mleac"], new["mleaf"] = self.mleac[at], self.mleaf[at]
        for name in ("pl", "ad"):
            new[name + "_offset"], at = ragged_rows(getattr(self, name + "_offset"), wide)
            new[name] = getattr(self, name)[at]
        texts = {k: TextColumn(c.data, c.start[wide], c.length[wide]) for k, c in self.texts.items()}
        return JointCalls(**new, allele_data=self.allele_data, texts=texts,
                          numeric={k: (v[rows], p[rows]) for k, (v, p) in self.numeric.items()},
                          ids=TextColumn(self.ids.data, self.ids.start[rows], self.ids.length[rows]))  # fmt: skip


_BY_CALL = ("record", "start", "end", "qual", "low_qual", "genotyped", "gt", "phased", "gq", "dp", "min_dp", "depth", "raw_mq")


def ragged_rows(offset: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(offsets, positions of the values) of some rows of a ragged column."""
    length = (offset[1:] - offset[:-1])[rows]
    new = offsets(length)
    return new, np.arange(int(new[-1])) + np.repeat(offset[:-1][rows] - new[:-1], length)


def compacted(column: TextColumn, rows: np.ndarray, threads: int = 1) -> TextColumn:
    """Some rows of a text column in an arena of their own."""
    length = column.length[rows]
    offset = offsets(np.maximum(length, 0))
    out = np.empty(int(offset[-1]), np.uint8)
    run_chunks(compact, len(rows), threads, column.data, column.start[rows], out, offset)
    return TextColumn(out, offset[:-1], length)


def is_hom_ref(gt: np.ndarray) -> np.ndarray:
    """Of int16[..., p]: genotypes whose alleles are all REF (at least one)."""
    return ((gt == 0) | (gt == -2)).all(-1) & (gt[..., 0] == 0)


def is_no_call(gt: np.ndarray) -> np.ndarray:
    """Of int16[..., p]: genotypes whose alleles are all missing (at least one)."""
    return ((gt == -1) | (gt == -2)).all(-1) & (gt[..., 0] == -1)


def without_evidence(gt, gq, dp) -> np.ndarray:
    """Genotypes that count as no-calls in annotations: hom-ref or no-call with GQ 0 and no depth."""
    return (is_hom_ref(gt) | is_no_call(gt)) & (gq == 0) & (dp <= 0)


def _skipped(records, hom_ref, no_call):
    """Sites that GATK does not genotype: too many alleles, no PL at all, a called ALT without PL."""
    shape = records.ploidy.shape
    has_pl = (np.diff(records.pl_offset) > 0).reshape(shape)
    unknown = ~has_pl & ~hom_ref & ~no_call & (records.ploidy > 0)
    return (records.n_alleles > MOST_ALLELES) | ~has_pl.any(1) | unknown.any(1) | (records.n_alleles < 2) | (records.depth <= 0)


def call(records: JointRecords, ref_id: int, options: GenotypeOptions, name_order: np.ndarray, state: GenotypingState,
         threads: int = 1, backend: Backend | None = None, forced: np.ndarray | None = None) -> JointCalls:  # fmt: skip
    """Calls of merged records of one contig, in order; updates `state`.

    name_order: int64[s], the samples in order of their names. backend: where the models of many samples run, by default the CPU. forced:
    bool[n], records that are calls if they can be genotyped, variant or not, and as they are without ALT or depth; by default none.
    """
    n, samples = records.ploidy.shape
    hom_ref, no_call = is_hom_ref(records.gt), is_no_call(records.gt)
    skip = _skipped(records, hom_ref, no_call)
    ploidies = tuple(int(p) for p in np.unique(records.ploidy) if p > 0) or (options.sample_ploidy,)
    table = stacked_tables(ploidies, int(records.n_alleles.clip(2, MOST_ALLELES).max(initial=2)))
    forced = np.zeros(n, bool) if forced is None else forced
    keep, emitted, qual, low_qual, mle, allele_qual = _emit(records, ref_id, options, hom_ref, no_call, skip, name_order, table, state,
                                                            backend or Backend("cpu", threads), forced)  # fmt: skip
    as_is = forced & ((records.n_alleles < 2) | (records.depth <= 0))
    rows = np.flatnonzero(emitted.astype(bool) & ~skip | as_is)
    keep = keep.astype(bool)
    keep[np.repeat(as_is, records.n_alleles)] = True
    site_of = np.repeat(np.arange(n), records.n_alleles)
    chosen = np.zeros(n, bool)
    chosen[rows] = True
    allele = np.flatnonzero(keep & chosen[site_of])
    kept_offset = offsets(np.bincount(site_of[allele], minlength=n)[rows])
    kept = allele - records.allele_offset[site_of[allele]]
    return _assigned(records, rows, kept_offset, kept, allele, as_is[rows], hom_ref, no_call, qual[rows], low_qual[rows], mle[allele],
                     allele_qual[allele], table, threads)  # fmt: skip


def _models(records, length, options, hom_ref, no_call, skip, name_order, table, backend):
    """The allele frequency models: (no_variant float64 by record; absent float64, mle_count int32, used uint8 by allele)."""
    if records.ploidy.size < GPU_GENOTYPES or len(records.ploidy) < GPU_SITES:
        backend = Backend("cpu", backend.threads)
    twin = backend.kernels("joint_genotypes")
    with twin.alone():  # the arrays of the device go inside, when the function that holds them returns
        return _models_of(twin, records, length, options, hom_ref, no_call, skip, name_order, table)


def _models_of(twin: Twin, records, length, options, hom_ref, no_call, skip, name_order, table):
    n, m = len(records.ploidy), len(records.code)
    outputs = twin.empty(n, np.float64), twin.empty(m, np.float64), twin.empty(m, np.int32), twin.empty(m, np.uint8)
    *columns, skipped = twin.put(
        records.allele_offset, length, records.code, records.ploidy.ravel(), records.gq.ravel(), records.dp.ravel(), hom_ref.ravel(),
        no_call.ravel(), records.pl, records.pl_offset, name_order, skip,
    )  # fmt: skip
    tables = twin.put(table.row, table.allele, table.distinct, table.count, table.n_distinct, table.combinations, table.log10_of,
                      table.choose)  # fmt: skip
    twin.run(
        "site_models", n, records.ploidy.shape[1], *columns, options.max_alternate_alleles,
        *pseudocounts(options.heterozygosity, options.heterozygosity_stdev, options.indel_heterozygosity), *tables, skipped, *outputs,
    )  # fmt: skip
    return twin.take(*outputs)


def _emit(records, ref_id, options, hom_ref, no_call, skip, name_order, table, state, backend, forced):
    n, m = len(records), len(records.code)
    length = np.diff(records.allele_base_offset).astype(np.int32)
    no_variant, absent, mle, used = _models(records, length, options, hom_ref, no_call, skip, name_order, table, backend)
    keep, emitted, qual, low_qual = np.zeros(m, np.uint8), np.empty(n, np.uint8), np.full(n, np.nan), np.zeros(n, np.uint8)
    if state.ref_id != ref_id:
        state.ref_id, state.deletions = ref_id, {}
    for kind, mode in ((False, calls_kernel.VARIANTS_ONLY), (True, calls_kernel.ACTIVE_SITES)):
        rows = np.flatnonzero(forced == kind)
        if not len(rows):
            continue
        allele_offset, allele = ragged_rows(records.allele_offset, rows)
        out = np.zeros(len(allele), np.uint8), np.empty(len(rows), np.uint8), np.full(len(rows), np.nan), np.zeros(len(rows), np.uint8)
        state.deletions[kind] = calls_kernel.emit_sites(
            records.start[rows], allele_offset, records.code[allele], length[allele], no_variant[rows], absent[allele], used[allele],
            np.zeros(len(allele), np.uint8), options.standard_min_confidence_threshold_for_calling, 0, mode, MOST_ALLELES,
            state.deletions.get(kind, np.empty((0, 2), np.int64)), *out,
        )  # fmt: skip
        keep[allele], emitted[rows], qual[rows], low_qual[rows] = out
    of_site = np.repeat(no_variant, records.n_alleles)
    used_in_site = np.repeat(np.bincount(np.repeat(np.arange(n), records.n_alleles), used, n), records.n_alleles)
    phred = np.where(used_in_site > 2, absent, of_site) * -10.0
    allele_qual = np.floor(np.where(np.isfinite(phred), phred, 2147483647.0) + 0.5).astype(np.int64)
    first = records.allele_offset[:-1]
    allele_qual[first] = np.where(used_in_site[first] > 2, -1, allele_qual[first])
    return keep, emitted, qual, low_qual, mle, allele_qual


def _assigned(records, rows, kept_offset, kept, allele, as_is, hom_ref, no_call, qual, low_qual, mle, allele_qual, table,
              threads):
    c, samples = len(rows), records.ploidy.shape[1]
    shape = c, samples
    wide = (rows[:, None] * samples + np.arange(samples)).ravel()
    n_kept = np.repeat(np.diff(kept_offset), samples)
    ploidy, only_ref = records.ploidy.ravel()[wide], n_kept == 1
    plain = np.repeat(as_is, samples)
    has_pl, has_ad = np.diff(records.pl_offset)[wide] > 0, np.diff(records.ad_offset)[wide] > 0
    stays = ~only_ref | plain
    pl_offset = offsets(np.where(has_pl & stays, table.choose[n_kept, ploidy], 0))
    ad_offset = offsets(np.where(has_ad & stays, n_kept, 0))
    gt, gq = np.empty((c * samples, records.gt.shape[2]), np.int16), np.empty(c * samples, np.int32)
    pl, ad, cleared = np.empty(int(pl_offset[-1]), np.int32), np.empty(int(ad_offset[-1]), np.int32), np.empty(c * samples, np.uint8)
    run_chunks(
        kernel.assign, c, threads, samples, rows, kept_offset, kept, records.gt.reshape(-1, gt.shape[1]), records.ploidy.ravel(),
        records.gq.ravel(), records.dp.ravel(), hom_ref.ravel(), no_call.ravel(), records.pl, records.pl_offset, records.ad,
        records.ad_offset, table.row, table.allele, table.choose, gt, gq, pl, pl_offset, ad, ad_offset, cleared,
    )  # fmt: skip
    reference = only_ref & ~plain  # GATK makes new genotypes where only REF is left, with DP and GQ
    gt[reference] = np.where(np.arange(gt.shape[1]) < ploidy[reference, None], 0, -2)
    gq[reference | plain] = records.gq.ravel()[wide][reference | plain]
    if plain.any():
        gt[plain] = records.gt.reshape(-1, gt.shape[1])[wide][plain]
        for name, out in (("pl", pl), ("ad", ad)):
            from_offset, to_offset = getattr(records, name + "_offset"), {"pl": pl_offset, "ad": ad_offset}[name]
            _, source = ragged_rows(from_offset, wide[plain])
            _, target = ragged_rows(to_offset, np.flatnonzero(plain))
            out[target] = getattr(records, name)[source]
    gone = (cleared > 0) & ~plain & ~reference
    pl, pl_offset = _without(pl, pl_offset, gone)
    ad, ad_offset = _without(ad, ad_offset, gone)
    texts = {}
    for key, column in records.texts.items():
        length = np.where(gone | reference, -1, column.length[wide]).astype(np.int32)
        texts[key] = compacted(TextColumn(column.data, column.start[wide], length), np.arange(len(wide)), threads)
    size = np.empty(len(kept), np.int64)
    run_chunks(kernel.trim_lengths, c, threads, rows, kept_offset, kept, records.allele_offset, records.code, records.allele_base_offset,
               records.allele_base, (~as_is).astype(np.uint8), size)  # fmt: skip
    base_offset = offsets(size)
    base = np.empty(int(base_offset[-1]), np.uint8)
    run_chunks(compact, len(kept), threads, records.allele_base, records.allele_base_offset[:-1][allele], base, base_offset)
    is_alt = np.ones(len(kept), bool)
    is_alt[kept_offset[:-1]] = False
    is_alt &= ~np.repeat(as_is, np.diff(kept_offset))
    mle_offset = offsets(np.where(as_is, 0, np.diff(kept_offset) - 1))
    gt = gt.reshape(*shape, gt.shape[1])
    called = (gt >= 0).sum((1, 2))
    site_keeps_id = np.zeros(len(records), bool)  # GATK makes new records of genotyped sites, without ID
    site_keeps_id[rows[as_is]] = True
    mleac = mle[is_alt]
    with np.errstate(divide="ignore", invalid="ignore"):
        mleaf = np.minimum(1.0, mleac / np.repeat(called, np.diff(mle_offset)))
    absent = gone.reshape(shape)
    phased = np.where(reference, 0, records.phased.ravel()[wide]).astype(np.uint8).reshape(shape)
    gq = np.where(gone, -1, gq).astype(np.int32).reshape(shape)
    ids = TextColumn(records.ids.data, records.ids.start, np.where(site_keeps_id, records.ids.length, -1))
    return JointCalls(
        record=rows, start=records.start[rows], end=(records.start[rows] + size[kept_offset[:-1]]).astype(np.int32),
        allele_offset=kept_offset, allele_base=base, allele_base_offset=base_offset, qual=np.where(as_is, np.nan, qual),
        low_qual=np.where(as_is, 0, low_qual).astype(np.uint8), genotyped=~as_is, mleac=mleac, mleaf=mleaf, mle_offset=mle_offset, gt=gt,
        phased=phased, gq=gq, dp=np.where(absent, -1, records.dp[rows]).astype(np.int32),
        min_dp=np.where(absent | reference.reshape(shape), -1, records.min_dp[rows]).astype(np.int32), pl=pl, pl_offset=pl_offset, ad=ad,
        ad_offset=ad_offset, texts=texts, depth=records.depth[rows],
        numeric={k: (v[rows], p[rows]) for k, (v, p) in records.numeric.items()}, raw_mq=records.raw_mq[rows],
        ids=compacted(ids, rows, threads), allele_row=allele, allele_qual=allele_qual,
        allele_data=records.allele_data,
    )  # fmt: skip


def _without(values, offset, gone):
    """A ragged column whose rows `gone` are empty."""
    if not gone.any():
        return values, offset
    length = np.diff(offset)
    return values[~np.repeat(gone, length)], offsets(np.where(gone, 0, length))

