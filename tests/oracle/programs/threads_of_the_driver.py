"""Every call may be made from any thread."""

import threading

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def f(x):
    return x


@ray.remote
class A:
    def f(self, x):
        return x


a = A.remote()
results = {}


def work(n):
    refs = [f.remote((n, i)) for i in range(10)] + [a.f.remote((n, i)) for i in range(10)]
    _, rest = ray.wait(refs, num_returns=len(refs), timeout=50)
    assert not rest
    results[n] = ray.get(refs) == [(n, i) for i in range(10)] * 2 and ray.get(ray.put(n)) == n


threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert results == dict.fromkeys(range(4), True)
