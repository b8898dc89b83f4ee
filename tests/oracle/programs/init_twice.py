"""A second init is a RuntimeError unless ignore_reinit_error is given."""

from oracle import raises, ray

ray.init(num_cpus=1)
raises(RuntimeError, lambda: ray.init(num_cpus=1))
ray.init(num_cpus=1, ignore_reinit_error=True)
assert ray.is_initialized()
