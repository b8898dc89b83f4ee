"""When a constructor raises, calls raise ActorDiedError with its text."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def __init__(self):
        raise ValueError("no such luck")

    def f(self): ...


error = raises(ray.exceptions.RayActorError, lambda: ray.get(A.remote().f.remote()), "no such luck")
assert isinstance(error, ray.exceptions.ActorDiedError)
