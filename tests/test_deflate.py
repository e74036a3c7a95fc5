"""Our own deflate (BGZF levels 1 and 2): zlib gives back what went in, and the file does not depend on how it was handed over."""

import ctypes
import errno
import gzip
import io

import numpy as np
import pytest

from gpugenome.errors import InputError, UserError
from gpugenome.io.bgzf import BLOCK_BYTES, BgzfWriter, compress
from gpugenome.kernels import bgzf_cpu

RANDOM = np.random.default_rng(5)


@pytest.fixture(params=(1, 2))
def level(request):
    return request.param


def fibonacci():
    """Counts that make a Huffman code as deep as it gets, so that codes must be cut to the limit."""
    counts = [1, 1]
    while sum(counts) + counts[-1] + counts[-2] < BLOCK_BYTES:
        counts.append(counts[-1] + counts[-2])
    values = np.repeat(np.arange(len(counts)), counts)
    RANDOM.shuffle(values)
    return values


INPUTS = {
    "zeros": np.zeros(BLOCK_BYTES),
    "two symbols": RANDOM.integers(0, 2, BLOCK_BYTES),
    "noise": RANDOM.integers(0, 256, 2 * BLOCK_BYTES),
    "text": np.frombuffer(b"".join(b"chr%d\t%d\tA\tG\n" % (i % 25, i * i) for i in range(30000)), np.uint8),
    "skewed": RANDOM.geometric(0.03, 100_000).clip(0, 255),
    "deep code": fibonacci(),
    "far matches": np.concatenate([RANDOM.integers(0, 256, 33_000)] * 4),
    "near matches": np.concatenate([RANDOM.integers(0, 256, 9000)] * 5),  # found late, with thousands of equal bytes before
    "long matches": np.repeat(RANDOM.integers(0, 256, 200), 700),
    "alphabets": np.concatenate([RANDOM.integers(a, b, BLOCK_BYTES) for a, b in ((0, 9), (40, 90), (5, 12))]),
    "rare literals": np.where(RANDOM.random(150_000) < 0.01, RANDOM.integers(0, 256, 150_000), RANDOM.integers(20, 28, 150_000)),
    # literals that are frequent in one block and rare in the next
    "changing literals": np.concatenate([
        RANDOM.integers(0, 9, BLOCK_BYTES),
        np.where(RANDOM.random(BLOCK_BYTES) < 0.04, RANDOM.integers(0, 9, BLOCK_BYTES), RANDOM.integers(20, 28, BLOCK_BYTES)),
    ]),
    # of the codes that are chosen by a sample of the literals, one that gives the others the longest codes, and one that leaves no room
    "unlike its sample": np.where(np.arange(2 * BLOCK_BYTES) % 32 < 8, 5, RANDOM.integers(6, 60, 2 * BLOCK_BYTES)),
    "six bits": RANDOM.integers(0, 64, 2 * BLOCK_BYTES),
    "short": np.arange(5000) % 7,
    "nothing": np.empty(0),
}


def reads(n):
    """Bytes like records: (data, begins and ends of noisy stretches)."""
    head = np.frombuffer(b"some fields that all the records share:", np.uint8)
    parts, quiet, at = [], [], 0
    for i in range(n):
        noise = RANDOM.choice(np.array([12, 23, 37, 38], np.uint8), int(RANDOM.integers(0, 300)), p=[0.1, 0.2, 0.4, 0.3])
        parts += [head, np.frombuffer(b"%d" % (i // 3), np.uint8), noise]
        end = at + sum(p.size for p in parts[-3:])
        quiet.append((end - noise.size, end))
        at = end
    return np.concatenate(parts), np.array(quiet, np.int64).T


def test_random_mixtures(level):
    """Pieces of all kinds in one block, of random sizes."""
    for _ in range(60):
        kinds = RANDOM.choice(list(INPUTS), int(RANDOM.integers(1, 12)))
        pieces = [INPUTS[k][int(RANDOM.integers(0, 500)) :][: int(RANDOM.integers(0, 30_000))] for k in kinds]
        data = np.concatenate(pieces).astype(np.uint8)
        assert gzip.decompress(compress(data, level, 1)) == data.tobytes()


@pytest.mark.parametrize("name", INPUTS)
def test_round_trip(name, level):
    data = INPUTS[name].astype(np.uint8)
    packed = compress(data, level, 1)
    assert gzip.decompress(packed) == data.tobytes()
    assert len(packed) < len(compress(data, 0, 1)) + 100
    if name in ("unlike its sample", "six bits"):  # neither stored nor left with the sample's codes
        assert len(packed) < 0.78 * len(data)


def written(data, quiet, pieces, threads, level):
    out = io.BytesIO()
    writer = BgzfWriter(out, "memory", level, threads)
    begin = 0
    for end in [*pieces, data.size]:
        if quiet is None:
            writer.write(data[begin:end])
        else:
            inside = quiet[:, (quiet[1] > begin) & (quiet[0] < end)].clip(begin, end) - begin
            writer.write(data[begin:end], inside)
        begin = end
    writer.finish()
    return out.getvalue()


def test_qualities(level):
    """Where the noisy bytes are known the file is smaller; pieces and threads do not show."""
    data, quiet = reads(20_000)
    whole = written(data, quiet, [], 1, level)
    assert gzip.decompress(whole) == data.tobytes()
    assert len(whole) < 0.97 * len(written(data, None, [], 1, level))
    ends = quiet[1, RANDOM.integers(0, quiet.shape[1], 300)]
    for pieces in (np.unique(ends), np.unique(ends[:3]), [10, 20, 2_300_000]):
        assert written(data, quiet, [int(p) for p in pieces], 3, level) == whole


def test_qualities_that_repeat(level):
    """Matches among base qualities are looked for where they are worth it: here each is one of a few, though without runs."""
    few = RANDOM.integers(20, 40, (40, 150)).astype(np.uint8)
    rest = RANDOM.integers(0, 4, (20_000, 100)).astype(np.uint8)
    data = np.concatenate([rest, few[RANDOM.integers(0, 40, len(rest))]], axis=1).ravel()
    end = np.arange(1, len(rest) + 1) * 250
    told = written(data, np.stack([end - 150, end]), [], 2, level)
    assert gzip.decompress(told) == data.tobytes()
    assert len(told) < 1.01 * len(written(data, None, [], 1, level)) < 0.5 * len(data)


@pytest.mark.parametrize("blocks", (1, 3))
def test_codes_for_other_blocks(blocks, level):
    """A block unlike the one that its codes were made for gets its own: the file is not much larger than its parts by themselves."""
    kinds = [RANDOM.integers(a, a + 8, blocks * BLOCK_BYTES).astype(np.uint8) for a in (0, 200, 100, 0)]
    whole = compress(np.concatenate(kinds), level, 1)
    assert gzip.decompress(whole) == np.concatenate(kinds).tobytes()
    assert len(whole) < 1.1 * sum(len(compress(k, level, 1)) for k in kinds)


@pytest.mark.parametrize("threads", (1, 2))
def test_failure_to_write(threads):
    """A disk that fills up is said, whichever thread writes."""

    class Full(io.BytesIO):
        def write(self, data):
            if self.tell():
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    writer = BgzfWriter(Full(), "x.bam", 1, threads)
    with pytest.raises(InputError, match=r"x\.bam.*No space left"):
        for _ in range(3):
            writer.write(RANDOM.integers(0, 256, 40 * BLOCK_BYTES).astype(np.uint8))
        writer.finish()


def test_no_libdeflate(monkeypatch):
    def none(name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", none)
    with pytest.raises(UserError, match="pip install deflate"):
        bgzf_cpu._library()
