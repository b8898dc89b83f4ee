import shoal


@shoal.remote
class Counter:
    def __init__(self, start=0):
        self.total = start

    def add(self, n):
        self.total += n
        return self.total


counter = Counter.remote(10)
print(shoal.get([counter.add.remote(n) for n in (1, 2, 3)]))
