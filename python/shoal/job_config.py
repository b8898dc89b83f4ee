"""`JobConfig`: what a job is to start with, as an object."""

from typing import Any


class JobConfig:
    """What `init(job_config=...)` takes. `runtime_env` and `ray_namespace` count; the rest is not supported yet.

    Args:
        jvm_options: Not supported yet.
        code_search_path: Not supported yet.
        runtime_env: As `init(runtime_env=...)`.
        metadata: Words about the job, by name; kept, and shown nowhere yet.
        ray_namespace: As `init(namespace=...)`.
        default_actor_lifetime: Only "non_detached", the default.

    Raises:
        ValueError: An argument that is not supported yet was given.

    Example:
        >>> from shoal.job_config import JobConfig
        >>> JobConfig(ray_namespace="n").ray_namespace
        'n'
    """

    def __init__(
        self,
        jvm_options: list[str] | None = None,
        code_search_path: list[str] | None = None,
        runtime_env: dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
        ray_namespace: str | None = None,
        default_actor_lifetime: str = "non_detached",
    ) -> None:
        if jvm_options or code_search_path:
            raise ValueError("jvm_options and code_search_path are not supported yet")
        if default_actor_lifetime != "non_detached":
            raise ValueError("default_actor_lifetime='detached' is not supported yet")
        self.runtime_env = dict(runtime_env or {})
        self.metadata = dict(metadata or {})
        self.ray_namespace = ray_namespace
        self.default_actor_lifetime = default_actor_lifetime

    def set_runtime_env(self, runtime_env: dict[str, Any] | None) -> None:
        """Replaces the runtime environment; `None` empties it."""
        self.runtime_env = dict(runtime_env or {})

    def set_ray_namespace(self, ray_namespace: str) -> None:
        """Replaces the namespace."""
        self.ray_namespace = ray_namespace

    def set_metadata(self, key: str, value: str) -> None:
        """Adds one word about the job."""
        self.metadata[key] = value
