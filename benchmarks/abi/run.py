"""Builds the bench with and without the stable ABI and times both, round by round.

    python benchmarks/abi/run.py [--rounds 31] [--json FILE]

Each round times every case once under each build, in changing order; the table gives the median nanoseconds a call,
the spread between the quartiles, and how much faster the version's own ABI is.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "target" / "abi"
BUILDS = {"abi3-py311": ["--features", "abi3"], f"cp{sys.version_info[0]}{sys.version_info[1]}": []}
CALLS = 100_000


def build(folder):
    env = dict(os.environ, PYO3_PYTHON=sys.executable, PYO3_BUILD_EXTENSION_MODULE="1", CARGO_TARGET_DIR=str(TARGET))
    modules = {}
    for name, features in BUILDS.items():
        subprocess.run(["cargo", "build", "--release", "--quiet", *features], cwd=HERE, env=env, check=True)
        path = Path(folder, f"{name}.so")
        shutil.copy(TARGET / "release" / "libabi_bench.so", path)
        loader = importlib.machinery.ExtensionFileLoader("abi_bench", str(path))
        spec = importlib.util.spec_from_loader("abi_bench", loader)
        modules[name] = importlib.util.module_from_spec(spec)
        loader.exec_module(modules[name])
    return modules


def python_calls(function, *args, **kwargs):
    """Nanoseconds a call from Python, less an empty loop of the same length."""
    repeat = range(CALLS)
    begin = time.perf_counter_ns()
    if kwargs:
        for _ in repeat:
            function(*args, **kwargs)
    elif len(args) == 0:
        for _ in repeat:
            function()
    elif len(args) == 1:
        (a,) = args
        for _ in repeat:
            function(a)
    else:
        a, b, c = args
        for _ in repeat:
            function(a, b, c)
    middle = time.perf_counter_ns()
    for _ in repeat:
        pass
    end = time.perf_counter_ns()
    return ((middle - begin) - (end - middle)) / CALLS


def p0():
    pass


def p1(a):
    pass


def p3(a, b, c):
    pass


def cases(m):
    remote = m.Remote().remote
    return {
        "Python calls Rust, 0 arguments": lambda: python_calls(m.f0),
        "Python calls Rust, 1 argument": lambda: python_calls(m.f1, 1),
        "Python calls Rust, 3 arguments": lambda: python_calls(m.f3, 1, 2, 3),
        "Rust calls Python, 0 arguments": lambda: m.call_in(p0, (), CALLS),
        "Rust calls Python, 1 argument": lambda: m.call_in(p1, (1,), CALLS),
        "Rust calls Python, 3 arguments": lambda: m.call_in(p3, (1, 2, 3), CALLS),
        "Rust calls Python, a ready tuple of 1": lambda: m.call_tuple(p1, (1,), CALLS),
        "Rust calls Python, a ready tuple of 3": lambda: m.call_tuple(p3, (1, 2, 3), CALLS),
        ".remote(), returns a reference": lambda: python_calls(remote),
        ".remote(x)": lambda: python_calls(remote, 1),
        ".remote(x, y, z)": lambda: python_calls(remote, 1, 2, 3),
        ".remote(x, y, z, k=1)": lambda: python_calls(remote, 1, 2, 3, k=1),
        "make and drop a reference, from Rust": lambda: m.refs_in(CALLS),
        "make and drop a reference, free list": lambda: m.pooled_refs_in(CALLS),
        "make and drop a reference, from Python": lambda: python_calls(m.make_ref),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = {name: cases(module) for name, module in build(folder).items()}
        names = list(table)
        times = {name: {case: [] for case in table[name]} for name in names}
        for round_ in range(-1, options.rounds):
            for case in table[names[0]]:
                for name in names if round_ % 2 else reversed(names):
                    taken = table[name][case]()
                    if round_ >= 0:
                        times[name][case].append(taken)
    print(f"CPython {platform.python_version()}, {options.rounds} rounds of {CALLS:,} calls, nanoseconds a call\n")
    print(f"| case | {' | '.join(names)} | {names[1]} is faster by |\n|---|---|---|---|")
    result = {}
    for case in table[names[0]]:
        row = {}
        for name in names:
            low, middle, high = statistics.quantiles(times[name][case], n=4)
            row[name] = {"median": middle, "low": low, "high": high}
        shown = " | ".join(f"{r['median']:.1f} ({r['low']:.1f}–{r['high']:.1f})" for r in row.values())
        gain = 1 - row[names[1]]["median"] / row[names[0]]["median"]
        print(f"| {case} | {shown} | {100 * gain:.0f} % |")
        result[case] = row
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
