"""A forked child of a driver can't use its session, and says so; init() there begins one of its own.

shoal only: Ray's sessions don't survive a fork.
"""

import os

from oracle import raises, ray

ray.init(num_cpus=1)
ref = ray.put([1] * 100_000)
ray.get(ref)
pid = os.fork()
if pid == 0:
    code = 1
    try:
        assert not ray.is_initialized()
        raises(RuntimeError, lambda: ray.get(ray.put(1)), "was forked from one that used shoal")
        with ray.init(num_cpus=1):
            assert ray.get(ray.put(5)) == 5
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert len(ray.get(ref)) == 100_000
