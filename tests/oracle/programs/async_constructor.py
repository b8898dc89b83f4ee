"""The constructor of an async actor runs on its event loop."""

import asyncio

from oracle import ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def __init__(self):
        self.task = asyncio.get_event_loop().create_task(self.background())

    async def background(self):
        await asyncio.sleep(0.01)
        return "done"

    async def result(self):
        return await self.task


assert ray.get(A.remote().result.remote(), timeout=30) == "done"
