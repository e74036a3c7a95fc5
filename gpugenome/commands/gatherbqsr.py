"""`gpugenome gatherbqsr`: one recalibration table of several, after scattering."""

import click

from gpugenome.commands.options import check_input, check_output


@click.command(name="gatherbqsr", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--input", "-I", "inputs", type=click.Path(), multiple=True, required=True, help="Tables, one for each part.")
@click.option("--output", "-O", type=click.Path(), required=True, help="The table of the whole; '-' is standard output.")
def command(inputs, output):
    """Gather tables of parts of the reads into the table that one run over all of them gives.

    GATK GatherBQSRReports recomputes qualities from rounded figures and so differs from its own unscattered run in some
    EmpiricalQuality values; here the counts are summed and everything else is computed once.
    """
    for path in inputs:
        check_input(path)
    check_output(output, *inputs)
    from gpugenome.errors import UserError
    from gpugenome.gatk.recal_table import gather
    from gpugenome.io.outputs import AtomicOutput
    from gpugenome.io.recal_table import read_report, report_text

    try:
        table = gather([read_report(path) for path in inputs])
    except ValueError as e:
        raise UserError(f"the tables do not belong together: {e}") from None
    with AtomicOutput(output) as out:
        out.write(report_text(table).encode())
