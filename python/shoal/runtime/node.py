"""The node daemon's process, started by `launch` as `python -I -S node.py …` with nothing imported but what is here.

    argv   core's path, session folder, zygote's program, `shoal`'s folder, socket's path, interpreter, its options …
    fd 0   the configuration, JSON, for `_core.node_main`
    fd 2   a file: what goes wrong before the first byte on fd 3 is the error that `init()` raises
    fd 3   the first client; "+" says that the daemon listens, anything else why it cannot

It detaches, spawns the zygote before anything else (that needs `site`, and is forked from the smallest process), then
loads the core by its path and stays in it.
"""

import _socket
import os
import sys

_CLIENT = 3
_ZYGOTE = 4


def main() -> None:
    """Runs the daemon until its instance ends; does not return."""
    if os.fork():
        # The user's process waits for this one only: the daemon is nobody's child.
        os._exit(0)
    os.setsid()
    os.closerange(_ZYGOTE, os.sysconf("SC_OPEN_MAX"))
    try:
        _run()
    except OSError as error:
        # The log's disk may be what is full.
        os.write(_CLIENT, f"the node daemon cannot start in {sys.argv[2]}: {error}".encode())
        raise


def _run() -> None:
    core, session, zygote, root, path, executable, *flags = sys.argv[1:]
    fd, pid = _spawn_zygote([executable, *flags, zygote], root, path, session)
    config = _read_config()
    _record(session)
    os.chdir("/")
    code = _load(core).node_main(config, _CLIENT, fd, pid)
    sys.stderr.flush()
    os._exit(code)


def _spawn_zygote(command: list[str], root: str, path: str, session: str) -> tuple[int, int]:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    log = os.open(os.path.join(session, "logs", "zygote.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    actions = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
        (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CLIENT),
    ]
    arguments = [*command, str(_CLIENT), root, path]
    pid = os.posix_spawn(command[0], arguments, os.environ, file_actions=actions)
    theirs.close()
    for fd in (log, null):
        os.close(fd)
    return ours.detach(), pid


def _read_config() -> str:
    parts = []
    while part := os.read(0, 1 << 20):
        parts.append(part)
    os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
    return b"".join(parts).decode()


def _record(session: str) -> None:
    """Who runs here: process number and start time, for `stop` and for whoever sweeps after a crash."""
    with open("/proc/self/stat") as stat:
        started = stat.read().rsplit(")", 1)[1].split()[19]
    with open(os.path.join(session, "node.json"), "w") as record:
        record.write(f'{{"pid": {os.getpid()}, "start_time": {started}}}')


def _load(path: str):  # type: ignore[no-untyped-def]
    from importlib.machinery import ExtensionFileLoader, ModuleSpec

    spec = ModuleSpec("shoal._core", ExtensionFileLoader("shoal._core", path), origin=path)
    assert spec.loader is not None
    module = spec.loader.create_module(spec)
    assert module is not None
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
