"""ActorPool: map, map_unordered, submit, get_next, has_free, pop_idle, push; it travels into an actor."""

import time

from oracle import raises, ray

ray.init(num_cpus=4)


@ray.remote
class Worker:
    def double(self, x):
        time.sleep(0.01 * (5 - x % 5))
        return 2 * x

    def sleep(self, s):
        time.sleep(s)
        return s


def call(actor, x):
    return actor.double.remote(x)


workers = [Worker.remote() for _ in range(2)]
pool = ray.util.ActorPool(workers)
assert list(pool.map(call, range(10))) == [2 * x for x in range(10)]
assert sorted(pool.map_unordered(call, range(10))) == [2 * x for x in range(10)]
assert pool.has_free() and not pool.has_next()
for x in range(5):
    pool.submit(call, x)
assert pool.has_next() and not pool.has_free()
assert [pool.get_next(timeout=30) for _ in range(5)] == [0, 2, 4, 6, 8]
raises(StopIteration, pool.get_next)
raises(ValueError, lambda: pool.push(workers[0]))
actor = pool.pop_idle()
assert actor in workers
pool.push(actor)
pool.submit(lambda a, s: a.sleep.remote(s), 2)
raises(TimeoutError, lambda: pool.get_next(timeout=0.1))
assert pool.get_next_unordered(timeout=30) == 2


@ray.remote
class User:
    def __init__(self, pool):
        self.pool = pool

    def use(self):
        return list(self.pool.map(call, range(4)))


assert ray.get(User.remote(pool).use.remote(), timeout=60) == [0, 2, 4, 6]
