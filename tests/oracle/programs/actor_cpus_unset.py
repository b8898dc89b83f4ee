"""An actor without num_cpus needs 1 CPU to be placed and holds none: 4 actors on 2 CPUs leave 2 CPUs free."""

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
class A:
    def ready(self):
        return True


@ray.remote
def task():
    return 1


actors = [A.remote() for _ in range(4)]
assert all(ray.get([a.ready.remote() for a in actors]))
assert ray.available_resources()["CPU"] == 2
assert ray.get([task.remote(), task.remote()]) == [1, 1]
