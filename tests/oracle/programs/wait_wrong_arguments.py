"""wait: a bare reference, something else, duplicates and a wrong number are errors."""

from oracle import raises, ray

ray.init(num_cpus=1)
ref = ray.put(1)
raises(TypeError, lambda: ray.wait(ref))
raises(TypeError, lambda: ray.wait((ref,)))
raises(TypeError, lambda: ray.wait([1]))
raises(ValueError, lambda: ray.wait([ref, ref]))
raises(ValueError, lambda: ray.wait([ref], num_returns=2))
raises(ValueError, lambda: ray.wait([ref], num_returns=0))
raises(ValueError, lambda: ray.wait([ref], timeout=-1))
