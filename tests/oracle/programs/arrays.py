"""Arrays are read-only views of shared memory; two gets share it; what a task gets is read-only, too."""

import numpy as np
from oracle import SHOAL, raises, ray

ray.init(num_cpus=1)
ref = ray.put(np.arange(1_000_000))
one, two = ray.get(ref), ray.get(ref)
assert np.shares_memory(one, two) and not one.flags.writeable
raises(ValueError, lambda: one.__setitem__(0, 1))


@ray.remote
def look(a, box):
    return a.flags.writeable, box["a"].flags.writeable, int(a[::2].sum())


assert ray.get(look.remote(ref, {"a": np.ones(500_000)})) == (False, False, sum(range(0, 1_000_000, 2)))
strided = np.arange(1_000_000)[::2]
assert (ray.get(ray.put(strided)) == strided).all()
if SHOAL:
    # Its own addition: private, writable copies.
    mine = ray.get(ref, copy=True)
    mine[0] = 7
    assert ray.get(ref)[0] == 0 and not np.shares_memory(mine, one)
    view = ray.get(ray.put(memoryview(b"abc" * 100_000)))
    assert isinstance(view, memoryview) and view.readonly and len(view) == 300_000
