"""kill(no_restart=False) costs one of the actor's restarts."""

import os

from oracle import ray, until

ray.init(num_cpus=1)


@ray.remote(max_restarts=1, max_task_retries=-1)
class A:
    def pid(self):
        return os.getpid()


a = A.remote()
pid = ray.get(a.pid.remote())
ray.kill(a, no_restart=False)
until(lambda: ray.get(a.pid.remote(), timeout=60) != pid)
