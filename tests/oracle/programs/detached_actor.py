"""A detached actor outlives its driver."""

import os
import subprocess
import sys

from oracle import ray

context = ray.init(num_cpus=1, namespace="n")
code = """
import importlib, os, sys
ray = importlib.import_module(os.environ["ORACLE"])
ray.init(address=sys.argv[1], namespace="n")
@ray.remote
class Kept:
    n = 1
    def next(self):
        self.n += 1
        return self.n
@ray.remote
class Gone:
    def f(self): ...
kept = Kept.options(name="kept", lifetime="detached").remote()
gone = Gone.options(name="gone").remote()
ray.get([kept.next.remote(), gone.f.remote()])
"""
env = {**os.environ, "ORACLE": ray.__name__}
subprocess.run([sys.executable, "-c", code, context.address_info["address"]], env=env, check=True, timeout=60)
assert ray.get(ray.get_actor("kept").next.remote()) == 3
try:
    ray.get_actor("gone")
except ValueError:
    pass
else:
    raise AssertionError("an actor outlived its driver")
ray.kill(ray.get_actor("kept"))
