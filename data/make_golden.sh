#!/bin/bash
# The outputs of the real tools for the demo data, in data/golden: bwa 0.7.17, Picard 3.4.0 and GATK 4.6.2.0.
#   GATK=/path/to/gatk bash data/make_golden.sh
# BAM records are kept once (recalibrated.bam); those of the stages before as SHA-256 of their SAM lines without header,
# in the order of the file, because lines differ only in flags, tags and qualities.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
gatk=${GATK:-gatk}
out=$here/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
cd "$work"
gzip -dc "$here/reference.fa.gz" > reference.fa
samtools faidx reference.fa
samtools dict reference.fa -o reference.dict
bwa index reference.fa 2> /dev/null
for lane in 1 2; do
    bwa mem -K 100000000 -Y -t 1 -R "@RG\tID:HDEMOCXX.$lane\tSM:demo\tLB:demo\tPL:ILLUMINA\tPU:HDEMOCXX.$lane" reference.fa \
        "$here/demo_L00${lane}_R1.fastq.gz" "$here/demo_L00${lane}_R2.fastq.gz" > lane$lane.sam 2> /dev/null
done
(grep '^@SQ' lane1.sam; grep -h '^@RG' lane1.sam lane2.sam; grep '^@PG' lane1.sam; grep -hv '^@' lane1.sam lane2.sam) > aligned.sam
samtools view --no-PG -b aligned.sam -o aligned.bam
"$gatk" SortSam -I aligned.bam -O sorted.bam --SORT_ORDER coordinate
"$gatk" MarkDuplicates -I sorted.bam -O markdup.bam -M "$out/markdup.metrics" --CREATE_INDEX true
"$gatk" MarkDuplicates -I aligned.bam -O markdup.querygrouped.bam -M "$out/markdup.querygrouped.metrics" --ASSUME_SORT_ORDER queryname
"$gatk" BaseRecalibrator -R reference.fa -I markdup.bam --known-sites "$here/known_sites.vcf.gz" -O recal.table
"$gatk" ApplyBQSR -R reference.fa -I markdup.bam --bqsr-recal-file recal.table -O recalibrated.bam
"$gatk" HaplotypeCaller -R reference.fa -I recalibrated.bam -O "$out/calls.vcf.gz" --assembly-region-out regions.igv
"$gatk" HaplotypeCaller -R reference.fa -I recalibrated.bam -O "$out/calls.g.vcf.gz" -ERC GVCF
"$gatk" GenotypeGVCFs -R reference.fa -V "$out/calls.g.vcf.gz" -O "$out/genotyped.vcf.gz"
gzip -9nc recal.table > "$out/recal.table.gz"
gzip -9nc regions.igv > "$out/assembly_regions.igv.gz"
samtools view --no-PG -b --output-fmt-option level=9 recalibrated.bam -o "$out/recalibrated.bam"
# The same records shuffled, sorted and marked, for tests that need no aligner (data/make_unsorted.py needs pysam).
python3 "$here/make_unsorted.py" "$out/recalibrated.bam" unsorted.bam
"$gatk" SortSam -I unsorted.bam -O unsorted.sorted.bam --SORT_ORDER coordinate
"$gatk" SortSam -I unsorted.bam -O unsorted.queryname.bam --SORT_ORDER queryname
"$gatk" MarkDuplicates -I unsorted.sorted.bam -O unsorted.markdup.bam -M unsorted.metrics
"$gatk" MarkDuplicates -I unsorted.queryname.bam -O unsorted.markdup.queryname.bam -M unsorted.metrics
for stage in aligned sorted markdup markdup.querygrouped recalibrated unsorted.sorted unsorted.queryname unsorted.markdup \
        unsorted.markdup.queryname; do
    echo "$(samtools view $stage.bam | sha256sum | cut -d' ' -f1)  $stage"
done > "$out/records.sha256"
# Filters and selections: SHA-256 of the record lines; the commands stand in filters.sha256 itself (tab-separated: sum, VCF, command).
# mixed_sites.vcf.gz is from benchmarks/fuzz_filters.py --make data/mixed_sites.vcf.gz 77.
hardfilter() {      # hardfilter VCF: GATK's recommended filters, to filtered.vcf
    "$gatk" SelectVariants -V "$1" -O snps.vcf -select-type SNP
    "$gatk" SelectVariants -V "$1" -O indels.vcf -select-type INDEL -select-type MIXED
    "$gatk" VariantFiltration -V snps.vcf -O snps.filtered.vcf -filter "QD < 2.0" --filter-name QD2 \
        -filter "QUAL < 30.0" --filter-name QUAL30 -filter "SOR > 3.0" --filter-name SOR3 -filter "FS > 60.0" --filter-name FS60 \
        -filter "MQ < 40.0" --filter-name MQ40 -filter "MQRankSum < -12.5" --filter-name MQRankSum-12.5 \
        -filter "ReadPosRankSum < -8.0" --filter-name ReadPosRankSum-8
    "$gatk" VariantFiltration -V indels.vcf -O indels.filtered.vcf -filter "QD < 2.0" --filter-name QD2 \
        -filter "QUAL < 30.0" --filter-name QUAL30 -filter "FS > 200.0" --filter-name FS200 \
        -filter "ReadPosRankSum < -20.0" --filter-name ReadPosRankSum-20
    "$gatk" MergeVcfs -I snps.filtered.vcf -I indels.filtered.vcf -O filtered.vcf
}
cp "$out"/calls.vcf.gz "$out"/calls.g.vcf.gz "$here"/mixed_sites.vcf.gz .
for vcf in calls.vcf.gz calls.g.vcf.gz mixed_sites.vcf.gz; do tabix -p vcf "$vcf"; done
while IFS=$'\t' read -r _ vcf command; do
    if [ "$command" = hardfilter ]; then hardfilter "$vcf"; else eval "\"\$gatk\" $command -V \"\$vcf\" -O filtered.vcf"; fi < /dev/null > /dev/null
    printf '%s\t%s\t%s\n' "$(grep -v '^#' filtered.vcf | sha256sum | cut -d' ' -f1)" "$vcf" "$command"
done < "$out/filters.sha256" > filters.sha256
mv filters.sha256 "$out/filters.sha256"
