"""Small helpers."""

from typing import Any

_LOGGED: set[str] = set()


def log_once(key: str) -> bool:
    """Whether this is the first call with this key in this process.

    Example:
        >>> from shoal.util import log_once
        >>> log_once("docs: a"), log_once("docs: a")
        (True, False)
    """
    if key in _LOGGED:
        return False
    _LOGGED.add(key)
    return True


def list_named_actors(all_namespaces: bool = False) -> list[Any]:
    """The names of living named actors.

    Args:
        all_namespaces: Whether those of all namespaces are listed.

    Returns:
        Names; with `all_namespaces`, dicts with `name` and `namespace`.

    Example:
        >>> import shoal
        >>> isinstance(shoal.util.list_named_actors(), list)
        True
    """
    from shoal.core import _ffi
    from shoal.runtime.session import ensure

    ensure()
    found = sorted(_ffi.named_actors())
    if all_namespaces:
        return [{"name": name, "namespace": namespace} for namespace, name in found]
    own = _ffi.session()["namespace"]
    return [name for namespace, name in found if namespace == own]


def get_node_ip_address(address: str = "8.8.8.8:53") -> str:
    """This machine's address towards others; nothing is sent. "127.0.0.1" without a network.

    Args:
        address: HOST:PORT whose direction counts.

    Example:
        >>> from shoal.util import get_node_ip_address
        >>> get_node_ip_address().count(".")
        3
    """
    import socket

    host, _, port = address.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((host, int(port)))
            return str(sock.getsockname()[0])
    except OSError:
        return "127.0.0.1"
