"""References can be awaited on any event loop: alone, gathered, with a timeout; errors are raised there."""

import asyncio

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def f(x):
    return x


@ray.remote
def fail():
    raise KeyError("x")


@ray.remote
def slow():
    import time

    time.sleep(20)


async def main():
    assert await f.remote(1) == 1
    assert await asyncio.gather(*[f.remote(i) for i in range(50)]) == list(range(50))
    ready = ray.put(7)
    assert await ready == 7 and await ready == 7
    try:
        await fail.remote()
    except KeyError:
        pass
    else:
        raise AssertionError
    try:
        await asyncio.wait_for(asyncio.shield(_awaited(slow.remote())), timeout=0.3)
    except TimeoutError:
        return
    raise AssertionError


async def _awaited(ref):
    return await ref


asyncio.run(main())
asyncio.run(main())
