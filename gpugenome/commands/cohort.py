"""`gpugenome cohort`: a store of GVCFs that grows sample by sample."""

import click

from gpugenome.commands.options import check_input, reference, threads


@click.group(name="cohort", context_settings={"help_option_names": ["-h", "--help"]})
def command():
    """Keep the GVCFs of a cohort in one store, for genotypegvcfs and combinegvcfs -V cohort://STORE.

    Adding costs the new samples only. An interrupted run leaves the store as it was.
    """


@command.command(name="add")
@click.argument("store", type=click.Path())
@click.argument("gvcfs", type=click.Path(), nargs=-1, required=True)
@reference
@threads
def add(store, gvcfs, reference, threads):
    """Add GVCFs to STORE, which is made if it is not there. All are added, or none."""
    for path in (reference, *gvcfs):
        check_input(path)
    from gpugenome import pipeline
    from gpugenome.io.cohort import changing
    from gpugenome.io.fasta import Reference
    from gpugenome.progress import log
    from gpugenome.steps.gvcf_inputs import GvcfInput, check_gvcf, check_no_mnp, check_non_ref

    genome = Reference(reference)

    def records(file):
        check_gvcf(file, genome)
        for found in GvcfInput(file, None, genome.bases_upper_acgtn).records():
            check_non_ref(found)
            check_no_mnp(found)
            yield found

    with changing(store, make=True) as cohort:
        made = cohort.add(gvcfs, genome.names, genome.lengths, threads or pipeline.usable_threads(), records)
        log(f"{sum(len(p.samples) for p in made)} samples added to {store}, which has {len(cohort.samples())} now")


@command.command(name="list")
@click.argument("store", type=click.Path())
def list_(store):
    """Print the samples of STORE: name, records, the GVCF that was added, bytes in the store."""
    from gpugenome.io.cohort import Cohort

    cohort = Cohort.open(store)
    click.echo("sample\trecords\tsource\tbytes")
    for sample, part in sorted((s, p) for p in cohort.parts for s in p.samples):
        size = sum(p.stat().st_size for p in cohort.folder(part).iterdir())
        click.echo(f"{sample}\t{part.records}\t{part.source}\t{size}")


@command.command(name="remove")
@click.argument("store", type=click.Path())
@click.argument("samples", nargs=-1, required=True)
def remove(store, samples):
    """Take samples out of STORE."""
    from gpugenome.io.cohort import changing
    from gpugenome.progress import log

    with changing(store) as cohort:
        cohort.remove(samples)
        log(f"{len(samples)} samples removed from {store}, which has {len(cohort.samples())} now")
