"""The options of the aligner: bwa mem's letters as a user types them, checked, as the arrays that the kernels read.

Source: specification chapter "bwa_mem", section 1; the manual of bwa 0.7.17.
"""

import getopt
import shlex
from dataclasses import dataclass

import numpy as np

from gpugenome.errors import UserError
from gpugenome.kernels import aligner_fields as field
from gpugenome.steps.insert_sizes import InsertSizes

DEFAULT_CHUNK_BASES = 10_000_000
"""Bases of a chunk without -K: those of bwa with one thread (bwa takes as many for each)."""
_ELSEWHERE = {
    "-t": "say --threads", "-R": "say --read-group", "-p": "say --interleaved", "-o": "say --output", "-H": "the header is made here",
}  # fmt: skip
_LETTERS = "K:T:B:A:O:E:L:U:k:w:d:r:c:D:W:m:h:I:s:y:G:X:YMCSPaj5q" + "pt:R:o:H:v:x:Q:N:V"
_FLAGS = {
    "-Y": field.SOFT_CLIP, "-M": field.SHORTER_SPLITS_SECONDARY, "-C": field.COMMENTS, "-S": field.NO_RESCUE, "-P": field.NO_PAIRING,
    "-a": field.ALL_HITS, "-q": field.KEEP_MAPQ,
}  # fmt: skip
_NUMBERS = {  # fields in the order of the values, smallest value
    "-T": ([field.MIN_SCORE], 0), "-B": ([field.MISMATCH], 0), "-A": ([field.MATCH], 1), "-U": ([field.UNPAIRED], 0),
    "-O": ([field.OPEN_DELETION, field.OPEN_INSERTION], 0), "-E": ([field.EXTEND_DELETION, field.EXTEND_INSERTION], 1),
    "-L": ([field.CLIP_FIVE, field.CLIP_THREE], 0), "-k": ([field.MIN_SEED], 4), "-w": ([field.BAND], 1), "-d": ([field.ZDROP], 0),
    "-c": ([field.MAX_OCCURRENCES], 1), "-W": ([field.MIN_CHAIN_WEIGHT], 0), "-m": ([field.MAX_RESCUES], 0),
    "-h": ([field.MAX_XA, field.MAX_XA_ALT], 0), "-s": ([field.SPLIT_WIDTH], 0), "-y": ([field.MAX_INTERVAL], 0),
    "-G": ([field.MAX_CHAIN_GAP], 0),
}  # fmt: skip
_LARGEST = 1 << 30
_DEFAULTS = {
    field.MATCH: 1, field.MISMATCH: 4, field.OPEN_DELETION: 6, field.EXTEND_DELETION: 1, field.OPEN_INSERTION: 6,
    field.EXTEND_INSERTION: 1, field.CLIP_FIVE: 5, field.CLIP_THREE: 5, field.BAND: 100, field.ZDROP: 100, field.MIN_SCORE: 30,
    field.UNPAIRED: 17, field.MIN_SEED: 19, field.SPLIT_WIDTH: 10, field.MAX_OCCURRENCES: 500, field.MAX_INTERVAL: 20,
    field.MAX_CHAIN_GAP: 10000, field.MAX_RESCUES: 50, field.MAX_XA: 5, field.MAX_XA_ALT: 200,
}  # fmt: skip
_SCALED = (
    field.MISMATCH, field.MIN_SCORE, field.OPEN_DELETION, field.OPEN_INSERTION, field.EXTEND_DELETION, field.EXTEND_INSERTION, field.ZDROP,
    field.CLIP_FIVE, field.CLIP_THREE, field.UNPAIRED,
)  # fmt: skip


@dataclass
class AlignerOptions:
    """What a user chose.

    values: int64[OPTIONS], without what depends on the index. ratios: float32[RATIOS]. chunk_bases: reads are taken in chunks of so
    many bases. ignore_alt: whether contigs listed as ALT are like the others. insert_sizes: given by the user, or None.
    """

    values: np.ndarray
    ratios: np.ndarray
    chunk_bases: int
    ignore_alt: bool
    insert_sizes: InsertSizes | None

    @classmethod
    def parse(cls, text: str) -> "AlignerOptions":
        """Options as one types them for bwa mem.

        Raises
        ------
        UserError: an option that is not one, that is said elsewhere, or whose value is out of range.
        """
        try:
            words, rest = getopt.getopt(shlex.split(text), _LETTERS)
        except (getopt.GetoptError, ValueError) as e:
            raise UserError(f"--bwa-options: {e}") from None
        if rest:
            raise UserError(f"--bwa-options: {rest[0]} is no option")
        values, given = np.zeros(field.OPTIONS, np.int64), {}
        chunk, ignore_alt, sizes = DEFAULT_CHUNK_BASES, False, None
        ratio = {"-r": 1.5, "-D": 0.5, "-X": 0.5}
        for name, value in words:
            if name in _ELSEWHERE:
                raise UserError(f"--bwa-options: {name} is not for the aligner, {_ELSEWHERE[name]}")
            if name in _FLAGS:
                values[_FLAGS[name]] = 1
            elif name in _NUMBERS:
                fields, least = _NUMBERS[name]
                numbers = _integers(name, value, len(fields), least)
                given |= dict(zip(fields, numbers * len(fields) if len(numbers) == 1 else numbers))
            elif name in ratio:
                ratio[name] = _real(name, value)
            elif name == "-K":
                chunk = _integers(name, value, 1, 1)[0]
            elif name == "-I":
                sizes = _insert_sizes(value)
            elif name == "-j":
                ignore_alt = True
            elif name == "-5":
                values[[field.FIVE_PRIME, field.KEEP_MAPQ]] = 1
            else:
                raise UserError(f"--bwa-options: {name} is not supported")
        for i, default in _DEFAULTS.items():
            scale = given.get(field.MATCH, 1) if i in _SCALED else 1
            values[i] = given.get(i, default * scale)
        values[field.MIN_CHAIN_WEIGHT] = given.get(field.MIN_CHAIN_WEIGHT, 0)
        seed = np.float32(values[field.MIN_SEED]) * np.float32(ratio["-r"])
        values[field.SPLIT_LENGTH] = int(float(seed) + 0.499)
        costs = [values[i] for i in (field.OPEN_DELETION, field.OPEN_INSERTION)]
        costs = [c + values[i] for c, i in zip(costs, (field.EXTEND_DELETION, field.EXTEND_INSERTION))]
        values[field.TIE] = max(values[field.MATCH] + values[field.MISMATCH], *costs)
        return cls(values, np.array([ratio["-X"], ratio["-D"], 0.95], np.float32), chunk, ignore_alt, sizes)

    def for_index(self, length: int, prefix: int) -> np.ndarray:
        """int64[OPTIONS] for an index of `length` bases (one strand) with a table of `prefix` bases."""
        values = self.values.copy()
        values[field.LENGTH], values[field.PREFIX] = length, prefix
        values[field.SEARCH_PREFIX] = min(prefix, int(values[field.MIN_SEED]))
        return values


def _integers(name, value, most, least) -> list[int]:
    words = value.split(",")
    good = 1 <= len(words) <= most and all(w.isascii() and w.isdigit() and least <= int(w) <= _LARGEST for w in words)
    if not good:
        what = f"an integer from {least} to {_LARGEST}" + (", or two with a comma" if most == 2 else "")
        raise UserError(f"--bwa-options: {name} {value}: expected {what}")
    return [int(w) for w in words]


def _real(name, value) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < _LARGEST:
        raise UserError(f"--bwa-options: {name} {value}: expected a number that is not negative")
    return number


def _insert_sizes(value) -> InsertSizes:
    words = value.split(",")
    if len(words) > 4:
        raise UserError(f"--bwa-options: -I {value}: expected MEAN[,DEVIATION[,MAX[,MIN]]]")
    return InsertSizes.given(*(_real("-I", w) for w in words))
