"""References nest anywhere: in results, in state, in lists; each value lives while its reference is held."""

import gc

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def deep(n):
    return {"n": n, "next": deep.remote(n - 1)} if n else "end"


@ray.remote
class Keeper:
    def keep(self, box):
        self.ref = box[0]

    def give(self):
        return [self.ref]

    def read(self):
        return ray.get(self.ref)


value = ray.get(deep.remote(5))
seen = []
while value != "end":
    seen.append(value["n"])
    value = ray.get(value["next"])
assert seen == [5, 4, 3, 2, 1]

keeper = Keeper.remote()
ref = ray.put(bytes(1_000_000))
ray.get(keeper.keep.remote([ref]))
del ref
gc.collect()
assert len(ray.get(keeper.read.remote())) == 1_000_000
[again] = ray.get(keeper.give.remote())
ray.kill(keeper)
del keeper
assert len(ray.get(again)) == 1_000_000
