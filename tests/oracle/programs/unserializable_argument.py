"""What can't be serialized is a TypeError at the call that says what it is."""

import threading

from oracle import SHOAL, raises, ray

ray.init(num_cpus=1)
lock = threading.Lock()


@ray.remote
def f(x): ...


@ray.remote
def captures():
    return lock


@ray.remote
def gives():
    return threading.Lock()


raises(TypeError, lambda: f.remote({"a": [lock]}), "lock")
raises(TypeError, captures.remote, "lock")
raises(TypeError, lambda: ray.put(lock), "lock")
raises(TypeError, lambda: ray.get(gives.remote()), "lock")
if SHOAL:
    raises(TypeError, lambda: f.remote({"a": [lock]}), "an argument of f() → ['a'] → [0] is a 'lock'")
    raises(TypeError, lambda: ray.get(gives.remote()), "the value that gives() returned")
    raises(TypeError, lambda: ray.put([lock]), "the value given to put() → [0] is a 'lock'")
    raises(TypeError, captures.remote, "the global variable 'lock'")
