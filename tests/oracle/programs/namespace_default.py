"""Without a namespace each job has a random one of its own; with one, jobs find each other's actors."""

import os
import subprocess
import sys

from oracle import ray

context = ray.init(num_cpus=1, namespace="mine")
assert ray.get_runtime_context().namespace == "mine"


@ray.remote
class A:
    def one(self):
        return 1


a = A.options(name="a").remote()
ray.get(a.one.remote())
code = """
import importlib, os, sys
ray = importlib.import_module(os.environ.get("ORACLE", "shoal"))
address, namespace = sys.argv[1:]
ray.init(address=address, namespace=namespace or None)
try:
    print("found", ray.get(ray.get_actor("a").one.remote()))
except ValueError:
    print("not found")
print("named", ray.get(ray.get_actor("a", namespace="mine").one.remote()))
"""


def other(namespace):
    command = [sys.executable, "-c", code, context.address_info["address"], namespace]
    env = dict(os.environ)
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout.split("\n")


assert other("")[:2] == ["not found", "named 1"]
assert other("mine")[:2] == ["found 1", "named 1"]
