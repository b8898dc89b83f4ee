"""Lines that workers print reach the driver, with (name pid=N); with log_to_driver=False they don't."""

import os
import re
import subprocess
import sys

from oracle import ray

CODE = """
import importlib, os, sys, time
ray = importlib.import_module(os.environ["ORACLE"])
ray.init(num_cpus=1, log_to_driver=sys.argv[1] == "yes")
@ray.remote
def talk():
    print("a line of talk")
    return os.getpid()
@ray.remote
class Talker:
    def talk(self):
        print("a line of Talker")
ray.get(talk.remote())
t = Talker.remote()
ray.get(t.talk.remote())
time.sleep(2)
"""


def run(log):
    env = {**os.environ, "ORACLE": ray.__name__}
    ran = subprocess.run([sys.executable, "-c", CODE, log], env=env, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return re.sub("\x1b\\[[0-9;]*m", "", ran.stdout + ran.stderr)


out = run("yes")
assert re.search(r"^\(talk pid=\d+\) a line of talk$", out, re.M), out
assert re.search(r"^\(Talker pid=\d+\) a line of Talker$", out, re.M), out
assert "a line" not in run("no")
