"""Known variants as columns by contig, and the IDs of those that calls share."""

from dataclasses import dataclass

import numpy as np

from gpugenome.kernels import known_variants_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.variant_fields import TEXT, Field, TextColumn


@dataclass
class ContigVariants:
    """Known variants of one contig that pass their filters, sorted.

    pos: int32[k], 0-based. text: uint8 by offset int64[k+1], "ID<tab>REF<tab>ALT[,ALT...]".
    """

    pos: np.ndarray
    text: np.ndarray
    offset: np.ndarray


@dataclass
class KnownVariants:
    """Known variants by contig: contigs[ref_id] is a ContigVariants, or missing where there are none."""

    contigs: dict[int, ContigVariants]

    def ids(self, ref_id: int, start, allele_offset, allele_base, allele_base_offset, threads: int = 1) -> Field:
        """A TEXT field with the IDs of each call's known variants, absent where it has none.

        start: int32[c]; alleles of call i: rows allele_offset[i]..allele_offset[i+1] of the ragged allele_base, REF first.
        """
        n, known = len(start), self.contigs.get(ref_id)
        offset = np.zeros(n + 1, np.int64)
        if known is None:
            return Field("ID", TEXT, np.empty(0, np.uint8), offset)
        size, out = np.empty(n, np.int64), np.empty(0, np.uint8)
        for fill in (False, True):
            run_chunks(
                kernel.match, n, threads, start, allele_offset, allele_base, allele_base_offset, known.pos, known.text, known.offset, fill,
                out, offset, size,
            )  # fmt: skip
            if not fill:
                np.cumsum(size, out=offset[1:])
                out = np.empty(int(offset[-1]), np.uint8)
        return Field("ID", TEXT, out, offset)


def with_known_ids(own: TextColumn, known: Field, threads: int = 1) -> TextColumn:
    """An ID column with the IDs of known variants (a TEXT field) added where it does not have them."""
    n, offset, out = len(own.start), np.zeros(len(own.start) + 1, np.int64), np.empty(0, np.uint8)
    size = np.empty(n, np.int64)
    for fill in (False, True):
        run_chunks(kernel.extend_ids, n, threads, own.data, own.start, own.length, known.values, known.offset, fill, out, offset, size)
        if not fill:
            np.cumsum(size, out=offset[1:])
            out = np.empty(int(offset[-1]), np.uint8)
    return TextColumn(out, offset[:-1], np.where(size > 0, size, -1).astype(np.int32))
