"""get of a list gives all values in its order, or raises the first error at once; a reference may be there twice."""

import time

from oracle import raises, ray

ray.init(num_cpus=2)


@ray.remote
def slow(x):
    time.sleep(0.1 * (3 - x))
    return x


@ray.remote
def fail():
    raise KeyError("x")


refs = [slow.remote(i) for i in range(3)]
assert ray.get(refs) == [0, 1, 2]
assert ray.get([refs[1], refs[1]]) == [1, 1]
assert ray.get([]) == []
raises(KeyError, lambda: ray.get([refs[0], fail.remote(), refs[2]]))


@ray.remote(num_cpus=0)
class Silent:
    def wait(self):
        time.sleep(60)


silent = Silent.remote()
never = silent.wait.remote()
begin = time.monotonic()
raises(KeyError, lambda: ray.get([never, fail.remote()]))
raises(KeyError, lambda: ray.get([never, refs[0], fail.remote()], timeout=30))
assert time.monotonic() - begin < 30
ray.kill(silent)
