"""Known variants with their IDs from a VCF (plain, gzip or BGZF), in pieces: only positions, IDs and alleles stay in memory."""

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.text_lines import whole_lines
from gpugenome.kernels import known_variants_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_compare_cpu import find_lines
from gpugenome.known_variants import ContigVariants, KnownVariants


def read_known_variants(path: str, names, threads: int = 1) -> KnownVariants:
    """Known variants of a VCF. names: the contigs, in the order of their numbers; variants elsewhere are left out.

    Raises
    ------
    InputError: not a VCF, damaged, or not sorted by position.
    """
    contigs = {name: i for i, name in enumerate(names)}
    parts: dict[int, list[tuple]] = {}
    current, seen, first = -1, 0, True
    for data in whole_lines(path, threads):
        if first and not data[:16].tobytes().startswith(b"##fileformat=VCF"):
            raise InputError(path, "is not a VCF: it does not begin with ##fileformat=VCF")
        starts, ends = find_lines(data)
        first, n = False, len(starts)
        if n == 0:
            continue
        pos, keep, same = np.empty(n, np.int32), np.empty(n, np.uint8), np.empty(n, np.uint8)
        start, length = np.empty(n, np.int64), np.empty(n, np.int64)
        bad = [b for b in run_chunks(kernel.parse_lines, n, threads, data, starts, ends, pos, keep, same, start, length) if b >= 0]
        if bad:
            raise InputError(path, "expected at least 8 tab-separated columns with a number as POS", f"record {seen + min(bad) + 1}")
        edges = [*np.flatnonzero(same == 0).tolist(), n]
        for a, b in zip(edges[:-1], edges[1:]):  # a pass for each contig
            name = data[starts[a] : ends[a]].tobytes().split(b"\t", 1)[0].decode("latin-1")
            current = contigs.get(name, -1)
            if current < 0:
                continue
            rows = a + np.flatnonzero(keep[a:b])
            offset = np.zeros(len(rows) + 1, np.int64)
            np.cumsum(length[rows], out=offset[1:])
            text = np.empty(int(offset[-1]), np.uint8)
            run_chunks(kernel.copy_rows, len(rows), threads, rows, data, start, text, offset)
            parts.setdefault(current, []).append((pos[rows], text, offset))
        seen += n
    return KnownVariants({c: _join(path, names[c], some) for c, some in parts.items()})


def _join(path, name, parts):
    pos = np.concatenate([p for p, _, _ in parts])
    unsorted = np.flatnonzero(np.diff(pos) < 0)
    if len(unsorted):
        raise InputError(path, f"is not sorted by position: {name}:{int(pos[unsorted[0] + 1]) + 1} follows {int(pos[unsorted[0]]) + 1}")
    lengths = np.concatenate([np.diff(o) for _, _, o in parts])
    offset = np.zeros(len(pos) + 1, np.int64)
    np.cumsum(lengths, out=offset[1:])
    return ContigVariants(pos, np.concatenate([t for _, t, _ in parts]), offset)
