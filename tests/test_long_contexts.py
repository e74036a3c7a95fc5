"""Contexts of 9 to 13 bases, of which those that occur are listed: GATK's table, any number of threads, and their look-up."""

import hashlib
import subprocess
import sys

import numpy as np
import pysam
import pytest


@pytest.fixture(scope="module")
def some_reads(demo, tmp_path_factory):
    """A tenth of the demo's reads: GATK needs 3 minutes for their table."""
    path = tmp_path_factory.mktemp("reads") / "some.bam"
    pysam.view("-b", "-s", "0.1", "-o", str(path), str(demo / "golden" / "recalibrated.bam"), catch_stdout=False)
    return path


def table(demo, reads, out, size, threads):
    command = ["bqsr", "-R", demo / "reference.fa.gz", "-I", reads, "--known-sites", demo / "known_sites.vcf.gz", "-O", out,
               "--mismatches-context-size", size, "--threads", threads]  # fmt: skip
    subprocess.run([sys.executable, "-m", "gpugenome.cli", *map(str, command)], check=True)
    return out.read_bytes()


def test_table_is_gatks(demo, some_reads, tmp_path):
    text = table(demo, some_reads, tmp_path / "9.table", 9, 2)
    # BaseRecalibrator -mcs 9 of GATK 4.6.2.0
    assert hashlib.sha256(text).hexdigest() == "bbf9000ec6eb46bb0dbc20162dba7801782a0ed2d511221b834efd593849a7bf"


def test_table_of_the_longest_does_not_depend_on_threads(demo, some_reads, tmp_path):
    one, three = (table(demo, some_reads, tmp_path / f"{n}.table", 13, n) for n in (1, 3))
    assert one == three and one.count(b"Context ") > 100_000


def test_look_up_finds_what_was_put_in():
    from gpugenome.kernels.recalibrate_cpu import fill_hash, of_hash

    rng = np.random.default_rng(5)
    keys = np.unique(rng.integers(0, 1 << 40, 5000))
    values = rng.integers(-60, 61, len(keys)).astype(np.int8)
    table = np.full(1 << 14, -1, np.int64), np.zeros(1 << 14, np.int8)
    fill_hash(keys, values, *table)
    assert [of_hash(k, *table) for k in keys.tolist()] == values.tolist()
    absent = np.setdiff1d(keys + 1, keys)
    assert not any(of_hash(k, *table) for k in absent.tolist())
