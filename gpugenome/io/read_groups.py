"""Read groups of FASTQ files: as the user gives them, or from the file's name and the flow cell in the reads' names.

Source: SAM specification 1.3 (@RG); Illumina read names `instrument:run:flowcell:lane:tile:x:y` (since CASAVA 1.8) and
`instrument:lane:tile:x:y` (before).
"""

import os
import re

from gpugenome.errors import UserError

_EXPECTED = r"expected '@RG\tID:..\tSM:..\tLB:..\tPL:..\tPU:..'"
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9]:[ -~]+")


def parse_read_group(text: str) -> dict[str, str]:
    r"""The fields of an @RG line, in their order; `\t` (two characters) and tabs separate them.

    Raises
    ------
    UserError: not an @RG line, a field that is not TAG:value or comes twice, no ID or no SM.
    """

    def refuse(problem):
        raise UserError(f"--read-group: {problem}, {_EXPECTED}, got {text!r}")

    first, *parts = text.replace("\\t", "\t").split("\t")
    if first != "@RG":
        refuse("does not begin with @RG")
    fields: dict[str, str] = {}
    for part in parts:
        if not _FIELD.fullmatch(part):
            refuse(f"{part!r} is not TAG:value")
        tag, value = part.split(":", 1)
        if tag in fields:
            refuse(f"{tag} comes twice")
        fields[tag] = value
    for tag in ("ID", "SM"):
        if tag not in fields:
            refuse(f"has no {tag}")
    return fields


def derive_read_group(paths: list[str], read_name: str) -> dict[str, str]:
    """ID and PU are flowcell.lane (instrument.lane in older names, the file's name in others), SM and LB the file's name without
    its lane and read number.

    paths: one or two FASTQ files. read_name: of the first read.

    Raises
    ------
    UserError: standard input, which has no name.
    """
    if paths[0] == "-":
        raise UserError(f"--read-group is needed for FASTQ from standard input, {_EXPECTED}")
    unit = re.sub(r"(\.(fastq|fq|txt|gz|bgz|bgzf))+$", "", os.path.basename(paths[0]), flags=re.I)
    read_number = r"[._-]R?[12](_\d{3})?$" if len(paths) == 2 else r"[._-]R[12](_\d{3})?$"
    unit = re.sub(read_number, "", unit) or unit
    sample = re.sub(r"(_S\d+)?[._-]L\d{3}$|_S\d+$", "", unit) or unit
    parts = read_name.split(":")
    if len(parts) >= 7 and parts[3].isdigit():
        unit = f"{parts[2]}.{parts[3]}"
    elif len(parts) >= 5 and parts[1].isdigit():
        unit = f"{parts[0]}.{parts[1]}"
    return {"ID": unit, "SM": sample, "LB": sample, "PL": "ILLUMINA", "PU": unit}


def distinct_read_groups(groups: list[dict[str, str]]) -> list[dict[str, str]]:
    """Derived read groups with an ID of their own where the rest differs (one lane with several samples): ID.SM.

    Equal ones stay equal: files of one lane share its read group.
    """
    seen: dict[str, dict[str, str]] = {}
    out = []
    for group in groups:
        if seen.setdefault(group["ID"], group) != group:
            group = {**group, "ID": f"{group['ID']}.{group['SM']}"}
        out.append(group)
    return out


def read_group_line(fields: dict[str, str]) -> str:
    """The @RG line, without newline."""
    return "\t".join(["@RG", *(f"{k}:{v}" for k, v in fields.items())])
