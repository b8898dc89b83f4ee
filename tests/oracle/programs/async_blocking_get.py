"""A blocking get in an async method works."""

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def one():
    return 1


@ray.remote
class A:
    async def f(self):
        return ray.get(one.remote())


assert ray.get(A.remote().f.remote()) == 1
