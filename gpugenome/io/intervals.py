"""Genomic intervals as GATK takes them: -L, -XL, -ip, -ixp, --interval-set-rule, --interval-merging-rule.

Texts are 1-based inclusive (`chr:start-end`, interval_list, VCF) or 0-based (BED); inside, intervals are 0-based half-open.
Source: GATK IntervalArgumentCollection, IntervalUtils; htsjdk IntervalList; BED.
"""

import os

import numpy as np

from gpugenome.errors import InputError, UserError


def _number(text):
    return int(text.replace(",", ""))


def parse_interval(text: str, contigs: dict[str, int], lengths) -> tuple[int, int, int]:
    """(ref_id, start, end) of `chr`, `chr:5`, `chr:5-9`, `chr:5+`.

    Raises
    ------
    UserError: an unknown contig, a bad number, or a place outside the contig.
    """
    name, _, span = text.rpartition(":")
    if text in contigs or not name:
        name, span = text, ""
    if name not in contigs:
        raise UserError(f"-L {text}: the reference has no contig {name}, and there is no such file")
    ref_id = contigs[name]
    length = int(lengths[ref_id])
    try:
        if not span:
            start, end = 1, length
        elif span.endswith("+"):
            start, end = _number(span[:-1]), length
        elif "-" in span:
            first, last = span.split("-", 1)
            start, end = _number(first), _number(last)
        else:
            start = end = _number(span)
    except ValueError:
        raise UserError(f"-L {text}: expected contig, contig:position or contig:start-end") from None
    if not 1 <= start <= end <= length:
        raise UserError(f"-L {text}: lies outside of the contig {name} (1-{length})")
    return ref_id, start - 1, end


def _read_file(path, contigs, lengths):
    """Intervals of a BED, interval_list, VCF or list file, told apart by extension as GATK does."""
    lower = path.lower().removesuffix(".gz")
    if lower.endswith((".vcf", ".bcf")):
        from gpugenome.io.known_sites import read_sites

        return [(r, int(s), int(e)) for r, spans in enumerate(read_sites([path], list(contigs), lengths)) for s, e in spans.tolist()]
    if lower.endswith(".bed"):
        from gpugenome.io.variant_text import bed_lines

        return [_inside(path, number, name, start, end, contigs, lengths) for number, name, start, end in bed_lines(path)]
    import gzip

    try:
        with (gzip.open if lower != path.lower() else open)(path, "rt") as f:
            lines = f.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as e:
        raise InputError(path, f"cannot be read as intervals: {e}") from None
    out = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("@", "#", "track", "browser")):
            continue
        try:
            if "\t" in line:
                fields = line.split("\t")
                name, start, end = fields[0], int(fields[1]) - 1, int(fields[2])
            else:
                out.append(parse_interval(line.strip(), contigs, lengths))
                continue
        except (IndexError, ValueError):
            raise InputError(path, "expected contig, start and end separated by tabs", f"line {number}") from None
        except UserError as e:
            raise InputError(path, str(e).removeprefix("-L "), f"line {number}") from None
        out.append(_inside(path, number, name, start, end, contigs, lengths))
    return out


def _inside(path, number, name, start, end, contigs, lengths):
    """(ref_id, start, end) of a line of a file, which must lie inside its contig."""
    if name not in contigs:
        raise InputError(path, f"the reference has no contig {name}", f"line {number}")
    if end <= start:
        raise InputError(path, f"{name}:{start + 1}-{end} has no bases", f"line {number}")
    if not 0 <= start < end <= int(lengths[contigs[name]]):
        raise InputError(path, f"lies outside of the contig {name} (1-{int(lengths[contigs[name]])})", f"line {number}")
    return contigs[name], start, end


def _merge(intervals, adjacent: bool):
    """Sorted, overlapping ones joined (with `adjacent` also those that touch)."""
    out: list[list[int]] = []
    for ref_id, start, end in sorted(intervals):
        if out and out[-1][0] == ref_id and (start < out[-1][2] or (adjacent and start == out[-1][2])):
            out[-1][2] = max(out[-1][2], end)
        else:
            out.append([ref_id, start, end])
    return out


def _intersect(a, b):
    return [(r, max(s, t), min(e, f)) for r, s, e in a for q, t, f in b if r == q and max(s, t) < min(e, f)]


def _subtract(a, b):
    out = []
    for ref_id, start, end in a:
        at = start
        for q, s, e in b:
            if q == ref_id and s < end and e > at:
                if s > at:
                    out.append((ref_id, at, s))
                at = max(at, e)
        if at < end:
            out.append((ref_id, at, end))
    return out


def resolve_intervals(includes, excludes, names, lengths, *, padding=0, exclusion_padding=0, set_rule="UNION", merging_rule="ALL"):
    """The intervals to work on, or None for everything.

    includes, excludes: -L and -XL arguments: intervals, or files of them. names, lengths: the contigs.

    Returns
    -------
    list of (ref_id, start, end), sorted, 0-based half-open, apart from one another.

    Raises
    ------
    UserError, InputError: what cannot be understood, lies outside the reference, or leaves nothing.
    """
    contigs = {name: i for i, name in enumerate(names)}
    adjacent = merging_rule == "ALL"

    def read(arguments, pad, rule):
        total = None
        for argument in arguments:
            found = _read_file(argument, contigs, lengths) if os.path.isfile(argument) else [parse_interval(argument, contigs, lengths)]
            found = [(r, max(0, s - pad), min(int(lengths[r]), e + pad)) for r, s, e in found]
            found = _merge(found, adjacent)
            if total is None or rule == "UNION":
                total = (total or []) + found
            else:
                total = _intersect(total, found)
        return _merge(total or [], adjacent)

    if not includes and not excludes:
        return None
    chosen = read(includes, padding, set_rule) if includes else [[i, 0, int(n)] for i, n in enumerate(lengths)]
    if includes and not chosen:
        raise UserError("-L: the intervals leave nothing to work on")
    if excludes:
        chosen = _subtract(chosen, read(excludes, exclusion_padding, "UNION"))
        if not chosen:
            raise UserError("-XL: the excluded intervals leave nothing to work on")
    return [(int(r), int(s), int(e)) for r, s, e in chosen]


def as_array(intervals) -> np.ndarray:
    """int64[k, 3] of `resolve_intervals`' list."""
    return np.array(intervals, np.int64).reshape(-1, 3)
