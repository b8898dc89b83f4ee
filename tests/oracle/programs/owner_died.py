"""A value that a killed actor put is lost: OwnerDiedError."""

import numpy as np
from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def put(self):
        return [ray.put(np.zeros(1_000_000))]


a = A.remote()
[ref] = ray.get(a.put.remote())
ray.kill(a)
error = raises(ray.exceptions.OwnerDiedError, lambda: ray.get(ref, timeout=30))
assert isinstance(error, ray.exceptions.ObjectLostError)
