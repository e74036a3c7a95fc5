"""Where haplotypecaller spends its CPU seconds: by kernel, by step, and what a second thread cannot share.

    python benchmarks/profile_caller.py -R ref.fa -I reads.bam [-ERC GVCF] [other options of haplotypecaller] [--runs 3] [--json]

The command runs in this process on one thread: once to load (or compile) its kernels, then --runs times with a clock around every
kernel that Python calls and around the steps; the run with the least CPU counts. CPU seconds are the thread's own (user and system), so
a busy machine changes them little. `parallel` is what runs side by side on more threads: assembly and likelihoods of parts, and kernels
in chunks; the rest is serial, and `most_speedup` is what Amdahl's law leaves for 2, 4 and 16 threads.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from harness import commit, cpu_model

# (step, module under gpugenome, function or Class.method); times include the steps inside
STEPS = (
    ("read", "io.bam", "Reader._to_batch"),
    ("inflate", "io.bgzf", "_inflate"),
    ("select reads", "steps.haplotypecaller.reads", "ReadSelector.select"),
    ("activity", "steps.haplotypecaller.regions", "_Window._activity"),
    ("regions", "steps.haplotypecaller.regions", "_Window._sites"),
    ("reads of regions", "steps.haplotypecaller.regions", "_Window._batch"),
    ("finalise", "steps.haplotypecaller.assembly", "finalise_reads"),
    ("assembly", "steps.haplotypecaller.graph", "assemble"),
    ("trim", "steps.haplotypecaller.assembly", "trim_regions"),
    ("likelihoods", "steps.haplotypecaller.engine", "likelihoods"),
    ("site models", "steps.haplotypecaller.engine", "site_models"),
    ("emit", "steps.haplotypecaller.engine", "emit"),
    ("genotypes", "steps.haplotypecaller.engine", "call_sites"),
    ("annotate", "steps.haplotypecaller.engine", "annotate"),
    ("text", "steps.haplotypecaller.engine", "format_records"),
    ("reference confidence", "steps.haplotypecaller.engine", "reference_records"),
    ("blocks", "steps.haplotypecaller.blocks", "BlockLines.add"),
    ("write", "io.vcf", "VariantWriter.write"),
)
PARALLEL = "_model", "_call"
"""Methods of engine.Caller that run side by side."""
THREADS = (2, 4, 16)


class Clock:
    """CPU seconds and calls by name; kernels called inside of run_chunks or of a part are parallel."""

    def __init__(self):
        self.kernels, self.steps, self.parallel, self._depth = {}, {}, 0.0, 0

    def wrap(self, function, name, table, parallel=False):
        """The function with a clock around it. parallel: what it takes is parallel even outside of parts."""

        def timed(*args, **kwargs):
            self._depth += parallel
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.thread_time() - start
                self._depth -= parallel
                calls, sum_ = table.get(name, (0, 0.0))
                table[name] = calls + 1, sum_ + took
                if parallel and not self._depth:
                    self.parallel += took

        return timed


class _Timed:
    """A kernel module whose compiled functions are timed."""

    def __init__(self, module, clock):
        self._module, self._clock = module, clock

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if hasattr(value, "py_func"):
            value = self._clock.wrap(value, f"{self._module.__name__.split('.')[-1]}.{name}", self._clock.kernels)
        setattr(self, name, value)
        return value


@contextmanager
def _replaced(places):
    """Set attributes for a while; places: (object, name, value)."""
    old = [(place, name, getattr(place, name)) for place, name, _ in places]
    try:
        for place, name, value in places:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in old:
            setattr(place, name, value)


def _instruments(clock):
    """Every place where Python finds a kernel module, `run_chunks` or a step, with its replacement."""
    from gpugenome import backend
    from gpugenome.kernels import launch
    from gpugenome.steps.haplotypecaller import engine

    chunks = clock.wrap(launch.run_chunks, "run_chunks", {}, parallel=True)
    places, proxies = [(launch, "run_chunks", chunks)], {}
    for full, module in list(sys.modules.items()):
        if not full.startswith("gpugenome.") or full.startswith("gpugenome.kernels"):
            continue
        for name, value in list(vars(module).items()):
            if value is launch.run_chunks:
                places.append((module, name, chunks))
            elif getattr(value, "__name__", "").startswith("gpugenome.kernels.") and type(value) is type(sys):
                places.append((module, name, proxies.setdefault(value, _Timed(value, clock))))
    twin = backend.Backend.kernels

    def kernels(self, stem):
        found = twin(self, stem)
        return replace(found, module=proxies.setdefault(found.module, _Timed(found.module, clock)))

    places.append((backend.Backend, "kernels", kernels))
    for step, module, path in STEPS:
        place, *names = import_module(f"gpugenome.{module}"), *path.split(".")
        for name in names[:-1]:
            place = getattr(place, name)
        places.append((place, names[-1], clock.wrap(getattr(place, names[-1]), step, clock.steps)))
    return places + [(engine.Caller, name, clock.wrap(getattr(engine.Caller, name), name, {}, parallel=True)) for name in PARALLEL]


def _cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(arguments):
    """(clock, CPU seconds) of one run of the command."""
    from gpugenome.commands.haplotypecaller import command

    clock, start = Clock(), _cpu()
    with _replaced(_instruments(clock)):
        command.main(arguments, standalone_mode=False)
    return clock, _cpu() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="One line of JSON in place of the tables.")
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*rest, "-O", str(Path(folder, "out.vcf")), "--threads", "1", "--device", "cpu"]
        start = _cpu()
        from gpugenome.commands.haplotypecaller import command

        command.main(arguments, standalone_mode=False)
        first = _cpu() - start
        clock, total = min((measure(arguments) for _ in range(args.runs)), key=lambda r: r[1])
    serial = total - clock.parallel
    speedup = {n: round(total / (serial + clock.parallel / n), 2) for n in THREADS}
    row = {
        "commit": commit(), "cpu": cpu_model(), "cpu_s": round(total, 3), "start_s": round(first - total, 3),
        "in_kernels_s": round(sum(t for _, t in clock.kernels.values()), 3), "serial_s": round(serial, 3),
        "serial_share": round(serial / total, 3), "most_speedup": speedup,
    }  # fmt: skip
    tables = {"kernels": clock.kernels, "steps": clock.steps}
    if args.json:
        found = {k: {name: [n, round(t, 4)] for name, (n, t) in table.items()} for k, table in tables.items()}
        print(json.dumps({**row, **found}))
        return
    for title, table in tables.items():
        print(f"{title:50}   calls   CPU s  share")
        for name, (calls, took) in sorted(table.items(), key=lambda item: -item[1][1]):
            if took >= 0.001 * total:
                print(f"  {name:48} {calls:7d} {took:7.3f} {took / total:6.1%}")
    for name, value in row.items():
        print(f"{name:14} {value}")


if __name__ == "__main__":
    main()
