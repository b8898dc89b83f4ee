"""A sync actor runs one call at a time, an async one up to 1,000."""

import asyncio
import time

from oracle import ray

ray.init(num_cpus=1)


@ray.remote
class Sync:
    def __init__(self):
        self.now = self.most = 0

    def f(self):
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.01)
        self.now -= 1
        return self.most


@ray.remote
class Async:
    def __init__(self):
        self.now = 0

    async def f(self):
        self.now += 1
        while self.now < 200:
            await asyncio.sleep(0.01)
        return self.now


a, b = Sync.remote(), Async.remote()
assert max(ray.get([a.f.remote() for _ in range(10)])) == 1
assert ray.get([b.f.remote() for _ in range(200)]) == [200] * 200
