"""An async method awaits references and calls of other actors; one that waits holds up none of the others."""

import asyncio

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def one(x):
    return x


@ray.remote
class A:
    async def use(self, n):
        return sum(await asyncio.gather(*[one.remote(i) for i in range(n)]))

    async def wait_for(self, box):
        return await box[0]

    async def ping(self):
        return "pong"


@ray.remote
class Gate:
    def __init__(self):
        self.event = asyncio.Event()

    async def wait(self):
        await self.event.wait()
        return "open"

    async def open(self):
        self.event.set()


a, gate = A.remote(), Gate.remote()
assert ray.get(a.use.remote(10)) == 45
waiting = a.wait_for.remote([gate.wait.remote()])
assert ray.get(a.ping.remote(), timeout=30) == "pong"
ray.get(gate.open.remote())
assert ray.get(waiting, timeout=30) == "open"
