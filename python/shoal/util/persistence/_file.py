"""Values as files of one folder.

- FILE-1 a file is written beside its place, synced, renamed over the old one, and the folder is synced, as is each
  folder in which one was made for it: after a crash at any moment the old value is there or the new one.
- FILE-2 who writes holds a lock on the file beside, which the kernel lifts when the process ends; so two writers take
  turns, and what a killed one left is used again, not added to.

    magic "SHOALST1" (8) | digest (16) of the rest | length of the key (4, little-endian) | key (UTF-8) | value
"""

import builtins
import contextlib
import fcntl
import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import BinaryIO
from urllib.parse import quote

from shoal.exceptions import PersistenceError
from shoal.util.persistence._base import BytesPersistence, failed

_MAGIC = b"SHOALST1"
_DIGEST = 16
_HEAD = len(_MAGIC) + _DIGEST
_SUFFIX = ".state"
# A file system takes 255 bytes; the rest is for the suffixes.
_LONGEST = 200


class FilePersistence(BytesPersistence):
    """Keeps each value in a file of one folder: atomic, synced to the disk, damage is told.

    Args:
        folder: Where; made when it isn't there. Several processes may share it, also over a network file system whose
            `rename` and `flock` work.

    Example:
        >>> import tempfile
        >>> from shoal.util.persistence import FilePersistence
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = FilePersistence(folder.name)
        >>> store.save("a/b", {"n": 1})
        >>> store.exists("a/b"), store.restore("a/b"), store.list("a/")
        (True, {'n': 1}, ['a/b'])
    """

    def __init__(self, folder: str | os.PathLike[str] = ".") -> None:
        # The actor that uses it may run in another folder.
        self.folder = os.path.abspath(os.fspath(folder))

    def __repr__(self) -> str:
        return f"FilePersistence({self.folder!r})"

    def exists(self, key: str) -> bool:
        """Whether `key` has a file."""
        return os.path.exists(self._path(key))

    def read_bytes(self, key: str) -> bytes | None:
        """The bytes of `key`, checked."""
        try:
            with open(self._path(key), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed("reading", key, error) from error
        found, value = _unpack(data, self._path(key), key)
        if found != key:
            raise PersistenceError(f"the file {self._path(key)} is of {found!r}, not of {key!r}", key=key)
        return value

    def write_bytes(self, key: str, pickled: bytes) -> None:
        """Writes, syncs, renames, syncs the folder (FILE-1)."""
        name = key.encode()
        body = [len(name).to_bytes(4, "little"), name, pickled]
        digest = blake2b(digest_size=_DIGEST)
        for part in body:
            digest.update(part)
        try:
            _make_folder(self.folder)
            self._replace(self._path(key), [_MAGIC, digest.digest(), *body])
        except OSError as error:
            raise failed("writing", key, error) from error

    def delete(self, key: str) -> None:
        """Removes the file of `key`, durably."""
        try:
            os.unlink(self._path(key))
            _sync_folder(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise failed("deleting", key, error) from error

    def list(self, prefix: str = "") -> builtins.list[str]:
        """The keys of the folder's files; damaged files and those of others are left out."""
        keys = []
        try:
            names = [entry.path for entry in os.scandir(self.folder) if entry.name.endswith(_SUFFIX)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise failed("listing", prefix, error) from error
        for path in names:
            try:
                with open(path, "rb") as file:
                    head = file.read(_HEAD + 4)
                    size = int.from_bytes(head[_HEAD:], "little")
                    key = file.read(size).decode()
            except (FileNotFoundError, UnicodeDecodeError):
                continue
            if head.startswith(_MAGIC) and key.startswith(prefix):
                keys.append(key)
        return sorted(keys)

    def _path(self, key: str) -> str:
        name = quote(key, safe=" ,;@=+()").replace(".", "%2E")
        if len(name) > _LONGEST:
            name = f"{name[: _LONGEST - 33]}~{blake2b(key.encode(), digest_size=16).hexdigest()}"
        return os.path.join(self.folder, name + _SUFFIX)

    def _replace(self, path: str, parts: Sequence[bytes]) -> None:
        beside = path + ".new"
        with _locked(beside) as file:
            try:
                file.truncate()
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
                os.rename(beside, path)
            except BaseException:
                # Still locked: it is this process's to take away.
                os.unlink(beside)
                raise
        _sync_folder(self.folder)


def _locked(path: str) -> BinaryIO:
    """The file of that name, open and locked (FILE-2); closing it unlocks it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = os.fdopen(handle, "wb")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Who had it before has renamed it: then it is no longer the file beside.
            mine, there = os.fstat(handle), _stat(path)
            if there is not None and (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _make_folder(folder: str) -> None:
    """Makes a folder and those around it, so that a crash of the machine doesn't take it away again."""
    if not os.path.exists(folder):
        around = os.path.dirname(folder)
        _make_folder(around)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        _sync_folder(around)


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unpack(data: bytes, path: str, key: str) -> tuple[str, bytes]:
    """Key and value of a file."""
    body = memoryview(data)[_HEAD:]
    digest = blake2b(body, digest_size=_DIGEST).digest()
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : _HEAD] != digest:
        raise PersistenceError(f"the file {path} of {key!r} is damaged: its checksum is wrong", key=key)
    size = int.from_bytes(body[:4], "little")
    return bytes(body[4 : 4 + size]).decode(), bytes(body[4 + size :])
