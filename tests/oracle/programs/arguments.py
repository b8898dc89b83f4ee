"""A reference as an argument is replaced by its value; inside another value it stays; anything can be passed."""

from oracle import SHOAL, ray

ray.init(num_cpus=2)


@ray.remote
def one():
    return 1


@ray.remote
def show(a, b=None, *rest, **named):
    return a, type(b[0]).__name__, ray.get(b[0]), rest, named


@ray.remote
def kinds(*values):
    return [type(value).__name__ for value in values]


ref = one.remote()
assert ray.get(show.remote(ref, [ref], ref, k=ref)) == (1, "ObjectRef", 1, (1,), {"k": 1})
values = (None, True, 1, 1 << 80, 1.5, "s", b"b", [1], (1,), {1: 2}, {1}, range(2), lambda: 1, int, 2j)
assert ray.get(kinds.remote(*values)) == [type(value).__name__ for value in values]
if SHOAL:
    # On Ray it comes as bytes.
    assert ray.get(kinds.remote(bytearray(b"x"))) == ["bytearray"]
