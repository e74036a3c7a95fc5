"""Duplicate marking with the results of Picard MarkDuplicates 3.4.0: flags, tags, optical duplicates and metrics.

Two passes over the records: the first makes read ends, joins them to pairs and finds the duplicates among them, the second sets
flags and tags. Source: Picard MarkDuplicates, AbstractMarkDuplicatesCommandLineProgram, OpticalDuplicateFinder, LibraryIdGenerator.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from gpugenome.arenas import Arenas
from gpugenome.backend import Backend, where
from gpugenome.batch import Header, ReadBatch
from gpugenome.columns import edit_tags, find_tag, tag_starts_there, take, text_values
from gpugenome.errors import UserError
from gpugenome.kernels import duplicates_cpu, read_ends_cpu
from gpugenome.kernels.bam_records_cpu import match_text_tag
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.read_ends_scalar import END, PROBLEMS
from gpugenome.kernels.sam_tags_cpu import LEAVE, REMOVE
from gpugenome.pipeline import ahead
from gpugenome.steps.sort import BATCH_READS, COORDINATE, sorted_records, write_bins

_PART_BITS = 7  # parts into which spilled entries are divided, as a power of two
UNKNOWN_LIBRARY = "Unknown Library"
STRATEGIES = ("SUM_OF_BASE_QUALITIES", "TOTAL_MAPPED_REFERENCE_LENGTH", "RANDOM")
_DUPLICATE, _OPTICAL = 1, 2


@dataclass(frozen=True)
class DuplicateOptions:
    """Options of MarkDuplicates by their Picard names.

    find_locations: False for READ_NAME_REGEX null. read_name_regex: another expression than Picard's own rule.
    """

    remove_duplicates: bool = False
    remove_sequencing_duplicates: bool = False
    tagging_policy: str = "DontTag"
    clear_dt: bool = True
    tag_duplicate_set_members: bool = False
    add_pg_tag_to_reads: bool = True
    program_record_id: str | None = "MarkDuplicates"
    duplicate_scoring_strategy: str = "SUM_OF_BASE_QUALITIES"
    find_locations: bool = True
    read_name_regex: str | None = None
    optical_duplicate_pixel_distance: int = 100
    max_optical_duplicate_set_size: int = 300_000
    barcode_tag: str | None = None
    read_one_barcode_tag: str | None = None
    read_two_barcode_tag: str | None = None
    duplex_umi: bool = False

    @property
    def uses_barcodes(self) -> bool:
        return any((self.barcode_tag, self.read_one_barcode_tag, self.read_two_barcode_tag))

    def settings(self) -> np.ndarray:
        """int64[10], as `read_ends_cpu.read_ends` takes them."""
        letters = [
            ord(c) for t in (self.barcode_tag, self.read_one_barcode_tag, self.read_two_barcode_tag) for c in (t or "\0\0")
        ]
        by_rule = self.find_locations and self.read_name_regex is None
        first = [STRATEGIES.index(self.duplicate_scoring_strategy), by_rule, self.uses_barcodes, self.duplex_umi]
        return np.array([*first, *letters], np.int64)


@dataclass
class Marks:
    """What the first pass found. mark: uint8 by record index (in name order: by the index of a name run's first record).

    set_first, set_size: int32 by record index, -1 outside of sets; empty unless set members are tagged.
    libraries: rows for `io.metrics.duplicate_metrics_text`; sets: its histograms. programs: PG values seen (None: none) -> new ID.
    looked: how many records, from the first on, they are of.
    """

    mark: np.ndarray
    set_first: np.ndarray
    set_size: np.ndarray
    libraries: list[dict]
    sets: dict[str, dict[int, int]]
    programs: dict[str | None, str]
    looked: int
    header: Header


def _base36(number):
    digits = ""
    while True:
        number, d = divmod(number, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[d] + digits
        if not number:
            return digits


def _java_set_order(values):
    """Values (None allowed) in the order of a Java HashSet into which they were put one by one."""

    def spread(v):
        h = 0
        for character in v or "":
            h = (31 * h + ord(character)) & 0xFFFFFFFF
        return h ^ (h >> 16)

    size = 16
    while len(values) > size * 3 // 4:
        size *= 2
    return sorted(values, key=lambda v: spread(v) & (size - 1))


class _Libraries:
    """Library ids of read groups, and counts by library."""

    def __init__(self, header):
        names = [g.get("LB", UNKNOWN_LIBRARY) for g in header.read_groups]
        self.names = list(dict.fromkeys([*names, UNKNOWN_LIBRARY]))
        self.shown = set(names)
        last = len(self.names) - 1 if UNKNOWN_LIBRARY not in names else self.names.index(UNKNOWN_LIBRARY)
        ids = [self.names.index(n) for n in names]
        # By read_group + 2: -2 a group the header lacks, -1 none.
        self.of_group = np.array([last, last, *ids], np.int16)
        self.number_of_group = np.array([len(names), 0, *range(len(names))], np.int16)
        self.counts = np.zeros((len(self.names), 4), np.int64)
        self._twin = self._there = None  # the kernels of a GPU; (of_group, counts) there

    def count(self, batch):
        """Count records of a batch: unmapped, secondary or supplementary, unpaired, ends of pairs."""
        twin, mine = where(batch, "read_ends", 1), (self.of_group, self.counts)
        with twin.alone():
            if twin.on_gpu:
                if self._there is None:
                    self._twin, self._there = twin, twin.put(self.of_group, np.zeros_like(self.counts))
                mine = self._there
            twin.run("count_kinds", len(batch), *batch.columns(("flag", "read_group")), *mine)
            del mine

    def rows(self, unpaired, paired, optical):
        if self._there is not None:
            with self._twin.alone():
                self.counts += self._twin.take(self._there[1])[0]
                self._there = None
        out = []
        for i, name in enumerate(self.names):
            if name in self.shown or self.counts[i].any():
                c = self.counts[i]
                values = (name, c[2], c[3], c[1], c[0], unpaired[i], paired[i], optical[i])
                keys = ("LIBRARY", "UNPAIRED_READS_EXAMINED", "READ_PAIRS_EXAMINED", "SECONDARY_OR_SUPPLEMENTARY_RDS", "UNMAPPED_READS",
                        "UNPAIRED_READ_DUPLICATES", "READ_PAIR_DUPLICATES", "READ_PAIR_OPTICAL_DUPLICATES")  # fmt: skip
                out.append({k: v if k == "LIBRARY" else int(v) for k, v in zip(keys, values)})
        return sorted(out, key=lambda r: r["LIBRARY"])


class _Examined:
    """How many mapped primary records each index stands for: unpaired ones, and ends of pairs, by their own flags.

    An index is a record's, or in name order that of a run's first record; duplicates are counted in the metrics by what it stands for.
    """

    def __init__(self):
        self._counts, self._later, self._base = [], [], 0

    def add(self, flag, index):
        """Take the records of a batch: their FLAGs, uint16[n], and indices, int64[n]."""
        counts = np.zeros((len(flag), 2), np.uint8)
        own = index - self._base
        self._base += len(flag)
        self._counts.append(counts)
        read_ends_cpu.count_examined(0, len(flag), flag, own, counts)
        # Only a run that began in a batch before has records with such an index: few.
        before = np.flatnonzero(own < 0)
        if len(before):
            self._later.append((flag[before], index[before]))

    def table(self):
        """uint8[n, 2], by index; nothing is added any more."""
        counts = np.concatenate([np.zeros((0, 2), np.uint8), *self._counts])
        self._counts = []
        for flag, index in self._later:
            read_ends_cpu.count_examined(0, len(flag), flag, index, counts)
        return counts


class _Programs:
    """The PG values of the records, in the order in which they turn up."""

    def __init__(self):
        self.values: list[str | None] = []

    def rows(self, batch, threads=1):
        """int32[n]: which of `values` each record has."""
        at = find_tag(batch, "PG", threads)
        while True:
            known = [v for v in self.values if v is not None]
            out = np.full(len(batch), -2, np.int32)
            names, offset = text_values(known)
            if known:
                run_chunks(match_text_tag, len(batch), threads, batch.data, at, names, offset, out)
            else:
                out[at < 0] = -1
            new = np.flatnonzero(out == -2)
            if not len(new):
                break
            self._append(batch, int(new[0]), int(at[new[0]] - batch.offset[new[0]]))
        if (out == -1).any() and None not in self.values:
            self.values.append(None)
        place = [i for i, v in enumerate(self.values) if v is not None] + [self.values.index(None) if None in self.values else -1]
        return np.array(place, np.int32)[out]

    def _append(self, batch, i, at):
        """A new value, of record i, whose tag begins at byte `at` of it."""
        self.values.append(batch.bytes_of(i, at + 3).split(b"\0")[0].decode("ascii", "replace"))

    def look(self, batch, threads):
        """Collect the values of a batch, where it is."""
        if not batch.on_gpu:
            self.rows(batch, threads)
            return
        twin, n = where(batch, "bam_records", threads), len(batch)
        with twin.alone():  # the arrays of the device go inside
            start, at, out = tag_starts_there(batch), twin.empty(n, np.int64), twin.empty(n, np.int32)
            twin.run("find_tag", n, *batch.columns(("data", "offset")), start, ord("P"), ord("G"), at)
            while True:
                *names, found = twin.put(*text_values([v for v in self.values if v is not None]), np.array([n, n]))
                twin.run("match_text_tag", n, *batch.columns(("data",)), at, *names, out)
                for k, wanted in enumerate((-2, -1)):  # a new value, none
                    twin.run("first_equal", n, out, wanted, k, found)
                new, bare = twin.take(found)[0].tolist()
                if new == n:
                    break
                place, begin = twin.take(at[new : new + 1], batch.there["offset"][new : new + 1])
                self._append(batch, new, int(place[0] - begin[0]))
            del start, at, out, names, found
        if bare < n and None not in self.values:
            self.values.append(None)


class _Entries:
    """ENTRY rows, as many as pairs or single ends in the file: in memory, and beyond a budget in spill files.

    Spilled rows lie apart by the highest bits of the hash of what the entries of a duplicate set share, so that sets are whole in a part,
    and all parts one after another are in the order of hashes, as the rows of memory would be.
    """

    def __init__(self, paired, spill, budget_bytes, threads):
        self._paired, self._spill, self._threads = paired, spill, threads
        # Memory that nothing is written to is not taken.
        self._rows = np.empty(max(32, budget_bytes // read_ends_cpu.ENTRY.itemsize), read_ends_cpu.ENTRY)
        self._count, self._runs = 0, []

    def room(self):
        """ENTRY rows to write the next ones to, one at least; `grow` tells how many are."""
        if self._count == len(self._rows):
            self._flush()
        return self._rows[self._count :]

    def grow(self, count):
        """Take the first rows of `room`."""
        self._count += count

    def add(self, rows):
        """Append copies of rows."""
        begin = 0
        while begin < len(rows):
            room = self.room()
            some = rows[begin : begin + len(room)]
            room[: len(some)] = some
            self.grow(len(some))
            begin += len(some)

    def _flush(self):
        rows = self._rows[: self._count]
        hashes = np.empty(len(rows), np.uint64)
        run_chunks(duplicates_cpu.entry_hashes, len(rows), self._threads, rows, self._paired, hashes)
        part = (hashes >> np.uint64(64 - _PART_BITS)).astype(np.int16)
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part, minlength=1 << _PART_BITS))
        self._runs.append(self._spill.write_rows([rows[order[a:b]] for a, b in zip([0, *ends[:-1]], ends)]))
        self._count = 0

    def parts(self):
        """Iterator of arrays, the rows of a duplicate set in the same one; again and again, while no rows are added."""
        if not self._runs:
            yield self._rows[: self._count]
            return
        if self._count:
            self._flush()
            self._rows = np.empty(1 << 10, read_ends_cpu.ENTRY)
        for i in range(1 << _PART_BITS):
            yield np.concatenate([run.part(i) for run in self._runs])

    def __len__(self):
        return self._count + sum(run.rows for run in self._runs)


class _Joiner:
    """Joins the ends of batch after batch to pairs; keeps what duplicates are looked for in."""

    def __init__(self, by_name, keep_all, spill, budget_bytes, threads):
        self.by_name, self.keep_all = by_name, keep_all
        self.table = read_ends_cpu.new_table(1 << 16)
        self.pairs = _Entries(True, spill, budget_bytes, threads)
        self.singles = _Entries(False, spill, budget_bytes, threads)

    def add(self, ends):
        """Take the ends of a batch. Returns the index of a record at fault, or -1."""
        begin = 0
        while begin < len(ends):
            slots, pool, free, state = self.table
            rooms = self.pairs.room(), self.singles.room()
            begin = read_ends_cpu.join_mates(ends, begin, self.by_name, self.keep_all, slots, pool, free, state, *rooms)
            self.pairs.grow(int(state[1]))
            self.singles.grow(int(state[2]))
            if state[3] >= 0:
                return int(state[3])
            if state[0] <= pool.size // 16:
                self.table = read_ends_cpu.grow_table(*self.table)
        return -1

    def finish(self):
        """What still waits for a mate is single."""
        slots, pool, _, _ = self.table
        if not self.keep_all:
            rest = np.empty(int((slots >= 0).sum()), read_ends_cpu.ENTRY)
            read_ends_cpu.waiting(slots, pool, rest)
            self.singles.add(rest)
        self.table = None


_COLUMNS = ("data", "offset", "ref_id", "pos", "flag", "mate_ref_id", "mate_pos", "name_length", "n_cigar", "seq_length", "read_group")


class NameRuns:
    """Numbers the records of batch after batch by the first record of their run of equal names."""

    def __init__(self):
        self._previous, self._state, self._base = np.zeros(256, np.uint8), np.array([-1, 0], np.int64), 0

    def __call__(self, batch):
        """int64[n]."""
        ends = np.zeros(len(batch), END)
        read_ends_cpu.name_runs(batch.data, batch.offset, batch.name_length, self._base, self._previous, self._state, ends)
        self._base += len(batch)
        return ends["index"].copy()


class _Ends:
    """Read ends of batch after batch, and what is counted and collected on the way.

    total: records, looked: those of them looked at. starts: in name order, bool by record of each batch, whether it begins a run of names.
    """

    def __init__(self, header, options, by_name, threads, source):
        self.libraries, self.programs, self.examined = _Libraries(header), _Programs(), _Examined()
        self.total, self.looked, self.starts = 0, 0, []
        self._options, self._by_name, self._threads, self._source = options, by_name, threads, source
        self._settings, self._runs = options.settings(), NameRuns()
        self._pattern = None
        if options.read_name_regex is not None:
            from gpugenome.steps.read_names import NamePattern  # imports pyarrow

            self._pattern = NamePattern(options.read_name_regex)

    def of(self, batches):
        """Iterator of (batch, its ends END[n], index of its first record), up to the first unplaced read of a coordinate-sorted file.

        All batches are counted. Raises UserError as `find_duplicates`.
        """
        looking = True
        for batch in batches:
            self.libraries.count(batch)
            base, part, unplaced = self.total, batch, -1
            self.total += len(batch)
            if not looking:
                batch.drop()
                continue
            if not self._by_name:
                twin = where(batch, "read_ends", 1)
                unplaced = _first(twin, "first_unplaced", len(batch), *batch.columns(("flag", "ref_id")))
            if unplaced >= 0:
                looking, part = False, batch.head(unplaced + 1)
            self.looked += len(part)
            if self._options.program_record_id:
                self.programs.look(part, self._threads)
            yield part, self._make(part, base), base

    def _make(self, part, base):
        libraries = self.libraries
        ends, i = _ends(part, self._settings, libraries, self._threads)
        if self._pattern:
            found, places = self._pattern.places(part, self._threads)
            for column, values in zip(("tile", "x", "y"), places):
                ends[column] = np.where(found, values, -1)
            ends["group"] = np.where(found, libraries.number_of_group[part.read_group + 2], -1)
        if i >= 0:
            raise UserError(f"{self._source}: record {base + i + 1} ({part.name(i)}): {PROBLEMS[int(ends['problem'][i])]}")
        own = ends["index"] + base
        ends["index"] = self._runs(part) if self._by_name else own
        if self._by_name:
            self.starts.append(ends["index"] == own)
        self.examined.add(ends["flag"].copy(), ends["index"])
        return ends


def find_duplicates(batches, header: Header, options: DuplicateOptions, *, by_name: bool, spill, memory_bytes: int, threads: int,
                    source="input", card=None) -> Marks:  # fmt: skip
    """The first pass.

    batches: iterator of ReadBatch, coordinate-sorted, or with by_name grouped by read name. spill: `io.spill.SpillFolder`, for pairs and
    single ends beyond a part of the budget memory_bytes. source: the input's name for messages. card: `gpu_records.Card` that looks for
    sets. Batches are given back (`ReadBatch.drop`).

    Raises
    ------
    UserError: a pair without a read group, a barcode that cannot be used, two records of a read that wait for the same mate.
    """
    made = _Ends(header, options, by_name, threads, source)
    joiner = _Joiner(by_name, options.uses_barcodes, spill, memory_bytes // 8, threads)
    # Three stages side by side: a batch is read, the ends of the one before it are made, and those of the one before that are joined.
    for part, ends, base in ahead(made.of(ahead(batches, threads)), threads):
        fault = joiner.add(ends)
        if fault >= 0:
            raise UserError(
                f"{source}: record {fault + 1} ({part.name(fault - base)}): a second record of this read waits for the same mate"
            )
        part.drop()
    return _mark(joiner, made, header, options, threads, card)


def _first(twin, name, n, *args):
    """The first of n items that a kernel looks for, or -1. args: where the kernel runs."""
    with twin.alone():
        (found,) = twin.put(np.array([n]))
        twin.run(name, n, *args, found)
        i = int(twin.take(found)[0][0])
        del found
    return i if i < n else -1


def _ends(batch, settings, libraries, threads):
    """(END[n], of the batch's records, the first of them that cannot be used or -1)."""
    twin, n = where(batch, "read_ends", threads), len(batch)
    with twin.alone():  # the arrays of the device go inside
        out = twin.empty(n, END)
        twin.run("read_ends", n, batch.columns(_COLUMNS), *twin.put(settings, libraries.of_group, libraries.number_of_group), out)
        problem = _first(replace(twin, threads=1), "first_problem", n, out)
        (ends,) = twin.take(out)
        del out
    return ends, problem


def _members(order, start):
    """(entries of sets, set after set; how many each set has)."""
    sizes = start[:, 1] - start[:, 0]
    first = np.repeat(start[:, 0] - np.cumsum(sizes) + sizes, sizes)
    return order[first + np.arange(len(first))], sizes


def _sets_of(entries, paired, options, threads, card):
    """(state uint8 by entry, order, sets int64[k, 2], kept, optical count)."""
    n, settings = len(entries), (options.find_locations, options.optical_duplicate_pixel_distance, options.max_optical_duplicate_set_size)
    twin = (card.backend if card and n and card.left > 3 * entries.nbytes else Backend("cpu", threads)).kernels("duplicates")
    with twin.alone():  # the arrays of the device go inside
        there, state = twin.put(entries, np.zeros(n, np.uint8))
        order, start = twin.module.sort_entries(there, paired, *([] if twin.on_gpu else [threads]))
        kept, optical, parent = *twin.put(np.zeros(len(start), np.int64), np.zeros(len(start), np.int32)), twin.empty(n, np.int64)
        twin.run("mark_sets", len(start), there, paired, order, start, *settings, state, kept, optical, parent)
        found = twin.take(state, order, start, kept, optical)
        del there, state, order, start, kept, optical, parent
    return found


class _Metrics:
    """Counts of duplicates by library, and of duplicate sets by size, part after part of the entries."""

    def __init__(self, examined, libraries, by_name):
        self._examined, self._by_name, names = examined, by_name, len(libraries.names)
        self._marked = []  # in name order: index and library, each time that an index was found to be a duplicate's
        self.unpaired, self.paired, self.optical = (np.zeros(names, np.int64) for _ in range(3))
        self.sets = {"all_sets": {}, "optical_sets": {}, "non_optical_sets": {}}

    def mark(self, rows, mark):
        """Mark the indices of duplicate ENTRY rows, and count the records for which they stand, every index once."""
        index = np.stack([rows["index_1"], rows["index_2"]], axis=1).ravel()
        library = np.repeat(rows["library"], 2)[index >= 0]
        if self._by_name:
            self._marked.append((rows["index_1"].copy(), rows["library"].copy()))
        index, first = np.unique(index[index >= 0], return_index=True)
        new = mark[index] & _DUPLICATE == 0
        library, found = library[first][new], self._examined[index[new]]
        for column, counts in enumerate((self.unpaired, self.paired)):
            counts += np.bincount(library, weights=found[:, column], minlength=len(counts)).astype(np.int64)
        mark[index] |= np.uint8(_DUPLICATE)

    def unmark_missed(self, starts, mark):
        """In name order: take back the marks that Picard's second pass misses. starts: bool by record, begins a run of equal names.

        A name with several ends that are duplicates (single reads with many alignments) stands as often in Picard's sorted list of
        duplicates, and its second pass takes only one of the list at each record of another name. Source: MarkDuplicates.nextIndexIfNeeded.
        """
        if not self._marked:
            return
        index, library = (np.concatenate(x) for x in zip(*self._marked))
        order = np.argsort(index, kind="stable")
        index, library = index[order], library[order]
        if not (index[1:] == index[:-1]).any():
            return
        missed = np.zeros(len(index), np.uint8)
        duplicates_cpu.find_missed(starts, index, missed)
        gone = missed > 0
        found = self._examined[index[gone]]
        for column, counts in enumerate((self.unpaired, self.paired)):
            counts -= np.bincount(library[gone], weights=found[:, column], minlength=len(counts)).astype(np.int64)
        mark[index[gone]] &= np.uint8(~_DUPLICATE & 0xFF)

    def count_sets(self, name, sizes, alone=0):
        """Add sets of these sizes, and so many of one member, to a histogram."""
        values, counts = np.unique(sizes, return_counts=True)
        for v, c in [*zip(values.tolist(), counts.tolist()), (1, alone)]:
            if c:
                self.sets[name][v] = self.sets[name].get(v, 0) + c

    def add_pairs(self, pairs, order, start, optical, find_locations):
        """Count the sets and optical duplicates of a part."""
        if len(start):
            library = pairs["library"][order[start[:, 0]]]
            self.optical += np.bincount(library, weights=optical, minlength=len(self.optical)).astype(np.int64)
        sizes = start[:, 1] - start[:, 0]
        alone = len(pairs) - int(sizes.sum())
        seen = sizes if find_locations else sizes[:0]
        found = optical[: len(seen)]
        self.count_sets("all_sets", seen, alone)
        self.count_sets("optical_sets", (found + 1)[found > 0])
        self.count_sets("non_optical_sets", (seen - found)[seen - found > 0], alone)


def _mark(joiner, made, header, options, threads, card):
    """Marks of what is joined. made: the `_Ends` that all ends came from."""
    joiner.finish()
    total = made.total
    mark, metrics = np.zeros(total, np.uint8), _Metrics(made.examined.table(), made.libraries, joiner.by_name)
    tagged = total if options.tag_duplicate_set_members else 0
    set_first, set_size = np.full(tagged, -1, np.int32), np.full(tagged, -1, np.int32)
    beside_singles = not options.uses_barcodes and len(joiner.singles) > 0
    if beside_singles:
        bits = np.zeros(1 << max(10, (16 * len(joiner.singles)).bit_length() - 3), np.uint8)
        for singles in joiner.singles.parts():
            duplicates_cpu.fill_filter(0, len(singles), singles, bits)
    beside = []
    for pairs in joiner.pairs.parts():
        state, order, start, kept, optical = _sets_of(pairs, True, options, threads, card)
        chosen = pairs[state & duplicates_cpu.OPTICAL != 0]
        for column in ("index_1", "index_2"):
            mark[chosen[column]] |= np.uint8(_OPTICAL)
        members, sizes = _members(order, start)
        metrics.mark(pairs[members[state[members] & duplicates_cpu.DUPLICATE != 0]], mark)
        metrics.add_pairs(pairs, order, start, optical, options.find_locations)
        if tagged:
            for column in ("index_1", "index_2"):
                set_first[pairs[column][members]] = np.repeat(pairs["index_1"][kept], sizes)
                set_size[pairs[column][members]] = np.repeat(sizes, sizes)
        if beside_singles:
            near = np.empty(2 * len(pairs), read_ends_cpu.ENTRY)
            beside.append(near[: duplicates_cpu.ends_at_singles(pairs, bits, near)].copy())
    for near in beside:
        joiner.singles.add(near)
    for singles in joiner.singles.parts():
        state, order, start, *_ = _sets_of(singles, False, options, threads, card)
        members, _ = _members(order, start)
        metrics.mark(singles[members[state[members] & duplicates_cpu.DUPLICATE != 0]], mark)
    if joiner.by_name and made.starts:
        metrics.unmark_missed(np.concatenate(made.starts), mark)
    rows = made.libraries.rows(metrics.unpaired, metrics.paired, metrics.optical)
    new_programs, new_header = _chain_programs(made.programs, header, options)
    return Marks(mark, set_first, set_size, rows, metrics.sets, new_programs, made.looked, new_header)


def _chain_programs(programs, header, options):
    """New program ids by old PG value, and the header with their @PG lines. Source: Picard getChainedPgIds."""
    from gpugenome.provenance import program_fields

    if not options.program_record_id or not programs.values:
        return {}, header
    taken = {
        f[3:] for line in header.text.splitlines() if line.startswith("@PG") for f in line.split("\t") if f.startswith("ID:")
    }
    counter, lines, ids = len(taken), "", {}
    for value in _java_set_order(programs.values):
        name = options.program_record_id
        first = True
        while name in taken:
            name = f"{options.program_record_id}.{_base36(counter)}"
            counter += 1
            first = False
        counter += first
        taken.add(name)
        ids[value] = name
        lines += program_fields(name, "MarkDuplicates", value)
    return ids, Header.from_text(header.text + lines)


class Marker:
    """The second pass: sets flags and tags, batch by batch, in the order of the first pass.

    in_place: batches may be changed. with_tags: False leaves tags as they are, for who looks at none.
    """

    def __init__(self, marks: Marks, options: DuplicateOptions, *, by_name: bool, threads: int, in_place: bool = False,
                 with_tags: bool = True):  # fmt: skip
        self._marks, self._options, self._threads = marks, options, threads
        self._in_place, self._with_tags = in_place, with_tags
        self._runs = NameRuns() if by_name else None
        self._programs, self._base = _Programs(), 0
        self._programs.values = list(marks.programs)
        self._arenas = Arenas()
        self._run_is_primary = False

    def apply(self, batch: ReadBatch) -> ReadBatch:
        """The batch, duplicates flagged and tags set, without records that an option removes; in an arena of its own unless in_place."""
        n, marks, o = len(batch), self._marks, self._options
        index = self._runs(batch) if self._runs else slice(self._base, self._base + n)
        self._base += n
        mark = marks.mark[index]
        out = self._edit(batch if batch.on_gpu else replace(batch), mark, index) if self._with_tags else batch
        if not self._in_place and out.data is batch.data:
            out = replace(batch, data=self._arenas.take(batch.data.size))
            out.data[:] = batch.data
        _flag(out, mark, self._threads)
        write_bins(out, marks.header.contig_lengths, self._threads)
        keep = np.ones(n, bool)
        if o.remove_duplicates:
            keep &= mark & _DUPLICATE == 0
        elif o.remove_sequencing_duplicates:
            keep &= mark & _OPTICAL == 0
        return out if keep.all() else take(out.on_host(), np.flatnonzero(keep), self._threads)

    def _is_member(self, batch, index):
        """bool[n]: records that get the tags of their set. In name order those of a run whose first record is primary and mapped."""
        primary = batch.flag & 0x904 == 0
        if self._runs is None or not len(batch):
            return primary
        first = index - (self._base - len(batch))
        of_run = np.where(first >= 0, primary[np.maximum(first, 0)], self._run_is_primary)
        self._run_is_primary = bool(of_run[-1])
        return primary & of_run

    def _edit(self, batch, mark, index):
        """Tags: DT removed or set, DI and DS, PG."""
        o, n = self._options, len(batch)
        edits, texts, sizes = [], [], []

        def add_values(text, size):
            """Append values of these sizes to the table of tags' values; returns the row of the first."""
            first = sum(map(len, sizes))
            texts.append(np.frombuffer(text, np.uint8))
            sizes.append(np.asarray(size, np.int64))
            return first

        if o.clear_dt or o.tagging_policy != "DontTag":
            row = np.full(1 if o.tagging_policy == "DontTag" else n, REMOVE if o.clear_dt else LEAVE, np.int32)
            if o.tagging_policy == "All":
                row[mark & _DUPLICATE != 0] = 0
            if o.tagging_policy != "DontTag":
                row[(mark & _OPTICAL != 0) & (mark & _DUPLICATE != 0)] = 1
            edits.append(("DT", row))
            add_values(b"ZLB\0ZSQ\0", [4, 4])
        if o.tag_duplicate_set_members:
            member = self._is_member(batch, index)
            for tag, numbers in (("DI", self._marks.set_first), ("DS", self._marks.set_size)):
                mine = np.where(member, numbers[index], -1)
                distinct, place = np.unique(mine, return_inverse=True)
                value = np.empty(len(distinct), [("type", "S1"), ("number", "<i4")])
                value["type"], value["number"] = b"i", distinct
                first = add_values(value.tobytes(), np.full(len(value), value.itemsize))
                edits.append((tag, np.where(mine >= 0, place + first, LEAVE).astype(np.int32)))
        if self._marks.programs and o.add_pg_tag_to_reads:
            known = len(self._marks.programs)
            values = [b"Z" + v.encode() + b"\0" for v in self._marks.programs.values()]
            first = add_values(b"".join(values), [len(v) for v in values])
            # Where all records looked at have the same value there is no need to look again.
            if known == 1 and self._base <= self._marks.looked:
                old = np.zeros(1, np.int32)
            else:
                old = self._programs.rows(batch, self._threads)
            # A value that only comes after the first unplaced read was not collected: its records lose the tag.
            edits.append(("PG", np.where(old < known, old + first, REMOVE).astype(np.int32)))
        if not edits:
            return batch
        value_offset = np.concatenate([np.zeros(1, np.int64), *sizes]).cumsum()
        value = np.concatenate([*texts, np.zeros(1, np.uint8)])
        row = np.stack(np.broadcast_arrays(*(r for _, r in edits)))
        return edit_tags(batch, [t for t, _ in edits], row, value, value_offset, self._threads, self._arenas)


def _flag(batch, mark, threads):
    """Set the duplicate bit of the FLAGs by mark (uint8[n]), in the column and the records."""
    twin, n = where(batch, "duplicates", threads), len(batch)
    with twin.alone():
        (flag,) = batch.columns(("flag",))
        flag = flag if twin.on_gpu else flag.copy()
        twin.run("flag_duplicates", n, *twin.put(mark), flag)
        where(batch, "bam_records", threads).run("set_flags", n, *batch.columns(("data", "offset")), flag)
        batch.change(flag=flag)
        del flag


@dataclass
class SortedReads:
    """Coordinate-sorted records with duplicates flagged, within a memory budget; `batches` can be iterated again and again."""

    header: Header
    marks: Marks
    _sorted: object
    _options: DuplicateOptions
    _threads: int
    _spill: object = field(repr=False, default=None)
    _in_place: bool = False

    def batches(self, max_reads: int = BATCH_READS, with_tags: bool = True):
        """Iterator of ReadBatch, each in an arena of its own; where a GPU sorted them there (`ReadBatch.on_host`).

        with_tags: False leaves tags as they came, for who looks at none.
        """
        marker = Marker(
            self.marks, self._options, by_name=False, threads=self._threads, in_place=self._in_place, with_tags=with_tags
        )
        for batch in self._sorted.batches(max_reads):
            yield marker.apply(batch)

    def close(self):
        """Remove spill files."""
        self._spill.close()


def sort_and_mark(batches, header: Header, options: DuplicateOptions, *, memory_bytes: int, spill, threads: int,
                  card=None) -> SortedReads:  # fmt: skip
    """Sort by coordinate and mark duplicates, with no file between.

    batches: iterator of ReadBatch in any order. header: theirs, already with SO:coordinate. spill: `io.spill.SpillFolder`.
    card: `gpu_records.Card`, if a GPU is to sort and keep them.
    The result is that of SortSam and then MarkDuplicates on the coordinate-sorted records.
    """
    ordered = sorted_records(batches, COORDINATE, spill=spill, memory_bytes=memory_bytes, threads=threads, card=card)
    marks = find_duplicates(
        ordered.batches(BATCH_READS), header, options, by_name=False, spill=spill, memory_bytes=memory_bytes, threads=threads, card=card
    )
    return SortedReads(marks.header, marks, ordered, options, threads, spill, True)
