"""The command line: lazy imports, exit codes, version in one place."""

import subprocess
import sys

import pytest

from gpugenome import __version__
from gpugenome.cli import COMMANDS


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
