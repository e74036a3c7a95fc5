"""The command line: lazy imports, exit codes, version in one place."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pysam
import pytest

from gpugenome import __version__
from gpugenome.cli import COMMANDS
from gpugenome.io.bgzf import compress


def run(*args, code=None):
    command = [sys.executable, "-m", "gpugenome.cli", *args] if code is None else [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom gpugenome.cli import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', sorted({'numpy','numba','pysam','pyarrow','cupy'} & set(sys.modules)))"
    )
    result = run(code=code)
    assert "concordance" in result.stdout
    assert result.stdout.strip().endswith("HEAVY []"), result.stdout


def test_version_is_the_package_version():
    assert __version__ in run("--version").stdout


def test_unknown_command_is_refused():
    result = run("frobnicate")
    assert result.returncode == 2 and "frobnicate" in result.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_listed_command_has_help(name):
    result = run(name, "--help")
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


def test_zero_threads_is_refused():
    result = run("concordance", "--threads", "0", "--truth", "x.vcf", "--eval", "y.vcf")
    assert result.returncode == 2 and "threads" in result.stderr


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_no_files(demo, tmp_path, number, code):
    command = [sys.executable, "-m", "gpugenome.cli", "sort", "-I", "-", "-O", str(tmp_path / "out.bam")]
    data = compress(np.frombuffer(gzip.decompress((demo / "golden" / "recalibrated.bam").read_bytes()), np.uint8), 0)
    assert len(data) > 9_000_000  # more than is read at a time: a thread waits for the rest when the signal comes
    default = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731 -- jobs in the background of a script ignore SIGINT
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=default) as child:
        child.stdin.write(data[:9_000_000])
        child.stdin.flush()
        end = time.monotonic() + 120
        while not any(tmp_path.iterdir()):
            assert child.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        child.send_signal(number)
        assert child.wait(30) == code and child.stderr.read().count(b"gpugenome: ") == 1
    assert not any(tmp_path.iterdir())


def test_a_signal_while_a_file_is_made_leaves_none(demo, tmp_path):
    reads, out = demo / "golden" / "recalibrated.bam", tmp_path / "out.bam"
    code = ("import os, signal; real = os.fchmod; os.fchmod = lambda *a: (os.kill(os.getpid(), signal.SIGTERM), real(*a)); "
            f"from gpugenome.cli import main; main(['sort', '-I', {str(reads)!r}, '-O', {str(out)!r}])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 143, done.stderr
    assert not any(tmp_path.iterdir())


def test_a_signal_when_all_is_done_changes_nothing(demo, tmp_path):
    arguments = ["gpugenome", "gatherbqsr", "-I", str(tmp_path / "in"), "-O", str(tmp_path / "out")]
    (tmp_path / "in").write_bytes(gzip.decompress((demo / "golden" / "recal.table.gz").read_bytes()))
    code = ("import atexit, os, signal, sys; real = atexit._run_exitfuncs; "
            "atexit._run_exitfuncs = lambda: (os.kill(os.getpid(), signal.SIGTERM), real()); "
            f"sys.argv = {arguments}; from gpugenome.cli import main; main()")  # fmt: skip
    done = run(code=code)
    assert done.returncode == 0 and done.stderr == "" and (tmp_path / "out").exists()


def test_wrong_arguments_are_one_line(tmp_path):
    choice = ["markdup", "-I", "x", "-O", "y", "--tagging-policy", "Some"]
    for arguments in (["bqsr", "-O", "x"], ["sort", "--nothing"], choice, ["nothing"]):
        done = run(*arguments)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("gpugenome: error: "), done.stderr
    assert "Missing option" in run("bqsr", "-O", "x").stderr


def test_an_output_is_no_input_and_no_other_output(demo, tmp_path):
    table, reads = tmp_path / "t.table", demo / "golden" / "recalibrated.bam"
    table.write_text("x")
    genome = str(tmp_path / "ref.fa")
    (tmp_path / "ref.fa").write_text(">demo1\nACGT\n")
    for arguments in (
        ["sort", "-I", reads, "-R", genome, "-O", genome],
        ["markdup", "-I", reads, "-O", tmp_path / "o.bam", "-M", tmp_path / "o.bam"],
        ["applybqsr", "-I", reads, "-bqsr", table, "-R", genome, "-O", genome],
        ["haplotypecaller", "-I", reads, "-R", genome, "-O", tmp_path / "o.vcf", "-bamout", tmp_path / "o.vcf"],
    ):
        done = run(*map(str, arguments))
        assert done.returncode == 2 and "is both an input and an output" in done.stderr, arguments
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ref.fa", "t.table"]


def test_pipes(demo, tmp_path):
    gg, reads = f"PYTHONPATH={Path.cwd()} {sys.executable} -m gpugenome.cli", demo / "golden" / "recalibrated.bam"
    text = gzip.decompress((demo / "golden" / "calls.vcf.gz").read_bytes())
    for command, code, message in (
        (f"{gg} sort -I {reads} -O - | head -c 100 > /dev/null; exit ${{PIPESTATUS[0]}}", 141, ""),
        (f"{gg} sort -I {reads} -O - > /dev/full", 2, "-: cannot be written: No space left on device"),
        (f"{gg} sort -I {reads} -O - >&-", 2, "-: cannot be written: Bad file descriptor"),
        (f"{gg} sort -I - -O x.bam <&-", 2, "-: is empty, expected SAM, BAM or CRAM"),
        (f"{gg} selectvariants -V - -O x.vcf", 2, "-: is a pipe, expected a file (it is read more than once)"),
        (f"{gg} selectvariants -V /dev/stdin -O x.vcf", 2, "/dev/stdin: is a pipe, expected a file (it is read more than once)"),
    ):
        done = subprocess.run(["bash", "-c", command], input=text, capture_output=True, cwd=tmp_path)
        assert done.returncode == code, (command, done.stderr)
        assert [line for line in done.stderr.decode().splitlines() if "error" in line] == [f"gpugenome: error: {message}"] * bool(message)
        assert b"Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def test_names_that_are_not_ascii(demo, tmp_path):
    folder = tmp_path / "sp ace é 日"
    folder.mkdir()
    reads, calls = folder / "ü.bam", folder / "ü.vcf"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # arguments come as surrogates
    golden = demo / "golden"
    for arguments in (
        ["sort", "-I", golden / "recalibrated.bam", "-O", reads],
        ["selectvariants", "-V", golden / "calls.vcf.gz", "-O", calls],
        ["selectvariants", "-V", calls, "-L", calls, "-O", folder / "again.vcf"],
    ):
        done = subprocess.run([sys.executable, "-m", "gpugenome.cli", *map(str, arguments)], capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
    assert "ü.bam" in pysam.AlignmentFile(reads).text
