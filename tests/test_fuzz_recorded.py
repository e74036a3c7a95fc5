"""Random small BAMs through sort, markdup, bqsr and applybqsr against recorded outputs of Picard and GATK.

The recording: python benchmarks/fuzz_stages.py --seeds 1-24 --record tests/fuzz_recorded.json
"""

import hashlib
import json
import sys
from pathlib import Path

import pysam
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from fuzz_reads import Case, Draw, make_reference  # noqa: E402
from fuzz_stages import commands, output_of, run_ours  # noqa: E402

RECORDED = json.loads((Path(__file__).parent / "fuzz_recorded.json").read_text())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return folder, make_reference(folder)


def drop_our_program(path):
    """Take our @PG line out of a sorted BAM: Picard's SortSam writes none, and the next stage counts them."""
    with pysam.AlignmentFile(str(path)) as f:
        lines = str(f.header).splitlines(keepends=True)
    text = path.with_suffix(".sam")
    text.write_text("".join(x for x in lines if "\tID:gpugenome sort" not in x))
    path.write_bytes(pysam.reheader("--no-PG", str(text), str(path)))


@pytest.mark.parametrize("seed", RECORDED)
def test_outputs_are_the_real_tools(home, seed):
    folder, sequences = home
    out = folder / seed
    (out / "ours").mkdir(parents=True)
    case, draw = Case(int(seed), out, sequences), Draw(f"ours {seed}")
    for stage, _, _, arguments, names in commands(case, out / "ours", out / "ours"):
        said, expected = run_ours(arguments, draw), RECORDED[seed][stage]
        if expected == "fails":
            assert said != "0", f"{stage}: the real tool refuses this input"
            continue
        assert said == "0", f"{stage}: {said}"
        found = {n: hashlib.sha256(output_of(out / "ours" / n)).hexdigest()[:16] for n in names}
        assert found == expected, f"{stage}: run benchmarks/fuzz_stages.py --seeds {seed} --keep FOLDER to see both"
        if stage.startswith("sort"):
            drop_our_program(out / "ours" / names[0])
