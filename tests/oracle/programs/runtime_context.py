"""The runtime context tells job, node, worker, task, actor; and what is held."""

from oracle import ray

ray.init(num_cpus=2, namespace="n")


def ids():
    context = ray.get_runtime_context()
    return {
        "job": context.get_job_id(),
        "node": context.get_node_id(),
        "worker": context.get_worker_id(),
        "task": context.get_task_id(),
        "actor": context.get_actor_id(),
        "namespace": context.namespace,
    }


@ray.remote
def task():
    context = ray.get_runtime_context()
    return ids(), context.get_task_name(), context.get_assigned_resources()


@ray.remote(num_cpus=1)
class A:
    def f(self):
        return ids(), ray.get_runtime_context().get_actor_name(), ray.get_runtime_context().get_assigned_resources()


driver = ids()
assert driver["actor"] is None and driver["namespace"] == "n"
for id in (driver["job"], driver["node"], driver["worker"]):
    bytes.fromhex(id)
one, name, held = ray.get(task.remote())
two, other, _ = ray.get(task.options(name="called so").remote())
assert name == "task" and other == "called so"
assert held["CPU"] == 1
assert one["job"] == two["job"] == driver["job"] and one["node"] == driver["node"]
assert one["task"] != two["task"] and one["actor"] is None
assert one["worker"] != driver["worker"]
a = A.options(name="a").remote()
inside, name, held = ray.get(a.f.remote())
assert name == "a" and held["CPU"] == 1
assert inside["actor"] == a._actor_id.hex()
