"""The table of options. `docs/compatibility.md` is made from it: `python -m shoal.core.compat_table`."""

from typing import Any

from shoal.core import checks, settings
from shoal.core.options import Option, Scope, Status

_YES, _TAKEN, _LATER = Status.SUPPORTED, Status.NO_EFFECT, Status.NOT_YET
_WHOLE0, _RETRIES = checks.whole(0), checks.whole(0, minus_one="without limit")


def _yes(name: str, check: checks.Check, takes: str, default: str, note: str = "", **more: Any) -> Option:
    return Option(name, check, takes, default, _YES, note=note, **more)


def _taken(name: str, check: checks.Check, takes: str, default: str) -> Option:
    return Option(name, check, takes, default, _TAKEN)


def _later(name: str, takes: str, *harmless: object, default: str = "None", note: str = "") -> Option:
    return Option(name, checks.anything, takes, default, _LATER, harmless, note)


_ENV = _yes("runtime_env", checks.runtime_env, "dict", "the parent's", "`env_vars` and a local `working_dir`")

_RETURNS, _RETURNS_DEFAULT = 'int ≥ 0, "streaming" or "dynamic"', '1; "streaming" for generators'
_BACKPRESSURE = _yes(
    "_generator_backpressure_num_objects",
    checks.unread_items,
    "int ≥ 1 or -1",
    "unset",
    "unread items after which a generator waits; always after 64 MiB unless -1",
)

_COMMON = [
    _yes("num_gpus", checks.gpu_amount, "number ≤ 1, or int", "0", "more than 0 gives a task `max_calls=1`"),
    _yes("memory", checks.memory_amount, "bytes", "0", "reserved; a limit with the setting `enforce_memory`"),
    _yes("resources", checks.custom_resources, "dict of numbers", "{}", "custom ones, to 1/10,000"),
    _yes("name", checks.text, "string", "the function's; none for an actor"),
    _ENV,
    _later("accelerator_type", "string"),
    _later("label_selector", "dict", {}),
    _later("fallback_strategy", "list", []),
    _later("scheduling_strategy", "string or strategy", "DEFAULT", "SPREAD", default='"DEFAULT"'),
    _taken("enable_task_events", checks.truth, "bool", "True"),
    _later("placement_group", "PlacementGroup", "default"),
    _later("placement_group_bundle_index", "int", -1, default="-1"),
    _later("placement_group_capture_child_tasks", "bool", False),
    _taken("_labels", checks.mapping, "dict", "{}"),
    _taken("_metadata", checks.mapping, "dict", "{}"),
]

_TASK = [
    _yes("num_cpus", checks.amount, "number ≥ 0", "1"),
    _yes("num_returns", checks.return_count, _RETURNS, _RETURNS_DEFAULT),
    _yes("max_retries", _RETRIES, "int ≥ -1", "3", "-1: without limit"),
    _yes("retry_exceptions", checks.exception_types, "bool or list of types", "False"),
    _yes("max_calls", _WHOLE0, "int ≥ 0", "0", "0: without limit; not in `.options()`", only_decorator=True),
    *_COMMON,
    _later("object_store_memory", "bytes", 0),
    _BACKPRESSURE,
    _later("_num_objects_per_yield", "int"),
]

_ACTOR = [
    _yes("num_cpus", checks.amount, "number ≥ 0", "unset", "unset: 1 to place it, 0 while it runs"),
    *_COMMON,
    _yes("max_concurrency", checks.whole(1), "int ≥ 1", "1; 1,000 for async actors"),
    _yes("max_restarts", _RETRIES, "int ≥ -1", "0", "-1: without limit"),
    _yes("max_task_retries", _RETRIES, "int ≥ -1", "0", "-1: without limit; a lost result is not made again"),
    _yes("max_pending_calls", checks.whole(1, minus_one="without limit"), "int ≥ 1 or -1", "-1", "for each caller"),
    _yes("lifetime", checks.one_of("detached", "non_detached"), '"detached" or "non_detached"', '"non_detached"'),
    _yes("namespace", checks.text, "string", "the job's"),
    _yes("get_if_exists", checks.truth, "bool", "False", "needs `name`"),
    _yes("concurrency_groups", checks.concurrency_groups, "dict of limits", "{}"),
    _yes("allow_out_of_order_execution", checks.truth, "bool", "True for threaded and async actors, else False"),
    _yes("persistent", checks.persistence, "Persistence", "None", "shoal's own: the state survives the process"),
    _later("enable_tensor_transport", "bool", False),
]

_METHOD = [
    _yes("num_returns", checks.return_count, _RETURNS, _RETURNS_DEFAULT),
    _yes("concurrency_group", checks.text, "string", "the default group"),
    _yes("max_task_retries", _RETRIES, "int ≥ -1", "the actor's"),
    _yes("retry_exceptions", checks.exception_types, "bool or list of types", "False"),
    _yes("name", checks.text, "string", "the method's"),
    _yes("read_only", checks.truth, "bool", "False", "shoal's own: `persistent=` doesn't save", only_decorator=True),
    _taken("enable_task_events", checks.truth, "bool", "True"),
    _later("tensor_transport", "string", "object_store"),
    _BACKPRESSURE,
]

_SPILLED = "shoal's own: where objects go that the object store has no room for"

_INIT = [
    _yes("address", checks.any_text, "string", "None", 'None, "auto", "local" or `unix:PATH`'),
    _yes("num_cpus", checks.amount, "number ≥ 0", "min(affinity, cgroup quota)"),
    _yes("num_gpus", checks.whole(0), "int ≥ 0", "those that are visible"),
    _yes("resources", checks.custom_resources, "dict of numbers", "{}"),
    _yes("object_store_memory", checks.byte_count, "bytes", "30 % of what is available"),
    _yes("object_spilling_directory", checks.folders, "folder, or several", "the session's folder", _SPILLED),
    _yes("namespace", checks.text, "string", "a random one"),
    _yes("ignore_reinit_error", checks.truth, "bool", "False"),
    _yes("log_to_driver", checks.truth, "bool", "True"),
    _ENV,
    _yes("job_config", checks.anything, "JobConfig", "None", "its `runtime_env` and `ray_namespace`"),
    _yes("_memory", checks.byte_count, "bytes", "what is available less the object store"),
    _later("labels", "dict", {}),
    _later("local_mode", "bool", False, default="False"),
    _taken("include_dashboard", checks.truth, "bool", "None"),
    _taken("dashboard_host", checks.any_text, "string", '"127.0.0.1"'),
    _taken("dashboard_port", _WHOLE0, "int", "8265"),
    _taken("configure_logging", checks.truth, "bool", "True"),
    _taken("logging_level", checks.logging_level, "int or string", "INFO"),
    _taken("logging_format", checks.any_text, "string", "None"),
    _yes("logging_config", checks.logging_config, "LoggingConfig", "None"),
    _later("enable_resource_isolation", "bool", False, default="False"),
    _later("cgroup_path", "string"),
    _later("system_reserved_cpu", "number"),
    _later("system_reserved_memory", "bytes"),
    _later("proxy_server_url", "string"),
    _later("_temp_dir", "string"),
    _yes("_system_config", settings.check, "dict", "{}", "the names of {doc}`settings`"),
    _later("_node_ip_address", "string", "127.0.0.1"),
    _taken("_metrics_export_port", _WHOLE0, "int", "None"),
    _later("_plasma_directory", "string"),
    _yes("_object_spilling_directory", checks.folders, "folder, or several", "None", "as `object_spilling_directory`"),
    _later("_tracing_startup_hook", "string"),
    _taken("_labels", checks.mapping, "dict", "{}"),
]

TABLES: dict[Scope, dict[str, Option]] = {
    scope: {option.name: option for option in rows}
    for scope, rows in ((Scope.TASK, _TASK), (Scope.ACTOR, _ACTOR), (Scope.METHOD, _METHOD), (Scope.INIT, _INIT))
}
