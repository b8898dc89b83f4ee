import numpy as np

import shoal

ref = shoal.put(np.zeros(1_000_000))
array = shoal.get(ref)  # the stored bytes themselves
print(array.flags.writeable)

private = shoal.get(ref, copy=True)
private[0] = 1.0
print(private[0], array[0])
