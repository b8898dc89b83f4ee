"""A JobConfig gives the runtime environment and the namespace."""

import os

from oracle import ray

config = ray.job_config.JobConfig(runtime_env={"env_vars": {"A": "1"}}, ray_namespace="n")
ray.init(num_cpus=1, job_config=config)


@ray.remote
def task():
    return os.environ["A"], ray.get_runtime_context().namespace


assert ray.get(task.remote()) == ("1", "n")
