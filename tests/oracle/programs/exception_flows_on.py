"""An error flows through the tasks and calls that depend on it."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
def fail():
    raise ZeroDivisionError("first")


@ray.remote
def use(x):
    return x


@ray.remote
class A:
    def use(self, x):
        return x


raises(ZeroDivisionError, lambda: ray.get(use.remote(use.remote(fail.remote()))), "first")
a = A.remote()
raises(ZeroDivisionError, lambda: ray.get(a.use.remote(fail.remote())), "first")
assert ray.get(a.use.remote(5)) == 5
