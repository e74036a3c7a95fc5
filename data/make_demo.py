"""Make the demo data: a small made genome, a diploid truth, reads of two lanes, known sites. Fixed seed, numpy only.

    python data/make_demo.py [FOLDER]        # needs pysam for bgzip and tabix

The genome has what makes calling hard: diverged repeat families, a tandem duplication, homopolymers, short tandem repeats,
an N run and soft-masked (lower-case) bases. The reads have binned qualities whose real error rates differ from what they
claim (so recalibration has work), adapters where fragments are short, PCR and optical duplicates, chimeras and foreign reads.
`make_golden.sh` then runs the real tools on it.
"""

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pysam

SEED = 20261124
CONTIGS = {"demo1": 200_000, "demo2": 50_000}
COVERAGE = 27
READ_LENGTH = 150
SAMPLE = "DEMO"
BASES = np.frombuffer(b"ACGT", np.uint8)
COMPLEMENT = np.zeros(256, np.uint8)
for _a, _b in zip(b"ACGTN", b"TGCAN"):
    COMPLEMENT[_a] = _b
ADAPTERS = (
    np.frombuffer(b"AGATCGGAAGAGCACACGTCTGAACTCCAGTCAC" + b"A" * READ_LENGTH, np.uint8),
    np.frombuffer(b"AGATCGGAAGAGCGTCGTGTAGGGAAAGAGTGT" + b"A" * READ_LENGTH, np.uint8),
)
QUALITY_BINS = np.array([2, 12, 23, 37], np.uint8)
REAL_QUALITY = np.array([3.0, 11.0, 21.0, 33.0])  # what the four claimed qualities are really worth


def random_bases(rng, n, gc=0.42):
    return rng.choice(BASES, n, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])


def mutate(rng, seq, rate):
    seq = seq.copy()
    hit = rng.random(len(seq)) < rate
    seq[hit] = random_bases(rng, int(hit.sum()))
    return seq


def make_contig(rng, length, families):
    """Upper-case sequence, a mask of repeats, and the loci (start, unit length, copies) of tandem repeats."""
    seq = np.concatenate([random_bases(rng, 5000, rng.uniform(0.34, 0.55)) for _ in range(length // 5000)])
    mask = np.zeros(length, bool)
    loci = []
    for family in families:
        for at in rng.integers(1000, length - 1500, length // 12_000):
            copy = mutate(rng, family, rng.uniform(0.01, 0.18))
            if rng.random() < 0.5:
                copy = COMPLEMENT[copy[::-1]]
            seq[at : at + len(copy)] = copy
            mask[at : at + len(copy)] = True
    source = length // 3
    seq[source + 2000 : source + 4000] = mutate(rng, seq[source : source + 2000], 0.01)
    for at in np.sort(rng.choice(np.arange(800, length - 800, 200), length // 900, replace=False)):
        unit_length = int(rng.choice([1, 1, 2, 2, 3, 4, 5]))
        copies = int(rng.integers(7, 19)) if unit_length == 1 else int(rng.integers(5, 16))
        unit = random_bases(rng, unit_length)
        seq[at : at + unit_length * copies] = np.tile(unit, copies)
        loci.append((int(at), unit_length, copies))
    seq[:120] = ord("N")
    seq[length // 2 : length // 2 + 300] = ord("N")
    return seq, mask, loci


def make_variants(rng, seq, loci):
    """Non-overlapping variants (pos, ref, [alts], genotype of two alleles), sorted, at least 1 base apart."""
    n = len(seq)
    taken = np.zeros(n + 400, bool)
    out = []

    def place(pos, ref_length, alts, genotype):
        span = slice(pos - 1, pos + ref_length + 1)
        ref = seq[pos : pos + ref_length].tobytes().decode()
        if pos < 300 or pos + ref_length > n - 300 or taken[span].any() or "N" in ref or ref in alts or len(set(alts)) < len(alts):
            return
        taken[span] = True
        out.append((pos, ref, alts, genotype))

    def genotype(alts=1):
        if alts == 2:
            return (1, 2) if rng.random() < 0.5 else (2, 1)
        return [(1, 1), (0, 1), (1, 0)][rng.choice(3, p=[0.38, 0.31, 0.31])]

    def other(base):
        return chr(rng.choice([b for b in b"ACGT" if b != base]))

    def small(pos):
        """A SNP or a short indel at pos."""
        base = int(seq[pos])
        kind = rng.random()
        if kind < 0.8:
            place(pos, 1, [other(base)], genotype())
        elif kind < 0.9:
            place(pos, 1, [chr(base) + random_bases(rng, int(rng.geometric(0.3))).tobytes().decode()], genotype())
        else:
            place(pos, 1 + int(rng.geometric(0.25)), [chr(base)], genotype())

    for at in rng.integers(300, n - 300, n // 4000):  # clusters
        for pos in at + np.unique(rng.integers(0, 40, int(rng.integers(3, 7)))):
            small(int(pos))
    for at in rng.integers(300, n - 300, n // 9000):  # two different alternate alleles
        base = int(seq[at])
        if rng.random() < 0.5:
            place(int(at), 1, list(dict.fromkeys([other(base), other(base)]))[:2], genotype(2))
        else:
            insert = random_bases(rng, int(rng.integers(2, 9))).tobytes().decode()
            place(int(at), 1, [chr(base) + insert, other(base)], genotype(2))
    for start, unit, copies in loci:  # repeat length changes
        if rng.random() < 0.3:
            change = unit * int(rng.integers(1, 4))
            anchor = start - 1
            if rng.random() < 0.5 and copies * unit > change:
                place(anchor, 1 + change, [chr(seq[anchor])], genotype())
            else:
                place(anchor, 1, [chr(seq[anchor]) + seq[start : start + change].tobytes().decode()], genotype())
    for at in rng.integers(300, n - 300, n // 40_000):  # larger indels
        size = int(rng.integers(25, 110))
        if rng.random() < 0.5:
            place(int(at), 1 + size, [chr(seq[at])], genotype())
        else:
            place(int(at), 1, [chr(seq[at]) + random_bases(rng, size).tobytes().decode()], genotype())
    for pos in rng.integers(300, n - 300, n // 900):
        small(int(pos))
    out = [(p, r, a, g if len(a) == 2 or max(g) < 2 else (0, 1)) for p, r, a, g in out]
    return sorted(out, key=lambda v: v[0])


def haplotype(seq, variants, copy):
    parts, at = [], 0
    for pos, ref, alts, genotype in variants:
        allele = genotype[copy]
        if allele:
            parts += [seq[at:pos], np.frombuffer(alts[allele - 1].encode(), np.uint8)]
            at = pos + len(ref)
    return np.concatenate([*parts, seq[at:]])


def fragments(rng, hap, n):
    length = np.clip(rng.normal(380, 95, n).astype(np.int64), 60, 900)
    start = (rng.random(n) * (len(hap) - length)).astype(np.int64)
    return start, length


def read_bases(hap, start, length, mate):
    """Bases [n, READ_LENGTH] of one end of each fragment, running into the adapter where the fragment is short."""
    j = np.arange(READ_LENGTH)
    inside = j < length[:, None]
    at = start[:, None] + j if mate == 0 else (start + length - 1)[:, None] - j
    bases = hap[np.clip(at, 0, len(hap) - 1)]
    if mate:
        bases = COMPLEMENT[bases]
    tail = np.clip(j - length[:, None], 0, None)
    return np.where(inside, bases, ADAPTERS[mate][tail])


def add_errors(rng, bases):
    """Binned qualities that fall along the read, and substitutions (a few single-base indels) at the bins' real rates."""
    n, length = bases.shape
    slope = np.linspace(0.0, 1.0, length) ** 2
    bad = 0.02 + 0.16 * slope + rng.gamma(0.5, 0.04, (n, 1))
    u = rng.random((n, length))
    level = np.where(u > bad, 3, np.where(u > bad * 0.35, 2, np.where(u > bad * 0.06, 1, 0)))
    context = np.zeros((n, length), bool)  # after GG errors are more frequent: a context covariate to find
    context[:, 2:] = (bases[:, 1:-1] == ord("G")) & (bases[:, :-2] == ord("G"))
    rate = 10 ** (-REAL_QUALITY[level] / 10) * np.where(context, 2.5, 1.0)
    wrong = rng.random((n, length)) < rate
    out = bases.copy()
    step = rng.integers(1, 4, int(wrong.sum()))
    code = np.searchsorted(BASES, out[wrong])
    out[wrong] = BASES[(np.minimum(code, 3) + step) % 4]
    out[bases == ord("N")] = ord("N")
    slip = np.flatnonzero(rng.random(n) < 0.01)  # polymerase slips: one base lost
    for_slip = rng.integers(20, length - 20, len(slip))
    j = np.arange(length)
    source = np.minimum(j + (j >= for_slip[:, None]), length - 1)
    out[slip] = np.take_along_axis(out[slip], source, 1)
    quals = QUALITY_BINS[level]
    n_base = rng.random((n, length)) < 0.0004
    out[n_base] = ord("N")
    quals[out == ord("N")] = 2
    return out, quals


def write_fastq(path, lane, names, bases, quals, bgzip):
    text = b"".join(
        b"@" + name + b"\n" + b.tobytes() + b"\n+\n" + (q + 33).tobytes() + b"\n" for name, b, q in zip(names, bases, quals)
    )
    if bgzip:
        with pysam.BGZFile(str(path), "wb") as f:
            f.write(text)
    else:
        with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="", compresslevel=9) as f:
            f.write(text)


def write_vcf(path, lines):
    plain = path.with_suffix("")
    plain.write_text("".join(lines))
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), preset="vcf", force=True)
    plain.unlink()


def main(folder):
    rng = np.random.default_rng(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    families = [random_bases(rng, length) for length in (300, 420, 650)]
    header = ["##fileformat=VCFv4.2\n", *[f"##contig=<ID={n},length={s}>\n" for n, s in CONTIGS.items()]]
    truth = [*header, '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n',
             f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{SAMPLE}\n"]  # fmt: skip
    known = [*header, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"]
    fasta, ends, serial = [], ([], []), 0
    for contig, length in CONTIGS.items():
        seq, mask, loci = make_contig(rng, length, families)
        variants = make_variants(rng, seq, loci)
        soft = np.where(mask & (seq != ord("N")), seq | 0x20, seq).astype(np.uint8)
        lines = [soft[i : i + 60].tobytes().decode() for i in range(0, length, 60)]
        fasta.append(f">{contig}\n" + "\n".join(lines) + "\n")
        sites = {}
        for pos, ref, alts, (a, b) in variants:
            truth.append(f"{contig}\t{pos + 1}\t.\t{ref}\t{','.join(alts)}\t.\tPASS\t.\tGT\t{a}|{b}\n")
            if rng.random() < 0.8:
                sites[pos] = (ref, ",".join(alts))
        for pos in rng.integers(300, length - 300, length // 1200):  # sites known in the population, absent here
            if chr(seq[pos]) != "N" and int(pos) not in sites:
                sites[int(pos)] = (chr(seq[pos]), chr(rng.choice([b for b in b"ACGT" if b != seq[pos]])))
        for pos in sorted(sites):
            serial += 1
            known.append(f"{contig}\t{pos + 1}\trs{90000 + serial}\t{sites[pos][0]}\t{sites[pos][1]}\t.\t.\t.\n")
        for copy in (0, 1):
            hap = haplotype(seq, variants, copy)
            n = int(length * COVERAGE / 2 / (2 * READ_LENGTH))
            start, size = fragments(rng, hap, n)
            flip = rng.random(n) < 0.5
            first, second = (read_bases(hap, start, size, m) for m in (0, 1))
            swapped = np.where(flip[:, None], second, first), np.where(flip[:, None], first, second)
            chimera = np.flatnonzero(rng.random(n) < 0.003)
            swapped[1][chimera] = swapped[1][rng.permutation(chimera)]
            for e in (0, 1):
                ends[e].append(swapped[e])
    foreign = int(sum(len(x) for x in ends[0]) * 0.004)
    for e in (0, 1):
        ends[e].append(random_bases(rng, foreign * READ_LENGTH).reshape(foreign, READ_LENGTH))
    clean = [np.concatenate(e) for e in ends]
    order = rng.permutation(len(clean[0]))
    clean = [c[order] for c in clean]
    # Copies: PCR duplicates anywhere on their lane's flow cell, optical duplicates beside their original.
    n = len(clean[0])
    copied = rng.random(n)
    pcr, optical = np.flatnonzero(copied < 0.05), np.flatnonzero((copied >= 0.05) & (copied < 0.065))
    origin = np.concatenate([np.arange(n), pcr, optical])
    lane = rng.integers(1, 3, len(origin))
    tile = rng.choice([1101, 1102, 1216, 2104, 2211], len(origin))
    x, y = rng.integers(1000, 32_000, len(origin)), rng.integers(1000, 36_000, len(origin))
    o = np.arange(n + len(pcr), len(origin))
    lane[o], tile[o] = lane[optical], tile[optical]
    x[o], y[o] = x[optical] + rng.integers(-60, 61, len(o)), y[optical] + rng.integers(-60, 61, len(o))
    read = [add_errors(rng, c[origin]) for c in clean]
    # A sequencer writes cluster by cluster: by lane, tile, x.
    by_place = np.lexsort((y, x, tile, lane))
    for number in (1, 2):
        rows = by_place[lane[by_place] == number]
        names = [f"DEMOSEQ:7:HDEMOCXX:{number}:{tile[i]}:{x[i]}:{y[i]}".encode() for i in rows]
        for e in (0, 1):
            bases, quals = read[e]
            path = folder / f"demo_L00{number}_R{e + 1}.fastq.gz"
            write_fastq(path, number, names, bases[rows], quals[rows], bgzip=number == 2)
    plain = folder / "reference.fa"
    plain.write_text("".join(fasta))
    pysam.tabix_compress(str(plain), str(plain) + ".gz", force=True)
    plain.unlink()
    write_vcf(folder / "truth.vcf.gz", truth)
    write_vcf(folder / "known_sites.vcf.gz", known)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))))
