"""How long the blocks of a BAM file alone take: inflating (with CRC), and deflating as the stages that write BAM do.

    python benchmarks/bgzf_rates.py FILE ... [--threads 2] [--level 2] [--runs 5] [--out benchmarks/bgzf.jsonl]

What a stage that reads FILE cannot go below is the first, and if it writes as much, the sum of both: memory is touched before, records
are found before, nothing is read from or written to a disk. Medians; one line a file: MB inflated, seconds and GB/s of both, MB deflated.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from harness import ROOT, commit, cpu_model

sys.path.insert(0, str(ROOT))


def inflate_seconds(path, threads, runs):
    """(bytes inflated, seconds of each run)."""
    from gpugenome.kernels import bgzf_cpu
    from gpugenome.kernels.launch import run_chunks

    raw = np.fromfile(path, np.uint8)
    starts, sizes, inflated = (np.empty(raw.size // 64 + 64, np.int64) for _ in range(3))
    n, _, status = bgzf_cpu.scan_blocks(raw, 0, raw.size, 1 << 40, starts, sizes, inflated)
    assert status == bgzf_cpu.OK, path
    place = np.concatenate([np.zeros(1, np.int64), np.cumsum(inflated[:n])])
    out, seconds = np.zeros(int(place[-1]), np.uint8), []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        results = run_chunks(bgzf_cpu.inflate_blocks, n, threads, raw, starts[:n], sizes[:n], place, out, True)
        seconds.append(time.perf_counter() - begun)
        assert max(results) < 0, path
    return out.size, seconds[1:]  # the first one compiles


class Sink:
    """Counts what is written."""

    size = 0

    def write(self, data):
        self.size += len(data)


def deflate_seconds(path, threads, level, runs):
    """(bytes deflated to, seconds of each run)."""
    from gpugenome.columns import quality_spans
    from gpugenome.io.bam import open_several
    from gpugenome.io.bgzf import BgzfWriter

    pieces, seconds = [], []
    for batch in open_several([path], None, threads).batches(ordered=False):
        pieces.append((batch.data[batch.offset[0] : batch.offset[-1]].copy(), quality_spans(batch, threads, batch.offset[0])))
    for _ in range(runs + 1):
        begun, sink = time.perf_counter(), Sink()
        writer = BgzfWriter(sink, "memory", level, threads)
        for data, quiet in pieces:
            writer.write(data, quiet)
        writer.finish()
        seconds.append(time.perf_counter() - begun)
    return sink.size, seconds[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--level", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "bgzf.jsonl")
    args = parser.parse_args()
    print(f"{'file':24} {'MB':>7} {'inflate s':>10} {'GB/s':>6} {'deflate s':>10} {'GB/s':>6} {'MB out':>8} {'both s':>7}")
    for path in args.files:
        inflated, in_s = inflate_seconds(path, args.threads, args.runs)
        deflated, out_s = deflate_seconds(path, args.threads, args.level, args.runs)
        inflate_s, deflate_s = statistics.median(in_s), statistics.median(out_s)
        row = {"commit": commit(), "cpu": cpu_model(), "threads": args.threads, "date": time.strftime("%Y-%m-%d"),
               "data": path.name, "level": args.level, "runs": args.runs, "inflated_mb": round(inflated / 1e6, 2),
               "inflate_s": round(inflate_s, 3), "deflate_s": round(deflate_s, 3), "output_mb": round(deflated / 1e6, 2)}  # fmt: skip
        with open(args.out, "a") as f:
            f.write(json.dumps(row) + "\n")
        print(f"{path.name:24} {inflated / 1e6:7.1f} {inflate_s:10.3f} {inflated / inflate_s / 1e9:6.2f} {deflate_s:10.3f} "
              f"{inflated / deflate_s / 1e9:6.2f} {deflated / 1e6:8.2f} {inflate_s + deflate_s:7.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
