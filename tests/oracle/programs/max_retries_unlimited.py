"""max_retries=-1 is without limit."""

import os
import tempfile

from oracle import ray

ray.init(num_cpus=1)
path = os.path.join(tempfile.mkdtemp(), "runs")


@ray.remote(max_retries=-1)
def task():
    with open(path, "ab") as file:
        file.write(b"x")
    if os.path.getsize(path) < 6:
        os._exit(1)
    return "done"


assert ray.get(task.remote()) == "done"
assert os.path.getsize(path) == 6
