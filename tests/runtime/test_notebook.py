"""Output of workers in a notebook: in the cell that runs."""

from __future__ import annotations

import json

import pytest

from support.streams import SHOWN

pytest.importorskip("ipykernel", reason="notebooks are tested where ipykernel is installed")

CELLS = [
    SHOWN
    + """
import shoal
shoal.init(num_cpus=1)
@shoal.remote
def talk(what):
    import sys
    sys.stderr.write("\\r50%\\r100%\\n")
    print("a line of", what)
shoal.get(talk.remote("the first cell"))
there = [sys.stdout.wait_for("a line of the first cell"), sys.stderr.wait_for("100%")]
""",
    """
print("of the driver")
shoal.get(talk.remote("the second cell"))
there.append(sys.stdout.wait_for("a line of the second cell"))
print(there)
""",
    "shoal.shutdown()",
]

NOTEBOOK = """
import json, sys
from jupyter_client.manager import start_new_kernel
kernel, client = start_new_kernel(kernel_name="python3")
out = []
try:
    for cell in json.loads(sys.argv[1]):
        said = []
        reply = client.execute_interactive(cell, timeout=60, output_hook=said.append)
        assert reply["content"]["status"] == "ok", reply
        texts = [message["content"] for message in said if message["msg_type"] == "stream"]
        out.append({name: "".join(t["text"] for t in texts if t["name"] == name) for name in ("stdout", "stderr")})
finally:
    client.stop_channels()
    kernel.shutdown_kernel()
print(json.dumps(out))
"""


def test_output_of_workers_appears_in_the_cell_that_runs(shoal_run):
    run = shoal_run(NOTEBOOK, json.dumps(CELLS), timeout=100)
    first, second, _ = json.loads(run.stdout.splitlines()[-1])
    assert "a line of the first cell\n" in first["stdout"] and "the second" not in first["stdout"]
    assert "[True, True, True]\n" in second["stdout"]
    assert "of the driver\n" in second["stdout"] and "a line of the second cell\n" in second["stdout"]
    assert first["stderr"].endswith(") 100%\n") and first["stderr"].count("%") == 1
