"""What `haplotypecaller` and `germline` share: from batches of reads to the files of the caller."""

from contextlib import ExitStack


def call_to_files(batches, header, genome, options, output, intervals, index, md5, backend, *, dbsnp=None, alleles=None, bamout=None,
                  bamout_index=True, bamout_md5=False, assembly_region_out=None) -> None:  # fmt: skip
    """Call variants and write them.

    batches: coordinate-sorted ReadBatch of `header`. genome: `io.fasta.Reference`. options: CallerOptions. intervals: as
    `read_intervals` gives them. dbsnp, alleles, bamout, assembly_region_out: paths or None. bamout_index, bamout_md5: whether
    bamout also gets these files. backend: `backend.Backend`.
    """
    from dataclasses import replace

    from gpugenome._version import __version__
    from gpugenome.gatk.vcf_lines import command_line as command_line_header
    from gpugenome.io.bam import create_reads
    from gpugenome.io.given_alleles import read_given_alleles
    from gpugenome.io.known_variants import read_known_variants
    from gpugenome.io.outputs import AtomicOutput, all_or_none
    from gpugenome.io.vcf import VariantWriter
    from gpugenome.progress import log
    from gpugenome.provenance import command_line
    from gpugenome.steps.haplotypecaller.bamout import HaplotypeReads, bamout_header
    from gpugenome.steps.haplotypecaller.engine import Caller, resolve_samples
    from gpugenome.steps.haplotypecaller.records import header_lines
    from gpugenome.steps.haplotypecaller.regions import TRACE_HEADER, region_trace

    options = replace(resolve_samples(header, options), with_tags=bamout is not None)
    place = {name: i for i, name in enumerate(genome.names)}

    def bases_of(ref_id):
        return genome.bases_upper_acgtn(place[header.contig_names[ref_id]])

    with ExitStack() as stack:
        stack.enter_context(all_or_none())
        on_regions = None
        if assembly_region_out:
            trace = stack.enter_context(AtomicOutput(assembly_region_out))
            trace.write(TRACE_HEADER.encode())

            def on_regions(ref_id, regions):
                trace.write(region_trace(header.contig_names[ref_id], regions).encode())

        extra = [f"source=gpugenome {__version__}", command_line_header("gpugenome", "HaplotypeCaller", command_line(), __version__)]
        lines = header_lines(options, header.contig_names, header.contig_lengths, header.assemblies, dbsnp is not None, extra)
        samples = () if options.sites_only_vcf_output else options.samples
        contigs = header.contig_names, header.contig_lengths
        writer = stack.enter_context(VariantWriter(output, lines, *contigs, samples, backend.threads, index, md5))
        known = read_known_variants(dbsnp, header.contig_names, backend.threads) if dbsnp else None
        given = None
        if alleles:
            given = read_given_alleles(alleles, header.contig_names, bases_of, options.force_call_filtered_alleles, backend.threads)
        evidence = None
        if bamout:
            created = create_reads(bamout, bamout_header(header, options), 2, backend.threads, bamout_index, bamout_md5, genome.path)
            alignments = stack.enter_context(created)
            evidence = HaplotypeReads(header, options, alignments.write, backend.threads)
        caller = Caller(header, bases_of, options, backend.threads, known, on_regions, backend, given, evidence)
        records = 0
        for found in caller.lines(batches, intervals):
            writer.write(found.text, found.offset, found.ref_id, found.start, found.end)
            records += len(found)
    log(f"{records} records written to {output}")
