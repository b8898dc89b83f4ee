"""References and handles of an older session raise.

shoal only: Ray's answers differ from call to call.
"""

from oracle import raises, ray


@ray.remote
class A:
    def f(self): ...


ray.init(num_cpus=1)
ref, a = ray.put(1), A.remote()
ray.get(a.f.remote())
ray.shutdown()
raises(ray.exceptions.RaySystemError, lambda: ray.get(ref), "belongs to a session that has ended")
raises(ray.exceptions.RaySystemError, lambda: ray.get([ref]), "belongs to a session that has ended")
raises(ray.exceptions.RaySystemError, lambda: ray.wait([ref]), "belongs to a session that has ended")
assert not ray.is_initialized(), "what waits for an old reference begins no session"
ray.init(num_cpus=1)
raises(ray.exceptions.RaySystemError, lambda: ray.get(ref), "belongs to a session that has ended")
raises(ray.exceptions.RaySystemError, lambda: ray.wait([ref]), "belongs to a session that has ended")
raises(ray.exceptions.RaySystemError, a.f.remote, "belongs to a session that has ended")
assert ray.get(ray.put(2)) == 2
