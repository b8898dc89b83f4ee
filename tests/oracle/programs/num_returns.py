"""num_returns: one reference, a list of them, or None for 0; a wrong number of values is a ValueError."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(num_returns=3)
def three(n=3):
    return tuple(range(n))


assert [ray.get(ref) for ref in three.remote()] == [0, 1, 2]
assert three.options(num_returns=0).remote() is None
assert ray.get(three.options(num_returns=1).remote()) == (0, 1, 2)
raises(ValueError, lambda: ray.get(three.remote(2)))
