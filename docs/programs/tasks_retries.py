import os
import tempfile

import shoal

folder = tempfile.mkdtemp()


def attempt(name):
    with open(os.path.join(folder, name), "a") as file:
        file.write("x")
        return file.tell()


@shoal.remote(max_retries=2)
def crashes_once():
    if attempt("crash") == 1:
        os._exit(1)
    return "done"


@shoal.remote(max_retries=3, retry_exceptions=[ConnectionError])
def fails_twice():
    if attempt("fail") < 3:
        raise ConnectionError("try again")
    return "connected"


print(shoal.get([crashes_once.remote(), fails_twice.remote()]))
