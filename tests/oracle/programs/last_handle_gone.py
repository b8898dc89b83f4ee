"""When the last handle is gone an actor finishes what was sent, and ends."""

import os
import time

from oracle import alive, ray, until

ray.init(num_cpus=1)


@ray.remote
class A:
    def pid(self):
        return os.getpid()

    def slow(self):
        time.sleep(0.5)
        return "done"


a = A.remote()
pid = ray.get(a.pid.remote())
ref = a.slow.remote()
del a
assert ray.get(ref) == "done"
until(lambda: not alive(pid))
