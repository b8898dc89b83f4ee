"""Actor classes: not called directly, not subclassed; their methods neither; unknown ones are AttributeErrors."""

from oracle import raises, ray

ray.init(num_cpus=1)


class Base:
    def inherited(self):
        return "base"


@ray.remote
class A(Base):
    def __init__(self, x=1):
        self.x = x

    def get(self):
        return self.x

    @staticmethod
    def static(y):
        return y

    @classmethod
    def of_class(cls):
        return cls.__name__


a = A.remote(x=5)
assert ray.get([a.get.remote(), a.inherited.remote(), a.static.remote(3), a.of_class.remote()]) == [5, "base", 3, "A"]
raises(TypeError, lambda: A())
raises(TypeError, lambda: a.get())
raises(AttributeError, lambda: a.nothing)
raises(TypeError, lambda: A.remote(1, 2))
raises(TypeError, lambda: a.get.remote(1))


def subclass():
    class B(A): ...


raises(TypeError, subclass)
