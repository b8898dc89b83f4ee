"""In an async method timeouts, task groups, current_task and context variables work before its first await."""

import asyncio
import contextvars

from oracle import ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def __init__(self):
        self.loop = None
        self.variable = contextvars.ContextVar("variable", default=0)

    async def first_line(self, x):
        assert asyncio.current_task() is not None
        async with asyncio.timeout(10):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, x))
        return task.result()

    async def context(self, x):
        before = self.variable.get()
        self.variable.set(x)
        await asyncio.sleep(0.01)
        return before, self.variable.get()

    async def same_loop(self):
        self.loop = self.loop or asyncio.get_running_loop()
        return self.loop is asyncio.get_running_loop()

    def plain(self):
        return asyncio.get_running_loop() is self.loop


a = A.remote()
assert ray.get(a.first_line.remote(5)) == 5
assert ray.get([a.context.remote(i) for i in range(1, 5)]) == [(0, i) for i in range(1, 5)]
assert ray.get([a.same_loop.remote(), a.same_loop.remote()]) == [True, True]
assert ray.get(a.plain.remote()) is True
