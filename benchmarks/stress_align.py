"""Stress of `gpugenome align`: made reads of every nasty kind, whose records must be those of bwa mem 0.7.17, line by line.

    python benchmarks/stress_align.py FOLDER [--reference FASTA] [--pairs 1000000] [--seed 1] [--threads 2,1] [--options "-K 10000000"]

The reference is that of a FASTA file (without one: 2 Mb at random) and a made contig of duplicated segments, tandem repeats and N runs.
The reads, of 36 to 300 bases, come from a donor with SNPs, indels, and pieces moved and turned round (chimeras); they have errors and
gaps, adapters read through, N runs, poor ends, cut lengths, mates turned or lost. Both programs' records stream past each other as
`samtools view` prints them; the first lines that differ are shown. With further thread counts, digests of 100,000 lines are compared.
Needs bwa 0.7.17 and samtools; exit status 1 if any line differs.
"""

import argparse
import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np

LETTERS = np.frombuffer(b"ACGTN", np.uint8)
LENGTHS = (36, 50, 75, 100, 125, 150, 200, 250, 300)
BLOCK_PAIRS = 5000
BLOCK_LINES = 100_000
ADAPTERS = b"AGATCGGAAGAGCACACGTCTGAACTCCAGTCA", b"AGATCGGAAGAGCGTCGTGTAGGGAAAGAGTGT"
CODE = np.full(256, 4, np.uint8)
CODE[np.frombuffer(b"ACGTacgt", np.uint8)] = np.tile(np.arange(4, dtype=np.uint8), 2)
DIGITS = 9


def read_fasta(path):
    """Codes of the sequences of a FASTA file, one after the other."""
    lines = Path(path).read_bytes().split(b"\n")
    return CODE[np.frombuffer(b"".join(line for line in lines if not line.startswith(b">")), np.uint8)]


def turned(codes):
    return np.where(codes < 4, 3 - codes, codes)[..., ::-1]


def mutated(rng, codes, snps, gaps):
    """Codes with substitutions and with insertions and deletions of 1 to 30 bases."""
    out = codes.copy()
    hit = rng.random(len(out)) < snps
    out[hit] = rng.integers(0, 4, int(hit.sum()))
    times = np.ones(len(out), np.int64)
    for at in np.flatnonzero(rng.random(len(out)) < gaps):
        n = int(min(30, rng.geometric(0.3)))
        if rng.random() < 0.5:
            times[at : at + n] = 0
        else:
            times[at] = 1 + n
    added = np.repeat(np.arange(len(out)), times)
    again = np.concatenate([[False], added[1:] == added[:-1]])
    out = out[added]
    out[again] = rng.integers(0, 4, int(again.sum()))
    return out


def repeats(rng, base):
    """A contig of duplicated segments, tandem repeats and N runs."""
    parts = []
    for _ in range(60):
        n = int(rng.integers(500, 15_000))
        at = int(rng.integers(0, len(base) - n))
        copy = mutated(rng, base[at : at + n], rng.choice([0.0, 0.002, 0.01, 0.03]), 0.001)
        unit = rng.integers(0, 4, int(rng.integers(1, 45))).astype(np.uint8)
        tandem = mutated(rng, np.tile(unit, int(rng.integers(20, 1500)) // len(unit) + 2), rng.choice([0.0, 0.01]), 0.0005)
        parts += [copy if rng.random() < 0.6 else turned(copy), tandem, rng.integers(0, 4, 300).astype(np.uint8)]
        if rng.random() < 0.3:
            parts.append(np.full(int(rng.integers(1, 900)), 4, np.uint8))
    return np.concatenate(parts)


def write_reference(path, contigs):
    with open(path, "wb") as f:
        for name, codes in contigs.items():
            f.write(b">%s\n" % name.encode())
            text = LETTERS[codes].tobytes()
            f.writelines(text[i : i + 70] + b"\n" for i in range(0, len(text), 70))


def donor_of(rng, contigs):
    """All contigs with variants, cut into pieces of which a part is moved and turned round."""
    whole = np.concatenate([mutated(rng, c, 0.002, 0.0004) for c in contigs])
    pieces = np.array_split(whole, np.sort(rng.integers(0, len(whole), 600)))
    moved = rng.permutation(len(pieces))[:300]
    for a, b in zip(moved, rng.permutation(moved)):
        pieces[a], pieces[b] = pieces[b], turned(pieces[a]) if a % 3 == 0 else pieces[a]
    return np.concatenate(pieces)


def _gapped(rng, index, share):
    """Columns of each read with a gap in a share of the reads; the donor's positions jump ahead or stand still."""
    n, length = index.shape
    size = np.where(rng.random(n) < share, rng.integers(-6, 7, n), 0)
    place = rng.integers(0, length, n)
    after = np.arange(length) >= place[:, None]
    return index + np.where(after, size[:, None], 0)


def _spoiled(rng, reads, length):
    """Errors, N runs, poor ends and other letters in reads (uint8[n, length], changed). Returns the lengths of the reads."""
    n = len(reads)
    rate = rng.choice([0.001, 0.01, 0.06], n, p=[0.6, 0.3, 0.1])
    wrong = rng.random(reads.shape, np.float32) < rate[:, None]
    reads[wrong] = rng.integers(0, 4, int(wrong.sum()))
    column = np.arange(length)

    def span(share, longest):
        begin, size = rng.integers(0, length, n), rng.integers(1, longest + 1, n)
        chosen = rng.random(n) < share
        return chosen[:, None] & (column >= begin[:, None]) & (column < (begin + size)[:, None])

    reads[span(0.03, length // 2)] = 4
    reads[span(0.02, length)] = rng.integers(0, 4)
    noise = span(0.03, length)
    reads[noise] = rng.integers(0, 4, int(noise.sum()))
    cut = np.where(rng.random(n) < 0.05, rng.integers(1, length + 1, n), length)
    return cut


def read_pairs(rng, donor, n, length):
    """(reads, lengths) of both ends of n pairs: uint8[n, length], int64[n]."""
    insert = np.maximum(length, (rng.normal(2.2 * length + 100, 0.2 * length + 20, n)).astype(np.int64))
    at = rng.integers(0, len(donor) - 12 * length - 500, n)
    column = np.arange(length)
    first = donor[_gapped(rng, at[:, None] + column, 0.03).clip(0)]
    away = np.where(rng.random(n) < 0.02, rng.integers(0, len(donor) - 12 * length - 500, n), at + insert - length)
    second = turned(donor[_gapped(rng, away[:, None] + column, 0.03).clip(0)])
    for k in np.flatnonzero(rng.random(n) < 0.05):  # fragments shorter than the reads
        size = int(rng.integers(min(20, length - 1), length))
        fragment = first[k, :size].copy()
        for read, bases, adapter in ((first[k], fragment, ADAPTERS[0]), (second[k], turned(fragment), ADAPTERS[1])):
            tail = CODE[np.frombuffer(adapter * (length // len(adapter) + 1), np.uint8)]
            read[:size], read[size:] = bases, tail[: length - size]
    odd = rng.random(n) < 0.02
    second[odd] = turned(second[odd])
    ends = [(first, _spoiled(rng, first, length)), (second, _spoiled(rng, second, length))]
    return ends if rng.random() < 0.5 else ends[::-1]


def fastq_text(rng, number, reads, lengths):
    """FASTQ records of reads that are numbered from `number` on."""
    n, length = reads.shape
    names = (number + np.arange(n))[:, None] // 10 ** np.arange(DIGITS - 1, -1, -1) % 10
    column = np.arange(length) < lengths[:, None]
    one = np.ones((n, 1), bool)
    letters = [np.full((n, 1), ord(c), np.uint8) for c in "@r\n+"]
    at, r, newline, plus = letters
    qualities = rng.choice(np.frombuffer(b"#5?FI", np.uint8), reads.shape)
    rows = np.hstack([at, r, (48 + names).astype(np.uint8), newline, LETTERS[reads], newline, plus, newline, qualities, newline])
    kept = np.hstack([one, one, np.repeat(one, DIGITS, 1), one, column, one, one, one, column, one])
    return rows[kept].tobytes()


def make(folder, reference, pairs, seed):
    rng = np.random.default_rng(seed)
    base = read_fasta(reference) if reference else rng.integers(0, 4, 2_000_000).astype(np.uint8)
    contigs = {"base": base, "repeats": repeats(rng, base[base < 4])}
    write_reference(folder / "ref.fa", contigs)
    donor = donor_of(rng, list(contigs.values()))
    with open(folder / "r1.fq", "wb") as f1, open(folder / "r2.fq", "wb") as f2:
        for number in range(0, pairs, BLOCK_PAIRS):
            ends = read_pairs(rng, donor, min(BLOCK_PAIRS, pairs - number), int(rng.choice(LENGTHS)))
            for f, (reads, lengths) in zip((f1, f2), ends):
                f.write(fastq_text(rng, number, reads, lengths))


def blocks(command):
    """Blocks of BLOCK_LINES of the records that a shell command prints, as lists of lines."""
    with subprocess.Popen(["bash", "-c", "set -o pipefail; " + command], stdout=subprocess.PIPE) as process:
        while lines := list(itertools.islice(process.stdout, BLOCK_LINES)):
            yield lines
    if process.returncode:
        sys.exit(f"failed: {command}")


def digest(lines):
    return hashlib.md5(b"".join(lines)).hexdigest()


def show(a, b, most=3):
    for x, y in itertools.islice(((x, y) for x, y in itertools.zip_longest(a, b) if x != y), most):
        print("bwa:  ", (x or b"(none)").decode().rstrip("\n"))
        print("ours: ", (y or b"(none)").decode().rstrip("\n"), flush=True)


def compare(reference, reads, threads, options):
    """Number of lines that differ."""
    files = " ".join(str(p) for p in reads)
    bwa = f"bwa mem -t 2 {options} {reference} {files} 2> /dev/null | samtools view -"
    ours = (
        f"{sys.executable} -m gpugenome.cli align -R {reference} --fastq {files} -O -"
        f" --read-group '@RG\\tID:x\\tSM:y' --bwa-options '{options}' --threads {{}} | samtools view -x RG -"
    )
    digests, lines, different = [], 0, 0
    for a, b in itertools.zip_longest(blocks(bwa), blocks(ours.format(threads[0])), fillvalue=[]):
        digests.append(digest(a))
        lines += len(a)
        if digest(b) != digests[-1]:
            different += sum(x != y for x, y in itertools.zip_longest(a, b))
            show(a, b)
    print(f"{threads[0]} threads: {lines} records of bwa, {different} differ", flush=True)
    for t in threads[1:]:
        mine = [digest(b) for b in blocks(ours.format(t))]
        wrong = sum(x != y for x, y in itertools.zip_longest(digests, mine))
        print(f"{t} threads: {wrong} of {len(digests)} blocks of {BLOCK_LINES} records differ", flush=True)
        different += wrong
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reference")
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", default="2,1")
    parser.add_argument("--options", default="-K 10000000")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    make(chosen.folder, chosen.reference, chosen.pairs, chosen.seed)
    reference = chosen.folder / "ref.fa"
    subprocess.run(["bwa", "index", str(reference)], check=True, stderr=subprocess.DEVNULL)
    reads = [chosen.folder / "r1.fq", chosen.folder / "r2.fq"]
    sys.exit(int(compare(reference, reads, [int(t) for t in chosen.threads.split(",")], chosen.options) > 0))


if __name__ == "__main__":
    main()
