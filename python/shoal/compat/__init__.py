"""Runs programs that say `import ray`: `python -m shoal.compat PROGRAM [ARGS]`.

`ray` and every `ray.x` become the module of shoal of that name, the very same object. It holds in workers, which
install it when `SHOAL_COMPAT` is set, and in their subprocesses, through a `ray` package on `PYTHONPATH`.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "path")


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "ray" and not name.startswith("ray."):
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = "shoal" + spec.name.removeprefix("ray")
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                raise ModuleNotFoundError(
                    f"{spec.name} is not supported yet: shoal has no {name}", name=spec.name
                ) from None
            raise
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just given the module this spec; it keeps its own.
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


def install() -> None:
    """Makes `import ray` give shoal in this process and in the processes that it starts.

    Example:
        >>> import shoal.compat
        >>> shoal.compat.install()
        >>> import ray
        >>> ray is shoal
        True
    """
    os.environ["SHOAL_COMPAT"] = "1"
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if PATH not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([PATH, *paths])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def run(program: str, args: Sequence[str]) -> None:
    """Runs a program as `python PROGRAM ARGS` would, with `ray` being shoal."""
    install()
    with open(program, "rb") as file:
        code = compile(file.read(), program, "exec")
    main = ModuleType("__main__")
    main.__file__ = program
    main.__dict__["__builtins__"] = __builtins__
    sys.argv[:] = [program, *args]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    sys.modules["__main__"] = main
    exec(code, main.__dict__)
