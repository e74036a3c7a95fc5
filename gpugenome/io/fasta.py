"""Reference sequences: FASTA, plain or compressed, held in memory; the sequence dictionary is made where there is none.

Source: SAM specification 1.3 (@SQ, M5: MD5 of the upper-case sequence without white space).
"""

import gzip
import os
import zlib

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.text_lines import refuse_pipe

_UPPER_ACGTN = np.full(256, ord("N"), np.uint8)
for _base in b"ACGT":
    _UPPER_ACGTN[_base] = _UPPER_ACGTN[_base + 32] = _base


class Reference:
    """A FASTA file in memory.

    path: `.fa`, `.fasta`, plain, gzip or bgzip. `.fai` and `.dict` are not needed: names and lengths come from the sequences.
    names: list[str]. comments: list[str | None], what follows a name in its line. lengths: int64[contigs].

    Raises
    ------
    InputError: missing, empty or damaged file, or a pipe; a sequence name that comes twice; text before the first name.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        refuse_pipe(self.path)
        try:
            with open(self.path, "rb") as f:
                magic = f.read(2)
            opener = gzip.open if magic == b"\x1f\x8b" else open
            with opener(self.path, "rb") as f:
                data = f.read()
        except FileNotFoundError:
            raise InputError(self.path, "no such file, expected a reference FASTA") from None
        except (OSError, EOFError, zlib.error) as e:
            raise InputError(self.path, f"cannot be read as FASTA: {e}") from None
        if not data:
            raise InputError(self.path, "is empty, expected a reference FASTA")
        if data[:1] != b">":
            raise InputError(self.path, "is not a FASTA file, expected '>' as its first character", "line 1")
        self.names: list[str] = []
        self.comments: list[str | None] = []
        self._bases: list[np.ndarray] = []
        self._clean: dict[int, np.ndarray] = {}
        for part in data[1:].split(b"\n>"):
            title, _, sequence = part.partition(b"\n")
            name = title.split()[0].decode("ascii", "replace") if title.split() else ""
            if not name:
                raise InputError(self.path, "a sequence has no name, expected one after '>'", f"sequence {len(self.names) + 1}")
            if name in self.names:
                raise InputError(self.path, f"the sequence name {name} comes twice")
            self.names.append(name)
            rest = title.split(None, 1)[1:]
            self.comments.append(rest[0].rstrip(b"\r").decode("utf-8", "replace") if rest else None)
            self._bases.append(np.frombuffer(sequence.translate(None, b" \t\r\n"), np.uint8))
        self.lengths = np.array([len(b) for b in self._bases], np.int64)

    def bases(self, ref_id: int) -> np.ndarray:
        """uint8[length], ASCII as in the file."""
        return self._bases[ref_id]

    def bases_upper_acgtn(self, ref_id: int) -> np.ndarray:
        """uint8[length], GATK's view: upper case, everything but A, C, G, T as N."""
        if ref_id not in self._clean:
            self._clean[ref_id] = _UPPER_ACGTN[self._bases[ref_id]]
        return self._clean[ref_id]
