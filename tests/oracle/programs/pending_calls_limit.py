"""max_pending_calls: one more call of a caller raises PendingCallsLimitExceeded."""

import time

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote(max_pending_calls=3)
class A:
    def sleep(self):
        time.sleep(2)


a = A.remote()
ray.get(a.__ray_ready__.remote())
refs = [a.sleep.remote() for _ in range(3)]
raises(ray.exceptions.PendingCallsLimitExceeded, a.sleep.remote)
ray.get(refs, timeout=60)
ray.get(a.sleep.remote(), timeout=60)
