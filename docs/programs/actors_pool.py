import shoal
from shoal.util import ActorPool


@shoal.remote
class Doubler:
    def double(self, x):
        return 2 * x


pool = ActorPool([Doubler.remote() for _ in range(2)])
print(list(pool.map(lambda actor, x: actor.double.remote(x), range(5))))
