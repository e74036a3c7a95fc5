"""IDs of calls from a VCF of known variants."""

import gzip

import numpy as np
import pytest

from gpugenome.errors import InputError
from gpugenome.io.bgzf import compress
from gpugenome.io.known_variants import read_known_variants

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
LINES = [
    "a\t10\trs1\tA\tC\t.\t.\t.",
    "a\t10\trs2\tA\tC,G\t.\tPASS\tX",
    "a\t10\trs3\tA\tT\t.\tbad\t.",  # filtered
    "a\t20\trs4\tGTT\tG\t.\t.\t.",
    "a\t20\trs5\tGTT\tGT,G\t.\t.\t.",  # its pieces: GT>G and GTT>G
    "a\t30\trs6\tCAA\tTAA\t.\t.\t.",  # the last bases go: C>T
    "z\t5\trs7\tA\tC\t.\t.\t.",  # not a contig of ours
    "b\t5\trs8\tA\tC\t.\t.\t.",
]
CALLS = {  # (contig, POS, alleles): ID
    (0, 10, ("A", "C")): "rs1;rs2",
    (0, 10, ("A", "G", "<NON_REF>")): "rs2",
    (0, 10, ("A", "T")): "",
    (0, 20, ("GT", "G")): "rs5",
    (0, 20, ("GTT", "G", "GT")): "rs4;rs5",
    (0, 20, ("GT", "GA")): "",
    (0, 30, ("C", "T")): "rs6",
    (0, 31, ("A", "T")): "",
    (1, 5, ("A", "C")): "rs8",
    (1, 5, ("A", "*", "C")): "rs8",
    (2, 5, ("A", "C")): "",
}


def ids_of(known, contig):
    calls = [(pos, alleles) for (c, pos, alleles) in CALLS if c == contig]
    flat = [a for _, alleles in calls for a in alleles]
    base = np.frombuffer("".join(flat).encode(), np.uint8)
    field = known.ids(contig, np.array([pos - 1 for pos, _ in calls], np.int32), np.cumsum([0, *(len(a) for _, a in calls)]), base,
                      np.cumsum([0, *map(len, flat)]), 2)  # fmt: skip
    return [field.values[a:b].tobytes().decode() for a, b in zip(field.offset[:-1], field.offset[1:])]


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzf"])
def test_ids(tmp_path, kind):
    text = (HEADER + "\n".join(LINES)).encode()  # the last line without its end
    path = tmp_path / "known.vcf"
    pack = {"plain": bytes, "gzip": gzip.compress, "bgzf": lambda t: compress(np.frombuffer(t, np.uint8))}[kind]
    path.write_bytes(pack(text))
    known = read_known_variants(str(path), ["a", "b", "c"])
    for contig in range(3):
        assert ids_of(known, contig) == [want for (c, _, _), want in CALLS.items() if c == contig]


@pytest.mark.parametrize("text, problem", [
    ("nonsense\n", "does not begin with"),
    (HEADER + "a\t10\trs1\tA\n", "record 1"),
    (HEADER + "a\tx\trs1\tA\tC\t.\t.\t.\n", "number as POS"),
    (HEADER + LINES[3] + "\n" + LINES[0] + "\n", "not sorted"),
])  # fmt: skip
def test_bad_files_are_refused(tmp_path, text, problem):
    path = tmp_path / "known.vcf"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        read_known_variants(str(path), ["a"])


def test_missing_file(tmp_path):
    with pytest.raises(InputError):
        read_known_variants(str(tmp_path / "no.vcf"), ["a"])
