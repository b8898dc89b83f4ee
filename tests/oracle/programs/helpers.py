"""util: as_completed, map_unordered, inspect_serializability, log_once, get_node_ip_address; and cloudpickle."""

import io
import threading

from oracle import ray

ray.init(num_cpus=2)


@ray.remote
def double(x):
    return 2 * x


assert sorted(ray.util.as_completed([double.remote(i) for i in range(25)])) == [2 * i for i in range(25)]
assert sorted(ray.util.map_unordered(double, range(25))) == [2 * i for i in range(25)]
ok, failures = ray.util.inspect_serializability(threading.Lock(), name="lock", print_file=io.StringIO())
assert not ok and len(failures) == 1
assert ray.util.inspect_serializability([1], print_file=io.StringIO()) == (True, set())
assert ray.util.log_once("x") and not ray.util.log_once("x")
assert ray.util.get_node_ip_address().count(".") == 3
assert ray.cloudpickle.loads(ray.cloudpickle.dumps(lambda x: x + 1))(1) == 2
