"""`RuntimeEnv`: a runtime environment as an object that is a dict."""

from typing import Any

from shoal.core.runtime_env import check

__all__ = ["RuntimeEnv", "RuntimeEnvConfig"]


class RuntimeEnv(dict[str, Any]):
    """A runtime environment: `env_vars` and a local `working_dir`; other fields are not supported yet.

    Args:
        env_vars: Environment variables to set, by name.
        working_dir: A folder; tasks run in a copy of it, made at `init()` or at the first call.
        **fields: Ray's other fields.

    Raises:
        ValueError: A field is unknown or not supported yet.
        TypeError: A field has the wrong type.

    Example:
        >>> from shoal.runtime_env import RuntimeEnv
        >>> RuntimeEnv(env_vars={"A": "1"})["env_vars"]
        {'A': '1'}
    """

    def __init__(
        self, *, env_vars: dict[str, str] | None = None, working_dir: str | None = None, **fields: object
    ) -> None:
        given = {"env_vars": env_vars, "working_dir": working_dir, **fields}
        super().__init__(check({name: value for name, value in given.items() if value is not None}))


class RuntimeEnvConfig(dict[str, Any]):
    """Settings of a runtime environment's set-up: checked and taken; they change nothing yet.

    Args:
        setup_timeout_seconds: Seconds that the set-up may take; -1 is without limit.
        eager_install: Whether it is made at `init()`.
        log_files: Not supported yet.

    Raises:
        ValueError: `log_files` was given.

    Example:
        >>> from shoal.runtime_env import RuntimeEnvConfig
        >>> RuntimeEnvConfig(setup_timeout_seconds=60)["setup_timeout_seconds"]
        60
    """

    def __init__(
        self, setup_timeout_seconds: int = 600, eager_install: bool = True, log_files: list[str] | None = None
    ) -> None:
        if log_files:
            raise ValueError("log_files is not supported yet")
        super().__init__(setup_timeout_seconds=setup_timeout_seconds, eager_install=eager_install)
