"""With max_task_retries a call that its actor's death interrupted runs again after the restart; by default it fails."""

import os
import tempfile

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_restarts=-1)
class A:
    def __init__(self, folder):
        self.folder = folder

    def once(self, name):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(1)
        return "second time"


folder = tempfile.mkdtemp()
retried = A.options(max_task_retries=1).remote(folder)
assert ray.get(retried.once.remote("a")) == "second time"
plain = A.remote(folder)
raises(ray.exceptions.RayActorError, lambda: ray.get(plain.once.remote("b")))
assert ray.get(plain.once.options(max_task_retries=2).remote("c")) == "second time"
