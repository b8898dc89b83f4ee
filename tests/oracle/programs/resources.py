"""Custom resources and fractions limit what runs together; what is free comes back."""

from oracle import ray, until

ray.init(num_cpus=4, resources={"disk": 1})
assert ray.cluster_resources()["disk"] == 1


@ray.remote(num_cpus=0, resources={"disk": 0.25})
class Holder:
    def ready(self):
        return True


holders = [Holder.remote() for _ in range(5)]
assert ray.get([h.ready.remote() for h in holders[:4]]) == [True] * 4
ready, rest = ray.wait([holders[4].ready.remote()], timeout=1)
assert not ready and "disk" not in ray.available_resources()
ray.kill(holders[0])
assert ray.get(rest, timeout=60) == [True]
del holders
until(lambda: ray.available_resources().get("disk") == 1)


@ray.remote(num_cpus=0.0001, memory=1_000_000)
def small():
    return 1


assert ray.get([small.remote() for _ in range(5)]) == [1] * 5
