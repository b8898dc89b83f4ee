"""When an actor's creator crashes, the actor ends, and its error says so; a detached one lives on."""

import os

from oracle import raises, ray, until

ray.init(num_cpus=2)


@ray.remote
class Kept:
    def one(self):
        return 1


@ray.remote
class Creator:
    def make(self):
        self.child = Kept.remote()
        self.detached = Kept.options(name="detached", lifetime="detached").remote()
        ray.get([self.child.one.remote(), self.detached.one.remote()])
        return [self.child]

    def die(self):
        os._exit(1)


creator = Creator.remote()
[child] = ray.get(creator.make.remote())
raises(ray.exceptions.RayActorError, lambda: ray.get(creator.die.remote()))


def dead():
    try:
        ray.get(child.one.remote(), timeout=10)
    except ray.exceptions.RayActorError as error:
        assert isinstance(error, ray.exceptions.ActorDiedError)
        return True
    return False


until(dead)
detached = ray.get_actor("detached")
assert ray.get(detached.one.remote()) == 1
ray.kill(detached)
