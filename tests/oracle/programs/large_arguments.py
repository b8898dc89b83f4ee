"""Large arguments and results arrive whole, alone and many together."""

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def size(*values):
    return sum(map(len, values))


@ray.remote
def make(n):
    return b"x" * n


assert ray.get(size.remote(b"a" * 3_000_000, "b" * 2_000_000)) == 5_000_000
assert ray.get(size.remote(*[b"a" * 90_000] * 30)) == 2_700_000
assert [len(value) for value in ray.get([make.remote(n) for n in (0, 99, 102_400, 102_401, 5_000_000)])] == [
    0,
    99,
    102_400,
    102_401,
    5_000_000,
]
