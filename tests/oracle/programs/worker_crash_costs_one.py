"""A task that takes its process down with max_retries=0 fails; those queued beside it don't."""

import os

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_retries=0)
def die():
    os._exit(1)


@ray.remote(max_retries=0)
def ok(i):
    return i


ray.get(ok.remote(0))
dying = die.remote()
refs = [ok.remote(i) for i in range(20)]
raises(ray.exceptions.WorkerCrashedError, lambda: ray.get(dying, timeout=60))
assert ray.get(refs, timeout=60) == list(range(20))
