"""init can be used in with; shutdown is idempotent, and a new session may follow with the same functions."""

from oracle import ray


@ray.remote
def f():
    return 1


@ray.remote
class A:
    def f(self):
        return 2


assert not ray.is_initialized()
for _ in range(2):
    with ray.init(num_cpus=1) as context:
        assert ray.is_initialized()
        assert context.address_info["session_dir"]
        assert context.python_version.count(".") == 2
        assert ray.get(f.remote()) == 1
        assert ray.get(A.remote().f.remote()) == 2
    assert not ray.is_initialized()
    ray.shutdown()
