"""retry_exceptions of a method: with max_task_retries, for all exceptions or those listed."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_task_retries=5)
class A:
    def __init__(self):
        self.runs = 0

    @ray.method(retry_exceptions=[OSError])
    def flaky(self, kind):
        self.runs += 1
        if self.runs < 3:
            raise kind("not yet")
        return self.runs

    def plain(self):
        self.runs += 1
        raise OSError("always")

    def count(self):
        return self.runs


assert ray.get(A.remote().flaky.remote(OSError)) == 3
a = A.remote()
raises(ValueError, lambda: ray.get(a.flaky.remote(ValueError)))
assert ray.get(a.count.remote()) == 1
raises(OSError, lambda: ray.get(a.plain.remote()))
assert ray.get(a.count.remote()) == 2
raises(OSError, lambda: ray.get(a.plain.options(retry_exceptions=True, max_task_retries=2).remote()))
assert ray.get(a.count.remote()) == 5
raises(OSError, lambda: ray.get(a.plain.options(retry_exceptions=[OSError], max_task_retries=2).remote()))
assert ray.get(a.count.remote()) == 8
raises(OSError, lambda: ray.get(a.plain.options(retry_exceptions=[ValueError], max_task_retries=2).remote()))
assert ray.get(a.count.remote()) == 9
