"""The address of an init() instance is `unix:PATH`, and another program joins by it.

shoal only: Ray's are HOST:PORT.
"""

import os
import stat
import subprocess
import sys

from oracle import ray

context = ray.init(num_cpus=1)
address = context.address_info["address"]
assert address == context["address"]
assert stat.S_ISSOCK(os.stat(address.removeprefix("unix:")).st_mode)
code = "import shoal, sys; shoal.init(address=sys.argv[1]); print(shoal.get_runtime_context().get_node_id())"
out = subprocess.run(
    [sys.executable, "-c", code, address], capture_output=True, text=True, check=True, timeout=60
).stdout
assert out.strip() == ray.get_runtime_context().get_node_id() == context.address_info["node_id"]
