"""VCF as text columns: the bytes of every field, for tools that compare records and do not interpret them.

Source: VCF 4.2 specification, section 1.
"""

import gzip
import re
import zlib
from dataclasses import dataclass

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.text_lines import refuse_pipe
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_compare_cpu import find_columns, find_lines, hash_columns, parse_sites


@dataclass
class VariantText:
    """A whole VCF. n records, c columns.

    data: uint8, the text. columns: int64[n, c+1], field j of record i is data[columns[i, j] : columns[i, j+1] - 1].
    hashes: uint64[n, c], a hash of each field. pos, end_pos: int32[n], 1-based inclusive. kind: uint8[n], see
    `kernels.vcf_compare_cpu.parse_sites`. info_keys, format_keys: names declared in the header, in order.
    """

    path: str
    data: np.ndarray
    header: list[str]
    samples: list[str]
    info_keys: list[str]
    format_keys: list[str]
    columns: np.ndarray
    hashes: np.ndarray
    pos: np.ndarray
    end_pos: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.columns)

    def text(self, row: int, column: int) -> str:
        """One field as a string."""
        return self.data[self.columns[row, column] : self.columns[row, column + 1] - 1].tobytes().decode("latin-1")


def _ids(header, kind):
    return [line.split("ID=", 1)[1].split(",", 1)[0].rstrip(">") for line in header if line.startswith(f"##{kind}=<ID=")]


def read_variant_text(path: str, threads: int = 1) -> VariantText:
    """Read a plain or (b)gzipped VCF whole.

    Raises
    ------
    InputError: not a VCF, damaged compression, no #CHROM line, or a record with another number of columns than it.
    """
    refuse_pipe(path)
    try:
        with open(path, "rb") as f:
            raw = f.read()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(path, f"cannot be read as a VCF: {e}") from None
    if not raw.startswith(b"##fileformat=VCF"):
        raise InputError(path, "is not a VCF: it does not begin with ##fileformat=VCF")
    data = np.frombuffer(raw, np.uint8)
    title = raw.find(b"\n#CHROM")
    if title < 0:
        raise InputError(path, "has no #CHROM line")
    stop = raw.find(b"\n", title + 1)
    header = raw[: stop if stop >= 0 else len(raw)].decode("latin-1").splitlines()
    names = header[-1].rstrip().split("\t")
    if len(names) < 8:
        raise InputError(path, f"has {len(names)} columns in the #CHROM line, expected at least 8")
    starts, ends = find_lines(data)
    n, c = len(starts), len(names)
    columns = np.empty((n, c + 1), np.int64)
    bad = [b for b in run_chunks(find_columns, n, threads, data, starts, ends, columns) if b >= 0]
    if bad:
        raise InputError(path, f"expected {c} tab-separated columns", f"record {min(bad) + 1}")
    hashes = np.empty((n, c), np.uint64)
    run_chunks(hash_columns, n, threads, data, columns, hashes)
    pos, end_pos, kind = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint8)
    run_chunks(parse_sites, n, threads, data, columns, pos, kind, end_pos)
    if n and pos.min() < 0:
        raise InputError(path, "POS is not a number", f"record {int(np.argmin(pos)) + 1}")
    return VariantText(
        str(path), data, header, names[9:], _ids(header, "INFO"), _ids(header, "FORMAT"), columns, hashes, pos, end_pos, kind
    )


_BED_COLUMNS = re.compile(r"\t| +")


def bed_lines(path: str):
    """Iterator of (line number, contig, start, end) of a BED file, plain or compressed; 0-based half-open.

    As GATK reads BED: spaces part columns too, a line without end is one base, one with a contig only is passed over.

    Raises
    ------
    InputError: a file that cannot be read, a position that is not a number.

    Source: htsjdk BEDCodec.
    """
    try:
        with open(path, "rb") as f:
            opener = gzip.open if f.read(2) == b"\x1f\x8b" else open
        with opener(path, "rt") as f:
            for number, line in enumerate(f, 1):
                parts = _BED_COLUMNS.split(line.rstrip("\r\n"))
                if not line.strip() or line.startswith(("#", "track", "browser")) or len(parts) < 2:
                    continue
                try:
                    start = int(parts[1])
                    end = int(parts[2]) if len(parts) > 2 else start + 1
                except ValueError:
                    raise InputError(path, "expected contig, start and end separated by tabs", f"line {number}") from None
                yield number, parts[0], start, end
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as e:
        raise InputError(path, f"cannot be read as BED: {e}") from None


def read_bed(path: str) -> dict[str, np.ndarray]:
    """A BED file's intervals by contig: int64[k, 2], 0-based half-open, sorted and merged.

    Raises
    ------
    InputError: as `bed_lines`, positions that are out of order.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for number, contig, start, end in bed_lines(path):
        if not 0 <= start <= end:
            raise InputError(path, f"start {start} and end {end} are out of order", f"line {number}")
        found.setdefault(contig, []).append((start, end))
    out = {}
    for contig, spans in found.items():
        a = np.array(sorted(spans), np.int64)
        reach = np.maximum.accumulate(a[:, 1])
        first = np.concatenate([[True], a[1:, 0] > reach[:-1]])
        last = np.concatenate([first[1:], [True]])
        out[contig] = np.stack([a[first, 0], reach[last]], 1)
    return out
