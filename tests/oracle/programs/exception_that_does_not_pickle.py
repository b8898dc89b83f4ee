"""An exception that can't be pickled arrives as RayTaskError with its text."""

import threading

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
def fail():
    made = threading.Lock()

    class Local(Exception):
        lock = made

    raise Local("the cause")


raises(ray.exceptions.RayTaskError, lambda: ray.get(fail.remote()), "the cause")
