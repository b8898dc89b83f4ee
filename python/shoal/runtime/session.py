"""`init`, `shutdown`, `is_initialized`: one session a process at a time, any number one after the other."""

import os
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shoal.core.live import LIVE
from shoal.runtime.context import Context

if TYPE_CHECKING:
    import socket

    from shoal.logging_config import LoggingConfig

_SIZES = (
    "num_cpus",
    "num_gpus",
    "resources",
    "object_store_memory",
    "object_spilling_directory",
    "_object_spilling_directory",
    "_system_config",
)


class _State:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.context: Context | None = None
        self.at_exit = False


_STATE = _State()
os.register_at_fork(after_in_child=lambda: _STATE.__init__())  # type: ignore[misc]


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    object_store_memory: int | None = None,
    object_spilling_directory: "str | os.PathLike[str] | list[str | os.PathLike[str]] | None" = None,
    namespace: str | None = None,
    ignore_reinit_error: bool = False,
    log_to_driver: bool = True,
    logging_config: "LoggingConfig | None" = None,
    runtime_env: Mapping[str, Any] | None = None,
    **options: Any,
) -> Context:
    """Begins a session: starts an instance on this machine, or joins one. The first call that needs one does it, too.

    Args:
        address: `None`: the instance that `SHOAL_ADDRESS` names, else a running one of `shoal start` (unless a size is
            given), else a new one. "auto": as `None`, but never a new one. "local": always a new one. `unix:PATH`: that
            one (`context.address_info["address"]`).
        num_cpus: CPUs of a new instance; by default those that this process may use.
        num_gpus: GPUs of a new instance; by default those that are visible.
        resources: Custom resources of a new instance: quantities by name.
        object_store_memory: Bytes of a new instance's object store; by default 30 % of what is available now.
        object_spilling_directory: The folder, or several, that objects go to when a new instance's object store has no
            room for them; made if it isn't there. By default the instance's own folder, which is in the temporary
            folder. Several, on several disks, are written to by turns.
        namespace: Where named actors are looked up; by default a random one.
        ignore_reinit_error: Whether a second `init` returns the session that there is.
        log_to_driver: Whether the lines that workers print appear here.
        logging_config: How records of `logging` look, here and in the workers; `None` leaves them be.
        runtime_env: `env_vars` and a local `working_dir` for every task and actor.
        **options: Ray's other arguments; the documentation's page on compatibility lists them.

    Returns:
        The session's context, usable in `with`.

    Raises:
        RuntimeError: This process has a session already.
        ValueError: An argument is unknown, not supported yet, or out of range.
        TypeError: An argument has the wrong type.
        ConnectionError: The instance can't be reached, or there is none.

    Example:
        >>> import shoal
        >>> context = shoal.init(num_cpus=2, ignore_reinit_error=True)
        >>> shoal.is_initialized()
        True
        >>> shoal.shutdown()
    """
    from shoal.core.options import Scope, check_options

    given = {
        "address": address,
        "num_cpus": num_cpus,
        "num_gpus": num_gpus,
        "resources": resources,
        "object_store_memory": object_store_memory,
        "object_spilling_directory": object_spilling_directory,
        "namespace": namespace,
        "ignore_reinit_error": ignore_reinit_error,
        "log_to_driver": log_to_driver,
        "logging_config": logging_config,
        "runtime_env": runtime_env,
    }
    checked = _with_job_config(check_options(Scope.INIT, {**given, **options}, what="init()"))
    with _STATE.lock:
        if LIVE.epoch:
            return _again(bool(checked.get("ignore_reinit_error")))
        return _begin(checked)


def _with_job_config(options: dict[str, Any]) -> dict[str, Any]:
    config = options.pop("job_config", None)
    if config is None:
        return options
    from shoal.job_config import JobConfig

    if not isinstance(config, JobConfig):
        raise TypeError(f"job_config takes a JobConfig, not {type(config).__name__}")
    from shoal.core.runtime_env import check

    if config.runtime_env:
        options.setdefault("runtime_env", check(config.runtime_env))
    if config.ray_namespace:
        options.setdefault("namespace", config.ray_namespace)
    return options


def _again(ignore: bool) -> Context:
    from shoal.core import _ffi

    if LIVE.in_worker:
        # A task or actor is in the session that runs it.
        return Context(_ffi.session())
    if ignore and _STATE.context is not None:
        return _STATE.context
    raise RuntimeError(
        "init() was called twice in this process; call shutdown() first, or use init(ignore_reinit_error=True)"
    )


def _begin(options: dict[str, Any]) -> Context:
    from shoal.core import settings

    for told in settings.misspelt():
        warnings.warn(told, stacklevel=3)
    fold, sites, hints = (bool(settings.value(name)) for name in ("dedup_logs", "record_ref_creation_sites", "hints"))
    # While the daemon starts, a CPU is free for what the first call will need.
    warm = threading.Thread(target=_import, name="shoal-import", daemon=True)
    warm.start()
    sock, info = _open(options)
    warm.join()
    from shoal.core import _ffi
    from shoal.core.hooks import HOOKS
    from shoal.runtime import launch

    try:
        namespace = options.get("namespace") or f"anonymous-{os.urandom(8).hex()}"
        logs = bool(options.get("log_to_driver", True))
        _ffi.set_hooks(HOOKS)
        start = launch.driver_start(options.get("logging_config"))
        # The descriptor is the core's from here on, whatever comes of it.
        _ffi.record_sites(sites)
        _ffi.give_hints(hints)
        connected = _ffi.connect_driver(sock.detach(), namespace, start, _wanted(logs), fold)
    except BaseException:
        sock.close()
        raise
    LIVE.begin()
    try:
        _STATE.context = Context({**info, **connected, "namespace": namespace})
        _settle(options, logs)
    except BaseException:
        shutdown()
        raise
    return _STATE.context


def _wanted(logs: bool) -> str:
    """What of the workers' output this process can show."""
    from shoal.core.screen import terminal_of_lines

    return "none" if not logs else "live" if terminal_of_lines() is not None else "lines"


def _import() -> None:
    """Imports what every session comes to use."""
    import importlib

    for name in ("hooks", "templates", "remote_function", "notifier"):
        importlib.import_module(f"shoal.core.{name}")


def _open(options: dict[str, Any]) -> tuple["socket.socket", dict[str, Any]]:
    from shoal.runtime import launch
    from shoal.runtime.address import resolve
    from shoal.runtime.config import node_config

    target = resolve(options.get("address"), sized=any(name in options for name in _SIZES))
    if target.path is not None:
        try:
            return _connect(target.path), {"address": f"unix:{target.path}"}
        except ConnectionError:
            if not target.found:
                raise
            # Nobody named the instance, and it is gone: as if there were none.
    sock, info = launch.start_node(node_config(options, owned=True))
    return sock, dict(info)


def _connect(path: str) -> "socket.socket":
    import socket

    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise ConnectionError(f"no instance of shoal answers at 'unix:{path}': {error.strerror or error}") from error
    return sock


def _settle(options: dict[str, Any], logs: bool) -> None:
    """What a session has besides its connection."""
    config = options.get("logging_config")
    if config is not None:
        from shoal.core.logs import apply

        apply(config)
    env = options.get("runtime_env")
    if env:
        from shoal.runtime.working_dir import staged

        LIVE.job_env = staged(env)
    if logs:
        from shoal.core.notifier import NOTIFIER

        NOTIFIER.start()
    if not _STATE.at_exit:
        import atexit

        _STATE.at_exit = True
        atexit.register(_end, at_exit=True)


def ensure() -> None:
    """Begins a session where there is none.

    Raises:
        RuntimeError: This process was forked from one that had a session.
    """
    if LIVE.epoch:
        return
    if LIVE.forked:
        raise RuntimeError(
            "this process was forked from one that used shoal, and can't use its session: call shoal.init() in it first"
        )
    with _STATE.lock:
        if not LIVE.epoch:
            _begin({})


def shutdown(wait_for_processes: bool = False, **_: Any) -> None:
    """Ends the session: its tasks, actors and objects go. Does nothing without one, and in a worker.

    Args:
        wait_for_processes: Taken for Ray's sake; the instance's processes end by themselves.

    Example:
        >>> import shoal
        >>> shoal.shutdown()
        >>> shoal.is_initialized()
        False
    """
    _end(at_exit=False)


def _end(at_exit: bool) -> None:
    # At exit, daemon threads that wait sleep on until the process ends: an error would be noise.
    with _STATE.lock:
        if not LIVE.epoch or LIVE.in_worker:
            return
        from shoal.core import _ffi
        from shoal.core.notifier import NOTIFIER

        LIVE.end()
        _STATE.context = None
        try:
            _ffi.disconnect(at_exit)
        finally:
            NOTIFIER.join()
            if "shoal.core.logs" in sys.modules:
                from shoal.core.logs import withdraw

                withdraw()
            if "shoal.runtime.working_dir" in sys.modules:
                from shoal.runtime.working_dir import discard

                discard()


def is_initialized() -> bool:
    """Whether this process has a session: after `init()` or the first call, before `shutdown()`; always in a task.

    Example:
        >>> import shoal
        >>> shoal.is_initialized() in (True, False)
        True
    """
    return LIVE.epoch != 0
