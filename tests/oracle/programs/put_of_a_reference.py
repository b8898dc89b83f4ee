"""put of a reference is a TypeError; of a list of references, it is fine."""

from oracle import raises, ray

ray.init(num_cpus=1)
ref = ray.put(1)
raises(TypeError, lambda: ray.put(ref))
assert ray.get(ray.get(ray.put([ref]))[0]) == 1
