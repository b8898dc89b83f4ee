"""kill ends an actor whatever it does; get_actor of an unknown name is a ValueError."""

import time

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def sleep(self):
        time.sleep(60)

    def f(self):
        return 1


a = A.options(name="a").remote()
assert ray.get(ray.get_actor("a").f.remote()) == 1
ref = a.sleep.remote()
ray.kill(a)
raises(ray.exceptions.RayActorError, lambda: ray.get(ref, timeout=30))
raises(ray.exceptions.RayActorError, lambda: ray.get(a.f.remote(), timeout=30))
raises(ValueError, lambda: ray.get_actor("nobody"))
raises(ValueError, lambda: ray.get_actor(""))
raises(ValueError, lambda: ray.kill(ray.put(1)))
