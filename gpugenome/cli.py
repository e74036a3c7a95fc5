"""The `gpugenome` command: a Click group that imports a subcommand only when it runs.

`--help` must not import numpy, numba or pysam (it has 0.15 s), so names and one-line helps stand here.
"""

import atexit
import importlib
import os
import signal
import sys
import threading
import traceback

import click

from gpugenome._version import __version__
from gpugenome.errors import EXIT_BUG, UserError

COMMANDS = {
    "germline": "FASTQ or BAM to variants in one command.",
    "index": "Index a reference for align (the files of bwa index, and one of our own).",
    "align": "Align FASTQ reads (bwa mem).",
    "sort": "Sort alignments by coordinate or query name (Picard SortSam).",
    "markdup": "Mark duplicates (Picard MarkDuplicates).",
    "bqsr": "Build the base quality recalibration table (GATK BaseRecalibrator).",
    "applybqsr": "Recalibrate base qualities (GATK ApplyBQSR).",
    "haplotypecaller": "Call variants (GATK HaplotypeCaller).",
    "combinegvcfs": "Combine GVCFs of several samples (GATK CombineGVCFs).",
    "genotypegvcfs": "Genotype GVCFs of one or many samples (GATK GenotypeGVCFs).",
    "cohort": "A store of GVCFs that grows sample by sample, for genotypegvcfs -V cohort://STORE.",
    "variantfiltration": "Name filters of records and genotypes (GATK VariantFiltration).",
    "selectvariants": "Select records, samples and alleles (GATK SelectVariants).",
    "hardfilter": "GATK's recommended hard filters for SNPs and indels in one pass.",
    "gatherbqsr": "Gather recalibration tables of scattered runs.",
    "concordance": "Compare two VCFs, field by field.",
}


class _Unread(Exception):
    """The reader of our standard output went away (`| head`): not an error of ours."""


class LazyGroup(click.Group):
    """Finds `gpugenome.commands.<name>` and its Click command `<name>` on demand."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"gpugenome.commands.{name}").command

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _Unread from None  # click makes a BrokenPipeError its own exit code, 1

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gpugenome")
def cli():
    """Germline short-variant calling with the results of GATK 4.6.2.0, on CPU or GPU."""


# Nothing here multiplies matrices: numpy's threads for that would only wait, and take a tenth of a CPU second for it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Large pages, which numpy asks for, are cleared as a whole at the first touch, and a virtual machine has to get them from its host:
# 1.4 ms/MB against 0.45 of small pages, and no command here was faster with them.
os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")

_ENDS = {signal.SIGINT: b"gpugenome: interrupted\n", signal.SIGTERM: b"gpugenome: terminated\n"}


class _Ended(BaseException):
    """A signal that ends the program, as an exception, so that temporary files are removed on the way out."""


_PATIENCE_S = 3.0


def _remove_unfinished():
    outputs = sys.modules.get("gpugenome.io.outputs")
    if outputs:
        outputs.remove_unfinished()


def _give_up(number):
    """End without the threads that do not come to an end, as one that waits for standard input; leave no temporary files."""
    _remove_unfinished()
    os._exit(128 + number)


def _end(number, frame):
    os.write(2, _ENDS[number])
    signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
    late = threading.Timer(_PATIENCE_S, _give_up, [number])
    late.daemon = True
    late.start()
    raise _Ended(number)


def _leave():
    """End a program that is through. To take the interpreter apart, object by object, takes 0.15 s where records were held."""
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(0)


def _open_closed():
    """Closed standard streams (`<&-`, `>&-`) as empty input and output that cannot be written, so that no file gets their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            taken = os.open(os.devnull, os.O_RDWR if number == 2 else os.O_RDONLY)
            if taken != number:
                os.dup2(taken, number)
                os.close(taken)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def main(argv=None) -> None:
    """Run the command line and exit with a code of `gpugenome.errors`.

    argv: the arguments; None are those of this program, which ends here.
    """
    for number in _ENDS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not where it is ignored, as under nohup
            signal.signal(number, _end)
    _open_closed()
    try:
        code = cli.main(args=argv, prog_name="gpugenome", standalone_mode=False)
        sys.stdout.flush()
        if argv is None:
            for number in _ENDS:
                signal.signal(number, signal.SIG_IGN)  # all is done: there is nothing to end any more
    except UserError as e:
        click.echo(f"gpugenome: error: {e}", err=True)
        code = e.exit_code
    except click.ClickException as e:
        context = getattr(e, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"gpugenome: error: {e.format_message().replace(chr(10), ' ').rstrip('.')}{hint}", err=True)
        code = 2
    except _Ended as e:
        _remove_unfinished()  # one that was just made when the signal came, and that nothing was to close yet
        code = 128 + e.args[0]
    except (_Unread, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    except Exception:
        traceback.print_exc()
        click.echo("gpugenome: this is a bug; please report it with the lines above", err=True)
        code = EXIT_BUG
    code = code if isinstance(code, int) else 0
    if argv is None and code == 0:
        _leave()
    sys.exit(code)


if __name__ == "__main__":
    main()
