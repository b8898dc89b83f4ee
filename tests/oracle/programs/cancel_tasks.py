"""cancel: a queued task never runs, a running one is interrupted, one that is done stays as it is."""

import os
import tempfile
import time

from oracle import SHOAL, raises, ray, until

ray.init(num_cpus=1)
folder = tempfile.mkdtemp()


def marked(name):
    return os.path.exists(os.path.join(folder, name))


@ray.remote
def run(name):
    open(os.path.join(folder, name), "w").close()
    while True:
        time.sleep(0.01)


@ray.remote
def one():
    return 1


done = one.remote()
assert ray.get(done) == 1
ray.cancel(done)
assert ray.get(done) == 1

running = run.remote("running")
until(lambda: marked("running"))
queued = run.remote("queued")
time.sleep(0.2)
for ref in (queued, running):
    ray.cancel(ref)
    raises(ray.exceptions.TaskCancelledError, lambda ref=ref: ray.get(ref, timeout=30))
assert ray.get(one.remote(), timeout=30) == 1
assert not marked("queued")
raises(TypeError, lambda: ray.cancel(5))
if SHOAL:
    # Its own addition: several at once.
    ray.cancel(run.remote("a"), run.remote("b"))
