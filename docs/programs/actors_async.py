import asyncio

import shoal


@shoal.remote
class Gate:
    def __init__(self):
        self.open = asyncio.Event()

    async def wait(self, name):
        await self.open.wait()
        return name

    async def release(self):
        self.open.set()


gate = Gate.remote()
waiting = [gate.wait.remote(name) for name in ("a", "b")]
shoal.get(gate.release.remote())  # runs while the two wait
print(shoal.get(waiting))
