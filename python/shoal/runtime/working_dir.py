"""A local `working_dir`: a snapshot in the session's folder, addressed by content; tasks run in it."""

import os
import stat
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from shoal.core.live import LIVE

# Never part of a program's working folder.
EXCLUDED = frozenset((".git", ".venv", "venv", "__pycache__"))
MAX_BYTES = 512 << 20
_STAGED: dict[tuple[int, str], str] = {}


def staged(env: Mapping[str, Any]) -> dict[str, Any]:
    """The environment with its `working_dir` replaced by the snapshot's path; made once a session for each folder.

    Raises:
        ValueError: The folder holds more than 512 MiB.
    """
    folder = env.get("working_dir")
    if not folder:
        return dict(env)
    key = (LIVE.epoch, folder)
    if key not in _STAGED:
        from shoal.core import _ffi

        session = _ffi.session()
        home = os.path.join(session["session_dir"], "working_dirs")
        _STAGED[key] = folder if folder.startswith(home) else snapshot(folder, home, str(session.get("job_id", 0)))
    return {**env, "working_dir": _STAGED[key]}


def discard() -> None:
    """At the end of a driver's session: its snapshots go. Where the instance goes too, this only comes first."""
    import shutil

    for path in _STAGED.values():
        shutil.rmtree(path, ignore_errors=True)
    _STAGED.clear()


def snapshot(folder: str, home: str, job: str) -> str:
    """Copies `folder` to `home`, under a name of its content and the job; the copy's path.

    Raises:
        ValueError: It holds more than 512 MiB.
    """
    import shutil
    import tempfile

    target = os.path.join(home, f"{digest(folder)}-{job}")
    if os.path.isdir(target):
        return target
    os.makedirs(home, mode=0o700, exist_ok=True)
    made = tempfile.mkdtemp(prefix=".part-", dir=home)
    try:
        for relative, info in tree(folder):
            _copy(os.path.join(folder, relative), os.path.join(made, relative), info)
        os.rename(made, target)
    except OSError:
        # Another thread or process of the job was first.
        if not os.path.isdir(target):
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _copy(source: str, target: str, info: os.stat_result) -> None:
    import shutil

    if stat.S_ISDIR(info.st_mode):
        os.mkdir(target)
    elif stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source), target)
    else:
        shutil.copy2(source, target)


def digest(folder: str) -> str:
    """The content of a folder as 32 hexadecimal digits: names, kinds, modes and bytes.

    Raises:
        ValueError: It holds more than 512 MiB.
    """
    total, hasher = 0, blake2b(digest_size=16)
    for relative, info in tree(folder):
        path = os.path.join(folder, relative)
        hasher.update(f"{relative}\0{info.st_mode:o}\0".encode("utf-8", "surrogateescape"))
        if stat.S_ISLNK(info.st_mode):
            hasher.update(os.fsencode(os.readlink(path)) + b"\0")
        elif stat.S_ISREG(info.st_mode):
            total += info.st_size
            if total > MAX_BYTES:
                raise ValueError(f"the working_dir {folder!r} holds more than {MAX_BYTES >> 20} MiB")
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    hasher.update(block)
            hasher.update(f"\0{info.st_size}\0".encode())
    return hasher.hexdigest()


def tree(folder: str, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Folders, files and links in a folder, each folder before its content, by name; nothing else is copied."""
    with os.scandir(os.path.join(folder, below)) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name in EXCLUDED:
            continue
        relative, info = os.path.join(below, entry.name), entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            yield relative, info
            yield from tree(folder, relative)
        elif stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
            yield relative, info
