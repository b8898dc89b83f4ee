import time

import shoal


@shoal.remote
def slow():
    time.sleep(1)
    return "done"


ref = slow.remote()
try:
    shoal.get(ref, timeout=0)
except shoal.exceptions.GetTimeoutError:
    print("not yet")
print(shoal.get(ref))
