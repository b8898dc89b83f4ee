"""Starts node daemons: of `init()`, and of `shoal start`; finds the one that runs, and sweeps what dead ones left.

A session folder lies in the root folder `shoal-UID` of the temporary folder (`SHOAL_TMPDIR` first), mode 0700:

    ROOT/current.json               which instance of `shoal start` runs: address, process, start time, session
    ROOT/session_TIME_RANDOM/       node.json (process, start time), node.sock, logs/
"""

import fcntl
import json
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoal.logging_config import LoggingConfig

_UNIT = 10_000
_START_SECONDS = 30.0
_KEEP_SECONDS = 7 * 24 * 3600.0
_KEEP_BYTES = 1 << 30
# A folder as young as this may belong to a daemon that has not written its record yet.
_YOUNG_SECONDS = 60.0
_SWEEP_SECONDS = 3600.0
_WORKER_BYTES = 32 << 20
_FD_BASE = 10


def start_node(config: Mapping[str, Any]) -> tuple[socket.socket, dict[str, str]]:
    """Starts a node daemon, which is no child of this process.

    Args:
        config: num_cpus, num_gpus, gpu_ids, resources, object_store_memory, memory (bytes), owned_by_first_client;
            spill_directories and max_workers if they differ from the defaults.

    Returns:
        A connected socket on which the daemon waits for a greeting, and `address`, `session_dir`, `socket`.

    Raises:
        RuntimeError: The daemon did not come up; its own words are in the text.
    """
    session = _make_session()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _spawn(session, theirs, _complete(config, session))
        theirs.close()
        sweep_now_and_then()
        _await_first_byte(ours, session)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    path = os.path.join(session, "node.sock")
    return ours, {"address": f"unix:{path}", "session_dir": session, "socket": path}


def start_persistent(config: Mapping[str, Any]) -> dict[str, str]:
    """Starts a node that outlives its drivers and makes it this user's current instance.

    Args:
        config: As for `start_node`.

    Returns:
        `address`, `session_dir`, `socket`.

    Raises:
        RuntimeError: Another one runs, or the daemon did not come up.
    """
    running = read_current()
    if running is not None:
        raise RuntimeError(f"an instance runs already at {running['address']}: 'shoal stop' ends it")
    sock, info = start_node({**config, "owned_by_first_client": False})
    sock.close()
    with open(os.path.join(info["session_dir"], "node.json")) as file:
        record = {**json.load(file), **info}
    path = _current_path()
    with open(f"{path}.{os.getpid()}", "w") as file:
        json.dump(record, file)
    os.replace(file.name, path)
    return info


def read_current() -> dict[str, Any] | None:
    """This user's running instance of `shoal start`, if there is one: `address`, `pid`, `start_time`, `session_dir`."""
    try:
        with open(_current_path()) as file:
            record: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return record if _lives(record) else None


def forget_current(record: Mapping[str, Any]) -> None:
    """Removes the record of an instance that has ended, unless another one's is there by now."""
    path = _current_path()
    try:
        with open(path) as file:
            if json.load(file).get("pid") == record.get("pid"):
                os.unlink(path)
    except (OSError, ValueError):
        return


def driver_start(logging_config: "LoggingConfig | None" = None) -> str:
    """How this process was started, as JSON: what its workers take over.

    executable, prefix, flags and environ decide which zygote forks them; cwd, sys_path, script_dir, argv and umask are
    set in each, and so is the form of records of `logging`.
    """
    config = None if logging_config is None else logging_config.to_dict()
    return json.dumps({**_driver_start(), "logging": config})


def _driver_start() -> dict[str, Any]:
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    return {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "flags": _interpreter_flags(),
        "cwd": _cwd(),
        "sys_path": [path for path in sys.path if isinstance(path, str)],
        "script_dir": os.path.dirname(os.path.abspath(script)) if script else None,
        "argv": list(sys.argv),
        "umask": _umask(),
        "environ": {name: value for name, value in os.environ.items() if _is_text(name) and _is_text(value)},
    }


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _interpreter_flags() -> list[str]:
    """The options that this interpreter was started with, as far as they act in a worker."""
    letters = {
        "dont_write_bytecode": "B",
        "no_user_site": "s",
        "ignore_environment": "E",
        "isolated": "I",
        "safe_path": "P",
        "bytes_warning": "b",
        "optimize": "O",
        "verbose": "v",
    }
    flags = [
        f"-{letter * int(getattr(sys.flags, name))}" for name, letter in letters.items() if getattr(sys.flags, name)
    ]
    flags += [f"-W{option}" for option in sys.warnoptions]
    options = getattr(sys, "_xoptions", {})
    return flags + [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in options.items()]


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _umask() -> int:
    """Read, not set and set back: other threads may be making files."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def _complete(config: Mapping[str, Any], session: str) -> dict[str, Any]:
    """The configuration as `crates/shoal-node/src/config.rs` reads it."""
    amounts = {"CPU": config["num_cpus"], "GPU": config.get("num_gpus", 0), **config.get("resources", {})}
    amounts |= {"memory": config.get("memory", 0), "object_store_memory": config["object_store_memory"]}
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    limit = max(256, 64 * int(config["num_cpus"]))
    return {
        "session": session,
        "socket": os.path.join(session, "node.sock"),
        "owned_by_first_client": bool(config.get("owned_by_first_client", True)),
        "resources": {name: round(float(n) * _UNIT) for name, n in amounts.items() if n},
        "gpu_ids": [str(name) for name in config.get("gpu_ids", [])],
        "object_store_memory": int(config["object_store_memory"]),
        "spill_directories": config.get("spill_directories", []),
        "max_workers": config.get("max_workers", min(limit, max(16, int(config.get("memory", 0)) // _WORKER_BYTES))),
        "hostname": os.uname().nodename,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "zygote_script": os.path.join(package, "runtime", "zygote.py"),
        "package_root": os.path.dirname(package),
        "start": _driver_start(),
        "settings": config.get("settings", {}),
    }


def _spawn(session: str, sock: socket.socket, config: Mapping[str, Any]) -> None:
    from shoal import _core

    if not sys.executable:
        raise RuntimeError("shoal can't start its node daemon: sys.executable is empty in this interpreter")
    runtime = os.path.dirname(os.path.abspath(__file__))
    start = config["start"]
    command = [sys.executable, "-I", "-S", os.path.join(runtime, "node.py"), str(_core.__file__), session]
    command += [config["zygote_script"], config["package_root"], config["socket"], sys.executable, *start["flags"]]
    memory = os.memfd_create("shoal-config")
    opened = [memory]
    try:
        os.write(memory, json.dumps(config).encode())
        os.lseek(memory, 0, os.SEEK_SET)
        log = os.open(os.path.join(session, "logs", "node.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_WRONLY)
        opened += [log, null]
        # Out of the way of 0 to 3, where they go: this process may have closed some of those.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FD_BASE) for fd in (memory, null, log, sock.fileno())]
        opened += high
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsigmask=[], setsigdef=_signals())
    except OSError as error:
        raise RuntimeError(f"shoal can't start its node daemon: {error}{_file_limit(error)}") from error
    finally:
        for fd in opened:
            os.close(fd)
    try:
        # It forks the daemon and exits.
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # the user's own code was quicker


def _signals() -> set[int]:
    import signal

    return {int(number) for number in signal.valid_signals()} - {signal.SIGKILL, signal.SIGSTOP}


def _await_first_byte(sock: socket.socket, session: str) -> None:
    """Waits for the daemon's first byte; end-of-file instead means that it could not start."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    deadline = time.monotonic() + _START_SECONDS
    while not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if time.monotonic() >= deadline:
            raise RuntimeError(
                f"shoal's node daemon did not start in {_START_SECONDS:g} s; its log is in {session}/logs"
            )
    said = b""
    try:
        while said != b"+":
            more = sock.recv(4096)
            said += more
            if not more:
                raise RuntimeError(f"shoal's node daemon could not start: {_log_text(session, said)}")
    except ConnectionResetError:
        raise RuntimeError(f"shoal's node daemon could not start: {_log_text(session, said)}") from None


def _log_text(session: str, said: bytes) -> str:
    """Why a daemon did not start: its log, or, where that can't be written, what it said to us."""
    text = ""
    for name in ("node.log", "zygote.log"):
        try:
            with open(os.path.join(session, "logs", name), errors="replace") as file:
                text += file.read()[-4000:]
        except OSError:
            continue
    told = said.decode(errors="replace")
    return (text.strip() or told or f"it left no message; its log is in {session}/logs") + _limits()


def _limits() -> str:
    """The limits that the daemon has from this process, for who can't start it."""
    import resource

    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space == resource.RLIM_INFINITY:
        return ""
    left = f"{space >> 20} MiB of address space"
    return f"; 'ulimit -v' leaves it {left}: raise that, or ask for less object_store_memory"


def _file_limit(error: OSError) -> str:
    """How many files this process may have open, where that is what failed: a number past the limit is `EINVAL`."""
    import errno
    import resource

    if error.errno not in (errno.EMFILE, errno.EINVAL):
        return ""
    return f"; 'ulimit -n' lets this process open {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} files: raise that"


def root_folder() -> str:
    """The folder of this user's sessions, made if need be.

    Raises:
        RuntimeError: What is there isn't a folder that belongs to this user alone.
    """
    base = os.environ.get("SHOAL_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    root = os.path.join(os.path.abspath(base), f"shoal-{os.getuid()}")
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        found = os.lstat(root)
    except OSError as error:
        raise RuntimeError(f"shoal can't use {root} for its sessions ({error.strerror}): set SHOAL_TMPDIR") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RuntimeError(f"{root} is not a folder of this user alone (mode 0700): remove it, or set SHOAL_TMPDIR")
    return root


def _make_session() -> str:
    name = f"session_{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.urandom(6).hex()}"
    root = root_folder()
    session = os.path.join(root, name)
    try:
        os.makedirs(os.path.join(session, "logs"), mode=0o700)
        os.chmod(session, 0o700)
    except OSError as error:
        raise RuntimeError(
            f"shoal can't make a session folder in {root} ({error.strerror}): make room there, or set SHOAL_TMPDIR to "
            "a folder that can be written"
        ) from error
    return session


def _current_path() -> str:
    return os.path.join(root_folder(), "current.json")


def _lives(record: Mapping[str, Any]) -> bool:
    """Whether the process of a record runs: its number and start time."""
    try:
        with open(f"/proc/{int(record['pid'])}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[19]) == int(record["start_time"]) and fields[0] not in "ZX"
    except (OSError, KeyError, ValueError, IndexError):
        return False


def sweep_now_and_then() -> None:
    """Sweeps at most once an hour: what a start may cost is bounded. On a full disk there is all the more reason to."""
    mark = os.path.join(root_folder(), "swept")
    try:
        if 0 <= time.time() - os.stat(mark).st_mtime < _SWEEP_SECONDS:
            return
    except OSError:
        pass
    sweep_old_sessions()
    try:
        with open(mark, "w"):
            os.utime(mark)
    except OSError:
        return


def sweep_old_sessions() -> list[str]:
    """Removes folders of dead sessions older than 7 days, and the oldest beyond 1 GiB in all; what was removed."""
    import shutil

    now, dead = time.time(), []
    for path in _dead_sessions():
        changed = os.stat(path).st_mtime
        for left in ("node.sock", "node.json"):
            try:
                os.unlink(os.path.join(path, left))
            except OSError:
                continue
        # Its age is the session's, not that of this change.
        os.utime(path, (changed, changed))
        dead.append((changed, path))
    removed, total = [], 0
    for changed, path in sorted(dead, reverse=True):
        total += _size(path)
        if now - changed > _KEEP_SECONDS or total > _KEEP_BYTES:
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


def running_sessions() -> list[str]:
    """Folders of this user's instances that run, the oldest first."""
    found = []
    with os.scandir(root_folder()) as entries:
        for entry in entries:
            try:
                with open(os.path.join(entry.path, "node.json")) as file:
                    if entry.name.startswith("session_") and _lives(json.load(file)):
                        found.append(entry.path)
            except (OSError, ValueError):
                continue
    return sorted(found)


def _dead_sessions() -> Iterator[str]:
    with os.scandir(root_folder()) as entries:
        for entry in entries:
            if not entry.name.startswith("session_") or not entry.is_dir(follow_symlinks=False):
                continue
            if time.time() - entry.stat().st_mtime < _YOUNG_SECONDS:
                continue
            try:
                with open(os.path.join(entry.path, "node.json")) as file:
                    if _lives(json.load(file)):
                        continue
            except (OSError, ValueError):
                pass
            yield entry.path


def _size(path: str) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total
