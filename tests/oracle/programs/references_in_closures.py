"""Functions, classes and values of __main__, references among them, travel in closures."""

from oracle import ray

ray.init(num_cpus=2)
ref = ray.put([1, 2, 3])
FACTOR = 3


class Helper:
    def times(self, x):
        return FACTOR * x


def helper(x):
    return Helper().times(x)


def make():
    hidden = 4

    @ray.remote
    def task():
        return helper(hidden), ray.get(ref), isinstance(Helper(), Helper)

    return task


assert ray.get(make().remote()) == (12, [1, 2, 3], True)


@ray.remote
def give():
    return Helper()


assert type(ray.get(give.remote())) is Helper
