"""SAM headers of several inputs: one header for all, and checks against the reference.

Source: SAM specification 1.6, section 1.3; read groups that share an ID but differ get a suffix, as Picard's header merger gives them.
"""

import re
from datetime import datetime, timedelta

from gpugenome.batch import Header
from gpugenome.errors import InputError


def check_dictionary(header: Header, path: str, names, lengths, reference_path: str) -> None:
    """Every contig of `header` must be in the reference, with the same length.

    names, lengths: the reference's contigs.

    Raises
    ------
    InputError: naming the contig and both lengths, or a header without contigs.
    """
    if not header.contig_names:
        raise InputError(path, "has no @SQ lines in its header, expected the contigs of " + str(reference_path))
    known = dict(zip(names, (int(x) for x in lengths)))
    for name, length in zip(header.contig_names, header.contig_lengths):
        if name not in known:
            raise InputError(path, f"contig {name} ({length} bp) is not in the reference {reference_path}", "header")
        if known[name] != int(length):
            raise InputError(path, f"contig {name} has {length} bp, but {known[name]} bp in the reference {reference_path}", "header")


def merge_headers(headers: list[Header], paths: list[str]) -> tuple[Header, list[dict[str, str]]]:
    """One header for records of several files with the same contigs, and for each file the read groups that change their ID.

    Returns (header, renames): renames[i] maps an ID of file i to its new one (most often empty). @HD loses its sort order.

    Raises
    ------
    InputError: files whose @SQ lines differ.
    """
    first = headers[0]
    groups: dict[str, str] = {}
    renames: list[dict[str, str]] = []
    for header, path in zip(headers, paths):
        same = header.contig_names == first.contig_names and list(header.contig_lengths) == list(first.contig_lengths)
        if not same:
            raise InputError(path, f"its contigs are not those of {paths[0]}, expected the same @SQ lines in the same order", "header")
        changed = {}
        for line in header.text.splitlines():
            if not line.startswith("@RG"):
                continue
            fields = line.split("\t")
            at = next((i for i, f in enumerate(fields) if f.startswith("ID:")), None)
            if at is None:
                raise InputError(path, "an @RG line has no ID", "header")
            name = old = fields[at][3:]
            number = 1
            while name in groups and groups[name] != "\t".join([*fields[:at], f"ID:{name}", *fields[at + 1 :]]):
                name, number = f"{old}.{number}", number + 1
            groups[name] = "\t".join([*fields[:at], f"ID:{name}", *fields[at + 1 :]])
            if name != old:
                changed[old] = name
        renames.append(changed)
    others, seen = [], set()
    for header in headers:
        for line in header.text.splitlines():
            if line.startswith(("@HD", "@SQ", "@RG")):
                continue
            key = next((f for f in line.split("\t") if f.startswith("ID:")), line) if line.startswith("@PG") else line
            if key not in seen:
                seen.add(key)
                others.append(line)
    sq = [line for line in first.text.splitlines() if line.startswith("@SQ")]
    version = first.hd("VN", "1.6")
    text = "\n".join([f"@HD\tVN:{version}\tSO:unsorted", *sq, *groups.values(), *others]) + "\n"
    return Header.from_text(text), renames


_DATE = re.compile(r"(\d+)(?:-(\d+)(?:-(\d+)(?:T(\d+)(?::(\d+)(?::(\d+)(?:\.\d+)?)?(Z|[+-]\d+(?::\d+)?)?)?)?)?)?")


def _htsjdk_date(text: str) -> str:
    """A date of an @RG line (DT) as htsjdk prints it in UTC; what is no date stays. Source: htsjdk DateParser, Iso8601Date."""
    found = _DATE.fullmatch(text)
    if not found:
        return text
    year, month, day, hour, minute, second = (int(x) if x else d for x, d in zip(found.groups(), (1970, 1, 1, 0, 0, 0)))
    zone = found[7] or "Z"
    ahead, _, ahead_minutes = zone.strip("Z+-").partition(":")
    minutes = int(ahead or 0) * 60 + int(ahead_minutes or 0)
    if not ahead_minutes and int(ahead or 0) >= 100:
        minutes = int(ahead) // 100 * 60 + int(ahead) % 100
    try:
        # Fields beyond their range roll over, as in a lenient Java calendar.
        date = datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1) + timedelta(day - 1, second, 0, 0, minute, hour)
        date += timedelta(minutes=minutes if zone[0] == "-" else -minutes)
    except (ValueError, OverflowError):
        return text
    return date.isoformat(timespec="seconds") + "+0000"


def htsjdk_header(header: Header, sort_order: str | None = None, group_order: str | None = None, programs: str = "") -> Header:
    """The header as htsjdk writes it: @HD VN:1.6, then @SQ, @RG, @PG and @CO lines grouped, their key fields first, dates in UTC.

    sort_order, group_order: new SO and GO values, in their place or appended. programs: @PG lines to add after the others.
    Source: htsjdk SAMTextHeaderCodec.
    """
    groups: dict[str, list[str]] = {"@HD": [], "@SQ": [], "@RG": [], "@PG": [], "@CO": []}
    for line in (header.text + programs).splitlines():
        groups.setdefault(line[:3], []).append(line)
    fields = groups["@HD"][0].split("\t")[1:] if groups["@HD"] else []
    fields = [f for f in fields if not f.startswith("VN:")]
    for key, value in (("SO:", sort_order), ("GO:", group_order)):
        if value is not None:
            at = next((i for i, f in enumerate(fields) if f.startswith(key)), None)
            if at is None:
                fields.append(key + value)
            else:
                fields[at] = key + value

    def key_first(line, keys):
        parts = [f"DT:{_htsjdk_date(f[3:])}" if line[:3] == "@RG" and f[:3] == "DT:" else f for f in line.split("\t")]
        front = [f for k in keys for f in parts[1:] if f.startswith(k)]
        return "\t".join([parts[0], *front, *(f for f in parts[1:] if f not in front)])

    lines = ["\t".join(["@HD", "VN:1.6", *fields])]
    lines += [key_first(x, ("SN:", "LN:")) for x in groups["@SQ"]]
    lines += [key_first(x, ("ID:",)) for x in groups["@RG"] + groups["@PG"]] + groups["@CO"]
    return Header.from_text("\n".join(lines) + "\n")
