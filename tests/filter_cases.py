"""What the tests of filters and selections share: GATK's recorded results, small VCFs, running a command in this process."""

import hashlib
import shlex
from pathlib import Path

from gpugenome.cli import cli

DATA = Path(__file__).resolve().parent.parent / "data"
HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=old,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="x">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="x">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="x">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="x">
##INFO=<ID=AC,Number=A,Type=Integer,Description="x">
##INFO=<ID=DP,Number=1,Type=Integer,Description="x">
##INFO=<ID=QD,Number=1,Type=Float,Description="x">
##INFO=<ID=DB,Number=0,Type=Flag,Description="x">
##contig=<ID=c1,length=1000>
##contig=<ID=c2,length=1000>
"""


def recorded(tool: str) -> list:
    """(SHA-256 of the records, VCF, arguments) of data/golden/filters.sha256: what GATK 4.6.2.0 made with these arguments (hardfilter: what
    SelectVariants, VariantFiltration and MergeVcfs made)."""
    out = []
    for line in (DATA / "golden" / "filters.sha256").read_text().splitlines():
        digest, name, command = line.split("\t")
        if command.split()[0] == tool:
            out.append((digest, DATA / name if name.startswith("mixed") else DATA / "golden" / name, tuple(shlex.split(command)[1:])))
    return out


def run(*arguments) -> None:
    """Run a command here; its errors are raised."""
    cli.main([str(a) for a in arguments], standalone_mode=False)


def records(path) -> list[str]:
    """The record lines of a plain VCF."""
    return [line for line in Path(path).read_text().splitlines() if not line.startswith("#")]


def digest(path) -> str:
    """SHA-256 of the record lines, as in filters.sha256."""
    return hashlib.sha256("".join(line + "\n" for line in records(path)).encode()).hexdigest()


def write(path: Path, *lines: str, samples: str = "s1") -> Path:
    """A VCF of records written with spaces."""
    columns = "#CHROM POS ID REF ALT QUAL FILTER INFO" + (f" FORMAT {samples}" if samples else "")
    path.write_text(HEADER + "".join(line.replace(" ", "\t") + "\n" for line in (columns, *lines)))
    return path
