"""get of something else than a reference or a list of references is an error."""

from oracle import raises, ray

ray.init(num_cpus=1)
for wrong in (1, "x", (ray.put(1),)):
    raises(ValueError, lambda wrong=wrong: ray.get(wrong))
raises(TypeError, lambda: ray.get([ray.put(1), 2]))
