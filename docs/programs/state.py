import shoal
from shoal.util.state import list_tasks, summarize_tasks

shoal.init(num_cpus=2)


@shoal.remote
def square(x):
    return x * x


shoal.get([square.remote(i) for i in range(3)])

for task in list_tasks(filters=[("name", "=", "square"), ("state", "=", "FINISHED")], limit=2):
    print(task.name, task.state, task.attempt_number)
print(summarize_tasks()["cluster"]["summary"]["square"]["state_counts"])
