"""The process that forks workers: one for each set of variables that act at start, one thread, no user code.

    argv   socket's number, the folder that `shoal` is imported from, path of the daemon's socket

The daemon sends a line of JSON for each worker, with two descriptors: its standard output and error. What is said back
is in `crates/shoal-node/src/zygote.rs`. End-of-file means that the daemon is gone: all children are killed, and what it
left in its session folder, but logs, is removed.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

# Extension modules and user code have no place here: they start threads, or share random states between children.
_IDLE = "shoal::IDLE"
_EXPENDABLE = 500
"""Of a worker, in thousandths of the memory that ran out: what the kernel counts it as holding more than it does."""


class _Zygote:
    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        self.path = path
        self.children: set[int] = set()
        self.received = b""
        self.fds: list[int] = []
        self.wake, self.wake_end = os.pipe()
        for fd in (self.wake, self.wake_end):
            os.set_blocking(fd, False)
        # Processes are started by exec where something has made a thread: forking would copy its locks.
        self.by_exec = len(os.listdir("/proc/self/task")) > 1
        if self.by_exec:
            print("shoal: site has started a thread in the process that forks workers; they are started by exec")

    def serve(self) -> dict[str, Any] | None:
        """In the zygote: does not return before the daemon is gone. In a child: its request."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_end, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        self.say({"ready": True})
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self.wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake, 4096)
            self.reap()
            if self.sock.fileno() in ready:
                for request in self.receive():
                    if self.start(request):
                        return request

    def say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]]:
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 1 << 16, 16)
        except OSError:
            data, fds = b"", []
        if not data:
            self.end()
        for fd in fds:
            os.set_inheritable(fd, False)
        self.fds += fds
        *lines, self.received = (self.received + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def reap(self) -> None:
        """Reports who has ended. The group is killed before the number of its leader is free."""
        while self.children:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            _kill_group(ended.si_pid)
            pid, status = os.waitpid(ended.si_pid, 0)
            self.children.discard(pid)
            self.say({"pid": pid, "status": status})

    def start(self, request: dict[str, Any]) -> bool:
        """Starts one worker; true in the child."""
        fds, self.fds = self.fds[:2], self.fds[2:]
        try:
            pid = _exec(request, fds) if self.by_exec else os.fork()
        except OSError as error:
            self.say({"start": request["start"], "error": f"fork: {error.strerror}"})
            pid = -1
        if pid == 0:
            self.become_child(fds)
            return True
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self.children.add(pid)
            self.say({"start": request["start"], "pid": pid})
        return False

    def become_child(self, fds: list[int]) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, fd in enumerate(fds, start=1):
            os.dup2(fd, number)
        for fd in [*fds, *self.fds, self.wake, self.wake_end]:
            os.close(fd)
        self.sock.close()

    def end(self) -> None:
        """The daemon is gone: nothing of its instance stays but logs."""
        for pid in self.children:
            _kill_group(pid)
        for pid in self.children:
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)
        _clean(os.path.dirname(self.path))
        os._exit(0)


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _clean(session: str) -> None:
    """Removes what a daemon that was killed has left. After an orderly end there is nothing."""
    _remove_groups(session)
    with contextlib.suppress(OSError):
        for entry in os.scandir(session):
            if entry.name == "logs":
                continue
            if entry.is_dir(follow_symlinks=False):
                import shutil

                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def _remove_groups(session: str) -> None:
    """The control groups of `memory=`, once the last process in them is gone."""
    with contextlib.suppress(OSError):
        with open(os.path.join(session, "cgroup")) as file:
            folder = file.read()
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.rmdir(entry.path)
        os.rmdir(folder)


def _exec(request: dict[str, Any], fds: list[int]) -> int:
    """Starts a worker as a new interpreter, which reads its request from its standard input."""
    memory = os.memfd_create("shoal-start")
    os.write(memory, json.dumps(request).encode())
    os.lseek(memory, 0, os.SEEK_SET)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate([memory, *fds])]
    command = [sys.executable, *request["job"]["flags"], *sys.argv, "--worker"]
    try:
        return os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    finally:
        os.close(memory)


def _settle(request: dict[str, Any]) -> None:
    """Makes a fresh child what the driver is: its folder, arguments, environment, umask, output line by line."""
    job = request["job"]
    os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)
    os.umask(job["umask"])
    _be_expendable()
    _set_environment(request)
    try:
        os.chdir(job["cwd"])
    except OSError:
        os.chdir("/")
    sys.path[:] = job["sys_path"]
    script_dir = job.get("script_dir")
    if script_dir is not None and script_dir not in sys.path:
        sys.path.insert(0, script_dir)
    sys.argv[:] = job["argv"]
    sys.stdout = sys.__stdout__ = _output(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _output(2, sys.stderr)  # type: ignore[misc]


def _output(number: int, like: Any) -> Any:
    """A stream for a descriptor that is a pipe now: the zygote's own remembers that it was a file."""
    import io

    if like is None:
        return None
    raw = io.FileIO(number, "w", closefd=False)
    raw.name = like.name
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=like.errors,
        newline="\n",
        line_buffering=True,
        write_through=like.write_through,
    )
    stream.mode = "w"  # type: ignore[misc]
    return stream


def _be_expendable() -> None:
    """When the kernel has to kill, it kills a worker, and not the driver or the daemon."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
        if int(file.read()) < _EXPENDABLE:
            file.write(b"%d" % _EXPENDABLE)


def _set_environment(request: dict[str, Any]) -> None:
    wanted = dict(request["job"]["environ"])
    wanted.setdefault("OMP_NUM_THREADS", str(request["threads"]))
    if request["gpus"] or request["node_gpus"]:
        wanted["CUDA_VISIBLE_DEVICES"] = ",".join(request["gpus"])
    wanted["SHOAL_ADDRESS"] = request["address"]
    wanted.update((request["runtime_env"] or {}).get("env_vars", {}))
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _import_shoal(root: str) -> None:
    """What workers need, once for all. From where `site` finds it, else from the driver's folder."""
    # A program's own folder comes first in the path: modules there must not be taken for others of that name.
    del sys.path[0]
    try:
        import shoal
    except ImportError:
        sys.path.append(root)
    import cloudpickle  # noqa: F401

    import shoal
    import shoal._core
    import shoal.runtime.worker

    _rehearse(shoal)


def _rehearse(shoal: Any) -> None:
    """What every child would else do at its first call, in pages of its own: finds names, readies the unpickler."""
    for name, module in shoal._WHERE.items():
        if module in sys.modules:
            getattr(shoal, name)
    from shoal.core import serialization

    pickled, buffers = serialization.serialize(bytearray(1))
    serialization.deserialize(pickled, buffers)


def _run_worker(request: dict[str, Any]) -> None:
    import types

    _settle(request)
    # What user code calls `__main__` is the driver's; here it is empty.
    sys.modules["__main__"] = types.ModuleType("__main__")
    import faulthandler

    faulthandler.enable()
    from shoal._core import set_title
    from shoal.runtime.worker import main

    set_title(_IDLE)
    main(request["address"], request["start"], request["job"].get("logging"))


def _main() -> None:
    number, root, path = sys.argv[1:4]
    if sys.argv[4:] == ["--worker"]:
        with open(0, "rb", closefd=False) as source:
            request = json.load(source)
        os.setsid()
        _import_shoal(root)
        return _run_worker(request)
    with contextlib.suppress(PermissionError):
        os.setsid()
    sock = socket.socket(fileno=int(number))
    sock.set_inheritable(False)
    _import_shoal(root)
    gc.collect()
    # Children write to no page that only counts references of what was imported here.
    gc.freeze()
    found = _Zygote(sock, path).serve()
    if found is not None:
        _run_worker(found)


if __name__ == "__main__":
    _main()
