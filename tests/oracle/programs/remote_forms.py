"""remote is used bare, with options, and as a call; calling directly is a TypeError."""

from oracle import SHOAL, raises, ray

ray.init(num_cpus=1)


@ray.remote
def bare(x):
    """Words."""
    return x


@ray.remote(num_cpus=0.5, max_retries=0)
def optioned(x=2, *args, k=3, **kwargs):
    return x, args, k, kwargs


if SHOAL:
    assert bare.__name__ == "bare" and bare.__doc__ == "Words."
assert ray.get(bare.remote(1)) == 1
assert ray.get(optioned.remote(1, 2, k=4, z=5)) == (1, (2,), 4, {"z": 5})
assert ray.get(optioned.options(num_cpus=1).remote()) == (2, (), 3, {})
assert ray.get(ray.remote(lambda x: x * 2).remote(4)) == 8
raises(TypeError, lambda: bare(1))
raises(TypeError, lambda: bare.remote())
raises(TypeError, lambda: bare.remote(1, 2))
raises(TypeError, lambda: bare.remote(y=1))
wrong = TypeError if SHOAL else AssertionError
raises(wrong, lambda: ray.remote(5))
raises(wrong, lambda: ray.remote("f")(bare))
