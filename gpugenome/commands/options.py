"""Click options that several commands share. Imports Click only, so that `--help` stays fast."""

import click


class Threads(click.ParamType):
    """A positive number of threads."""

    name = "N"

    def convert(self, value, param, ctx):
        try:
            n = int(value)
        except ValueError:
            n = 0
        if n < 1:
            self.fail(f"expected a positive number of threads, got {value}", param, ctx)
        return n


class Memory(click.ParamType):
    """A size such as 8G, 500M or a number of bytes; gives bytes."""

    name = "SIZE"

    def convert(self, value, param, ctx):
        if isinstance(value, int):
            return value
        text = value.strip().upper().removesuffix("B").removesuffix("I")
        unit = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(text[-1:], None)
        try:
            size = int(float(text[:-1]) * unit) if unit else int(text)
        except ValueError:
            size = 0
        if size < 2**20:
            self.fail(f"expected a size of at least 1M, such as 8G, got {value}", param, ctx)
        return size


def switch(*names, text=None, default=False, **more):
    """An option that is a flag and also takes true or false, as GATK's do."""
    return click.option(*names, type=bool, default=default, is_flag=False, flag_value=True, help=text, **more)


def reads_in(*more):
    """-I: alignments of one or several files; the command gets `inputs`. more: other names of it."""
    return click.option("--input", *more, "-I", "inputs", type=click.Path(), multiple=True, required=True,
                        help="SAM, BAM or CRAM; '-' is standard input.")  # fmt: skip


def reads_out(*more):
    """-O: the alignments that are written; the command gets `output`. more: other names of it."""
    return click.option("--output", *more, "-O", "output", type=click.Path(), required=True,
                        help="SAM, BAM or CRAM by extension; '-' is uncompressed BAM.")  # fmt: skip


class IdleValue(click.ParamType):
    """A value of a GATK argument with which nothing changes here; others are refused by name.

    values: a type, or the values that are taken.
    """

    def __init__(self, argument: str, values):
        self.argument, self.values = argument, values
        self.kind = click.types.convert_type(values if isinstance(values, type) else type(values[0]))
        self.name = self.kind.name

    def convert(self, value, param, ctx):
        found = self.kind.convert(value, param, ctx)
        if not isinstance(self.values, type) and found not in self.values:
            from gpugenome.errors import UserError

            text, *taken = (str(v).lower() if isinstance(v, bool) else str(v) for v in (found, *self.values))
            raise UserError(f"--{self.argument} {text}: this value is not supported yet, expected {' or '.join(taken)}")
        return found


def _quiet(ctx, param, value):
    """Leave progress out for as long as the command runs."""
    if value in (True, "WARNING", "ERROR"):
        from gpugenome.progress import silence

        ctx.with_resource(silence())


def _option(long, short, kind, **more):
    flag = {"is_flag": False, "flag_value": True} if kind is bool or getattr(kind, "kind", None) is click.BOOL else {}
    names = ["--" + long, *(["-" + short] if short else [])]
    return click.Option(names, type=kind, default=None, expose_value=False, **flag, **more)


def _with_own_dashes(word, names):
    """An argument under its own name: GATK takes every name with one dash and with two."""
    name, equals, value = word.partition("=")
    other = name[1:] if name.startswith("--") else f"-{name}"
    return other + equals + value if name.startswith("-") and name not in names and other in names else word


def gatk_command(tool: str, unsupported: dict[str, str], idle: dict[str, tuple]) -> type[click.Command]:
    """The class of a command that takes what scripts tell GATK's tool, or refuses it by name, instead of ignoring it or guessing.

    unsupported: long names (with their short ones) of arguments of GATK's tool. idle: as `gatk.defaults.IDLE`; the command's own options
    of these names come first.
    """
    from gpugenome.errors import UserError

    class GatkCommand(click.Command):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            own = {name for p in self.params for name in p.opts}
            levels = click.Choice(["ERROR", "WARNING", "INFO", "DEBUG"])
            self.params += [
                _option("verbosity", "verbosity", levels, callback=_quiet, help="No progress on standard error below INFO."),
                _option("QUIET", "", bool, callback=_quiet, help="No progress on standard error."),
                *(_option(name, short, IdleValue(name, values), hidden=True) for name, (short, values) in idle.items()
                  if "--" + name not in own),
            ]  # fmt: skip

        def parse_args(self, ctx, args):
            own = {name for p in self.params for name in (*p.opts, *p.secondary_opts)}
            try:
                return super().parse_args(ctx, [_with_own_dashes(word, own) for word in args])
            except click.NoSuchOption as e:
                name = e.option_name.lstrip("-")
                if name and (name in unsupported or name in unsupported.values()):
                    raise UserError(f"{e.option_name}: this argument of GATK {tool} is not supported yet") from None
                raise

    return GatkCommand


threads = click.option("--threads", type=Threads(), default=None, help="CPU threads.  [default: all usable cores]")
memory = click.option("--memory", type=Memory(), default=None, help="Memory budget, e.g. 8G.  [default: half of what is free]")
tmp_dir = click.option("--tmp-dir", "--TMP_DIR", "tmp_dir", type=click.Path(), default=None,
                       help="Folder for spill files.  [default: the system's]")  # fmt: skip
compression = click.option("--compression-level", "--COMPRESSION_LEVEL", "compression_level", type=click.IntRange(0, 12), default=2,
                           show_default=True, help="Of BAM: 0 stores, 12 makes the smallest files.")  # fmt: skip
stringency = click.option(
    "--validation-stringency", "--VALIDATION_STRINGENCY", "stringency", type=click.Choice(["STRICT", "LENIENT", "SILENT"]),
    default="STRICT", show_default=True,
    help="STRICT refuses reads whose flags and places, or their mates' places, contradict each other; the others take them.",
)  # fmt: skip
device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Where kernels run; auto takes a GPU where it was measured to gain.",
)
reference = click.option("--reference", "-R", type=click.Path(), required=True, help="Reference FASTA (.fa, .fa.gz).")


def variant_output(function):
    """Options of a VCF output: its index and its MD5."""
    for names, default, text in (
        (("--create-output-variant-md5", "-OVM", "md5"), False, "Also write .md5."),
        (("--create-output-variant-index", "-OVI", "index"), True, "Also write .tbi (.idx for plain VCF)."),
    ):
        function = switch(*names, text=text, default=default, show_default=True)(function)
    return function


def intervals(function):
    """-L, -XL and what goes with them; the command gets one dict `intervals` for `read_intervals`."""
    import functools

    options = [
        click.option("--intervals", "-L", "include", multiple=True, help="Interval (chr:start-end) or file of intervals; repeatable."),
        click.option("--exclude-intervals", "-XL", "exclude", multiple=True, help="Intervals to leave out; repeatable."),
        click.option("--interval-padding", "-ip", type=click.IntRange(0), default=0, show_default=True, help="bp around each -L."),
        click.option("--interval-exclusion-padding", "-ixp", type=click.IntRange(0), default=0, show_default=True,
                     help="bp around each -XL."),
        click.option("--interval-set-rule", "-isr", type=click.Choice(["UNION", "INTERSECTION"]), default="UNION", show_default=True),
        click.option("--interval-merging-rule", "-imr", type=click.Choice(["ALL", "OVERLAPPING_ONLY"]), default="ALL",
                     show_default=True),
    ]  # fmt: skip

    @functools.wraps(function)
    def wrapped(*, include, exclude, interval_padding, interval_exclusion_padding, interval_set_rule, interval_merging_rule, **more):
        chosen = {
            "includes": include, "excludes": exclude, "padding": interval_padding, "exclusion_padding": interval_exclusion_padding,
            "set_rule": interval_set_rule, "merging_rule": interval_merging_rule,
        }  # fmt: skip
        return function(intervals=chosen, **more)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


class FastqCommand(click.Command):
    """A command whose --fastq takes one or two files: Click counts two, so a missing second one is filled in as ""."""

    def parse_args(self, ctx, args):
        words, k = [], 0
        while k < len(args):
            name, equals, first = args[k].partition("=")
            k += 1
            if name != "--fastq":
                words.append(args[k - 1])
                continue
            files = [first] if equals else []
            while k < len(args) and len(files) < 2 and (args[k] == "-" or not args[k].startswith("-")):
                files.append(args[k])
                k += 1
            if not files:
                raise click.BadOptionUsage("--fastq", "--fastq: expected one or two FASTQ files", ctx)
            words += [name, *files, *[""] * (2 - len(files))]
        return super().parse_args(ctx, words)


def alignment(function):
    """--fastq and what goes with it, for a `FastqCommand`; the command gets one dict `alignment` for `commands.align.aligned_reads`."""
    import functools

    options = [
        click.option("--fastq", nargs=2, multiple=True, metavar="R1 [R2]",
                     help="FASTQ of one lane: two files of pairs, or one file; plain, gzip, bgzip; '-' is standard input; repeatable."),
        click.option("--read-group", multiple=True, metavar="'@RG\\tID:..\\tSM:..'",
                     help="Read group, one for all or one for each --fastq.  [default: from file names and flow cells]"),
        click.option("--interleaved", is_flag=True, help="Each --fastq is one file with the two reads of each pair after one another."),
        click.option("--bwa-options", default="-K 100000000 -Y", show_default=True, help="Options, by the letters of bwa mem."),
        click.option("--bwa-index", metavar="PREFIX", help="Where the index is, or is to be made.  [default: beside the reference, "
                     "else made in memory]"),
    ]  # fmt: skip

    @functools.wraps(function)
    def wrapped(*, fastq, read_group, interleaved, bwa_options, bwa_index, **more):
        chosen = {
            "fastq": [[f for f in pair if f] for pair in fastq], "read_groups": read_group, "interleaved": interleaved,
            "bwa_options": bwa_options, "bwa_index": bwa_index,
        }  # fmt: skip
        return function(alignment=chosen, **more)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def read_intervals(chosen: dict, names, lengths):
    """The list of (ref_id, start, end) that the options of `intervals` select, or None for everything."""
    from gpugenome.io.intervals import resolve_intervals

    chosen = dict(chosen)
    return resolve_intervals(chosen.pop("includes"), chosen.pop("excludes"), names, lengths, **chosen)


def default_memory() -> int:
    """Half of the memory that is free now, in bytes; 4 GiB where the system does not say."""
    try:
        with open("/proc/meminfo") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024 // 2
    except OSError:
        pass
    return 4 * 2**30


def touch_ahead(inputs, threads: int | None, memory: int | None) -> None:
    """Fetch memory for the records of files while the modules of a command that holds them are imported, where another core is free.

    threads, memory: of the command. A BAM has twice its bytes at least when it is inflated; what is touched is a part of the budget.
    """
    import os

    from gpugenome.pipeline import usable_threads
    from gpugenome.touched import stock

    if threads != 1 and usable_threads() > 1:
        inflated = sum(2 * os.path.getsize(i) for i in inputs if os.path.isfile(i))
        stock.fill(min(inflated, (memory or default_memory()) // 8))


def check_output(path: str | None, *inputs: str | None) -> None:
    """Refuse an output whose folder is missing or not writable, or that is one of the inputs.

    Raises
    ------
    UserError: with the path and what is wrong.
    """
    import os

    from gpugenome.errors import InputError

    if path in (None, "-", "/dev/stdout", "/dev/null"):
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise InputError(path, f"the output folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise InputError(path, f"the output folder {folder} is not writable")
    if os.path.isdir(path):
        raise InputError(path, "is a folder, expected a file name")
    for i in inputs:
        if i not in (None, "-") and os.path.exists(i) and os.path.exists(path) and os.path.samefile(i, path):
            raise InputError(path, "is both an input and an output")
        if i is not None and os.path.abspath(i) == os.path.abspath(path):
            raise InputError(path, "is both an input and an output")


def check_input(path: str) -> None:
    """Refuse an input that does not exist, is a folder, or cannot be read."""
    import os

    from gpugenome.errors import InputError

    if path in ("-", "/dev/stdin"):
        return
    if not os.path.exists(path):
        raise InputError(path, "no such file")
    if os.path.isdir(path):
        raise InputError(path, "is a folder, expected a file")
    if not os.access(path, os.R_OK):
        raise InputError(path, "cannot be read (permissions)")
