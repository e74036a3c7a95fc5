"""GATK's and Picard's own test inputs (../shared/data/components) through our commands and the real tools, compared as in fuzz_stages.py.

    python benchmarks/component_cases.py [--record tests/components_recorded.json] [--keep FOLDER]

--record writes digests of what the real tools made, which tests/test_components.py compares without them.
"""

import argparse
import functools
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pysam

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from fuzz_reads import Draw  # noqa: E402
from fuzz_stages import RealTools, output_of, run_ours  # noqa: E402

COMPONENTS = ROOT.parent / "shared" / "data" / "components"
_SILENT = ["--VALIDATION_STRINGENCY", "SILENT"]
_MARKDUP = {
    "plain": [],
    "tags": ["--TAGGING_POLICY", "All", "--TAG_DUPLICATE_SET_MEMBERS", "true", "--DUPLICATE_SCORING_STRATEGY", "RANDOM"],
    "removed": ["--REMOVE_DUPLICATES", "true", "--CLEAR_DT", "false", "--ADD_PG_TAG_TO_READS", "false", "--READ_NAME_REGEX", "null"],
}
_BQSR = {
    "plain": [],
    "indel context 4": ["--indels-context-size", "4"],
    "mismatch context 4": ["--mismatches-context-size", "4"],
    "low quality tail 5": ["--low-quality-tail", "5"],
    "levels 6": ["--quantizing-levels", "6"],
}


@functools.lru_cache
def sort_order(path):
    """SO of a file's header."""
    with pysam.AlignmentFile(str(path), check_sq=False) as f:
        return f.header.to_dict().get("HD", {}).get("SO", "unsorted")


def prepare(folder):
    """Files that the real tools need beside the components: the reference of BaseRecalibrator unpacked, known sites indexed."""
    reference = folder / "chr17.fasta"
    source = COMPONENTS / "base_recalibrator" / "human_g1k_v37.chr17_1Mb.fasta.gz"
    reference.write_bytes(subprocess.run(["gzip", "-dc", str(source)], check=True, capture_output=True).stdout)
    pysam.faidx(str(reference))
    pysam.dict("-o", str(folder / "chr17.dict"), str(reference), catch_stdout=False)
    for vcf in (COMPONENTS / "base_recalibrator").glob("*.vcf"):
        copy = folder / vcf.name
        copy.write_bytes(vcf.read_bytes())
        pysam.tabix_index(str(copy), preset="vcf", force=True, keep_original=True)


def component_cases(out, folder):
    """{name: (real tool, its arguments, our arguments, outputs)}; outputs go to `out`, `folder` is what `prepare` filled."""
    cases = {}
    files = [p for f in ("mark_duplicates", "picard/MarkDuplicates", "picard/EstimateLibraryComplexity", "picard/CompareSAMs", "sort_sam")
             for p in sorted((COMPONENTS / f).iterdir()) if p.suffix in (".bam", ".sam", ".cram") and p.stat().st_size]  # fmt: skip
    fasta = ["-R", COMPONENTS / "mark_duplicates" / "optical_dupes.fasta"]
    for path in files:
        name = f"{path.parent.name}/{path.name}"
        more = fasta if path.suffix == ".cram" else []
        assume = [] if sort_order(path) in ("coordinate", "queryname") else ["--ASSUME_SORT_ORDER", "queryname"]
        for kind, options in _MARKDUP.items():
            arguments = ["-I", path, "-O", out / "m.bam", "-M", out / "m.metrics", *options, *assume, *more, *_SILENT]
            cases[f"markdup {kind}: {name}"] = "MarkDuplicates", arguments, ["markdup", *arguments], ["m.bam", "m.metrics"]
        for order in ("coordinate", "queryname"):
            for kind in ("bam", "sam"):
                arguments = ["-I", path, "-O", out / f"s.{kind}", "-SO", order, *more, *_SILENT]
                cases[f"sort {order} {kind}: {name}"] = "SortSam", arguments, ["sort", *arguments], [f"s.{kind}"]
    merged = [x for i in (1, 2, 3) for x in ("-I", COMPONENTS / "mark_duplicates" / f"merge{i}.sam")]
    arguments = [*merged, "-O", out / "m.bam", "-M", out / "m.metrics", *_SILENT]
    cases["markdup of three files"] = "MarkDuplicates", arguments, ["markdup", *arguments], ["m.bam", "m.metrics"]
    bqsr = COMPONENTS / "base_recalibrator"
    known = ["--known-sites", folder / "dbsnp_132.b37.excluding_sites_after_129.chr17_69k_70k.vcf.gz"]
    both = [*known, "--known-sites", folder / "bqsr.fakeSitesForTesting.b37.chr17.vcf.gz"]
    for kind, options in {**_BQSR, "two known": both[2:]}.items():
        for suffix in ("bam", "cram"):
            arguments = [
                "-I",
                bqsr / f"NA12878.chr17_69k_70k.dictFix.{suffix}",
                "-R",
                folder / "chr17.fasta",
                *known,
                "-O",
                out / "t.table",
            ]
            cases[f"bqsr {kind}: {suffix}"] = "BaseRecalibrator", [*arguments, *options], ["bqsr", *arguments, *options], ["t.table"]
    arguments = [
        "-I",
        bqsr / "NA12878.chr17_69k_70k.dictFix.bam",
        "-bqsr",
        bqsr / "expected.NA12878.chr17_69k_70k.txt",
        "-O",
        out / "r.bam",
    ]
    cases["applybqsr: bam"] = "ApplyBQSR", arguments, ["applybqsr", *arguments], ["r.bam"]
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="write digests of the real outputs here")
    parser.add_argument("--keep", type=Path, help="keep both outputs of cases with differences here")
    args = parser.parse_args()
    from harness import find_gatk

    recorded, differ = {}, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        real = RealTools(find_gatk(), folder)
        both = [folder / who for who in ("real", "ours")]
        cases, our_cases = (component_cases(f, folder) for f in both)
        for number, (case, (tool, arguments, _, names)) in enumerate(cases.items()):
            for f in both:
                subprocess.run(["rm", "-rf", f], check=True)
                f.mkdir()
            theirs = real(tool, *arguments)
            said = run_ours(our_cases[case][2], Draw(case))
            if (theirs == "0") != (said == "0"):
                differ += 1
                print(f"{case}: the real tool: {theirs[:300]}; ours: {said[:300]}", flush=True)
            elif theirs != "0":
                print(f"{case}: both fail: {theirs[:200]} | {said[:200]}", flush=True)
            found = {n: output_of(both[0] / n) for n in names} if theirs == "0" else {}
            recorded[case] = {n: hashlib.sha256(x).hexdigest()[:16] for n, x in found.items()} or "fails"
            wrong = [n for n, x in found.items() if said == "0" and output_of(both[1] / n) != x]
            if wrong:
                differ += 1
                print(f"{case}: differs in {', '.join(wrong)} ({number})", flush=True)
                if args.keep:
                    (args.keep / f"{number}").mkdir(parents=True)
                    subprocess.run(["cp", "-r", *both, args.keep / f"{number}"], check=True)
        real.close()
    if args.record:
        rows = (f"{json.dumps(case)}: {json.dumps(files)}" for case, files in recorded.items())
        args.record.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(f"{len(recorded)} cases, {differ} with differences")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
