#!/bin/bash
# Records of the real GATK 4.6.2.0 for tests/test_genotypegvcfs.py and tests/test_combinegvcfs.py.
# The inputs (as0, as1: diploid with allele-specific annotations; h0: haploid; t0: tetraploid) are GVCFs of `haplotypecaller -ERC GVCF`
# on reads simulated from variants of the demo genome, cut to demo1:20000-25000 and demo2:10000-12000.
# usage: GATK=/path/to/gatk make.sh        (needs samtools for the index of the reference)
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gunzip -c ../../../data/reference.fa.gz > "$work/reference.fa"
samtools faidx "$work/reference.fa"
samtools dict "$work/reference.fa" -o "$work/reference.dict"
all="-V as0.g.vcf.gz -V t0.g.vcf.gz -V h0.g.vcf.gz -V as1.g.vcf.gz"
gatk() { # name tool arguments...
    local name=$1 tool=$2
    shift 2
    "$GATK" "$tool" -R "$work/reference.fa" "$@" -O "$name" --create-output-variant-index true > "$work/log" 2>&1 || { tail -5 "$work/log"; exit 1; }
    rm -f "$name.tbi"
}
# shellcheck disable=SC2086
{
gatk combined.g.vcf.gz CombineGVCFs $all
gatk combined_as.g.vcf.gz CombineGVCFs $all -G StandardAnnotation -G AS_StandardAnnotation
gatk banded.g.vcf.gz CombineGVCFs $all --break-bands-at-multiples-of 100 -L demo1:21000-22200
gatk positions.g.vcf.gz CombineGVCFs $all --convert-to-base-pair-resolution
}
cp combined.g.vcf.gz combined_as.g.vcf.gz "$work"
for x in combined combined_as; do "$GATK" IndexFeatureFile -I "$work/$x.g.vcf.gz" > "$work/log" 2>&1; done
gatk genotyped.vcf.gz GenotypeGVCFs -V "$work/combined.g.vcf.gz" -stand-call-conf 10 --dbsnp ../../../data/known_sites.vcf.gz
gatk genotyped_as.vcf.gz GenotypeGVCFs -V "$work/combined_as.g.vcf.gz" -G StandardAnnotation -G AS_StandardAnnotation --max-alternate-alleles 2
gatk genotyped_raw.vcf.gz GenotypeGVCFs -V "$work/combined_as.g.vcf.gz" -G StandardAnnotation -G AS_StandardAnnotation -keep-combined true \
    -stand-call-conf 10
gatk genotyped_more.vcf.gz GenotypeGVCFs -V "$work/combined.g.vcf.gz" -L demo1:21000-23000 -L demo2:10500-11000 \
    --only-output-calls-starting-in-intervals -A GenotypeSummaries -A SampleList -A StrandBiasBySample -AX FisherStrand
gatk all_sites.vcf.gz GenotypeGVCFs -V "$work/combined.g.vcf.gz" --include-non-variant-sites -L demo1:21000-22500 -L demo2:10100-10600
gatk forced.vcf.gz GenotypeGVCFs -V "$work/combined_as.g.vcf.gz" -G StandardAnnotation -G AS_StandardAnnotation \
    --force-output-intervals demo1:20340-20420 --force-output-intervals demo1:24010-24030 --force-output-intervals demo2:10100-10150 \
    --keep-specific-combined-raw-annotation RMSMappingQuality --keep-specific-combined-raw-annotation AS_FisherStrand -L demo1:20000-22500 \
    -L demo1:24012-24600 -L demo2:10000-10600 --call-genotypes false
gatk tetraploid.vcf.gz GenotypeGVCFs -V t0.g.vcf.gz -ploidy 4
as="-G StandardAnnotation -G AS_StandardAnnotation"
# shellcheck disable=SC2086
{
for x in as0 as1; do "$GATK" ReblockGVCF -R "$work/reference.fa" -V $x.g.vcf.gz $as -do-qual-approx -O "$work/$x.g.vcf.gz" > "$work/log" 2>&1; done
cp "$work"/as0.g.vcf.gz reblocked0.g.vcf.gz && cp "$work"/as1.g.vcf.gz reblocked1.g.vcf.gz
"$GATK" CombineGVCFs -R "$work/reference.fa" -V "$work/as1.g.vcf.gz" -V "$work/as0.g.vcf.gz" $as -O "$work/reblocked.g.vcf.gz" > "$work/log" 2>&1
"$GATK" GenomicsDBImport -V "$work/as1.g.vcf.gz" -V "$work/as0.g.vcf.gz" --genomicsdb-workspace-path "$work/reblocked" -L demo1 -L demo2 \
    > "$work/log" 2>&1
gatk reblocked_combined.vcf.gz GenotypeGVCFs -V "$work/reblocked.g.vcf.gz" $as -keep-combined
gatk reblocked_genomicsdb.vcf.gz GenotypeGVCFs -V "gendb://$work/reblocked" $as -keep-combined
}
added=$(printf -- '-A %s ' AlleleFraction BaseQuality BaseQualityHistogram ClippingRankSumTest CountNs FragmentLength LikelihoodRankSumTest \
    MappingQuality MappingQualityZero ReadPosition ReferenceBases TandemRepeat DepthPerSampleHC AssemblyComplexity GenotypeSummaries)
# shellcheck disable=SC2086
gatk annotations.vcf.gz GenotypeGVCFs -V "$work/combined.g.vcf.gz" $added
each=$(printf -- '-V %s.g.vcf.gz ' as0 as1 h0 t0)
# shellcheck disable=SC2086
"$GATK" GenomicsDBImport $each --genomicsdb-workspace-path "$work/genomicsdb" -L demo1 -L demo2 > "$work/log" 2>&1
gatk genomicsdb.vcf.gz GenotypeGVCFs -V "gendb://$work/genomicsdb"
