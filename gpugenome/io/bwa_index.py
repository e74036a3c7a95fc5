"""Files of an index: bwa's `.amb .ann .pac .bwt .sa`, and `.search` of our own, the full suffix array to be memory mapped.

Source: specification chapter "bwa_mem", section 2. `.search`: int64[8] (magic, version, 2L, prefix length, bytes of a row number,
CRC-32 of `.pac`, 0, 0), the prefix table, zeros up to a multiple of 4096 bytes, the suffix array (as `kernels.seeding_cpu.row_place`
reads it; "bytes of a row number" are 4, or 8 where it has lines), zeros up to a multiple of 8 bytes,
the packed doubled text, and a byte for each of its bases (`SearchIndex.unique`;
files of version 1 end before it).
"""

import mmap
import os
import zlib

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.outputs import AtomicOutput
from gpugenome.steps import index as step
from gpugenome.steps.index import Bwt, PackedReference, SearchIndex

SUFFIXES = (".amb", ".ann", ".pac", ".bwt", ".sa")
_MAGIC = int.from_bytes(b"GPGSRCH\1", "little")
_VERSION = 2
_SA_KINDS = {4: np.uint32, 8: np.uint64}


def pack(reference, threads: int = 1) -> PackedReference:
    """An `io.fasta.Reference` packed as bwa packs it."""
    sequences = [reference.bases(i) for i in range(len(reference.names))]
    return step.pack_reference(reference.names, reference.comments, sequences, threads)


def _pac_bytes(packed) -> np.ndarray:
    n = packed.length
    forward = packed.words[: (n + 31) // 32].byteswap().view(np.uint8)[: (n + 3) // 4]
    if n % 4:
        forward[-1] &= 0xFF << 2 * (4 - n % 4) & 0xFF  # the other strand begins there
    return np.concatenate([forward, np.array([0, 0] if n % 4 == 0 else [n % 4], np.uint8)])


def _ann_text(packed) -> str:
    lines = [f"{packed.length} {len(packed.names)} {step.kernel.HOLE_SEED}"]
    edges = np.searchsorted(packed.holes[:, 0], np.append(packed.offsets, packed.length))
    for i, (name, comment) in enumerate(zip(packed.names, packed.comments)):
        lines += [f"0 {name} {comment or '(null)'}", f"{packed.offsets[i]} {packed.lengths[i]} {edges[i + 1] - edges[i]}"]
    return "\n".join(lines) + "\n"


def _amb_text(packed) -> str:
    lines = [f"{packed.length} {len(packed.names)} {len(packed.holes)}"]
    lines += [f"{begin} {length} {chr(letter)}" for begin, length, letter in packed.holes.tolist()]
    return "\n".join(lines) + "\n"


def _rounded(size: int, unit: int) -> int:
    return (size + unit - 1) // unit * unit


def _sa_size(n: int, width: int) -> int:
    """Bytes of the rows of a search of n bases."""
    return 4 * (n + 1) if width == 4 else (n + 1 + step.kernel.LINE_ROWS - 1) // step.kernel.LINE_ROWS * 64


def build_index(prefix, packed: PackedReference, threads: int = 1) -> None:
    """Make and write all files; they get their names when everything is complete.

    In memory are the packed text (a quarter of a byte for each of its n = 2L bases) and either its suffix array (4.1 bytes; 4 below 2^32
    bases), which goes to the files piece by piece, or, when it is written, `SearchIndex.unique` (1 byte).

    Raises
    ------
    InputError: the folder cannot be written or the disk is full.
    """
    n, words = 2 * packed.length, packed.words
    k, pac = step.prefix_length(n), _pac_bytes(packed)
    with AtomicOutput(f"{prefix}.search") as main:

        def write(output, *parts):
            for part in parts:
                for piece in [part] if isinstance(part, bytes | np.ndarray) else part:
                    output.write(piece.data if isinstance(piece, np.ndarray) else piece)

        rows = step.suffix_array(words, n)
        bwt = step.burrows_wheeler(words, n, rows, threads)
        head = np.array([bwt.primary, *bwt.totals], np.uint64)
        write(main.also(f"{prefix}.ann"), _ann_text(packed).encode())
        write(main.also(f"{prefix}.amb"), _amb_text(packed).encode())
        write(main.also(f"{prefix}.pac"), pac)
        write(main.also(f"{prefix}.bwt"), head, bwt.body)
        write(main.also(f"{prefix}.sa"), head, np.array([step.kernel.SAMPLING, n], np.uint64), bwt.sampled)
        first, width = step.prefix_table(words, n, k), 8 if rows.high.size else 4
        header = np.array([_MAGIC, _VERSION, n, k, width, zlib.crc32(pac), 0, 0], np.int64)
        used = header.nbytes + first.nbytes
        at, size = _rounded(used, 4096), _sa_size(n, width)
        write(main, header, first, bytes(at - used), step.search_rows(rows, threads))
        write(main, bytes(_rounded(size, 8) - size), words)
        del rows, bwt
        sa = _map(main.path)[at : at + size].view(_SA_KINDS[width])
        write(main, step.unique_lengths(words, n, sa, threads))


def _map(path, least=0) -> np.ndarray:
    """A file as uint8, memory mapped (copy on write: kernels are compiled once, for writable arrays)."""
    try:
        with open(path, "rb") as f:
            size = os.fstat(f.fileno()).st_size
            if size < max(least, 1):
                raise InputError(path, f"is truncated ({size} bytes), expected an index file of bwa 0.7")
            return np.frombuffer(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY), np.uint8)
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror}") from None


def _read_ann(path):
    """(L, names, comments, offsets, lengths) of a `.ann` file."""
    try:
        with open(path) as f:
            lines = f.read().split("\n")
        total, count, _ = (int(x) for x in lines[0].split())
        names, comments, spans = [], [], []
        for i in range(count):  # contigs
            _, name, *comment = lines[1 + 2 * i].split(" ", 2)
            names.append(name)
            comments.append(comment[0] if comment and comment[0] != "(null)" else None)
            spans.append([int(x) for x in lines[2 + 2 * i].split()[:2]])
        offsets, lengths = np.array(spans, np.int64).reshape(-1, 2).T.copy()
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror}") from None
    except (ValueError, IndexError):
        raise InputError(path, "is not an .ann file of bwa index") from None
    if count == 0 or total != lengths.sum() or (offsets != np.cumsum(lengths) - lengths).any():
        raise InputError(path, "contradicts itself: the lengths of its contigs do not add up")
    return total, names, comments, offsets, lengths


def _read_pac(path, total) -> np.ndarray:
    """The bytes of a `.pac` file, memory mapped."""
    pac = _map(path)
    if pac.size != (total + 3) // 4 + (2 if total % 4 == 0 else 1) or pac[-1] != total % 4:
        raise InputError(path, f"does not belong to the .ann file beside it, which has {total} bases")
    return pac


def _read_bwt(prefix, packed) -> Bwt:
    body = _map(f"{prefix}.bwt", 72)
    sampled = _map(f"{prefix}.sa", 56)
    head, sa_head = body[:40].view(np.uint64), sampled[:56].view(np.uint64)
    n = 2 * packed.length
    totals = np.cumsum(step.base_counts(packed.words, n))
    if (head[1:].astype(np.int64) != totals).any():
        raise InputError(f"{prefix}.bwt", "does not belong to the .pac file beside it: their base counts differ")
    if body.size != 40 + (n + 127) // 128 * 32 + (n + 15) // 16 * 4 + 32:
        raise InputError(f"{prefix}.bwt", "is truncated or from another version than bwa 0.7")
    if (sa_head[:5] != head).any() or sa_head[6] != n:
        raise InputError(f"{prefix}.sa", "does not belong to the .bwt file beside it")
    if sa_head[5] != step.kernel.SAMPLING or sampled.size != 56 + 8 * ((n + 32) // 32 - 1):
        raise InputError(f"{prefix}.sa", "is truncated or not made by `bwa index` (every 32nd row expected)")
    if sampled.size > 56 and int(sampled[56:].view(np.uint64).max()) > n:
        raise InputError(f"{prefix}.sa", "is damaged: it has a position beyond the reference")
    return Bwt(int(head[0]), head[1:].copy(), [body[40:].view(np.uint32)], [sampled[56:].view(np.uint64)])


def _read_search(path, contigs, crc, threads) -> SearchIndex:
    total, names, comments, offsets, lengths = contigs
    data = _map(path, 64)
    magic, version, n, k, width, digest = (int(x) for x in data[:48].view(np.int64))
    if magic != _MAGIC or not 1 <= version <= _VERSION:
        raise InputError(path, "is from another version of gpugenome: remove it, or run `gpugenome index` again")
    if n != 2 * total or digest != crc:
        raise InputError(path, "belongs to another reference than the .pac file beside it: run `gpugenome index` again")
    if width not in _SA_KINDS:
        raise InputError(path, "is damaged: run `gpugenome index` again")
    kind = np.uint32 if n < 2**32 - 1 else np.int64
    table_end = 64 + (4**k + 1) * kind().itemsize
    at = _rounded(table_end, 4096)
    end = at + _sa_size(n, width)
    words_at = at + _rounded(end - at, 8)
    unique_at = words_at + 8 * (n // 32 + 3)
    if data.size != unique_at + (n if version > 1 else 0):
        raise InputError(path, "is truncated: run `gpugenome index` again")
    words, sa = data[words_at:unique_at].view(np.uint64), data[at:end].view(_SA_KINDS[width])
    unique = data[unique_at:] if version > 1 else step.unique_lengths(words, n, sa, threads)
    return SearchIndex(
        names, comments, offsets, lengths, total, words, sa, k, data[64:table_end].view(kind), unique
    )  # fmt: skip


def read_index(prefix, threads: int = 1) -> SearchIndex:
    """The index beside a reference: `.search` by memory map where it is, else the full suffix array made from bwa's files in memory.

    Raises
    ------
    InputError: a file is missing, damaged, of another version, or belongs to another reference than its neighbours.
    """
    contigs = _read_ann(f"{prefix}.ann")
    pac = _read_pac(f"{prefix}.pac", contigs[0])
    if os.path.exists(f"{prefix}.search"):
        return _read_search(f"{prefix}.search", contigs, zlib.crc32(pac), threads)
    total, names, comments, offsets, lengths = contigs
    codes = np.empty(total, np.uint8)
    step.kernel.unpack_pac(0, total, pac, codes)
    packed = PackedReference(
        step.doubled_words(codes, threads), total, np.empty((0, 3), np.int64), names, comments, offsets, lengths
    )  # fmt: skip
    return step.search_index(packed, step.expand(_read_bwt(prefix, packed), threads), threads)


def has_index(prefix) -> bool:
    """Whether bwa's files, or ours, stand beside a reference."""
    return all(os.path.exists(f"{prefix}{s}") for s in (".ann", ".pac")) and (
        os.path.exists(f"{prefix}.search") or all(os.path.exists(f"{prefix}{s}") for s in (".bwt", ".sa"))
    )


def read_alt(prefix, names) -> np.ndarray:
    """bool[contigs]: those that the `.alt` file beside an index lists; none where there is no such file."""
    alt = np.zeros(len(names), bool)
    try:
        with open(f"{prefix}.alt") as f:
            listed = {line.split("\t")[0].rstrip("\r\n") for line in f if not line.startswith("@")}
    except FileNotFoundError:
        return alt
    except OSError as e:
        raise InputError(f"{prefix}.alt", f"cannot be read: {e.strerror}") from None
    return np.array([name in listed for name in names])


def check_reference(index: SearchIndex, reference, prefix) -> None:
    """Refuse an index whose contigs or bases are not those of the FASTA (`io.fasta.Reference`).

    Raises
    ------
    InputError: the reference has changed since it was indexed.
    """
    if index.names != reference.names or (index.lengths != reference.lengths).any():
        raise InputError(f"{prefix}.ann", f"has other contigs than {reference.path}: index the reference again")
    if not np.array_equal(pack(reference).words, index.words):
        raise InputError(f"{prefix}.pac", f"has other bases than {reference.path}: index the reference again")
