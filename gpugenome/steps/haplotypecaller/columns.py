"""The tables that the stages of HaplotypeCaller hand to each other. Coordinates are 0-based half-open.

CallerReads + RegionBatch --assembly--> AssemblyBatch --likelihoods--> LikelihoodBatch --genotyping--> CallBatch --> VCF;
with reference confidence: all of them --> ReferenceRecords --> GVCF.
Ragged columns are flat values with an int64 offset array one longer than the rows.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class CallerReads:
    """Reads that passed the filters and the downsampler, in stream order, over one window of one contig.

    ref_id: the contig's index. n rows:
    start, end: int32, alignment without clips, `end` exclusive. flag: uint16. mapq: uint8.
    mate_ref_id, mate_start: int32 (-1 where unset). tlen: int32. sample: int32, index into the sorted sample names.
    read_group: int32, index into the header's @RG lines.
    base: uint8 ASCII (ACGTN only); qual: uint8 phred, both by base_offset int64[n+1].
    cigar: uint32 (length << 4 | op, BAM op codes) by cigar_offset int64[n+1]. name: uint8 by name_offset int64[n+1].
    tag: uint8 by tag_offset int64[n+1], the tags as BAM has them, for --bamout; else empty rows.
    """

    ref_id: int
    start: np.ndarray
    end: np.ndarray
    flag: np.ndarray
    mapq: np.ndarray
    mate_ref_id: np.ndarray
    mate_start: np.ndarray
    tlen: np.ndarray
    sample: np.ndarray
    read_group: np.ndarray
    base: np.ndarray
    qual: np.ndarray
    base_offset: np.ndarray
    cigar: np.ndarray
    cigar_offset: np.ndarray
    name: np.ndarray
    name_offset: np.ndarray
    tag: np.ndarray | None = None
    tag_offset: np.ndarray | None = None

    def __post_init__(self):
        if self.tag is None:
            self.tag, self.tag_offset = np.empty(0, np.uint8), np.zeros(len(self) + 1, np.int64)

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class RegionBatch:
    """Assembly regions of one contig, in order.

    start, end, padded_start, padded_end: int32[r]. is_active: bool[r].
    read_offset: int64[r+1], read_index: int32[...]: rows of CallerReads that overlap the padded span, stream order.
    """

    ref_id: int
    start: np.ndarray
    end: np.ndarray
    padded_start: np.ndarray
    padded_end: np.ndarray
    is_active: np.ndarray
    read_offset: np.ndarray
    read_index: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class RegionReads:
    """Clipped copies of reads, grouped by region: row i belongs to the region whose region_offset brackets it.

    region_offset: int64[r+1]. source: int32[m], row of CallerReads (flag, mapq, mate, tlen, sample, name come from there).
    start: int32[m], alignment start after clipping. base/qual by base_offset int64[m+1]; cigar by cigar_offset int64[m+1]
    (hard clips kept). filtered: uint8[m], 1 for reads set aside before the likelihoods (foreign mate, MAPQ) that only annotations see.
    """

    region_offset: np.ndarray
    source: np.ndarray
    start: np.ndarray
    base: np.ndarray
    qual: np.ndarray
    base_offset: np.ndarray
    cigar: np.ndarray
    cigar_offset: np.ndarray
    filtered: np.ndarray

    def __len__(self) -> int:
        return len(self.source)


@dataclass
class Haplotypes:
    """Haplotypes grouped by region, all of a region over the same reference span.

    offset: int64[r+1], rows of each region, in list order (the order of GATK's list: ties and ALT order depend on it).
    span_start: int32[r], where the haplotypes of a region begin on the contig. base (ASCII) by base_offset int64[h+1]; cigar against the
    reference by cigar_offset int64[h+1]; is_reference: uint8[h]; kmer: int32[h], k of the graph (0 for the reference added by itself);
    score: float64[h], log10 of the path, NaN for a reference that is no path.
    """

    offset: np.ndarray
    span_start: np.ndarray
    base: np.ndarray
    base_offset: np.ndarray
    cigar: np.ndarray
    cigar_offset: np.ndarray
    is_reference: np.ndarray
    kmer: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.is_reference)


@dataclass
class HaplotypeEvents:
    """Events (variants) of every haplotype against the reference, by start.

    offset: int64[h+1], rows of each haplotype. start: int32[e], 0-based position of the first REF base. ref_length: int32[e], bases of REF
    (which are the contig's own). alt: uint8 ASCII by alt_offset int64[e+1].
    """

    offset: np.ndarray
    start: np.ndarray
    ref_length: np.ndarray
    alt: np.ndarray
    alt_offset: np.ndarray


@dataclass
class AssemblyBatch:
    """What assembly found in each region of a RegionBatch (rows equal).

    status: uint8[r]: 0 inactive or without reads, 1 active, assembled, but no variation, 2 variation: the trimmed haplotypes below go on.
    variant_start, variant_end: int32[r], the trimmed active span; trimmed_start, trimmed_end: the padded variant span.
    finalised: RegionReads before trimming: of active regions, and with reference confidence of the others too (the reference model
    works on them); rows of regions that are not finalised are empty. trimmed: RegionReads for likelihoods (status 2).
    haplotypes: the trimmed ones (status 2; none elsewhere), in likelihood order (length, then bases), beginning at trimmed_start.
    events: of these haplotypes. The untrimmed reference haplotype of a region is the reference over its padded span.
    """

    status: np.ndarray
    variant_start: np.ndarray
    variant_end: np.ndarray
    trimmed_start: np.ndarray
    trimmed_end: np.ndarray
    finalised: RegionReads
    trimmed: RegionReads
    haplotypes: Haplotypes
    events: HaplotypeEvents


@dataclass
class LikelihoodBatch:
    """Read x haplotype log10 likelihoods after cap and filter, and the realigned reads.

    reads: RegionReads after realignment to the best haplotype (rows in matrix order: sample by sample in sample-name order,
    region order within a sample; disqualified reads gone; filtered==1 rows are kept and have no likelihood rows).
    matrix: float64 flat; region r's block is [n_reads(r), n_haplotypes(r)] C order beginning at matrix_offset[r], int64[r+1],
    with zeros in rows of filtered reads. best_haplotype: int32[m], -1 for filtered rows.
    """

    reads: RegionReads
    matrix: np.ndarray
    matrix_offset: np.ndarray
    best_haplotype: np.ndarray


@dataclass
class CallBatch:
    """Variant records of a batch of regions, in order; c calls, s samples. Alleles are as printed (after trimming).

    region: int32[c]. start: int32[c] (0-based POS). end: int32[c] exclusive end of REF.
    allele_offset: int64[c+1]: allele rows of call i, REF first. allele_base/allele_base_offset: their bytes ("*" and "<NON_REF>" literal).
    qual: float64[c] (phred, unrounded). low_qual: uint8[c] (LowQual filter).
    mleac: int32 by ALT (row allele_offset[i] - i + j); mleaf: float64 likewise.
    gt: int16[c, s, max_ploidy], allele index, -1 no-call, -2 beyond this sample's ploidy. phased: uint8[c, s].
    gq: int32[c, s] (-1 none, uncapped). pl: int32 flat by pl_offset int64[c*s+1] (an empty row where a genotype has no PL).
    ad: int32 flat, c calls x s samples x alleles, by ad_offset int64[c*s+1] (an empty row where not given). dp: int32[c, s], -1 none.
    phase_group_start: int32[c] 0-based POS of the phase group's first call, -1 where unphased; phase_group_call: int32[c] its row;
    phase_alt_first: uint8[c], 1 where PGT is 1|0.
    untrimmed_ref_length: int32[c], REF length before trimming (annotations see untrimmed alleles).
    Annotation matrix of call i (spec "annotations", section 2): rows evidence_offset[i]:evidence_offset[i+1] of evidence_read (int32, row
    of LikelihoodBatch.reads), columns column_offset[i]:column_offset[i+1], the alleles of the merged site, dropped ones included (<NON_REF>
    last in GVCF mode); column_allele: int32, the column's allele in the call, -1 for a dropped one. evidence_matrix: float64, call i's
    block in C order from evidence_matrix_offset[i] on; rows of reads that were set aside (filtered) are all 0.
    hap_called: int32 by haplotype of the AssemblyBatch: 0 where it supports no allele of an emitted call, else 1 + its place in the order
    of calls, their alleles and haplotypes.
    """

    region: np.ndarray
    start: np.ndarray
    end: np.ndarray
    allele_offset: np.ndarray
    allele_base: np.ndarray
    allele_base_offset: np.ndarray
    qual: np.ndarray
    low_qual: np.ndarray
    mleac: np.ndarray
    mleaf: np.ndarray
    gt: np.ndarray
    phased: np.ndarray
    gq: np.ndarray
    pl: np.ndarray
    pl_offset: np.ndarray
    ad: np.ndarray
    ad_offset: np.ndarray
    dp: np.ndarray
    phase_group_start: np.ndarray
    phase_group_call: np.ndarray
    phase_alt_first: np.ndarray
    untrimmed_ref_length: np.ndarray
    evidence_offset: np.ndarray
    evidence_read: np.ndarray
    evidence_matrix: np.ndarray
    evidence_matrix_offset: np.ndarray
    column_offset: np.ndarray
    column_allele: np.ndarray
    hap_called: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class ReferenceRecords:
    """One row per position of a batch of regions, ascending (-ERC); n rows.

    pos: int32[n], 0-based. ref_base: uint8[n] ASCII. call: int32[n], row of the CallBatch that is the record here, -1 where the record is
    confidence in the reference: ref_depth, alt_depth: int32[n] (AD; DP is their sum); pl: int32[n, ploidy+1]; gq: int32[n], uncapped.
    with_qual: int64[k], rows that were calls without any ALT but <NON_REF> and became reference records; qual: float64[k], theirs.
    """

    ref_id: int
    pos: np.ndarray
    ref_base: np.ndarray
    call: np.ndarray
    ref_depth: np.ndarray
    alt_depth: np.ndarray
    pl: np.ndarray
    gq: np.ndarray
    with_qual: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    qual: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.pos)
