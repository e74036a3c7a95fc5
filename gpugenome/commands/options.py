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


threads = click.option("--threads", type=Threads(), default=None, help="CPU threads.  [default: all usable cores]")
memory = click.option("--memory", type=Memory(), default=None, help="Memory budget, e.g. 8G.  [default: half of what is free]")
tmp_dir = click.option("--tmp-dir", type=click.Path(), default=None, help="Folder for spill files.  [default: the system's]")
device = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where kernels run."
)
reference = click.option("--reference", "-R", type=click.Path(), required=True, help="Reference FASTA (.fa, .fa.gz).")


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
