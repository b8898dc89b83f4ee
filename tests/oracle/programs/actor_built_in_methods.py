"""Every actor has __ray_ready__, __ray_call__ and __ray_terminate__."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def __init__(self):
        self.x = 5

    def f(self):
        return self.x


a = A.remote()
ray.get(a.__ray_ready__.remote())
assert ray.get(a.__ray_call__.remote(lambda self, k: self.x + k, 1)) == 6
a.__ray_terminate__.remote()
raises(ray.exceptions.RayActorError, lambda: ray.get(a.f.remote(), timeout=30))
