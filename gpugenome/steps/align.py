"""Alignment of FASTQ reads to a reference: lanes in, batches of records out. The aligner behind it is an installed `bwa mem`.

`Alignments` is what the commands use, with `.header` and `.batches()` like a file of alignments. `BwaMem` is the only place that
knows the aligner: anything with `start(lane)` that gives an object with `.header_lines` and `.batches()` can stand in its place.
"""

import fcntl
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gpugenome.batch import Header, ReadBatch
from gpugenome.columns import decode, text_values
from gpugenome.errors import InputError, UserError
from gpugenome.kernels import fastq_cpu, sam_text_cpu
from gpugenome.kernels.launch import run_chunks

DEFAULT_OPTIONS = "-K 100000000 -Y"
INDEX_SUFFIXES = (".amb", ".ann", ".bwt", ".pac", ".sa")
_OWN_OPTIONS = {
    "-t": "say --threads", "-R": "say --read-group", "-p": "say --interleaved", "-o": "say --output", "-H": "the header is made here",
}  # fmt: skip
_TEXT_BYTES = 32 << 20
_PIPE_BYTES = 1 << 20
_SUPPLEMENTARY_OR_SECONDARY = 0x900
_PROBLEMS = {
    sam_text_cpu.FEW_FIELDS: "has fewer than 11 fields",
    sam_text_cpu.BAD_NUMBER: "has a field that is not a number of its range",
    sam_text_cpu.UNKNOWN_CONTIG: "names a contig that has no @SQ line",
    sam_text_cpu.BAD_CIGAR: "has a CIGAR that is none or does not fit its sequence",
    sam_text_cpu.BAD_SEQUENCE: "has qualities that do not fit its sequence",
    sam_text_cpu.BAD_TAG: "has a tag that is none",
    sam_text_cpu.BAD_NAME: "has no read name, or one longer than 254 characters",
}


@dataclass
class Lane:
    """FASTQ reads with one read group.

    reads: gives `.batches()` of `Fragments` once, `.paths` and `.interleaved` (as `io.fastq.FastqReads`).
    read_group: the fields of its @RG line.
    """

    reads: object
    read_group: dict[str, str]

    @property
    def read_group_line(self) -> str:
        return "\t".join(["@RG", *(f"{k}:{v}" for k, v in self.read_group.items())])


class SamText:
    """SAM lines without header to batches. contig_names: of the @SQ lines, in order."""

    def __init__(self, contig_names, threads=1):
        self.threads = threads
        self._names, self._name_offset = text_values(contig_names)
        self._table = np.full(1 << (2 * max(1, len(contig_names))).bit_length(), -1, np.int32)
        sam_text_cpu.fill_name_table(self._names, self._name_offset, self._table)

    def batch(self, text: np.ndarray, read_group: int, source: str, first_line: int = 0) -> ReadBatch:
        """The records of whole lines (uint8), all of one read group (its number in the header).

        Raises
        ------
        UserError: a line that is not SAM. source: who wrote it, first_line: lines before these, for the message.
        """
        most = int(np.count_nonzero(text == 10))
        line_start = np.empty(most + 1, np.int64)
        n = fastq_cpu.scan_lines(text, 0, text.size, line_start, most)
        out, size = np.empty(2 * text.size + sam_text_cpu.RECORD_SLACK * n, np.uint8), np.empty(n, np.int64)
        parts = run_chunks(
            sam_text_cpu.encode_lines, n, self.threads, text, line_start, self._names, self._name_offset, self._table, out, size
        )
        bad = min((p[2] for p in parts if p[2] >= 0), default=-1)
        if bad >= 0:
            i, problem = divmod(bad, 8)
            line = bytes(text[line_start[i] : line_start[i + 1]]).decode("ascii", "replace").rstrip()
            raise UserError(f"{source}: record {first_line + i + 1} {_PROBLEMS[problem]}: {line[:120]}")
        offset = np.zeros(n + 1, np.int64)
        np.cumsum(size, out=offset[1:])
        data = np.concatenate([out[a:b] for a, b, _ in parts] or [out])
        return decode(data, offset, np.full(n, read_group, np.int32), self.threads)


def _write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _widen(descriptor):
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # a user's pipes may be limited to their usual size: slower, not wrong


def _after_last_newline(data) -> int:
    """Bytes of the whole lines at the beginning of `data`."""
    window = 1 << 16
    while True:
        newlines = np.flatnonzero(data[-window:] == 10)
        if newlines.size:
            return max(0, data.size - window) + int(newlines[-1]) + 1
        if window >= data.size:
            return 0
        window *= 16


class _BwaRun:
    """One bwa process over one lane: fed with the lane's checked text on one pipe a file, its SAM read from another.

    header_lines: the lines that bwa writes before its records.
    """

    def __init__(self, arguments, prefix, lane: Lane):
        self._lane = lane
        self._problem, self._reads_fed, self._fed_all = None, 0, False
        self._errors = tempfile.TemporaryFile()
        pipes = [os.pipe() for _ in lane.reads.paths]
        inputs = [f"/dev/fd/{r}" for r, _ in pipes]
        self._process = subprocess.Popen(
            ["bwa", "mem", *arguments, prefix, *inputs],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, pass_fds=[r for r, _ in pipes], bufsize=0,
        )  # fmt: skip
        for r, w in pipes:
            os.close(r)
            _widen(w)
        _widen(self._process.stdout.fileno())
        self._feeder = threading.Thread(target=self._feed, args=([w for _, w in pipes],), daemon=True)
        self._feeder.start()
        self._buffer, self._filled = np.empty(_TEXT_BYTES, np.uint8), 0
        self.header_lines = self._read_header()

    def _feed(self, descriptors):
        """Write the lane's text; mates go on two threads, since bwa takes one read from each in turn."""
        try:
            with ThreadPoolExecutor(len(descriptors), thread_name_prefix="gpugenome-bwa") as writers:
                writing = []
                for fragments in self._lane.reads.batches():
                    for w in writing:
                        w.result()
                    writing = [writers.submit(_write_all, d, t) for d, t in zip(descriptors, fragments.text)]
                    self._reads_fed += fragments.reads
                for w in writing:
                    w.result()
            self._fed_all = True
        except BrokenPipeError:
            pass  # bwa went away; `_finish` says why
        except BaseException as e:  # raised again by the thread that reads bwa's output
            self._problem = e
            self._process.kill()
        finally:
            for d in descriptors:
                os.close(d)

    def _fill(self) -> bool:
        """Read on into the buffer; False at the end of bwa's output."""
        if self._filled == self._buffer.size:
            self._buffer = np.concatenate([self._buffer, np.empty(_TEXT_BYTES, np.uint8)])
        n = self._process.stdout.readinto(memoryview(self._buffer)[self._filled :])
        self._filled += n
        return n > 0

    def _keep_from(self, begin):
        rest = self._buffer[begin : self._filled].copy()
        self._buffer[: rest.size] = rest
        self._filled = rest.size

    def _read_header(self):
        size, lines = 0, []
        while True:
            text = bytes(self._buffer[: self._filled])
            while (stop := text.find(b"\n", size)) >= 0 and text[size : size + 1] == b"@":
                lines.append(text[size:stop].decode("utf-8", "replace"))
                size = stop + 1
            if stop >= 0:
                break
            if not self._fill():
                self._finish(cut=size < self._filled)
                break
        self._keep_from(size)
        return lines

    def _finish(self, cut):
        """Wait for bwa; raises what went wrong. cut: its output ends inside a line."""
        self._feeder.join()
        code = self._process.wait()
        if self._problem is not None:
            raise self._problem
        if code or cut or not self._fed_all:
            self._errors.seek(0)
            lines = [x.strip() for x in self._errors.read().decode("utf-8", "replace").splitlines() if x.strip() and "[M::" not in x]
            how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}" if code else "stopped too early"
            raise UserError(f"{self._lane.reads.paths[0]}: bwa mem {how}" + (f": {lines[-1]}" if lines else ""))

    def batches(self, text: SamText, read_group: int):
        """Iterator of ReadBatch, in the order of the reads. Ends only when bwa has given a record for every read.

        Raises
        ------
        UserError: bwa failed; whatever the lane's reads raise.
        """
        lines = primary = 0
        going = True
        try:
            while going:
                going = self._fill()
                while going and self._filled < self._buffer.size:
                    going = self._fill()
                whole = _after_last_newline(self._buffer[: self._filled])
                if not going:
                    self._finish(cut=whole < self._filled)
                if whole:
                    batch = text.batch(self._buffer[:whole], read_group, "output of bwa mem", lines)
                    self._keep_from(whole)
                    lines += len(batch)
                    primary += int(np.count_nonzero(batch.flag & _SUPPLEMENTARY_OR_SECONDARY == 0))
                    yield batch
            if primary != self._reads_fed:
                raise UserError(f"{self._lane.reads.paths[0]}: bwa mem gave {primary} primary records for {self._reads_fed} reads")
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()


class BwaMem:
    """The installed `bwa mem` with its index; a context manager, since an index that is made may lie in a temporary folder.

    reference: FASTA path, plain or gzip. options: as one types them, without those that have an option of their own here.
    index_prefix: where the index is, or is made where there is none; by default beside the reference, or else in a temporary folder.

    Raises
    ------
    UserError: no bwa; an option that is not the user's to give; bwa index failed.
    """

    def __init__(self, reference, options=DEFAULT_OPTIONS, threads=1, index_prefix=None, tmp_dir=None):
        if not shutil.which("bwa"):
            raise UserError("align needs bwa, which is not in PATH; install it: 'apt-get install bwa' or 'conda install -c bioconda bwa'")
        self._reference, self._threads, self._options = reference, threads, shlex.split(options)
        for word in self._options:
            if word[:2] in _OWN_OPTIONS:
                raise UserError(f"--bwa-options: {word[:2]} is not for bwa, {_OWN_OPTIONS[word[:2]]}")
        self._wanted, self._tmp_dir, self._folder = index_prefix, tmp_dir, None
        candidates = [index_prefix] if index_prefix else [reference, reference.removesuffix(".gz")]
        self._prefix = next((p for p in candidates if _has_index(p)), None)

    @property
    def has_index(self) -> bool:
        """False where entering makes the index."""
        return self._prefix is not None

    def __enter__(self) -> "BwaMem":
        if self._prefix is None:
            self._make_index()
        return self

    def _make_index(self):
        prefix = self._wanted
        if prefix is None:
            self._folder = tempfile.TemporaryDirectory(prefix="gpugenome-bwa-", dir=self._tmp_dir)
            prefix = os.path.join(self._folder.name, "reference")
        if os.path.exists(self._reference + ".alt"):
            shutil.copyfile(self._reference + ".alt", prefix + ".alt")
        done = subprocess.run(["bwa", "index", "-p", prefix, self._reference], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode or not _has_index(prefix):
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            self.__exit__()
            raise InputError(self._reference, "bwa index failed" + (f": {lines[-1]}" if lines else f" with exit code {done.returncode}"))
        self._prefix = prefix

    def __exit__(self, *_):
        if self._folder is not None:
            self._folder.cleanup()

    def _arguments(self, lane):
        group = lane.read_group_line.replace("\\", "\\\\").replace("\t", "\\t")
        return [*self._options, "-t", str(self._threads), *(["-p"] if lane.reads.interleaved else []), "-R", group]

    def start(self, lane: Lane) -> _BwaRun:
        """bwa at work on a lane."""
        return _BwaRun(["-v", "1", *self._arguments(lane)], self._prefix, lane)

    def program_line(self, header_lines, lane: Lane) -> str:
        """The @PG line that bwa writes, with the names of files that the user knows."""
        own = next((x for x in header_lines if x.startswith("@PG")), "")
        version = next((f for f in own.split("\t") if f.startswith("VN:")), "VN:unknown")
        command = " ".join(["bwa", "mem", *self._arguments(lane), self._reference, *lane.reads.paths])
        return f"@PG\tID:bwa\tPN:bwa\t{version}\tCL:{command}\n"


def _has_index(prefix):
    return any(all(os.path.exists(prefix + infix + s) for s in INDEX_SUFFIXES) for infix in ("", ".64"))


class Alignments:
    """The records of all lanes, lane after lane, as the aligner gives them: `.header`, and `.batches()` once.

    lanes: at least one; lanes with the same read group share its @RG line. aligner: `BwaMem`, entered.

    Raises
    ------
    UserError: two read groups with one ID; what the aligner and the lanes' reads raise.
    """

    def __init__(self, lanes: list[Lane], aligner: BwaMem, threads=1):
        self._lanes, self._aligner = lanes, aligner
        groups: dict[str, Lane] = {}
        for lane in lanes:
            name = lane.read_group["ID"]
            if groups.setdefault(name, lane).read_group != lane.read_group:
                raise UserError(f"--read-group: two read groups have the ID {name} and differ, expected an ID for each")
        self._number = {name: i for i, name in enumerate(groups)}
        self._begun = aligner.start(lanes[0])
        lines = self._begun.header_lines
        contigs = "".join(x + "\n" for x in lines if x.startswith("@SQ"))
        read_groups = "".join(lane.read_group_line + "\n" for lane in groups.values())
        self.header = Header.from_text(contigs + read_groups + aligner.program_line(lines, lanes[0]))
        self._text = SamText(self.header.contig_names, threads)

    def batches(self):
        """Iterator of ReadBatch."""
        for lane in self._lanes:
            run, self._begun = self._begun or self._aligner.start(lane), None
            yield from run.batches(self._text, self._number[lane.read_group["ID"]])
