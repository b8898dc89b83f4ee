"""An ObjectRef: hex, binary, hash, equality, future."""

import concurrent.futures

from oracle import raises, ray

ray.init(num_cpus=2)


@ray.remote
def f(x):
    return x + 1


@ray.remote
def fail():
    raise KeyError("x")


ref = f.remote(1)
assert isinstance(ref, ray.ObjectRef)
assert bytes.fromhex(ref.hex()) == ref.binary()
assert not ref.is_nil()
other = f.remote(1)
assert ref != other and ref == ref and len({ref, ref, other}) == 2
future = ref.future()
assert isinstance(future, concurrent.futures.Future)
assert future.result(timeout=30) == 2
raises(KeyError, lambda: fail.remote().future().result(timeout=30))
assert [done.result() for done in concurrent.futures.as_completed([f.remote(5).future()], timeout=30)] == [6]
