"""What this process is at the moment: the few words that hot paths look at."""

import os


class Live:
    """The state of this process's session, changed only by `shoal.runtime.session` and `shoal.runtime.worker`."""

    __slots__ = (
        "async_thread",
        "epoch",
        "forked",
        "in_worker",
        "job_env",
        "sessions",
        "shielded",
        "worker_env",
    )

    def __init__(self) -> None:
        self.epoch = 0
        """Number of the session, 0 without one. What was made in another session is looked at by this number."""
        self.sessions = 0
        """How many sessions this process has had."""
        self.in_worker = False
        self.shielded = False
        """Whether a cancel may not interrupt the main thread now."""
        self.forked = False
        """Whether this process was forked from one that had a session, and has none of its own."""
        self.async_thread = 0
        """Ident of the thread that runs the event loop of an async actor."""
        self.job_env: dict[str, object] = {}
        """A driver's `init(runtime_env=...)`."""
        self.worker_env = ""
        """A worker's own runtime environment, encoded: what its children inherit."""

    def begin(self) -> None:
        """A session has begun."""
        self.sessions += 1
        self.epoch = self.sessions
        self.forked = False

    def end(self) -> None:
        """The session has ended."""
        self.epoch = 0
        self.job_env = {}


LIVE = Live()


def _after_fork() -> None:
    LIVE.forked = LIVE.forked or LIVE.epoch != 0
    LIVE.end()
    LIVE.async_thread = 0
    LIVE.in_worker = False


os.register_at_fork(after_in_child=_after_fork)
