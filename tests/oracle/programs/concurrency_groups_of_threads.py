"""Concurrency groups of plain methods are pools of threads."""

import threading

from oracle import ray

ray.init(num_cpus=1)


@ray.remote(concurrency_groups={"io": 2})
class A:
    def __init__(self):
        self.go = threading.Event()
        self.meet = threading.Barrier(2)

    @ray.method(concurrency_group="io")
    def io(self):
        self.meet.wait(20)
        return self.go.wait(20)

    def release(self):
        self.go.set()


a = A.remote()
blocked = [a.io.remote() for _ in range(2)]
ray.get(a.release.remote(), timeout=30)
assert ray.get(blocked, timeout=30) == [True, True]
