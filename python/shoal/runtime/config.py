"""What a new node is started with."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from shoal.core import settings
from shoal.runtime import machine

# An arena smaller than this holds nothing of use; a larger one has more addresses than a place in it can name.
_MIN_ARENA, _MAX_ARENA = 64 << 20, 8 << 40


def node_config(options: Mapping[str, Any], *, owned: bool) -> dict[str, Any]:
    """The configuration of a node daemon, for `launch.start_node`.

    Args:
        options: Checked arguments of `init`: num_cpus, num_gpus, resources, object_store_memory, _memory,
            object_spilling_directory, _system_config.
        owned: Whether the node ends with its first client.

    Raises:
        ValueError: More GPUs are asked for than are visible, the object store is too small or too large, or a folder to
            spill to can't be written.
    """
    available = machine.available_memory()
    store = options.get("object_store_memory") or max(_MIN_ARENA, machine.arena_bytes(available))
    if store < _MIN_ARENA:
        raise ValueError(f"object_store_memory takes at least {_MIN_ARENA} bytes (64 MiB), not {store}")
    if store > _MAX_ARENA:
        raise ValueError(f"object_store_memory takes at most {_MAX_ARENA} bytes (8 TiB), not {store}")
    gpus = machine.gpu_ids()
    count = int(options.get("num_gpus", len(gpus)))
    if count > len(gpus) and gpus:
        raise ValueError(f"num_gpus={count} is more than the {len(gpus)} GPUs that are visible ({', '.join(gpus)})")
    return {
        "num_cpus": options.get("num_cpus", machine.cpus()),
        "num_gpus": count,
        "gpu_ids": gpus or [str(number) for number in range(count)],
        "resources": dict(options.get("resources", {})),
        "object_store_memory": store,
        "spill_directories": _writable(options),
        "memory": options.get("_memory") or max(0, available - store),
        "owned_by_first_client": owned,
        # An instance that may yet grow has nothing that can never run.
        "settings": settings.of_node(options.get("_system_config"), {} if owned else {"infeasible_grace": -1.0}),
    }


def _writable(options: Mapping[str, Any]) -> list[str]:
    """The folders that objects are spilled to, made where they are not there."""
    for name in ("object_spilling_directory", "_object_spilling_directory"):
        folders: list[str] = options.get(name, [])
        for folder in folders:
            try:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    file.write(b"shoal")
            except OSError as error:
                raise ValueError(
                    f"{name}: objects can't be spilled to {folder} ({error.strerror or error}): give a folder that can "
                    "be written"
                ) from error
        if folders:
            return folders
    return []
