"""The cohort store: what comes out is what direct GVCFs give, in any order of adding; interrupted runs; damaged stores."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from filter_cases import records, run

from gpugenome.commands.cohort import command
from gpugenome.errors import InputError, UserError
from gpugenome.io.cohort import Cohort, StoredVariants, changing
from gpugenome.io.fasta import Reference
from gpugenome.steps import joint_sweep

ROOT = Path(__file__).parent.parent
JOINT = Path(__file__).parent / "data" / "joint"
REFERENCE = ROOT / "data" / "reference.fa.gz"
NAMES = ("as0", "as1", "h0", "t0")
FILES = {name: JOINT / f"{name}.g.vcf.gz" for name in NAMES}


def cohort(*args):
    result = CliRunner().invoke(command, [str(a) for a in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def add(store, *names):
    cohort("add", store, *(FILES[n] for n in names), "-R", REFERENCE)


def samples(store):
    return Cohort.open(store).samples()


def snapshot(store):
    return {str(p.relative_to(store)): p.read_bytes() for p in sorted(Path(store).rglob("*")) if p.is_file() and p.name != ".lock"}


ORDERS = [(("as0",), ("as1", "h0"), ("t0",)), (("t0", "as1", "h0", "as0"),)]


@pytest.mark.parametrize("order", ORDERS)
def test_genotypes_are_those_of_genomicsdb(tmp_path, order):
    """Recorded from GenomicsDBImport and GenotypeGVCFs; samples of several ploidies."""
    for names in order:
        add(tmp_path / "store", *names)
    assert samples(tmp_path / "store") == list(NAMES)
    run("genotypegvcfs", "-R", REFERENCE, "-V", f"cohort://{tmp_path / 'store'}", "-O", tmp_path / "o.vcf")
    lines = gzip.decompress((JOINT / "genomicsdb.vcf.gz").read_bytes()).decode().splitlines()
    assert len(records(tmp_path / "o.vcf")) > 20
    assert records(tmp_path / "o.vcf") == [x for x in lines if not x.startswith("#")]


@pytest.mark.parametrize("order", ORDERS)
def test_combined_records_are_those_of_the_files(tmp_path, order):
    for names in order:
        add(tmp_path / "store", *names)
    direct, more = [x for n in NAMES for x in ("-V", FILES[n])], ("-L", "demo1:21000-22200")
    run("combinegvcfs", "-R", REFERENCE, *direct, "-O", tmp_path / "a.vcf", *more)
    run("combinegvcfs", "-R", REFERENCE, "-V", f"cohort://{tmp_path / 'store'}", "-O", tmp_path / "b.vcf", *more)
    assert len(records(tmp_path / "a.vcf")) > 20
    assert records(tmp_path / "a.vcf") == records(tmp_path / "b.vcf")


def test_stores_are_merged_as_genomicsdb(tmp_path):
    """CombineGVCFs collects the ALTs of records that begin together from the last file on, GenomicsDB from the first sample on; a sample
    without record has two missing alleles after the one, '.' after the other."""
    header = [x for x in gzip.decompress(FILES["t0"].read_bytes()).decode().splitlines() if x.startswith("##")]
    bases = Reference(str(REFERENCE)).bases_upper_acgtn(0).tobytes().decode()
    ref, far = bases[999], bases[4999]
    alts = [b for b in "ACGT" if b != ref][:2]
    values = "GT:AD:DP:GQ:PL:SB\t0/1:10,10,0:20:99:300,0,300,330,330,660:5,5,5,5"
    for name, alt in zip("abc", [*alts, None]):
        title = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + name
        record = f"demo1\t1000\t.\t{ref}\t{alt},<NON_REF>\t300\t.\tDP=20;RAW_MQandDP=72000,20\t{values}"
        if alt is None:
            record = "demo1\t5000\t.\tBASE\t<NON_REF>\t.\t.\tEND=5000\tGT:DP:GQ:MIN_DP:PL\t0/0:9:27:9:0,27,300".replace("BASE", far)
        (tmp_path / f"{name}.g.vcf").write_text("\n".join([*header, title, record, ""]))
    files = [tmp_path / f"{name}.g.vcf" for name in "abc"]
    cohort("add", tmp_path / "store", *files[::-1], "-R", REFERENCE)
    for inputs, expected, missing in ((files, alts[::-1], "./."), ([f"cohort://{tmp_path / 'store'}"], alts, ".")):
        run("genotypegvcfs", "-R", REFERENCE, *(w for f in inputs for w in ("-V", f)), "-O", tmp_path / "o.vcf")
        (line,) = records(tmp_path / "o.vcf")
        assert line.split("\t")[4].split(",") == expected and line.split("\t")[-1] == missing


@pytest.mark.parametrize("more", [[], ["--include-non-variant-sites", "-L", "demo1:1000-1003"]], ids=["variants", "all-sites"])
def test_strand_tables_are_those_of_genomicsdb(tmp_path, more):
    """The * of a deletion that began before has no strand table: '.' from GenomicsDB, 0,0 from CombineGVCFs (both seen in GATK)."""
    header = [x for x in gzip.decompress(FILES["t0"].read_bytes()).decode().splitlines() if x.startswith("##")]
    header += [f'##INFO=<ID={k},Number=1,Type=String,Description="x">' for k in ("AS_SB_TABLE", "AS_RAW_MQ")]
    bases = Reference(str(REFERENCE)).bases_upper_acgtn(0).tobytes().decode()
    snp = next(b for b in "ACGT" if b != bases[1002])
    raw = "AS_RAW_MQ=36000.00|36000.00|0.00;AS_SB_TABLE=5,5|5,5|0,0;DP=20;RAW_MQandDP=72000,20"
    values = "GT:AD:DP:GQ:PL:SB\t0/1:10,10,0:20:99:300,0,300,330,330,660:5,5,5,5"
    for name, at, ref, alt in (("a", 999, bases[999:1004], bases[999]), ("b", 1002, bases[1002], snp)):
        title = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + name
        record = f"demo1\t{at + 1}\t.\t{ref}\t{alt},<NON_REF>\t300\t.\t{raw}\t{values}"
        (tmp_path / f"{name}.g.vcf").write_text("\n".join([*header, title, record, ""]))
    files = [tmp_path / f"{name}.g.vcf" for name in "ab"]
    cohort("add", tmp_path / "store", *files, "-R", REFERENCE)
    for inputs, fs, sor in ((files, "0.000", "0.693"), ([f"cohort://{tmp_path / 'store'}"], ".", ".")):
        run("genotypegvcfs", "-R", REFERENCE, *(w for f in inputs for w in ("-V", f)), "-O", tmp_path / "o.vcf", "-G", "StandardAnnotation",
            "-G", "AS_StandardAnnotation", *more)  # fmt: skip
        line = records(tmp_path / "o.vcf")[-1].split("\t")
        info, star = dict(x.split("=") for x in line[7].split(";")), line[4].split(",").index("*")
        assert line[1] == "1003" and len(line[4].split(",")) == 2
        for key, wanted, other in (("AS_FS", fs, "0.000"), ("AS_SOR", sor, "0.693"), ("AS_MQ", "0.00", "60.00")):
            found = info[key].split(",")
            assert found[star] == wanted and found[1 - star] == other


@pytest.mark.parametrize("intervals", [[], ["demo1:21000-22200"], ["demo1:20000-21040", "demo1:21100-21101", "demo1:21350-29000"]])
def test_blocks_that_no_variant_overlaps_make_no_difference(tmp_path, monkeypatch, intervals):
    add(tmp_path / "store", *NAMES)
    arguments = ["-R", REFERENCE, "-V", f"cohort://{tmp_path / 'store'}", "-stand-call-conf", 0, *(w for x in intervals for w in ("-L", x))]
    needed, rows = joint_sweep.kernel.needed, []

    def counted(*where):
        rows.append((len(where[0]), needed(*where)))
        return rows[-1][1]

    monkeypatch.setattr(joint_sweep, "kernel", SimpleNamespace(**{**vars(joint_sweep.kernel), "needed": counted}))
    run("genotypegvcfs", *arguments, "-O", tmp_path / "a.vcf")
    assert sum(n for _, n in rows) < 0.9 * sum(n for n, _ in rows)
    monkeypatch.setattr(joint_sweep.GvcfSweep, "_thin_out", lambda *_: None)
    run("genotypegvcfs", *arguments, "-O", tmp_path / "b.vcf")
    assert len(records(tmp_path / "a.vcf")) > 1
    assert records(tmp_path / "a.vcf") == records(tmp_path / "b.vcf")


def test_intervals_read_their_windows_only(tmp_path):
    names = ["demo1", "demo2"]
    with changing(tmp_path / "store", make=True) as store:
        store.window_bp = 5000
        store.add([str(FILES["t0"])], names, [200000, 50000])
    store = Cohort.open(tmp_path / "store")
    (folder,) = store.folders()
    whole = StoredVariants(folder, names, piece_bytes=1000)
    some = StoredVariants(folder, names, intervals=np.array([[0, 21000, 21500]], np.int64))
    assert 0 < len(some.windows) < len(whole.windows)
    found = list(whole.records())
    stored = b"".join(r.data.tobytes() for r in found)
    lines = gzip.decompress(FILES["t0"].read_bytes()).splitlines(keepends=True)
    assert stored == b"".join(x for x in lines if not x.startswith(b"#"))
    inside = sum(int(((r.ref_id == 0) & (r.start < 21500) & (r.end > 21000)).sum()) for r in found)
    assert inside == sum(int(((r.ref_id == 0) & (r.start < 21500) & (r.end > 21000)).sum()) for r in some.records())


def test_lines_come_back_as_they_were(tmp_path):
    """Blocks with another ploidy or other keys, blocks that are kept as lines since something is unusual, more kinds than there are
    templates, lines that end in CR LF."""
    header = [x for x in gzip.decompress(FILES["t0"].read_bytes()).decode().splitlines() if x.startswith("#")]
    bases = Reference(str(REFERENCE)).bases_upper_acgtn(0).tobytes().decode()
    keys = "GT:DP:GQ:MIN_DP:PL"
    samples = ["0/0:13:39:13:0,39,478", "0:13:39:13:0,478", "0/0/0/0:3:1:3:0,1,2,3,65535", "./.", ".:7", "0/0:13:39:13:0,39,65536",
               "0/0:013:39", "0/0:13:99999:1:0,1,2", "0/0:13::13:0,0,0", "0/0:1:2:3:" + ",".join(map(str, range(40))), "0|0:0:0:0:0,0,0",
               "0/0:1\x01:2"]  # fmt: skip
    samples += [f"0/0:{k}:{'x' * k}" for k in range(70)]
    infos = ["END={}", "END=0{}", "END={};DP=3", "DP=3;END={}"]
    lines, at = [], 100
    for k, sample in enumerate(samples * 2):
        ref = bases[at] if k % 7 else bases[at].lower()
        fields = ["demo1", at + 1, "rs1" if k % 11 == 5 else ".", ref, "<NON_REF>", "0" if k % 13 == 5 else ".", "." if k % 17 else "PASS",
                  infos[k % 9 if k % 9 < 4 else 0].format(at + 1 + k), keys, sample]  # fmt: skip
        lines.append("\t".join(map(str, fields)))
        at += k + 1
    for end in ("\n", "\r\n"):
        (tmp_path / "x.g.vcf").write_bytes(("\n".join(header) + "\n" + end.join([*lines, ""])).encode())
        with changing(tmp_path / "store", make=True) as store:
            store.window_bp = 1000
            store.add([str(tmp_path / "x.g.vcf")], ["demo1"], [200000])
        stored = StoredVariants(store.folders()[0], ["demo1"], piece_bytes=20000)
        kinds = np.concatenate([r.kind for r in stored.stored()])
        assert len(stored.windows) > 5 and 50 < (kinds >= 2).sum() < 130 and (kinds < 2).sum() > 30
        stored = StoredVariants(store.folders()[0], ["demo1"], piece_bytes=20000)
        assert b"".join(r.data.tobytes() for r in stored.records()).decode() == end.join([*lines, ""])
        shutil.rmtree(tmp_path / "store")


def test_list_and_remove(tmp_path):
    add(tmp_path / "store", "t0", "as0")
    lines = cohort("list", tmp_path / "store").splitlines()
    assert [x.split("\t")[0] for x in lines] == ["sample", "as0", "t0"]
    cohort("remove", tmp_path / "store", "t0")
    assert samples(tmp_path / "store") == ["as0"]
    assert len(list((tmp_path / "store" / "parts").iterdir())) == 1
    add(tmp_path / "store", "t0")
    assert samples(tmp_path / "store") == ["as0", "t0"]


def test_what_cannot_be_added_leaves_the_store_as_it_was(tmp_path):
    add(tmp_path / "store", "t0")
    before = snapshot(tmp_path / "store")
    cut = tmp_path / "cut.g.vcf.gz"
    cut.write_bytes(FILES["as1"].read_bytes()[:-2000])
    for files, problem in (
        ((FILES["as0"], FILES["t0"]), "has the sample t0, which is in the store already"),
        ((FILES["as0"], cut), "truncated"),
        ((ROOT / "data" / "mixed_sites.vcf.gz",), "made with another reference"),
        ((ROOT / "data" / "golden" / "calls.vcf.gz",), "demo1:612: has no <NON_REF> allele"),
    ):
        with pytest.raises(UserError, match=problem):
            cohort("add", tmp_path / "store", *files, "-R", REFERENCE)
        assert snapshot(tmp_path / "store") == before
    with pytest.raises(UserError, match="truncated"):
        cohort("add", tmp_path / "new", cut, "-R", REFERENCE)
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="has no sample nobody"):
        cohort("remove", tmp_path / "store", "nobody")
    assert snapshot(tmp_path / "store") == before


def test_a_killed_run_leaves_the_store_as_it_was(tmp_path):
    """A process that is killed after its new files are there, before the list is renamed."""
    add(tmp_path / "store", "t0")
    before = snapshot(tmp_path / "store")
    code = (
        "import sys, time\nfrom gpugenome.io.cohort import Cohort\n"
        "def wait(self):\n    print('written', flush=True)\n    time.sleep(60)\n"
        "Cohort._save = wait\nfrom gpugenome.cli import main\n"
        f"main(['cohort', 'add', {str(tmp_path / 'store')!r}, {str(FILES['as0'])!r}, '-R', {str(REFERENCE)!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout.readline() == "written\n"
    with pytest.raises(InputError, match="is being changed by another process"):
        add(tmp_path / "store", "as1")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert snapshot(tmp_path / "store").keys() > before.keys()  # its file is there, unlisted
    assert samples(tmp_path / "store") == ["t0"]
    add(tmp_path / "store", "as1")
    assert samples(tmp_path / "store") == ["as1", "t0"]
    assert len(list((tmp_path / "store" / "parts").iterdir())) == 2


def test_damaged_stores_are_named(tmp_path):
    store = tmp_path / "store"
    with pytest.raises(InputError, match="is not a cohort store"):
        Cohort.open(store)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(InputError, match="other things in it"):
        add(tmp_path / "other", "t0")
    add(store, "t0", "as0")
    listed = (store / "cohort.json").read_text()
    part = store / "parts" / "00000002" / "records.arrows"
    content = part.read_bytes()
    index = pq.read_table(part.with_name("index.parquet"))
    inside = index["offset"][1].as_py() + index["size"][1].as_py() // 2
    flipped = content[:inside] + bytes([content[inside] ^ 1]) + content[inside + 1 :]
    shutil.copytree(part.parent, tmp_path / "copy")

    def genotype():
        run("genotypegvcfs", "-R", REFERENCE, "-V", f"cohort://{store}", "-O", tmp_path / "o.vcf")

    for change, problem in (
        (lambda: (store / "cohort.json").write_text(listed.replace('"version": 3', '"version": 1')), "version 1"),
        (lambda: (store / "cohort.json").write_text(listed[: len(listed) // 2]), "cannot be read"),
        (lambda: (store / "cohort.json").write_text(json.dumps({"format": "x"})), "is not the list"),
        (lambda: part.write_bytes(content[: len(content) // 2]), "is damaged or missing"),
        (lambda: part.write_bytes(flipped), "window 2 is damaged"),
        (lambda: part.unlink(), "damaged or missing"),
        (lambda: shutil.rmtree(part.parent), "is missing: the samples as0"),
    ):
        change()
        with pytest.raises(InputError, match=problem):
            genotype()
        assert not (tmp_path / "o.vcf").exists()
        (store / "cohort.json").write_text(listed)
        if not part.parent.exists():
            shutil.copytree(tmp_path / "copy", part.parent)
        part.write_bytes(content)
    genotype()


def test_adding_takes_as_long_for_the_next_sample(tmp_path):
    """Only the new file and the list are written."""
    add(tmp_path / "store", "t0", "as0")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "store" / "parts").rglob("records.arrows")}
    time.sleep(0.01)
    add(tmp_path / "store", "as1")
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "store" / "parts").rglob("records.arrows")}
    assert len(after) == 3 and {p: after[p] for p in before} == before
