"""sys.exit in a task is WorkerCrashedError with the code, and is not retried.

shoal only: Ray retries it.
"""

import os
import sys
import tempfile

from oracle import raises, ray

ray.init(num_cpus=1)
path = os.path.join(tempfile.mkdtemp(), "runs")


@ray.remote
def leave(code):
    with open(path, "ab") as file:
        file.write(b"x")
    sys.exit(code)


raises(ray.exceptions.WorkerCrashedError, lambda: ray.get(leave.remote(3)), "exit code 3")
assert os.path.getsize(path) == 1
