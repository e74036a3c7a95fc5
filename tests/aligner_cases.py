"""A small nasty reference and reads from it, for the aligner; run as a program it prints the digests that the installed bwa gives.

The reference has repeats in tandem and scattered, N and IUPAC letters, short contigs, and ALT contigs. Reads have errors, indels,
chimeras, random ends, N, lengths from 1 to that of the longest repeat; mates are lost, turned or elsewhere.
"""

import hashlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pysam

GROUP = r"@RG\tID:a\tSM:b"
CASES = {
    "-K 30000 -Y": "pairs", "-K 30000 -M -C": "pairs", "-a -j": "pairs", "-5 -j": "pairs", "-q -S": "pairs", "-P -T 20": "pairs",
    "-j -I 260,40,420,100": "pairs", "-B 3 -O 5 -E 2 -L 4 -U 9": "pairs", "-j -k 15 -w 20 -d 40 -c 50 -m 3": "pairs",
    "-A 2 -O 4,9 -E 2,1 -L 3,12": "pairs", "-h 2,30 -D 0.3 -r 1.1 -W 25": "pairs", "-k 11 -r 1 -X 0.3 -y 0 -s 3 -G 400": "pairs",
    "-K 20000 -j -Y": "interleaved", "-Y": "single", "-a": "single", "-j -T 20": "long",
}  # fmt: skip
"""Options: the reads they are tried on."""

_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def _bases(rng, n, letters="ACGT"):
    return "".join(rng.choices(letters, k=n))


def _turned(s):
    return s[::-1].translate(_COMPLEMENT)


def _mutated(rng, s, errors, gaps, long_gaps=0.0):
    out, i = [], 0
    while i < len(s):
        x = rng.random()
        if x < errors:
            out.append(rng.choice("ACGT"))
        elif x < errors + gaps:
            n = rng.randint(5, 60) if rng.random() < long_gaps else rng.randint(1, 4)
            if rng.random() < 0.5:
                i += n
            else:
                out.append(s[i] + _bases(rng, n))
        else:
            out.append(s[i])
        i += 1
    return "".join(out)


def _contigs(rng):
    """(contigs, ALT contigs): dicts of name to sequence."""
    scattered, many, core, unit = _bases(rng, 310), _bases(rng, 150), _bases(rng, 20000), _bases(rng, 7)
    spread = "".join(_mutated(rng, scattered, 0.02, 0.004) + _bases(rng, rng.randint(20, 400)) for _ in range(15))
    tandem = unit * 60 + _mutated(rng, unit * 80, 0.01, 0.01) + "AT" * 200
    main = {
        "a": core[:9000] + spread + _bases(rng, 3000),
        "b": _bases(rng, 2000) + "N" * 130 + _bases(rng, 2000) + tandem + _bases(rng, 900) + "n" * 7 + "R" + _bases(rng, 900)
        + scattered * 3 + _bases(rng, 900),
        "c": _mutated(rng, core[2000:7000], 0.01, 0.002, 0.2) + _bases(rng, 500) + many * 510,
        "tiny": _bases(rng, 60),
        "d": _mutated(rng, core[:4000], 0.03, 0.004, 0.2) + _turned(core[3000:5000]),
    }  # fmt: skip
    alt = {"alt1": _mutated(rng, core[5000:8000], 0.005, 0.001, 0.3), "alt2": core[5000:6500] + _bases(rng, 200) + core[6500:8000]}
    return main, alt


class _Reads:
    def __init__(self, rng, contigs):
        self.rng = rng
        self.text = {k: "".join(c if c in "ACGTN" else "N" for c in s.upper()) for k, s in contigs.items()}
        self.names = [k for k in contigs if len(contigs[k]) > 2000]

    def place(self):
        name = self.rng.choice([*self.names, "a", "a"])
        end = 5000 if name == "c" and self.rng.random() < 0.8 else len(self.text[name]) - 10
        return name, self.rng.randrange(end)

    def read(self, place, n, reverse):
        rng, (name, at) = self.rng, place
        s = self.text[name][max(at, 0) : max(at, 0) + n + 70]
        noise = rng.choice([(0.002, 0.0005, 0.0)] * 2 + [(0.02, 0.004, 0.1)] * 2 + [(0.07, 0.02, 0.1)])
        s = _mutated(rng, s, *noise)[:n]
        if rng.random() < 0.06:
            other, p = self.place()
            k = rng.randint(20, max(21, n - 20))
            s = s[:k] + self.text[other][p : p + n - k]
        if rng.random() < 0.05:
            k = rng.randint(1, n // 2)
            s = _bases(rng, k, rng.choice(["ACGT", "AG", "A"])) + s[k:]
        if rng.random() < 0.05:
            s = "".join("N" if rng.random() < 0.05 else b for b in s)
        if rng.random() < 0.03:
            s = s[: rng.choice([1, 10, 18, 19, 20, 25, 30, 31, 60])]
        if rng.random() < 0.01:
            s = _bases(rng, n)
        return (_turned(s) if reverse else s) or "A"

    def pair(self, n):
        rng, place = self.rng, self.place()
        insert = max(n, int(rng.gauss(2.6 * n, 0.4 * n)))
        a, b = self.read(place, n, False), self.read((place[0], place[1] + insert - n), n, True)
        x = rng.random()
        if x < 0.03:
            b = _turned(b)
        elif x < 0.05:
            b = self.read(self.place(), n, rng.random() < 0.5)
        elif x < 0.09:
            b = _bases(rng, len(b) // 2) + _mutated(rng, b[len(b) // 2 :], 0.05, 0.01)
        return (a, b) if rng.random() < 0.5 else (b, a)

    def lines(self, name, s):
        return [f"@{name} BC:Z:AC\tXN:i:300", s, "+", "".join(self.rng.choices("#5?I", k=len(s)))]


def write_case(folder: Path, seed=1, pairs=250, length=150) -> None:
    """Write ref.fa, ref.fa.alt, r1.fq, r2.fq (mates), woven.fq (both) and long.fq to a folder."""
    rng = random.Random(seed)
    main, alt = _contigs(rng)
    with open(folder / "ref.fa", "w") as f:
        for name, s in {**main, **alt}.items():
            f.write(f">{name}{' a note' if name == 'b' else ''}\n" + "\n".join(s[i : i + 70] for i in range(0, len(s), 70)) + "\n")
    (folder / "ref.fa.alt").write_text("@SQ\tSN:x\n" + "".join(f"{k}\t0\ta\t1\t0\t*\n" for k in alt))
    reads = _Reads(rng, {**main, **alt})
    ends, woven = ([], []), []
    for i in range(pairs):
        for k, s in enumerate(reads.pair(length)):
            record = reads.lines(f"p{i}/{k + 1}", s)
            ends[k].extend(record)
            woven.extend(record)
    far = [x for i in range(12) for x in reads.lines(f"l{i}", reads.read(reads.place(), rng.choice([600, 800, 2500]), i % 2))]
    for name, lines in (("r1.fq", ends[0]), ("r2.fq", ends[1]), ("woven.fq", woven), ("long.fq", far)):
        (folder / name).write_text("\n".join(lines) + "\n")


def files_of(folder: Path, how: str) -> list[Path]:
    names = {"pairs": ["r1.fq", "r2.fq"], "interleaved": ["woven.fq"], "single": ["r1.fq"], "long": ["long.fq"]}
    return [folder / n for n in names[how]]


def digest(path) -> str:
    """SHA-256 of the records of a SAM or BAM file."""
    h = hashlib.sha256()
    with pysam.AlignmentFile(str(path), check_sq=False) as f:
        for read in f.fetch(until_eof=True):
            h.update(read.to_string().encode() + b"\n")
    return h.hexdigest()


def run_bwa(folder: Path, options: str, how: str) -> Path:
    """The SAM file that the installed bwa makes of a case; its index must be there."""
    more = [*(["-p"] if how == "interleaved" else []), *([] if "-K" in options else ["-K", "10000000"])]
    with open(folder / "bwa.sam", "w") as f:
        command = ["bwa", "mem", "-v", "1", *more, *options.split(), "-R", GROUP, folder / "ref.fa", *files_of(folder, how)]
        subprocess.run([str(w) for w in command], stdout=f, stderr=subprocess.DEVNULL, check=True)
    return folder / "bwa.sam"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write_case(Path(name))
        subprocess.run(["bwa", "index", f"{name}/ref.fa"], check=True, capture_output=True)
        for options, how in CASES.items():
            sys.stdout.write(f'    "{options}": "{digest(run_bwa(Path(name), options, how))[:16]}",\n')
