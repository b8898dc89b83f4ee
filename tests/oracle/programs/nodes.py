"""nodes, cluster_resources and available_resources tell what there is."""

from oracle import ray

ray.init(num_cpus=3, resources={"x": 2})
[node] = ray.nodes()
assert node["Alive"]
assert node["NodeID"] == ray.get_runtime_context().get_node_id()
assert node["Resources"]["CPU"] == 3 and node["Resources"]["x"] == 2
assert ray.cluster_resources()["x"] == ray.available_resources()["x"] == 2
assert ray.get_gpu_ids() == [] or all(isinstance(x, (int, str)) for x in ray.get_gpu_ids())
