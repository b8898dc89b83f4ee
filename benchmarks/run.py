"""Runs the cases beside the floors and the peers, round by round; prints a table, writes JSON. See README.md."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import math
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from types import ModuleType

import floors
import page
import report
import systems
from session import Limits, Session

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "target/peers-venv/bin/python"
ROUNDS, QUICK_ROUNDS = 7, 2
SECONDS, QUICK_SECONDS = 0.5, 0.2
PR_SET_CHILD_SUBREAPER = 36


def find_cases() -> dict[str, ModuleType]:
    names = sorted(path.stem for path in (ROOT / "benchmarks/cases").glob("*.py"))
    return {name: importlib.import_module(f"cases.{name}") for name in names}


def choose(options: argparse.Namespace) -> dict[str, ModuleType]:
    """The cases that the options ask for; says what a quick run leaves out."""
    every = find_cases()
    texts = options.only or [""]
    wanted = {name for text in texts for name in ([text] if text in every else every) if text in name}
    chosen = {name: case for name, case in every.items() if name in wanted}
    if not chosen:
        sys.exit(f"no case's name contains {' or '.join(options.only)}; there are: {', '.join(every)}")
    if options.quick and not options.tiny:
        left = [name for name, case in chosen.items() if getattr(case, "SLOW", False)]
        print(f"a quick run: {QUICK_ROUNDS} rounds, no peers, without {', '.join(left) or 'nothing'}", file=sys.stderr)
        chosen = {name: case for name, case in chosen.items() if name not in left}
    return chosen


def sessions(cases: dict[str, ModuleType], system: str, round_: int) -> list[list[str]]:
    """The cases of a round on a system, those together that share a started one."""
    shared: list[str] = []
    alone: list[list[str]] = []
    for name, case in cases.items():
        if systems.runner(case, system) and round_ < getattr(case, "ROUNDS", round_ + 1):
            if getattr(case, "ALONE", False) or getattr(case, "STARTS_ITSELF", False):
                alone.append([name])
            else:
                shared.append(name)
    return [*([shared] if shared else []), *alone]


def measure(options: argparse.Namespace, cases: dict[str, ModuleType], results: report.Results) -> None:
    limits = Limits(
        {name: getattr(case, "LIMIT", 60) for name, case in cases.items()}, QUICK_SECONDS if options.quick else SECONDS
    )
    begin = last = time.perf_counter()
    took: dict[str, float] = {}
    for round_ in range(options.rounds):
        present = [name for name in options.systems if name == "shoal" or round_ < options.peer_rounds]
        if last - begin + sum(took.get(name, 0) for name in present) > 60 * options.minutes:
            print(f"no more rounds: the next would end after {options.minutes:g} minutes", file=sys.stderr)
            return
        needed = report.floors_needed(cases)
        results.floors.append(floors.measure_apart(needed, 100 if options.tiny else floors.ROUND_TRIPS))
        for system in present:
            started = time.perf_counter()
            python = sys.executable if system == "shoal" else str(options.peers)
            for names in sessions(cases, system, round_):
                for name, answer in Session(system, python, limits, options.tiny).run(names):
                    results.add(system, name, answer)
                    now = time.perf_counter()
                    print(f"{system}: {name}: {now - last:.1f} s", file=sys.stderr, flush=True)
                    last = now
            took[system] = time.perf_counter() - started
        print(f"round {round_ + 1} of {options.rounds}: {last - begin:.0f} s", file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shoal and the floors alone, few rounds, no slow cases")
    parser.add_argument("--tiny", action="store_true", help="a few calls a case: only whether it works")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--peer-rounds", type=int, help="how many of them have the peers in them (default: all)")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no round that would end later, as long as the last took"
    )
    parser.add_argument(
        "--only", default=[], nargs="+", metavar="TEXT", help="cases of that name, or whose name contains it"
    )
    parser.add_argument("--systems", nargs="+", choices=systems.NAMES, help="default: all, with --quick shoal")
    parser.add_argument(
        "--peers", type=Path, default=PEERS, help="the interpreter that has them (default: %(default)s)"
    )
    parser.add_argument("--add", action="store_true", help="add the rounds to those that the JSON file has already")
    parser.add_argument("--note", default="", help="what a reader of the page has to know of this run")
    parser.add_argument("--json", type=Path, default=Path("target/bench.json"), help="default: %(default)s")
    parser.add_argument(
        "--page", action="store_true", help="write the table and the chart into docs/performance.md, too"
    )
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.tiny else QUICK_ROUNDS if options.quick else ROUNDS)
    options.peer_rounds = options.rounds if options.peer_rounds is None else options.peer_rounds
    options.systems = options.systems or (["shoal"] if options.quick or options.tiny else list(systems.NAMES))
    return options


def main() -> None:
    options = parse()
    cases = choose(options)
    # What a system leaves to itself becomes a child of this process: counted, and ended with its session.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = tempfile.mkdtemp(prefix="sb-")
    os.environ["SHOAL_TMPDIR"] = folder
    begin = time.perf_counter()
    earlier = json.loads(options.json.read_text()) if options.add else None
    results = report.Results(find_cases() if earlier else cases)
    if earlier:
        results.load(earlier["raw"])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measure(options, cases, results)
    except KeyboardInterrupt:
        print("interrupted: what was measured so far", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    about = {
        "date": date.today().isoformat(),
        "machine": f"{len(os.sched_getaffinity(0))} cores, {report.processor()}, Linux {platform.release()}, "
        f"CPython {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "rounds": results.rounds(),
        "note": options.note or (earlier["about"].get("note", "") if earlier else ""),
        "seconds": round(time.perf_counter() - begin) + (earlier["about"]["seconds"] if earlier else 0),
    }
    shown = [name for name in systems.NAMES if name in options.systems or (earlier and name in earlier["systems"])]
    data = results.data(about, shown)
    print("\n" + ", ".join(f"{name} {value}" for name, value in about.items()) + "\n")
    print(report.text(data))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {options.json}")
    if options.page:
        page.write(data)


if __name__ == "__main__":
    main()
