"""The handle of get_actor doesn't keep an actor alive.

On Ray a named actor ends with its original handles; on shoal it lives until its job ends (on purpose: the seed's rule).
"""

import gc
import os
import time

from oracle import SHOAL, alive, raises, ray, until

ray.init(num_cpus=1)


@ray.remote
class A:
    def pid(self):
        return os.getpid()


a = A.options(name="a").remote()
weak = ray.get_actor("a")
assert weak == a and hash(weak) == hash(a)
pid = ray.get(weak.pid.remote())
del a
gc.collect()
if SHOAL:
    time.sleep(1)
    assert ray.get(ray.get_actor("a").pid.remote()) == pid
else:
    until(lambda: not alive(pid))
    raises(ValueError, lambda: ray.get_actor("a"))
