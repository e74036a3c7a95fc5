"""Random small BAMs through sort, markdup, bqsr and applybqsr, ours against the real tools, byte for byte.

    python benchmarks/fuzz_stages.py [--seeds 1-500] [--keep FOLDER] [--record FILE]

Every seed makes a BAM grouped by read name (read groups and libraries, single reads, unmapped mates, supplementary and secondary
records, clips, indels at read ends, N bases, names with and without places, contig ends, vendor-failed reads, missing qualities, OQ
tags), known sites and options. Compared are whole records as uncompressed BAM, headers but for command lines, metrics and tables; where
the real tool fails, ours must fail too. Ours run in this process with random batch sizes, threads and memory budgets (small ones spill);
the real tools run in one JVM. Prints a line a difference and, at the end, counts; exit code 1 if anything differs.
--record writes digests of the real outputs, which tests/test_fuzz_recorded.py compares without GATK.
GATK as in harness.py; needs a JDK.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from fuzz_reads import Case, Draw, make_reference  # noqa: E402

DRIVER = """
import java.io.*;
public class Driver {
    public static void main(String[] a) throws Exception {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.setOut(System.err);
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split("\\t");
            String[] rest = java.util.Arrays.copyOfRange(f, 1, f.length);
            String said = "0";
            try {
                Object tool = Class.forName(f[0]).getDeclaredConstructor().newInstance();
                if (tool instanceof picard.cmdline.CommandLineProgram)
                    said = "" + ((picard.cmdline.CommandLineProgram) tool).instanceMain(rest);
                else
                    ((org.broadinstitute.hellbender.cmdline.CommandLineProgram) tool).instanceMain(rest);
            } catch (Throwable t) {
                said = ("failed: " + t).replace('\\n', ' ');
            }
            out.println(said);
        }
    }
}
"""
TOOLS = {
    "SortSam": "picard.sam.SortSam",
    "MarkDuplicates": "picard.sam.markduplicates.MarkDuplicates",
    "BaseRecalibrator": "org.broadinstitute.hellbender.tools.walkers.bqsr.BaseRecalibrator",
    "ApplyBQSR": "org.broadinstitute.hellbender.tools.walkers.bqsr.ApplyBQSR",
}


class RealTools:
    """The real tools in one JVM. Calling it with a tool and its arguments gives "0" or what went wrong."""

    def __init__(self, gatk, folder):
        source = folder / "Driver.java"
        source.write_text(DRIVER)
        self._log = open(folder / "java.log", "wb")  # noqa: SIM115 closed with the process
        properties = ["use_async_io_read_samtools=false", "use_async_io_write_samtools=false", "compression_level=1"]
        self._process = subprocess.Popen(
            ["java", "-Xmx2g", "-XX:+UseSerialGC", "-Duser.timezone=UTC", *(f"-Dsamjdk.{p}" for p in properties),
             "-cp", f"{Path(gatk).parent}/lib/*", str(source)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def __call__(self, tool, *arguments):
        quiet = (
            ["--VERBOSITY", "ERROR", "--QUIET", "true"] if tool in ("SortSam", "MarkDuplicates") else ["--verbosity", "ERROR", "--QUIET"]
        )
        print(TOOLS[tool], *arguments, *quiet, sep="\t", file=self._process.stdin, flush=True)
        said = self._process.stdout.readline().strip()
        if not said:
            raise RuntimeError(f"the JVM ended, see {self._log.name}")
        return said

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._log.close()


def compared_header(lines):
    """Header lines without what is each tool's own: versions, command lines, and the @PG line of our sort."""
    lines = ["\t".join(f for f in x.split("\t") if not f.startswith(("CL:", "VN:"))) if x[:3] == "@PG" else x for x in lines]
    return [x for x in lines if not x.startswith("@PG\tID:gpugenome sort")]


def bam_parts(path):
    """(header lines to compare, bytes of the records) of a BAM."""
    data = gzip.decompress(path.read_bytes())
    size = int.from_bytes(data[4:8], "little")
    at = 8 + size
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    for _ in range(count):
        at += 8 + int.from_bytes(data[at : at + 4], "little")
    return compared_header(data[8 : 8 + size].rstrip(b"\0").decode().splitlines()), data[at:]


def output_of(path):
    """What is compared of an output file: text, or header lines and records as SAM text and bytes."""
    if path.suffix == ".bam":
        lines, records = bam_parts(path)
        return "\n".join(lines).encode() + b"\n" + records
    text = path.read_text()
    if path.suffix == ".sam":
        lines = text.splitlines()
        return "\n".join(compared_header([x for x in lines if x[:1] == "@"]) + [x for x in lines if x[:1] != "@"]).encode()
    return (text[text.index("## METRICS CLASS") if "## METRICS CLASS" in text else 0 :] if path.suffix == ".metrics" else text).encode()


def commands(case, folder, inputs):
    """[(stage, real tool, its arguments, our arguments, outputs)] of a case, outputs in `folder`, inputs from the real run's `inputs`."""
    f, i = folder, inputs
    silent = ["--VALIDATION_STRINGENCY", "SILENT"]
    reads, known = case.folder / "reads.bam", [x for k in case.known for x in ("--known-sites", k)]
    out = []
    for order in ("coordinate", "queryname"):
        name = f"{order}.bam"
        out.append((f"sort {order}", "SortSam", ["-I", reads, "-O", f / name, "-SO", order, *silent],
                    ["sort", "-I", reads, "-O", f / name, "--sort-order", order, *silent], [name]))  # fmt: skip
    for stage, source, options, more in (("markdup", i / "coordinate.bam", case.markdup, []),
                                         ("markdup grouped", reads, case.grouped, ["--ASSUME_SORT_ORDER", "queryname"]),
                                         ("markdup queryname", i / "queryname.bam", case.grouped, [])):  # fmt: skip
        names = [stage.replace(" ", ".") + x for x in (".bam", ".metrics")]
        chosen = [x for k, v in options.items() for x in ("--" + k, v)] + more
        files = ["-I", source, "-O", f / names[0], "-M", f / names[1], *chosen]
        index, our_index = (["--CREATE_INDEX", "true"], ["--create-output-bam-index"]) if stage == "markdup" else ([], [])
        out.append((stage, "MarkDuplicates", [*files, *silent, *index], ["markdup", *files, *silent, *our_index], names))
    files = ["-I", i / "markdup.bam", "-R", case.folder.parent / "reference.fa", *known, "-O", f / "recal.table", *case.bqsr]
    out.append(("bqsr", "BaseRecalibrator", files, ["bqsr", *files], ["recal.table"]))
    files = ["-I", i / "markdup.bam", "-bqsr", i / "recal.table", "-O", f / "recal.bam", *case.apply]
    out.append(("applybqsr", "ApplyBQSR", files, ["applybqsr", *files], ["recal.bam"]))
    return out


def run_ours(arguments, draw):
    """Run one of our commands in this process with a random batch size, threads and memory. Gives "0" or the error's text."""
    from gpugenome.cli import cli
    from gpugenome.errors import UserError
    from gpugenome.io import bam

    size = draw.choice([7, 50, 200_000])
    defaults = bam.Reader.batches.__defaults__
    settings = {"threads": draw.between(1, 3)}
    if arguments[0] in ("sort", "markdup"):
        settings["memory"] = draw.choice([20_000, 1 << 30])
    said = io.StringIO()
    try:
        bam.Reader.batches.__defaults__ = (size, True)
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            cli.main(args=[str(a) for a in arguments], standalone_mode=False, default_map={arguments[0]: settings})
    except UserError as e:
        return str(e)
    finally:
        bam.Reader.batches.__defaults__ = defaults
    return "0"


def run_case(seed, folder, sequences, real):
    """Run one seed. Yields (stage, what the real tool said, what ours said, {file: (real bytes, our bytes)})."""
    home = folder / f"seed{seed}"
    inputs, ours = home / "real", home / "ours"
    for p in (inputs, ours):
        p.mkdir(parents=True)
    case = Case(seed, home, sequences)
    draw = Draw(f"ours {seed}")
    theirs = {stage: real(tool, *arguments) for stage, tool, arguments, _, _ in commands(case, inputs, inputs)}
    for stage, _, _, arguments, names in commands(case, ours, inputs):
        said = run_ours(arguments, draw)
        files = {}
        if theirs[stage] == "0" and said == "0":
            files = {n: (output_of(inputs / n), output_of(ours / n)) for n in names}
        yield stage, theirs[stage], said, files


def seeds_of(text):
    out = []
    for part in text.split(","):
        a, _, b = part.partition("-")
        out += range(int(a), int(b or a) + 1)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1-500", help="e.g. 1-500 or 3,7,20-25")
    parser.add_argument("--keep", type=Path, help="keep the files of seeds with differences here")
    parser.add_argument("--record", type=Path, help="write digests of the real outputs here")
    args = parser.parse_args()
    from harness import find_gatk

    gatk = find_gatk()
    if not gatk:
        sys.exit("GATK is not here, expected the environment variable GATK or ../shared/tools/get-gatk")
    counts, failed, differ, recorded = {}, {}, set(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sequences = make_reference(folder)
        real = RealTools(gatk, folder)
        for seed in seeds_of(args.seeds):
            for stage, theirs, said, files in run_case(seed, folder, sequences, real):
                counts[stage] = counts.get(stage, 0) + 1
                recorded.setdefault(str(seed), {})[stage] = (
                    {n: hashlib.sha256(a).hexdigest()[:16] for n, (a, _) in files.items()} if theirs == "0" else "fails"
                )
                if (theirs == "0") != (said == "0"):
                    differ.add(seed)
                    print(f"seed {seed}: {stage}: the real tool: {theirs[:300]}; ours: {said[:300]}", flush=True)
                elif theirs != "0":
                    failed[stage] = failed.get(stage, 0) + 1
                    print(f"seed {seed}: {stage}: both fail: {theirs[8:200]} | {said[:200]}", flush=True)
                for n, (a, b) in files.items():
                    if a != b:
                        differ.add(seed)
                        at = next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                        print(f"seed {seed}: {stage}: {n} differs at byte {at} of {len(a)} and {len(b)}", flush=True)
            home = folder / f"seed{seed}"
            subprocess.run(["cp", "-r", home, args.keep] if args.keep and seed in differ else ["true"], check=True)
            subprocess.run(["rm", "-r", home], check=True)
        real.close()
    if args.record:
        rows = (f"{json.dumps(seed)}: {json.dumps(stages)}" for seed, stages in recorded.items())
        args.record.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    for stage, n in counts.items():
        print(f"{stage:20} {n:6} runs, of them {failed.get(stage, 0)} in which the real tool and ours fail")
    print(f"seeds with differences: {len(differ)} of {len(seeds_of(args.seeds))} {sorted(differ)[:50]}")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
