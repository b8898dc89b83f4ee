"""Calls of threaded and async actors may overtake one that waits for its argument."""

import time

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def slow():
    time.sleep(3)


@ray.remote
class Threaded:
    def take(self, x):
        return x


@ray.remote
class Async:
    async def take(self, x):
        return x


for a in (Threaded.options(max_concurrency=2).remote(), Async.remote()):
    ray.get(a.__ray_ready__.remote())
    begin = time.monotonic()
    first = a.take.remote(slow.remote())
    assert ray.get(a.take.remote(2)) == 2
    assert time.monotonic() - begin < 2.5
    ray.get(first)
