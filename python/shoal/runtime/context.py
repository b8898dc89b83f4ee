"""What `init()` returns."""

import sys
from collections.abc import Mapping
from typing import Any, Self

_SHOWN = ("address", "node_id", "session_dir", "namespace", "job_id", "worker_id")


class Context:
    """A session as its program sees it; used in `with`, it ends the session.

    Attributes:
        address_info: `address` (for `init(address=...)` of another program), `node_id`, `session_dir`, `namespace`, ...
        dashboard_url: "", since there is no dashboard yet.
        python_version: Such as "3.11.7".

    Example:
        >>> import shoal
        >>> with shoal.init(ignore_reinit_error=True) as context:
        ...     context.address_info["address"].startswith("unix:")
        True
    """

    dashboard_url = ""

    def __init__(self, address_info: Mapping[str, Any]) -> None:
        self.address_info = {name: address_info[name] for name in _SHOWN if name in address_info}
        self.address_info["node_ip_address"] = "127.0.0.1"
        self.python_version = ".".join(map(str, sys.version_info[:3]))

    @property
    def ray_version(self) -> str:
        """shoal's version."""
        from shoal.version import version

        return version()

    def disconnect(self) -> None:
        """Ends the session, as `shutdown()`."""
        from shoal.runtime.session import shutdown

        shutdown()

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return f"Context(address={self.address_info.get('address')!r})"
