"""When an actor's creator, a task, ends, the actor lives while somebody holds a handle."""

import os

from oracle import alive, ray, until

ray.init(num_cpus=2)


@ray.remote
class A:
    def pid(self):
        return os.getpid()


@ray.remote(max_calls=1)
def make():
    a = A.remote()
    ray.get(a.pid.remote())
    return a


a = ray.get(make.remote())
pid = ray.get(a.pid.remote())
assert alive(pid)
del a
until(lambda: not alive(pid))
