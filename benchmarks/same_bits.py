"""Whether the files of the stages between the aligner and the caller are the same, byte for byte, however they are made.

    python benchmarks/same_bits.py FOLDER ALIGNED [--out-folder TMP]

FOLDER is made by make_data.py, ALIGNED holds its reads as the aligner leaves them. Each command runs with several numbers of threads,
of reads in a batch, and budgets of memory (with the smallest sort and markdup spill), all in one process, whose command line is what
headers tell. One line a command: how many ways, and the MD5 of its outputs; exit code 1 where two ways differ.
"""

import argparse
import contextlib
import hashlib
import io
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

WAYS = ((1, 200_000, "16G"), (2, 200_000, "16G"), (4, 200_000, "300M"), (2, 9_973, "16G"), (4, 31_013, "400M"), (1, 500_009, "300M"))
"""Threads, reads in a batch, --memory where a command has it."""


def commands(folder, aligned, kept):
    """(name, arguments, outputs): the outputs of `kept` are read by later commands."""
    reference, known = ["-R", folder / "reference.fa"], ["--known-sites", folder / "known_sites.vcf.gz"]
    ordered, marked, table = kept / "sorted.bam", kept / "marked.bam", kept / "table"
    yield "sort", ["sort", "-I", aligned, "--create-output-bam-index", "-O"], [ordered, kept / "sorted.bam.bai"]
    for order in "queryname", "natural":
        yield f"sort {order}", ["sort", "-I", aligned, "--sort-order", order, "-O"], [kept / "names.bam"]
    yield "markdup", ["markdup", "-I", ordered, "-M", kept / "metrics", "--create-output-bam-index", "-O"], [
        marked, kept / "marked.bam.bai", kept / "metrics"]  # fmt: skip
    yield "markdup by name", ["markdup", "-I", aligned, "-M", kept / "metrics", "-ASO", "queryname", "-O"], [
        kept / "named.bam", kept / "metrics"]  # fmt: skip
    yield "bqsr", ["bqsr", "-I", marked, *reference, *known, "-O"], [table]
    yield "applybqsr", ["applybqsr", "-I", marked, "-bqsr", table, "-O"], [kept / "recalibrated.bam"]
    yield "germline", ["germline", "-I", aligned, *reference, *known, "--device", "cpu", "--out-bam", kept / "fused.bam", "-O"], [
        kept / "calls.vcf.gz", kept / "fused.bam"]  # fmt: skip


def main():
    from gpugenome.cli import cli
    from gpugenome.commands.options import Memory
    from gpugenome.io import bam

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("aligned", type=Path)
    parser.add_argument("--out-folder", type=Path)
    args = parser.parse_args()
    differ = False
    with tempfile.TemporaryDirectory(dir=args.out_folder) as kept:
        for name, words, outputs in commands(args.folder.resolve(), args.aligned.resolve(), Path(kept)):
            sums, begun = set(), time.perf_counter()
            for threads, reads, memory in WAYS:
                bam.Reader.batches.__defaults__ = (reads, True)
                settings = {"threads": threads}
                if words[0] in ("sort", "markdup", "germline"):
                    settings["memory"] = Memory().convert(memory, None, None)
                with contextlib.redirect_stderr(io.StringIO()):
                    cli.main(args=[*map(str, words), str(outputs[0])], standalone_mode=False, default_map={words[0]: settings})
                # but for the lines of a metrics file that tell when it was made
                bodies = [b"\n".join(x for x in p.read_bytes().split(b"\n") if p.name != "metrics" or x[:1] != b"#") for p in outputs]
                sums.add(" ".join(hashlib.md5(b).hexdigest() for b in bodies))
            differ |= len(sums) > 1
            verdict = "DIFFER" if len(sums) > 1 else "same bytes"
            print(f"{name:16} {len(WAYS)} ways: {verdict}, {time.perf_counter() - begun:.1f} s, {' / '.join(sorted(sums))}", flush=True)
    sys.exit(differ)


if __name__ == "__main__":
    main()
