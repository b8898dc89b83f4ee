"""`python -m shoal.compat PROGRAM [ARGS]`."""

import sys

from shoal.compat import run

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m shoal.compat PROGRAM [ARGS]: runs a program that says 'import ray' on shoal")
        raise SystemExit(0 if len(sys.argv) > 1 else 2)
    run(sys.argv[1], sys.argv[2:])
