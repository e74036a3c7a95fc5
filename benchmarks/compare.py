"""Compare two commits' rows of a results file: median wall seconds and memory of each stage, and the ratio.

    python benchmarks/compare.py results.jsonl COMMIT_A COMMIT_B
"""

import json
import statistics
import sys


def medians(rows, commit):
    mine = [r for r in rows if r["commit"].startswith(commit) and r["tool"] == "gpugenome" and not r["exit"]]
    groups = {}
    for r in mine:
        groups.setdefault((r["data"], r["stage"], r["threads"], r["device"]), []).append(r)
    return {k: {f: statistics.median(r[f] for r in g) for f in ("wall_s", "peak_mb")} for k, g in groups.items()}


def main(path, a, b):
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    first, second = medians(rows, a), medians(rows, b)
    print(f"{'data':10} {'stage':10} {'threads':>7} {a[:9]:>10} {b[:9]:>10} {'ratio':>6} {'MB':>7} {'MB':>7}")
    for k in first:
        if k in second:
            x, y = first[k], second[k]
            print(f"{k[0]:10} {k[1]:10} {k[2]:7} {x['wall_s']:10.2f} {y['wall_s']:10.2f} {x['wall_s'] / y['wall_s']:6.2f} "
                  f"{x['peak_mb']:7.0f} {y['peak_mb']:7.0f}")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
