"""A sync actor runs the calls of one caller in their order, even when the first waits for its argument."""

import time

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def slow():
    time.sleep(0.5)
    return "slow"


@ray.remote
class A:
    def __init__(self):
        self.seen = []

    def add(self, x):
        self.seen.append(x)

    def all(self):
        return self.seen


a = A.remote()
a.add.remote(slow.remote())
for i in range(20):
    a.add.remote(i)
assert ray.get(a.all.remote()) == ["slow", *range(20)]
