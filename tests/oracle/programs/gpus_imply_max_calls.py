"""num_gpus > 0 implies max_calls=1: each call has a process of its own, and sees its GPU."""

import os

from oracle import ray

ray.init(num_cpus=2, num_gpus=1)


@ray.remote(num_gpus=1)
def task():
    return os.getpid(), ray.get_gpu_ids(), os.environ["CUDA_VISIBLE_DEVICES"]


(one, ids, visible), (two, _, _) = ray.get(task.remote()), ray.get(task.remote())
assert one != two
assert (ids, visible) == ([0], "0")
assert ray.cluster_resources()["GPU"] == 1
