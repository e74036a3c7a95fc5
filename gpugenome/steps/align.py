"""Alignment of FASTQ reads to a reference: lanes in, batches of records out, those of bwa mem 0.7.17 one by one.

`Alignments` is what the commands use, with `.header` and `.batches()` like a file of alignments. Reads are taken in chunks of so many
bases; all pairs of a chunk together say which insert sizes are usual, so its records come when the last of its reads is there.
Source: specification chapter "bwa_mem".
"""

from dataclasses import dataclass

import numpy as np

from gpugenome.backend import Backend
from gpugenome.batch import FastqBatch, Fragments, Header, ReadBatch
from gpugenome.columns import decode, text_values
from gpugenome.errors import InputError, UserError
from gpugenome.kernels.aligned_records_cpu import make_records
from gpugenome.kernels.aligner_fields import NO_RESCUE
from gpugenome.kernels.hits_cpu import extend_reads
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.pairing_cpu import ask_rescues, pair_distances
from gpugenome.pipeline import ahead
from gpugenome.steps.aligner_options import AlignerOptions
from gpugenome.steps.alignment_tasks import AlignmentTasks
from gpugenome.steps.chained_reads import ChainedReads, Chainer
from gpugenome.steps.index import SearchIndex
from gpugenome.steps.insert_sizes import InsertSizes

LONGEST_READ = (1 << 20) - 1
LONGEST_NAME = 254  # of a BAM record


@dataclass
class Lane:
    """FASTQ reads with one read group.

    reads: gives `.batches()` of `Fragments` once, and `.paths` (as `io.fastq.FastqReads`).
    read_group: the fields of its @RG line.
    """

    reads: object
    read_group: dict[str, str]

    @property
    def read_group_line(self) -> str:
        return "\t".join(["@RG", *(f"{k}:{v}" for k, v in self.read_group.items())])


@dataclass
class _Part:
    """Fragments of a chunk and the hits of their reads: hits int64[h, HIT_COLUMNS] by offset int64[n + 1], one of both a mate."""

    fragments: Fragments
    hits: list[np.ndarray]
    offsets: list[np.ndarray]


def _columns(batch: FastqBatch):
    return batch.data, batch.name_start, batch.name_length, batch.seq_start, batch.seq_length, batch.qual_start


def _rows(fragments: Fragments, begin, end) -> Fragments:
    which = slice(begin, end)
    second = fragments.second
    return Fragments(fragments.first.rows(which), None if second is None else second.rows(which), fragments.text)


def _check_sizes(batch: FastqBatch, path):
    for what, sizes, most in (("bases", batch.seq_length, LONGEST_READ), ("characters in its name", batch.name_length, LONGEST_NAME)):
        if sizes.size and sizes.max() > most:
            i = int(sizes.argmax())
            begin = int(batch.name_start[i])
            name = bytes(batch.data[begin : begin + min(int(batch.name_length[i]), 80)]).decode("ascii", "replace")
            raise InputError(path, f"has {sizes[i]} {what}, expected {most} at most", f"read {name}")


class Aligner:
    """The aligner with an index.

    index: `SearchIndex`. alt: bool[contigs], those that are alternatives to others. options: as one types them for bwa mem.
    backend: where its kernels run; by default the CPU, on one thread.

    Raises
    ------
    UserError: an option that is not supported.
    """

    def __init__(self, index: SearchIndex, alt: np.ndarray, options: AlignerOptions, backend: Backend | None = None):
        backend = backend or Backend("cpu", 1)
        self.index, self.options, self.threads, self._on_gpu = index, options, backend.threads, backend.on_gpu
        self.alt = np.zeros_like(alt) if options.ignore_alt else alt
        self._values = options.for_index(index.length, index.prefix)
        self._names = text_values(index.names)
        self._chainer = Chainer(index, self.alt, self._values, options.ratios, backend)
        self._tasks = AlignmentTasks(index.words, self._values, backend, self._chainer.words_there)

    @property
    def contig_lines(self) -> str:
        """The @SQ lines."""
        alternative = ["\tAH:*" if a else "" for a in self.alt]
        return "".join(f"@SQ\tSN:{n}\tLN:{x}{a}\n" for n, x, a in zip(self.index.names, self.index.lengths, alternative))

    def close(self):
        """Give the GPU's memory back; the aligner's work is done."""
        self._chainer.close()
        self._tasks.close()

    def _align(self, fragments: Fragments, chains: list[ChainedReads]) -> _Part:
        part = _Part(fragments, [], [])
        x = self.index
        for batch, chained in zip((fragments.first, fragments.second), chains):
            count = np.empty(len(batch), np.int32)
            columns = (
                batch.data, batch.seq_start, batch.seq_length, x.words, x.offsets, x.lengths, self.alt, self._values, self.options.ratios,
                *chained.columns,
            )  # fmt: skip

            def extend(which, *more, columns=columns):
                return run_chunks(extend_reads, len(which), self.threads, which, *columns, *more)

            part.hits.append(self._tasks.hits(count, extend))
            part.offsets.append(np.concatenate([[0], np.cumsum(count, dtype=np.int64)]))
        return part

    def _insert_sizes(self, parts: list[_Part]) -> InsertSizes:
        distances = []
        for p in parts:
            distance = np.empty(len(p.fragments.first), np.int64)
            run_chunks(
                pair_distances, len(distance), self.threads, p.hits[0], p.offsets[0], p.hits[1], p.offsets[1], self._values,
                self.options.ratios, distance,
            )  # fmt: skip
            distances.append(distance)
        return InsertSizes.of(np.concatenate(distances))

    def _records(self, part: _Part, number: int, sizes: InsertSizes, read_group: int, lane: Lane) -> ReadBatch:
        first, second = part.fragments.first, part.fragments.second
        x = self.index
        name = np.frombuffer(lane.read_group["ID"].encode(), np.uint8)
        mates = _columns(first if second is None else second)
        hits = part.hits[0], part.offsets[0], part.hits[-1], part.offsets[-1]

        def ask(which, *known):
            reads = (column for b in (first, second) for column in (b.data, b.seq_start, b.seq_length))
            return run_chunks(
                ask_rescues, len(which), self.threads, which, *reads, *hits, x.words, x.offsets, x.lengths, self._values,
                self.options.ratios, sizes.limits, *known,
            )  # fmt: skip

        known = self._tasks.rescues(len(first), None if second is None or self._values[NO_RESCUE] else ask)
        made = run_chunks(
            make_records, len(first), self.threads, number, second is not None, _columns(first), mates, *hits, x.words, x.offsets,
            x.lengths, *self._names, name, self._values, self.options.ratios, sizes.limits, sizes.spread, *known,
        )  # fmt: skip
        bad = min((b for _, _, b in made if b >= 0), default=-1)
        if bad >= 0:
            raise InputError(lane.reads.paths[0], "has a comment that is no SAM tag (option -C)", f"read {number + bad + 1}")
        size = np.concatenate([s for _, s, _ in made])
        offset = np.concatenate([[0], np.cumsum(size)])
        data = made[0][0] if len(made) == 1 else np.concatenate([d for d, _, _ in made])
        return decode(data, offset, np.full(len(size), read_group, np.int32), self.threads)

    def _chained(self, lane: Lane):
        """(fragments, chains of the first and of the second reads, whether a chunk ends with them), which end with a batch or a chunk."""
        bases = 0
        for fragments in lane.reads.batches():
            at, n = 0, len(fragments.first)
            mates = [b for b in (fragments.first, fragments.second) if b is not None]
            for batch, path in zip(mates, (lane.reads.paths[0], lane.reads.paths[-1])):
                _check_sizes(batch, path)
            total = np.cumsum(sum(batch.seq_length for batch in mates))
            while at < n:
                before = total[at - 1] if at else 0
                end = int(np.searchsorted(total, self.options.chunk_bases - bases + before)) + 1
                whole = end <= n
                end = min(end, n)
                rows = _rows(fragments, at, end)
                yield rows, [self._chainer.chains(b) for b in (rows.first, rows.second) if b is not None], whole
                bases = 0 if whole else bases + int(total[end - 1] - before)
                at = end

    def _chunks(self, lane: Lane):
        """Lists of parts: of all reads up to the end of a chunk; of single reads, whose records need no others, as they come."""
        parts = []
        for fragments, chains, whole in ahead(self._chained(lane), 2 if self._on_gpu else 1):
            parts.append(self._align(fragments, chains))
            if whole or fragments.second is None or self.options.insert_sizes:
                yield parts
                parts = []
        if parts:
            yield parts

    def batches(self, lane: Lane, read_group: int):
        """Iterator of ReadBatch, in the order of the reads of a lane. read_group: its number in the header.

        Raises
        ------
        UserError: whatever the lane's reads raise; a read or a name that is too long; a comment that is no tag (-C).
        """
        number = 0
        for parts in ahead(self._chunks(lane), self.threads):
            paired = parts[0].fragments.second is not None
            sizes = self.options.insert_sizes or (self._insert_sizes(parts) if paired else InsertSizes.of(np.empty(0, np.int64)))
            for i, part in enumerate(parts):
                parts[i] = None  # a part's memory goes when its records are made
                yield self._records(part, number, sizes, read_group, lane)
                number += len(part.fragments.first)


class Alignments:
    """The records of all lanes, lane after lane, in the order of the reads: `.header`, and `.batches()` once.

    lanes: at least one; lanes with the same read group share its @RG line.

    Raises
    ------
    UserError: two read groups with one ID; what the aligner and the lanes' reads raise.
    """

    def __init__(self, lanes: list[Lane], aligner: Aligner):
        self._lanes, self._aligner = lanes, aligner
        groups: dict[str, Lane] = {}
        for lane in lanes:
            name = lane.read_group["ID"]
            if groups.setdefault(name, lane).read_group != lane.read_group:
                raise UserError(f"--read-group: two read groups have the ID {name} and differ, expected an ID for each")
        self._number = {name: i for i, name in enumerate(groups)}
        self.header = Header.from_text(aligner.contig_lines + "".join(lane.read_group_line + "\n" for lane in groups.values()))

    def batches(self):
        """Iterator of ReadBatch. With several threads the next hits, these records and the caller's work go on side by side."""
        return ahead(self._records(), self._aligner.threads)

    def _records(self):
        try:
            for lane in self._lanes:
                yield from self._aligner.batches(lane, self._number[lane.read_group["ID"]])
        finally:
            self._aligner.close()
