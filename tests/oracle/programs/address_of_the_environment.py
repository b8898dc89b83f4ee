"""The environment's address is joined when none is given; a size is refused then."""

import os
import subprocess
import sys

from oracle import SHOAL, ray

context = ray.init(num_cpus=3)
code = """
import importlib, os
ray = importlib.import_module(os.environ["ORACLE"])
ray.init()
print(int(ray.cluster_resources()["CPU"]))
ray.shutdown()
try:
    ray.init(num_cpus=1)
except ValueError:
    print("refused")
"""
env = {**os.environ, "ORACLE": ray.__name__}
env["SHOAL_ADDRESS" if SHOAL else "RAY_ADDRESS"] = context.address_info["address"]
out = subprocess.run(
    [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60
).stdout
assert out.split() == ["3", "refused"], out
