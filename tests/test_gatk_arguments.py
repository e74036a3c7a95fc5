"""Arguments of GATK that scripts have and that change nothing here are taken; values that would change something are refused by name."""

import pysam
import pytest

from gpugenome.cli import cli
from gpugenome.cli import main as program
from gpugenome.gatk import defaults

ANYWHERE = "--verbosity ERROR --QUIET -VS SILENT --tmp-dir {tmp} -OBM false --showHidden false -jdk-deflater --lenient false".split()
CALLER = ["--native-pair-hmm-threads", "8", "-pairHMM", "AVX_LOGLESS_CACHING", "--smith-waterman", "AVX_ENABLED", "-contamination", "0",
          "-new-qual", "--dragen-mode", "false"]  # fmt: skip
TOOLS = {
    "haplotypecaller": (defaults.IDLE_HAPLOTYPECALLER, defaults.UNSUPPORTED_HAPLOTYPECALLER),
    "germline": (defaults.IDLE_HAPLOTYPECALLER, defaults.UNSUPPORTED_HAPLOTYPECALLER),
    "markdup": (defaults.IDLE_MARKDUPLICATES, defaults.UNSUPPORTED_MARKDUPLICATES),
    "sort": (defaults.IDLE_SORTSAM, defaults.UNSUPPORTED_SORTSAM),
    "bqsr": (defaults.IDLE_BASERECALIBRATOR, defaults.UNSUPPORTED_BASERECALIBRATOR),
    "applybqsr": (defaults.IDLE_APPLYBQSR, defaults.UNSUPPORTED_APPLYBQSR),
    "genotypegvcfs": (defaults.IDLE_GENOTYPEGVCFS, defaults.UNSUPPORTED_GENOTYPEGVCFS),
    "combinegvcfs": (defaults.IDLE_JOINT, defaults.UNSUPPORTED_COMBINEGVCFS),
    "variantfiltration": (defaults.IDLE_JOINT, defaults.UNSUPPORTED_VARIANTFILTRATION),
    "selectvariants": (defaults.IDLE_SELECTVARIANTS, defaults.UNSUPPORTED_SELECTVARIANTS),
}


@pytest.fixture(scope="module")
def called(demo, tmp_path_factory):
    """A small GVCF of the demo reads, made without arguments that change nothing."""
    folder = tmp_path_factory.mktemp("called")
    words = ["haplotypecaller", "-R", demo / "reference.fa.gz", "-I", demo / "golden" / "recalibrated.bam", "-L", "demo1:12001-13000"]
    cli.main(args=[*map(str, words), "-ERC", "GVCF", "-O", str(folder / "a.g.vcf")], standalone_mode=False)
    return folder / "a.g.vcf"


def run(capsys, *words):
    """(exit code, lines on standard error) of a command."""
    with pytest.raises(SystemExit) as stop:
        program([str(w) for w in words])
    return stop.value.code, capsys.readouterr().err.splitlines()


def body(path):
    return [x for x in path.read_text().splitlines() if not x.startswith(("##source", "##GATKCommandLine", "##gpugenome"))]


def test_names_have_one_dash_or_two(called, demo, tmp_path, capsys):
    """As in GATK; a word that only looks like a name stays a value."""
    code, lines = run(capsys, "genotypegvcfs", "-reference", demo / "reference.fa.gz", "--V", called, "-output=" + str(tmp_path / "g.vcf"),
                      "--L", "demo1:12001-13000", "--stand-call-conf", "10", "--QUIET")  # fmt: skip
    assert (code, lines) == (0, []) and (tmp_path / "g.vcf").exists()
    code, lines = run(capsys, "selectvariants", "-V", tmp_path / "g.vcf", "-O", tmp_path / "s.vcf", "--select", "-1 < 0", "--QUIET")
    assert (code, lines) == (0, []) and body(tmp_path / "s.vcf")
    code, lines = run(capsys, "selectvariants", "--V", tmp_path / "g.vcf", "--O", tmp_path / "s.vcf", "--nothing", "--QUIET")
    assert code == 2 and "--nothing" in lines[0]


def test_every_command_takes_them_and_stays_quiet(called, demo, tmp_path, capsys):
    genome, reads = demo / "reference.fa.gz", demo / "golden" / "recalibrated.bam"
    region, table = ["-L", "demo1:12001-13000"], tmp_path / "t.table"
    commands = {
        "haplotypecaller": ["-R", genome, "-I", reads, "-ERC", "GVCF", "-O", tmp_path / "a.g.vcf", *region, *CALLER],
        "bqsr": ["-R", genome, "-I", reads, "--known-sites", demo / "known_sites.vcf.gz", "-O", table, *region, "-OVI", "true"],
        "applybqsr": ["-R", genome, "-I", reads, "-bqsr", table, "-O", tmp_path / "r.bam", *region, "-OBI", "false"],
        "combinegvcfs": ["-R", genome, "-V", called, "-O", tmp_path / "c.g.vcf", "-OBI"],
        "genotypegvcfs": ["-R", genome, "-V", called, "-O", tmp_path / "g.vcf", "--genomicsdb-shared-posixfs-optimizations", "true"],
        "variantfiltration": ["-V", tmp_path / "g.vcf", "-O", tmp_path / "f.vcf", "-filter", "QD < 2.0", "--filter-name", "QD2"],
        "selectvariants": ["-V", tmp_path / "f.vcf", "-O", tmp_path / "s.vcf", "--max-variants-per-shard", "0"],
    }
    for name, words in commands.items():
        code, lines = run(capsys, name, *words, *(w.replace("{tmp}", str(tmp_path)) for w in ANYWHERE))
        assert (code, lines) == (0, []), name
    assert body(tmp_path / "a.g.vcf") == body(called)
    assert not (tmp_path / "r.bam.bai").exists() and not (tmp_path / "r.bai").exists()


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_other_values_are_refused_by_name(name, capsys):
    idle, unsupported = TOOLS[name]
    own = {o for p in cli.get_command(None, name).params if not p.hidden for o in p.opts}
    assert not set(idle) & set(unsupported)
    refused = [(long, values) for long, (_, values) in idle.items() if "--" + long not in own and not isinstance(values, type)]
    assert len(refused) >= {"sort": 1, "markdup": 2}.get(name, 3)
    for long, values in refused:
        other = str(not values[0]).lower() if isinstance(values[0], bool) else "OTHER" if isinstance(values[0], str) else "7"
        code, lines = run(capsys, name, "--" + long, other)
        assert code == 2 and len(lines) == 1 and f"--{long} {other}" in lines[0].replace("7.0", "7") and "not supported yet" in lines[0]
    code, lines = run(capsys, name, "--arguments_file", "x")
    assert code == 2 and len(lines) == 1 and "--arguments_file: this argument of" in lines[0]


def test_progress_is_back_after_a_quiet_command(called, demo, tmp_path, capsys):
    words = ["combinegvcfs", "-R", demo / "reference.fa.gz", "-V", called, "-O"]
    assert run(capsys, *words, tmp_path / "a.g.vcf", "--QUIET", "true") == (0, [])
    for k, loud in enumerate([[], ["--QUIET", "false", "-verbosity", "DEBUG"]]):
        code, lines = run(capsys, *words, tmp_path / f"b{k}.g.vcf", *loud)
        assert code == 0 and any("records written" in x for x in lines)


def test_index_and_digest_of_bamout(demo, tmp_path):
    words = ["haplotypecaller", "-R", demo / "reference.fa.gz", "-I", demo / "golden" / "recalibrated.bam", "-L", "demo1:12001-12500"]
    for name, more, companions in (("a", [], {"bai"}), ("b", ["-OBI", "false"], set()), ("c", ["-OBM", "true"], {"bai", "md5"})):
        folder = tmp_path / name
        folder.mkdir()
        cli.main(args=[*map(str, [*words, "-O", folder / "a.vcf", "-bamout", folder / "o.bam"]), *more], standalone_mode=False)
        found = {p.suffix[1:] for p in folder.iterdir() if p.name.startswith("o.") and p.name != "o.bam"}
        assert found == companions and len(pysam.view(str(folder / "o.bam")).splitlines()) > 0


def test_picard_names_of_sort_and_markdup(demo, tmp_path, capsys):
    idle = "--VALIDATION_STRINGENCY SILENT --QUIET true --VERBOSITY ERROR --MAX_RECORDS_IN_RAM 5000 -use_jdk_deflater true".split()
    reads, marked = demo / "golden" / "recalibrated.bam", {}
    for k, words in enumerate([[], [*idle, "-AS", "true"], [*idle, "-ASO", "coordinate", "-DS", "SUM_OF_BASE_QUALITIES"]]):
        out = tmp_path / f"m{k}.bam"
        more = ["--CREATE_INDEX", "true", "--CREATE_MD5_FILE", "true", "--TMP_DIR", tmp_path, "--COMPRESSION_LEVEL", "2"] if k else []
        code, lines = run(capsys, "markdup", "--INPUT", reads, "--OUTPUT", out, "-M", tmp_path / "metrics", "-PG", "null", *words, *more)
        assert (code, lines) == (0, []) and len([p for p in tmp_path.iterdir() if p.name.startswith(f"m{k}.")]) == (3 if k else 1)
        marked[k] = [x for x in pysam.view(str(out)).splitlines()]
    assert marked[0] == marked[1] == marked[2] and len(marked[0]) > 1000
    code, lines = run(capsys, "markdup", "-I", reads, "-O", tmp_path / "x.bam", "-AS", "true", "-ASO", "coordinate")
    assert code == 2 and "--assume-sorted and --assume-sort-order: expected one of them" in lines[0]
    code, lines = run(capsys, "sort", "--INPUT", reads, "--OUTPUT", tmp_path / "s.bam", "-SO", "queryname", *idle)
    assert (code, lines) == (0, []) and (tmp_path / "s.bam").exists()
