"""cancel of a call of an async actor cancels its task."""

import asyncio

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def __init__(self):
        self.cancelled = 0

    async def sleep(self):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def seen(self):
        while not self.cancelled:
            await asyncio.sleep(0.01)
        return self.cancelled

    async def ready(self):
        await asyncio.sleep(0.2)


a = A.remote()
ref = a.sleep.remote()
ray.get(a.ready.remote())
ray.cancel(ref)
raises(ray.exceptions.TaskCancelledError, lambda: ray.get(ref, timeout=30))
assert ray.get(a.seen.remote(), timeout=30) == 1
