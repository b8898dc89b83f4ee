"""An explicit number of CPUs is held for the actor's life."""

from oracle import ray, until

ray.init(num_cpus=2)


@ray.remote(num_cpus=1)
class A:
    def ready(self):
        return True


a = A.remote()
assert ray.get(a.ready.remote())
until(lambda: ray.available_resources().get("CPU") == 1)
del a
until(lambda: ray.available_resources().get("CPU") == 2)
