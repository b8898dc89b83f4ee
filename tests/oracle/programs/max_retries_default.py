"""A task whose worker dies is run 3 more times unless max_retries says otherwise."""

import os
import tempfile

from oracle import raises, ray

ray.init(num_cpus=1)
folder = tempfile.mkdtemp()


@ray.remote
def dies(name):
    with open(os.path.join(folder, name), "ab") as file:
        file.write(b"x")
    os._exit(1)


def runs(name):
    return os.path.getsize(os.path.join(folder, name))


raises(ray.exceptions.WorkerCrashedError, lambda: ray.get(dies.remote("default")))
assert runs("default") == 4
raises(ray.exceptions.WorkerCrashedError, lambda: ray.get(dies.options(max_retries=0).remote("none")))
assert runs("none") == 1
