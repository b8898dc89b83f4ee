"""A worker ends after max_calls calls of the function; max_calls is not an option of .options()."""

import os

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_calls=2)
def task():
    return os.getpid()


pids = [ray.get(task.remote()) for _ in range(6)]
assert len(set(pids)) == 3, pids
assert pids[0] == pids[1] and pids[2] == pids[3]
raises(ValueError, lambda: task.options(max_calls=1), "max_calls")
