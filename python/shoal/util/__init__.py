"""Helpers around tasks and actors, each imported when it is first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.util.actor_pool import ActorPool
    from shoal.util.completed import as_completed, map_unordered
    from shoal.util.custom_serializers import deregister_serializer, register_serializer
    from shoal.util.explain import why
    from shoal.util.misc import get_node_ip_address, list_named_actors, log_once
    from shoal.util.serializability import inspect_serializability

__all__ = [
    "ActorPool",
    "as_completed",
    "deregister_serializer",
    "get_node_ip_address",
    "inspect_serializability",
    "list_named_actors",
    "log_once",
    "map_unordered",
    "register_serializer",
    "why",
]

_WHERE = {
    "ActorPool": "actor_pool",
    "as_completed": "completed",
    "map_unordered": "completed",
    "get_node_ip_address": "misc",
    "list_named_actors": "misc",
    "log_once": "misc",
    "register_serializer": "custom_serializers",
    "deregister_serializer": "custom_serializers",
    "inspect_serializability": "serializability",
    "why": "explain",
}
_LATER = frozenset(
    (
        "accelerators",
        "collective",
        "connect",
        "disconnect",
        "disable_log_once_globally",
        "enable_periodic_logging",
        "iter",
        "pdb",
        "ray_debugpy",
        "placement_group",
        "remove_placement_group",
        "get_placement_group",
        "placement_group_table",
        "get_current_placement_group",
        "get_node_instance_id",
    )
)


def __getattr__(name: str) -> object:
    import importlib

    if name in _WHERE:
        value: object = getattr(importlib.import_module(f"shoal.util.{_WHERE[name]}"), name)
    elif name in _LATER:
        from shoal.core.not_yet import not_yet

        value = not_yet(f"util.{name}")
    else:
        raise AttributeError(f"module 'shoal.util' has no attribute {name!r}")
    globals()[name] = value
    return value
