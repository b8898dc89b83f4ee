"""Measures cases on one system, in a process of its own: `run.py` starts it.

Standard input has the names of the cases, a line each; standard output one line of JSON a case, in their order. What
the system prints goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import traceback

import systems
from meter import Meter


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("system", choices=systems.NAMES)
    parser.add_argument("--root", type=int, required=True, help="the process under which everything is the system's")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("here", file=answers, flush=True)  # from now on the limits count
    meter = Meter(options.system, options.root, options.seconds, options.tiny)
    with contextlib.ExitStack() as stack:
        for name in map(str.strip, sys.stdin):
            case = importlib.import_module(f"cases.{name}")
            if meter.api is meter.pool is meter.client is None and not getattr(case, "STARTS_ITSELF", False):
                stack.enter_context(systems.started(options.system, meter))
            run = systems.runner(case, options.system)
            try:
                answer = {"case": name, "numbers": run(meter) if run else {}}
            except Exception:
                answer = {"case": name, "error": traceback.format_exc()}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
