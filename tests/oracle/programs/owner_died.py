"""A value that a killed actor put is lost: OwnerDiedError."""

import os
import time

import numpy as np
from oracle import alive, raises, ray, until

ray.init(num_cpus=1)


@ray.remote
class A:
    def put(self):
        return [ray.put(np.zeros(1_000_000))], os.getpid()


a = A.remote()
[ref], pid = ray.get(a.put.remote())
ray.kill(a)
until(lambda: not alive(pid))
time.sleep(1)
error = raises(ray.exceptions.OwnerDiedError, lambda: ray.get(ref, timeout=30))
assert isinstance(error, ray.exceptions.ObjectLostError)
