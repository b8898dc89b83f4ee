"""What the programs share: the system under test as `ray`."""

import importlib
import os
import time

ray = importlib.import_module(os.environ.get("ORACLE", "shoal"))
SHOAL = ray.__name__ == "shoal"


def raises(kind, call, words=""):
    """Runs `call`, which has to raise `kind` with `words` in its text; the exception."""
    try:
        value = call()
    except kind as error:
        assert words in str(error), (words, str(error))
        return error
    raise AssertionError(f"no {kind.__name__}, but {value!r}")


def until(condition, seconds=20):
    """Waits until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def alive(pid):
    """Whether a process runs."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        # Gone before it was opened, or before it was read.
        return False
