"""Picard metrics files (duplicate metrics). Source: htsjdk MetricsFile, FormatUtil, Histogram; Picard DuplicationMetrics."""

import math
import time
from decimal import ROUND_HALF_DOWN, Decimal

from gpugenome.gatk.library_size import estimate_library_size, return_on_investment

COLUMNS = (
    "LIBRARY", "UNPAIRED_READS_EXAMINED", "READ_PAIRS_EXAMINED", "SECONDARY_OR_SUPPLEMENTARY_RDS", "UNMAPPED_READS",
    "UNPAIRED_READ_DUPLICATES", "READ_PAIR_DUPLICATES", "READ_PAIR_OPTICAL_DUPLICATES", "PERCENT_DUPLICATION", "ESTIMATED_LIBRARY_SIZE",
)  # fmt: skip
_SETS = ("all_sets", "optical_sets", "non_optical_sets")


def format_double(value: float) -> str:
    """A number as htsjdk's FormatUtil prints it: at most six decimals, ties down, no trailing zeros."""
    if math.isnan(value) or math.isinf(value):
        return "-?" if value == -math.inf else "?"
    text = str(Decimal(value).quantize(Decimal("0.000001"), ROUND_HALF_DOWN))
    return text.rstrip("0").rstrip(".")


def _java_double(value: int) -> str:
    """An integral Double as Java prints it (a histogram's key)."""
    if value < 10**7:
        return f"{value}.0"
    digits = str(value)
    return f"{digits[0]}.{digits[1:].rstrip('0') or '0'}E{len(digits) - 1}"


def duplicate_metrics_text(libraries: list[dict], sets: dict[str, dict[int, int]], command: str) -> str:
    """The whole metrics file of MarkDuplicates.

    libraries: a dict a library with the integer columns of COLUMNS and LIBRARY, sorted by name; pairs counted as ends in
    READ_PAIRS_EXAMINED and READ_PAIR_DUPLICATES (halved here). sets: all_sets, optical_sets, non_optical_sets: {size: count}.
    """
    started = time.strftime("%a %b %d %H:%M:%S %Z %Y")
    lines = [
        "## htsjdk.samtools.metrics.StringHeader",
        f"# {command}",
        "## htsjdk.samtools.metrics.StringHeader",
        f"# Started on: {started}",
        "",
    ]
    size = None
    if libraries:
        lines += ["## METRICS CLASS\tpicard.sam.DuplicationMetrics", "\t".join(COLUMNS)]
    for library in libraries:
        pairs, duplicates = library["READ_PAIRS_EXAMINED"] // 2, library["READ_PAIR_DUPLICATES"] // 2
        single, single_duplicates = library["UNPAIRED_READS_EXAMINED"], library["UNPAIRED_READ_DUPLICATES"]
        optical = library["READ_PAIR_OPTICAL_DUPLICATES"]
        examined = single + 2 * pairs
        size = estimate_library_size(pairs - optical, pairs - duplicates)
        row = {**library, "READ_PAIRS_EXAMINED": pairs, "READ_PAIR_DUPLICATES": duplicates}
        share = (single_duplicates + 2 * duplicates) / examined if examined else 0.0
        lines.append("\t".join([*(str(row[c]) for c in COLUMNS[:8]), format_double(share), "" if size is None else str(size)]))
    lines.append("")
    investment = {}
    if len(libraries) == 1 and size is not None:
        investment = {x: return_on_investment(size, float(x), pairs, pairs - duplicates) for x in range(1, 101)}
    shown = [name for name in _SETS if sets.get(name)]
    if investment or shown:
        lines.append("## HISTOGRAM\tjava.lang.Double")
        lines.append("\t".join(["BIN" if investment else "set_size", *(["CoverageMult"] if investment else []), *shown]))
        for key in sorted(set(investment).union(*(sets[name] for name in shown))):
            cells = [format_double(investment.get(key, 0.0))] if investment else []
            lines.append("\t".join([_java_double(key), *cells, *(str(sets[name].get(key, 0)) for name in shown)]))
    lines.append("")
    return "\n".join(lines) + "\n"
