"""get of something else than a reference or a list of references is a ValueError."""

from oracle import raises, ray

ray.init(num_cpus=1)
for wrong in (1, "x", (ray.put(1),), [ray.put(1), 2]):
    raises(ValueError, lambda wrong=wrong: ray.get(wrong))
