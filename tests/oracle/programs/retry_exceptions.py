"""retry_exceptions: False by default; True for all, a list for some."""

import os
import tempfile

from oracle import raises, ray

ray.init(num_cpus=1)
folder = tempfile.mkdtemp()


@ray.remote(max_retries=2)
def flaky(name, kind):
    path = os.path.join(folder, name)
    with open(path, "ab") as file:
        file.write(b"x")
    if os.path.getsize(path) < 3:
        raise kind("not yet")
    return os.path.getsize(path)


def runs(name):
    return os.path.getsize(os.path.join(folder, name))


raises(OSError, lambda: ray.get(flaky.remote("never", OSError)))
assert runs("never") == 1
assert ray.get(flaky.options(retry_exceptions=True).remote("all", ValueError)) == 3
listed = flaky.options(retry_exceptions=[OSError])
assert ray.get(listed.remote("some", FileNotFoundError)) == 3
raises(ValueError, lambda: ray.get(listed.remote("other", ValueError)))
assert runs("other") == 1
raises(OSError, lambda: ray.get(flaky.options(retry_exceptions=[OSError], max_retries=1).remote("short", OSError)))
assert runs("short") == 2
