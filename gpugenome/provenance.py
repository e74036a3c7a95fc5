"""What was run, for the headers of outputs: @PG lines of SAM headers and the command line."""

import os
import shlex
import sys

from gpugenome._version import __version__


def command_line() -> str:
    """The command as the user could type it again, bytes that are no text (in the locale) as UTF-8 where they are that."""
    return shlex.join(["gpugenome", *(os.fsencode(a).decode("utf-8", "replace") for a in sys.argv[1:])])


def program_line(header_text: str, program: str, command: str | None = None, previous: bool = True) -> str:
    """A new @PG line for `header_text`, newline-terminated, with a unique ID chained to the last program.

    program: the tool's name, as in PN (`MarkDuplicates`, ...). command: the CL field, by default this process's command line.
    previous: whether to chain to the last program of the header by PP.
    Source: SAM specification 1.6, section 1.3.
    """
    ids, pointed = [], set()
    for line in header_text.splitlines():
        if line.startswith("@PG"):
            tags = dict(f.split(":", 1) for f in line.split("\t")[1:] if ":" in f)
            ids.append(tags.get("ID", ""))
            pointed.add(tags.get("PP"))
    name, i = program, 1
    while name in ids:
        name, i = f"{program}.{i}", i + 1
    leaves = [p for p in ids if p not in pointed]
    fields = ["@PG", f"ID:{name}", f"PN:{program}"]
    if previous and leaves:
        fields.append(f"PP:{leaves[-1]}")
    text = command_line() if command is None else command
    fields += [f"VN:{__version__}", "CL:" + text.replace("\t", " ").replace("\n", " ")]
    return "\t".join(fields) + "\n"


def program_fields(identifier: str, program: str, previous: str | None, command: str | None = None) -> str:
    """A @PG line with a given ID, in the order of fields of Picard's tools, newline-terminated. previous: its PP, or None."""
    text = (command_line() if command is None else command).replace("\t", " ").replace("\n", " ")
    fields = ["@PG", f"ID:{identifier}", f"VN:gpugenome {__version__}", f"CL:{text}", f"PN:{program}"]
    return "\t".join(fields + ([f"PP:{previous}"] if previous else [])) + "\n"
