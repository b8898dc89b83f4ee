"""Fixtures that every test has: nothing may stay behind, and a program can be run in a process of its own.

Where tests run in several processes (`pytest -n`), each has its folder for instances, and who is marked `alone` runs
last, when no other does.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support import leaks, turns
from support.programs import Run, run_program

LOG_LINES = 30
LOG_FILES = 12
_folder = pytest.StashKey[Path]()
_common = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    # A shell ignores Ctrl-C for what it starts in the background; programs under test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A short path, as sockets need; the processes of this run are known by it.
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    config.stash[_folder] = folder
    config.stash[_common] = Path(getattr(config, "workerinput", {}).get("common", folder))
    os.environ["SHOAL_TMPDIR"] = str(folder)
    # They start threads at import, which no test is to answer for.
    for name in ("numpy", "pyarrow"):
        try:
            importlib.import_module(name)
        except ImportError:
            pass


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a process of `pytest -n` which folder it has in common with the others."""
    node.workerinput["common"] = str(node.config.stash[_common])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_alone)


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    # Around the time limit, which is not for waiting.
    with turns.taken(item.config.stash[_common], _alone(item)):
        return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.environ.pop("SHOAL_TMPDIR", None)
    shutil.rmtree(config.stash[_folder], ignore_errors=True)


@pytest.fixture(scope="session")
def session_root(pytestconfig: pytest.Config) -> Path:
    """The folder under which this run's instances keep their logs and sockets (`SHOAL_TMPDIR`)."""
    return pytestconfig.stash[_folder]


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest, session_root: Path) -> Iterator[None]:
    """Fails a test that leaves a process, thread, descriptor, socket or shared memory behind for 5 seconds.

    A test that uses an instance which outlives it (`shared_instance`) is checked together with the others of its
    module when that ends.
    """
    if "shared_instance" in request.fixturenames:
        yield
        return
    with leaks.none(session_root):
        yield


@pytest.fixture(scope="module")
def shared_instance(session_root: Path) -> Iterator[object]:
    """One running instance with two CPUs for all tests of a module that ask for it."""
    import shoal

    with leaks.none(session_root):
        yield shoal.init(num_cpus=2)
        shoal.shutdown()


@pytest.fixture
def shoal_run(tmp_path: Path) -> Callable[..., Run]:
    """Runs a program text in a fresh process: `shoal_run(code, *args, timeout=60, env={}, check=True)`.

    Returns its exit code and output. See `support.programs.run_command` for the options.
    """
    return partial(run_program, tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:
        for path in _logs_since(item.config.stash[_folder], time.time() - call.duration - 1):
            lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:]
            if lines:
                report.sections.append((f"end of {path}", "\n".join(lines)))
    return report


def _logs_since(folder: Path, begin: float) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.suffix in (".log", ".out", ".err") and path.is_file() and path.stat().st_mtime >= begin:
                found.append(path)
        except OSError:
            pass
    return sorted(found, key=lambda path: path.stat().st_mtime)[-LOG_FILES:]
