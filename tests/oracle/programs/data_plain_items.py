"""Plain items of a dataset reach functions as they are; a batch of them is a list; rows of mappings are rows.

shoal only: Ray wraps plain items as {"item": x}.
"""

from oracle import ray

ray.init(num_cpus=2)
data = ray.data.from_items(list(range(10)))
assert data.map(lambda x: x + 1).take_all() == list(range(1, 11))
assert data.filter(lambda x: x % 2).count() == 5
assert list(data.iter_batches(batch_size=4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
assert data.take(3) == [0, 1, 2]
assert ray.data.range(3).take_all() == [{"id": 0}, {"id": 1}, {"id": 2}]
[batch] = ray.data.range(3).iter_batches()
assert list(batch) == ["id"] and batch["id"].tolist() == [0, 1, 2]
assert ray.data.from_items([]).count() == 0
