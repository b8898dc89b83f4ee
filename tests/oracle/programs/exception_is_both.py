"""What a task raises is caught by its own type and by RayTaskError; its text has the remote traceback."""

from oracle import SHOAL, raises, ray

ray.init(num_cpus=1)


class Mine(Exception):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


@ray.remote
def inner():
    raise ValueError("deep")


@ray.remote
def outer():
    return ray.get(inner.remote())


@ray.remote
def own():
    raise Mine(3) from KeyError("why")


error = raises(ValueError, lambda: ray.get(outer.remote()), "deep")
assert isinstance(error, ray.exceptions.RayTaskError)
assert "in outer" in str(error) and "in inner" in str(error)
if SHOAL:
    error = raises(Mine, lambda: ray.get(own.remote()), "code 3")
    assert error.code == 3
    assert isinstance(error.__cause__, KeyError)
