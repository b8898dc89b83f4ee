import time

import shoal

shoal.init()


@shoal.remote
class Log:
    def __init__(self):
        self.made = 0

    def add(self):
        self.made += 1

    def count(self):
        return self.made


log = Log.remote()


@shoal.remote(_generator_backpressure_num_objects=2)
def endless(log):
    while True:
        shoal.get(log.add.remote())
        yield bytes(1000)


items = endless.remote(log)
shoal.wait([items])
time.sleep(1)
print("made, none read:", shoal.get(log.count.remote()))

for _ in range(10):
    next(items)
time.sleep(1)
print("made, ten read:", shoal.get(log.count.remote()))
