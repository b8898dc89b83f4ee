"""max_concurrency > 1 runs plain methods on so many threads."""

import threading

from oracle import ray

ray.init(num_cpus=1)


@ray.remote(max_concurrency=4)
class A:
    def __init__(self):
        self.meet = threading.Barrier(4)

    def f(self, i):
        self.meet.wait(20)
        return i, threading.get_ident()


a = A.remote()
got = ray.get([a.f.remote(i) for i in range(8)], timeout=60)
assert [i for i, _ in got] == list(range(8))
assert len({ident for _, ident in got}) == 4
