"""Bad input of HaplotypeCaller: one line that says where and what was expected, exit code 2, no output; or what GATK does with it.

Regions without reads, stretches of N, contigs of one base, reads without qualities and reads of 2,500 bases are among the recorded runs
of GATK (test_haplotypecaller_options.py: no_reads, only_n, around_n, tiny, kilobase_reads).
"""

import gzip
import shutil

import pysam
import pytest
from recorded_calls import NAMED, call, lines_of

from gpugenome.cli import main

REGION = ("-L", "demo1:11501-12500")


@pytest.fixture(scope="module")
def bam(demo, tmp_path_factory):
    """The reads of a kilobase, as SAM lines in a file that tests change: (header lines, record lines)."""
    text = pysam.view("-h", "--no-PG", str(demo / "golden" / "recalibrated.bam")).splitlines()
    low, high = 11_300, 12_700
    kept = [x for x in text if not x.startswith("@") and x.split("\t")[2] == "demo1" and low < int(x.split("\t")[3]) < high]
    return [x for x in text if x.startswith("@")], kept


def sam(folder, header, records):
    path = folder / "reads.sam"
    path.write_text("\n".join([*header, *records]) + "\n")
    return path


def refused(capsys, folder, *arguments):
    """The message of a run that must fail with exit code 2 and leave no file."""
    out = folder / "out.vcf.gz"
    with pytest.raises(SystemExit) as stop:
        main(["haplotypecaller", "--device", "cpu", "--threads", "1", "-O", str(out), *map(str, arguments)])
    lines = [x for x in capsys.readouterr().err.splitlines() if "error" in x.lower()]
    assert stop.value.code == 2 and len(lines) == 1 and not [p for p in folder.iterdir() if "out.vcf" in p.name]
    return lines[0]


def body(path):
    return [x for x in lines_of(path) if not x.startswith(NAMED)]


def test_sample_that_is_not_there(demo, bam, tmp_path, capsys):
    reads = sam(tmp_path, *bam)
    message = refused(capsys, tmp_path, "-R", demo / "reference.fa.gz", "-I", reads, "--sample-name", "other", *REGION)
    assert "--sample-name other: the reads have no such sample (theirs: demo)" in message


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.bed", "demo1\t100\t200\ndemo1\tx\t300\n", "a.bed: line 2: expected contig, start and end separated by tabs"),
        ("a.bed", "demo1 x 200\n", "a.bed: line 1: expected contig, start and end separated by tabs"),
        ("a.bed", "demo1\t100\t100\n", "a.bed: line 1: demo1:101-100 has no bases"),
        ("a.bed", "demo9\t100\t200\n", "a.bed: line 1: the reference has no contig demo9"),
        ("a.bed", "demo1\t100\t200001\n", "a.bed: line 1: lies outside of the contig demo1 (1-200000)"),
        ("a.interval_list", "@SQ\tSN:demo1\tLN:200000\ndemo1\t5\t4\t+\tx\n", "a.interval_list: line 2: "),
        ("a.list", "demo1:5-10\ndemo1:7-\n", "a.list: line 2: demo1:7-: expected contig, contig:position or contig:start-end"),
        ("a.list", "demo1:0-10\n", "a.list: line 1: demo1:0-10: lies outside of the contig demo1"),
    ],
)
def test_interval_files_with_bad_lines(name, text, message, demo, bam, tmp_path, capsys):
    (tmp_path / name).write_text(text)
    assert message in refused(capsys, tmp_path, "-R", demo / "reference.fa.gz", "-I", sam(tmp_path, *bam), "-L", tmp_path / name)


def test_reads_without_qualities_are_left_out(demo, bam, tmp_path):
    """As GATK's WellformedReadFilter does; a BAM has 0xff there."""
    header, records = bam
    bare = ["\t".join([*f[:10], "*", *f[11:]]) if k % 3 == 0 else x for k, x in enumerate(records) for f in [x.split("\t")]]
    without = [x for k, x in enumerate(records) if k % 3]
    found = []
    for name, lines in (("bare", bare), ("without", without)):
        path = tmp_path / f"{name}.bam"
        pysam.view("-b", "-o", str(path), str(sam(tmp_path, header, lines)), catch_stdout=False)
        call("-R", demo / "reference.fa.gz", "-I", path, "-O", tmp_path / f"{name}.vcf", *REGION)
        found.append(body(tmp_path / f"{name}.vcf"))
    assert found[0] == found[1] and sum(not x.startswith("#") for x in found[0]) > 2


def test_impossible_qualities(demo, bam, tmp_path, capsys):
    path = tmp_path / "reads.bam"
    pysam.view("-b", "-o", str(path), str(sam(tmp_path, *bam)), catch_stdout=False)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    fields = bam[1][0].split("\t")
    name = fields[0].encode() + b"\0"
    at = raw.index(name) + len(name) + 4 * sum(c.isalpha() for c in fields[5]) + (len(fields[9]) + 1) // 2
    raw[at] = 120
    with pysam.BGZFile(str(path), "wb") as f:
        f.write(bytes(raw))
    message = refused(capsys, tmp_path, "-R", demo / "reference.fa.gz", "-I", path, *REGION)
    assert f"reads.bam: record 1 ({fields[0]}): it has a base quality above 93" in message


def test_other_md5_of_contigs(demo, bam, tmp_path, capsys):
    """GATK does not look at M5 of BAM files; CRAM cannot be read without the right reference."""
    header, records = bam
    other = [x + "\tM5:" + "0" * 32 if x.startswith("@SQ") else x for x in header]
    for name, lines in (("plain", header), ("other", other)):
        call("-R", demo / "reference.fa.gz", "-I", sam(tmp_path, lines, records), "-O", tmp_path / f"{name}.vcf", *REGION)
    assert body(tmp_path / "plain.vcf") == body(tmp_path / "other.vcf")
    fasta = tmp_path / "changed.fa"
    with gzip.open(demo / "reference.fa.gz", "rt") as f:
        lines = f.read().splitlines()
    lines[195] = lines[195].translate(str.maketrans("ACGTacgt", "CATGcatg"))  # within demo1:11641-11700
    fasta.write_text("\n".join(lines) + "\n")
    cram = tmp_path / "reads.cram"
    plain = tmp_path / "demo.fa"
    with gzip.open(demo / "reference.fa.gz", "rb") as f, open(plain, "wb") as g:
        shutil.copyfileobj(f, g)
    pysam.view("-C", "-T", str(plain), "-o", str(cram), str(sam(tmp_path, header, records)), catch_stdout=False)
    message = refused(capsys, tmp_path, "-R", fasta, "-I", cram, *REGION)
    assert "reads.cram: cannot be read as SAM or CRAM" in message


def test_a_reference_with_other_contigs(demo, bam, tmp_path, capsys):
    header, records = bam
    shorter = [x.replace("LN:200000", "LN:199999") for x in header]
    message = refused(capsys, tmp_path, "-R", demo / "reference.fa.gz", "-I", sam(tmp_path, shorter, records), *REGION)
    assert "header: contig demo1 has 199999 bp, but 200000 bp in the reference" in message


def test_fewer_genotypes_than_one_alternate_allele_has(demo, bam, tmp_path, capsys):
    """GATK ends in an exception at the first site."""
    more = "--sample-ploidy", 3, "--max-genotype-count", 3
    message = refused(capsys, tmp_path, "-R", demo / "reference.fa.gz", "-I", sam(tmp_path, *bam), *more, *REGION)
    assert "--max-genotype-count 3: a site with one ALT has 4 genotypes" in message


def test_given_alleles_of_another_reference(demo, bam, tmp_path, capsys):
    (tmp_path / "given.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\ndemo1\t1\t.\tA\tC\t.\t.\t.\n")
    reads = sam(tmp_path, *bam)
    message = refused(capsys, tmp_path, "-R", demo / "reference.fa.gz", "-I", reads, "--alleles", tmp_path / "given.vcf", *REGION)
    assert "given.vcf: record 1: demo1:1 A C: REF is not what the reference has there" in message
