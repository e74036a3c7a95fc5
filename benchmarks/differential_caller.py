"""Our HaplotypeCaller against the real one over many option sets and inputs: bodies and headers byte by byte.

    python benchmarks/differential_caller.py FOLDER [--sets NAME,...] [--threads 2] [--device cpu] [--show 3] [--list] [--record FOLDER]
    python benchmarks/differential_caller.py FOLDER --random 100 [--seed 1]

Inputs are made once in FOLDER: slices of the golden reads (data/golden; ../shared/golden where it is there), their CRAM, two samples,
two files, and reads by art_illumina on the demo genome (2 x 100, 2 x 250, amplicons at 300x). A line a set: records of GATK, records that
differ, header lines that differ (`##source` and the command line are left out), other files that differ. Exit code 1 where one does.
--random N: N made-up sets instead, some options of GROUPS each over some kb of some input.
--record FOLDER: no comparison; GATK's outputs over a few kb go to FOLDER with slices of their inputs (as in tests/recorded/caller).
Needs GATK (environment variable GATK, else ../shared/tools/get-gatk), samtools, bcftools, bwa, art_illumina.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from harness import find_gatk  # noqa: E402

from gpugenome.cli import cli  # noqa: E402
from gpugenome.errors import UserError  # noqa: E402
from gpugenome.io.fasta import Reference  # noqa: E402

SHARED = ROOT.parent / "shared"
DATA, DEMO, RECORDED, STRESS = ROOT / "data", "demo1:8001-48000", "demo1:11501-14500", "chr20:20001-36000"
AMPLICONS = [f"demo1:{i}-{i + 319}" for i in range(10_000, 60_000, 2_500)]


def sh(command, folder):
    subprocess.run(["bash", "-c", "set -euo pipefail; " + command], check=True, cwd=folder)


@dataclass
class Set:
    """Options of one comparison. `{name}` in them is a path in FOLDER, `{region}` the region.

    reads: names of inputs. gatk_reads: inputs of GATK's run where they are others. ours: options that only we get.
    files: suffixes of further outputs ("{out}" in the options is the output's name) to compare. region: -L where the options have none.
    """

    reads: tuple[str, ...]
    options: str = ""
    gatk_reads: tuple[str, ...] = ()
    ours: str = ""
    files: tuple[str, ...] = ()
    region: str = DEMO
    vcf: str = "vcf"


def gold(name, options="", files=()):
    return Set((name,), options, files=files, region="chr20:20001-50000" if name == "hg002" else "chr21:1-60000")


GVCF = "-ERC GVCF "
SETS = {
    "default": Set(("demo",)),
    "gvcf": Set(("demo",), GVCF),
    "bp_resolution": Set(("demo",), "-ERC BP_RESOLUTION", region="demo1:8001-28000"),
    "whole": Set(("demo",), region=""),
    "idle_arguments": Set(("demo",), "-contamination 0 --native-pair-hmm-threads 1 -pairHMM AVX_LOGLESS_CACHING "
                          "--smith-waterman AVX_ENABLED -new-qual false --likelihood-calculation-engine PairHMM "
                          "--recover-dangling-heads -VS LENIENT -jdk-deflater "
                          "-bamout {out}.bam -OBM true --dragen-mode false --use-posteriors-to-calculate-qual false", files=("bam",)),
    "idle_arguments_gvcf": Set(("demo",), GVCF + "--contamination-fraction-to-filter 0.0 --pair-hmm-implementation AVX_LOGLESS_CACHING_OMP "
                               "--native-pair-hmm-threads 16 --smith-waterman FASTEST_AVAILABLE --num-reference-samples-if-no-call 0 "
                               "--pair-hmm-gap-continuation-penalty 10 --disable-bam-index-caching --pileup-detection false"),
    "ploidy_1": Set(("demo",), "-ploidy 1"),
    "ploidy_3": Set(("demo",), "-ploidy 3"),
    "ploidy_4": Set(("demo",), "-ploidy 4"),
    "ploidy_1_gvcf": Set(("demo",), GVCF + "-ploidy 1"),
    "ploidy_4_gvcf": Set(("demo",), GVCF + "-ploidy 4"),
    "padding_intersection": Set(("demo",), "-L {region} -L {bed} -ip 50 -isr INTERSECTION"),
    "bed_gvcf": Set(("demo",), GVCF + "-L {bed}"),
    "vcf_intervals": Set(("demo",), "-L {known} -ip 30 -XL demo1:100000-200000 -XL demo2"),
    "vcf_intervals_gvcf": Set(("demo",), GVCF + "-L {known} -ip 5 -XL demo1:100000-200000 -XL demo2"),
    "interval_list": Set(("demo",), "-L {interval_list} -ip 10"),
    "interval_texts_gvcf": Set(("demo",), GVCF + "-L demo1:8001-9000 -L demo1:9001-9500 -L demo1:9600 -L demo1:12,000-13,000 "
                               "-L demo2:49900+ -imr OVERLAPPING_ONLY"),
    "two_contigs_gvcf": Set(("demo",), GVCF + "-L demo2:1-9000 -L demo1:192001-200000"),
    "two_contigs": Set(("demo",), "-L demo2:1-9000 -L demo1:160001-200000"),
    "exclude": Set(("demo",), "-L {region} -XL {bed} -ixp 20"),
    "bed_overlapping_only": Set(("demo",), "-L {bed} -imr OVERLAPPING_ONLY"),
    "dbsnp": Set(("demo",), "--dbsnp {known}"),
    "dbsnp_gvcf": Set(("demo",), GVCF + "--dbsnp {known}"),
    "annotations": Set(("demo",), "-A TandemRepeat -A ReferenceBases -A ClippingRankSumTest -A LikelihoodRankSumTest "
                       "-A BaseQuality -A FragmentLength -A MappingQuality -A ReadPosition -A UniqueAltReadCount -A CountNs "
                       "-A DepthPerSampleHC -A StrandBiasBySample -A AlleleFraction -AX FisherStrand -AX ChromosomeCounts"),
    "annotations_active": Set(("demo",), "-A TandemRepeat -A ReferenceBases -A ClippingRankSumTest -A LikelihoodRankSumTest -A BaseQuality "
                              "-A FragmentLength -A MappingQuality -A ReadPosition -A UniqueAltReadCount -A CountNs -A AlleleFraction "
                              "-A StrandBiasBySample -A AssemblyComplexity -A BaseQualityHistogram -A GenotypeSummaries -A SampleList "
                              "-A MappingQualityZero -A InbreedingCoeff --output-mode EMIT_ALL_ACTIVE_SITES --min-pruning 1",
                              region="demo1:1-60000"),
    "annotations_gvcf": Set(("demo",), GVCF + "-A TandemRepeat -A ReferenceBases -AX StrandOddsRatio -AX BaseQualityRankSumTest"),
    "as_standard": Set(("demo",), "-G AS_StandardAnnotation -G StandardAnnotation -G StandardHCAnnotation"),
    "as_standard_gvcf": Set(("demo",), GVCF + "-G AS_StandardAnnotation -G StandardAnnotation -G StandardHCAnnotation"),
    "pcr_none": Set(("demo",), "--pcr-indel-model NONE"),
    "pcr_aggressive": Set(("demo",), "--pcr-indel-model AGGRESSIVE"),
    "pcr_hostile_gvcf": Set(("demo",), GVCF + "--pcr-indel-model HOSTILE"),
    "mnp_1": Set(("demo",), "--max-mnp-distance 1"),
    "mnp_3": Set(("demo",), "--max-mnp-distance 3", region="demo1:1-120000"),
    "amplicons": Set(("amplicons",), region=""),
    "amplicons_gvcf": Set(("amplicons",), GVCF, region="demo1:9001-30000"),
    "amplicons_5_a_start": Set(("amplicons",), "--max-reads-per-alignment-start 5", region=""),
    "amplicons_all": Set(("amplicons",), "--max-reads-per-alignment-start 0", region=""),
    "deep_gvcf": Set(("deep",), GVCF, region="demo1:9001-14000"),
    "start_5": Set(("deep",), "--max-reads-per-alignment-start 5", region="demo1:9001-14000"),
    "deep": Set(("deep",), region="demo1:9001-14000"),
    "two_samples": Set(("two_samples",)),
    "two_samples_annotations": Set(("two_samples",), "-A StrandBiasBySample -A SampleList"),
    "two_samples_ploidy_3": Set(("two_samples",), "-ploidy 3"),
    "two_samples_pruning": Set(("two_samples",), "--num-pruning-samples 2"),
    "sample_name": Set(("two_samples",), "--sample-name B"),
    "sample_name_gvcf": Set(("two_samples",), GVCF + "--sample-name A"),
    "two_files": Set(("lane1", "lane2")),
    "two_files_two_samples": Set(("short", "demo")),
    "three_files": Set(("lane1", "lane2", "short")),
    "short_reads": Set(("short",)),
    "short_reads_gvcf": Set(("short",), GVCF),
    "long_reads": Set(("long",)),
    "long_reads_gvcf": Set(("long",), GVCF),
    "cram": Set(("cram",)),
    "double_precision": Set(("demo",), "--native-pair-hmm-use-double-precision"),
    "no_soft_clips": Set(("demo",), "--dont-use-soft-clipped-bases"),
    "no_soft_clips_gvcf": Set(("demo",), GVCF + "--dont-use-soft-clipped-bases"),
    "pruning_3": Set(("demo",), "--min-pruning 3"),
    "pruning_1": Set(("demo",), "--min-pruning 1"),
    "pruning_0": Set(("demo",), "--min-pruning 0", region=RECORDED),
    "kmer_35": Set(("demo",), "--kmer-size 35"),
    "kmer_15_31_51": Set(("demo",), "--kmer-size 15 --kmer-size 31 --kmer-size 51"),
    "kmer_no_increase": Set(("demo",), "--kmer-size 11 --dont-increase-kmer-sizes-for-cycles"),
    "non_unique_kmers": Set(("demo",), "--allow-non-unique-kmers-in-ref"),
    "all_dangling": Set(("demo",), "--recover-all-dangling-branches"),
    "haplotypes_8": Set(("demo",), "--max-num-haplotypes-in-population 8"),
    "base_quality_20": Set(("demo",), "--min-base-quality-score 20"),
    "base_quality_gvcf": Set(("demo",), GVCF + "-mbq 15"),
    "hmm_base_quality": Set(("demo",), "--base-quality-score-threshold 30"),
    "mapping_quality_50": Set(("demo",), "--minimum-mapping-quality 50"),
    "mapping_quality_0": Set(("demo",), "--minimum-mapping-quality 0"),
    "mapping_quality_at_most": Set(("demo",), "--maximum-mapping-quality 59"),
    "alternates_2": Set(("demo",), "--max-alternate-alleles 2"),
    "alternates_1": Set(("demo",), "--max-alternate-alleles 1"),
    "alternates_1_gvcf": Set(("demo",), GVCF + "--max-alternate-alleles 1"),
    "gq_bands": Set(("demo",), GVCF + "-GQB 10 -GQB 30 -GQB 60 -GQB 99"),
    "gq_bands_floor": Set(("demo",), GVCF + "-GQB 20 -GQB 50 --floor-blocks"),
    "output_confident": Set(("demo",), "--output-mode EMIT_ALL_CONFIDENT_SITES"),
    "output_active": Set(("demo",), "--output-mode EMIT_ALL_ACTIVE_SITES"),
    "output_confident_gvcf": Set(("demo",), GVCF + "--output-mode EMIT_ALL_CONFIDENT_SITES"),
    "genotype_count_3": Set(("demo",), "--max-genotype-count 3"),
    "genotype_count_6_ploidy_3": Set(("demo",), "--max-genotype-count 6 -ploidy 3"),
    "call_conf_0": Set(("demo",), "-stand-call-conf 0"),
    "call_conf_100": Set(("demo",), "-stand-call-conf 100"),
    "heterozygosity": Set(("demo",), "--heterozygosity 0.01 --indel-heterozygosity 0.002 --heterozygosity-stdev 0.05"),
    "propagation_20": Set(("demo",), GVCF + "--max-prob-propagation-distance 20"),
    "paddings": Set(("demo",), "--padding-around-snps 40 --padding-around-indels 50 --padding-around-strs 60"),
    "dangling_8": Set(("demo",), "--min-dangling-branch-length 8"),
    "overlaps_kept": Set(("demo",), GVCF + "--do-not-correct-overlapping-quality"),
    "genotyping_mapping_quality": Set(("demo",), GVCF + "--mapping-quality-threshold-for-genotyping 50"),
    "overlap_margin_10": Set(("demo",), "--allele-informative-reads-overlap-margin 10"),
    "no_spanning": Set(("demo",), "--disable-spanning-event-genotyping"),
    "no_spanning_gvcf": Set(("demo",), GVCF + "--disable-spanning-event-genotyping"),
    "mismapping_20": Set(("demo",), "--phred-scaled-global-read-mismapping-rate 20"),
    "mismapping_none": Set(("demo",), "--phred-scaled-global-read-mismapping-rate -1"),
    "mismatch_rate": Set(("demo",), "--expected-mismatch-rate-for-read-disqualification 0.005"),
    "base_over_mapping_quality": Set(("demo",), "--disable-cap-base-qualities-to-map-quality"),
    "cap_without_reference": Set(("demo",), "--disable-symmetric-hmm-normalizing"),
    "deletion_quality": Set(("demo",), GVCF + "--reference-model-deletion-quality 20"),
    "reference_indels_5": Set(("demo",), GVCF + "--indel-size-to-eliminate-in-ref-model 5"),
    "few_annotations": Set(("demo",), "--disable-tool-default-annotations -A QualByDepth -A Coverage -A StrandOddsRatio"),
    "few_annotations_gvcf": Set(("demo",), GVCF + "--disable-tool-default-annotations -A DepthPerAlleleBySample"),
    "filters_off": Set(("demo",), "-DF NotDuplicateReadFilter -DF MappingQualityReadFilter"),
    "filters_on": Set(("demo",), "-RF ProperlyPairedReadFilter -RF NotSupplementaryAlignmentReadFilter"),
    "first_of_pair": Set(("demo",), "-RF FirstOfPairReadFilter"),
    "no_default_filters": Set(("demo",), "--disable-tool-default-read-filters -RF MappedReadFilter"),
    "no_phasing_gvcf": Set(("demo",), GVCF + "--do-not-run-physical-phasing"),
    "region_sizes": Set(("demo",), "--assembly-region-padding 60 --min-assembly-region-size 30 --max-assembly-region-size 200 "
                        "--active-probability-threshold 0.01"),
    "force_active": Set(("demo",), "--force-active", region="demo1:8001-16000"),
    "sites_only": Set(("demo",), "--sites-only-vcf-output"),
    "soft_clip_ends": Set(("demo",), "--soft-clip-low-quality-ends"),
    "soft_clip_ends_gvcf": Set(("demo",), GVCF + "--soft-clip-low-quality-ends -mbq 20"),
    "soft_clip_ends_bamout": Set(("kilobase",), "--soft-clip-low-quality-ends -mbq 25 -bamout {out}.bam", files=("bam",),
                                 region="demo1:9001-21000"),
    "adaptive": Set(("demo",), "--adaptive-pruning"),
    "adaptive_gvcf": Set(("demo",), GVCF + "--adaptive-pruning --recover-all-dangling-branches"),
    "adaptive_deep": Set(("deep",), "--adaptive-pruning", region="demo1:9001-14000"),
    "adaptive_amplicons": Set(("amplicons",), "--adaptive-pruning --max-reads-per-alignment-start 0", region=""),
    "adaptive_lods": Set(("deep",), "--adaptive-pruning --pruning-lod-threshold 1 --pruning-seeding-lod-threshold 4 "
                         "--adaptive-pruning-initial-error-rate 0.01", region="demo1:9001-14000"),
    "adaptive_few_variants": Set(("deep",), "--adaptive-pruning --pruning-lod-threshold -4 --max-unpruned-variants 2",
                                 region="demo1:9001-14000"),
    "adaptive_two_samples": Set(("two_samples",), "--adaptive-pruning --pruning-lod-threshold 0 --kmer-size 15"),
    "smith_waterman_dangling": Set(("demo",), "--smith-waterman-dangling-end-match-value 10 "
                                   "--smith-waterman-dangling-end-mismatch-penalty -10 --smith-waterman-dangling-end-gap-open-penalty -12 "
                                   "--smith-waterman-dangling-end-gap-extend-penalty -2"),
    "smith_waterman_haplotypes": Set(("demo",), "--smith-waterman-haplotype-to-reference-match-value 25 "
                                     "--smith-waterman-haplotype-to-reference-mismatch-penalty -60 "
                                     "--smith-waterman-haplotype-to-reference-gap-open-penalty -40 "
                                     "--smith-waterman-haplotype-to-reference-gap-extend-penalty -1 -bamout {out}.bam", files=("bam",)),
    "smith_waterman_reads": Set(("demo",), GVCF + "--smith-waterman-read-to-haplotype-match-value 5 "
                                "--smith-waterman-read-to-haplotype-mismatch-penalty -30 "
                                "--smith-waterman-read-to-haplotype-gap-open-penalty -6 "
                                "--smith-waterman-read-to-haplotype-gap-extend-penalty -1 -bamout {out}.bam", files=("bam",)),
    "alleles_all_kinds": Set(("demo",), "--alleles {given}"),
    "alleles_gvcf": Set(("demo",), GVCF + "--alleles {given}"),
    "alleles_filtered": Set(("demo",), "--alleles {given} --force-call-filtered-alleles"),
    "alleles_snps": Set(("demo",), "--alleles {given_snps}"),
    "alleles_indels": Set(("demo",), "--alleles {given_indels} -ploidy 3"),
    "alleles_multi": Set(("demo",), "--alleles {given_multi} --output-mode EMIT_ALL_ACTIVE_SITES"),
    "alleles_known": Set(("demo",), "--alleles {known} --dbsnp {known}"),
    "alleles_truth_mnp": Set(("demo",), "--alleles {truth} --max-mnp-distance 2"),
    "alleles_two_samples": Set(("two_samples",), "--alleles {given}"),
    "alleles_no_reads": Set(("amplicons",), "--alleles {given}", region="demo1:8001-20000"),
    "alleles_no_reads_gvcf": Set(("amplicons",), GVCF + "--alleles {given}", region="demo1:8001-20000"),
    "bamout": Set(("demo",), "-bamout {out}.bam", files=("bam",)),
    "bamout_all": Set(("demo",), "-bamout {out}.bam --bam-writer-type ALL_POSSIBLE_HAPLOTYPES", files=("bam",)),
    "bamout_no_haplotypes": Set(("demo",), "-bamout {out}.bam --bam-writer-type NO_HAPLOTYPES", files=("bam",)),
    "bamout_no_reads": Set(("demo",), "-bamout {out}.bam --bam-writer-type CALLED_HAPLOTYPES_NO_READS", files=("bam",)),
    "bamout_gvcf": Set(("demo",), GVCF + "-bamout {out}.bam", files=("bam",)),
    "bamout_two_samples": Set(("two_samples",), "-bamout {out}.bam", files=("bam",)),
    "bamout_two_files": Set(("lane1", "short"), "-bamout {out}.bam", files=("bam",)),
    "bamout_alleles": Set(("demo",), "-bamout {out}.bam --bam-writer-type ALL_POSSIBLE_HAPLOTYPES --alleles {given}", files=("bam",)),
    "bamout_whole": Set(("demo",), "-bamout {out}.bam", files=("bam",), region=""),
    "no_reads": Set(("amplicons",), region="demo2:1-5000"),
    "no_reads_gvcf": Set(("amplicons",), GVCF, region="demo2:1-5000"),
    "only_n_gvcf": Set(("demo",), GVCF, region="demo1:100001-100300"),
    "around_n_gvcf": Set(("demo",), GVCF, region="demo1:99901-100400"),
    "tiny": Set(("tiny",), region=""),
    "tiny_gvcf": Set(("tiny",), GVCF, region=""),
    "tiny_bp_resolution": Set(("tiny",), "-ERC BP_RESOLUTION -ploidy 3", region=""),
    "tiny_bamout": Set(("tiny",), "-bamout {out}.bam --bam-writer-type ALL_POSSIBLE_HAPLOTYPES", files=("bam",), region=""),
    "kilobase_reads": Set(("kilobase",), region="demo1:9001-21000"),
    "kilobase_reads_gvcf": Set(("kilobase",), GVCF, region="demo1:9001-21000"),
    "kilobase_reads_bamout": Set(("kilobase",), "-bamout {out}.bam", files=("bam",), region="demo1:9001-21000"),
    "md5": Set(("demo",), "--create-output-variant-md5 -OVI", files=("md5",)),
    "compressed": Set(("demo",), "--create-output-variant-md5", files=("md5",), vcf="vcf.gz"),
    "assembly_region_out": Set(("demo",), "--assembly-region-out {out}.igv", files=("igv",), region="demo1:1-60000"),
}  # fmt: skip
SHARED_SETS = {
    "hg002": gold("hg002"),
    "hg002_gvcf": gold("hg002", GVCF),
    "hg002_as": gold("hg002", GVCF + "-G AS_StandardAnnotation -G StandardAnnotation -G StandardHCAnnotation"),
    "hg002_ploidy_3": gold("hg002", "-ploidy 3"),
    "hg002_mnp": gold("hg002", "-mnp-dist 2"),
    "hg002_everything": gold("hg002", "--output-mode EMIT_ALL_ACTIVE_SITES -stand-call-conf 0 --min-pruning 1"),
    "hg002_bqsr": Set(("hg002_markdup",), gatk_reads=("hg002",), ours="-bqsr {hg002_table}", region="chr20:20001-50000"),
    "na12878": gold("na12878"),
    "na12878_gvcf": gold("na12878", GVCF),
    "na12878_ploidy_4": gold("na12878", "-ploidy 4"),
    "na12878_bqsr_gvcf": Set(("na12878_markdup",), GVCF, gatk_reads=("na12878",), ours="-bqsr {na12878_table}", region="chr21:1-60000"),
    "stress": Set(("stress",), region=STRESS),
    "stress_gvcf": Set(("stress",), GVCF, region=STRESS),
    "stress_mnp_gvcf": Set(("stress",), GVCF + "--max-mnp-distance 2", region=STRESS),
    "stress_ploidy_4": Set(("stress",), "-ploidy 4", region=STRESS),
    "stress_ploidy_3_gvcf": Set(("stress",), GVCF + "-ploidy 3", region=STRESS),
    "stress_alternates_2": Set(("stress",), "--max-alternate-alleles 2", region=STRESS),
    "stress_genotypes_10": Set(("stress",), "-ploidy 3 --max-genotype-count 10", region=STRESS),
    "stress_active": Set(("stress",), "--output-mode EMIT_ALL_ACTIVE_SITES -stand-call-conf 10", region=STRESS),
    "stress_double": Set(("stress",), "--native-pair-hmm-use-double-precision --pcr-indel-model HOSTILE", region=STRESS),
    "stress_adaptive": Set(("stress",), "--adaptive-pruning -stand-call-conf 0", region=STRESS),
    "stress_adaptive_few": Set(("stress",), "--adaptive-pruning --pruning-lod-threshold -5 --max-unpruned-variants 5", region=STRESS),
    "stress_smith_waterman": Set(("stress",), "--smith-waterman-dangling-end-match-value 3 "
                                 "--smith-waterman-dangling-end-gap-open-penalty -9 "
                                 "--smith-waterman-haplotype-to-reference-gap-open-penalty -150 "
                                 "--smith-waterman-read-to-haplotype-mismatch-penalty -4", region=STRESS),
    "stress_soft_clip_ends": Set(("stress",), GVCF + "--soft-clip-low-quality-ends -mbq 22", region=STRESS),
    "stress_bamout": Set(("stress",), "-bamout {out}.bam --bam-writer-type ALL_POSSIBLE_HAPLOTYPES", files=("bam",), region=STRESS),
    "stress_alleles": Set(("stress",), "-bamout {out}.bam --alleles {hg002_known} --max-mnp-distance 1", files=("bam",), region=STRESS),
    "stress_alleles_gvcf": Set(("stress",), GVCF + "--alleles {hg002_known} -A AssemblyComplexity", region=STRESS),
    "stress_start": Set(("stress2",), GVCF, region="chr21:1-15000"),
    "stress_start_pruning": Set(("stress2",), "--min-pruning 1 --recover-all-dangling-branches", region="chr21:1-15000"),
    "stress_start_kmers": Set(("stress2",), "--kmer-size 15 --allow-non-unique-kmers-in-ref", region="chr21:1-15000"),
    "multi_rg": gold("multi_rg"),
    "hg002_bamout": gold("hg002", "-bamout {out}.bam", ("bam",)),
    "na12878_bamout_all": gold("na12878", "-bamout {out}.bam --bam-writer-type ALL_POSSIBLE_HAPLOTYPES", ("bam",)),
    "multi_rg_bamout": gold("multi_rg", "-bamout {out}.bam", ("bam",)),
    "multi_rg_gvcf": gold("multi_rg", GVCF + "-ploidy 3"),
}
REFERENCES = {"stress": "hg002", "stress2": "na12878"}
GOLDEN = {"hg002": "hg002_chr20", "na12878": "na12878_chr21", "multi_rg": "na12878_chr21/multi_rg"}


# One option of a group at most goes into a random set.
GROUPS = [
    ["-ploidy 1", "-ploidy 3", "-ploidy 5"],
    ["--max-mnp-distance 1", "--max-mnp-distance 4"],
    ["-stand-call-conf 0", "-stand-call-conf 5", "-stand-call-conf 60"],
    ["--output-mode EMIT_ALL_ACTIVE_SITES", "--output-mode EMIT_ALL_CONFIDENT_SITES"],
    ["--max-alternate-alleles 1", "--max-alternate-alleles 2", "--max-alternate-alleles 3"],
    ["--max-genotype-count 3", "--max-genotype-count 12"],
    ["--pcr-indel-model NONE", "--pcr-indel-model HOSTILE", "--pcr-indel-model AGGRESSIVE"],
    ["-mbq 5", "-mbq 18"],
    ["--minimum-mapping-quality 0", "--minimum-mapping-quality 40"],
    ["--max-reads-per-alignment-start 0", "--max-reads-per-alignment-start 2", "--max-reads-per-alignment-start 9"],
    ["--min-pruning 1", "--min-pruning 3"],
    ["--adaptive-pruning", "--adaptive-pruning --pruning-lod-threshold 0 --max-unpruned-variants 4"],
    ["--soft-clip-low-quality-ends"],
    ["--smith-waterman-dangling-end-match-value 8", "--smith-waterman-haplotype-to-reference-mismatch-penalty -90",
     "--smith-waterman-read-to-haplotype-gap-open-penalty -10"],
    ["--kmer-size 15", "--kmer-size 21 --kmer-size 41"],
    ["--dont-increase-kmer-sizes-for-cycles"],
    ["--allow-non-unique-kmers-in-ref"],
    ["--recover-all-dangling-branches"],
    ["--max-num-haplotypes-in-population 5", "--max-num-haplotypes-in-population 20"],
    ["--dont-use-soft-clipped-bases"],
    ["--native-pair-hmm-use-double-precision"],
    ["--base-quality-score-threshold 10", "--base-quality-score-threshold 25"],
    ["-DF NotDuplicateReadFilter", "-RF ProperlyPairedReadFilter", "-RF NotSupplementaryAlignmentReadFilter"],
    ["--assembly-region-padding 50", "--assembly-region-padding 150"],
    ["--max-assembly-region-size 150", "--min-assembly-region-size 20"],
    ["--active-probability-threshold 0.05", "--force-active"],
    ["--heterozygosity 0.02", "--indel-heterozygosity 0.005"],
    ["--disable-spanning-event-genotyping"],
    ["--phred-scaled-global-read-mismapping-rate 25", "--disable-symmetric-hmm-normalizing"],
    ["--do-not-correct-overlapping-quality"],
    ["--allele-informative-reads-overlap-margin 0", "--allele-informative-reads-overlap-margin 20"],
    ["--padding-around-indels 20", "--padding-around-strs 120"],
    ["-L {region} -L {bed} -isr INTERSECTION -imr OVERLAPPING_ONLY", "-L {bed} -L {region}", "-L {region} -XL {bed}", "--dbsnp {known}"],
    ["-A AlleleFraction -A CountNs -A UniqueAltReadCount", "-A AssemblyComplexity", "-A BaseQualityHistogram -A GenotypeSummaries"],
    ["--alleles {given}", "--alleles {given} --force-call-filtered-alleles", "--alleles {truth}"],
    ["-bamout {out}.bam", "-bamout {out}.bam --bam-writer-type ALL_POSSIBLE_HAPLOTYPES"],
]


def random_set(rng, with_shared):
    """A Set of some options over some kb."""
    inputs = ["demo", "demo", "two_samples", "short", "long", "amplicons", "kilobase", "cram"] + ["stress", "stress2"] * with_shared
    reads = str(rng.choice(inputs))
    whole = {"stress": STRESS, "stress2": "chr21:1-15000", "kilobase": "demo1:1-24000"}.get(reads, "demo1:1-199000")
    contig, low, high = re.split("[:-]", whole)
    start = int(rng.integers(int(low), int(high) - 4_000))
    chosen = [str(rng.choice(GROUPS[i])) for i in rng.permutation(len(GROUPS))[: int(rng.integers(1, 7))]]
    if reads.startswith("stress"):
        chosen = [w for w in chosen if not any(place in w for place in ("{given}", "{truth}", "{bed}", "{known}"))]
    if rng.random() < 0.4:
        chosen.append(GVCF.strip() if rng.random() < 0.8 else "-ERC BP_RESOLUTION")
        chosen += ["--sample-name A"] * (reads == "two_samples") + ["--do-not-run-physical-phasing"] * (rng.random() < 0.1)
    size = int(rng.integers(1_500, 8_000 if reads.startswith("stress") else 40_000))
    region = f"{contig}:{start}-{min(int(high), start + size)}"
    return Set((reads,), " ".join(chosen), files=("bam",) if any("-bamout" in w for w in chosen) else (), region=region)


def make_inputs(folder):
    """Make what the sets read, where it is not there."""
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    sh(f"gzip -dc {DATA}/reference.fa.gz > demo.fa; cp {DATA}/golden/recalibrated.bam demo.bam; cp {DATA}/known_sites.vcf.gz* .; "
       f"mv known_sites.vcf.gz known.vcf.gz; mv known_sites.vcf.gz.tbi known.vcf.gz.tbi; bwa index demo.fa 2> /dev/null; "
       f"bcftools view {DATA}/truth.vcf.gz -Oz -o truth.vcf.gz; tabix -f truth.vcf.gz", folder)  # fmt: skip
    for name, low, high in (("bed", 9_000, 46_000), ("few", 11_500, 14_500)):
        spans = [(i + a, i + b) for i in range(low, high, 1_500) for a, b in ((0, 700), (700, 750))]
        (folder / f"{name}.bed").write_text("".join(f"demo1\t{a}\t{b}\n" for a, b in spans))
    spans = [f"demo1\t{a}\t{a + 60}\t{'+-'[a % 2]}\ti{a}" for a in range(20_000, 30_000, 501)]
    titles = ["@HD\tVN:1.6\tSO:coordinate", "@SQ\tSN:demo1\tLN:200000", "@SQ\tSN:demo2\tLN:50000"]
    (folder / "few.interval_list").write_text("\n".join([*titles, *spans]) + "\n")
    for name in GOLDEN if SHARED.is_dir() else ():
        golden, data = SHARED / "golden" / GOLDEN[name], SHARED / "data" / GOLDEN[name].split("/")[0]
        sh(f"gzip -dc {data}/reference.fa.gz > {name}.fa; cp {golden}/recalibrated.bam {name}.bam; chmod u+w {name}.*", folder)
        if (golden / "markdup.bam").exists():
            sh(f"cp {golden}/markdup.bam {name}_markdup.bam; gzip -dc {golden}/recal.table.gz > {name}.table; chmod u+w {name}*", folder)
    for fasta in folder.glob("*.fa"):
        sh(f"samtools faidx {fasta.name}; rm -f {fasta.stem}.dict; samtools dict -o {fasta.stem}.dict {fasta.name}", folder)
    for h in (1, 2):
        sh(f"bcftools consensus -H {h} -f demo.fa truth.vcf.gz 2> /dev/null > hap{h}.fa; samtools faidx hap{h}.fa; "
           f"samtools faidx hap{h}.fa {' '.join(AMPLICONS)} > amp{h}.fa; samtools faidx hap{h}.fa demo1:9001-14000 > part{h}.fa; "
           f"art_illumina -q -ss HS25 -p -l 100 -m 280 -s 60 -f 15 -rs {h} -na -i hap{h}.fa -o short{h}_ > /dev/null; "
           f"art_illumina -q -ss MSv3 -p -l 250 -m 500 -s 90 -f 15 -rs {h} -na -i hap{h}.fa -o long{h}_ > /dev/null; "
           f"art_illumina -q -ss HS25 -p -l 150 -m 380 -s 90 -f 600 -rs {h} -na -i part{h}.fa -o deep{h}_ > /dev/null; "
           f"art_illumina -q -ss HS25 -amp -p -l 150 -f 150 -rs {h} -na -i amp{h}.fa -o amplicons{h}_ > /dev/null", folder)  # fmt: skip
    for name in ("short", "long", "deep", "amplicons"):
        sh(f"for e in 1 2; do for h in 1 2; do sed \"1~4s,^@,@h$h.,\" {name}$h\\_$e.fq; done > {name}_$e.fq; done; "
           f"bwa mem -t 2 -R '@RG\\tID:{name}\\tSM:{name}\\tLB:{name}\\tPL:ILLUMINA' demo.fa {name}_1.fq {name}_2.fq 2> /dev/null | "
           f"samtools sort -o {name}.bam -; rm {name}*.fq", folder)  # fmt: skip
    lanes = "samtools view -H demo.bam | grep ^@RG | tr '\\t' '\\n' | sed -n 's/^ID://p'"
    sh(f"n=0; for id in $({lanes}); do n=$((n + 1)); samtools view -b -r $id -o lane$n.bam demo.bam; done; "
       "samtools view -H demo.bam | awk '/^@RG/ {sub(/SM:[^\\t]*/, \"SM:\" (n++ ? \"A\" : \"B\"))} {print}' > two.sam; "
       "samtools reheader two.sam demo.bam > two_samples.bam; samtools view -C -T demo.fa -o demo.cram demo.bam; mv demo.cram cram.cram",
       folder)  # fmt: skip
    for reads in (*folder.glob("*.bam"), *folder.glob("*.cram")):
        sh(f"samtools index {reads.name}", folder)
    if SHARED.is_dir():
        make_stress(folder)
    make_given_alleles(folder)
    make_tiny(folder)
    make_kilobase(folder)
    (folder / "complete").touch()


def make_stress(folder):
    """Reads of several much changed haplotypes, by the specification's generator."""
    tool = SHARED / "spec" / "check" / "make_stress_reads.py"
    for name, what in (("stress", "chr20:20001-50000 1 stress 3 0.01 12"), ("stress2", "chr21:1-15000 2 stress2 5 0.03 10")):
        fasta = f"{REFERENCES[name]}.fa"
        sh(f"bwa index {fasta} 2> /dev/null; {sys.executable} {tool} {fasta} {what}; "
           f"bwa mem -t 2 -R '@RG\\tID:s\\tSM:stress\\tPL:ILLUMINA' {fasta} {name}_1.fq {name}_2.fq 2> /dev/null | "
           f"samtools sort -o {name}.bam -; samtools index {name}.bam; rm {name}_?.fq", folder)  # fmt: skip
    sh(f"bcftools view {SHARED}/data/hg002_chr20/known_sites.vcf.gz -Oz -o hg002_known.vcf.gz; tabix -f hg002_known.vcf.gz", folder)


def make_tiny(folder):
    """A genome of contigs of 1 base, of N and of few bases, and reads on it: many, without qualities, with only clips, longer than most."""
    import pysam

    rng = np.random.default_rng(7)

    def random_bases(n):
        return "".join(rng.choice(list("ACGT"), n))

    mid = random_bases(300) + "N" * 120 + random_bases(700)
    contigs = {"one": "A", "gap": "N" * 400, "small": random_bases(60), "mid": mid, "last": "C"}
    (folder / "tiny.fa").write_text("".join(f">{n}\n{s}\n" for n, s in contigs.items()))
    sh("samtools faidx tiny.fa; rm -f tiny.dict; samtools dict -o tiny.dict tiny.fa", folder)
    other = list(mid)
    for at in (60, 180, 520, 700, 701, 1000):
        other[at] = "ACGT"["CGTA".find(mid[at])]
    other = "".join(other[:600]) + "TTG" + "".join(other[600:800]) + "".join(other[812:])
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": n, "LN": len(s)} for n, s in contigs.items()],
              "RG": [{"ID": "g", "SM": "tiny", "LB": "l", "PL": "ILLUMINA"}]}  # fmt: skip
    rows = []
    for _ in range(330):
        haplotype = (mid, other)[int(rng.integers(2))]
        length = 100 if rng.random() < 0.97 else 650
        start = int(rng.integers(0, len(haplotype) - length))
        if "N" not in haplotype[start : start + length]:
            rows.append((f"r{len(rows)}", "".join(haplotype[start : start + length])))
    (folder / "tiny.fq").write_text("".join(f"@{n}\n{s}\n+\n{'F' * len(s)}\n" for n, s in rows))
    sh("bwa index tiny.fa 2> /dev/null; bwa mem -t 1 tiny.fa tiny.fq 2> /dev/null > tiny.sam", folder)
    with pysam.AlignmentFile(str(folder / "tiny.sam")) as f, pysam.AlignmentFile(str(folder / "raw.bam"), "wb", header=header) as out:
        names = list(contigs)
        for k, r in enumerate(f):
            if k % 40 == 0:
                r.query_qualities = None
            r.set_tag("RG", "g")
            out.write(pysam.AlignedSegment.fromstring(r.to_string(), out.header))
        for k in range(24):
            on_small = k % 2
            a = pysam.AlignedSegment(out.header)
            a.query_name, a.reference_id, a.reference_start, a.mapping_quality = f"s{k}", names.index("small" if on_small else "one"), 0, 60
            a.query_sequence = contigs["small"][:40] + "C" + contigs["small"][41:] if on_small else "ACGTA" + "AG"[k % 4 // 2] + "TTGAC"
            a.query_qualities = [35] * len(a.query_sequence)
            a.cigarstring = "60M" if on_small else "5S1M5S"
            a.set_tag("RG", "g")
            out.write(a)
    sh("samtools sort -o tiny.bam raw.bam; samtools index tiny.bam; rm raw.bam tiny.sam tiny.fq tiny.fa.[abps]*", folder)


def make_kilobase(folder):
    """Single reads of 600 to 2,500 bases with errors on the demo genome's first 25 kb."""
    rng = np.random.default_rng(3)
    rows = []
    for h in (1, 2):
        bases = Reference(folder / f"hap{h}.fa").bases_upper_acgtn(0)[:25_000]
        for _ in range(120):
            length = int(rng.integers(600, 2500))
            start = int(rng.integers(0, len(bases) - length))
            read = bases[start : start + length].copy()
            wrong = rng.random(length) < 0.004
            read[wrong] = rng.choice(np.frombuffer(b"ACGT", np.uint8), int(wrong.sum()))
            read = np.delete(read, rng.integers(0, length, rng.poisson(0.6)))
            qual = rng.choice(np.frombuffer(b"FF:5,", np.uint8), len(read), p=[0.5, 0.3, 0.1, 0.07, 0.03])
            rows.append(f"@k{len(rows)}\n{read.tobytes().decode()}\n+\n{qual.tobytes().decode()}\n")
    (folder / "kilobase.fq").write_text("".join(rows))
    sh("bwa mem -t 2 -R '@RG\\tID:k\\tSM:kilobase\\tPL:ILLUMINA' demo.fa kilobase.fq 2> /dev/null | samtools sort -o kilobase.bam -; "
       "samtools index kilobase.bam; rm kilobase.fq", folder)  # fmt: skip


def make_given_alleles(folder):
    """VCFs of made alleles on the demo genome: SNPs, indels, several ALTs, "*", symbolic, MNPs, filtered; most where nothing varies."""
    rng = np.random.default_rng(5)
    genome = Reference(folder / "demo.fa")
    header = ["##fileformat=VCFv4.2", '##FILTER=<ID=bad,Description="x">', '##INFO=<ID=END,Number=1,Type=Integer,Description="x">',
              *[f"##contig=<ID={n},length={k}>" for n, k in zip(genome.names, genome.lengths)],
              "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]  # fmt: skip
    kinds = {"given": "snp insertion deletion several star symbolic mnp padded".split(), "given_snps": ["snp"],
             "given_indels": ["insertion", "deletion"], "given_multi": ["several", "star", "padded"]}  # fmt: skip
    for name, some in kinds.items():
        rows = []
        for i, contig in enumerate(genome.names):
            bases = genome.bases_upper_acgtn(i)
            for at in np.unique(rng.integers(300, len(bases) - 300, len(bases) // 150)):
                ref, alt = made_allele(rng, bases[at : at + 40].tobytes().decode(), some[rng.integers(len(some))])
                if "N" not in ref:
                    rows.append(f"{contig}\t{at + 1}\t.\t{ref}\t{alt}\t.\t{'bad' if rng.random() < 0.15 else 'PASS'}\t.")
        (folder / f"{name}.vcf").write_text("\n".join([*header, *rows]) + "\n")
        sh(f"bgzip -f {name}.vcf; tabix -f {name}.vcf.gz", folder)


def made_allele(rng, bases, kind):
    """(REF, ALT text) of a kind at the start of `bases`."""
    def other(base):
        return "ACGT"[("ACGT".find(base) + int(rng.integers(1, 4))) % 4]

    size = int(rng.geometric(0.2))
    insertion = bases[0] + "".join(rng.choice(list("ACGT"), size))
    deletion = bases[: 2 + size % 30]
    snp = other(bases[0])
    if kind == "snp":
        return bases[0], snp
    if kind == "insertion":
        return bases[0], insertion
    if kind == "deletion":
        return deletion, bases[0]
    if kind == "several":
        return deletion, ",".join([deletion[0], snp + deletion[1:], deletion + "ACAC"[: 1 + size % 4]])
    if kind == "star":
        return (bases[0], f"{snp},*") if size % 2 else (deletion, f"*,{snp + deletion[1:]}")
    if kind == "symbolic":
        return (bases[0], f"{snp},<NON_REF>") if size % 2 else (bases[0], "<DEL>")
    if kind == "mnp":
        return bases[:3], snp + bases[1] + other(bases[2])
    return bases[:9], f"{snp}{bases[1:9]},{bases[0]}{bases[5:9]}"


def paths(folder):
    """What `{name}` in options stands for."""
    names = "known", "truth", "given", "given_snps", "given_indels", "given_multi", "hg002_known"
    vcfs = {name: folder / f"{name}.vcf.gz" for name in names}
    return {**vcfs, "bed": folder / "bed.bed", "interval_list": folder / "few.interval_list", "hg002_table": folder / "hg002.table",
            "na12878_table": folder / "na12878.table"}  # fmt: skip


def arguments(chosen, reads, options, folder, out, **others):
    """Arguments of a run, after the program's name."""
    reads = [next(p for p in (folder / f"{r}.bam", folder / f"{r}.cram") if p.exists()) for r in reads]
    name = chosen.reads[0].removesuffix("_markdup")
    fasta = folder / f"{REFERENCES.get(name, name if (folder / f'{name}.fa').exists() else 'demo')}.fa"
    options = options if "-L " in options or not chosen.region else options + " -L {region}"
    words = [w.format(**{**paths(folder), "region": chosen.region, "out": out, **others}) for w in options.split()]
    return ["HaplotypeCaller", "-R", fasta, *[w for r in reads for w in ("-I", r)], "-O", out, *words]


def read_vcf(path):
    """(header lines without what names the program, record lines)."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as f:
        lines = f.read().splitlines()
    named = ("##source=", "##GATKCommandLine", "##gpugenomeCommandLine")
    return [x for x in lines if x.startswith("#") and not x.startswith(named)], [x for x in lines if not x.startswith("#")]


def only(a, b):
    """Lines of a that b has not, counted with their multiplicity, in order."""
    left, out = Counter(b), []
    for line in a:
        if left[line]:
            left[line] -= 1
        else:
            out.append(line)
    return out


def alignments(path):
    """Header lines and records of a BAM as text, and what samtools says where it cannot read them."""
    done = subprocess.run(["samtools", "view", "--no-PG", "-h", path], capture_output=True, text=True)
    return (done.stdout + done.stderr * (done.returncode != 0)).splitlines()


@dataclass
class Outcome:
    records: int
    differing: int
    header: int
    files: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


def compare(gatk, ours, files):
    """Outcome of two VCFs and their companions."""
    (head, body), (my_head, my_body) = read_vcf(gatk), read_vcf(ours)
    missing, extra = only(body, my_body), only(my_body, body)
    lost, added = only(head, my_head), only(my_head, head)
    examples = [f"{who} {line}" for who, lines in (("GATK", missing), ("ours", extra), ("GATK", lost), ("ours", added)) for line in lines]
    if not examples and (body != my_body or head != my_head):
        examples = ["the same lines in another order"]
    out = Outcome(len(body), max(len(missing), len(extra)) or int(body != my_body), max(len(lost), len(added)) or int(head != my_head),
                  examples=examples)  # fmt: skip
    for suffix in files:
        a, b = Path(f"{gatk}.{suffix}"), Path(f"{ours}.{suffix}")
        if suffix == "md5":  # of another file: its form, and the digest of ours
            same = len(a.read_bytes()) == len(b.read_bytes()) and b.read_text().split()[0] == hashlib.md5(ours.read_bytes()).hexdigest()
        elif suffix == "bam":
            same = alignments(a) == alignments(b)
        else:
            same = a.exists() and b.exists() and a.read_bytes() == b.read_bytes()
        if not same:
            out.files.append(suffix)
    return out


class Gatk:
    """GATK: its tools in one Java process where its jars are in `lib` beside the wrapper, as get-gatk puts them."""

    _SERVER = """
import java.io.*;
import org.broadinstitute.hellbender.Main;
import org.broadinstitute.hellbender.utils.Utils;

public class Serve {
    public static void main(String[] none) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String outcome = "@@made";
            Utils.resetRandomGenerator();  // as a process of its own would begin
            try {
                new Main().instanceMain(line.split("\\t"));
            } catch (Throwable e) {
                outcome = "@@failed";
                System.out.println(e);
            }
            System.out.println(outcome);
            System.out.flush();
        }
    }
}
"""

    def __init__(self, program, folder):
        self._program, self._folder, self._server = program, folder, None
        self._jars = Path(program).resolve().parent / "lib"

    def _start(self):
        source = self._folder / "Serve.java"
        source.write_text(self._SERVER)
        options = [f"-Xmx{os.environ.get('GATK_XMX', '2g')}", "-Dsamjdk.use_async_io_read_samtools=false",
                   "-Dsamjdk.use_async_io_write_samtools=true", "-Dsamjdk.compression_level=2"]  # fmt: skip
        self._server = subprocess.Popen(["java", *options, "-cp", f"{self._jars}/*", str(source)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip

    def run(self, arguments, out):
        """Whether GATK made `out`, now or with the same arguments before."""
        words = [*map(str, arguments), "--verbosity", "ERROR", "--QUIET", "true"]
        text, log = " ".join(words), Path(f"{out}.command")
        if log.exists() and log.read_text() == text:
            return out.exists()
        if not self._jars.is_dir():
            done = subprocess.run([self._program, *words], capture_output=True, text=True)
            made, messages = done.returncode == 0, done.stderr
        else:
            if self._server is None:
                self._start()
            self._server.stdin.write("\t".join(words) + "\n")
            self._server.stdin.flush()
            messages = ""
            while not (line := self._server.stdout.readline()).startswith("@@"):
                if not line:
                    sys.exit(f"GATK's process ended: {messages}")
                messages += line
            made = line.strip() == "@@made"
        Path(f"{out}.log").write_text(messages)
        if not made:
            out.unlink(missing_ok=True)
        log.write_text(text)
        return made


def run_set(name, chosen, folder, gatk, args):
    """(Outcome or None, seconds of ours, message). What both refuse has no records."""
    real, ours = (folder / who / f"{name}.{chosen.vcf}" for who in ("gatk", "ours"))
    for path in (real, ours):
        path.parent.mkdir(exist_ok=True)
    made = gatk.run(arguments(chosen, chosen.gatk_reads or chosen.reads, chosen.options, folder, real), real)
    options = f"{chosen.options} {chosen.ours}"
    words = ["haplotypecaller", *map(str, arguments(chosen, chosen.reads, options, folder, ours)[1:])]
    started, refusal = time.perf_counter(), None
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            cli.main(args=[*words, "--threads", str(args.threads), "--device", args.device], standalone_mode=False)
    except (UserError, click.ClickException) as e:
        refusal = str(e)
    seconds = time.perf_counter() - started
    if refusal and not made:
        return Outcome(0, 0, 0), seconds, ""
    if refusal or not made:
        theirs = "made an output" if made else f"failed, see {real}.log"
        return None, seconds, f"ours: {refusal or 'made an output'}; GATK {theirs}"
    return compare(real, ours, chosen.files), seconds, ""


def record(name, chosen, folder, gatk, target):
    """Keep GATK's output of a set over a few kb; its first line has the set's reads and options."""
    real = folder / "recorded" / f"{name}.vcf"
    real.parent.mkdir(exist_ok=True)
    own = (folder / f"{chosen.reads[0]}.fa").exists() and chosen.reads[0] != "demo"
    options = chosen.options if "-L " in chosen.options or own else chosen.options + " -L {region}"
    _, low, high = re.split("[:-]", chosen.region or DEMO)
    region = chosen.region if own or int(high) - int(low) < 5_000 else RECORDED
    command = arguments(chosen, chosen.reads, options, folder, real, region=region, bed=folder / "few.bed")
    if not gatk.run(command, real):
        return print(f"{name}: GATK failed, see {real}.log")
    inputs = target / "inputs"
    inputs.mkdir(exist_ok=True)
    contig, low, high = re.split("[:-]", RECORDED)
    wide = f"{contig}:{int(low) - 500}-{int(high) + 500} demo1:99401-100900"
    for reads in chosen.reads:
        source = next(p for p in (folder / f"{reads}.bam", folder / f"{reads}.cram") if p.exists())
        kind = "-C --output-fmt-option embed_ref=0" if source.suffix == ".cram" else "-b"
        sh(f"samtools view --no-PG {kind} -T demo.fa -o {inputs / source.name} {source} {'' if own else wide}", folder)
        if own:
            shutil.copy(folder / f"{reads}.fa", inputs)
    for word in set(re.findall("{(given.*?|bed)}", options)):
        if word == "bed":
            shutil.copy(folder / "few.bed", inputs / "bed.bed")
        else:
            sh(f"tabix -h {word}.vcf.gz {wide} | gzip -9n > {inputs / word}.vcf.gz", folder)
    head, body = read_vcf(real)
    first = " ".join([",".join(chosen.reads), *options.replace("{region}", region).split()])
    keep(target / f"{name}.vcf.gz", [first, *head, *body])
    for suffix in chosen.files:
        if suffix in ("bam", "igv"):
            path = Path(f"{real}.{suffix}")
            keep(target / f"{name}.{suffix}.txt.gz", alignments(path) if suffix == "bam" else path.read_text().splitlines())


def keep(path, lines):
    with open(path, "wb") as raw, gzip.GzipFile(filename="", mode="wb", mtime=0, fileobj=raw) as f:
        f.write("\n".join([*lines, ""]).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--sets", default="", help="names, or beginnings of names with * behind them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--show", type=int, default=3, help="differing lines to print of a set")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--record", type=Path, metavar="FOLDER")
    parser.add_argument("--random", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    known = {**SETS, **(SHARED_SETS if SHARED.is_dir() else {})}
    if args.list or not args.folder:
        print("\n".join(f"{name:26} {','.join(s.reads)} {s.options}" for name, s in known.items()))
        return
    if args.random:
        rng = np.random.default_rng(args.seed)
        known = {f"random_{args.seed}_{i}": random_set(rng, SHARED.is_dir()) for i in range(args.random)}
    chosen = [n for n in known for w in args.sets.split(",") if w in ("", n) or (w.endswith("*") and n.startswith(w[:-1]))]
    if not chosen:
        parser.error(f"--sets {args.sets}: no such set, see --list")
    gatk = find_gatk()
    missing = [t for t in ("samtools", "bcftools", "bwa", "art_illumina") if not shutil.which(t)] + ([] if gatk else ["GATK"])
    if missing:
        sys.exit(f"not found: {', '.join(missing)}")
    folder = args.folder.resolve()
    make_inputs(folder)
    gatk = Gatk(gatk, folder)
    if args.record:
        args.record.mkdir(parents=True, exist_ok=True)
        for name in chosen:
            record(name, known[name], folder, gatk, args.record.resolve())
        return
    print(f"{'set':26} {'records':>8} {'differ':>7} {'header':>7} {'ours s':>7}  other files")
    failed = 0
    for name in chosen:
        outcome, seconds, message = run_set(name, known[name], folder, gatk, args)
        if outcome is None:
            failed += 1
            print(f"{name:26} {message}", flush=True)
            continue
        failed += bool(outcome.differing or outcome.header or outcome.files)
        print(f"{name:26} {outcome.records:8} {outcome.differing:7} {outcome.header:7} {seconds:7.1f}  "
              f"{' '.join(outcome.files) and 'differ: ' + ' '.join(outcome.files)}", flush=True)  # fmt: skip
        if outcome.examples or outcome.files or not outcome.records:
            print(f"    {','.join(known[name].reads)} {known[name].options} {known[name].region}", flush=True)
        for line in outcome.examples[: args.show]:
            print(f"    {line}", flush=True)
    print(f"{len(chosen)} sets, {failed} not identical")
    sys.exit(int(failed > 0))


if __name__ == "__main__":
    main()
