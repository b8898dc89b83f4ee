import time

import shoal


@shoal.remote
def forever():
    while True:
        time.sleep(0.1)


refs = [forever.remote() for _ in range(3)]
shoal.cancel(*refs)
for ref in refs:
    try:
        shoal.get(ref)
    except shoal.exceptions.TaskCancelledError:
        print("cancelled")
