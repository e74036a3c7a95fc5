"""SAM headers of several inputs: one header for all, and checks against the reference.

Source: SAM specification 1.6, section 1.3.
"""

import re
from datetime import datetime, timedelta

import numpy as np

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


class _Ids:
    """IDs in use while header lines of several files are merged, and htsjdk's new ones for those that collide."""

    def __init__(self):
        self._taken: set[str] = set()
        self._count = 0

    def merge(self, lines: list[tuple[int, str, list[str]]], renames: list[dict[str, str]]) -> list[str]:
        """Lines of all files with their new IDs, equal ones once. lines: (file, ID, other fields); renames is filled."""
        different: dict[str, dict[frozenset, list]] = {}
        for line in lines:
            different.setdefault(line[1], {}).setdefault(frozenset(line[2]), []).append(line)
        out = []
        for old, records in different.items():
            for same in records.values():
                name = old
                if name in self._taken:
                    while name in self._taken:
                        name, self._count = f"{old}.{np.base_repr(self._count, 36)}", self._count + 1
                else:
                    self._count += 1
                self._taken.add(name)
                for i, _, _ in same:
                    renames[i][old] = name
                out.append((name, same[0][2]))
        return out


def _fields(header: Header, path, kind: str):
    """(ID, other fields) of the lines of a kind (@RG, @PG)."""
    for line in header.text.splitlines():
        if not line.startswith(kind):
            continue
        fields = line.split("\t")[1:]
        name = next((f[3:] for f in fields if f.startswith("ID:")), None)
        if name is None:
            raise InputError(path, f"an {kind} line has no ID", "header")
        yield name, [f for f in fields if not f.startswith("ID:")]


def _merge_programs(headers, paths, renames):
    """Merged @PG lines: first those without a previous program, then the ones that follow them, so that PP keeps its meaning."""
    left = [(i, *x) for i, (h, p) in enumerate(zip(headers, paths)) for x in _fields(h, p, "@PG")]
    have = [{name for j, name, _ in left if j == i} for i in range(len(headers))]

    def previous(i, fields):
        name = next((f[3:] for f in fields if f.startswith("PP:")), None)
        return name if name in have[i] else None

    ids, out, done = _Ids(), [], {(i, None) for i in range(len(headers))}
    while left:
        now = [x for x in left if (x[0], previous(x[0], x[2])) in done] or left
        left = [x for x in left if not any(x is y for y in now)]
        done |= {(i, name) for i, name, _ in now}
        out += ids.merge([(i, name, [_renamed(f, renames[i]) for f in fields]) for i, name, fields in now], renames)
    return out


def _renamed(text, names):
    return f"PP:{names.get(text[3:], text[3:])}" if text.startswith("PP:") else text


def merge_headers(headers: list[Header], paths: list[str]) -> tuple[Header, list[dict[str, str]], list[dict[str, str]]]:
    """One header for records of several files with the same contigs, and for each file the IDs that change.

    Returns (header, groups, programs): groups[i] maps an ID of a read group of file i to its new one, programs[i] that of a program; what
    stays is left out. @HD loses its sort order.

    Raises
    ------
    InputError: files whose @SQ lines differ, lines without an ID.

    Source: htsjdk SamFileHeaderMerger.
    """
    first = headers[0]
    for header, path in zip(headers, paths):
        if header.contig_names != first.contig_names or list(header.contig_lengths) != list(first.contig_lengths):
            raise InputError(path, f"its contigs are not those of {paths[0]}, expected the same @SQ lines in the same order", "header")
    groups, programs = ([{} for _ in headers] for _ in range(2))
    rows = [(i, *x) for i, (h, p) in enumerate(zip(headers, paths)) for x in _fields(h, p, "@RG")]
    merged = {"@RG": _Ids().merge(rows, groups), "@PG": _merge_programs(headers, paths, programs)}
    lines = ["\t".join([kind, f"ID:{name}", *fields]) for kind, some in merged.items() for name, fields in sorted(some, key=lambda x: x[0])]
    sq = [line for line in first.text.splitlines() if line.startswith("@SQ")]
    comments = [line for h in headers for line in h.text.splitlines() if line.startswith("@CO")]
    text = "\n".join([f"@HD\tVN:{first.hd('VN', '1.6')}\tGO:none\tSO:unsorted", *sq, *lines, *comments]) + "\n"
    changed = [[{old: new for old, new in names.items() if old != new} for names in some] for some in (groups, programs)]
    return Header.from_text(text), *changed


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
