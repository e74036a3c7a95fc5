"""The README's examples run, one after another, in a folder like a checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

from gpugenome.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent


def examples():
    return re.findall(r"<!-- example -->\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


def test_examples(tmp_path):
    found = examples()
    assert set(re.findall(r"gpugenome (\w+)", "".join(found))) == set(COMMANDS)
    (tmp_path / "data").symlink_to(ROOT / "data")
    command = tmp_path / "bin" / "gpugenome"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gpugenome.cli "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    for example in found:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{example}\n{done.stderr[-2000:]}"
    made = {"calls.g.vcf.gz", "child.g.vcf.gz", "family.vcf.gz", "L001.recalibrated.bam", "stretch.vcf.gz", "cohort.vcf.gz", "snps.vcf.gz"}
    assert made <= set(os.listdir(tmp_path / "out"))
