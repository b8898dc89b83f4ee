"""The first call that needs a session begins one."""

from oracle import ray


@ray.remote
def f(x):
    return x + 1


assert not ray.is_initialized()
assert ray.get(f.remote(1)) == 2
assert ray.is_initialized()
ray.shutdown()
assert ray.get(ray.put(3)) == 3
