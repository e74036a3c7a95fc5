"""What `genotypegvcfs` and `combinegvcfs` share: their options, and opening their inputs."""

import click

from gpugenome.commands.options import switch

variants = click.option("--variant", "-V", "variants", type=click.Path(), multiple=True, required=True,
                        help="GVCF, or cohort://STORE; repeatable.")  # fmt: skip
output = click.option("--output", "-O", type=click.Path(), required=True, help=".vcf or .vcf.gz; '-' is plain VCF on standard output.")


def annotations(function):
    """-A, -G, -AX and what goes with them; the command gets them as GATK's names with underscores."""
    options = [
        click.option("--annotation", "-A", "annotation", multiple=True, help="Annotation to add."),
        click.option("--annotation-group", "-G", "annotation_group", multiple=True, help="Group of annotations to add."),
        click.option("--annotations-to-exclude", "-AX", "annotations_to_exclude", multiple=True, help="Annotation to leave out."),
        switch("--disable-tool-default-annotations", text="Leave all default annotations out."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def open_gvcfs(variants, reference, output, intervals, threads, *others):
    """Check the paths and open everything: (inputs, samples, genome, intervals int64[k, 3] or None).

    others: further input files. Raises InputError, UserError: see `steps.gvcf_inputs.open_inputs`, `commands.options.read_intervals`.
    """
    from gpugenome.commands.options import check_input, check_output, read_intervals
    from gpugenome.io.fasta import Reference
    from gpugenome.io.intervals import as_array
    from gpugenome.steps.gvcf_inputs import open_inputs

    paths = [*variants, reference, *(p for p in others if p)]
    for path in paths:
        if not path.startswith("cohort://"):
            check_input(path)
    check_output(output, *paths)
    genome = Reference(reference)
    wanted = read_intervals(intervals, genome.names, genome.lengths)
    wanted = None if wanted is None else as_array(wanted)
    inputs, samples = open_inputs(variants, genome, threads, intervals=wanted)
    return inputs, samples, genome, wanted
