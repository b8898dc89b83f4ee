"""@method gives a method options; .options() changes them for a call."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    @ray.method(num_returns=2)
    def two(self):
        return 1, 2

    def three(self):
        return 1, 2, 3

    def wrong(self):
        return 1, 2


a = A.remote()
one, two = a.two.remote()
assert ray.get([one, two]) == [1, 2]
assert ray.get(a.three.options(num_returns=3).remote()) == [1, 2, 3]
assert ray.get(a.two.options(num_returns=1).remote()) == (1, 2)
raises(ValueError, lambda: ray.get(a.wrong.options(num_returns=3).remote()))
