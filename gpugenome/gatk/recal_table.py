"""The recalibration table: counts by read group, quality and covariate, and what is computed from them. Source: RecalibrationTables."""

from dataclasses import dataclass

import numpy as np

from gpugenome.gatk.recalibration import MAX_QUAL, empirical_quality, quantise, reported_quality

QUALITIES = MAX_QUAL + 1


def context_columns(size: int) -> int:
    """Columns of contexts of `size` bases: one each, and one for the empty context of reads that are low-quality throughout."""
    return 4**size + 1


@dataclass
class RecalTable:
    """Counts of bases and of errors. g groups, k the context size, most the maximum cycle.

    groups: names, sorted. arguments: the report's Arguments table, by name.
    cell: int64[n], ascending, what was observed: (group * 94 + quality) * columns + column, where the columns are contexts (first base
    most significant, ACGT), the empty context, then cycles -most..most. observed, errors: int64/float64[n], counts.
    quality_observed, quality_errors: int64/float64[g, 94].
    group_reported: float64[g], the mean reported quality (EstimatedQReported, four places).
    """

    groups: list[str]
    arguments: dict[str, str]
    cell: np.ndarray
    observed: np.ndarray
    errors: np.ndarray
    quality_observed: np.ndarray
    quality_errors: np.ndarray
    group_reported: np.ndarray
    quantised_counts: np.ndarray
    quantised: np.ndarray

    @property
    def context_size(self) -> int:
        return int(self.arguments["mismatches_context_size"])

    @property
    def maximum_cycle(self) -> int:
        return int(self.arguments["maximum_cycle_value"])

    @property
    def columns(self) -> int:
        """Contexts, the empty one, and cycles."""
        return context_columns(self.context_size) + 2 * self.maximum_cycle + 1

    def places(self):
        """(group, quality, column) of each cell, int64[n] each."""
        row, column = np.divmod(self.cell, self.columns)
        return *np.divmod(row, QUALITIES), column

    @property
    def group_observed(self) -> np.ndarray:
        return self.quality_observed.sum(axis=1)

    @property
    def group_errors(self) -> np.ndarray:
        return self.quality_errors.sum(axis=1)

    def quality_empirical(self) -> np.ndarray:
        """int64[g, 94]: empirical qualities with the reported quality as the prior."""
        prior = np.broadcast_to(np.arange(QUALITIES, dtype=np.float64), self.quality_observed.shape)
        flat = empirical_quality(self.quality_observed.ravel(), self.quality_errors.ravel(), prior.ravel())
        return flat.reshape(self.quality_observed.shape)


def summed(cell, *counts):
    """Cells in ascending order, each once, and the sums of the counts of equal ones."""
    if not len(cell):
        return cell, *counts
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    return cell[first], *(np.add.reduceat(c[order], first) for c in counts)


def finish_table(groups, arguments, cell, observed, errors) -> RecalTable:
    """A table from whole counts: groups without bases dropped, reported qualities and quantisation computed.

    cell, observed, errors: int64[n], as in `RecalTable`; every base was counted under one cycle.
    """
    table = RecalTable(
        groups, arguments, cell, observed, errors.astype(np.float64), *(np.zeros((len(groups), QUALITIES), np.int64) for _ in range(2)),
        np.empty(0), np.zeros(QUALITIES, np.int64), np.zeros(QUALITIES, np.uint8),
    )  # fmt: skip
    row, column = np.divmod(cell, table.columns)
    cycles = column >= context_columns(table.context_size)
    by_quality, by_quality_errors = (
        np.bincount(row[cycles], counts[cycles], len(groups) * QUALITIES).reshape(-1, QUALITIES) for counts in (observed, errors)
    )
    used = np.flatnonzero(by_quality.sum(axis=1))
    new = np.zeros(len(groups), np.int64)
    new[used] = np.arange(len(used))
    table.cell = (new[row // QUALITIES] * QUALITIES + row % QUALITIES) * table.columns + column
    table.groups = [groups[g] for g in used]
    by_quality = table.quality_observed = by_quality[used].astype(np.int64)
    table.quality_errors = by_quality_errors[used]
    table.group_reported = np.zeros(len(used))
    for g in range(len(used)):
        q = np.flatnonzero(by_quality[g])
        table.group_reported[g] = reported_quality(by_quality[g, q], q)
    table.quantised_counts = np.bincount(
        table.quality_empirical().ravel(), weights=by_quality.ravel(), minlength=QUALITIES
    ).astype(np.int64)
    table.quantised = quantise(table.quantised_counts, int(arguments["quantizing_levels"]))
    return table


def gather(tables: list[RecalTable]) -> RecalTable:
    """The table of all the bases of several tables (scattered over reads): counts summed, everything else computed from the sums.

    Raises
    ------
    ValueError: tables made with different arguments.
    """
    first = tables[0]
    for t in tables[1:]:
        for name in ("mismatches_context_size", "maximum_cycle_value", "low_quality_tail"):
            if t.arguments[name] != first.arguments[name]:
                raise ValueError(f"{name} is {t.arguments[name]}, but {first.arguments[name]} in the first table")
    groups = sorted({g for t in tables for g in t.groups})
    cells = []
    for t in tables:
        group, quality, column = t.places()
        rows = np.array([groups.index(g) for g in t.groups], np.int64)
        cells.append((rows[group] * QUALITIES + quality) * t.columns + column)
    counts = (np.concatenate([getattr(t, name) for t in tables]) for name in ("observed", "errors"))
    return finish_table(groups, first.arguments, *summed(np.concatenate(cells), *counts))
