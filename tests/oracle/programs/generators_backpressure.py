"""_generator_backpressure_num_objects: the generator waits while so many items are unread."""

import os
import tempfile
import time

from oracle import SHOAL, ray, until

ray.init(num_cpus=1)
path = os.path.join(tempfile.mkdtemp(), "made")


@ray.remote(_generator_backpressure_num_objects=2)
def endless():
    while True:
        with open(path, "a") as made:
            made.write("x")
        yield 1


def made():
    return os.path.getsize(path) if os.path.exists(path) else 0


stream = endless.remote()
until(lambda: made() == 2)
time.sleep(0.3)
assert made() == 2
next(stream)
until(lambda: made() == 3)
if SHOAL:
    # Its own: who drops a generator closes it.
    del stream

    @ray.remote
    def one():
        return 1

    assert ray.get(one.remote(), timeout=30) == 1
