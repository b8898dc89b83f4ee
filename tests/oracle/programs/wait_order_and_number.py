"""wait gives at most num_returns ready ones, in the order of the list, and the rest.

Which ones of more is not said; shoal gives the first, Ray any.
"""

import time

from oracle import SHOAL, ray

ray.init(num_cpus=2)
refs = [ray.put(i) for i in range(5)]
ray.get(refs)
ready, rest = ray.wait(refs, num_returns=2)
assert (
    len(ready) == 2
    and ready == [ref for ref in refs if ref in ready]
    and rest == [ref for ref in refs if ref not in ready]
)
assert not SHOAL or ready == refs[:2]
assert ray.wait(refs, num_returns=5) == (refs, [])


@ray.remote
def slow():
    time.sleep(30)


late = slow.remote()
begin = time.monotonic()
ready, rest = ray.wait([late, refs[0]], num_returns=2, timeout=0.3)
assert (ready, rest) == ([refs[0]], [late])
assert 0.2 < time.monotonic() - begin < 10
