"""A program that a task starts joins the instance that runs the task.

shoal only: Ray's workers don't export their address.
"""

import subprocess
import sys

from oracle import ray

ray.init(num_cpus=3)
CODE = "import shoal; shoal.init(); print(int(shoal.cluster_resources()['CPU']))"


@ray.remote
def task():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=50)
    return ran.stdout.strip()


assert ray.get(task.remote()) == "3"
