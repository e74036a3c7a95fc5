"""The records of a BAM file in a fixed random order, without duplicate flags and PG tags: input for tests of sorting and marking.

    python data/make_unsorted.py data/golden/recalibrated.bam unsorted.bam
"""

import random
import sys

import pysam


def make_unsorted(source: str, out: str) -> None:
    """Write the records of `source` to `out`, shuffled with seed 5."""
    with pysam.AlignmentFile(source) as f:
        reads = list(f.fetch(until_eof=True))
        header = f.header.to_dict()
    header["HD"]["SO"] = "unsorted"
    header["PG"] = header["PG"][:1]
    random.Random(5).shuffle(reads)
    with pysam.AlignmentFile(out, "wb", header=header) as w:
        for read in reads:
            read.is_duplicate = False
            read.set_tag("PG", None)
            w.write(read)


if __name__ == "__main__":
    make_unsorted(*sys.argv[1:])
