"""Which records Picard refuses for their flags and places, and those of their mates, and which ones we do.

    python benchmarks/strict_reads.py

All 32,768 combinations of the nine flags that matter, contig and position of read and mate there or not, mapping quality 0 or 60, and a
CIGAR or none. SortSam says of each what is wrong with it where it is to be lenient. Prints how many are refused by one of both only, and
the SHA-256 of Picard's answers, which tests/test_bad_reads.py knows; exit code 1 where they differ. GATK as in harness.py.
"""

import hashlib
import itertools
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import ROOT, find_gatk

sys.path.insert(0, str(ROOT))

FLAGS = (1, 2, 4, 8, 32, 64, 128, 256, 2048)


def records():
    """(data, where each record begins): BAM records, uint8, int64."""
    parts, starts, at = [], [], 0
    for chosen in itertools.product((0, 1), repeat=len(FLAGS)):
        flag = sum(f for f, yes in zip(FLAGS, chosen) if yes)
        for mate_ref_id, mate_pos, ref_id, pos, mapq, n_cigar in itertools.product((-1, 0), (-1, 5), (-1, 0), (-1, 5), (0, 60), (0, 1)):
            name = b"r%d\0" % len(parts)
            fixed = struct.pack("<iiBBHHHiiii", ref_id, pos, len(name), mapq, 4680, n_cigar, flag, 10, mate_ref_id, mate_pos, 0)
            body = fixed + name + struct.pack("<I", 10 << 4) * n_cigar + b"\x11" * 5 + b"\x1e" * 10
            parts.append(struct.pack("<i", len(body)) + body)
            starts.append(at)
            at += len(parts[-1])
    return np.frombuffer(b"".join(parts), np.uint8), np.array(starts)


def ours(data, starts):
    """bool[n]: the records that we refuse."""
    from gpugenome.kernels.bam_records_cpu import OK, contradiction

    return np.array([contradiction(data.ctypes.data + int(at)) != OK for at in starts])


def theirs(data, starts, gatk, folder):
    """bool[n]: the records that Picard refuses."""
    from gpugenome.io.bgzf import compress

    text = b"@HD\tVN:1.6\tSO:unsorted\n@SQ\tSN:c1\tLN:1000\n"
    head = b"BAM\1" + struct.pack("<i", len(text)) + text + struct.pack("<ii", 1, 3) + b"c1\0" + struct.pack("<i", 1000)
    path = folder / "all.bam"
    path.write_bytes(compress(np.concatenate([np.frombuffer(head, np.uint8), data])))
    command = [gatk, "SortSam", "-I", path, "-O", folder / "out.bam", "-SO", "queryname", "--VALIDATION_STRINGENCY", "LENIENT"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    refused = np.zeros(len(starts), bool)
    for number in re.findall(r"SAM validation error: .*?Read name r(\d+),", said):
        refused[int(number)] = True
    return refused


def digest(refused):
    """SHA-256 of answers."""
    return hashlib.sha256(np.packbits(refused).tobytes()).hexdigest()


def main():
    gatk = find_gatk()
    if not gatk:
        sys.exit("GATK is not installed")
    data, starts = records()
    with tempfile.TemporaryDirectory() as folder:
        refused = theirs(data, starts, gatk, Path(folder))
    mine = ours(data, starts)
    print(f"{len(starts)} records, refused by Picard {refused.sum()}, only by Picard {(refused & ~mine).sum()}, "
          f"only by us {(mine & ~refused).sum()}; {digest(refused)}")  # fmt: skip
    sys.exit(int((mine != refused).any()))


if __name__ == "__main__":
    main()
