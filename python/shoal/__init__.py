"""Remote functions, actors and shared objects, from one laptop to a cluster, under Ray's names.

Everything is imported when first used, so `import shoal` costs a few milliseconds.

Example:
    >>> import shoal
    >>> @shoal.remote
    ... def square(x):
    ...     return x * x
    >>> shoal.get([square.remote(i) for i in range(4)])
    [0, 1, 4, 9]
"""

# Spelled out because importing `typing` is a tenth of the budget of `import shoal`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal import actor, cloudpickle, data, exceptions, ids, job_config, runtime_env, util
    from shoal.core._ffi import ObjectRef
    from shoal.core.context import RuntimeContext, get_gpu_ids, get_runtime_context
    from shoal.core.decorators import method, remote
    from shoal.core.generators import DynamicObjectRefGenerator, ObjectRefGenerator
    from shoal.ids import (
        ActorClassID,
        ActorID,
        FunctionID,
        JobID,
        NodeID,
        ObjectID,
        PlacementGroupID,
        TaskID,
        UniqueID,
        WorkerID,
    )
    from shoal.logging_config import LoggingConfig
    from shoal.runtime.api import cancel, get, get_actor, kill, put, wait
    from shoal.runtime.cluster import available_resources, cluster_resources, nodes
    from shoal.runtime.session import init, is_initialized, shutdown
    from shoal.util.timeline import timeline

    __version__: str

__all__ = [
    "ActorClassID",
    "ActorID",
    "DynamicObjectRefGenerator",
    "FunctionID",
    "JobID",
    "LoggingConfig",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "PlacementGroupID",
    "RuntimeContext",
    "TaskID",
    "UniqueID",
    "WorkerID",
    "__version__",
    "actor",
    "available_resources",
    "cancel",
    "cloudpickle",
    "cluster_resources",
    "data",
    "exceptions",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "ids",
    "init",
    "is_initialized",
    "job_config",
    "kill",
    "method",
    "nodes",
    "put",
    "remote",
    "runtime_env",
    "shutdown",
    "timeline",
    "util",
    "wait",
]

_HOME = {
    "shoal.core._ffi": "ObjectRef",
    "shoal.core.context": "RuntimeContext get_gpu_ids get_runtime_context",
    "shoal.core.decorators": "method remote",
    "shoal.core.generators": "DynamicObjectRefGenerator ObjectRefGenerator",
    "shoal.ids": "ActorClassID ActorID FunctionID JobID NodeID ObjectID PlacementGroupID TaskID UniqueID WorkerID",
    "shoal.logging_config": "LoggingConfig",
    "shoal.runtime.api": "cancel get get_actor kill put wait",
    "shoal.runtime.cluster": "available_resources cluster_resources nodes",
    "shoal.runtime.session": "init is_initialized shutdown",
    "shoal.util.timeline": "timeline",
}
_WHERE = {name: module for module, names in _HOME.items() for name in names.split()}
_MODULES = {"actor", "cloudpickle", "data", "exceptions", "ids", "job_config", "runtime_env", "util"}
# Known names of Ray whose meaning is not there yet.
_LATER = {
    "client",
    "ClientBuilder",
    "java_function",
    "java_actor_class",
    "cpp_function",
    "Language",
}


def __getattr__(name: str) -> object:
    import importlib

    if name in _WHERE:
        value: object = getattr(importlib.import_module(_WHERE[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"shoal.{name}")
    elif name == "__version__":
        from shoal.version import version

        value = version()
    elif name in _LATER:
        from shoal.core.not_yet import not_yet

        value = not_yet(name)
    else:
        raise AttributeError(f"module 'shoal' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
