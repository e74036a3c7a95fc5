"""Our HaplotypeCaller against the real one on made, nasty reads: VCF and GVCF, bodies and headers byte by byte.

    python benchmarks/fuzz_caller.py FOLDER [--seeds 1-40] [--threads 2] [--show 3]

A seed makes a genome of three small contigs (runs of N, IUPAC and lower-case letters, tandem repeats, a copied stretch), one to three
samples with read groups of their own, and reads of them, aligned by bwa mem: 36 to 250 bases, single or in pairs that overlap and
disagree, chimeras (supplementary alignments, long clips), low-quality tails, stretches deep enough for downsampling, contig ends; then
some alignments get other mapping qualities, flags, template lengths, = and X in CIGARs. A line a run, as differential_caller.py prints.
Exit code 1 where one differs. Needs GATK (environment variable GATK, else ../shared/tools/get-gatk), samtools, bwa.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pysam

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from differential_caller import GVCF, Gatk, Set, run_set, sh  # noqa: E402
from harness import find_gatk  # noqa: E402

LETTERS = np.frombuffer(b"ACGT", np.uint8)
COMPLEMENT = np.arange(256, dtype=np.uint8)
COMPLEMENT[LETTERS] = LETTERS[::-1]
CONTIGS = {"c1": 7000, "c2": 2500, "c3": 420}
OPTIONS = [
    "", "", "", "", "-ploidy 1", "-ploidy 3", "--min-pruning 1", "--max-reads-per-alignment-start 3", "-mbq 20", "--pcr-indel-model NONE",
    "--dont-use-soft-clipped-bases", "--minimum-mapping-quality 0", "--max-mnp-distance 2", "-stand-call-conf 0", "--adaptive-pruning",
    "--soft-clip-low-quality-ends", "--output-mode EMIT_ALL_ACTIVE_SITES", "--max-alternate-alleles 2", "--recover-all-dangling-branches",
]  # fmt: skip


def made_contig(rng, length):
    """Upper-case bases with tandem repeats and a stretch that occurs twice, uint8."""
    bases = rng.choice(LETTERS, length)
    for _ in range(length // 700):
        unit = rng.choice(LETTERS, int(rng.integers(1, 7)))
        at, n = int(rng.integers(0, length - 100)), int(rng.integers(8, 60))
        bases[at : at + n] = np.resize(unit, n)
    if length > 2000:
        a, b = (int(x) for x in rng.integers(0, length - 300, 2))
        bases[b : b + 300] = bases[a : a + 300].copy()
    return bases


def dirtied(rng, bases):
    """The contig as its FASTA has it: N, IUPAC letters, lower case."""
    out = bases.copy()
    for letters, n, runs in ((b"N", int(rng.integers(1, 80)), 2), (b"RYSWKMBDHV", 1, 6), (b"N", 1, 2)):
        for _ in range(runs):
            at = int(rng.integers(0, len(out) - n))
            out[at : at + n] = rng.choice(np.frombuffer(letters, np.uint8), n)
    at = int(rng.integers(0, len(out) // 2))
    out[at : at + len(out) // 3] |= 32
    return out


def haplotype(rng, bases, rate):
    """Bases with substitutions and indels at a rate, some of them close together."""
    out, at = [], 0
    for x in np.flatnonzero(rng.random(len(bases)) < rate):
        if x < at:
            continue
        out.append(bases[at:x])
        kind, n = rng.random(), int(rng.geometric(0.25))
        at = x + 1
        if kind < 0.6:
            out.append(rng.choice(LETTERS, 1))
        elif kind < 0.8:
            out += [bases[x : x + 1], rng.choice(LETTERS, n)]
        else:
            at = x + n
    return np.concatenate([*out, bases[at:]])


def qualities(rng, n, best):
    """Qualities that fall towards the end of the read, at times to 2 for good."""
    qual = np.clip(best - rng.geometric(0.3, n) + 1 - np.arange(n) // 40, 2, 41)
    if rng.random() < 0.15:
        qual[n - int(rng.integers(1, n // 2)) :] = 2
    return qual.astype(np.uint8)


def sequenced(rng, bases, error, best):
    """(bases, qualities) of a read with substitutions, N, and at times an indel of its own."""
    out, qual = bases.copy(), qualities(rng, len(bases), best)
    wrong = rng.random(len(out)) < error
    out[wrong] = rng.choice(LETTERS, int(wrong.sum()))
    out[rng.random(len(out)) < 0.001] = 78
    if rng.random() < 5 * error:
        at = int(rng.integers(1, len(out) - 1))
        out = np.concatenate([out[:at], rng.choice(LETTERS, 1), out[at:-1]]) if rng.random() < 0.5 else np.delete(out, at)
    return out, qual[: len(out)]


def fragments(rng, haplotypes, depth, length, insert):
    """(contig's haplotype, start, size) of fragments: even depth, a deep stretch, ends of contigs, one start many times."""
    for haps in haplotypes:
        n = int(len(haps[0]) * depth / length / 2) + 4
        starts = [rng.integers(-insert // 2, len(haps[0]), n)]
        deep = int(rng.integers(0, len(haps[0])))
        starts.append(rng.integers(deep, deep + 150, int(rng.choice([0, 40, 400]))))
        starts.append(np.full(int(rng.choice([0, 0, 130])), int(rng.integers(0, len(haps[0])))))
        for start in np.concatenate(starts):
            hap = haps[int(rng.integers(len(haps)))]
            size = max(length // 2, int(rng.normal(insert, insert / 5)))
            begin = max(0, min(int(start), len(hap) - 30))
            yield hap, begin, min(size, len(hap) - begin)


def write_reads(rng, folder, name, haplotypes, paired):
    """FASTQ files of one read group."""
    depth, length = int(rng.choice([6, 20, 45])), int(rng.choice([36, 75, 100, 150, 250]))
    error, best, insert = float(rng.choice([0.001, 0.006, 0.025])), int(rng.choice([25, 37, 41])), int(rng.choice([130, 260, 420]))
    rows = [[], []]
    for i, (hap, begin, size) in enumerate(fragments(rng, haplotypes, depth, length, insert)):
        piece = hap[begin : begin + size]
        ends = [piece[:length], COMPLEMENT[piece[::-1][:length]]]
        if rng.random() < 0.03:  # a chimera
            other = haplotypes[0][0]
            at, n = int(rng.integers(0, len(other) - 20)), len(ends[0]) // 2
            ends[0] = np.concatenate([ends[0][:n], other[at : at + len(ends[0]) - n]])
        if rng.random() < 0.5:
            ends.reverse()
        for end, row in zip(ends if paired else ends[:1], rows):
            base, qual = sequenced(rng, end, error, best)
            row.append(f"@{name}.{i}\n{base.tobytes().decode()}\n+\n{(qual + 33).tobytes().decode()}\n")
    for e in range(1 + paired):
        (folder / f"{name}_{e}.fq").write_text("".join(rows[e]))


def changed(rng, read):
    """An alignment with some fields changed."""
    if rng.random() < 0.08:
        read.mapping_quality = int(rng.choice([0, 3, 19, 20, 21, 40, 60, 255]))
    for flag, p in ((1024, 0.04), (512, 0.01)):
        if rng.random() < p:
            read.flag |= flag
    if rng.random() < 0.02:
        read.template_length = int(rng.integers(-500, 500))
    if read.cigartuples and rng.random() < 0.03:
        read.cigartuples = [(int(rng.choice([7, 8])) if op == 0 else op, n) for op, n in read.cigartuples]
    if not read.is_unmapped and rng.random() < 0.02 and [op for op, _ in read.cigartuples] == [0]:
        n = read.query_length
        left, right = (int(x) for x in rng.integers(0, n // 3, 2))
        read.reference_start += left
        read.cigartuples = [(op, k) for op, k in ((4, left), (0, n - left - right), (4, right)) if k]
    return read


def make_case(seed, folder):
    """Reference and reads of a seed in FOLDER: NAME.fa, NAME.bam; returns the samples."""
    rng, name = np.random.default_rng(seed), f"s{seed}"
    contigs = {c: made_contig(rng, n) for c, n in CONTIGS.items()}
    fasta = {c: dirtied(rng, bases).tobytes().decode() for c, bases in contigs.items()}
    (folder / f"{name}.fa").write_text("".join(f">{c}\n{s}\n" for c, s in fasta.items()))
    sh(f"samtools faidx {name}.fa; rm -f {name}.dict; samtools dict -o {name}.dict {name}.fa; bwa index {name}.fa 2> /dev/null", folder)
    samples, parts = [f"sample{i}" for i in range(int(rng.choice([1, 1, 2, 3])))], []
    rate = float(rng.choice([0.001, 0.005, 0.02]))
    for sample in samples:
        haplotypes = [[haplotype(rng, bases, rate) for _ in range(2)] for bases in contigs.values()]
        for lane in range(int(rng.integers(1, 3))):
            group, paired = f"{name}_{sample}_{lane}", rng.random() < 0.75
            write_reads(rng, folder, group, haplotypes, paired)
            files = " ".join(f"{group}_{e}.fq" for e in range(1 + paired))
            sh(f"bwa mem -t 1 -R '@RG\\tID:{group}\\tSM:{sample}\\tLB:l{lane}\\tPL:ILLUMINA' {name}.fa {files} 2> /dev/null > {group}.sam",
               folder)  # fmt: skip
            parts.append(f"{group}.sam")
    sh(f"samtools merge -f -o {name}.all.bam {' '.join(parts)} 2> /dev/null; rm {' '.join(parts)} {name}_*.fq", folder)
    with pysam.AlignmentFile(str(folder / f"{name}.all.bam")) as f, pysam.AlignmentFile(str(folder / f"{name}.raw.bam"), "wb", f) as out:
        for read in f:
            out.write(changed(rng, read))
    sh(f"samtools sort -o {name}.bam {name}.raw.bam; samtools index {name}.bam; rm {name}.raw.bam {name}.all.bam", folder)
    return samples, str(rng.choice(OPTIONS))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="1-40", help="first-last")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--show", type=int, default=3, help="differing lines to print of a run")
    args = parser.parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    gatk = find_gatk()
    if not gatk:
        sys.exit("not found: GATK")
    gatk, runs, failed = Gatk(gatk, folder), 0, 0
    first, last = (int(x) for x in args.seeds.split("-"))
    print(f"{'run':14} {'records':>8} {'differ':>7} {'header':>7}")
    for seed in range(first, last + 1):
        samples, options = make_case(seed, folder)
        one = "" if len(samples) == 1 else f"--sample-name {samples[0]} "
        for kind, text in (("vcf", options), ("gvcf", GVCF + one + options)):
            outcome, _, message = run_set(f"s{seed}.{kind}", Set((f"s{seed}",), text, region=""), folder, gatk, args)
            runs += 1
            good = outcome is not None and not (outcome.differing or outcome.header)
            failed += not good
            counts = f"{outcome.records:8} {outcome.differing:7} {outcome.header:7}" if outcome else message
            print(f"s{seed}.{kind:9} {counts}  {len(samples)} {text}", flush=True)
            for line in outcome.examples[: args.show] if outcome else ():
                print(f"    {line}", flush=True)
    print(f"{runs} runs, {failed} not identical")
    sys.exit(int(failed > 0))


if __name__ == "__main__":
    main()
