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
    observed, errors: int64/float64[g, 94, 4^k + 1 + 2 most + 1], contexts (first base most significant, ACGT), the empty context,
    then cycles -most..most.
    quality_observed, quality_errors: int64/float64[g, 94].
    group_reported: float64[g], the mean reported quality (EstimatedQReported, four places).
    """

    groups: list[str]
    arguments: dict[str, str]
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


def finish_table(groups, arguments, observed, errors) -> RecalTable:
    """A table from whole counts: groups without bases dropped, reported qualities and quantisation computed.

    observed, errors: int64[g, 94, 4^k + 1 + 2 most + 1], as in `RecalTable`; every base was counted under one cycle.
    """
    contexts = context_columns(int(arguments["mismatches_context_size"]))
    by_quality = observed[:, :, contexts:].sum(axis=2)
    used = np.flatnonzero(by_quality.sum(axis=1))
    observed, errors, by_quality = observed[used], errors[used].astype(np.float64), by_quality[used]
    reported = np.zeros(len(used))
    for g in range(len(used)):
        q = np.flatnonzero(by_quality[g])
        reported[g] = reported_quality(by_quality[g, q], q)
    table = RecalTable(
        [groups[g] for g in used], arguments, observed, errors, by_quality, errors[:, :, contexts:].sum(axis=2), reported,
        np.zeros(QUALITIES, np.int64), np.zeros(QUALITIES, np.uint8),
    )  # fmt: skip
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
    shape = (len(groups), *first.observed.shape[1:])
    observed, errors = np.zeros(shape, np.int64), np.zeros(shape, np.float64)
    for t in tables:
        rows = [groups.index(g) for g in t.groups]
        observed[rows] += t.observed
        errors[rows] += t.errors
    return finish_table(groups, first.arguments, observed, errors)
