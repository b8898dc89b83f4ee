"""A restarted actor is made with the same arguments, references among them."""

import os
import signal

from oracle import ray

ray.init(num_cpus=1)


@ray.remote(max_restarts=1, max_task_retries=-1)
class A:
    def __init__(self, a, b, *, c):
        self.all = (a, b, c)

    def show(self):
        return os.getpid(), self.all, ray.get_runtime_context().was_current_actor_reconstructed


ref = ray.put("b")
a = A.remote(1, ref, c=[3])
del ref
pid, value, again = ray.get(a.show.remote())
assert (value, again) == ((1, "b", [3]), False)
os.kill(pid, signal.SIGKILL)
other, value, again = ray.get(a.show.remote(), timeout=60)
assert other != pid
assert (value, again) == ((1, "b", [3]), True)
