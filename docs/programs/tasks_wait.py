import time

import shoal


@shoal.remote
def work(seconds):
    time.sleep(seconds)
    return seconds


pending = [work.remote(s) for s in (1.0, 0.0)]
while pending:
    ready, pending = shoal.wait(pending)
    print(shoal.get(ready[0]))
