"""The benchmark harness: what it measures, and that the commands it gives exist with their options."""

import gzip
import importlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from simulator import in_simulator

from gpugenome.cli import COMMANDS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import compare as compare_commits  # noqa: E402
import harness  # noqa: E402

STAGES = {stage: commands for stage, commands, _, _ in harness.stages("gpugenome", "gatk", 2, "cpu")}


@pytest.mark.parametrize("stage", STAGES)
def test_our_commands_take_these_options(stage):
    name, *arguments = shlex.split(STAGES[stage]["gpugenome"])[1:]
    if name not in COMMANDS:
        pytest.skip(f"there is no command {name}")
    command = importlib.import_module(f"gpugenome.commands.{name}").command
    context = command.make_context(name, arguments)
    assert context.params["threads"] == 2
    with pytest.raises(click.UsageError):
        command.make_context(name, [*arguments, "--no-such-option"])


def test_measure(tmp_path):
    program = f"{sys.executable} -c 'import time; x = bytearray(60 << 20); time.sleep(0.5)'"
    one = harness.measure(program, tmp_path, tmp_path / "log")
    two = harness.measure(f"{program} & {program} & wait", tmp_path, tmp_path / "log")
    assert one["exit"] == two["exit"] == 0 and one["wall_s"] >= 0.5
    assert one["peak_mb"] >= 60 and two["peak_mb"] >= one["peak_mb"] + 40
    assert harness.measure("false | true", tmp_path, tmp_path / "log")["exit"] == 1
    (tmp_path / "old").write_bytes(bytes(5_000_000))
    assert harness.measure("test ! -e old && head -c 40000 /dev/zero > new; true -o old", tmp_path, tmp_path / "log")["output_mb"] == 0.04


def test_medians_of_two_commits(tmp_path, capsys):
    rows = [
        {"commit": c, "stage": "sort", "tool": tool, "data": "d", "threads": 2, "device": "none", "wall_s": w, "user_s": w, "peak_mb": 5,
         "output_mb": 7, "exit": e}
        for c, tool, w, e in [("aaa", "gpugenome", 2.0, 0), ("aaa", "gpugenome", 4.0, 0), ("aaa", "gpugenome", 9.0, 0),
                              ("aaa", "gpugenome", 99.0, 1), ("aaa", "picard", 20.0, 0), ("bbb", "gpugenome", 2.0, 0)]
    ]  # fmt: skip
    harness.print_table(rows[:5])
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[:4] == ["sort", "gpugenome", "3", "4.00"] and table[2].split()[-1] == "5.0"
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    compare_commits.main(str(tmp_path / "r.jsonl"), "aaa", "bbb")
    assert capsys.readouterr().out.splitlines()[1].split()[:6] == ["d", "sort", "2", "4.00", "2.00", "2.00"]


def test_device_without_a_gpu_says_so():
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, harness.ROOT / "benchmarks" / "device.py"], env=env, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("device.py compares a GPU with the CPU: ") and done.stderr.count("\n") == 1


def check_device_cases():
    import device

    made = [device.activity_case(8, 2), *device.genotype_cases(5, 2)]
    assert [device.compare(case) for case in made] == [True] * 4
    # one after another: the next case takes the place of what the last one works on
    assert [device.compare(case) for cases in (device.record_cases(20, 1), [device.records_case(14, 1)]) for case in cases] == [True] * 10
    made[0].cpu = lambda out: None
    assert not device.compare(made[0])


@pytest.mark.simulator
def test_device_compares_bits():
    in_simulator("test_benchmarks", "check_device_cases()")


def test_bgzf_rates(demo, tmp_path):
    reads, rows = demo / "golden" / "recalibrated.bam", tmp_path / "rates.jsonl"
    program = [sys.executable, harness.ROOT / "benchmarks" / "bgzf_rates.py", reads, "--runs", "1", "--threads", "2", "--out", rows]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    row = json.loads(rows.read_text())
    with gzip.open(reads) as f:
        assert row["inflated_mb"] == round(len(f.read()) / 1e6, 2)
    assert 0 < row["output_mb"] < row["inflated_mb"] and row["inflate_s"] > 0 and row["deflate_s"] > 0
