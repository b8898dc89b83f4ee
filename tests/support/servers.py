"""Servers of databases for a test: in a folder of their own, without a port, never as root, gone at the end."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

START = 30.0
"""Seconds that a server has to answer in."""


def _program(name: str) -> str:
    """The path of a program; without it the test is skipped, as root it fails (`scripts/servers.sh` installs it)."""
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if found is None:
        text = f"{name} is not installed; scripts/servers.sh installs it as root on Debian"
        if os.geteuid() == 0:
            pytest.fail(text)
        pytest.skip(text)
    return found


def _as_user(user: str) -> list[str]:
    """What begins a command: it ends with this process, and isn't root."""
    command = ["setpriv", "--pdeathsig", "SIGKILL"]
    if os.geteuid() == 0:
        command += [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
    return command


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sv-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: Sequence[str], log: Path, end: int, answers: Callable[[], bool]) -> Iterator[None]:
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/")
    try:
        deadline = time.monotonic() + START
        while not answers():
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
        yield
    finally:
        server.send_signal(end)
        server.wait(START)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server; its URL for SQLAlchemy."""
    initdb, ready = _program("initdb"), _program("pg_isready")
    # Of the same version.
    postgres = os.path.join(os.path.dirname(os.path.realpath(initdb)), "postgres")
    with _folder("postgres") as folder:
        data, user = folder / "data", _as_user("postgres")
        command = [*user, initdb, "--pgdata", data, "--username", "shoal", "--auth", "trust", "--encoding", "UTF8"]
        command += ["--no-sync", "--no-locale"]
        made = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        assert made.returncode == 0, made.stderr
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "autovacuum": "off",
            "shared_buffers": "16MB",
            "max_connections": "20",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

        def answers() -> bool:
            return subprocess.run([ready, "-q", "-h", folder], check=False).returncode == 0

        # Fast: sessions that are open are ended.
        with _running([*user, postgres, "-D", str(data), *options], folder / "log", signal.SIGINT, answers):
            yield f"postgresql+psycopg://shoal@/postgres?host={folder}"


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server; its URL."""
    program = _program("redis-server")
    with _folder("nobody") as folder:
        path = folder / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", str(folder)]

        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(str(path))
                except OSError:
                    return False
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")

        with _running([*_as_user("nobody"), program, *options], folder / "log", signal.SIGTERM, answers):
            yield f"unix://{path}"
