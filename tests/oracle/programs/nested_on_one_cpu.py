"""A task that waits gives back its CPU: recursion and fan-out work on one."""

from oracle import ray

ray.init(num_cpus=1)


@ray.remote
def chain(n):
    return 0 if n == 0 else 1 + ray.get(chain.remote(n - 1))


@ray.remote
def fan(n):
    return sum(ray.get([leaf.remote(i) for i in range(n)]))


@ray.remote
def leaf(i):
    return i


assert ray.get(chain.remote(8), timeout=60) == 8
assert ray.get(fan.remote(50), timeout=60) == sum(range(50))
