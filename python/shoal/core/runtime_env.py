"""Runtime environments: checked, merged with the parent's, encoded."""

import json
import os
from collections.abc import Mapping
from typing import Any

_SUPPORTED = ("env_vars", "working_dir")
# Taken without effect.
_TAKEN = ("config",)
_LATER = (
    "py_modules",
    "py_executable",
    "pip",
    "uv",
    "conda",
    "container",
    "image_uri",
    "worker_process_setup_hook",
    "nsight",
    "rocprof_sys",
    "excludes",
    "java_jars",
    "mpi",
)


def check(given: Any) -> dict[str, Any]:
    """The fields that count, each checked.

    Raises:
        ValueError: A field is unknown or not supported yet, or the folder doesn't exist.
        TypeError: A field has the wrong type.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"runtime_env takes a dict, not {type(given).__name__}")
    result: dict[str, Any] = {}
    for name, value in given.items():
        if name in _LATER:
            if value:
                raise ValueError(f"runtime_env[{name!r}] is not supported yet")
        elif name not in _SUPPORTED and name not in _TAKEN:
            raise _unknown(name)
        elif value is not None and name == "env_vars":
            result[name] = _env_vars(value)
        elif value is not None and name == "working_dir":
            result[name] = _working_dir(value)
    return result


def _unknown(name: Any) -> ValueError:
    from shoal.core.nearest import nearest

    near = nearest(str(name), (*_SUPPORTED, *_TAKEN, *_LATER))
    return ValueError(f"runtime_env has no field {name!r}" + (f"; did you mean {near!r}?" if near else ""))


def _env_vars(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"runtime_env['env_vars'] takes a dict of strings, not {type(value).__name__}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"runtime_env['env_vars'] takes strings, not {name!r}: {text!r}")
        if not name or "=" in name or "\0" in name or "\0" in text:
            raise ValueError(f"runtime_env['env_vars'] has {name!r}, which is no name of an environment variable")
    return dict(value)


def _working_dir(value: Any) -> str:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"runtime_env['working_dir'] takes a path, not {type(value).__name__}")
    path = os.fsdecode(value)
    if "://" in path or path.endswith(".zip"):
        raise ValueError(f"runtime_env['working_dir']={path!r}: archives and addresses are not supported yet")
    if not os.path.isdir(path):
        raise ValueError(f"runtime_env['working_dir']={path!r} is not a folder")
    return os.path.abspath(path)


def merge(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """The child's fields over the parent's; environment variables are merged by name."""
    merged = {**parent, **child}
    if "env_vars" in parent and "env_vars" in child:
        merged["env_vars"] = {**parent["env_vars"], **child["env_vars"]}
    return merged


def encode(env: Mapping[str, Any]) -> str:
    """JSON with sorted keys; equal environments are equal strings, nothing is ""."""
    kept = {name: value for name, value in env.items() if value}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")) if kept else ""


def decode(text: str) -> dict[str, Any]:
    """The inverse of `encode`."""
    return dict(json.loads(text)) if text else {}
