"""Generators: streaming by default, each item as it comes; an exception is the last item."""

import asyncio

from oracle import raises, ray

ray.init(num_cpus=2)


@ray.remote
def count(n, fail=False):
    for i in range(n):  # noqa: UP028  Ray can't send into a `yield from range`
        yield i
    if fail:
        raise ValueError("boom")


@ray.remote
class Counter:
    def count(self, n):
        for i in range(n):  # noqa: UP028
            yield i


@ray.remote
class AsyncCounter:
    async def count(self, n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i


stream = count.remote(3)
assert isinstance(stream, ray.ObjectRefGenerator)
assert [ray.get(ref) for ref in stream] == [0, 1, 2]
raises(StopIteration, lambda: next(stream))
for kind in (Counter, AsyncCounter):
    actor = kind.remote()
    assert [ray.get(ref) for ref in actor.count.remote(4)] == [0, 1, 2, 3]


async def read(stream):
    return [await ref async for ref in stream]


assert asyncio.run(read(count.remote(5))) == [0, 1, 2, 3, 4]

stream = count.remote(2, fail=True)
refs = list(stream)
assert ray.get(refs[:2]) == [0, 1] and len(refs) == 3
raises(ValueError, lambda: ray.get(refs[2]), "boom")
assert ray.get(stream.completed()) is None  # it is over; its error was the last item

waiting = count.remote(1)
ready, rest = ray.wait([waiting], timeout=30)
assert ready == [waiting] and rest == []
assert ray.get(next(waiting)) == 0
assert ray.get(count.remote(1).completed(), timeout=30) is None
