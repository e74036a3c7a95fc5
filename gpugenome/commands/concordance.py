"""`gpugenome concordance`: compare two VCFs field by field."""

import json
import sys

import click

from gpugenome.commands.options import check_input, check_output, threads
from gpugenome.errors import EXIT_DIFFERENT


@click.command(name="concordance", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--truth", "-truth", type=click.Path(), required=True, help="The VCF or GVCF to compare with (GATK's, or a truth set).")
@click.option("--eval", "-eval", "evaluated", type=click.Path(), required=True, help="The VCF or GVCF to judge.")
@click.option("--reference", "-R", type=click.Path(), help="Reference: finds variants that are only written differently.")
@click.option("--bed", type=click.Path(), help="Only records whose POS lies in these regions (confident regions).")
@click.option("--truth-sample", help="Sample of the truth VCF.  [default: the same name, else the only one]")
@click.option("--eval-sample", help="Sample of the evaluated VCF.")
@click.option("--pass-only", is_flag=True, help="Leave out records with a FILTER other than PASS or '.'.")
@click.option("--json", "json_path", type=click.Path(), help="Write everything as JSON ('-': standard output instead of the table).")
@click.option("--multiqc", type=click.Path(), help="Write a MultiQC custom-content table (name it *_mqc.tsv).")
@click.option("--differences", type=click.Path(), help="Write one line a differing record: contig, pos, category, fields.")
@click.option("--require-identical", is_flag=True, help="Exit with 1 unless every record is equal in every field.")
@click.option("--min-genotype-concordance", type=float, help="Exit with 1 if fewer of the truth's records have an equal genotype.")
@threads
def command(truth, evaluated, reference, bed, truth_sample, eval_sample, pass_only, json_path, multiqc, differences,
            require_identical, min_genotype_concordance, threads):  # fmt: skip
    """Compare two VCFs: sites, alleles, genotypes, phase, QUAL, GQ, PL, AD, DP and every INFO field.

    Exit codes: 0; 1 where --require-identical or --min-genotype-concordance is not met; 2 bad input.
    """
    for path in (truth, evaluated, reference, bed):
        if path:
            check_input(path)
    for path in (json_path, multiqc, differences):
        check_output(path, truth, evaluated)
    from gpugenome import pipeline
    from gpugenome.io.outputs import AtomicOutput
    from gpugenome.io.variant_text import read_bed, read_variant_text
    from gpugenome.steps.concordance import compare, format_differences, format_multiqc, format_table

    n = threads or pipeline.usable_threads()
    contigs = None
    if reference:
        from gpugenome.io.fasta import Reference

        fasta = Reference(reference)
        contigs = {name: i for i, name in enumerate(fasta.names)}

    def bases(name):
        return fasta.bases_upper_acgtn(contigs[name]) if contigs and name in contigs else None

    result = compare(
        read_variant_text(truth, n), read_variant_text(evaluated, n), bases=bases if reference else None,
        regions=read_bed(bed) if bed else None, truth_sample=truth_sample, eval_sample=eval_sample, pass_only=pass_only, threads=n,
    )  # fmt: skip
    if json_path == "-":
        click.echo(json.dumps(result.summary, indent=2))
    else:
        click.echo(format_table(result.summary))
    for path, text in (
        (json_path if json_path != "-" else None, json.dumps(result.summary, indent=2) + "\n"),
        (multiqc, format_multiqc(result.summary, evaluated)),
        (differences, format_differences(result)),
    ):
        if path:
            with AtomicOutput(path) as out, open(out.path, "w") as f:
                f.write(text)
    if require_identical and not result.summary["identical"]:
        click.echo(f"concordance: the records of {evaluated} are not identical to those of {truth}", err=True)
        sys.exit(EXIT_DIFFERENT)
    rate = result.summary["genotype_concordance"]
    if min_genotype_concordance is not None and not rate >= min_genotype_concordance:
        click.echo(f"concordance: genotype concordance {rate:.6f} is below {min_genotype_concordance}", err=True)
        sys.exit(EXIT_DIFFERENT)
