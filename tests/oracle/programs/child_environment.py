"""Child tasks inherit their parent's runtime environment; variables are merged by name."""

import os

from oracle import ray

ray.init(num_cpus=2, runtime_env={"env_vars": {"JOB": "j", "A": "job"}})


@ray.remote
def show():
    return [os.environ.get(name) for name in ("JOB", "A", "B")]


@ray.remote
def parent():
    child = show.options(runtime_env={"env_vars": {"B": "child"}})
    return show_here(), ray.get(show.remote()), ray.get(child.remote())


def show_here():
    return [os.environ.get(name) for name in ("JOB", "A", "B")]


assert ray.get(show.remote()) == ["j", "job", None]
here, plain, merged = ray.get(parent.options(runtime_env={"env_vars": {"A": "parent"}}).remote())
assert here == plain == ["j", "parent", None]
assert merged == ["j", "parent", "child"]
assert "JOB" not in os.environ
