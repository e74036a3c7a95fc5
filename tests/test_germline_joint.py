"""germline --joint: several samples in one run, against the stages one by one."""

import pytest
from click.testing import CliRunner
from filter_cases import records, run

from gpugenome.commands import germline
from gpugenome.errors import UserError


def lanes(demo, samples=("b", "a")):
    out = []
    for k, sample in enumerate(samples, 1):
        out += ["--fastq", demo / f"demo_L00{k}_R1.fastq.gz", demo / f"demo_L00{k}_R2.fastq.gz"]
        out += ["--read-group", f"@RG\\tID:L00{k}\\tSM:{sample}\\tLB:lib1\\tPL:ILLUMINA\\tPU:L00{k}"]
    return out


def joint(*arguments):
    result = CliRunner().invoke(germline.command, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def from_fastq(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    joint("-R", demo / "reference.fa.gz", "--known-sites", demo / "known_sites.vcf.gz", *lanes(demo), "--joint", folder / "joint.vcf",
          "-O", folder / "{sample}.g.vcf", "--out-bam", folder / "{sample}.bam", "-L", "demo1:1-60000")  # fmt: skip
    return folder


def test_results_are_those_of_the_stages(demo, from_fastq, tmp_path):
    alone, reference = tmp_path / "b.g.vcf", demo / "reference.fa.gz"
    joint("-R", reference, "--known-sites", demo / "known_sites.vcf.gz", *lanes(demo)[:5], "-ERC", "GVCF", "-L", "demo1:1-60000",
          "-O", alone)  # fmt: skip
    assert records(alone) == records(from_fastq / "b.g.vcf")
    both = [x for name in "ba" for x in ("-V", from_fastq / f"{name}.g.vcf")]
    run("genotypegvcfs", "-R", reference, *both, "-O", tmp_path / "steps.vcf", "-L", "demo1:1-60000")
    found = records(from_fastq / "joint.vcf")
    assert len(found) > 50 and found == records(tmp_path / "steps.vcf")
    assert (from_fastq / "joint.vcf.idx").exists() and (from_fastq / "a.bam.bai").exists()


def test_bams_without_gvcfs(demo, from_fastq, tmp_path):
    """Recalibrated reads of two samples (in another order of the files: only the order of ALTs may hang on it)."""
    both = ["-I", from_fastq / "a.bam", "-I", from_fastq / "b.bam"]
    joint("-R", demo / "reference.fa.gz", *both, "--joint", tmp_path / "joint.vcf", "-L", "demo1:1-60000")
    assert {x.split("\t")[1] for x in records(tmp_path / "joint.vcf")} == {x.split("\t")[1] for x in records(from_fastq / "joint.vcf")}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["joint.vcf", "joint.vcf.idx"]


def test_names_that_cannot_be(demo, tmp_path):
    reference = ("-R", demo / "reference.fa.gz", "--joint", tmp_path / "joint.vcf")
    for more, problem in (
        ([*lanes(demo), "-O", tmp_path / "x.g.vcf"], "is one file for 2 samples, expected {sample} in its name"),
        ([*lanes(demo), "--out-bam", tmp_path / "x.bam"], "--out-bam .* is one file for 2 samples"),
        ([*lanes(demo, ("a/b", "c")), "-O", tmp_path / "{sample}.g.vcf"], "the sample a/b has a / in its name"),
        ([*lanes(demo), "-O", tmp_path / "no" / "{sample}.g.vcf"], "output folder .* does not exist"),
        ([*lanes(demo, ("joint", "c")), "-O", tmp_path / "{sample}.vcf"], "is both an input and an output"),
        (["-I", "-"], "expected files after --input"),
    ):
        with pytest.raises(UserError, match=problem):
            joint(*reference, *more)
        assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="expected --output .-O., or --out-bam"):
        germline.command.main(["-R", str(demo / "reference.fa.gz"), "-I", str(demo / "golden" / "recalibrated.bam")], standalone_mode=False)
