"""One process that measures some cases on one system, with a hard limit for each; nothing of it is left at its end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import processes
import systems

ONE = str(Path(__file__).with_name("one.py"))
START = 60  # seconds that the start and the end of a system may take
GRACE = 5
LINES = 15

Answer = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """Seconds that a case may take, by name, and those that one of its numbers is measured for."""

    cases: dict[str, int]
    measured: float


class Over(Exception):
    """A session that took too long."""


@dataclass(frozen=True)
class Session:
    system: str
    python: str
    limits: Limits
    tiny: bool

    def run(self, names: list[str]) -> Iterator[tuple[str, Answer]]:
        """The cases' answers in turn. One that is too slow, or dies, is answered so; then a new process goes on."""
        while names:
            answered = 0
            for answer in self._run(names):
                yield names[answered], answer
                answered += 1
            names = names[answered:]

    def _run(self, names: list[str]) -> Iterator[Answer]:
        """As many answers as the process gives, then, if it ended early, one that says why."""
        with tempfile.TemporaryFile("w+") as log:
            process = self._start(names, log)
            assert process.stdout
            try:
                self._line(process.stdout, None, "no greeting")
                for n, name in enumerate(names):
                    limit = self.limits.cases[name] + (0 if n else START)
                    try:
                        line = self._line(process.stdout, limit, f"over {limit} s")
                    except Over as over:
                        yield {"error": f"{over}\n{_tail(log)}"}
                        return
                    yield json.loads(line)
                process.wait(START)
            except subprocess.TimeoutExpired:
                pass  # its results are in
            finally:
                process.stdout.close()
                _end_all()
                process.returncode = 0  # it was waited for, with the others

    def _start(self, names: list[str], log: IO[str]) -> subprocess.Popen[bytes]:
        command = [self.python, ONE, self.system, "--root", str(os.getpid())]
        command += ["--seconds", str(self.limits.measured), *(["--tiny"] if self.tiny else [])]
        environment = dict(os.environ, **systems.environment(self.system))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, bufsize=0
        )
        assert process.stdin
        process.stdin.write("\n".join(names).encode())
        process.stdin.close()
        return process

    def _line(self, pipe: IO[bytes], limit: float | None, otherwise: str) -> bytes:
        """The next line; `Over` when it doesn't come in time, or the process ends without."""
        end = None if limit is None else time.monotonic() + limit
        line = b""
        while not line.endswith(b"\n"):
            left = None if end is None else max(0, end - time.monotonic())
            if not select.select([pipe], [], [], left)[0]:
                raise Over(otherwise)
            part = os.read(pipe.fileno(), 1)
            if not part:
                raise Over("it ended")
            line += part
        return line


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return "".join(log.readlines()[-LINES:])


def _end_all() -> None:
    """Waits for all that descends from this process, and kills what is still there after a while."""
    end = time.monotonic() + GRACE
    while left := processes.descendants(os.getpid()):
        if time.monotonic() > end:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        # Whoever is under this process is its child, or becomes one when the parent ends.
        while os.waitpid(-1, os.WNOHANG)[0] == 0:
            time.sleep(0.02)
            if time.monotonic() > end:
                break
