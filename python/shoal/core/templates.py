"""Options of a call as the runtime takes them."""

from collections.abc import Mapping
from typing import Any

from shoal.core.checks import STREAMING
from shoal.core.live import LIVE
from shoal.core.runtime_env import decode, encode, merge

DEFAULT_MAX_RETRIES = 3


def template_arguments(options: Mapping[str, Any], name: str, generator: bool) -> dict[str, Any]:
    """What `_core.Template` takes besides the function, which is a generator function or none."""
    retry = options.get("retry_exceptions", False)
    gpus = options.get("num_gpus", 0)
    return {
        "name": options.get("name", name),
        "num_returns": options.get("num_returns", STREAMING if generator else 1),
        "backpressure": options.get("_generator_backpressure_num_objects", 0),
        "max_retries": options.get("max_retries", DEFAULT_MAX_RETRIES),
        "retry_exceptions": bool(retry),
        "resources": resources(options, default_cpus=1.0),
        "runtime_env": effective_env(options.get("runtime_env")),
        # A GPU's memory is only given back by the end of its process.
        "max_calls": options.get("max_calls", 1 if gpus else 0),
    }


def resources(options: Mapping[str, Any], default_cpus: float) -> dict[str, float]:
    """What a worker needs to hold, without what is zero."""
    needed = {
        "CPU": options.get("num_cpus", default_cpus),
        "GPU": options.get("num_gpus", 0.0),
        "memory": options.get("memory", 0.0),
        **options.get("resources", {}),
    }
    return {name: float(quantity) for name, quantity in needed.items() if quantity}


def effective_env(given: Mapping[str, Any] | None) -> str:
    """The encoded environment of a child: what was given over this process's own; "" for none."""
    if given:
        from shoal.runtime.working_dir import staged

        given = staged(given)
    if LIVE.in_worker:
        own = decode(LIVE.worker_env) if given else {}
        return encode(merge(own, given)) if given else LIVE.worker_env
    return encode(merge(LIVE.job_env, given or {}))
