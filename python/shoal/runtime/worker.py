"""A worker process, from the zygote's fork to its exit."""

import faulthandler
import os
import signal
import sys
from types import FrameType
from typing import Any

# The zygote imports this module, so that its children need not import any of these.
from shoal.core import _ffi, actor_class, actor_runtime, decorators, option_table, settings, templates  # noqa: F401
from shoal.core.hooks import HOOKS
from shoal.core.live import LIVE
from shoal.core.runtime_env import decode
from shoal.runtime import api, marks  # noqa: F401


def main(address: str, start: int, logging_config: dict[str, Any] | None = None) -> None:
    """Runs this process as a worker of the node at `address`; called in the zygote's child, on its main thread.

    Args:
        address: The daemon's address for workers.
        start: The number of the start that the daemon gave.
        logging_config: Arguments of the driver's `LoggingConfig`, if it has one.
    """
    if os.environ.get("SHOAL_COMPAT"):
        from shoal import compat

        compat.install()
    if not faulthandler.is_enabled():
        faulthandler.enable()
    signal.signal(signal.SIGINT, _on_interrupt)
    _ffi.set_hooks(HOOKS)
    _ffi.give_hints(bool(settings.value("hints")))
    _ffi.record_sites(bool(settings.value("record_ref_creation_sites")))
    session = _ffi.connect_worker(address, start)
    marks.begin()
    _tell_stacks()
    LIVE.in_worker = True
    LIVE.worker_env = session.get("runtime_env", "")
    LIVE.begin()
    if logging_config is not None:
        from shoal.core import logs
        from shoal.logging_config import LoggingConfig

        logs.apply(LoggingConfig(**logging_config))
    os.environ["SHOAL_ADDRESS"] = session["address"]
    apply(LIVE.worker_env)
    code = _ffi.run_worker()
    actor_runtime.finish()
    sys.exit(code)


def apply(encoded: str) -> None:
    """Makes a runtime environment this process's own: variables, working folder, where modules are looked for."""
    env = decode(encoded)
    os.environ.update(env.get("env_vars", {}))
    folder = env.get("working_dir")
    if folder:
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _tell_stacks() -> None:
    """Lets `shoal stack` see what this process does, also when its code doesn't let go of the GIL."""
    # Of the real-time signals, libraries that take one take the first or the last.
    number = signal.SIGRTMAX - 9
    if signal.getsignal(number) is signal.SIG_DFL:
        file = os.memfd_create("shoal-stacks")
        faulthandler.register(number, file=file)
        _ffi.tell_stacks_on(number, file)


def _on_interrupt(signum: int, frame: FrameType | None) -> None:
    """The I/O thread signals the main thread to interrupt a task; a late signal must not hit the next one."""
    if not LIVE.shielded and _ffi.interrupt_wanted():
        raise KeyboardInterrupt
