"""While an actor restarts, a call without retries fails with ActorUnavailableError; one with max_task_retries waits."""

import os
import tempfile
import time

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_restarts=1)
class A:
    def __init__(self, folder):
        first = os.path.join(folder, "first")
        while os.path.exists(first) and not os.path.exists(os.path.join(folder, "go")):
            time.sleep(0.01)
        open(first, "w").close()

    def pid(self):
        return os.getpid()


folder = tempfile.mkdtemp()
a = A.remote(folder)
first = ray.get(a.pid.remote())
ray.kill(a, no_restart=False)
for _ in range(2):
    raises(ray.exceptions.ActorUnavailableError, lambda: ray.get(a.pid.remote()))
waits = a.pid.options(max_task_retries=-1).remote()
open(os.path.join(folder, "go"), "w").close()
assert ray.get(waits) != first
