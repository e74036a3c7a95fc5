"""Recalibrating qualities: ApplyBQSR on column batches, one table look-up a base."""

from dataclasses import dataclass

import numpy as np

from gpugenome.backend import where
from gpugenome.batch import Header, ReadBatch
from gpugenome.columns import edit_tags, find_tag, ragged_bytes
from gpugenome.errors import UserError
from gpugenome.gatk.recal_table import QUALITIES, RecalTable, context_columns
from gpugenome.gatk.recalibration import MAX_QUAL, empirical_quality, quantise, static_map
from gpugenome.kernels.covariates_cpu import DENSE_CONTEXT, WIDE_BITS
from gpugenome.kernels.recalibrate_cpu import fill_hash
from gpugenome.kernels.sam_tags_cpu import LEAVE, REMOVE
from gpugenome.steps.bqsr import NO_FAULT, group_names, well_formed
from gpugenome.steps.sort import write_bins

_COLUMNS = ("data", "offset", "flag", "name_length", "n_cigar", "seq_length", "read_group")


@dataclass(frozen=True)
class ApplyOptions:
    """Arguments of ApplyBQSR with GATK's defaults. Qualities phred."""

    preserve_qscores_less_than: int = 6
    quantize_quals: int = 0
    static_quantized_quals: tuple[int, ...] = ()
    round_down_quantized: bool = False
    emit_original_quals: bool = False
    use_original_qualities: bool = False
    global_qscore_prior: float = -1.0
    allow_missing_read_group: bool = False

    def __post_init__(self):
        if self.quantize_quals != 0 and self.static_quantized_quals:
            raise UserError("--quantize-quals and --static-quantized-quals exclude each other")
        if any(not 0 <= q <= MAX_QUAL for q in self.static_quantized_quals):
            raise UserError(f"--static-quantized-quals: expected qualities from 0 to {MAX_QUAL}")


def quantisation(table: RecalTable, levels: int) -> np.ndarray:
    """uint8[94]: the map of --quantize-quals `levels`."""
    if levels == 0:
        out = np.arange(QUALITIES, dtype=np.uint8)
        out[MAX_QUAL] = table.quantised[MAX_QUAL]
        return out
    runs = 1 + int(np.count_nonzero(np.diff(table.quantised.astype(np.int64))))
    return table.quantised if levels < 0 or levels == runs else quantise(table.quantised_counts, levels)


def lookup(table: RecalTable, global_prior: float):
    """The hierarchy as look-up tables, and a hash table of long contexts, as `recalibrate` takes them.

    (base int16[g, 94], context int8[g, 94, 4^k + 1] or [g, 94, 1] for long ones, cycle int8[g, 94, 2 most + 1]), (hash_key, hash_value).
    """
    g = len(table.groups)
    prior = np.full(g, global_prior) if global_prior > 0 else table.group_reported
    first = empirical_quality(table.group_observed, table.group_errors, prior)
    spread = np.repeat(first, QUALITIES).astype(np.float64)
    second = empirical_quality(table.quality_observed.ravel(), table.quality_errors.ravel(), spread)
    base = np.where(table.quality_observed.ravel() > 0, second, spread.astype(np.int64)).reshape(g, QUALITIES)
    group, quality, column = table.places()
    expected = base[group, quality]
    delta = (empirical_quality(table.observed, table.errors, expected) - expected).astype(np.int8)
    contexts = context_columns(table.context_size)
    listed = table.context_size > DENSE_CONTEXT
    by_context = np.zeros((g, QUALITIES, 1 if listed else contexts), np.int8)
    by_cycle = np.zeros((g, QUALITIES, table.columns - contexts), np.int8)
    of_context = column < contexts
    at = [a[~of_context] for a in (group, quality, column)]
    by_cycle[at[0], at[1], at[2] - contexts] = delta[~of_context]
    chosen = of_context & (delta != 0)
    wide = np.full(1, -1, np.int64), np.zeros(1, np.int8)
    if listed:
        keys = (group[chosen] * QUALITIES + quality[chosen]) << WIDE_BITS | column[chosen]
        size = 1 << (2 * len(keys) + 1).bit_length()
        wide = np.full(size, -1, np.int64), np.zeros(size, np.int8)
        fill_hash(keys, delta[chosen], *wide)
    else:
        by_context[group[chosen], quality[chosen], column[chosen]] = delta[chosen]
    return (base.astype(np.int16), by_context, by_cycle), wide


class Recalibrator:
    """A table made ready for the reads of one header.

    `qualities` changes qualities only (for callers in memory), `apply` gives the records that ApplyBQSR writes.
    """

    def __init__(self, table: RecalTable, header: Header, options: ApplyOptions):
        self._header, self._options = header, options
        self._names = group_names(header)
        rows = {name: i for i, name in enumerate(table.groups)}
        self._row = np.array([rows.get(name, -1) for name in self._names], np.int32)
        self._settings = np.array(
            [table.context_size, table.maximum_cycle, int(table.arguments["low_quality_tail"]), options.preserve_qscores_less_than,
             options.use_original_qualities], np.int64,
        )  # fmt: skip
        self._tables, self._wide = lookup(table, options.global_qscore_prior)
        self._twin = self._there = None  # the kernels and tables of a GPU
        quantised = quantisation(table, options.quantize_quals)
        if options.static_quantized_quals:
            static = static_map(options.static_quantized_quals, options.round_down_quantized)
            self._final, self._missing = static[quantised], static[:QUALITIES].copy()
        else:
            self._final, self._missing = quantised, quantised

    def qualities(self, batch: ReadBatch, threads: int) -> ReadBatch:
        """The well-formed records of a batch with new qualities, in host memory. The arena is changed.

        Raises
        ------
        UserError: a read group that the table lacks, a read longer than the table's maximum cycle.
        """
        batch = well_formed(batch, self._header.contig_lengths, threads)
        self._check_groups(batch)
        self._recalibrate(batch, threads)
        return batch.on_host()

    def apply(self, batch: ReadBatch, threads: int) -> ReadBatch:
        """The well-formed records of a batch, as ApplyBQSR writes them: qualities, tags in order, BI and BD removed, OQ on request.

        In host memory. Raises as `qualities`.
        """
        batch = well_formed(batch, self._header.contig_lengths, threads)
        self._check_groups(batch)
        batch = self._edit_tags(batch, threads)
        self._recalibrate(batch, threads)
        write_bins(batch, self._header.contig_lengths, threads)
        return batch.on_host()

    def close(self) -> None:
        """Give the GPU's memory back, where one was used; it is taken again if more batches come."""
        if self._there is not None:
            with self._twin.alone():
                self._there = None

    def _check_groups(self, batch):
        if self._options.allow_missing_read_group or (self._row >= 0).all():
            return
        missing = np.flatnonzero(self._row[batch.read_group] < 0)
        if len(missing):
            name = self._names[batch.read_group[missing[0]]]
            raise UserError(f"read group {name}: is not in the recalibration table (or say --allow-missing-read-group)")

    def _recalibrate(self, batch, threads):
        twin, n = where(batch, "recalibrate", threads), len(batch)
        tables = self._row, self._settings, *self._tables, self._final, self._missing, *self._wide
        with twin.alone():  # the arrays of the device go inside
            if twin.on_gpu:
                if self._there is None:
                    self._twin, self._there = twin, twin.put(*tables)
                (fault,) = twin.put(np.array([NO_FAULT]))
                twin.run("recalibrate", n, batch.columns(_COLUMNS), *self._there, fault)
                (found,) = twin.take(fault)
                bad = [-1 if found[0] == NO_FAULT else int(found[0])]
                batch.change()
                del fault
            else:
                bad = twin.run("recalibrate", n, batch.columns(_COLUMNS), *tables)
        if max(bad, default=-1) >= 0:
            i = max(bad) // 2
            raise UserError(f"read {batch.name(i)}: is longer than the table's maximum cycle {self._settings[1]}")

    def _edit_tags(self, batch, threads):
        tags, row = ["BI", "BD"], np.full((2, 1), REMOVE, np.int32)
        if not self._options.emit_original_quals:
            return edit_tags(batch, tags, row, threads=threads)
        batch, n = batch.on_host(), len(batch)
        bare = np.flatnonzero(find_tag(batch, "OQ", threads) < 0)
        qual, at = ragged_bytes(batch, "qual", threads)
        # Rows "Z", the qualities as text, NUL: one longer by two than the read.
        length = batch.seq_length[bare].astype(np.int64)
        value_offset = np.zeros(len(bare) + 1, np.int64)
        np.cumsum(length + 2, out=value_offset[1:])
        value = np.zeros(int(value_offset[-1]) or 1, np.uint8)
        value[value_offset[:-1]] = ord("Z")
        within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
        value[np.repeat(value_offset[:-1] + 1, length) + within] = qual[np.repeat(at[bare], length) + within] + 33
        own = np.full(n, LEAVE, np.int32)
        own[bare] = np.arange(len(bare))
        return edit_tags(batch, [*tags, "OQ"], np.vstack([np.repeat(row, n, 1), own]), value, value_offset, threads)
