"""The text of a recalibration table (GATKReport v1.1): writer beside reader. Source: GATKReport, RecalibrationReport of GATK 4.6.2.0."""

import gzip
import re

import numpy as np

from gpugenome.errors import InputError
from gpugenome.gatk.recal_table import QUALITIES, RecalTable, context_columns
from gpugenome.gatk.recalibration import empirical_quality

_COVARIATES = "ReadGroupCovariate,QualityScoreCovariate,ContextCovariate,CycleCovariate"
_FIXED = {
    "binary_tag_name": "null", "covariate": _COVARIATES, "default_platform": "null", "deletions_default_quality": "45",
    "force_platform": "null", "insertions_default_quality": "45", "mismatches_default_quality": "-1", "no_standard_covs": "false",
    "recalibration_report": "null", "run_without_dbsnp": "false", "solid_nocall_strategy": "THROW_EXCEPTION",
    "solid_recal_mode": "SET_Q_ZERO",
}  # fmt: skip
_NUMBER = re.compile(
    r"[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*[lL]?|[1-9]\d*[lLfFdD]?|(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?[fFdD]?)$"
)
_MARKERS = ("null", "NA", "Infinity", "-Infinity", "NaN")


def arguments_table(*, context_size, indels_context_size, low_quality_tail, maximum_cycle, quantizing_levels) -> dict[str, str]:
    """The Arguments table of a run, sorted by name."""
    own = {
        "indels_context_size": indels_context_size, "low_quality_tail": low_quality_tail, "maximum_cycle_value": maximum_cycle,
        "mismatches_context_size": context_size, "quantizing_levels": quantizing_levels,
    }  # fmt: skip
    return dict(sorted((_FIXED | {k: str(v) for k, v in own.items()}).items()))


def _table(name, description, columns, formats, cells):
    """Lines of one table. cells: a list of text by column."""
    rows = len(cells[0])
    aligned = []
    for title, values in zip(columns, cells):
        width = max([len(title), *map(len, values)])
        right = all(v in _MARKERS or _NUMBER.match(v) for v in values)
        aligned.append([title.ljust(width), *(v.rjust(width) if right else v.ljust(width) for v in values)])
    head = [f"#:GATKTable:{len(columns)}:{rows}:{':'.join(formats)}:;", f"#:GATKTable:{name}:{description}"]
    return [*head, *("  ".join(row) for row in zip(*aligned)), ""]


def _context_texts(context, k):
    """The bases of contexts int64[n] below 4^k, list of str."""
    shifts = 2 * np.arange(k - 1, -1, -1)
    return np.frombuffer(b"ACGT", np.uint8)[(context[:, None] >> shifts) & 3].view(f"S{k}").ravel().astype(str).tolist()


def _covariate_values(table, column):
    """(texts, ranks int64[n]) of columns of a table: contexts, the empty context, cycles. Ranks are in order of the texts."""
    contexts, most = context_columns(table.context_size) - 1, table.maximum_cycle
    cycles = [str(c) for c in range(-most, most + 1)]
    rank = np.empty(len(cycles) + 1, np.int64)
    rank[sorted(range(len(cycles) + 1), key=["", *cycles].__getitem__)] = np.arange(len(cycles) + 1)
    bases = column < contexts
    texts = np.empty(len(column), object)
    texts[bases] = _context_texts(column[bases], table.context_size)
    texts[~bases] = [["", *cycles][c] for c in (column[~bases] - contexts).tolist()]
    ranks = len(rank) + column
    ranks[~bases] = rank[column[~bases] - contexts]
    return texts, ranks


def report_text(table: RecalTable) -> str:
    """The report, byte for byte as BaseRecalibrator writes it."""
    lines = ["#:GATKReport.v1.1:5"]
    lines += _table("Arguments", "Recalibration argument collection values used in this run", ["Argument", "Value"], ["%s", "%s"],
                    [list(table.arguments), list(table.arguments.values())])  # fmt: skip
    quantised = [list(map(str, values)) for values in (range(QUALITIES), table.quantised_counts, table.quantised)]
    lines += _table("Quantized", "Quality quantization map", ["QualityScore", "Count", "QuantizedScore"], ["%d"] * 3, quantised)
    n, e = table.group_observed, table.group_errors
    empirical = empirical_quality(n, e, table.group_reported)
    lines += _table(
        "RecalTable0", "", ["ReadGroup", "EventType", "EmpiricalQuality", "EstimatedQReported", "Observations", "Errors"],
        ["%s", "%s", "%.4f", "%.4f", "%d", "%.2f"],
        [table.groups, ["M"] * len(n), [f"{v}.0000" for v in empirical], [f"{v:.4f}" for v in table.group_reported],
         [str(v) for v in n], [f"{v:.2f}" for v in e]],
    )  # fmt: skip
    g, q = np.nonzero(table.quality_observed)
    lines += _table(
        "RecalTable1", "", ["ReadGroup", "QualityScore", "EventType", "EmpiricalQuality", "Observations", "Errors"],
        ["%s", "%d", "%s", "%.4f", "%d", "%.2f"],
        [[table.groups[i] for i in g], [str(v) for v in q], ["M"] * len(g), [f"{v}.0000" for v in table.quality_empirical()[g, q]],
         [str(v) for v in table.quality_observed[g, q]], [f"{v:.2f}" for v in table.quality_errors[g, q]]],
    )  # fmt: skip
    g, q, c = table.places()
    contexts = context_columns(table.context_size)
    names, rank = _covariate_values(table, c)
    order = np.lexsort((rank, q, g))
    g, q, c, names, n, e = (a[order] for a in (g, q, c, names, table.observed, table.errors))
    lines += _table(
        "RecalTable2", "",
        ["ReadGroup", "QualityScore", "CovariateValue", "CovariateName", "EventType", "EmpiricalQuality", "Observations", "Errors"],
        ["%s", "%d", "%s", "%s", "%s", "%.4f", "%d", "%.2f"],
        [[table.groups[i] for i in g], [str(v) for v in q], list(names), ["Context" if i < contexts else "Cycle" for i in c.tolist()],
         ["M"] * len(g), [f"{v}.0000" for v in empirical_quality(n, e, q)], [str(v) for v in n], [f"{v:.2f}" for v in e]],
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def _parse(path):
    """{table name: {column: list of text}} of a GATKReport."""
    try:
        with (gzip.open if str(path).endswith((".gz", ".bgz")) else open)(path, "rt") as f:
            lines = f.read().split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as e:
        raise InputError(path, f"cannot be read as a recalibration table: {e}") from None
    if not lines[0].startswith("#:GATKReport.v1"):
        raise InputError(path, "is not a recalibration table, expected the first line #:GATKReport.v1.1:5", "line 1")
    tables, i = {}, 1
    while i + 2 < len(lines):
        if not lines[i].startswith("#:GATKTable:"):
            i += 1
            continue
        rows = int(lines[i].split(":")[3])
        name, titles = lines[i + 1].split(":")[2], lines[i + 2]
        starts = [m.start() for m in re.finditer(r"\S+", titles)]
        body = lines[i + 3 : i + 3 + rows]
        if len(body) < rows or "" in body:
            raise InputError(path, f"is truncated in the table {name}, expected {rows} rows", f"line {i + 1}")
        ends = [*starts[1:], None]
        tables[name] = {titles[a:b].strip(): [row[a:b].strip() for row in body] for a, b in zip(starts, ends)}
        i += 3 + rows
    return tables


def read_report(path) -> RecalTable:
    """Read the table of BaseRecalibrator or of `gpugenome bqsr` (also compressed as .gz).

    Raises
    ------
    InputError: not a report, truncated, or made with covariates that are not GATK 4's.
    """
    tables = _parse(path)
    for name in ("Arguments", "Quantized", "RecalTable0", "RecalTable1", "RecalTable2"):
        if name not in tables:
            raise InputError(path, f"has no table {name}, expected a recalibration table of GATK")
    try:
        return _from_tables(tables)
    except (KeyError, ValueError, IndexError) as e:
        raise InputError(path, f"is damaged: {e}") from None


def _from_tables(tables):
    given = dict(zip(tables["Arguments"]["Argument"], tables["Arguments"]["Value"]))
    if given.get("covariate", _COVARIATES) != _COVARIATES or given.get("no_standard_covs", "false") == "true":
        raise ValueError(f"expected the covariates {_COVARIATES}")
    arguments = dict(sorted(({"maximum_cycle_value": "500"} | given).items()))
    k, most = int(arguments["mismatches_context_size"]), int(arguments["maximum_cycle_value"])

    def columns(name):
        t = tables[name]
        # Only events M: rows of insertions and deletions serve nothing that is written.
        keep = [i for i, event in enumerate(t["EventType"]) if event == "M"]
        return {title: [values[i] for i in keep] for title, values in t.items()}

    def whole(texts):
        return np.array([int(float(t)) if "." in t else int(t) for t in texts], np.int64)

    zero, one, two = columns("RecalTable0"), columns("RecalTable1"), columns("RecalTable2")
    order = sorted(range(len(zero["ReadGroup"])), key=zero["ReadGroup"].__getitem__)
    groups = [zero["ReadGroup"][i] for i in order]
    row = {name: i for i, name in enumerate(groups)}
    shape = len(groups), QUALITIES
    table = RecalTable(
        groups, arguments, np.empty(0, np.int64), whole(two["Observations"]), np.array(two["Errors"], np.float64),
        np.zeros(shape, np.int64), np.zeros(shape), np.array([float(zero["EstimatedQReported"][i]) for i in order]),
        whole(tables["Quantized"]["Count"]), whole(tables["Quantized"]["QuantizedScore"]).astype(np.uint8),
    )  # fmt: skip
    at = np.array([row[g] for g in one["ReadGroup"]], np.int64), whole(one["QualityScore"])
    table.quality_observed[at] = whole(one["Observations"])
    table.quality_errors[at] = [float(v) for v in one["Errors"]]
    cell = np.array([row[g] for g in two["ReadGroup"]], np.int64) * QUALITIES + whole(two["QualityScore"])
    cell = cell * table.columns + _columns_of(two["CovariateValue"], k, most)
    by_cell = np.argsort(cell, kind="stable")
    table.cell, table.observed, table.errors = cell[by_cell], table.observed[by_cell], table.errors[by_cell]
    return table


def _columns_of(texts, k, most):
    """int64[n]: the columns of covariate values of a report."""
    texts = np.array(texts, str)
    out = np.full(len(texts), context_columns(k) - 1, np.int64)
    bases = np.strings.isalpha(texts)
    if (np.strings.str_len(texts[bases]) != k).any():
        raise ValueError(f"expected contexts of {k} bases")
    codes = np.full(256, -1, np.int64)
    codes[list(b"ACGT")] = np.arange(4)
    codes = codes[texts[bases].astype(f"S{k}").view(np.uint8).reshape(-1, k)]
    cycles = ~bases & (texts != "")
    out[bases] = (codes << 2 * np.arange(k - 1, -1, -1)).sum(axis=1)
    cycle = texts[cycles].astype(np.int64)
    if (codes < 0).any() or (abs(cycle) > most).any():
        raise ValueError(f"expected contexts of A, C, G, T and cycles up to {most}")
    out[cycles] = cycle + context_columns(k) + most
    return out
