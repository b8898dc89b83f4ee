"""A local working_dir is what tasks run in: they import from it, read it, and write into a copy."""

import os
import tempfile

from oracle import ray

folder = tempfile.mkdtemp()
for name, text in (("only_there.py", "VALUE = 42"), ("data.txt", "hello")):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)
ray.init(num_cpus=1, runtime_env={"working_dir": folder})
with open(os.path.join(folder, "data.txt"), "w") as file:
    file.write("changed after init")


@ray.remote
def task():
    import only_there

    with open("data.txt") as file:
        text = file.read()
    with open("made.txt", "w") as file:
        file.write("x")
    return only_there.VALUE, text


assert ray.get(task.remote()) == (42, "hello")
assert not os.path.exists(os.path.join(folder, "made.txt"))
