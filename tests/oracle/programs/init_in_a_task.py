"""A task or an actor is in the session that runs it, and init there joins it."""

from oracle import ray

ray.init(num_cpus=2, namespace="n")


@ray.remote
def task():
    there = ray.is_initialized()
    ray.init(ignore_reinit_error=True)
    context = ray.get_runtime_context()
    return there, context.namespace, context.get_node_id()


assert ray.get(task.remote()) == (True, "n", ray.get_runtime_context().get_node_id())
