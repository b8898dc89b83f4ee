"""exit_actor and sys.exit end an actor for good: its calls raise ActorDiedError, and it isn't restarted."""

import sys

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_restarts=3)
class A:
    def leave(self):
        ray.actor.exit_actor()

    def exit(self):
        sys.exit(0)

    def f(self): ...


@ray.remote(max_restarts=3)
class Async:
    async def leave(self):
        ray.actor.exit_actor()

    async def f(self): ...


for a, method in ((A.remote(), "leave"), (A.remote(), "exit"), (Async.remote(), "leave")):
    ray.get(a.f.remote())
    raises(ray.exceptions.RayActorError, lambda a=a, method=method: ray.get(getattr(a, method).remote(), timeout=30))
    raises(ray.exceptions.ActorDiedError, lambda a=a: ray.get(a.f.remote(), timeout=30))
raises(TypeError, ray.actor.exit_actor)
