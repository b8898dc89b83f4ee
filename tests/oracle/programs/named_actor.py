"""A name is given once in a namespace; get_if_exists finds the actor that has it."""

from oracle import raises, ray

ray.init(num_cpus=1)


@ray.remote
class A:
    def __init__(self, x):
        self.x = x

    def get(self):
        return self.x


a = A.options(name="a").remote(1)
assert ray.get(a.get.remote()) == 1
raises(ValueError, lambda: A.options(name="a").remote(2))
again = A.options(name="a", get_if_exists=True).remote(3)
assert again == a
assert ray.get(again.get.remote()) == 1
other = A.options(name="a", namespace="other").remote(4)
assert ray.get(ray.get_actor("a", namespace="other").get.remote()) == 4
assert ray.util.list_named_actors() == ["a"]
assert len(ray.util.list_named_actors(all_namespaces=True)) == 2
raises(ValueError, lambda: A.options(get_if_exists=True).remote(1))
