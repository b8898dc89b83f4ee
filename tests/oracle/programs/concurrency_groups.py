"""Each concurrency group has a limit of its own: a full one doesn't hold up the others."""

import asyncio

from oracle import ray

ray.init(num_cpus=1)


@ray.remote(concurrency_groups={"io": 2, "compute": 1})
class A:
    def __init__(self):
        self.now = self.most = 0
        # No asyncio.Event: on Ray each group has an event loop of its own.
        self.go = False

    @ray.method(concurrency_group="io")
    async def io(self):
        self.now += 1
        self.most = max(self.most, self.now)
        while not self.go:
            await asyncio.sleep(0.01)
        self.now -= 1

    @ray.method(concurrency_group="compute")
    async def compute(self):
        return "compute"

    async def default(self):
        return self.most

    async def release(self):
        self.go = True


a = A.remote()
blocked = [a.io.remote() for _ in range(5)]
assert ray.get(a.compute.remote(), timeout=30) == "compute"
assert ray.get(a.compute.options(concurrency_group="compute").remote(), timeout=30) == "compute"
assert ray.get(a.default.remote(), timeout=30) == 2
ray.get(a.release.remote())
ray.get(blocked, timeout=30)
