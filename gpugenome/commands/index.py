"""`gpugenome index`: the index that `align` searches."""

import click

from gpugenome.commands.options import check_input, check_output, threads


@click.command(name="index", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("reference", type=click.Path())
@click.option("--prefix", "-p", type=click.Path(), help="Prefix of the index files.  [default: the reference's name]")
@threads
def command(reference, prefix, threads):
    """Index a reference FASTA for `gpugenome align`.

    Writes the five files of `bwa index` 0.7.17 (.amb .ann .pac .bwt .sa), byte for byte the same, and .search, the full suffix
    array that `align` maps into memory.
    """
    check_input(reference)
    prefix = prefix or reference
    check_output(f"{prefix}.search", reference)
    from gpugenome.io.bwa_index import build_index, pack
    from gpugenome.io.fasta import Reference
    from gpugenome.pipeline import usable_threads

    n = threads or usable_threads()
    build_index(prefix, pack(Reference(reference), n), n)
