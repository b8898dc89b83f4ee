"""num_returns="dynamic": one reference, whose value gives the items' references; the last one has the error."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(num_returns="dynamic")
def count(n, fail=False):
    yield from range(n)
    if fail:
        raise ValueError("boom")


items = ray.get(count.remote(4))
assert len(items) == 4
assert ray.get(list(items)) == [0, 1, 2, 3]
*good, bad = ray.get(count.remote(2, fail=True))
assert ray.get(good) == [0, 1]
raises(ValueError, lambda: ray.get(bad), "boom")


@ray.remote(num_returns=3)
def three(fail_at):
    for i in range(3):
        if i == fail_at:
            raise ValueError("boom")
        yield i


assert ray.get(three.remote(5)) == [0, 1, 2]
first, second, third = three.remote(1)
assert ray.get(first) == 0
for ref in (second, third):
    raises(ValueError, lambda ref=ref: ray.get(ref), "boom")
