"""get with a timeout raises GetTimeoutError, a TimeoutError; 0 only looks."""

import time

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
def slow():
    time.sleep(2)
    return 1


ref = slow.remote()
assert issubclass(ray.exceptions.GetTimeoutError, TimeoutError)
begin = time.monotonic()
raises(ray.exceptions.GetTimeoutError, lambda: ray.get(ref, timeout=0))
raises(ray.exceptions.GetTimeoutError, lambda: ray.get([ref], timeout=0.2))
assert time.monotonic() - begin < 1.9
assert ray.get(ref, timeout=30) == 1
assert ray.get(ref, timeout=0) == 1
