"""A node has as many CPUs as its affinity and its cgroup's quota, rounded up, allow."""

import math
import os

from oracle import ray

allowed = len(os.sched_getaffinity(0))
try:
    with open("/sys/fs/cgroup/cpu.max") as file:
        quota, period = file.read().split()
    allowed = min(allowed, math.ceil(int(quota) / int(period))) if quota != "max" else allowed
except OSError:
    pass
ray.init()
resources = ray.cluster_resources()
assert resources["CPU"] == allowed
assert resources["memory"] > 0 and resources["object_store_memory"] > 0
