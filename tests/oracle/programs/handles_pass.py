"""Handles pass into tasks, actors, containers and results; they are equal wherever they came from."""

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
class Counter:
    def __init__(self):
        self.n = 0

    def add(self):
        self.n += 1
        return self.n


@ray.remote
def use(box):
    return ray.get(box["counter"].add.remote())


@ray.remote
def give(counter):
    return [counter]


@ray.remote
class Holder:
    def __init__(self, counter):
        self.counter = counter

    def add(self):
        return ray.get(self.counter.add.remote())


counter = Counter.remote()
assert ray.get(use.remote({"counter": counter})) == 1
holder = Holder.remote(counter)
assert ray.get(holder.add.remote()) == 2
[again] = ray.get(give.remote(counter))
assert again == counter and hash(again) == hash(counter) and len({again, counter}) == 1
del counter, again
assert ray.get(holder.add.remote()) == 3
