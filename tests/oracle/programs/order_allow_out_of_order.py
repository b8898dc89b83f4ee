"""allow_out_of_order_execution=False is an error for threaded and async actors."""

from oracle import raises, ray

ray.init(num_cpus=1)


class Plain:
    def f(self): ...


class Async:
    async def f(self): ...


def make(cls, **options):
    return ray.remote(allow_out_of_order_execution=False, **options)(cls).remote()


raises(ValueError, lambda: make(Async))
raises(ValueError, lambda: make(Plain, max_concurrency=2))
ray.get(make(Plain).f.remote())
