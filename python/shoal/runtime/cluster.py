"""`nodes`, `cluster_resources`, `available_resources`."""

from typing import Any

from shoal.core import _ffi
from shoal.runtime.session import ensure


def nodes() -> list[dict[str, Any]]:
    """The nodes of the instance: `NodeID`, `Alive`, `NodeManagerAddress`, `Resources`, `Labels`, ...

    Example:
        >>> import shoal
        >>> [node["Alive"] for node in shoal.nodes()]
        [True]
    """
    ensure()
    return [_node(node) for node in _ffi.nodes()]


def _node(node: dict[str, Any]) -> dict[str, Any]:
    """A node as Ray describes one."""
    return {
        "NodeID": node["id"],
        "Alive": node["alive"],
        "alive": node["alive"],
        "NodeManagerAddress": "127.0.0.1",
        "NodeManagerHostname": node["hostname"],
        "NodeName": node["hostname"],
        "Resources": dict(node["total"]),
        "Labels": {},
    }


def cluster_resources() -> dict[str, float]:
    """What all living nodes have together: "CPU", "GPU", "memory" (bytes), "object_store_memory" (bytes), custom ones.

    Example:
        >>> import shoal
        >>> shoal.cluster_resources()["CPU"] >= 1
        True
    """
    return _sum("total")


def available_resources() -> dict[str, float]:
    """What of `cluster_resources` nobody holds now; without what is all taken.

    Example:
        >>> import shoal
        >>> shoal.available_resources().get("CPU", 0) <= shoal.cluster_resources()["CPU"]
        True
    """
    return {name: quantity for name, quantity in _sum("available").items() if quantity > 0}


def _sum(field: str) -> dict[str, float]:
    ensure()
    total: dict[str, float] = {}
    for node in _ffi.nodes():
        if node["alive"]:
            for name, quantity in node[field].items():
                total[name] = total.get(name, 0.0) + quantity
    return total
