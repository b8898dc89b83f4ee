"""address="local" always starts a new instance, whatever the environment names."""

import os

from oracle import SHOAL, ray

os.environ["SHOAL_ADDRESS" if SHOAL else "RAY_ADDRESS"] = "unix:/nowhere" if SHOAL else "127.0.0.1:1"
ray.init(address="local", num_cpus=1)
assert ray.cluster_resources()["CPU"] == 1
