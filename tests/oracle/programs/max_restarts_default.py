"""An actor is not restarted unless max_restarts says so; its death is ActorDiedError, a RayActorError."""

import os
import signal

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def pid(self):
        return os.getpid()


a = A.remote()
os.kill(ray.get(a.pid.remote()), signal.SIGKILL)
error = raises(ray.exceptions.ActorDiedError, lambda: ray.get(a.pid.remote()))
assert isinstance(error, ray.exceptions.RayActorError)
